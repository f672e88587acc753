"""One ruling's page: who asked, the digests that must be one, what is on record, where it stands in the log. From entries of the log alone.

"same" and "differs" are computed, a row each; what no entry says is said to be missing, and never taken for the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from stagewarden.audit.entries import NEVER_ABSENT, REDACTED
from stagewarden.web.console.exact import Run, digest_parts, reveal
from stagewarden.web.console.explained import asked, known, listed, members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stagewarden.model import JSON, Document

_LABELS = {
    "prompt": "Prompt", "data_sources": "Data sources", "version": "Model and agent", "proposed": "Proposed action", "human": "People",
    "final": "Final action", "overrides": "Overrides",
}  # fmt: skip
_NOTHING = {"not_applicable": "none", "redacted": "said, and not shown to you", "not_recorded": "not recorded"}


@dataclass(frozen=True, slots=True)
class Digest:
    """One of the four: `same` None where there is nothing to compare, and `note` says why."""

    label: str
    value: str | None
    parts: tuple[str, str] | None
    note: str
    same: bool | None


@dataclass(frozen=True, slots=True)
class Record:
    """What the page says beside the explanation."""

    heading: str
    summary: str
    digests: tuple[Digest, ...]
    chain: tuple[tuple[str, str, bool], ...]
    verified: bool  # every link of it
    credential: str
    facts: tuple[tuple[str, tuple[Run, ...]], ...]
    revisions: tuple[tuple[str, str], ...]
    scope: tuple[tuple[str, str], ...]
    withheld: bool  # from this reader: what the agent said of itself, or what triggered it
    raw: str


def record(entry: Document, story: Sequence[Document]) -> Record:
    """`story`: what the ruling's hold went through, if it has one."""
    digests = _digests(entry, story)
    principal = members(entry.get("principal"))
    credential = members(principal.get("credential"))
    expires = known(credential.get("expires"))
    scope = members(entry.get("scope"))
    back = members(scope.get("rollback"))
    stood = (("Process", scope.get("process")), ("Way back", back.get("kind")), ("Within", back.get("rto")), ("Tested", back.get("tested_at")))
    chain = tuple((str(link.get("kind")), str(link.get("id")), link.get("verified") is True) for link in listed(principal.get("chain")))
    return Record(
        heading=asked(entry), summary=_summary(entry, digests), digests=digests,
        chain=chain, verified=all(verified for _, _, verified in chain),
        credential=f"{credential.get('kind', 'none')}{f', until {expires}' if expires else ''}",
        facts=tuple((_LABELS[name], reveal(_fact(name, entry.get(name)))) for name in NEVER_ABSENT),
        revisions=tuple((name, str(value)[:16]) for name, value in members(entry.get("revisions")).items()),
        scope=tuple((label, str(value)) for label, value in stood if known(value)),
        withheld=REDACTED in (*members(entry.get("asserted")).values(), entry.get("data_sources"), principal.get("trigger")),
        raw=orjson.dumps(entry, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode(),
    )  # fmt: skip


def _digests(entry: Document, story: Sequence[Document]) -> tuple[Digest, ...]:
    """Judged, shown, recorded, sent."""
    judged = known(members(entry.get("proposed")).get("digest"))
    votes = [vote for vote in story if vote["kind"] == "vote"]
    outcome = members(entry.get("outcome")) or next((one for one in reversed(story) if one["kind"] == "outcome"), {})
    people = len({str(vote.get("person")) for vote in votes})
    shown = {str(vote.get("digest")) for vote in votes}
    recorded, at = _recorded(entry, story), str(entry.get("time"))[11:19]
    sent = known(outcome.get("sent"))
    unseen = "to nobody: automatic" if known(entry.get("hold")) is None else "nobody has voted"
    return (
        Digest("Judged", judged, digest_parts(judged) if judged else None, at if judged else "nothing was classified", None),
        _digest("Shown", judged, shown, f"to {people} {'person' if people == 1 else 'people'}" if votes else unseen),
        _digest("Recorded", judged, recorded, "before it was to be sent" if recorded else "nothing was to be sent"),
        _digest("Sent", judged, sent, str(outcome.get("time"))[11:19] if sent else "nothing was sent, as far as the log was looked at"),
    )


def _digest(label: str, judged: str | None, value: str | set[str] | None, note: str) -> Digest:
    values = value if isinstance(value, set) else {value} - {None}
    same = None if judged is None or not values else values == {judged}
    text = next((one for one in sorted(map(str, values)) if one != judged), judged) if values else None
    return Digest(label, text, digest_parts(text) if text else None, note, same)


def _recorded(entry: Document, story: Sequence[Document]) -> str | None:
    """What the log says was to be sent, written before it was: of a direct send in the ruling, of a held one in its release."""
    direct = known(members(entry.get("final")).get("send"))
    return direct or next((known(one.get("digest")) for one in reversed(story) if one["kind"] == "release"), None)


def _summary(entry: Document, digests: tuple[Digest, ...]) -> str:
    _, shown, _, sent = digests
    if any(one.same is False for one in digests):
        return "Not everything here is the same: see the digests below."
    if sent.same is None:
        return {"deny": "Nothing went upstream.", "hold": "It waits for people, or ended without being sent."}.get(
            str(entry.get("effect")), "It was allowed; no outcome was found."
        )
    return "What was sent is what people approved, byte for byte." if shown.same else "What was sent is what was judged, byte for byte."


def _fact(name: str, value: JSON) -> str:
    if isinstance(value, str):
        return _NOTHING.get(value, value)
    if name == "proposed" and isinstance(value, dict):
        return f"{value.get('stage')}, {value.get('kind')} at {value.get('upstream')}"
    if name == "final" and isinstance(value, dict):
        return "send exactly what was judged"
    if name == "human" and isinstance(value, dict):
        votes = listed(value.get("votes"))
        said = "; ".join(f"{vote.get('person')}: {str(vote.get('decision')).replace('_', ' ')} as {vote.get('function')}" for vote in votes)
        return f"hold {value.get('state')} when it was judged{f': {said}' if said else ', no votes yet'}"
    if isinstance(value, dict):
        return "; ".join(f"{key} {_NOTHING.get(str(each), str(each))}" for key, each in value.items())
    return orjson.dumps(value).decode()
