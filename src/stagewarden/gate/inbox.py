"""The inbox: what waits for one person, for others, or for somebody to take it up; what is decided; and how much of it there is.

Whether a hold waits for a person is computed here, at each reading, from the registry and the votes; answers are kept only for one revision
of the registry. Of payloads it reads what they are called, for whom they may be shown to, and records that as one `read` entry a page.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from stagewarden.audit import entries
from stagewarden.clock import NANOSECONDS
from stagewarden.errors import AuditUnavailable, NotFound
from stagewarden.gate.callers import name_of
from stagewarden.gate.people import Turn
from stagewarden.gate.views import Views
from stagewarden.holds.inbox import Which
from stagewarden.holds.lots import Standing, standing_of
from stagewarden.holds.paging import Narrowed
from stagewarden.model import Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stagewarden.gate.people import HoldView
    from stagewarden.gate.rooms import Rooms
    from stagewarden.holds.inbox import Glance, Tally
    from stagewarden.holds.lots import Lot
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold, Vote

Tab: TypeAlias = Literal["mine", "others", "all", "proposals", "done"]
TABS: tuple[Tab, ...] = get_args(Tab)
FILTERS = ("tier", "workflow", "channel", "why")
SOON_NS = 3600 * NANOSECONDS
DAY_NS = 24 * SOON_NS
_READERS, _LOTS = 256, 20_000  # people whose answers are kept, and of one person


@dataclass(frozen=True, slots=True)
class Selection:
    """One list as it is asked for. `why`: the code of a reason for holding; `soon`: due within the hour; `text`: in an id, asset, agent, workflow."""

    tab: Tab = "mine"
    tier: str | None = None
    workflow: str | None = None
    channel: str | None = None
    why: str | None = None
    soon: bool = False
    text: str = ""
    place: str | None = None
    limit: int = 50

    def narrowing(self, due_by_ns: int | None = None) -> Narrowed:
        """Its filters as a list of holds takes them."""
        return Narrowed(self.tier, self.workflow, self.channel, self.why, self.text, due_by_ns)

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out of the tab."""
        return self.soon or bool(self.text) or any(getattr(self, name) is not None for name in FILTERS)


@dataclass(frozen=True, slots=True)
class Shown:
    """One list. `counts`: what waits under each tab; `matched`: how many the filters leave (None: not known, among what is decided).

    `choices`: per filter the values there are, with how many holds each would leave; `soon`: how many the filters leave that are due within
    the hour; `high`: holds of high tier that this person has decided within a day, and that wait for them; `last`, `last_vote`: what they voted
    on last, and their vote, where the list is empty.
    """

    views: tuple[HoldView, ...]
    following: str | None
    under_way: tuple[HoldView, ...]
    counts: Mapping[Tab, int]
    matched: int | None
    choices: Mapping[str, Mapping[str, int]]
    soon: int
    oldest_ns: int | None
    high: tuple[int, int]
    last: HoldView | None
    ended_today: int
    last_vote: Vote | None = None

    @property
    def every(self) -> tuple[HoldView, ...]:
        """Each hold on the page."""
        return (*self.views, *self.under_way, *(() if self.last is None else (self.last,)))

    def called(self, titles: Mapping[str, str]) -> Shown:
        """The same, with what its holds are called where that is known."""
        views, under_way = (tuple(replace(view, title=titles.get(view.hold.id)) for view in part) for part in (self.views, self.under_way))
        last = None if self.last is None else replace(self.last, title=titles.get(self.last.hold.id))
        return replace(self, views=views, under_way=under_way, last=last)


@dataclass(slots=True)
class _Answers:
    """For one revision of the registry: person and confirmed functions → lot → where they stand."""

    revision: str = ""
    known: dict[tuple[str, frozenset[str]], dict[str, Standing]] = field(default_factory=dict)


class Inboxes(Views):
    """Reading; the view of one hold is the acts'."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(rooms)
        self._answers = _Answers()

    async def inbox(self, caller: Caller, wanted: Selection) -> Shown:
        """One page of one list, with the counts of all."""
        self._reads(caller)
        now = self._rooms.clock.now_ns()
        async with self._rooms.holds.glance() as glance:
            shown = await self._listed(glance, caller, wanted, now)
            titles = await glance.titles([view.hold.id for view in shown.every if view.payload])
        return shown.called(await self._recorded(caller, titles))

    async def fresh(self, caller: Caller, wanted: Selection, since_ns: int) -> int:
        """How many holds of this list were asked for after then; none among what is decided."""
        self._reads(caller)
        now = self._rooms.clock.now_ns()
        async with self._rooms.holds.glance() as glance:
            here = self._tabs(caller, await glance.tallies(now)).get(wanted.tab, ())
            return await glance.count(replace(_which(wanted, here, now), after_ns=since_ns))

    async def next_hold(self, caller: Caller, hold_id: str) -> Hold | None:
        """The hold that waits for this person after that one, in the inbox's order; past the end the first; None when there is no other.

        Without payload, as lists have it: whoever only goes on from one hold to the next has not asked for its content.
        """
        self._reads(caller)
        now = self._rooms.clock.now_ns()
        async with self._rooms.holds.glance() as glance:
            place = await glance.place_of(hold_id)
            if place is None:
                raise NotFound(f"hold {hold_id}: no such hold")
            which = _which(Selection(), self._tabs(caller, await glance.tallies(now))["mine"], now)
            for start in (place, None):
                found, _ = await glance.page(which, start, 2)
                if others := [hold for hold in found if hold.id != hold_id]:
                    return others[0]
        return None

    async def _recorded(self, caller: Caller, titles: dict[str, str]) -> dict[str, str]:
        """A title is content: that it is shown is in the log first, in one entry for the page.

        A log that takes none costs the titles, not the list, from which people stop things. No review begins with a title: that takes the content.
        """
        try:
            if titles:
                await self._rooms.recorder.note("read", entries.titles_entry(name_of(caller), titles))
        except AuditUnavailable:
            return {}
        return titles

    async def _listed(self, glance: Glance, caller: Caller, wanted: Selection, now: int) -> Shown:
        """The page, without titles."""
        every = await glance.tallies(now + SOON_NS)
        tabs = self._tabs(caller, every)
        counts: dict[Tab, int] = {tab: sum(tally.count for tally in tallies) for tab, tallies in tabs.items()}
        mine, here = tabs["mine"], tabs.get(wanted.tab, ())
        shown = Shown(
            (), None, (), counts, None, _choices(here, wanted), sum(tally.soon for tally in _left(here, wanted)),
            min((tally.oldest_ns for tally in mine), default=None), await self._load(glance, caller, mine, now), None, 0,
        )  # fmt: skip
        if wanted.tab == "done":
            return await self._decided(glance, caller, wanted, shown)
        which = _which(wanted, here, now)
        found, following = await glance.page(which, wanted.place, wanted.limit)
        matched = await glance.count(which) if wanted.text else sum(tally.soon if wanted.soon else tally.count for tally in _left(here, wanted))
        ids = self._ids(caller)
        last = await glance.last_voted(ids) if ids and not found else None
        return replace(
            shown, views=self._views(caller, found), following=following, matched=matched,
            last=None if last is None else self._view(caller, last),
            last_vote=None if last is None else next((vote for vote in last.votes if vote.person in ids), None),
            ended_today=0 if found else await glance.ended_since(now - now % DAY_NS),
        )  # fmt: skip

    async def turn(self, caller: Caller, hold_id: str) -> Turn | None:
        """Where a hold stands among those that wait for this person; None when it is none of them."""
        self._reads(caller)
        now = self._rooms.clock.now_ns()
        async with self._rooms.holds.glance() as glance:
            mine = self._tabs(caller, await glance.tallies(now))["mine"]
            found = await glance.beside(_which(Selection(), mine, now), hold_id)
        return None if found is None else Turn(found.ahead + 1, sum(tally.count for tally in mine), found.before, found.after)

    async def _decided(self, glance: Glance, caller: Caller, wanted: Selection, shown: Shown) -> Shown:
        found, following = await glance.ended(wanted.narrowing(), wanted.place, wanted.limit)
        first = wanted.place is None and not wanted.narrowed
        under_way = await glance.under_way(wanted.limit) if first else ()
        named = _named(await glance.ended_lots())
        return replace(
            shown, views=self._views(caller, found), following=following, under_way=self._views(caller, under_way),
            choices={name: dict.fromkeys(values, 0) for name, values in named.items()},
        )  # fmt: skip

    def _tabs(self, caller: Caller, every: tuple[Tally, ...]) -> dict[Tab, tuple[Tally, ...]]:
        asked = tuple(tally for tally in every if tally.asked)
        known = self._known(caller)
        mine = {tally.id for tally in asked if known is not None and self._standing(caller, tally, known).mine}
        return {
            "mine": tuple(tally for tally in asked if tally.id in mine), "others": tuple(tally for tally in asked if tally.id not in mine),
            "all": asked, "proposals": tuple(tally for tally in every if not tally.asked),
        }  # fmt: skip

    def _known(self, caller: Caller) -> dict[str, Standing] | None:
        """What was computed for this person from this registry; None for a program, whom nothing waits for."""
        if caller.person is None:
            return None
        answers = self._answers
        if answers.revision != self._rooms.registry.revision or len(answers.known) > _READERS:
            answers = self._answers = _Answers(self._rooms.registry.revision)
        known = answers.known.setdefault((caller.person, self.functions(caller)), {})
        if len(known) > _LOTS:
            known.clear()
        return known

    def _standing(self, caller: Caller, tally: Tally, known: dict[str, Standing]) -> Standing:
        found = known.get(tally.id)
        if found is None:
            found = known[tally.id] = standing_of(caller.person or "", self.functions(caller), tally.lot, self._rooms.registry)
        return found

    async def _load(self, glance: Glance, caller: Caller, mine: tuple[Tally, ...], now: int) -> tuple[int, int]:
        waiting = sum(tally.count for tally in mine if tally.lot.tier is Tier.HIGH)
        ids = self._ids(caller)
        return (await glance.high_votes(ids, now - DAY_NS) if waiting and ids else 0), waiting

    def _ids(self, caller: Caller) -> frozenset[str]:
        """Under which this person may have voted: whoever has two sign-ins is one human being, with one day's work."""
        return frozenset() if caller.person is None else self._rooms.registry.ids_of(caller.person)

    def _views(self, caller: Caller, holds: Iterable[Hold]) -> tuple[HoldView, ...]:
        return tuple(self._view(caller, hold) for hold in holds)


def _left(tallies: Iterable[Tally], wanted: Selection) -> Iterator[Tally]:
    """What the filters leave, text apart."""
    chosen = _chosen(wanted)
    return (tally for tally in tallies if not _fails(tally.lot, chosen))


def _chosen(wanted: Selection) -> tuple[tuple[str, str], ...]:
    """The filters that are set."""
    return tuple((name, value) for name in FILTERS if (value := getattr(wanted, name)) is not None)


def _fails(lot: Lot, chosen: tuple[tuple[str, str], ...]) -> list[str]:
    """The filters that leave it out."""
    return [name for name, value in chosen if value not in _values(lot, name)]


def _values(lot: Lot, name: str) -> tuple[str, ...]:
    return lot.codes if name == "why" else (str(getattr(lot, name)),)


def _choices(tallies: tuple[Tally, ...], wanted: Selection) -> dict[str, dict[str, int]]:
    """Per filter: its values, and how many holds each would leave beside the other filters."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in FILTERS}
    chosen = _chosen(wanted)
    for tally in tallies:
        fails = _fails(tally.lot, chosen)
        number = tally.soon if wanted.soon else tally.count
        for name in FILTERS if not fails else fails if len(fails) == 1 else ():
            for value in set(_values(tally.lot, name)):
                counted[name][value] += number
    return {name: dict(sorted(found.items())) for name, found in counted.items()}


def _named(lots: Iterable[Lot]) -> dict[str, list[str]]:
    known = tuple(lots)
    return {name: sorted({value for lot in known for value in _values(lot, name)}) for name in FILTERS}


def _which(wanted: Selection, tallies: tuple[Tally, ...], now_ns: int) -> Which:
    text = wanted.text.lower()
    left = {tally.id: tally.lot for tally in _left(tallies, wanted)}
    found = frozenset(name for name, lot in left.items() if text and (text in lot.agent.lower() or text in lot.workflow.lower()))
    return Which(wanted.tab != "proposals", frozenset(left), now_ns + SOON_NS if wanted.soon else None, text=text, found=found)
