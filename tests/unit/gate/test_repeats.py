"""`Idempotency-Key` over stores, restarts and faults (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, text, update

from stagewarden.errors import Conflict, Invalid, NotAllowed, StateUnavailable
from stagewarden.gate import repeats
from stagewarden.gate.repeats import CLAIM, DAY, Repeats, Write
from stagewarden.holds import Vault
from stagewarden.store import Store, locate
from stagewarden.store.tables import repeats as table
from tests.unit.holds.bench import HandClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

WRITE = Write("ines/None", "key-1", b"approve")


class Act:
    """Counts how often it was done; `fails`: what it ends with instead of an answer."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.done = 0
        self.fails = fails

    async def __call__(self) -> object:
        """Done once more."""
        self.done += 1
        if self.fails is not None:
            raise self.fails
        return {"done": self.done, "note": "CANARY-77"}


@pytest.fixture
async def house(state: str, tmp_path: Path) -> AsyncIterator[Store]:
    """The store of the process that opened the database."""
    store = Store(locate(state, tmp_path), "a")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def other(house: Store, state: str, tmp_path: Path) -> AsyncIterator[Store]:
    """Another process's store on the same database: a worker's of the same house, or a replica's."""
    store = Store(locate(state, tmp_path), "b")
    await (store.join() if house.exclusive else store.open())
    yield store
    await store.close()


def made(store: Store, clock: HandClock | None = None) -> Repeats:
    """What one replica has; every replica has the same key."""
    return Repeats(store, Vault(bytes(range(32))), clock or HandClock())


async def count(store: Store) -> int:
    """Rows kept."""
    async with store.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_the_first_answer_wherever_it_is_asked_again(house: Store, other: Store) -> None:
    """The same key and request at the same replica, at another, and after a restart: one act, one answer."""
    act, clock = Act(), HandClock()
    told = [await made(store, clock).once(WRITE, act) for store in (house, other, house)]
    assert (act.done, told) == (1, [{"done": 1, "note": "CANARY-77"}] * 3)


@pytest.mark.parametrize(
    ("write", "fails", "done"),
    [
        (Write("ines/None", "key-1", b"reject"), Invalid, 0),
        (Write("mara/None", "key-1", b"approve"), None, 1),
        (Write("ines/None", "key-2", b"approve"), None, 1),
        (Write("ines/None", '"key-1"', b"approve"), None, 0),
        (Write("ines/None", '"key \\"1\\""', b"approve"), None, 1),
    ],
    ids=["another-request", "another-caller", "another-key", "the-same-key-in-quotes", "quotes-inside"],
)
async def test_what_a_repeat_is(house: Store, other: Store, write: Write, fails: type[Exception] | None, done: int) -> None:
    """The same caller, key and request; with another request nothing is done."""
    clock, act = HandClock(), Act()
    await made(house, clock).once(WRITE, Act())
    if fails is not None:
        with pytest.raises(fails, match="another request"):
            await made(other, clock).once(write, act)
    else:
        await made(other, clock).once(write, act)
    assert act.done == done


async def test_while_the_first_is_under_way(house: Store, other: Store) -> None:
    """At any replica a conflict, not a second act; then the answer."""
    clock, begun, end, second = HandClock(), asyncio.Event(), asyncio.Event(), Act()

    async def slow() -> object:
        begun.set()
        await end.wait()
        return "first"

    first = asyncio.create_task(made(house, clock).once(WRITE, slow))
    await begun.wait()
    for store in (house, other):
        with pytest.raises(Conflict, match="still running"):
            await made(store, clock).once(WRITE, second)
    end.set()
    assert (await first, await made(other, clock).once(WRITE, second), second.done) == ("first", "first", 0)


async def test_two_hundred_at_once_are_one_act(house: Store, other: Store) -> None:
    """However many replicas are asked in parallel, one does it; the others are told to wait, or its answer."""
    clock, act = HandClock(), Act()
    told = await asyncio.gather(*[made((house, other)[n % 2], clock).once(WRITE, act) for n in range(200)], return_exceptions=True)
    assert act.done == 1
    assert {type(one) for one in told} <= {dict, Conflict}
    assert await made(other, clock).once(WRITE, act) == {"done": 1, "note": "CANARY-77"}


async def test_a_refused_act_may_be_tried_again(house: Store) -> None:
    """A key remembers answers, not refusals."""
    act, clock = Act(NotAllowed("no")), HandClock()
    with pytest.raises(NotAllowed):
        await made(house, clock).once(WRITE, act)
    assert await count(house) == 0
    act.fails = None
    assert await made(house, clock).once(WRITE, act) == {"done": 2, "note": "CANARY-77"}


@pytest.mark.parametrize("cut", [asyncio.CancelledError(), RuntimeError("ours")], ids=["cancelled", "our-mistake"])
async def test_an_act_that_was_cut_off(house: Store, other: Store, cut: BaseException) -> None:
    """Nobody knows how far it came: a conflict until its claim is over, then whoever asks first may do it, and the late one keeps nothing."""
    clock, late, again = HandClock(), Act(cut), Act()
    with pytest.raises(type(cut)):
        await made(house, clock).once(WRITE, late)
    with pytest.raises(Conflict):
        await made(other, clock).once(WRITE, again)
    clock.advance(CLAIM / 1e9)
    assert await made(other, clock).once(WRITE, again) == {"done": 1, "note": "CANARY-77"}
    assert (late.done, again.done) == (1, 1)


async def test_it_is_forgotten_after_a_day(house: Store) -> None:
    """Not before, and what is over is deleted."""
    clock, act = HandClock(), Act()
    kept = made(house, clock)
    await kept.once(WRITE, act)
    clock.advance(DAY / 1e9 - 1)
    await kept.once(WRITE, act)
    assert act.done == 1
    clock.advance(1)
    await kept.once(Write("mara/None", "x", b""), Act())
    assert await count(house) == 1
    await kept.once(WRITE, act)
    assert act.done == 2


async def test_bounded_for_each_caller(house: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys somebody sends, so many are kept, and nobody else's give way."""
    monkeypatch.setattr(repeats, "KEPT", 5)
    clock = HandClock()
    kept = made(house, clock)
    await kept.once(Write("mara/None", "x", b""), Act())
    for number in range(12):
        await kept.once(Write("ines/None", str(number), b""), Act())
    assert await count(house) == 1 + 5 + 1  # one's, and the other's with the newest
    newest, oldest, others = Act(), Act(), Act()
    await kept.once(Write("ines/None", "11", b""), newest)
    await kept.once(Write("ines/None", "0", b""), oldest)
    await kept.once(Write("mara/None", "x", b""), others)
    assert (newest.done, oldest.done, others.done) == (0, 1, 0)


async def test_nothing_of_it_is_stored_in_clear(house: Store, tmp_path: Path) -> None:
    """Not the answer, not the key, not the caller: neither in a row nor, where it is a file, in any byte of it."""
    await made(house).once(Write("ines-person", "canary-key-1", b"canary-request"), Act())
    async with house.reading() as connection:
        rows = repr((await connection.execute(select(table))).all()).encode()
    stored = rows + await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.iterdir()))
    assert not [word for word in (b"CANARY-77", b"canary-key-1", b"canary-request", b"ines-person") if word in stored]


async def test_an_answer_cannot_be_moved_to_another_key(house: Store) -> None:
    """A row under another's key does not open."""
    clock = HandClock()
    kept = made(house, clock)
    await kept.once(Write("ines/None", "a", b"x"), Act())
    await kept.once(Write("mara/None", "b", b"x"), Act())
    async with house.writing() as connection:
        first = (await connection.execute(select(table.c.data_key, table.c.answer).order_by(table.c.number))).first()
        await connection.execute(update(table).values(data_key=first.data_key, answer=first.answer))
    with pytest.raises(StateUnavailable):
        await kept.once(Write("mara/None", "b", b"x"), Act())


@pytest.mark.parametrize(("stops", "done"), [(False, 0), (True, 1)], ids=["a-write", "a-stop"])
async def test_without_the_state(tmp_path: Path, stops: bool, done: int) -> None:  # noqa: FBT001 - a column
    """Nothing can be remembered: nothing is done, but a stop, which waits for no database."""
    store, act = Store(locate("sqlite:state.db", tmp_path)), Act()
    kept = made(store)
    write = Write("ines/None", "k", b"", stops=stops)
    await (kept.once(write, act) if stops else refused(lambda: kept.once(write, act)))
    assert act.done == done


async def test_a_stop_does_not_wait_for_a_database_that_is_busy(house: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are writing for longer than a stop can wait: it is done all the same, and is not remembered."""
    monkeypatch.setattr(repeats, "STOP_WAITS", 0.05)
    act = Act()
    async with house.writing() as connection:
        await connection.execute(delete(table))
        if not house.exclusive:  # writers of a PostgreSQL wait for a table at most
            await connection.execute(text("LOCK TABLE repeats IN ACCESS EXCLUSIVE MODE"))
        await made(house).once(Write("ines/None", "k", b"", stops=True), act)
    assert (act.done, await count(house)) == (1, 0)


async def refused(act: Callable[[], Awaitable[object]]) -> None:
    """StateUnavailable."""
    with pytest.raises(StateUnavailable):
        await act()


async def test_the_state_is_gone_when_the_act_is_done(house: Store) -> None:
    """What was done is told: that it cannot be remembered changes nothing about it."""
    act = Act()

    async def closing() -> object:
        await house.close()
        return await act()

    assert await made(house).once(WRITE, closing) == {"done": 1, "note": "CANARY-77"}


@pytest.mark.parametrize("key", ["", "x" * 129, "a b", "ä", "a\nb", '"', '"a', '"a"b"', '""', '"\\x"', '"' + "x" * 129 + '"'])
async def test_malformed_keys(house: Store, key: str) -> None:
    """A key is visible ASCII of bounded length, or a string of RFC 8941; with any other nothing is done."""
    act = Act()
    with pytest.raises(Invalid):
        await made(house).once(Write("ines/None", key, b"x"), act)
    assert act.done == 0
