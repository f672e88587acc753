# METADATA
# title: Operations
# description: |
#   The mode an agent is in. The gate stops paused and revoked agents before any policy is asked; this says it once more,
#   so that no answer of ours depends on that. It never loosens a mode.
# custom:
#   timeless: true
package stagewarden.rules.operations

import data.stagewarden.reason

# METADATA
# title: This agent only recommends; people finish what it proposes
# description: Every write is stored as a proposal.
# custom:
#   code: recommend_only
#   owner: technical
#   controls: [airmf:MANAGE-2.4, asi:ASI10]
_recommend_only := reason.of(rego.metadata.rule())

hold contains _recommend_only if {
	input.state.mode == "recommend_only"
	not input.request.method in ["GET", "HEAD"]
}

# METADATA
# title: This agent is paused
# description: A mode nobody knows counts as paused.
# custom:
#   code: paused
#   owner: technical
#   controls: [airmf:MANAGE-2.4, asi:ASI10, aisvs:C9.1.3]
_paused(detail) := reason.with_detail(rego.metadata.rule(), detail)

deny contains _paused({"mode": input.state.mode}) if {
	not input.state.mode in ["active", "recommend_only", "revoked"]
}

# METADATA
# title: This agent is revoked
# description: Final for this identity.
# custom:
#   code: revoked
#   owner: technical
#   controls: [airmf:MANAGE-2.4, nhi:NHI1, asi:ASI10, maestro:L6]
_revoked := reason.of(rego.metadata.rule())

deny contains _revoked if input.state.mode == "revoked"

tier contains "medium" if count(hold) > 0
