"""What happens, for those who want to be told rather than ask again: rulings, holds that move, modes, stops. Ids and states, never an agent's word.

One reader per process for any number of listeners. Behind the log: a move is told once its entry is there. What is kept for those who
come back is bounded, and in memory; who has missed more is told to read the lists again. Never keeps anything from happening.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stagewarden.errors import CannotTell, Refused, TooMuch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.audit.reader import Reader
    from stagewarden.holds import Holds
    from stagewarden.model import Document
    from stagewarden.modes import Modes

KEPT = 1024  # events that can be told again
AT_ONCE, OF_ONE = 256, 8  # listeners, and of them one caller's
_LOOK = 0.25  # seconds between looks at the stop file, and before what could not be read is read again


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `reset`: something may have been missed; `ready`: from here on all is told."""

    id: str
    name: Literal["hold", "ruling", "mode", "kill", "unkill", "ready", "reset"]
    data: Document


class Listener:
    """One listener's place among the events."""

    def __init__(self, feed: Feed, since: str | None) -> None:
        self._feed = feed
        place = feed.newest if since is None else feed.place(since)
        self._seen = feed.newest if place is None else place
        self._first: Literal["ready", "reset"] | None = "reset" if place is None else "ready" if since is None else None

    @property
    def over(self) -> bool:
        """Whether nothing more will be told here."""
        return self._feed.closed

    async def next(self, patience: float) -> Event | None:
        """The next event; None after so many seconds without one, or once the feed has closed."""
        if self._first is not None:
            name, self._first = self._first, None
            return Event(self._feed.id_of(self._seen), name, {})
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self._feed.closed:
                    news = self._feed.news
                    if self._seen < self._feed.newest:
                        return self._following()
                    await news.wait()
        return None

    def _following(self) -> Event:
        behind = self._feed.newest - self._seen
        if behind > len(self._feed.kept):
            self._seen = self._feed.newest
            return Event(self._feed.id_of(self._seen), "reset", {})
        self._seen += 1
        return self._feed.kept[-behind]


class Feed:
    """`run` follows the rooms; `listen` gives a place."""

    def __init__(self) -> None:
        self._boot = secrets.token_hex(6)  # numbers of another process, or of an earlier life of this one, name nothing here
        self._listeners: Counter[str] = Counter()
        self.newest = 0
        self.kept: deque[Event] = deque(maxlen=KEPT)
        self.news = asyncio.Event()
        self.closed = False

    @contextmanager
    def listen(self, who: str, since: str | None) -> Iterator[Listener]:
        """A place after the event `since`, or after the newest. TooMuch over the bounds; Refused once closed."""
        if self.closed:
            raise Refused("draining", "shutting down: listen elsewhere, or again soon")
        if self._listeners.total() >= AT_ONCE or self._listeners[who] >= OF_ONE:
            raise TooMuch(f"events: at most {OF_ONE} listeners of one caller, {AT_ONCE} of all", "events")
        self._listeners[who] += 1
        try:
            yield Listener(self, since)
        finally:
            self._listeners[who] -= 1
            if not self._listeners[who]:
                del self._listeners[who]

    def close(self) -> None:
        """Shutting down: every listener comes to its end."""
        self.closed = True
        self.news.set()

    def tell(self, name: Literal["hold", "ruling", "mode", "kill", "unkill"], data: Document) -> None:
        """It happened."""
        self.newest += 1
        self.kept.append(Event(self.id_of(self.newest), name, data))
        self._ring()

    def _ring(self) -> None:
        self.news.set()
        if not self.closed:
            self.news = asyncio.Event()

    def id_of(self, number: int) -> str:
        """The id of the event with this number."""
        return f"{self._boot}-{number}"

    def place(self, event_id: str) -> int | None:
        """The number of an event that is still known, or None."""
        boot, _, text = event_id.partition("-")
        if boot != self._boot or not (text.isascii() and text.isdigit()) or len(text) > len(str(self.newest)):
            return None
        return number if self.newest - len(self.kept) <= (number := int(text)) <= self.newest else None

    async def run(self, holds: Holds, modes: Modes, log: Reader) -> None:
        """Until cancelled: follow holds by their bell, stops by their file, rulings by the log. What cannot be read is read again.

        While nobody listens no hold and no ruling is read: which holds moved, and where the log ended, is kept, and told to whoever comes back.
        """
        waiting: set[str] = set()
        epoch: int | None = None
        place: int | None = None
        with holds.changed.follow() as moves:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await moves.news.wait()
                waiting |= moves.take()
                with suppress(CannotTell):
                    epoch = self._stops(modes, epoch)
                    if waiting and self._listeners:
                        for hold, (state, tier) in (await holds.states(waiting)).items():
                            self.tell("hold", {"hold": hold, "state": state, "tier": tier})
                        waiting.clear()
                    if self._listeners or place is None:
                        place = await self._rulings(log, place)
                if moves.missed or len(waiting) > KEPT:
                    moves.missed = False
                    waiting.clear()
                    self._lose()

    def _lose(self) -> None:
        """More happened than is kept, or than we heard of: whoever listens or comes back has missed something."""
        self.newest += 1
        self.kept.clear()
        self._ring()

    async def _rulings(self, log: Reader, place: int | None) -> int | None:
        """Tell of the rulings since that place in the log, as one event however many there are; the place now."""
        newer = await log.newer(place)
        if newer.ruling is not None and place is not None:
            self.tell("ruling", {"ruling": newer.ruling, "count": newer.rulings})
        return newer.end

    def _stops(self, modes: Modes, before: int | None) -> int:
        """Tell the acts since that epoch; the epoch now."""
        epoch = modes.epoch
        for change in modes.changes(before) if before is not None and before != epoch else ():
            if change.act == "mode":
                self.tell("mode", {"agent": change.subject, "mode": change.mode})
            else:
                self.tell(change.act, {"id": change.subject, "scope": change.scope})
        return epoch
