"""Model-based: any sequence of acts over the real store. No use without a live grant, never more uses than granted, no way out of an end."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stagewarden.errors import Conflict
from stagewarden.grants.lifecycle import ENDED, TRANSITIONS
from tests.unit.grants.bench import DIGEST, Bench, open_bench
from tests.unit.holds.bench import HandClock

EDGES = {(str(start), str(end)) for (start, _), end in TRANSITIONS.items()}
TTL, REVIEW, DECIDE = 100, 60, 600  # seconds


class Life(RuleBasedStateMachine):
    """Random lives of a few grants, in two processes that share a database."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HandClock()
        self.stack = AsyncExitStack()
        self.here: Bench = self.run_(self.stack.enter_async_context(open_bench(Path(self.folder.name), self.clock)))
        self.there = Bench(self.here.store, self.clock)
        self.state: dict[str, str] = {}
        self.ends: dict[str, tuple[float, float]] = {}  # both clocks
        self.uses: dict[str, dict[str, str]] = {}
        self.grants: dict[str, object] = {}

    def run_(self, awaited):
        """Run to its end."""

        async def as_coroutine():
            return await awaited

        return self.runner.run(as_coroutine())

    def teardown(self) -> None:
        """Close everything."""
        self.run_(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def took(self, changed) -> None:
        """A move that was made is one of the table's."""
        grant = changed.grant
        was = self.state.get(grant.id)
        assert was is None or was == grant.state or (was, str(grant.state)) in EDGES
        self.state[grant.id] = str(grant.state)
        if grant.state == "active" and was == "requested":
            left = min(TTL, REVIEW if grant.terms.review_within else TTL)
            self.ends[grant.id] = (self.clock.now_ns() / 1e9 + left, self.clock.monotonic() + left)
        self.grants[grant.id] = grant

    def over(self, grant: str) -> bool:
        """By the model's own reckoning, on either clock of the process that saw it begin."""
        wall, monotonic = self.ends[grant]
        return self.clock.now_ns() / 1e9 >= wall - 1e-6 or self.clock.monotonic() >= monotonic - 1e-6

    @rule(review=some.booleans())
    def ask(self, review) -> None:
        """Somebody asks."""
        if sum(state not in ENDED for state in self.state.values()) < 2:
            terms = {"uses": 2, "ttl": TTL, "review_within": REVIEW if review else None}
            grant = self.run_(self.here.requested(**terms))
            self.run_(self.here.logged())
            self.state[grant.id], self.uses[grant.id], self.grants[grant.id] = "requested", {}, grant

    @precondition(lambda self: self.state)
    @rule(data=some.data(), person=some.sampled_from(["bruno", "lena"]), decision=some.sampled_from(["approve", "approve", "approve", "reject"]))
    def vote(self, data, person: str, decision: str) -> None:
        """A vote counts only while it is asked for."""
        name = data.draw(some.sampled_from(list(self.state)))
        function = {"bruno": "business", "lena": "security"}[person]
        try:
            self.took(self.run_(self.here.voted(self.grants[name], person, function, decision)))
            self.run_(self.here.logged())
        except Conflict:
            return

    @precondition(lambda self: "requested" in self.state.values())
    @rule(data=some.data())
    def agree(self, data) -> None:
        """Whoever has not voted yet says yes."""
        name = data.draw(some.sampled_from([name for name, state in self.state.items() if state == "requested"]))
        for person, function in (("bruno", "business"), ("lena", "security")):
            try:
                self.took(self.run_(self.here.voted(self.grants[name], person, function)))
                self.run_(self.here.logged())
            except Conflict:
                assert self.clock.now_ns() >= self.grants[name].decide_by_ns
                return

    @precondition(lambda self: self.state)
    @rule(data=some.data(), act=some.sampled_from(["revoke", "complete"]), there=some.booleans())
    def end(self, data, act: str, there) -> None:
        """A person ends one, in whatever process."""
        name = data.draw(some.sampled_from(list(self.state)))
        was = self.state[name]
        try:
            self.took(self.run_(getattr((self.there if there else self.here).grants, act)(name, "ines", "")))
            self.run_(self.here.logged())
        except Conflict:
            assert was in ENDED or (was == "requested" and act == "complete")

    @precondition(lambda self: self.state)
    @rule(data=some.data(), times=some.integers(1, 3))
    def reserve(self, data, times: int) -> None:
        """A use is taken only of a live grant, and never one too many."""
        living = [name for name, state in self.state.items() if state == "active"]
        name = data.draw(some.sampled_from(living or list(self.state)))
        for _ in range(times):
            self.reserve_one(name)

    def reserve_one(self, name: str) -> None:
        """By the model's own count."""
        left = 2 - sum(state != "returned" for state in self.uses[name].values())
        allowed = self.state[name] == "active" and not self.over(name) and left > 0
        found = self.run_(self.here.grants.reserve(self.grants[name], "r", DIGEST, ()))
        assert (found is not None) is allowed
        if found is not None:
            self.uses[name][found[0].id] = "reserved"

    @precondition(lambda self: any(self.uses.values()))
    @rule(data=some.data(), sent=some.booleans(), there=some.booleans())
    def settle(self, data, sent, there) -> None:
        """A use is sent or given back once, whoever does it; a grant that has ended sends nothing."""
        name, use = data.draw(some.sampled_from([(name, use) for name, uses in self.uses.items() for use in uses]))
        room = (self.there if there and not sent else self.here).grants
        open_ = self.uses[name][use] == "reserved"
        changed = self.run_(room.sent(use) if sent else room.give_back(use))
        if sent:
            assert (changed is not None) is (open_ and self.state[name] == "active" and not self.over(name))
        else:
            assert (changed is not None) is open_
        if changed is not None:
            self.uses[name][use] = "sent" if sent else "returned"
            self.run_(self.here.logged())
            self.took(changed)

    @rule(seconds=some.sampled_from([1, 30, 61, 101]), jump=some.sampled_from([0, 0, -50, 50]))
    def wait(self, seconds: int, jump: int) -> None:
        """Time passes, and somebody may set the wall clock."""
        self.clock.advance(seconds)
        self.clock.jump(jump)

    @rule()
    def clear_away(self) -> None:
        """The clockwork ends what is due, and nothing else."""
        for changed in self.run_(self.here.grants.end_due()):
            name = changed.grant.id
            assert self.state[name] == "requested" or self.over(name)
            self.took(changed)

    @invariant()
    def what_is_stored_is_what_the_model_knows(self) -> None:
        """States, counts, and `spent` exactly when every use is sent."""
        for name, state in self.state.items():
            stored = self.run_(self.here.grants.get(name))
            taken = sum(use != "returned" for use in self.uses[name].values())
            assert (str(stored.state), stored.used) == (state, taken)
            assert taken <= 2
            assert state != "spent" or [*self.uses[name].values()].count("sent") == 2


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
