# The registry's patterns, searched in every string of the body and of the content that would go out
#
# A pattern is compiled anew at every question, which costs more than all other rules together. So the registry may say
# what a match cannot do without: `tables`, whose keys are lower-case strings, and for each pattern, by its place, `needs`: a
# key of one of these tables is part of every match, and of one of those. Where all tables of a need have no key in the text,
# the pattern is not searched; a pattern without needs always is.

package stagewarden.rules.claims

_matched contains pattern if {
	some at, pattern in _patterns
	not at in _needless
	some text in _texts
	regex.match(pattern, text)
}

# A pattern that cannot be read might have matched.
_matched contains pattern if {
	some at, pattern in _patterns
	not at in _needless
	not regex.is_valid(pattern)
}

_patterns := object.get(data.registry, ["triggers", "legal_or_price", "patterns"], []) if count(_texts) > 0

_needless contains at if {
	some at, needs in data.registry.triggers.legal_or_price.needles.needs
	some tables in needs
	count(tables) > 0
	every table in tables { table in _absent }
}

# Each table is looked for once, whoever needs it: one pass for all its keys, and taking none out changes nothing.
_absent contains at if {
	some at, table in data.registry.triggers.legal_or_price.needles.tables
	strings.replace_n(table, _haystack) == _haystack
}

_texts contains text if {
	walk(input.request.body, [_, text])
	is_string(text)
}

# What is published by its id is not in the body: the gate puts the looked-up asset among the facts.
_texts contains text if {
	walk(input.facts.content, [_, text])
	is_string(text)
}

# All strings as one, in lower case; the long s is an s to a pattern that ignores case.
_haystack := replace(lower(concat("\n", _texts)), "\u017f", "s")
