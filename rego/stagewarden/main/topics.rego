# What the topics say
#
# Collects `allow`, `hold` and `deny` of every package below `stagewarden.rules`, ours and the customer's, and adds the
# package to each reason. A topic that answers in a form nobody understands is a deny: it is never left out.

package stagewarden.main

allows contains _signed(topic, said) if {
	some topic, said
	data.stagewarden.rules[topic].allow[said]
	_well_formed(said)
}

holds contains _signed(topic, said) if {
	some topic, said
	data.stagewarden.rules[topic].hold[said]
}

denies contains _signed(topic, said) if {
	some topic, said
	data.stagewarden.rules[topic].deny[said]
}

denies contains _signed(topic, null) if some topic in _misshapen

_misshapen contains topic if {
	some topic
	answer := data.stagewarden.rules[topic].deny
	not is_set(answer)
}

_misshapen contains topic if {
	some topic
	answer := data.stagewarden.rules[topic].hold
	not is_set(answer)
}

_misshapen contains topic if {
	some topic
	answer := data.stagewarden.rules[topic].tier
	not is_set(answer)
}

_misshapen contains topic if {
	some topic
	answer := data.stagewarden.rules[topic].seats
	not is_set(answer)
}

_misshapen contains topic if {
	some topic, seat
	data.stagewarden.rules[topic].seats[seat]
	not _seat(seat)
}

_seat(seat) if {
	count([function | some function in seat.functions; is_string(function)]) > 0
	seat.count > 0
}

# A reason as the verdict shows it: with its package.
_signed(topic, said) := object.union(said, {"rule": _rule(topic)}) if {
	_well_formed(said)
} else := {
	"code": "cannot_tell",
	"rule": _rule(topic),
	"text": "This topic answered in a form that is not understood",
}

_rule(topic) := concat(".", ["stagewarden.rules", topic])

_well_formed(said) if {
	is_string(said.code)
	is_string(said.text)
	object.keys(said) - {"code", "text", "detail"} == set()
	is_object(object.get(said, "detail", {}))
}
