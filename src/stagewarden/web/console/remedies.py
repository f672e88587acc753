"""What would have allowed it: for each code of a no or a hold, who can do what about it. A test holds this to the codes the rules and the gate have.

Says what lifts this one reason; every other one stands, and without all of them people may still be asked. Never says how to get around a rule.
"""

from __future__ import annotations

_APPROVE = "People approve exactly this; nobody else can."
_OWNERS = "The registry names somebody present for each owner it asks for."
_AGAIN = "Asked again once it can be told."

REMEDIES = {
    "publish_not_granted": "People approve exactly this, or granted it in advance.",
    "restricted": _APPROVE,
    "prohibited": "Nothing at run time: the workflow in the registry would have to list this kind.",
    "stage_not_granted": "Nothing at run time: the registry would have to give the agent this stage, or the workflow leave it to people.",
    "illegal_transition": "The asset is in the state that this stage starts from.",
    "approval_expired": "People approve it again, and it is sent in time.",
    "digest_mismatch": "People approve these very bytes.",
    "votes_insufficient": "The votes fill every seat.",
    "self_approval": "Somebody else than who asked for it approves.",
    "threshold_crossed": "One person more looks at it; by itself it holds nothing.",
    "template_out_of_bounds": "It stays inside the bounds of the approved template, or people approve it by itself.",
    "legal_or_price": _APPROVE,
    "destination_unknown": "The destination is in the registry.",
    "destination_cannot_enforce": "People approve it where the destination's risk lets them; else the destination must enforce it itself.",
    "attestation_stale": "Somebody vouches for the destination anew; people may approve where its risk lets them.",
    "sandbox_export": "Nothing in a sandbox: it publishes nowhere.",
    "grant_expired": "People grant it anew.",
    "grant_exhausted": "People grant further uses.",
    "grant_out_of_scope": "It stays inside the grant, or people approve it by itself.",
    "unregistered": "The agent and its workflow are in the registry.",
    "shared_identity": "The credential or the route says which workflow it acts for.",
    "stage_identity_reuse": "Nothing at run time: another identity must export.",
    "human_credential": "The agent uses a credential of its own.",
    "initiator_not_allowed": "Somebody whom the workflow lists starts it.",
    "chain_incomplete": "Every link of the chain behind it is proven.",
    "inherited_write": "The agent writes with rights of its own; inherited ones only read.",
    "owner_missing": _OWNERS,
    "owners_not_distinct": "The registry names three different owners.",
    "recommend_only": "People take its proposal up, or the agent is made active again.",
    "paused": "Security or technical resume the agent.",
    "revoked": "Nothing: this identity never acts again.",
    "killed": "Security or technical lift the stop.",
    "registry_stale": "The policy and the gate hold the same registry again.",
    "cannot_tell": _AGAIN,
    "internal": _AGAIN,
    "audit_unavailable": _AGAIN,
    "route_not_listed": "Nothing at run time: the configuration would have to list this route.",
    "query_not_listed": "It is asked without the parameters its route does not list.",
    "lookup_failed": "The upstream shows the asset when it is looked up.",
    "seats_unfillable": "The registry has enough people for every seat.",
    "unauthenticated": "The agent shows a credential that is known and in force.",
    "outcome_unknown": "Somebody technical or security finds out what became of the earlier send.",
}


def remedy(code: str) -> str:
    """What lifts a reason of this code; of a rule of the house's own only its owner knows."""
    return REMEDIES.get(code, "A rule of this house's own: whoever owns it knows what lifts it.")
