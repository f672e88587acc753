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
# description: The one document of contract section 4. Where a part is missing there is no verdict, and so a no.
# entrypoint: true
verdict := {
	"effect": effect,
	"tier": _tier(effect),
	"cacheable": _cacheable(effect),
	"reasons": sort(reasons),
	"seats": _asked(effect),
	"obligations": {"response_fields": answers.fields, "review": _review(effect), "settle": _settle(effect)},
} if {
	[effect, reasons] := _outcome
}

# The effect and the reasons for it. Each step only counts sets, which is never undefined: none can be skipped by mistake.
_outcome := ["deny", broken] if {
	count(broken) > 0
} else := ["deny", denies] if {
	count(denies) > 0
} else := ["hold", (holds | hurried)] if {
	count(holds) > 0
	not approval.complete
} else := ["allow", allows] if {
	count(allows) > 0
} else := ["deny", silence]

# Whether exactly this question may be answered so again within seconds: never where the clock was read (an attestation's
# age counts in exports, an approval's end wherever there is one) and never where people are or were asked.
_cacheable("allow") if {
	input.action.stage != "export"
	input.approval == null
	input.grants == []
	count(holds) == 0
} else := false

_cacheable("hold") := false

_cacheable("deny") := false

# How much a wrong yes would cost; no rule was heard about a question that is broken.
_tier("hold") := seats.hold_tier

_tier("allow") := seats.tier

_tier("deny") := "low" if {
	count(broken) > 0
} else := seats.tier

# Who is asked.
_asked("hold") := seats.required

_asked("allow") := []

_asked("deny") := []

# How long people can still stop what they approved.
_settle("hold") := seats.settle

_settle("allow") := null

_settle("deny") := null

# Who looked, or will look: human = people decide or decided; sampled = drawn for a later look; auto = nobody.
_review("hold") := "human"

_review("allow") := "human" if {
	count(holds) > 0
} else := "sampled" if {
	input.state.sample == true
} else := "auto"

_review("deny") := "auto"
