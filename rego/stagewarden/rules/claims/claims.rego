# METADATA
# title: Claims
# description: |
#   What a text promises. Prices and legal statements stop and ask, whoever noticed them: the route's facts, the agent
#   itself, or the registry's patterns. It never takes the agent's silence for the absence of a claim.
# custom:
#   timeless: true
package stagewarden.rules.claims

import data.stagewarden.reason

# METADATA
# title: This states a price or makes a legal claim
# description: >-
#   An offer or claim among the facts, one the agent asserts, or a pattern found in any string of the body or of the content
#   that would go out with it. Only where it leaves the draft: a draft that states a price is an ordinary draft.
# custom:
#   code: legal_or_price
#   owner: legal
#   controls: [csf:GV.OC-03, airmf:GOVERN-1.1, airmf:MAP-3.5, asi:ASI09]
_legal_or_price(detail) := reason.with_detail(rego.metadata.rule(), detail)

hold contains _legal_or_price({"found": sort(_found)}) if _stated

_found contains "offers" if count(input.facts.offers) > 0

_found contains "claims" if count(input.facts.claims) > 0

_found contains "asserted" if not object.get(input.asserted, "claims", null) in {null, false, "", [], {}}

_found contains "pattern" if count(_matched) > 0

tier contains object.get(data.registry, ["triggers", "legal_or_price", "tier"], "high") if _stated

default _stated := false

_stated if {
	_leaves_the_draft(input.action)
	count(_found) > 0
}

_leaves_the_draft(action) if action.stage in ["queue", "approve", "export"]

# What already waits to go out takes an edit along.
_leaves_the_draft(action) if {
	action.stage == "edit"
	action.asset.state in ["queued", "approved"]
}
