# What the topics say, signed
#
# Turns the answers of `stagewarden.topics` into reasons that name their package. A topic that answers in a form nobody
# understands is a deny: it is never left out.

package stagewarden.main

import data.stagewarden.topics

allows contains _reason(topic, said) if {
	some [topic, answer] in topics.allow
	some said
	answer[said]
}

holds contains _signed(topic, said) if {
	some [topic, answer] in topics.hold
	some said
	answer[said]
}

denies contains _signed(topic, said) if {
	some [topic, answer] in topics.deny
	some said
	answer[said]
}

denies contains _signed(topic, null) if {
	some [topic, answer] in topics.deny
	not is_set(answer)
}

denies contains _signed(topic, null) if {
	some [topic, answer] in topics.hold
	not is_set(answer)
}

denies contains _signed(topic, null) if {
	some [topic, answer] in topics.tier
	not is_set(answer)
}

denies contains _signed(topic, null) if {
	some [topic, answer] in topics.seats
	not is_set(answer)
}

denies contains _signed(topic, null) if {
	some [topic, answer] in topics.seats
	some seat
	answer[seat]
	not _seat(seat)
}

_seat(seat) if {
	count([function | some function in seat.functions; is_string(function)]) > 0
	seat.count > 0
}

# A reason as the verdict shows it: with its package.
_signed(topic, said) := reason if {
	reason := _reason(topic, said)
} else := {
	"code": "cannot_tell",
	"rule": _rule(topic),
	"text": "This topic answered in a form that is not understood",
}

_reason(topic, said) := {"code": said.code, "rule": _rule(topic), "text": said.text} if {
	_worded(said)
	count(said) == 2
}

_reason(topic, said) := {"code": said.code, "rule": _rule(topic), "text": said.text, "detail": said.detail} if {
	_worded(said)
	count(said) == 3
	is_object(said.detail)
}

_worded(said) if {
	is_object(said)
	is_string(said.code)
	is_string(said.text)
}

_rule(topic) := concat(".", ["stagewarden.rules", topic])
