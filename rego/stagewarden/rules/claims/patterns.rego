# The registry's patterns, searched in every string of the body and of the content that would go out
#
# A pattern is compiled anew at every question, which costs more than all other rules together. So the registry may say
# what a match cannot do without: for some patterns, tables whose keys are lower-case strings, one of each table being part
# of every match. Where a table has no key in the body, its patterns are not searched; all other patterns always are.

package stagewarden.rules.claims

_matched contains pattern if {
	some pattern in _patterns
	not pattern in _needless
	some text in _texts
	regex.match(pattern, text)
}

# A pattern that cannot be read might have matched.
_matched contains pattern if {
	some pattern in _patterns
	not pattern in _needless
	not regex.is_valid(pattern)
}

_patterns := object.get(data.registry, ["triggers", "legal_or_price", "patterns"], []) if count(_texts) > 0

_needless contains pattern if {
	some entry in data.registry.triggers.legal_or_price.needles
	some table in entry.tables
	strings.replace_n(table, _haystack) == _haystack # one pass for all keys: taking none out changes nothing
	some pattern in entry.patterns
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
