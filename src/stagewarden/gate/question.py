"""Building the question: everything the policy is asked, as one document (contract section 4). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stagewarden.clock import rfc3339
from stagewarden.errors import CannotTell
from stagewarden.model import QUESTION_VERSION, Document, Question

if TYPE_CHECKING:
    from stagewarden.classify import Looked
    from stagewarden.model import JSON, Action, Asset, Hold, Principal, Request, Target, Vote


class Circumstances(msgspec.Struct, frozen=True):
    """What stands besides the request: the clock, the registry's revision, the environment, the agent's mode, what reviews look like."""

    now_ns: int
    registry: str
    environment: str
    mode: str
    review: tuple[str, ...] = ()

    def state(self) -> Document:
        """`input.state`. Sampling, thresholds and releases come with their issues: until then they say nothing."""
        return {
            "registry": self.registry, "environment": self.environment, "mode": self.mode, "sample": False, "thresholds": [],
            "review": [*self.review], "release": {"fingerprint": None, "validated": True},
        }  # fmt: skip


class Parts(msgspec.Struct, frozen=True):
    """What one question is made of."""

    request: Request
    digest: str
    target: Target
    host: str
    body: JSON
    principal: Principal
    action: Action
    facts: Document
    asserted: Document


def build(parts: Parts, circumstances: Circumstances, grants: list[JSON] | None = None) -> Question:
    """The question about a fresh request: no approval, and the grants that stand."""
    return Question(
        {
            "version": QUESTION_VERSION,
            "time": rfc3339(circumstances.now_ns),
            "time_ns": circumstances.now_ns,
            "request": _request(parts),
            "principal": _principal(parts.principal),
            "action": _action(parts.action),
            "facts": parts.facts,
            "asserted": parts.asserted,
            "grants": grants or [],
            "approval": None,
            "state": circumstances.state(),
        }
    )


def again(
    stored: Document, circumstances: Circumstances, looked: Looked | None, approval: Document | None, grants: list[JSON] | None = None
) -> Question:
    """The stored question with time, registry, mode and look-up new, and the approval added (lifecycles.md, "The release question").

    What reviews looked like stays as it was when people were asked, like a sample that was drawn: no vote on this hold asks for one more.
    Of grants only the one that approved it in advance counts: any other would have to be spent, and nobody spends one for a hold.
    """
    asked = stored["state"]
    review = asked.get("review", []) if isinstance(asked, dict) else []  # of an earlier release: nothing was said
    document: Document = {
        **stored, "time": rfc3339(circumstances.now_ns), "time_ns": circumstances.now_ns, "state": {**circumstances.state(), "review": review},
        "approval": approval, "grants": grants or [],
    }  # fmt: skip
    action = stored["action"]
    if looked is not None and isinstance(action, dict) and isinstance(action["asset"], dict):
        document["action"] = {**action, "asset": {**action["asset"], "digest": looked.digest, "state": looked.state}}
    return Question(document)


class Edited(msgspec.Struct, frozen=True):
    """What a person's edit made of a held request, classified from the start."""

    request: Request
    digest: str
    body: JSON
    action: Action
    facts: Document
    editor: str


def edited(stored: Document, edit: Edited, circumstances: Circumstances) -> Question:
    """The stored question about the edited bytes: who asked stays, the editor joins the chain, everything read of the body is new.

    The editor stands first, and is no initiator: who started it, and who may therefore not vote, does not change by an edit.
    """
    request, principal = stored["request"], stored["principal"]
    if not isinstance(request, dict) or not isinstance(principal, dict) or not isinstance(principal["chain"], list):
        raise CannotTell("the stored question is not understood")
    link: Document = {"kind": "editor", "id": edit.editor, "verified": True}
    return Question(
        {
            **stored,
            "time": rfc3339(circumstances.now_ns),
            "time_ns": circumstances.now_ns,
            "request": {**request, "body": edit.body, "size": edit.request.size, "digest": edit.digest},
            "principal": {**principal, "chain": [link, *principal["chain"]]},
            "action": _action(edit.action),
            "facts": edit.facts,
            "approval": None,
            "state": circumstances.state(),
        }
    )


def approval(hold: Hold, votes: tuple[Vote, ...]) -> Document:
    """What people decided, as the policy sees it; `votes` are those that still count."""
    by: Document = {"state": "approved"} if hold.grant is None else {"state": "granted", "grant": hold.grant}
    return {
        "hold": hold.id,
        **by,
        "digest": hold.digest,
        "votes": [{"person": vote.person, "function": vote.function, "at": rfc3339(vote.at_ns), "view_digest": vote.view_digest} for vote in votes],
        "approved_at_ns": hold.approved_at_ns,
        "expires_ns": hold.use_by_ns,
    }


def _request(parts: Parts) -> Document:
    request = parts.request
    headers: dict[str, JSON] = {}
    for name, value in request.headers:
        values = headers.setdefault(name.lower(), [])
        assert isinstance(values, list)
        values.append(value)
    return {
        "method": request.method, "upstream": request.upstream, "host": parts.host, "path": list(parts.target.segments),
        "raw_path": parts.target.path, "query": dict(parts.target.query), "headers": headers, "body": parts.body, "size": request.size,
        "digest": parts.digest,
    }  # fmt: skip


def _principal(principal: Principal) -> Document:
    credential = principal.credential
    return {
        "agent": principal.agent,
        "workflow": principal.workflow,
        "credential": {"kind": credential.kind, "issuer": credential.issuer, "expires_ns": credential.expires_ns},
        "chain": [{"kind": link.kind, "id": link.id, "verified": link.verified} for link in principal.chain],
        "trigger": dict(principal.trigger) if principal.trigger else None,
    }


def _action(action: Action) -> Document:
    return {
        "upstream": action.upstream, "route": action.route, "stage": str(action.stage), "kind": action.kind, "asset": _asset(action.asset),
        "fields": list(action.fields), "data_classes": list(action.data_classes), "destination": action.destination, "external": action.external,
        "reversible": action.reversible, "loopback": action.loopback,
    }  # fmt: skip


def _asset(asset: Asset | None) -> Document | None:
    return None if asset is None else {"id": asset.id, "digest": asset.digest, "state": asset.state}
