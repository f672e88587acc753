# METADATA
# title: Stages
# description: |
#   Which act an agent may do at all: its stage, its kind's class in the workflow, the asset's state, and people's word for
#   everything that leaves. It never looks at content; that is the other topics' work.
# custom:
#   timeless: true
package stagewarden.rules.stages

import data.stagewarden.approval
import data.stagewarden.grant
import data.stagewarden.parties
import data.stagewarden.reason

# METADATA
# title: The workflow allows this kind and the agent holds this stage
# description: Enough for whatever stays in the house.
# custom:
#   code: stage_granted
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI02, aisvs:C9.5.1]
_granted := reason.of(rego.metadata.rule())

allow contains _granted if {
	parties.class == "allowed"
	parties.stage_held
	not parties.leaves
}

# METADATA
# title: A grant covers exactly this
# description: People permitted it in advance, inside bounds, so often and so long; a use of it is spent.
# custom:
#   code: grant_covers
#   owner: security
#   controls: [csf:PR.AA-05, nhi:NHI5, nhi:NHI7, asi:ASI03]
_grant_covers(detail) := reason.with_detail(rego.metadata.rule(), detail)

allow contains _grant_covers({"grant": min(grant.covering)}) if grant.covers

# METADATA
# title: People approved exactly this
# description: The approval names this digest, is in force, and its votes fill every seat the rules ask for today.
# custom:
#   code: approved
#   owner: security
#   controls: [airmf:GOVERN-3.2, aisvs:C9.2.1, aisvs:C9.2.8, asi:ASI09]
_approved := reason.of(rego.metadata.rule())

allow contains _approved if {
	approval.complete
	parties.class in ["allowed", "restricted"]
}

# METADATA
# title: The workflow lets this kind be prepared; people finish it
# description: Restricted means that the prepared request is stored and people release it.
# custom:
#   code: restricted
#   owner: security
#   controls: [csf:PR.AA-05, airmf:MAP-3.5, aisvs:C9.2.1]
_restricted := reason.of(rego.metadata.rule())

hold contains _restricted if {
	parties.class == "restricted"
	not grant.covers
}

# METADATA
# title: Nothing is published before people approved exactly this
# description: Whoever asks; an approval is bound to the digest of these very bytes.
# custom:
#   code: publish_not_granted
#   owner: security
#   controls: [csf:PR.AA-05, airmf:GOVERN-3.2, aisvs:C9.2.1, asi:ASI02]
_publish_not_granted(detail) := reason.with_detail(rego.metadata.rule(), detail)

hold contains _publish_not_granted({"destination": input.action.destination}) if {
	parties.leaves
	not grant.covers
}

# METADATA
# title: The workflow prohibits this kind, or does not list it
# description: No approval lifts it.
# custom:
#   code: prohibited
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI02, asi:ASI01]
_prohibited(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _prohibited({"kind": input.action.kind}) if {
	parties.workflow
	parties.class == "prohibited"
}

# METADATA
# title: The agent does not hold this stage
# description: Only a restricted kind may be prepared without its stage; people release it.
# custom:
#   code: stage_not_granted
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI03, nhi:NHI5]
_stage_not_granted(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _stage_not_granted({"stage": input.action.stage}) if {
	parties.agent
	parties.class != "restricted"
	not parties.stage_held
	not grant.covers
}

# METADATA
# title: The asset's state does not permit this stage
# description: The table is governance section 2; export is legal from any state, people decide.
# custom:
#   code: illegal_transition
#   owner: security
#   controls: [csf:PR.AA-05, maestro:L3, asi:ASI02]
_illegal_transition(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _illegal_transition({"stage": input.action.stage, "state": input.action.asset.state}) if {
	input.action.stage != "export"
	not _legal(input.action.stage, input.action.asset.state)
}

_legal("generate", state) if state in ["none", "draft", "untracked"]

_legal("edit", state) if state in ["draft", "queued", "approved", "untracked"]

_legal("queue", state) if state in ["draft", "untracked"]

_legal("approve", state) if state in ["queued", "untracked"]

tier contains "medium" if parties.class == "restricted"

tier contains "medium" if parties.leaves

# The risk register says which approval a workflow's publications need.
tier contains parties.workflow.risk.approval_level if parties.leaves
