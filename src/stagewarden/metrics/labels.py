"""Every value a label may take. What is not listed here, or not named by configuration and registry, becomes `other`.

Never a label: an id, a person, a path, a free text, a policy revision (except of the one `_info` series).
"""

from __future__ import annotations

from typing import Final

from stagewarden.model import Stage, Tier

OTHER: Final = "other"

EFFECTS: Final = ("allow", "hold", "deny", "error")  # error: a no because we could not find out; the log calls it deny
STAGES: Final = (*(stage.value for stage in Stage), "none")  # none: refused before it was classified
RISKS: Final = tuple(tier.value for tier in Tier)
PHASES: Final = ("authn", "context", "policy", "approval", "audit")
CLASSES: Final = ("2xx", "3xx", "4xx", "5xx", "none")  # none: no answer
ENGINE_RESULTS: Final = ("ok", "undefined", "timeout", "error", "breaker_open")
COMPONENTS: Final = ("policy", "state", "audit", "upstream", "gate")
ERROR_KINDS: Final = ("unavailable", "undefined", "timeout", "error", "breaker_open")
HOLD_ENDS: Final = ("approved", "rejected", "sent_back", "expired", "withdrawn", "superseded", "stopped")
SEATS: Final = ("business", "security", "privacy", "technical", "review")  # review: all review roles together
DECISIONS: Final = ("approve", "reject", "send_back")
REJECT_REASONS: Final = (
    "wrong_audience", "unapproved_claim", "wrong_facts", "off_brand", "sensitive_data", "offer_or_price", "timing", "not_needed", "other",
)  # fmt: skip
TRIGGERS: Final = (  # why people were asked, of what they had not answered in time
    "restricted", "legal_or_price", "claim_unsubstantiated", "customer_data", "customer_record_write", "low_confidence", "several_systems",
    "negative_sentiment", "sensitive_channel", "vip_recipient", "large_audience", "unreviewed_external",
)  # fmt: skip
GRANT_EVENTS: Final = ("requested", "filled", "rejected", "decide_by_passed", "spent", "completed", "expired", "revoked", "lapsed")
GRANT_USES: Final = ("reserved", "returned")
OVERRIDES: Final = ("content",)
MODES: Final = ("active", "recommend_only", "paused", "revoked")
SCOPES: Final = ("all", "agent", "workflow", "upstream", "stage")
CACHES: Final = ("decision",)
CACHE_RESULTS: Final = ("hit", "miss")
CHANNELS: Final = ("webhook", "email", "slack")
ATTEMPTS: Final = ("ok", "failed")
DELIVERIES: Final = ("waiting", "dead")
YES_NO: Final = ("yes", "no")
APPENDS: Final = ("ok", "failed", "refused")
WORKER_STATES: Final = ("ready", "starting", "silent")
REPLICA_STATES: Final = ("agreeing", "differing")
WORKER_DEATHS: Final = ("ended", "hung")
RELOADS: Final = ("policy", "registry", "keys")

# Codes of rego/ by the kind of violation they tell of (design: governance.md section 2); the gate's own codes follow.
_VIOLATIONS: Final = {
    "identity": (
        "unregistered", "chain_incomplete", "owner_missing", "owners_not_distinct", "initiator_not_allowed", "human_credential", "shared_identity",
        "stage_identity_reuse", "trigger_missing", "inherited_write",
    ),
    "stage": ("stage_not_granted", "illegal_transition", "publish_not_granted"),
    "prohibited": ("prohibited",),
    "destination": ("destination_unknown", "destination_cannot_enforce", "attestation_stale", "provenance_incomplete", "sandbox_export"),
    "scope": ("field_out_of_scope", "class_out_of_scope", "purpose_mismatch", "grant_expired", "grant_exhausted", "grant_out_of_scope"),
    "consent": ("consent_missing", "consent_expired", "consent_purpose_mismatch", "sensitive_inference"),
    "content": ("source_tainted", "rights_unclear", "rights_expired", "claim_unsubstantiated", "offer_expired", "attendance_unproven"),
    "digest": ("digest_mismatch",),
    "approval": ("approval_expired", "votes_insufficient", "self_approval", "template_out_of_bounds", "seats_unfillable"),
    "release": ("release_unvalidated", "model_drift", "capability_drift", "outside_cohort"),
    "stop": ("killed", "paused", "revoked"),
    "request": ("route_not_listed", "query_not_listed", "ambiguous_request", "body_too_large", "unsupported_body", "lookup_failed"),
}  # fmt: skip
VIOLATIONS: Final = tuple(_VIOLATIONS)
VIOLATION_OF: Final = {code: kind for kind, codes in _VIOLATIONS.items() for code in codes}

REASONS: Final = (
    *VIOLATION_OF,
    "stage_granted", "grant_covers", "approved", "restricted", "legal_or_price", "customer_data", "customer_record_write", "low_confidence",
    "several_systems", "negative_sentiment", "sensitive_channel", "vip_recipient", "large_audience", "unreviewed_external", "recommend_only",
    "threshold_crossed", "registry_stale", "sampled", "review_overdue", "drill_overdue", "rollback_untested", "rollback_missing", "shadow",
    "cannot_tell", "audit_unavailable", "overloaded", "draining",
)  # fmt: skip
# What is refused before anybody is known (contract section 3).
REFUSALS: Final = (
    "unauthenticated", "ambiguous_request", "target_too_long", "headers_too_large", "header_deadline", "body_deadline", "body_too_large",
    "misdirected", "overloaded", "busy", "draining", "cannot_tell",
)  # fmt: skip
# Why a handshake failed. alpn: HTTP/2 is all that was offered; certificate: none, or none that counts; protocol: all else, alerts included.
HANDSHAKES: Final = ("certificate", "protocol", "alpn", "deadline", "left")
# Keys of `limits` over which something is turned away; idle_connections: ended to make room for a new one.
SHED: Final = ("inflight", "inflight_per_agent", "rate_per_agent", "connections", "idle_connections")
# Codes of a no that says something about us, not about the request.
OUR_FAULT: Final = frozenset({"cannot_tell", "audit_unavailable"})
