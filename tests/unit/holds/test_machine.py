"""Model-based: any sequence of acts over the real store. No path to `sent` without a live, matching, unspent approval by distinct eligible people."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stagewarden import config
from stagewarden.errors import Conflict, Invalid, NotAllowed, Refused
from stagewarden.holds.lifecycle import TRANSITIONS
from stagewarden.model import Answer, HoldState
from stagewarden.registry import Person
from tests.databases import prepared
from tests.unit.holds.bench import HIGH, MEDIUM, PLAIN, HandClock, ballot, new_hold, open_bench, principal, registry, request

REFUSED = (Conflict, NotAllowed, Invalid, Refused)
PEOPLE = ("rita", "rita-admin", "ravi", "lena", "olga", "mike", "gone", "nobody")
FUNCTIONS = ("reviewer", "manager", "legal", "marketing")
HUMAN = {"rita-admin": "rita"}
EDGES = {(str(start), str(end)) for (start, _), end in TRANSITIONS.items()}
NOTHING_SENT = {"rejected", "sent_back", "expired", "withdrawn", "stopped", "superseded"}
DOUBTFUL = {(start, "unknown" if end in NOTHING_SENT else end) for start, end in EDGES}


@dataclass
class Expected:
    """What the model knows of one hold, by its own reasoning."""

    seats: tuple
    votes: dict[str, str] = field(default_factory=dict)  # human → function, eligible when cast
    state: str = "pending"
    approved_at: tuple[float, float] = (0.0, 0.0)  # both clocks
    attempts: set[str] = field(default_factory=set)
    sends: int = 0
    asked: bool = True
    editors: tuple[str, ...] = ()  # human beings


class Life(RuleBasedStateMachine):
    """Random lives of a few holds that are sent as soon as they are approved."""

    terms = PLAIN

    kind = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.database = ExitStack()
        self.database.enter_context(prepared(self.kind, Path(self.folder.name)))
        self.clock = HandClock()
        self.left: set[str] = set()
        self.known: dict[str, Expected] = {}
        self.count = 0
        self.started = 0.0
        self.enter()

    def enter(self) -> None:
        """Open the bench, as at a start."""
        self.stack = AsyncExitStack()
        self.bench = self.run_(self.stack.enter_async_context(open_bench(Path(self.folder.name), self.clock, self.terms, holds_per_agent=4)))
        self.took(self.run_(self.bench.holds.recover()))

    def run_(self, awaited):
        """Run to its end."""
        return self.runner.run(self._as_coroutine(awaited))

    @staticmethod
    async def _as_coroutine(awaited):
        return await awaited

    def teardown(self) -> None:
        """Close everything."""
        self.run_(self.stack.aclose())
        self.runner.close()
        self.database.close()
        self.folder.cleanup()

    def took(self, moved) -> None:
        """Follow moves along the table's edges. Nobody says of what was begun to be sent, and is not on its way now, that nothing was sent."""
        for each in moved:
            expected = self.known[each.hold.id]
            begun = expected.sends - (expected.state == "sent")
            assert not each.entries or (expected.state, str(each.hold.state)) in (DOUBTFUL if begun else EDGES)
            expected.state = str(each.hold.state)

    def tried(self, awaited):
        """A move, or None where it was refused."""
        try:
            moved = self.run_(awaited)
        except REFUSED:
            return None
        self.took([moved])
        return moved

    def registry_(self):
        """The registry of this moment."""
        base = registry()
        return registry(**{name: Person(functions=base.data.people[name].functions, active=False) for name in self.left})

    pick = some.integers(0, 5)

    def hold(self, number: int, likely: str = "") -> str:
        """One of the holds; five times in six one of the state where the act is likely to succeed."""
        fitting = [name for name, expected in self.known.items() if expected.state == likely]
        among = fitting if fitting and number else list(self.known)
        return among[number % len(among)]

    def attempt(self, hold_id: str, back: int) -> str:
        """The attempt that holds this hold, or another one."""
        return (self.run_(self.bench.holds.get(hold_id)).attempt if not back else None) or f"a_{max(1, self.count - back)}"

    @initialize(seats=some.sampled_from([MEDIUM, HIGH]), started=some.booleans())
    def begins(self, seats, started):
        """One hold waits, another is perhaps about to be sent."""
        for body in (b"a", b"b"):
            self.opens(body, seats)
            if started and body == b"a":
                self.goes_far(1)

    @rule(body=some.sampled_from([b"a", b"b", b"c"]), seats=some.sampled_from([MEDIUM, HIGH]), asked=some.sampled_from([True, True, False]))
    def opens(self, body, seats, asked=True):  # noqa: FBT002 - hypothesis names it
        """Opened or proposed, or the one that stands already; at most four are open."""
        try:
            moved = self.run_(self.bench.holds.open(new_hold(request(body), seats=seats, asked=asked)))
        except Refused:
            assert sum(each.state in {"pending", "settling", "approved", "claimed", "sent"} for each in self.known.values()) >= 4
            return
        if moved.entries:
            self.known[moved.hold.id] = Expected(seats, asked=asked)

    @precondition(lambda self: self.known)
    @rule(number=pick, person=some.sampled_from(PEOPLE))
    def takes_up(self, number, person):
        """A proposal is asked about once somebody who could approve it wants that."""
        hold_id, people = self.hold(number, "pending"), self.registry_()
        moved = self.tried(self.bench.holds.take_up(hold_id, person, people))
        if moved is not None and moved.entries:
            assert not self.known[hold_id].asked
            self.may(hold_id, person, people)
            self.known[hold_id].asked = True

    @precondition(lambda self: self.known)
    @rule(number=pick, person=some.sampled_from(PEOPLE), function=some.sampled_from(FUNCTIONS), stale=some.booleans())
    def edits(self, number, person, function, stale):
        """A hold of other bytes takes a pending one's place, without votes, and its editor among those who asked."""
        hold_id, people = self.hold(number, "pending"), self.registry_()
        old, expected = self.run_(self.bench.holds.get(hold_id)), self.known[hold_id]
        editors = (HUMAN.get(person, person), *expected.editors)
        self.count += 1
        fresh = new_hold(
            request(f"edited {self.count}".encode()), seats=expected.seats, predecessor=hold_id, editor=person, original=b"x",
            question={"principal": principal(*(("editor", editor, True) for editor in editors))},
        )  # fmt: skip
        seen = self.run_(self.bench.holds.get(self.hold(number + 1))) if stale else old
        try:
            moved = self.run_(self.bench.holds.edit(hold_id, ballot(seen, person, function), fresh, people))
        except REFUSED:
            return
        assert (expected.state, expected.asked, seen.digest) == ("pending", True, old.digest)
        self.may(hold_id, person, people)
        assert (moved.hold.votes, moved.hold.predecessor) == ((), hold_id)
        expected.state = "superseded"
        self.known[moved.hold.id] = Expected(expected.seats, editors=editors)

    def may(self, hold_id, person, people):
        """Somebody eligible: here, of the registry, not who started it, not who edited it."""
        assert people.data.people[person].active
        assert person != "olga"
        assert HUMAN.get(person, person) not in self.known[hold_id].editors

    @precondition(lambda self: self.known)
    @rule(
        number=pick, person=some.sampled_from(PEOPLE), function=some.sampled_from(FUNCTIONS),
        decision=some.sampled_from(["approve", "approve", "approve", "reject", "send_back"]), stale=some.booleans(),
    )  # fmt: skip
    def votes(self, number, person, function, decision, stale):
        """Any person, any function, also with what was shown for another hold."""
        self.cast(self.hold(number), person, function, decision, self.hold(number + 1) if stale else None)

    @precondition(lambda self: self.known)
    @rule(number=pick, person=some.sampled_from([("rita", "reviewer"), ("ravi", "manager"), ("lena", "legal")]))
    def approves(self, number, person):
        """The likely vote, so that many lives get far."""
        self.cast(self.hold(number, "pending"), *person, "approve")

    def cast(self, hold_id, person, function, decision, stale=None):
        """A vote counts only by an eligible person who holds a function asked for, once, on what stands."""
        people = self.registry_()
        handed_in = ballot(self.run_(self.bench.holds.get(stale or hold_id)), person, function, decision)
        moved = self.tried(self.bench.holds.vote(hold_id, handed_in, people))
        if moved is None or not moved.entries:
            return
        expected, entry = self.known[hold_id], people.data.people[person]
        assert entry.active
        assert function in entry.functions
        assert any(function in seat.functions for seat in expected.seats)
        human = HUMAN.get(person, person)
        assert human not in expected.votes
        if moved.entries[0].body["decision"] == "approve":
            self.may(hold_id, person, people)
            assert expected.asked
            expected.votes[human] = function
        if expected.state in {"approved", "settling"}:
            expected.approved_at = (self.clock.wall_ns / 1e9, self.clock.seconds)

    @precondition(lambda self: self.known)
    @rule(number=pick)
    def goes_far(self, number):
        """Everybody approves and a release begins, as on most days."""
        hold_id = self.hold(number, "pending")
        for person, function in (("ravi", "manager"), ("lena", "legal"), ("rita", "reviewer")):
            self.cast(hold_id, person, function, "approve")
        self.delivers()
        self.clock.advance(self.terms.settle)
        self.claims(number)

    @rule()
    def delivers(self):
        """The outbox goes into the log."""
        self.run_(self.bench.log())

    @rule(seconds=some.sampled_from([1, 1, 31, 899, 15 * 60, 5 * 3600]))
    def time_passes(self, seconds):
        """Both clocks."""
        self.clock.advance(seconds)

    @rule(seconds=some.sampled_from([-7 * 3600, -60, 60]))
    def clock_is_set(self, seconds):
        """The wall clock alone."""
        self.clock.jump(seconds)

    @rule()
    def expires(self):
        """The release loop's housekeeping."""
        self.took(self.run_(self.bench.holds.expire_due()))

    @rule(person=some.sampled_from(["rita", "ravi", "lena"]))
    def somebody_leaves(self, person):
        """And votes no more."""
        self.left.add(person)

    @precondition(lambda self: self.known)
    @rule(number=pick)
    def claims(self, number):
        """A release begins: only from an approval whose entries are in the log."""
        hold_id = self.hold(number, "settling" if self.terms.settle else "approved")
        self.count += 1
        waiting = self.run_(self.bench.holds.undelivered())
        if (moved := self.tried(self.bench.holds.claim(hold_id, f"a_{self.count}"))) is not None:
            assert not any(entry.body["hold"] == hold_id for entry in waiting)
            self.known[hold_id].attempts.add(moved.hold.attempt)
            wall, seconds = self.known[hold_id].approved_at
            if self.terms.settle:
                assert self.clock.wall_ns / 1e9 - wall >= self.terms.settle
                assert self.clock.seconds - seconds >= self.terms.settle or seconds < self.started  # as far as this process has seen it

    @precondition(lambda self: self.known and self.count)
    @rule(number=pick, back=some.integers(0, 2), resend=some.booleans())
    def sends(self, number, back, resend):
        """The one that matters: once, or up to three times where the upstream does the same key once."""
        hold_id = self.hold(number, "claimed")
        attempt = self.attempt(hold_id, back)
        if self.tried(self.bench.holds.mark_sent(hold_id, attempt, resend=resend)) is None:
            return
        expected = self.known[hold_id]
        expected.sends += 1
        assert attempt in expected.attempts
        assert expected.sends <= (3 if resend else 1)
        assert fills(expected.seats, expected.votes)
        assert expected.asked
        wall, seconds = expected.approved_at
        assert self.clock.seconds - max(seconds, self.started) < 15 * 60 + self.terms.settle  # a new process knows its own
        assert self.clock.wall_ns / 1e9 - wall < 15 * 60 + self.terms.settle

    @precondition(lambda self: self.known and self.count)
    @rule(number=pick, back=some.integers(0, 2), status=some.sampled_from([None, 200, 404, 503]))
    def finishes(self, number, back, status):
        """An answer, or none."""
        answer = None if status is None else Answer(status, (), b"")
        hold_id = self.hold(number, "sent")
        self.tried(self.bench.holds.finish(hold_id, self.attempt(hold_id, back), answer))

    @precondition(lambda self: self.known and self.count)
    @rule(number=pick, void=some.booleans())
    def gives_back(self, number, void):
        """A release that could not go on."""
        hold_id = self.hold(number, "claimed")
        attempt = self.attempt(hold_id, 0)
        if not void:
            self.tried(self.bench.holds.release_claim(hold_id, attempt))
        elif (
            moved := self.tried(
                self.bench.holds.back_to_pending(hold_id, attempt, [vote.id for vote in self.run_(self.bench.holds.get(hold_id)).votes])
            )
        ) is not None:
            assert moved.hold.votes == ()
            self.known[hold_id].votes.clear()

    @precondition(lambda self: self.known)
    @rule(number=pick, how=some.sampled_from(["withdraw", "stop", "supersede", "not_sent"]))
    def ends(self, number, how):
        """Somebody ends one hold."""
        holds, hold_id = self.bench.holds, self.hold(number)
        moved = self.tried(
            {
                "withdraw": lambda: holds.withdraw(hold_id, "drafter"), "stop": lambda: holds.stop(hold_id, "sam", "x"),
                "supersede": lambda: holds.supersede(hold_id, ()), "not_sent": lambda: holds.not_sent(hold_id, f"a_{max(1, self.count)}", None, "x"),
            }[how]()
        )  # fmt: skip
        if how == "not_sent" and moved is not None:
            self.known[hold_id].sends -= 1

    @rule(scope=some.sampled_from(["all", "agent:drafter", "agent:other"]))
    def kills(self, scope):
        """What was approved in scope is stopped."""
        self.took(self.run_(self.bench.holds.stop_in_scope(scope, "sam", "x")))
        if scope != "agent:other":
            assert not any(expected.state in {"settling", "approved", "claimed"} for expected in self.known.values())

    @rule()
    def restarts(self):
        """The process ends and another starts: nothing is sent meanwhile or again."""
        self.run_(self.stack.aclose())
        if not self.bench.store.exclusive:
            self.clock.advance(31)  # beside others a claim is its holder's until its lease is over
        self.started = self.clock.seconds
        self.enter()
        assert not any(expected.state in {"claimed", "sent"} for expected in self.known.values())

    @invariant()
    def the_database_agrees(self):
        """Every hold stands where the moves led, and nowhere else."""
        for hold_id, expected in self.known.items():
            hold = self.run_(self.bench.holds.get(hold_id))
            assert str(hold.state) == expected.state
            assert (hold.use_by_ns > 0) or hold.state is not HoldState.SENT


def fills(seats: tuple, votes: dict[str, str]) -> bool:
    """Whether some assignment of different people fills every place, by trying all."""
    places = [set(seat.functions) for seat in seats for _ in range(seat.count)]
    return any(all(votes[human] in place for human, place in zip(order, places, strict=True)) for order in permutations(votes, len(places)))


class SlowLife(Life):
    """The same with a time to settle, and others called at half of the time to decide."""

    terms = config.Holds(settle=config.Seconds(60))

    @rule()
    def calls(self):
        """Nobody is moved by it."""
        self.took(self.run_(self.bench.holds.escalate_due(self.registry_())))


class SharedLife(SlowLife):
    """The same lives where others could be using the database."""

    kind = "postgresql"


_FEW = settings(max_examples=6, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
TestSharedLife = SharedLife.TestCase
TestSharedLife.settings = settings(_FEW, max_examples=4)
TestLife = Life.TestCase
TestLife.settings = settings(_FEW, max_examples=10)
TestSlowLife = SlowLife.TestCase
TestSlowLife.settings = settings(_FEW, max_examples=10)
