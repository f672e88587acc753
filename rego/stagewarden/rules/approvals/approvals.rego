# METADATA
# title: Approvals
# description: |
#   What is wrong with an approval that is there. Whether people are needed is decided by the other topics; an approval
#   nobody asked for is not looked at, and no number of votes lifts a deny.
# custom:
#   timeless: true
package stagewarden.rules.approvals

import data.stagewarden.approval
import data.stagewarden.grant
import data.stagewarden.reason
import data.stagewarden.seats
import data.stagewarden.topics

# METADATA
# title: The approval is about other bytes
# description: People approved what they saw; one changed byte is another request.
# custom:
#   code: digest_mismatch
#   owner: security
#   controls: [aisvs:C9.2.8, csf:PR.DS-10, asi:ASI09]
_digest_mismatch := reason.of(rego.metadata.rule())

deny contains _digest_mismatch if {
	is_object(input.approval)
	_people_asked
	not approval.bound
}

# METADATA
# title: The approval is no longer in force
# description: An approval is used within its time or not at all.
# custom:
#   code: approval_expired
#   owner: security
#   controls: [aisvs:C9.2.8, nhi:NHI7]
_approval_expired := reason.of(rego.metadata.rule())

deny contains _approval_expired if {
	is_object(input.approval)
	_people_asked
	not approval.in_force
}

# METADATA
# title: The votes do not fill the seats
# description: Different eligible people must fill every seat the rules ask for today.
# custom:
#   code: votes_insufficient
#   owner: security
#   controls: [airmf:GOVERN-3.2, csf:PR.AA-05, maestro:L6]
_votes_insufficient := reason.of(rego.metadata.rule())

hold contains _votes_insufficient if {
	is_object(input.approval)
	_unfilled
}

# METADATA
# title: Nobody approves what they asked for themselves
# description: Such a vote does not count; neither does one under another id of the same human being.
# custom:
#   code: self_approval
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI03, maestro:L6]
_self_approval(detail) := reason.with_detail(rego.metadata.rule(), detail)

hold contains _self_approval({"people": sort(approval.own_voters)}) if {
	is_object(input.approval)
	_unfilled
	count(approval.own_voters) > 0
}

# METADATA
# title: This is outside the bounds of the approved template
# description: A template is approved with its bounds; what is outside them is held like anything else.
# custom:
#   code: template_out_of_bounds
#   owner: security
#   controls: [aisvs:C9.2.8, airmf:GOVERN-3.2, asi:ASI09]
_template_out_of_bounds(detail) := reason.with_detail(rego.metadata.rule(), detail)

hold contains _template_out_of_bounds({"outside": sort(_outside)}) if {
	count(_outside) > 0
	grant.needed
	count(grant.templates) == 0
}

_outside contains place if {
	some one in input.grants
	one.template == true
	grant.alive(one)
	some place in one.outside
}

_people_asked if {
	some [_, answer] in topics.hold
	count(answer) > 0
}

_unfilled if {
	seats.wanted
	not approval.filled
}

# The template an approval leans on permits this no longer.
_unfilled if {
	seats.wanted
	not approval.backed
}
