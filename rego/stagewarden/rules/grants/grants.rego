# METADATA
# title: Grants
# description: |
#   Why a grant that is there does not cover what is asked. Heard only where a grant would be needed; it never denies what would
#   not be denied without it. No grant is ever looked at by the clock of anything but the question.
# custom:
#   timeless: true
package stagewarden.rules.grants

import data.stagewarden.grant
import data.stagewarden.parties
import data.stagewarden.reason

# METADATA
# title: The grant for this has ended
# description: Its time is over, on either clock, or its review window has passed.
# custom:
#   code: grant_expired
#   owner: security
#   controls: [nhi:NHI7, csf:PR.AA-05, asi:ASI03]
_grant_expired(detail) := reason.with_detail(rego.metadata.rule(), detail)

# METADATA
# title: Every use of the grant for this is taken
# description: A use that was reserved and never settled counts as taken.
# custom:
#   code: grant_exhausted
#   owner: security
#   controls: [nhi:NHI5, csf:PR.AA-05, asi:ASI03]
_grant_exhausted(detail) := reason.with_detail(rego.metadata.rule(), detail)

# METADATA
# title: The grant does not cover this
# description: Another kind, asset, destination, field, data class, purpose or digest, or a value outside its bounds.
# custom:
#   code: grant_out_of_scope
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI02, asi:ASI03]
_grant_out_of_scope(detail) := reason.with_detail(rego.metadata.rule(), detail)

# Where people are asked anyway they read why; where it is denied anyway, so does whoever reads the denial.
hold contains _grant_expired({"grants": sort(_expired)}) if {
	_held
	count(_expired) > 0
}

hold contains _grant_exhausted({"grants": sort(_exhausted)}) if {
	_held
	count(_exhausted) > 0
}

hold contains _grant_out_of_scope({"grants": sort(_elsewhere)}) if {
	_held
	count(_elsewhere) > 0
}

deny contains _grant_expired({"grants": sort(_expired)}) if {
	_denied
	count(_expired) > 0
}

deny contains _grant_exhausted({"grants": sort(_exhausted)}) if {
	_denied
	count(_exhausted) > 0
}

deny contains _grant_out_of_scope({"grants": sort(_elsewhere)}) if {
	_denied
	count(_elsewhere) > 0
}

default _held := false

_held if {
	count(input.grants) > 0
	not grant.covers
	_for_people
}

default _denied := false

_denied if {
	count(input.grants) > 0
	not grant.covers
	not _for_people
	grant.needed
}

default _for_people := false

_for_people if parties.class == "restricted"

_for_people if {
	parties.leaves
	parties.stage_held
}

_expired contains one.id if {
	some one in input.grants
	grant.in_scope(one)
	_over(one)
}

_over(one) if one.state in ["expired", "lapsed"]

_over(one) if {
	is_number(one.expires_ns)
	one.expires_ns <= input.time_ns
}

_exhausted contains one.id if {
	some one in input.grants
	grant.in_scope(one)
	not one.id in _expired
	one.uses_left == 0
}

# A template's bounds are told by the approvals.
_elsewhere contains one.id if {
	some one in input.grants
	one.template == false
	grant.alive(one)
	not one.id in grant.covering
}

tier contains "medium" if count(hold) > 0
