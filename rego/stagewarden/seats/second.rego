# One person more
#
# Where the registry's workflow says so, a hold asks one person more while the workflow's recent reviews give one of the
# signals it names. It never turns an allow into a hold, and never asks for fewer.

package stagewarden.seats

# METADATA
# title: The signals on account of which one more person is asked
# description: |
#   Those the workflow names and its reviews give. A question that does not say which signals there are counts as giving
#   all of them.
signals contains named if {
	some named in data.registry.workflows[input.principal.workflow].second_person
	not _quiet(named)
}

_quiet(named) if {
	is_array(input.state.review)
	not named in input.state.review
}

# Anybody who could fill one of the tier's own seats.
_second contains functions if {
	count(signals) > 0
	functions := sort({function | some seat in _tier_seats; some function in seat.functions})
}
