"""What each kind of entry says, as documents with a canonical form. Pure.

No bodies, no prompts, no answers, no secrets: digests stand for them. Seven things are never absent from a ruling (audit.md):
prompt, data sources, version, proposed action, human decision, final action, overrides; each is a value, a digest, `redacted` or
`not_applicable`. What the agent says of itself is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.audit.line import bounded, members, text
from stagewarden.clock import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stagewarden.model import JSON, Action, Document, Head, Hold, Outcome, Principal, Reason, Ruling
    from stagewarden.registry import Approval, RegistryData, Workflow

NOT_APPLICABLE = "not_applicable"
REDACTED = "redacted"
NOT_RECORDED = "not_recorded"
NEVER_ABSENT = ("prompt", "data_sources", "version", "proposed", "human", "final", "overrides")

# What an agent asserts that is short and no content; everything else it asserts is named and `redacted`.
_ASSERTED_AS_VALUES = frozenset({"confidence", "sentiment", "model", "prompt_digest", "process_ref", "sources"})
_PATH, _MICRO = 512, 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What stood when the ruling was made: the configuration's revision, and of each workflow its process, approvals of scope and way back."""

    configuration: str = NOT_RECORDED
    workflows: Mapping[str, Document] = field(default_factory=dict)

    @classmethod
    def of(cls, registry: RegistryData, configuration: str) -> Standing:
        """Made once per revision, so that a ruling only refers to it."""
        return cls(configuration, {name: _workflow(entry) for name, entry in registry.workflows.items()})


_NOTHING_KNOWN = Standing()


def ruling_entry(ruling: Ruling, standing: Standing = _NOTHING_KNOWN) -> Document:
    """Who asked, for which process, what, what the policy said, under which revisions, who had approved the scope, which way back there was."""
    verdict, action, principal = ruling.verdict, ruling.action, ruling.principal
    workflow = principal.workflow if principal else None
    asserted = _asserted(ruling)
    fields = None if verdict.effect == "deny" else verdict.obligations.response_fields  # all of the answer that the agent may see
    return {
        "ruling": ruling.id,
        "effect": verdict.effect,
        "tier": verdict.tier,
        "reasons": [_reason(reason) for reason in verdict.reasons],
        "seats": [{"functions": [*seat.functions], "count": seat.count} for seat in verdict.seats] if verdict.effect == "hold" else [],
        "review": NOT_APPLICABLE if verdict.effect == "deny" else verdict.obligations.review,
        "response_fields": NOT_APPLICABLE if fields is None else [text(field, 200) for field in fields],
        "principal": NOT_APPLICABLE if principal is None else _principal(principal),
        "workflow": workflow or NOT_APPLICABLE,
        "scope": standing.workflows.get(workflow or "", NOT_RECORDED),
        "request": _request(ruling.head, body_read=ruling.body_read),
        "revisions": {"policy": ruling.policy, "registry": ruling.registry, "configuration": standing.configuration},
        "release": NOT_APPLICABLE,  # the agent's release fingerprint: releases are not registered yet
        "hold": NOT_APPLICABLE if ruling.hold is None else ruling.hold.id,
        "took_us": {name: int(seconds * _MICRO) for name, seconds in ruling.phases.items()},
        **(_said_of_itself(asserted) if asserted else _NOTHING_SAID),
        "proposed": NOT_APPLICABLE if action is None else _proposed(action, ruling.digest),
        "human": _human(ruling.hold),
        "final": _final(ruling),
        "overrides": _overrides(ruling.hold),
    }


def outcome_entry(outcome: Outcome, approved: str | None = None) -> Document:
    """What was sent, compared with what was judged or approved where the caller says so, and what came back."""
    return {
        "ruling": outcome.ruling,
        "hold": outcome.hold or NOT_APPLICABLE,
        "result": outcome.result,
        "code": outcome.code or NOT_APPLICABLE,
        "status": outcome.status,
        "sent": outcome.sent_digest or NOT_APPLICABLE,
        "as_approved": NOT_APPLICABLE if approved is None or outcome.sent_digest is None else approved == outcome.sent_digest,
        "answer": {"digest": outcome.answer_digest or NOT_APPLICABLE, "bytes": outcome.answer_bytes, "given": outcome.given},
        "took_us": {"upstream": int(outcome.upstream_seconds * _MICRO)},
    }


def start_entry(version: str, name: str, environment: str, revisions: Mapping[str, str]) -> Document:
    """Which program began to write, under which configuration, policy and registry."""
    return {"version": version, "name": name, "environment": environment, "revisions": dict(revisions)}


def loaded_entry(revision: str, *, kept: str | None = None, why: str | None = None) -> Document:
    """Of kind `policy`, `registry` or `config`: what is in force now; `kept` names the last good one a broken reload left in force."""
    return {
        "revision": revision,
        "result": "loaded" if kept is None else "kept",
        "kept": kept or NOT_APPLICABLE,
        "why": text(why) if why else NOT_APPLICABLE,
    }


def revision_entry(revision: str, digest: str, result: str, by: str | None, widens: list[str]) -> Document:
    """Of kind `registry`: a registry that widens rights waits, or one person confirmed it."""
    places: list[JSON] = [text(place, 200) for place in widens[:100]]
    return {"revision": revision, "digest": digest, "result": result, "by": by or NOT_APPLICABLE, "widens": places}


def read_entry(by: str, what: str, subject: str) -> Document:
    """Somebody looked at what not everybody may see."""
    return {"by": by, "what": what, "subject": subject}


def titles_entry(by: str, holds: Iterable[str]) -> Document:
    """Of kind `read`: somebody was shown a list with what these holds are called. One for a whole page of it."""
    named: list[JSON] = [*sorted(holds)]
    return {**read_entry(by, "titles", "inbox"), "holds": named}


def _workflow(workflow: Workflow) -> Document:
    rollback = workflow.rollback
    approved: list[JSON] = [_approval(one) for one in workflow.approved]
    return {
        "process": workflow.process,
        "approved": approved or NOT_RECORDED,
        "rollback": {
            "kind": rollback.kind,
            "owner": rollback.owner or NOT_RECORDED,
            "rto": rollback.rto or NOT_RECORDED,
            "tested_at": rollback.tested_at or NOT_RECORDED,
        },
    }


def _approval(approval: Approval) -> Document:
    return {"function": approval.function, "person": approval.person, "at": approval.at, "evidence": text(approval.evidence)}


def _reason(reason: Reason) -> Document:
    entry: Document = {"code": reason.code, "rule": reason.rule, "text": text(reason.text)}
    if reason.detail is not None:
        entry["detail"] = bounded(reason.detail)
    return entry


def _principal(principal: Principal) -> Document:
    credential, trigger = principal.credential, principal.trigger
    entry: Document = {
        "agent": text(principal.agent),
        "credential": {
            "kind": credential.kind, "issuer": text(credential.issuer),
            "expires": rfc3339(credential.expires_ns) if credential.expires_ns else NOT_APPLICABLE,
        },
        "chain": [{"kind": link.kind, "id": text(link.id), "verified": link.verified} for link in principal.chain],
    }  # fmt: skip
    if trigger:
        entry["trigger"] = bounded(dict(trigger))
    return entry


def _request(head: Head, *, body_read: bool) -> Document:
    """The query's names without its values: those may carry secrets; the digest covers them."""
    return {
        "method": head.method,
        "host": text(head.host),
        "path": text(head.target.path, _PATH),
        "query": [text(name, 64) for name, _ in head.target.query],
        "peer": head.peer,
        "body": "read" if body_read else "not_read",
    }


def _proposed(action: Action, digest: str | None) -> Document:
    asset = action.asset
    return {
        "digest": digest or NOT_APPLICABLE,
        "upstream": action.upstream,
        "route": action.route,
        "stage": action.stage,
        "kind": action.kind,
        "asset": NOT_APPLICABLE
        if asset is None
        else {"id": NOT_APPLICABLE if asset.id is None else text(asset.id), "digest": asset.digest or NOT_APPLICABLE, "state": asset.state},
        "fields": [text(name, 128) for name in action.fields],
        "data_classes": [*action.data_classes],
        "destination": action.destination,
        "external": action.external,
        "reversible": action.reversible,
    }


def _asserted(ruling: Ruling) -> Document:
    if ruling.question is None:
        return {}
    asserted = ruling.question.document.get("asserted")
    if not isinstance(asserted, dict) or not asserted:
        return {}
    return members({name: value if name in _ASSERTED_AS_VALUES else REDACTED for name, value in asserted.items()})


def _said_of_itself(asserted: Document) -> Document:
    return {
        "asserted": asserted,
        "prompt": asserted.get("prompt_digest", REDACTED if "prompt" in asserted else NOT_APPLICABLE),
        "data_sources": asserted.get("sources", NOT_APPLICABLE),
        "version": {"model": asserted.get("model", NOT_APPLICABLE), "agent": NOT_APPLICABLE},
    }


_NOTHING_SAID = _said_of_itself({})


def _human(hold: Hold | None) -> JSON:
    """What people had said when the ruling was made; their votes are entries of their own."""
    if hold is None:
        return NOT_APPLICABLE
    votes: list[JSON] = [{"vote": vote.id, "person": vote.person, "function": vote.function, "decision": vote.decision} for vote in hold.votes]
    return {"state": hold.state, "votes": votes}


def _overrides(hold: Hold | None) -> JSON:
    """Whether somebody edited what is held, and in which hold it stands as the agent wrote it."""
    return NOT_APPLICABLE if hold is None or hold.editor is None else {"content": {"editor": hold.editor, "of": hold.predecessor}}


def _final(ruling: Ruling) -> JSON:
    """What happens now: exactly these bytes are sent, or they wait, or nothing; the outcome entry says what came of it."""
    match ruling.verdict.effect:
        case "allow":
            return {"send": ruling.digest or NOT_APPLICABLE}
        case "hold":
            return "wait"
        case _:
            return "nothing"
