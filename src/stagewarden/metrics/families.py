"""The metrics there are: one table, which README, dashboards and alerts are held to. Only what something real feeds stands here."""

from __future__ import annotations

from typing import Final

from stagewarden.metrics import labels
from stagewarden.metrics.cells import Family

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_HUMAN: Final = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 172800.0, 259200.0)
_READING: Final = (2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0)
_REGISTRY: Final = ()  # the registry or the configuration names the values
_P: Final = "stagewarden_"

DECISIONS: Final = Family(
    f"{_P}decisions_total", "counter", "Rulings by stage, effect and risk; error: we could not find out", ("stage", "effect", "risk"),
    (labels.STAGES, labels.EFFECTS, labels.RISKS),
)  # fmt: skip
REASONS: Final = Family(
    f"{_P}decision_reasons_total", "counter", "Rulings by the first reason's code", ("effect", "reason"), (labels.EFFECTS, labels.REASONS)
)
WORKFLOWS: Final = Family(f"{_P}workflow_decisions_total", "counter", "Rulings by workflow", ("workflow", "effect"), (_REGISTRY, labels.EFFECTS))
VIOLATIONS: Final = Family(f"{_P}policy_violations_total", "counter", "Denials by kind of violation", ("kind",), (labels.VIOLATIONS,))
REFUSALS: Final = Family(f"{_P}refusals_total", "counter", "Requests refused before anybody was identified", ("code",), (labels.REFUSALS,))
HANDSHAKES: Final = Family(
    f"{_P}tls_handshakes_failed_total", "counter", "TLS handshakes with agents that failed, by cause; left: the client went", ("cause",),
    (labels.HANDSHAKES,),
)  # fmt: skip
FAIL_OPEN: Final = Family(f"{_P}fail_open_total", "counter", "Requests let through without a verdict: no code path counts here, so it stays 0")
ERRORS: Final = Family(
    f"{_P}errors_total", "counter", "Times we could not find out, by part", ("component", "kind"), (labels.COMPONENTS, labels.ERROR_KINDS)
)
REQUEST: Final = Family(
    f"{_P}request_duration_seconds", "histogram", "Request in to answer out, without waiting for people", ("outcome",), (labels.EFFECTS,), _SLOW
)
OVERHEAD: Final = Family(f"{_P}overhead_duration_seconds", "histogram", "What we cost: the request without its upstream time", buckets=_FAST)
PHASE: Final = Family(f"{_P}phase_duration_seconds", "histogram", "Our time by phase", ("phase",), (labels.PHASES,), _FAST)
UPSTREAM: Final = Family(f"{_P}upstream_duration_seconds", "histogram", "Connect to answer, by upstream", ("upstream",), (_REGISTRY,), _SLOW)
RESPONSES: Final = Family(
    f"{_P}upstream_responses_total", "counter", "Answers by upstream and class; `none`: no answer", ("upstream", "class"), (_REGISTRY, labels.CLASSES)
)
INFLIGHT: Final = Family(f"{_P}inflight_requests", "gauge", "Requests under way")
SHED: Final = Family(
    f"{_P}shed_total", "counter", "Requests and connections turned away or ended, by the limit they were over", ("limit",), (labels.SHED,)
)
EFFECTS: Final = Family(
    f"{_P}effects_total", "counter", "Requests of which bytes went upstream; `no`: the outcome could not be recorded", ("audited",), (labels.YES_NO,)
)
APPROVALS: Final = Family(f"{_P}approvals_total", "counter", "Holds by how they were decided", ("outcome", "risk"), (labels.HOLD_ENDS, labels.RISKS))
PENDING: Final = Family(f"{_P}approvals_pending", "gauge", "Holds waiting for people", ("risk",), (labels.RISKS,))
PROPOSALS: Final = Family(f"{_P}proposals_open", "gauge", "Proposals of agents that only recommend, which nobody has taken up")
OLDEST: Final = Family(f"{_P}approvals_oldest_seconds", "gauge", "Age of the oldest hold waiting for people", ("risk",), (labels.RISKS,))
WAIT: Final = Family(
    f"{_P}approval_wait_seconds", "histogram", "From asking to a vote, by risk and seat", ("risk", "seat"), (labels.RISKS, labels.SEATS), _HUMAN
)
REVIEW: Final = Family(
    f"{_P}approval_review_seconds", "histogram", "From the first view of a hold's content to the same person's vote", ("risk",), (labels.RISKS,),
    _READING,
)  # fmt: skip
VOTES: Final = Family(f"{_P}votes_total", "counter", "Votes", ("decision", "risk"), (labels.DECISIONS, labels.RISKS))
REJECTIONS: Final = Family(f"{_P}rejections_total", "counter", "Rejecting votes by reason", ("reason",), (labels.REJECT_REASONS,))
OVERRIDES: Final = Family(f"{_P}overrides_total", "counter", "Overrides by people; content: edited before approval", ("kind",), (labels.OVERRIDES,))
ESCALATIONS: Final = Family(
    f"{_P}escalations_total", "counter", "Holds to which others were called, by why people were asked", ("trigger",), (labels.TRIGGERS,)
)
NOTIFICATIONS: Final = Family(
    f"{_P}notifications_total", "counter", "Attempts to deliver a notification, by kind of channel", ("channel", "result"),
    (labels.CHANNELS, labels.ATTEMPTS),
)  # fmt: skip
DELIVERIES: Final = Family(
    f"{_P}deliveries", "gauge", "Notifications that wait for their receiver, and those given up, which somebody can send again", ("state",),
    (labels.DELIVERIES,),
)  # fmt: skip
DIGEST_MISMATCH: Final = Family(f"{_P}digest_mismatch_total", "counter", "Approved content that was no longer the same when it was to be sent")
GRANTS: Final = Family(f"{_P}grants_total", "counter", "What became of grants", ("stage", "event"), (labels.STAGES, labels.GRANT_EVENTS))
GRANT_USES: Final = Family(
    f"{_P}grant_uses_total", "counter", "Uses of grants; returned: nothing was sent", ("stage", "result"), (labels.STAGES, labels.GRANT_USES)
)
GRANTS_ACTIVE: Final = Family(f"{_P}grants_active", "gauge", "Grants in force", ("stage",), (labels.STAGES,))
GRANT_TTL: Final = Family(f"{_P}grant_ttl_seconds", "histogram", "How long grants were given for", ("stage",), (labels.STAGES,), _HUMAN)
AGENT_MODE: Final = Family(f"{_P}agent_mode", "gauge", "1 for the mode an agent is in", ("agent", "mode"), (_REGISTRY, labels.MODES))
MODE_CHANGES: Final = Family(f"{_P}mode_changes_total", "counter", "Modes given to agents by people", ("to",), (labels.MODES,))
KILLS: Final = Family(f"{_P}kills_total", "counter", "Kills engaged, by kind of scope", ("scope",), (labels.SCOPES,))
KILLS_ENGAGED: Final = Family(f"{_P}kills_engaged", "gauge", "Kills in force", ("scope",), (labels.SCOPES,))
REVOCATION: Final = Family(f"{_P}revocation_seconds", "histogram", "From the order to stop until this process obeys", buckets=_SLOW)
STOPS_HEARD: Final = Family(f"{_P}stops_heard_age_seconds", "gauge", "Since the stops of the shared state were last heard; +Inf: never")
APPENDS: Final = Family(
    f"{_P}audit_appends_total", "counter", "Audit entries; refused: not accepted, because the log could not take them", ("result",), (labels.APPENDS,)
)
APPEND_SECONDS: Final = Family(f"{_P}audit_append_seconds", "histogram", "One durable write of the audit log, sync included", buckets=_FAST)
DISK_FREE: Final = Family(f"{_P}audit_disk_free_bytes", "gauge", "Free space where the audit log lies")
ENGINE_UP: Final = Family(f"{_P}opa_up", "gauge", "1 while the policy engine (OPA server or Wasm) answers")
ENGINE: Final = Family(f"{_P}opa_requests_total", "counter", "Questions to the policy engine by result", ("result",), (labels.ENGINE_RESULTS,))
CACHE: Final = Family(
    f"{_P}cache_requests_total", "counter", "Cacheable questions by what the cache had", ("cache", "result"), (labels.CACHES, labels.CACHE_RESULTS)
)
POLICY_LOADED: Final = Family(f"{_P}policy_loaded_timestamp_seconds", "gauge", "When the policy in force was loaded")
RELOAD_FAILURES: Final = Family(
    f"{_P}reload_failures_total", "counter", "Reloads refused; the last good one stays in force", ("what",), (labels.RELOADS,)
)
WORKERS: Final = Family(
    f"{_P}workers", "gauge", "Worker processes of `serve --workers`; silent: no answer to this scrape", ("state",), (labels.WORKER_STATES,)
)
REPLICAS: Final = Family(
    f"{_P}replicas", "gauge", "Instances on this database that were heard of lately; differing: by another policy or registry than ours", ("state",),
    (labels.REPLICA_STATES,),
)  # fmt: skip
WORKER_DEATHS: Final = Family(
    f"{_P}worker_deaths_total", "counter", "Worker processes that ended without being told to; hung: the house ended it", ("cause",),
    (labels.WORKER_DEATHS,),
)  # fmt: skip
LOOP_LAG: Final = Family(f"{_P}event_loop_lag_seconds", "gauge", "How late the event loop was at its last look")
BUILD_INFO: Final = Family(f"{_P}build_info", "gauge", "The running version", ("version",), (_REGISTRY,))
POLICY_INFO: Final = Family(f"{_P}policy_info", "gauge", "The policy in force", ("revision", "engine"), (_REGISTRY, ("wasm", "opa")))
REGISTRY_INFO: Final = Family(f"{_P}registry_info", "gauge", "The registry in force", ("revision",), (_REGISTRY,))
