"""A recorded ruling in people's words: as a row, and explained. From the log's entry alone; what it lacks is left open, and nothing is guessed.

Names that an agent wrote (a path, an asset's id) are shown with what is hidden in them named; its text is not in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson

from stagewarden.audit.entries import NOT_APPLICABLE
from stagewarden.web.console import words
from stagewarden.web.console.exact import Run, digest_parts, one_line, reveal, short_id
from stagewarden.web.console.remedies import remedy

if TYPE_CHECKING:
    from stagewarden.model import JSON, Document

VERDICTS = {"allow": ("Allowed", "allowed"), "hold": ("Held", "held"), "deny": ("Denied", "denied")}
_RESULTS = {
    "done": "The upstream took it",
    "failed": "The upstream refused it",
    "unknown": "What happened there is not known; somebody technical or security must look",
    "not_sent": "No byte left",
}
_TENTHS = 10_000  # microseconds below which tenths of a millisecond are shown
_PHASES = {"authn": "identity", "context": "facts", "policy": "policy", "approval": "hold"}


@dataclass(frozen=True, slots=True)
class Said:
    """One reason: the rule's own text, its code, what it is about, and what would lift it."""

    text: str
    code: str
    rule: str
    detail: tuple[Run, ...]
    lifts: str


@dataclass(frozen=True, slots=True)
class Row:
    """One ruling of the list."""

    id: str
    short: str
    seq: int
    clock: str
    iso: str
    verdict: str
    tone: str
    what: str
    agent: str
    workflow: str | None
    stage: str | None
    codes: tuple[str, ...]
    policy_ms: str | None
    upstream_ms: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why, what would have allowed it, and what it rests on."""

    row: Row
    tier: str | None
    review: str
    reasons: tuple[Said, ...]
    seats: tuple[str, ...]
    inputs: tuple[tuple[str, tuple[Run, ...]], ...]
    hold: str | None
    sent: str
    timeline: str | None
    phases: tuple[tuple[str, str], ...]


def row(entry: Document) -> Row:
    """The ruling in a line."""
    proposed, principal, outcome = (members(entry.get(name)) for name in ("proposed", "principal", "outcome"))
    effect = str(entry.get("effect"))
    verdict, tone = VERDICTS.get(effect, (effect, ""))
    time = str(entry.get("time"))
    return Row(
        id=str(entry.get("ruling")), short=short_id(str(entry.get("ruling"))), seq=int(str(entry.get("seq", 0))), clock=time[11:19], iso=time,
        verdict=verdict, tone=tone, what=asked(entry), agent=str(principal.get("agent", "not known")), workflow=known(entry.get("workflow")),
        stage=known(proposed.get("stage")), codes=tuple(one.code for one in reasons(entry)),
        policy_ms=_ms(members(entry.get("took_us")).get("policy")), upstream_ms=_ms(members(outcome.get("took_us")).get("upstream")),
    )  # fmt: skip


def explanation(entry: Document) -> Explanation:
    """The ruling beside the list, and at the top of its page."""
    proposed = members(entry.get("proposed"))
    asset = known(members(proposed.get("asset")).get("id"))
    hold = known(entry.get("hold"))
    around = {"hold": hold} if hold else {"upstream": str(proposed.get("upstream")), "asset": asset} if asset else None
    return Explanation(
        row=row(entry), tier=known(entry.get("tier")), review=known(entry.get("review")) or "", reasons=reasons(entry), seats=seats(entry),
        inputs=tuple((label, reveal(value)) for label, value in _inputs(entry)), hold=hold, sent=sent(entry),
        timeline=f"/timeline?{urlencode(around)}" if around else None,
        phases=tuple((_PHASES.get(name, name), f"{_ms(took)} ms") for name, took in members(entry.get("took_us")).items()),
    )  # fmt: skip


def asked(entry: Document) -> str:
    """What was asked, verb first; where it was not classified, the request itself."""
    proposed = members(entry.get("proposed"))
    if not proposed:
        request = members(entry.get("request"))
        return one_line(f"{request.get('method', '')} {request.get('path', '')}")
    asset = known(members(proposed.get("asset")).get("id"))
    where = known(proposed.get("destination")) or str(proposed.get("upstream"))
    return f"{words.act(str(proposed.get('kind')), str(proposed.get('stage')))}{f' {one_line(asset)}' if asset else ''} on {where}"


def reasons(entry: Document) -> tuple[Said, ...]:
    """The reasons in the order of the verdict."""
    return tuple(
        Said(
            str(reason.get("text")), code := str(reason.get("code")), str(reason.get("rule")),
            reveal(_plain(reason["detail"])) if "detail" in reason else (), remedy(code),
        )
        for reason in listed(entry.get("reasons"))
    )  # fmt: skip


def seats(entry: Document) -> tuple[str, ...]:
    """Who was asked: `business`, `2 of legal or compliance`."""
    found = []
    for seat in listed(entry.get("seats")):
        functions, count = seat.get("functions"), seat.get("count")
        names = " or ".join(map(str, functions)) if isinstance(functions, list) else ""
        found.append(names if count == 1 else f"{count} of {names}")
    return tuple(found)


def sent(entry: Document) -> str:
    """What went upstream, as far as the log says."""
    outcome, effect = members(entry.get("outcome")), entry.get("effect")
    if not outcome:
        return {"deny": "Nothing.", "hold": "Nothing yet, as far as the log was looked at."}.get(str(effect), "No outcome was found close behind it.")
    status = outcome.get("status")
    answered = f", answered {status}" if status else ""
    took = _ms(members(outcome.get("took_us")).get("upstream"))
    return f"{_RESULTS.get(str(outcome.get('result')), str(outcome.get('result')))}{answered}{f' after {took} ms' if took else ''}."


def members(value: JSON) -> Document:
    """The members of an object; none where it stands for nothing."""
    return value if isinstance(value, dict) else {}


def listed(value: JSON) -> list[Document]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def known(value: JSON) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value != NOT_APPLICABLE else None


def digest(value: JSON) -> tuple[str, str] | None:
    """A digest's ends."""
    text = known(value)
    return digest_parts(text) if text and text.startswith("sha256:") else None


def moment(entry: Document) -> datetime:
    """When it was recorded."""
    return datetime.fromisoformat(str(entry["time"]))


def _inputs(entry: Document) -> list[tuple[str, str]]:
    """What the rules were asked about, without the body; what the agent said of itself by name, and by value for those who may see it."""
    proposed, request, principal = (members(entry.get(name)) for name in ("proposed", "request", "principal"))
    said: list[tuple[str, str]] = []
    if proposed:
        said = [("Route", f"{proposed.get('upstream')} {proposed.get('route')}"), ("Kind", f"{proposed.get('kind')}, {proposed.get('stage')}")]
        for label, name in (("Fields", "fields"), ("Data classes", "data_classes")):
            if isinstance(values := proposed.get(name), list) and values:
                said.append((label, ", ".join(map(str, values))))
        state = known(members(proposed.get("asset")).get("state"))
        said += [("Asset's state", state)] if state else []
        said.append(("Leaves the house", f"{'yes' if proposed.get('external') is True else 'no'}, undo: {proposed.get('reversible')}"))
    said.append(("Request", f"{request.get('method')} {request.get('path')}"))
    if isinstance(names := request.get("query"), list) and names:
        said.append(("Query", ", ".join(map(str, names)) + " (values are not recorded)"))
    if "trigger" in principal:
        said.append(("Trigger", _plain(principal["trigger"])))
    said.extend((f"The agent says: {name}", _plain(value)) for name, value in members(entry.get("asserted")).items())
    return said


def _plain(value: JSON) -> str:
    """A small document in words: `kind article.delete`."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(member)}" for name, member in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _ms(micro: JSON) -> str | None:
    if not isinstance(micro, int):
        return None
    return f"{micro / 1000:.1f}" if micro < _TENTHS else f"{micro // 1000:,}"
