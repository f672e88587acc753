# METADATA
# title: The verdict
# description: |
#   Joins the topics' answers. Deny beats hold beats allow; silence denies; what is malformed or stale is denied before any
#   rule is heard. People's approval lifts holds, never a deny.
package stagewarden.main

import data.stagewarden.answers
import data.stagewarden.approval
import data.stagewarden.seats

# METADATA
# title: What the gate asks for
# description: The one document of contract section 4.
# entrypoint: true
verdict := {
	"effect": effect,
	"tier": tier,
	"cacheable": false,
	"reasons": sort(reasons),
	"seats": asked,
	"obligations": {"response_fields": answers.fields, "review": review, "settle": null},
}

# METADATA
# title: allow, hold or deny
default effect := "deny"

effect := "hold" if _people_decide

effect := "allow" if {
	not _refused
	not _people_decide
	count(allows) > 0
}

_refused if count(broken) > 0

_refused if count(denies) > 0

_people_decide if {
	not _refused
	count(holds) > 0
	not approval.complete
}

# METADATA
# title: The reasons for this effect
reasons := broken if {
	count(broken) > 0
} else := denies if {
	count(denies) > 0
} else := holds if {
	_people_decide
} else := allows if {
	count(allows) > 0
} else := silence

# METADATA
# title: How much a wrong yes would cost
default tier := "low"

tier := seats.hold_tier if {
	_people_decide
} else := seats.tier if {
	count(broken) == 0
}

# METADATA
# title: Who is asked
default asked := []

asked := seats.required if _people_decide

# METADATA
# title: Who looked, or will look, at this
# description: human = people decide or decided; sampled = drawn for a later look; auto = nobody.
default review := "auto"

review := "human" if {
	count(holds) > 0
	effect != "deny"
} else := "sampled" if {
	effect == "allow"
	input.state.sample == true
}
