# METADATA
# title: Identity
# description: |
#   Who asks: a registered workload, in a workflow of its own, on behalf of people it can name. It never looks at what is
#   asked, beyond whether that reads or writes.
# custom:
#   timeless: true
package stagewarden.rules.identity

import data.stagewarden.parties
import data.stagewarden.reason

# METADATA
# title: The agent or its workflow is not registered
# description: Accountability is assigned before an agent may act, for reads as well.
# custom:
#   code: unregistered
#   owner: security
#   controls: [csf:ID.AM-02, csf:PR.AA-01, nhi:NHI1, asi:ASI10]
_unknown(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _unknown({"agent": input.principal.agent}) if not parties.agent

deny contains _unknown({"workflow": input.principal.workflow}) if {
	is_string(input.principal.workflow)
	not data.registry.workflows[input.principal.workflow]
}

# METADATA
# title: It cannot be said for which of its workflows this agent acts
# description: One credential for several agents or workflows leaves nobody to attribute the act to.
# custom:
#   code: shared_identity
#   owner: security
#   controls: [nhi:NHI9, asi:ASI03, csf:PR.AA-01]
_shared_identity(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _shared_identity({"workflow": input.principal.workflow}) if {
	parties.agent
	not input.principal.workflow in parties.agent.workflows
}

# METADATA
# title: One identity may not both generate and export
# description: Who writes the text never holds the authority to publish it.
# custom:
#   code: stage_identity_reuse
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI03, nhi:NHI5]
_stage_identity_reuse := reason.of(rego.metadata.rule())

deny contains _stage_identity_reuse if {
	stages := parties.agent.stages
	"export" in stages
	"generate" in stages
}

# METADATA
# title: An agent may not act with a person's credential
# description: The agent is a workload; whoever presents the credential must be one.
# custom:
#   code: human_credential
#   owner: security
#   controls: [nhi:NHI10, csf:PR.AA-01, asi:ASI03]
_human_credential := reason.of(rego.metadata.rule())

deny contains _human_credential if {
	some at
	input.principal.chain[at].kind == "human"
	at == count(input.principal.chain) - 1
}

# Registered, but as one of its owners; that nobody else's identity is registered twice is the registry's own check.
deny contains _human_credential if {
	agent := parties.agent
	people := data.registry.people
	some owner in agent.owners
	identity := people[owner].identity
	identity.issuer == agent.identity.issuer
	identity.subject == agent.identity.subject
}

# METADATA
# title: This person may not start this workflow
# description: Where a workflow lists its initiators, a proven initiator must be one of them.
# custom:
#   code: initiator_not_allowed
#   owner: business
#   controls: [csf:PR.AA-05, asi:ASI03]
_initiator_not_allowed(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _initiator_not_allowed({"initiator": initiator}) if {
	count(parties.workflow.initiators) > 0
	some initiator in _initiators
	not _listed(initiator)
}

_initiators contains link.id if {
	some link in input.principal.chain
	link.kind == "human"
	link.verified == true
}

_listed(initiator) if initiator in parties.workflow.initiators

_listed(initiator) if {
	some listed in parties.workflow.initiators
	initiator in data.registry.people[listed].aliases
}

_listed(initiator) if {
	some listed in parties.workflow.initiators
	identity := data.registry.people[listed].identity
	identity.subject == initiator
	identity.issuer == input.principal.credential.issuer
}
