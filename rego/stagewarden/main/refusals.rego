# Main's own refusals
#
# The noes that belong to no topic: a question that cannot be read, a registry that is not the one asked about, and
# silence. They never depend on what a topic says.

package stagewarden.main

import data.stagewarden.question
import data.stagewarden.reason

# METADATA
# title: The question lacks a fact or has one of the wrong type
# description: What is absent is never taken for what is harmless.
# custom:
#   code: cannot_tell
#   owner: security
#   controls: [csf:PR.AA-05, aisvs:C9.5.1]
_cannot_tell(detail) := _own(reason.with_detail(rego.metadata.rule(), detail))

broken contains _cannot_tell({"fields": sort(question.faults)}) if not question.sound

# METADATA
# title: The policy holds another registry than the gate
# description: A ruling is about one registry; two views of it prove nothing.
# custom:
#   code: registry_stale
#   owner: security
#   controls: [csf:PR.PS-01, csf:ID.RA-07]
_registry_stale := _own(reason.of(rego.metadata.rule()))

broken contains _registry_stale if not data.registry.revision == input.state.registry

# METADATA
# title: Nothing allows this to be published
# description: Publishing is blocked by default.
# custom:
#   code: publish_not_granted
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI02]
_publish_not_granted := _own(reason.of(rego.metadata.rule()))

silence contains _publish_not_granted if input.action.stage == "export"

# METADATA
# title: Nothing allows this
# description: What no rule allows is denied.
# custom:
#   code: stage_not_granted
#   owner: security
#   controls: [csf:PR.AA-05, asi:ASI02]
_stage_not_granted := _own(reason.of(rego.metadata.rule()))

silence contains _stage_not_granted if input.action.stage != "export"

_own(said) := object.union(said, {"rule": "stagewarden.main"})
