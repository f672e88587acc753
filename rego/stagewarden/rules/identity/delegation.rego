# How an agent acts for people, and who answers for it
#
# Delegation is a declared choice of the workflow: inherited rights only read, and a delegated act proves its whole chain.
# Owners are people of the registry who are still there. It never treats a missing owner as somebody else's.

package stagewarden.rules.identity

import data.stagewarden.humans
import data.stagewarden.parties
import data.stagewarden.reason

# METADATA
# title: The chain behind this act is not proven
# description: An act on somebody's behalf names a proven person and proves every link; service accounts act for themselves.
# custom:
#   code: chain_incomplete
#   owner: security
#   controls: [csf:PR.AA-03, asi:ASI03, asi:ASI07, aisvs:C9.4.1]
_chain_incomplete := reason.of(rego.metadata.rule())

deny contains _chain_incomplete if {
	parties.workflow.delegation in ["inherit", "jit"]
	not _chain_proven
}

_chain_proven if {
	count(_initiators) > 0
	every link in input.principal.chain {
		link.verified == true
	}
}

# METADATA
# title: Inherited rights only read
# description: A write needs a service account of its own or a permission for this act.
# custom:
#   code: inherited_write
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI03, nhi:NHI5]
_inherited_write := reason.of(rego.metadata.rule())

deny contains _inherited_write if {
	parties.workflow.delegation == "inherit"
	not _read_only
}

_read_only if {
	input.request.method in ["GET", "HEAD"]
	input.action.stage == "generate"
}

# METADATA
# title: Somebody who answers for this is missing or has left
# description: Every agent has a human owner, every workflow a business owner; whoever is named must still be there.
# custom:
#   code: owner_missing
#   owner: business
#   controls: [csf:GV.RR-02, airmf:GOVERN-2.1, nhi:NHI1]
_owner_missing(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _owner_missing({"owners": sort(_owners_missing)}) if count(_owners_missing) > 0

_owners_missing contains "agent.human" if {
	parties.agent
	not is_string(parties.agent.owners.human)
}

_owners_missing contains "workflow.business" if {
	parties.workflow
	not is_string(parties.workflow.owners.business)
}

_owners_missing contains concat(".", ["agent", role]) if {
	owners := parties.agent.owners
	some role in ["human", "business", "technical"]
	owner := owners[role]
	is_string(owner)
	not data.registry.people[owner].active == true
}

_owners_missing contains concat(".", ["workflow", role]) if {
	some role, owner in parties.workflow.owners
	is_string(owner)
	not data.registry.people[owner].active == true
}

# METADATA
# title: A high-risk workflow needs three different owners before anything leaves
# description: Business, security and privacy are three people; until then drafting goes on and nothing is exported.
# custom:
#   code: owners_not_distinct
#   owner: security
#   controls: [csf:GV.RR-02, csf:PR.AA-05, airmf:GOVERN-2.1]
_owners_not_distinct := reason.of(rego.metadata.rule())

deny contains _owners_not_distinct if {
	parties.leaves
	parties.workflow.risk.approval_level == "high"
	owners := {humans.one(owner) |
		some role in ["business", "security", "privacy"]
		owner := parties.workflow.owners[role]
		is_string(owner)
	}
	count(owners) < 3
}
