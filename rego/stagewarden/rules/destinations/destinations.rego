# METADATA
# title: Destinations
# description: |
#   Where something would come out: the export boundary is the real control when work crosses into another system. It
#   never trusts a destination nobody registered, and never a capability nobody vouched for lately.
# custom:
#   timeless: true
package stagewarden.rules.destinations

import data.stagewarden.parties
import data.stagewarden.reason

# METADATA
# title: The destination is not registered
# description: Denied at every stage, approval or not.
# custom:
#   code: destination_unknown
#   owner: security
#   controls: [csf:ID.AM-03, csf:GV.SC-07, asi:ASI02]
_destination_unknown(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _destination_unknown({"destination": input.action.destination}) if not parties.destination

# METADATA
# title: The destination cannot itself enforce what was decided
# description: Outside the house, a system that cannot retain, approve or revoke gets nothing.
# custom:
#   code: destination_cannot_enforce
#   owner: security
#   controls: [csf:GV.SC-07, csf:ID.AM-04, asi:ASI08]
_cannot_enforce(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _cannot_enforce({"missing": _incapable}) if {
	parties.leaves
	count(_incapable) > 0
}

# METADATA
# title: The destination cannot itself enforce what was decided; people decide
# description: Inside the house people may answer for what the system cannot do.
# custom:
#   code: destination_cannot_enforce
#   owner: security
#   controls: [csf:GV.SC-07, csf:ID.AM-04]
_cannot_enforce_here(detail) := reason.with_detail(rego.metadata.rule(), detail)

hold contains _cannot_enforce_here({"missing": _incapable}) if {
	input.action.stage == "export"
	parties.in_house
	count(_incapable) > 0
}

_incapable := sort({name |
	some name in ["retention", "approval", "revoke"]
	not parties.destination.capabilities[name] == true
}) if parties.destination

# METADATA
# title: Nobody vouched for this destination within the last year
# description: Outside the house, what the system can enforce must have been attested within a year.
# custom:
#   code: attestation_stale
#   owner: security
#   controls: [csf:GV.SC-07, airmf:GOVERN-6.1]
_stale := reason.of(rego.metadata.rule())

deny contains _stale if {
	parties.leaves
	parties.destination
	not _attested
}

# METADATA
# title: Nobody vouched for this destination within the last year; people decide
# description: Inside the house people may answer for a stale attestation.
# custom:
#   code: attestation_stale
#   owner: security
#   controls: [csf:GV.SC-07, airmf:GOVERN-6.1]
_stale_here := reason.of(rego.metadata.rule())

hold contains _stale_here if {
	input.action.stage == "export"
	parties.in_house
	parties.destination
	not _attested
}

# Dates of RFC 3339 compare as text; the day a year ago needs no calendar, and the form no pattern (compiled at every question).
_attested if {
	day := substring(parties.destination.attested.at, 0, 10)
	trim(day, "0123456789-") == ""
	[4, 2, 2] == [count(part) | some part in split(day, "-")]
	day <= substring(input.time, 0, 10)
	day >= concat("", [format_int(to_number(substring(input.time, 0, 4)) - 1, 10), substring(input.time, 4, 6)])
}

# METADATA
# title: A sandbox publishes nothing
# description: Except to an upstream on this very machine.
# custom:
#   code: sandbox_export
#   owner: security
#   controls: [nhi:NHI8, csf:PR.IR-01]
_sandbox_export := reason.of(rego.metadata.rule())

deny contains _sandbox_export if {
	input.state.environment == "sandbox"
	parties.leaves
	not input.action.loopback == true
}

tier contains "medium" if count(hold) > 0
