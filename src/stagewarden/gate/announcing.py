"""Whom to tell: notices of holds, and stops, become deliveries to channels and people as configuration and registry say.

Runs beside everything and is waited for by nothing. Tells what the log says already, never before; one replica turns each notice over.
A notification carries no text of an agent's: kinds and workflows are those the registry lists, and everything else is an id or a code of ours.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from stagewarden.clock import NANOSECONDS
from stagewarden.config import EmailChannel
from stagewarden.errors import CannotTell, NotFound
from stagewarden.gate.resolving import LOOKS_UP
from stagewarden.holds.eligibility import candidates, seat_views
from stagewarden.holds.escalating import whom
from stagewarden.model import HoldState
from stagewarden.notify import NewDelivery, Notice, SeatLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from stagewarden.config import NotifyChannel
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Hold
    from stagewarden.modes import Change
    from stagewarden.notify import Ledger, Opened
    from stagewarden.notify.ledger import Pending
    from stagewarden.registry import Registry

_TICK, _LOOK = 0.25, 5.0  # seconds between looks for stops, and for notices that nobody rang for
_CALLS = frozenset({"opened", "escalated", "reminder"})  # they ask for a decision: nothing to say once there is one
_RECENT = 3600 * NANOSECONDS  # a stop that is older when it is first seen here is no news


class Announcer:
    """`run` until cancelled."""

    def __init__(self, rooms: Rooms, ledger: Ledger, channels: Mapping[str, Opened], wake: Callable[[], None]) -> None:
        """`channels` may be opened anew under the same names; `wake`: told when there are new deliveries."""
        self._rooms = rooms
        self._ledger = ledger
        self._channels = channels
        self._wake = wake
        self._epoch = -1
        self._logger = structlog.get_logger("stagewarden.notify")

    async def run(self) -> None:
        """Follow holds by their bell and stops by their epoch; what cannot be read is read again."""
        look_at = self._rooms.clock.monotonic()
        with self._rooms.holds.changed.follow() as moves:
            while True:
                try:
                    if moves.take() or moves.missed or self._rooms.clock.monotonic() >= look_at:
                        moves.missed = False
                        await self.turn_over()
                        look_at = self._rooms.clock.monotonic() + _LOOK
                    await self.hear_stops()
                except CannotTell as failure:
                    self._logger.warning("notices_wait", cause=str(failure))
                    await asyncio.sleep(1.0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK):
                        await moves.news.wait()

    async def turn_over(self) -> int:
        """Every notice there is; how many deliveries they made."""
        made = 0
        while pending := await self._ledger.pending():
            for notice in pending:
                made += await self._ledger.enter(notice.entry, await self._of(notice), self._addresses())
        if made:
            self._wake()
        return made

    async def hear_stops(self) -> None:
        """Stops since the last look, whoever engaged or lifted them."""
        epoch = self._rooms.modes.epoch
        if epoch == self._epoch:
            return
        recent = self._rooms.clock.now_ns() - _RECENT
        wanted = [new for change in self._rooms.modes.changes(self._epoch) if change.at_ns >= recent for new in self._of_stop(change)]
        if wanted and await self._ledger.enter(None, wanted, self._addresses()):
            self._wake()
        self._epoch = epoch

    def _addresses(self) -> dict[str, str]:
        return {name: channel.address for name, channel in self._channels.items()}

    async def _of(self, pending: Pending) -> list[NewDelivery]:
        try:
            hold = await self._rooms.holds.without_payload(pending.hold)
        except NotFound:
            return []
        if pending.event in _CALLS and (hold.state is not HoldState.PENDING or not hold.asked):
            return []
        notice = self._notice(hold, pending)
        functions = frozenset(function for seat in hold.seats for function in seat.functions)
        found: list[NewDelivery] = []
        for name, channel in self._channels.items():
            settings = channel.settings
            if not _wants(settings, notice, functions):
                continue
            if isinstance(settings, EmailChannel):
                found += self._mail(name, settings, notice, self._people(hold, pending.event, settings), functions, pending.entry)
            else:
                found.append(NewDelivery(f"{pending.entry}/{name}", name, "", pending.event, hold.id, notice.document()))
        return found

    def _of_stop(self, change: Change) -> Iterator[NewDelivery]:
        url = f"{self._url}/agents"
        mode = change.mode or None
        notice = Notice(event="stop", subject=change.subject, at_ns=change.at_ns, link=url, act=change.act, scope=change.scope, mode=mode)
        for name, channel in self._channels.items():
            settings = channel.settings
            if settings.events and "stop" not in settings.events:
                continue
            if isinstance(settings, EmailChannel):
                yield from self._mail(name, settings, notice, self._holding(LOOKS_UP), LOOKS_UP, change.id)
            else:
                yield NewDelivery(f"{change.id}/{name}", name, "", "stop", change.subject, notice.document())

    def _mail(
        self, name: str, settings: EmailChannel, notice: Notice, people: Iterable[str], functions: frozenset[str], about: str
    ) -> Iterator[NewDelivery]:
        """One message to each address: the people's own, and the lists of the functions concerned; through one channel, where several reach it.

        `about`: the entry or act that is told of. A hold may be opened to its people, or decided, more than once.
        """
        registry = self._rooms.registry
        targets = {address.lower(): person for person in people if settings.people and (address := address_of(registry, person)) is not None}
        for function in _concerned(settings, notice.event, functions):
            targets |= {address.lower(): address for address in settings.to.get(function, ()) if address.lower() not in targets}  # type: ignore[call-overload]  # a name that is no function has no list
        for address, target in targets.items():
            once = hashlib.sha256(f"{about}/{notice.event}/{address}".encode()).hexdigest()
            yield NewDelivery(once, name, target, notice.event, notice.subject, notice.document())

    def _people(self, hold: Hold, event: str, settings: EmailChannel) -> set[str]:
        """Who is told what: of a call whoever can still answer it; of an end whoever voted or could have; of an unknown whoever may look it up."""
        registry = self._rooms.registry
        if event in {"escalated", "reminder"}:
            called = whom(hold, registry)["called"]
            people = {str(name) for name in called} if isinstance(called, list) else set()
        elif event == "unknown":
            return self._holding(LOOKS_UP)
        else:
            people = {*candidates(hold, registry)}
            people |= set() if event == "opened" else {vote.person for vote in hold.votes}
        return people & self._holding(frozenset(settings.functions)) if settings.functions else people

    def _holding(self, functions: frozenset[str]) -> set[str]:
        return {name for name, person in self._rooms.registry.data.people.items() if person.active and not functions.isdisjoint(person.functions)}

    def _notice(self, hold: Hold, pending: Pending) -> Notice:
        rooms = self._rooms
        workflow = rooms.registry.data.workflows.get(hold.workflow)
        known = frozenset[str]() if workflow is None else frozenset((*workflow.actions.allowed, *workflow.actions.restricted))
        return Notice(
            event=pending.event, subject=hold.id, at_ns=pending.at_ns, link=f"{self._url}/holds/{hold.id}", tier=str(hold.tier),
            state="approved" if pending.state == "settling" else pending.state,
            kind=hold.kind if hold.kind in known else None, workflow=hold.workflow if workflow is not None else None,
            seats=tuple(SeatLine(seat.functions, seat.needed, seat.filled) for seat in seat_views(hold, rooms.registry)),
            due_ns=hold.expires_at_ns if hold.state is HoldState.PENDING else 0,
        )  # fmt: skip

    @property
    def _url(self) -> str:
        return (self._rooms.config.people.url or "").rstrip("/")


def address_of(registry: Registry, target: str) -> str | None:
    """Where mail to a person goes today, or to an address; None where there is none any more."""
    if "@" in target:
        return target
    person = registry.data.people.get(target)
    return person.email if person is not None and person.active else None


def _wants(settings: NotifyChannel, notice: Notice, functions: frozenset[str]) -> bool:
    """Whether a channel's filters let a hold's notice through."""
    return (
        (not settings.events or notice.event in settings.events)
        and (not settings.tiers or notice.tier in settings.tiers)
        and (not settings.workflows or notice.workflow in settings.workflows)
        and (not settings.functions or not functions.isdisjoint(settings.functions))
    )


def _concerned(settings: EmailChannel, event: str, functions: frozenset[str]) -> list[str]:
    """The functions whose lists are written to."""
    concerned = LOOKS_UP if event in {"unknown", "stop"} else functions
    return sorted(concerned & frozenset(settings.functions) if settings.functions and event != "stop" else concerned)
