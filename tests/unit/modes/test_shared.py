"""Stops over replicas: engaged in either is engaged, loosened by the shared state alone, and nothing lost whatever is unreachable meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select

from stagewarden.clock import SystemClock
from stagewarden.errors import CannotTell, Conflict, NotAllowed, NotFound, StateUnavailable
from stagewarden.model import Stage
from stagewarden.modes import MODES, RANK, Modes, NotDurable, Shared, Terms
from stagewarden.store import Store, locate
from stagewarden.store.tables import stops
from tests.databases import DATABASES, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

STALE = 5.0


class Hands(SystemClock):
    """The monotonic clock moves when it is told to, and a little by itself."""

    ahead = 0.0

    def monotonic(self) -> float:
        """With what was added."""
        return super().monotonic() + self.ahead


@dataclass
class Replica:
    """One file and its end of the shared state. `reach(False)`: the database does not answer it."""

    modes: Modes
    shared: Shared
    store: Store
    clock: Hands
    path: Path

    def reach(self, *, reached: bool) -> None:
        """Cut it off, or let it back."""
        self.shared._store = self.store if reached else Store(locate("sqlite:never-opened.db", self.path.parent))

    async def kill(self, scope: str) -> str:
        """As the gate does it: the file, then the others as far as they are reached."""
        kill = await self.modes.kill(scope, "alice", "x")
        await self.hear()
        return kill.id

    async def set_mode(self, agent: str, mode: str, terms: Terms | None = None) -> None:
        """Tightened here first, loosened by the shared state."""
        stored = self.modes.stored(agent)
        if stored is not None and RANK[mode] < RANK[stored.mode]:
            await self.shared.loosen(self.modes.loosening(agent, mode, "bob", "y", terms or Terms()))
            return
        await self.modes.set_mode(agent, mode, "alice", "x")
        await self.hear()

    async def lift(self, kill_id: str, terms: Terms | None = None) -> None:
        """By its id."""
        await self.shared.loosen(self.modes.lifting(kill_id, "bob", "y", terms or Terms()))

    async def hear(self) -> None:
        """Where it can."""
        try:
            await self.shared.hear()
        except StateUnavailable:
            assert self.shared._store is not self.store


@pytest.fixture(params=DATABASES)
async def store(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """One database for all."""
    with prepared(request.param, tmp_path) as state:
        made = Store(locate(state, tmp_path))
        await made.open()
        yield made
        await made.close()


def replicas(count: int, store: Store, folder: Path) -> list[Replica]:
    """Each with a file of its own."""
    found = []
    for number in range(count):
        clock, path = Hands(), folder / f"replica{number}" / "stops.json"
        modes = Modes(path, clock, look_again=0, shared=True)
        modes.open()
        found.append(Replica(modes, Shared(modes, store, clock, STALE), store, clock, path))
    return found


@pytest.fixture
async def three(store: Store, tmp_path: Path) -> list[Replica]:
    """Three replicas that have heard."""
    found = replicas(3, store, tmp_path)
    for each in found:
        await each.hear()
    return found


async def all_hear(*each: Replica) -> None:
    """What one tells the last, the first hears in the second round."""
    for one in (*each, *each):
        await one.hear()


async def test_a_kill_of_one_replica_is_in_every_file(three: list[Replica]) -> None:
    """With the database gone afterwards it still holds, and a restart finds it."""
    kill = await three[0].kill("agent:a")
    await all_hear(*three)
    for each in three:
        each.reach(reached=False)
        again = Modes(each.path, each.clock)
        again.open()
        assert [one.id for one in again.kills()] == [kill]


async def test_unkill_by_another_replica_clears_all(three: list[Replica]) -> None:
    """By the id, everywhere; what it was is in every replica's list of acts, under the same entry ids."""
    kill = await three[0].kill("agent:a")
    await three[1].hear()
    await three[1].lift(kill)
    await all_hear(*three)
    assert [each.modes.kills() for each in three] == [(), (), ()]
    acts = [[(change.id, change.act) for change in each.modes.changes(0)] for each in three]
    assert acts[0] == acts[1] == acts[2]
    assert [act for _, act in acts[0]] == ["kill", "unkill"]


async def test_a_kill_made_while_cut_off_reaches_the_others_afterwards(three: list[Replica]) -> None:
    """It holds in its own file at once, is not lost by a restart, and is told once the state is there again."""
    three[0].reach(reached=False)
    kill = await three[0].kill("all")
    assert three[0].modes.stop() is not None
    assert three[1].modes.stop() is None
    three[0].modes = Modes(three[0].path, three[0].clock, shared=True)
    three[0].modes.open()
    three[0].shared = Shared(three[0].modes, three[0].store, three[0].clock, STALE)
    await all_hear(*three)
    assert all([one.id for one in each.modes.kills()] == [kill] for each in three)


async def test_nothing_is_loosened_while_the_shared_state_is_not_reached(three: list[Replica]) -> None:
    """Neither a kill nor a mode, and nothing changes."""
    kill = await three[0].kill("agent:a")
    await three[0].set_mode("b", "paused")
    three[0].reach(reached=False)
    before = three[0].path.read_bytes()
    with pytest.raises(StateUnavailable):
        await three[0].lift(kill)
    with pytest.raises(StateUnavailable):
        await three[0].set_mode("b", "active")
    assert three[0].path.read_bytes() == before


async def test_the_stricter_mode_wins_until_both_know(three: list[Replica]) -> None:
    """A replica that is cut off tightens; another loosens what it knows meanwhile: the tighter one stands in the end, everywhere."""
    await three[0].set_mode("a", "recommend_only")
    await all_hear(*three)
    three[0].reach(reached=False)
    await three[0].set_mode("a", "paused")
    await three[1].set_mode("a", "active")
    assert [each.modes.mode_of("a", "active") for each in three] == ["paused", "active", "recommend_only"]
    three[0].reach(reached=True)
    await all_hear(*three)
    assert [each.modes.mode_of("a", "active") for each in three] == ["paused"] * 3


async def test_a_tightening_made_blindly_never_loosens(three: list[Replica]) -> None:
    """`recommend_only`, ordered where a pause was not known, leaves the pause."""
    three[0].reach(reached=False)
    await three[0].set_mode("a", "recommend_only")
    await three[1].set_mode("a", "paused")
    three[0].reach(reached=True)
    await all_hear(*three)
    assert [each.modes.mode_of("a", "active") for each in three] == ["paused"] * 3


async def test_revoked_is_final_over_replicas(three: list[Replica]) -> None:
    """Also for one that had not heard of it when it was asked."""
    await three[0].set_mode("a", "paused")
    await all_hear(*three)
    await three[1].set_mode("a", "revoked")
    with pytest.raises(Conflict, match="final"):
        await three[0].set_mode("a", "active")
    await all_hear(*three)
    assert [each.modes.mode_of("a", "active") for each in three] == ["revoked"] * 3


async def test_who_may_loosen_is_asked_of_what_stands_in_the_shared_state(three: list[Replica]) -> None:
    """Security confirmed the pause on another replica a moment ago: the permit sees that, and not what this replica knew."""
    await three[0].set_mode("a", "paused")
    await all_hear(*three)
    await three[1].modes.set_mode("a", "paused", "sam", "looks wrong", Terms(security=True))
    await three[1].hear()

    def permit(standing: object) -> None:
        if getattr(standing, "security", False):
            raise NotAllowed("security")

    with pytest.raises(NotAllowed):
        await three[0].set_mode("a", "active", Terms(permit=permit))
    await all_hear(*three)
    assert [each.modes.mode_of("a", "active") for each in three] == ["paused"] * 3


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.GENERATE])
async def test_a_replica_that_has_not_heard_refuses_writes(three: list[Replica], stage: Stage) -> None:
    """After `max_staleness` no write goes through, drafting does; a kill it knows is still told as one; hearing again ends it."""
    mine = three[0]
    mine.clock.ahead = STALE - 0.5
    assert mine.modes.stop(agent="a", stage=stage) is None
    mine.clock.ahead = STALE + 0.5
    with pytest.raises(CannotTell, match="not been heard"):
        mine.modes.stop(agent="a", stage=stage)
    assert mine.modes.stop(agent="a", stage=Stage.GENERATE) is None
    assert mine.modes.stop(agent="a") is None
    await mine.modes.kill("agent:b", "x", "y")
    assert mine.modes.stop(agent="b", stage=stage) is not None
    await mine.hear()
    assert mine.modes.stop(agent="a", stage=stage) is None


async def test_another_process_of_the_same_file_knows_when_it_was_heard(three: list[Replica]) -> None:
    """A worker asks no database: its house's word, in the tick, is what it goes by."""
    worker = Modes(three[0].path, three[0].clock, look_again=0, shared=True)
    worker.join()
    assert worker.stop(agent="a", stage=Stage.EXPORT) is None
    three[0].clock.ahead = STALE + 0.5
    assert worker.stale
    await three[0].hear()
    assert not worker.stale


async def test_before_anything_was_heard_no_write_goes_through(store: Store, tmp_path: Path) -> None:
    """Not even where an earlier run had heard: that says nothing of now."""
    (mine,) = replicas(1, store, tmp_path)
    assert mine.modes.stale
    await mine.hear()
    assert not mine.modes.stale
    mine.modes.unheard()
    assert mine.modes.stale


async def test_alone_nothing_is_ever_stale(tmp_path: Path) -> None:
    """Without replicas there is nobody to hear."""
    clock = Hands()
    modes = Modes(tmp_path / "stops.json", clock, look_again=0)
    modes.open()
    clock.ahead = 1e9
    assert modes.stop(agent="a", stage=Stage.EXPORT) is None


async def test_another_database_is_told_what_stands_here(three: list[Replica], store: Store) -> None:
    """Restored from a backup, or begun anew: no stop is lost by that, and the lifted ones stay lifted."""
    await three[0].kill("agent:a")
    lifted = await three[0].kill("agent:b")
    await three[0].lift(lifted)
    await three[0].set_mode("c", "paused")
    await all_hear(*three)
    async with store.writing() as connection:
        await connection.execute(delete(stops))
    await all_hear(*three)
    fresh = Modes(three[0].path.with_name("fresh.json"), three[0].clock, shared=True)
    fresh.open()
    await Shared(fresh, store, three[0].clock, STALE).hear()
    for modes in (fresh, *(each.modes for each in three)):
        assert [kill.scope for kill in modes.kills()] == ["agent:a"]
        assert modes.mode_of("c", "active") == "paused"
    async with store.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(stops)) == 2  # each told once


async def test_a_file_of_one_process_alone_joins_a_fleet(store: Store, tmp_path: Path) -> None:
    """Stops made before there was a shared state reach it."""
    (mine, other) = replicas(2, store, tmp_path)
    mine.modes.shared = False
    await mine.modes.kill("agent:a", "alice", "x")
    mine.modes.shared = True
    await all_hear(mine, other)
    assert [kill.scope for kill in other.modes.kills()] == ["agent:a"]


async def test_an_order_of_a_later_release_is_not_heard(three: list[Replica], store: Store) -> None:
    """Not understood is not heard: past `max_staleness` no write goes through."""
    row = {
        "number": 1, "id": "e_1", "act": "mode", "subject": "a", "scope": "agent:a", "mode": "resting", "by": "", "at_ns": 1, "reason": "",
        "security": False, "loosens": True, "relapse": False, "observed_until_ns": 0,
    }  # fmt: skip
    async with store.writing() as connection:
        await connection.execute(insert(stops).values(**row))
    with pytest.raises(StateUnavailable, match="does not know"):
        await three[0].shared.hear()
    three[0].clock.ahead = STALE + 1
    assert three[0].modes.stale


def unwritable(each: Replica) -> Callable[[], None]:
    """The new file cannot be made, whoever asks (a test may run as root); the way back."""
    beside = each.path.with_name("stops.json.new")
    beside.mkdir()
    return beside.rmdir


async def test_a_kill_that_cannot_be_written_is_engaged_by_the_shared_state(three: list[Replica]) -> None:
    """In memory here, in the files of the others; once there is room it is in this file too, once."""
    mend = unwritable(three[0])
    with pytest.raises(NotDurable) as failure:
        await three[0].modes.kill("agent:a", "alice", "x")
    assert three[0].modes.stop(agent="a") is not None
    with pytest.raises(CannotTell):
        await three[0].shared.hear()  # what it told comes back, and cannot be written
    assert not three[0].shared.lacks(failure.value.change.id)
    await all_hear(*three[1:])
    assert [len(each.modes.kills()) for each in three] == [1, 1, 1]
    mend()
    await three[0].hear()
    assert (three[0].modes.unwritten, len(three[0].modes.kills())) == ((), 1)
    assert len(three[0].modes.changes(0)) == 1
    await three[1].lift(failure.value.change.subject)
    await all_hear(*three)
    assert [each.modes.kills() for each in three] == [(), (), ()]


async def test_news_that_cannot_be_written_hold_in_memory(three: list[Replica]) -> None:
    """A full disk at one replica keeps no kill of another from it; a loosening waits for room."""
    mend = unwritable(three[0])
    kill = await three[1].kill("agent:a")
    with pytest.raises(CannotTell):
        await three[0].shared.hear()
    assert three[0].modes.stop(agent="a") is not None
    await three[1].lift(kill)
    with pytest.raises(CannotTell):
        await three[0].shared.hear()
    assert three[0].modes.stop(agent="a") is not None
    mend()
    await three[0].hear()
    assert three[0].modes.stop(agent="a") is None


async def test_orders_given_at_once_are_one_sequence(three: list[Replica], store: Store) -> None:
    """Thirty kills and modes from three replicas at the same time: numbered without a gap, and the same in every file."""
    await asyncio.gather(*(each.kill(f"agent:{number}-{turn}") for number, each in enumerate(three) for turn in range(10)))
    await all_hear(*three)
    async with store.reading() as connection:
        numbers = [row.number for row in await connection.execute(select(stops.c.number).order_by(stops.c.number))]
    assert numbers == list(range(1, 31))
    assert all(len(each.modes.kills()) == 30 for each in three)


async def test_lifting_a_kill_that_is_lifted_already(three: list[Replica]) -> None:
    """It is not found, on whichever replica; nothing is ordered."""
    kill = await three[0].kill("agent:a")
    await all_hear(*three)
    await three[1].lift(kill)
    with pytest.raises(NotFound):
        await three[2].lift(kill)


Step: TypeAlias = "tuple[str, int, object]"
steps = st.lists(
    st.one_of(
        st.tuples(st.just("kill"), st.integers(0, 2), st.sampled_from(["all", "agent:a"])),
        st.tuples(st.just("lift"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("mode"), st.integers(0, 2), st.sampled_from(MODES)),
        st.tuples(st.just("cut"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("hear"), st.integers(0, 2), st.just(0)),
    ),
    max_size=14,
)


async def take(one: Replica, act: str, what: object, standing: dict[str, int]) -> str | None:
    """One step, as far as it is let: what it engaged, lifted or gave."""
    try:
        match act, what:
            case "kill", str():
                return await one.kill(what)
            case "lift", int() if standing:
                kill = list(standing)[what % len(standing)]
                await one.lift(kill)
                return kill
            case "mode", str():
                await one.set_mode("a", what)
                return what
            case "cut", bool():
                one.reach(reached=not what)
            case "hear", _:
                await one.hear()
    except (StateUnavailable, NotFound, Conflict):
        return None
    return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps)
def test_any_sequence_over_replicas_ends_the_same_everywhere(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[tuple[str, int, object]]
) -> None:
    """Whoever is cut off when: a kill not lifted by its id stands, in its own file always, in every file in the end; revoked stays."""

    async def play() -> None:
        folder = tmp_path_factory.mktemp("replicas")
        store = Store(locate("sqlite:state.db", folder))
        await store.open()
        try:
            three = replicas(3, store, folder)
            await all_hear(*three)
            standing: dict[str, int] = {}
            revoked = False
            for act, who, what in sequence:
                one = three[who]
                done = await take(one, act, what, standing)
                if done and act == "kill":
                    standing[done] = who
                elif done and act == "lift":
                    del standing[done]
                revoked = revoked or done == "revoked"
                assert all(kill in {known.id for known in three[owner].modes.kills()} for kill, owner in standing.items())
            for each in three:
                each.reach(reached=True)
            await all_hear(*three)
            assert [{kill.id for kill in each.modes.kills()} for each in three] == [set(standing)] * 3
            modes = {each.modes.mode_of("a", "active") for each in three}
            assert len(modes) == 1
            assert not revoked or modes == {"revoked"}
        finally:
            await store.close()

    asyncio.run(play())
