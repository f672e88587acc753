# METADATA
# title: Tier and seats
# description: |
#   Joins what all topics ask for into one tier and one list of seats (governance, "Tiers and seats").
#   It never asks for fewer people than any one rule did, and never drops a seat.
package stagewarden.seats

import data.stagewarden.topics

# METADATA
# title: The highest tier any rule gives
# description: A tier nobody knows counts as high.
default tier := "low"

tier := "high" if {
	some [_, answer] in topics.tier
	some given
	answer[given]
	not given in ["low", "medium"]
} else := "medium" if {
	some [_, answer] in topics.tier
	answer.medium
}

# METADATA
# title: Whether any rule wants people
default wanted := false

wanted if tier != "low"

wanted if count(_domain) > 0

# METADATA
# title: The tier of a hold
# description: Low means that nobody is asked, so a hold is at least medium.
default hold_tier := "medium"

hold_tier := "high" if tier == "high"

# METADATA
# title: How long a hold settles after the last vote
# description: A duration, as the registry writes it for the hold's tier; null asks for none beside the configuration's.
default settle := null

settle := data.registry.tiers[hold_tier].settle

# METADATA
# title: The seats of a hold, sorted
# description: |
#   Seats by decision domain count towards the number of people the tier asks for; of the tier's own seats only what is
#   missing is added, and one person more where recent reviews look hurried.
required := [{"functions": functions, "count": number} |
	some functions in sort(((object.keys(_domain) | {added | some added in _added}) | _second))
	asked := count([1 | some added in _added; added == functions]) + count({1 | functions in _second})
	number := object.get(_domain, [functions], 0) + asked
]

# Seats by decision domain: the union over all rules; the same functions twice make one seat with the higher count.
_domain := {functions: max(numbers) |
	some [functions, _] in _given
	numbers := {number | some [other, number] in _given; other == functions}
}

_given contains [sort({function | some function in seat.functions}), seat.count] if {
	some [_, answer] in topics.seats
	some seat
	answer[seat]
}

# The tier's own seats that are missing, one entry a person: first those that no domain seat resembles.
_added := array.slice(array.concat(_unlike, _alike), 0, max([0, count(_own) - sum([number | some number in _domain])]))

_unlike := [functions | some functions in _own; not _resembled(functions)]

_alike := [functions | some functions in _own; _resembled(functions)]

_resembled(functions) if {
	some domain, _ in _domain
	some function in functions
	function in domain
}

_own := [sort({function | some function in seat.functions}) |
	some seat in _tier_seats
	some _ in numbers.range(1, seat.count)
]

_tier_seats := registered if {
	registered := data.registry.tiers[hold_tier].seats
	count(registered) > 0
	every seat in registered {
		count(seat.functions) > 0
		seat.count > 0
	}
} else := _built_in[hold_tier]

# What a tier asks for where the registry says nothing usable.
_built_in := {
	"medium": [{"functions": ["reviewer"], "count": 1}],
	"high": [
		{"functions": ["reviewer", "manager"], "count": 1},
		{"functions": ["reviewer", "compliance", "legal"], "count": 1},
	],
}
