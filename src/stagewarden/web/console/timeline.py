"""What a hold or an asset went through, as a list in its order, from first draft to last answer. From the log's entries alone, with the gaps said.

Runs of equal automatic steps stand as one, with all of them in its fold. Never leaves an entry out without saying so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.web.console import when, words
from stagewarden.web.console.exact import short_id
from stagewarden.web.console.explained import VERDICTS, asked, digest, known, members, moment, reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stagewarden.model import Document

_GAP = 3600 * NANOSECONDS  # without an entry: said
_FOLDED = 4  # equal steps in a row from which on they are one
_PHASES = {"generate": "Generate and edit", "edit": "Generate and edit", "queue": "Queue"}
_EVENTS = {
    "opened": ("pause", "Held"), "filled": ("ok", "Every seat is filled"), "settled": ("ok", "Settled: nobody stopped it"),
    "claimed": ("ok", "Taken up to be sent"), "released": ("back", "Put back: not sent this time"), "sending": ("away", "Sent, once"),
    "answered": ("ok", "The upstream answered"), "lost": ("warn", "No answer came: what happened is not known"),
    "expired": ("no", "Expired: no answer in time is a no"), "killed": ("no", "Stopped"), "stopped": ("no", "Stopped"),
    "rejected": ("rejected", "Rejected"), "sent_back": ("back", "Sent back"), "withdrawn": ("back", "Withdrawn by the agent"),
    "superseded": ("no", "Superseded: what it was about changed"), "edited": ("back", "Edited: another hold takes its place"),
    "escalated": ("warn", "Half of the time gone: deputies asked"), "reminded": ("warn", "Reminded whoever can still decide"),
    "rolled_back": ("back", "What was done was taken back"),
}  # fmt: skip
_SENDING = frozenset({"claimed", "released", "sending", "answered", "lost", "rolled_back"})
_DECISIONS = {"approve": ("filled", "approved"), "reject": ("rejected", "rejected"), "send_back": ("back", "sent it back")}
_OUTCOMES = {"done": ("ok", "took it"), "failed": ("no", "refused it"), "unknown": ("warn", "gave no answer"), "not_sent": ("no", "got nothing")}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened."""

    phase: str
    clock: str
    iso: str
    icon: str
    tone: str
    what: str
    about: str
    code: str | None
    who: str
    link: str | None
    name: str
    digest: tuple[str, str] | None = None
    gap: str | None = None  # how long nothing was recorded before it
    day: str | None = None  # its date, where the step before was on another
    same: tuple[Step, ...] = ()  # the equal ones it stands for


@dataclass(frozen=True, slots=True)
class Section:
    """Steps of one phase in a row."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the list adds up to."""

    begins: str
    ends: str
    rulings: int
    votes: int
    sends: int
    people: tuple[str, ...]
    automatic: int
    overrides: int
    workflows: tuple[str, ...]
    policies: tuple[str, ...]
    registries: tuple[str, ...]
    title: str


def sections(entries: Sequence[Document]) -> tuple[Section, ...]:
    """Steps by phase, oldest first. What came of a direct send stands with its ruling."""
    direct = {entry["ruling"]: entry for entry in entries if entry["kind"] == "outcome" and known(entry.get("hold")) is None}
    rulings = {entry["ruling"] for entry in entries if entry["kind"] == "ruling"}
    told = [entry for entry in entries if not (entry["kind"] == "outcome" and known(entry.get("hold")) is None and entry["ruling"] in rulings)]
    steps = []
    for before, entry in zip([None, *told], told, strict=False):
        step = _after(before, _step(entry), entry)
        steps.append(_answered(step, direct.get(entry["ruling"])) if entry["kind"] == "ruling" else step)
    return tuple(Section(name, tuple(run)) for name, run in groupby(_folded(steps), lambda step: step.phase))


def summary(entries: Sequence[Document]) -> Summary:
    """Counts, who decided, what was in force."""
    rulings = [entry for entry in entries if entry["kind"] == "ruling"]
    votes = [entry for entry in entries if entry["kind"] == "vote"]
    sends = [entry for entry in entries if entry["kind"] == "outcome" and known(entry.get("sent"))]
    revisions = [members(entry.get("revisions")) for entry in rulings]
    return Summary(
        begins=_date(entries[0]), ends=_date(entries[-1]), rulings=len(rulings), votes=len(votes), sends=len(sends),
        people=tuple(dict.fromkeys(str(vote.get("person")) for vote in votes)),
        automatic=sum(entry.get("effect") == "allow" for entry in rulings),
        overrides=sum(entry.get("event") == "edited" for entry in entries if entry["kind"] == "hold"),
        workflows=tuple(dict.fromkeys(found for entry in entries if (found := known(entry.get("workflow"))))),
        policies=tuple(dict.fromkeys(str(one.get("policy"))[:16] for one in revisions)),
        registries=tuple(dict.fromkeys(str(one.get("registry"))[:16] for one in revisions)),
        title=next((asked(entry) for entry in reversed(rulings)), ""),
    )  # fmt: skip


def _step(entry: Document) -> Step:
    time = str(entry["time"])
    kind = str(entry["kind"])
    made = Step(phase="Export", clock=time[11:19], iso=time, icon="ok", tone="", what=kind, about="", code=None, who="automatic", link=None, name="")
    match kind:
        case "ruling":
            return _ruling(_linked(made, "ruling", entry), entry)
        case "hold":
            return _move(_linked(made, "hold", entry), entry)
        case "vote":
            return _vote(_linked(made, "hold", entry), entry)
        case "outcome":
            return _outcome(_linked(made, "ruling", entry), entry)
        case "release":
            said = "Policy asked again, with the approval: still yes"
            return replace(_linked(made, "ruling", entry), what=said, about="its last word before it is sent", digest=digest(entry.get("digest")))
    return made


def _ruling(made: Step, entry: Document) -> Step:
    proposed, principal = members(entry.get("proposed")), members(entry.get("principal"))
    verdict, tone = VERDICTS.get(str(entry.get("effect")), ("", ""))
    first = next(iter(reasons(entry)), None)
    phase = "Queue" if tone == "held" else _PHASES.get(str(proposed.get("stage")), "Export")
    return replace(
        made, phase=phase, icon=tone, tone=tone, what=f"{verdict}: {asked(entry)}", code=first.code if first else None,
        about=f"{principal.get('agent', 'not known')}, {known(entry.get('workflow')) or 'no workflow'}",
    )  # fmt: skip


def _move(made: Step, entry: Document) -> Step:
    event, state, by = str(entry.get("event")), str(entry.get("state")), known(entry.get("by"))
    icon, said = _EVENTS.get(event, ("ok", f"{event.replace('_', ' ').capitalize()}: {state.replace('_', ' ')}"))
    phase = "Queue" if event == "opened" else "Export" if event in _SENDING else "Approve"
    about = f"{entry.get('tier')} tier" if event == "opened" else f"by {by}" if by else ""
    tone = "held" if icon in {"pause", "warn"} else "denied" if icon in {"no", "rejected"} else ""
    who = "human" if by and event != "opened" else "automatic"
    return replace(made, phase=phase, icon=icon, tone=tone, what=said, about=about, code=known(entry.get("reason")), who=who)


def _vote(made: Step, entry: Document) -> Step:
    icon, said = _DECISIONS.get(str(entry.get("decision")), ("waiting", str(entry.get("decision"))))
    tone = {"filled": "allowed", "rejected": "denied"}.get(icon, "")
    what = f"{entry.get('person')} {said} as {entry.get('function')}"
    return replace(
        made, phase="Approve", icon=icon, tone=tone, what=what, about=words.reason(known(entry.get("reason"))), who="human",
        digest=digest(entry.get("digest")),
    )  # fmt: skip


def _outcome(made: Step, entry: Document) -> Step:
    icon, _ = _OUTCOMES.get(str(entry.get("result")), ("warn", ""))
    compared = entry.get("as_approved")  # of what was sent directly nothing was approved
    same = "as approved, byte for byte" if compared is True else "other bytes than approved" if compared is False else ""
    tone = {"ok": "allowed", "no": "denied"}.get(icon, "held")
    return replace(
        made, icon=icon, tone=tone, what=_upstream(entry), about=same if known(entry.get("sent")) else "", digest=digest(entry.get("sent"))
    )


def _upstream(entry: Document) -> str:
    said = _OUTCOMES.get(str(entry.get("result")), ("", str(entry.get("result"))))[1]
    return f"The upstream {said}, {entry['status']}" if entry.get("status") else f"The upstream {said}"


def _answered(step: Step, outcome: Document | None) -> Step:
    return step if outcome is None else replace(step, about=f"{step.about}; {_upstream(outcome)[:1].lower()}{_upstream(outcome)[1:]}")


def _linked(made: Step, member: str, entry: Document) -> Step:
    identifier = str(entry.get(member))
    return replace(made, link=f"/{member}s/{identifier}", name=short_id(identifier))


def _after(before: Document | None, step: Step, entry: Document) -> Step:
    """The step with what its place in the list says: a new day, a long time without an entry."""
    made = moment(entry)
    day = when.written(made.date()) if before is None or made.date() != moment(before).date() else None
    pause = 0 if before is None else int((made - moment(before)).total_seconds() * NANOSECONDS)
    return replace(step, day=day, gap=when.span(pause) if pause >= _GAP else None)


def _folded(steps: list[Step]) -> list[Step]:
    """Equal allowed steps in a row, so many that they hide the rest, as one."""
    folded: list[Step] = []
    for (alike, *_), run in groupby(
        steps, lambda step: ((step.tone, step.who) == ("allowed", "automatic"), step.what, step.about, step.gap, step.iso[:10])
    ):
        same = tuple(run)
        if not alike or len(same) < _FOLDED:
            folded.extend(same)
        else:
            clock = f"{same[0].clock} to {same[-1].clock}"
            folded.append(replace(same[0], what=f"{len(same)} times: {same[0].what}", clock=clock, same=same, link=None, name=""))
    return folded


def _date(entry: Document) -> str:
    made = moment(entry)
    return f"{made.day} {made:%B} {made.year}, {made:%H:%M}"
