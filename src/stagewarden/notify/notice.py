"""What a notification says: ids, codes, names that the operators wrote, and moments. As a value, as JSON, and as lines of plain text.

Whatever is not of such a form is left out, not repaired: a field that an agent could have written never gets through (bypasses.md section 8,
"human-agent trust exploitation").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from stagewarden.clock import rfc3339

if TYPE_CHECKING:
    from stagewarden.model import JSON, Document

# Ids of ours, and names from configuration and registry (`post.publish`, `agent:drafter-7`).
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:@/+-]{0,126}[A-Za-z0-9])?", re.ASCII)
_SAYS: Final = {
    "opened": "A request waits for people",
    "escalated": "Half of the time to decide is gone",
    "reminder": "The time to decide is nearly over",
    "decided": "People have decided",
    "expired": "Nobody decided in time, which is a no",
    "unknown": "It is not known what became of a request that was sent",
    "stop": "Something was stopped, or set going again",
}


def name(text: str | None) -> str | None:
    """The text where it is a name; None for anything else."""
    return text if text is not None and _NAME.fullmatch(text) else None


class SeatLine(msgspec.Struct, frozen=True):
    """One seat: who may fill it, how many are needed, how many have."""

    functions: tuple[str, ...]
    needed: int
    filled: int


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """About a hold (`subject` is its id), or about a stop (a kill's id, or an agent's). `due_ns` 0: no deadline runs."""

    event: str
    subject: str
    at_ns: int
    link: str
    state: str | None = None
    tier: str | None = None
    kind: str | None = None
    workflow: str | None = None
    seats: tuple[SeatLine, ...] = ()
    due_ns: int = 0
    act: str | None = None  # of a stop: kill, unkill or mode
    scope: str | None = None
    mode: str | None = None

    def document(self) -> Document:
        """As Standard Webhooks would have it: type, timestamp, data. What is not a name is absent."""
        seats: list[JSON] = [
            {"functions": [each for each in seat.functions if name(each)], "needed": seat.needed, "filled": seat.filled} for seat in self.seats
        ]
        told = {key: name(getattr(self, key)) for key in ("state", "tier", "kind", "workflow", "act", "scope", "mode")}
        data: Document = {"id": name(self.subject), **{key: value for key, value in told.items() if value is not None}}
        if seats:
            data["seats"] = seats
        if self.due_ns:
            data["due"] = rfc3339(self.due_ns)
        topic = "stop" if self.act is not None else "hold"
        return {"type": f"{topic}.{self.event}", "timestamp": rfc3339(self.at_ns), "data": {**data, "link": self.link}}


def subject_line(document: Document) -> str:
    """One line for a list of messages."""
    data = _data(document)
    parts = [str(data[key]) for key in ("tier", "kind", "workflow", "act", "scope", "mode") if key in data]
    return f"[stagewarden] {_says(document)}: {', '.join(parts) or data.get('id')}"


def lines(document: Document) -> list[str]:
    """The whole of it as plain text; the link stands alone in the last line."""
    data = _data(document)
    text = [f"{_says(document)}.", ""]
    text += [f"{key}: {data[key]}" for key in ("id", "tier", "kind", "workflow", "state", "act", "scope", "mode") if key in data]
    seats = data.get("seats")
    for seat in seats if isinstance(seats, list) else ():
        assert isinstance(seat, dict)
        functions = seat["functions"]
        assert isinstance(functions, list)
        text.append(f"seat: {' or '.join(map(str, functions))}, {seat['filled']} of {seat['needed']}")
    if "due" in data:
        text.append(f"due: {data['due']}")
    return [*text, "", str(data["link"])]


def _says(document: Document) -> str:
    return _SAYS.get(str(document.get("type")).partition(".")[2], "Something happened")


def _data(document: Document) -> Document:
    data = document["data"]
    assert isinstance(data, dict)
    return data
