"""What the tests of holds share: a clock to turn by hand, a registry of people, and a bench around the real store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace
from sqlalchemy import update

from stagewarden import config
from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.holds import Holds, Moved, NewHold, Vault
from stagewarden.holds.ballot import Ballot
from stagewarden.model import Answer, Ask, Hold, Reason, Request, Seat, Stage, Tier
from stagewarden.registry import Agent, AgentIdentity, AgentOwners, Person, PersonIdentity, Registry, RegistryData
from stagewarden.store import Store, locate
from stagewarden.store.tables import holds as table
from tests.databases import state_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from sqlalchemy import URL

PLAIN = config.Holds(settle=config.Seconds(0), escalate_at=None, remind_at=None)  # what is approved may be sent, and nobody is called to what waits
KEY = bytes(range(32))
START_NS = 1_795_251_600 * NANOSECONDS
OK = Answer(201, (("Content-Type", "application/json"),), b'{"id": 42}')
MEDIUM = (Seat(("reviewer",), 1),)
HIGH = (Seat(("manager", "reviewer"), 1), Seat(("compliance", "legal", "reviewer"), 1))


class HandClock:
    """Both clocks, turned by hand; `jump` moves the wall clock alone, as an operator or NTP does."""

    def __init__(self) -> None:
        self.wall_ns = START_NS
        self.seconds = 1000.0

    def now_ns(self) -> int:
        """The wall clock."""
        return self.wall_ns

    def monotonic(self) -> float:
        """The monotonic clock."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.wall_ns += int(seconds * NANOSECONDS)
        self.seconds += seconds

    def jump(self, seconds: float) -> None:
        """The wall clock is set."""
        self.wall_ns += int(seconds * NANOSECONDS)


def registry(**people: Person) -> Registry:
    """One agent, owned by olga, and reviewers; `people` replaces or adds entries."""
    known = {
        "olga": Person(functions=("reviewer",)),
        "rita": Person(functions=("reviewer",), identity=PersonIdentity(issuer="https://idp.example", subject="00u-rita")),
        "ravi": Person(functions=("reviewer", "manager")),
        "lena": Person(functions=("legal",)),
        "mike": Person(functions=("marketing",)),
        "gone": Person(functions=("reviewer",), active=False),
        "rita-admin": Person(functions=("legal",), aliases=("rita",)),
        **people,
    }
    agent = Agent(identity=AgentIdentity(key="k"), owners=AgentOwners(human="olga"), stages=("generate",), workflows=("newsletter",))
    return Registry.of(RegistryData(people=known, agents={"drafter": agent}))


def request(body: bytes = b'{"status": "publish"}', **changes: object) -> Request:
    """A publish as the gate would freeze it."""
    headers = (("Content-Type", "application/json"), ("X-Request-Id", "1"))
    return replace(Request("cms", "POST", "http", "cms.internal", "/posts?draft=no", headers, body), **changes)


def principal(*chain: tuple[str, str, bool], trigger: object = None) -> dict[str, object]:
    """The question's principal with these (kind, id, verified) links."""
    return {"agent": "drafter", "chain": [{"kind": kind, "id": name, "verified": verified} for kind, name, verified in chain], "trigger": trigger}


def new_hold(
    sent: Request | None = None, *, seats: tuple[Seat, ...] = MEDIUM, tier: Tier = Tier.MEDIUM, agent: str = "drafter", **changes: object
) -> NewHold:
    """A hold about to be opened."""
    sent = sent or request()
    asked = NewHold(
        ruling="r_1", digest=sent.digest(agent, Stage.EXPORT), repeat_digest=sent.repeat_digest(agent), agent=agent, initiator="",
        workflow="newsletter", upstream="cms", stage=Stage.EXPORT, kind="post.publish", asset="42", lookup_digest=None,
        verdict=Ask(tier, (Reason("publish_not_granted", "stagewarden.rules.stages", "A publish waits for people"),), seats),
        request=sent, question={"request": {"digest": "d"}, "principal": principal()},
    )  # fmt: skip
    return replace(asked, **changes)


def ballot(hold: Hold, person: str = "rita", function: str = "reviewer", decision: str = "approve", **changes: object) -> Ballot:
    """A ballot that would count."""
    answers = dict.fromkeys(hold.questions, True)
    reason = None if decision == "approve" else "off_brand"
    return replace(Ballot(person, function, decision, hold.digest, hold.view_digest, reason, None, answers), **changes)


class Bench:
    """The real store and holds over it, with shortcuts to each state."""

    def __init__(self, store: Store, holds: Holds, clock: HandClock, url: URL | str) -> None:
        self._url = url
        self.store = store
        self.holds = holds
        self.clock = clock
        self.registry = registry()

    async def log(self) -> list[Mapping[str, object]]:
        """Deliver the outbox, as the gate does; the bodies delivered."""
        entries = await self.holds.undelivered()
        await self.holds.delivered([entry.id for entry in entries])
        return [entry.body for entry in entries]

    async def pending(self, **changes: object) -> Hold:
        """A hold that waits; another one at each call."""
        changes.setdefault("sent", request(new_id("b", self.clock.now_ns()).encode()))
        return (await self.holds.open(new_hold(**changes))).hold

    async def approved(self, **changes: object) -> Hold:
        """A hold approved by rita, its entries in the log."""
        hold = await self.pending(**changes)
        moved = await self.holds.vote(hold.id, ballot(hold), self.registry)
        await self.log()
        return moved.hold

    async def claimed(self, attempt: str = "a_1") -> Hold:
        """A hold claimed by an attempt."""
        return (await self.holds.claim((await self.approved()).id, attempt)).hold

    async def sent(self, attempt: str = "a_1") -> Hold:
        """A hold whose bytes may have left."""
        return (await self.holds.mark_sent((await self.claimed(attempt)).id, attempt)).hold

    async def ended(self, answer: Answer | None = OK, attempt: str = "a_1") -> Hold:
        """A hold that was sent and answered."""
        return (await self.holds.finish((await self.sent(attempt)).id, attempt, answer)).hold

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Bench]:
        """Another process on the same database and the same clock, with deadlines and leases of its own."""
        store = Store(self._url)
        await (store.join() if self.store.exclusive else store.open())
        try:
            other = Holds(store, Vault(KEY), self.clock, self.holds._terms, self.holds._limits)
            yield Bench(store, other, self.clock, self._url)
        finally:
            await store.close()

    async def force(self, hold: Hold, **columns: object) -> Hold:
        """Write past the table of moves, to stand where a test begins."""
        async with self.store.writing() as connection:
            await connection.execute(update(table).where(table.c.id == hold.id).values(**columns))
        return await self.holds.get(hold.id)

    async def snapshot(self) -> tuple[object, ...]:
        """Everything stored, to show that nothing changed."""
        async with self.store.reading() as connection:
            names = ("holds", "titles", "votes", "reviews", "outbox", "meta")
            return tuple([(await connection.exec_driver_sql(f"SELECT * FROM {name}")).fetchall() for name in names])


def states(moved: tuple[Moved, ...]) -> dict[str, str]:
    """Hold → state of several moves."""
    return {each.hold.id: str(each.hold.state) for each in moved}


@asynccontextmanager
async def open_bench(
    folder: Path, clock: HandClock | None = None, terms: config.Holds | None = None, *, instance: str | None = None, **limits: int
) -> AsyncIterator[Bench]:
    """A bench over the database of this folder (tests/databases.py)."""
    url = locate(state_in(folder), folder)
    store = Store(url, instance)
    await store.open()
    clock = clock or HandClock()
    try:
        yield Bench(store, Holds(store, Vault(KEY), clock, terms or PLAIN, config.Limits(**limits)), clock, url)
    finally:
        await store.close()
