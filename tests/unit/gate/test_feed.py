"""The feed beside the rooms: nobody is asked for nobody, nothing is lost in between, a state that cannot be read is read again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from stagewarden.audit.entries import ruling_entry
from stagewarden.audit.reader import Reader
from stagewarden.clock import SystemClock
from stagewarden.errors import Refused, StateUnavailable, TooMuch
from stagewarden.gate import feed
from stagewarden.gate.feed import Feed
from stagewarden.holds.bell import Bell
from stagewarden.modes import Modes
from tests.unit.audit.parts import audit_log, ruling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

PATIENCE = 60.0


class Holds:
    """A bell, and states that are asked for; `fails`: how often the database does not answer."""

    def __init__(self, fails: int = 0) -> None:
        self.changed = Bell()
        self.asked: list[set[str]] = []
        self.fails = fails

    async def states(self, ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """All of them pending."""
        self.asked.append(set(ids))
        if len(self.asked) <= self.fails:
            raise StateUnavailable("gone")
        return dict.fromkeys(sorted(ids), ("pending", "high"))


@asynccontextmanager
async def following(folder: Path, holds: Holds) -> AsyncIterator[Feed]:
    """A feed that follows them, a real stop file, and a real log in `audit`, if there is one."""
    modes = Modes(folder / "stops.json", SystemClock())
    modes.open()
    made = Feed()
    running = asyncio.create_task(made.run(holds, modes, Reader(folder / "audit")))
    await asyncio.sleep(0)  # from here on it hears the bell
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_nobody_is_asked_for_nobody(tmp_path: Path) -> None:
    """While nobody listens no hold is read; whoever comes back with an id is told what moved meanwhile."""
    holds = Holds()
    async with following(tmp_path, holds) as told:
        with told.listen("ines", None) as listener:
            ready = await listener.next(PATIENCE)
        holds.changed.ring(["h_2", "h_1"])
        holds.changed.ring(["h_1"])
        await asyncio.sleep(2 * feed._LOOK)
        assert holds.asked == []
        with told.listen("ines", ready.id) as listener:
            events = [await listener.next(PATIENCE) for _ in range(2)]
    assert [event.data for event in events] == [{"hold": hold, "state": "pending", "tier": "high"} for hold in ("h_1", "h_2")]
    assert holds.asked == [{"h_1", "h_2"}]


async def test_what_cannot_be_read_is_read_again(tmp_path: Path) -> None:
    """The database was gone for a moment: the move is told late, and once."""
    holds = Holds(fails=2)
    async with following(tmp_path, holds) as told:
        with told.listen("ines", None) as listener:
            await listener.next(PATIENCE)
            holds.changed.ring(["h_1"])
            assert (await listener.next(PATIENCE)).data == {"hold": "h_1", "state": "pending", "tier": "high"}
            assert await listener.next(3 * feed._LOOK) is None
    assert holds.asked == [{"h_1"}] * 3


async def test_more_than_is_kept(tmp_path: Path) -> None:
    """So much moved while nobody listened that nobody can say all of it: whoever comes back reads the lists."""
    holds = Holds()
    async with following(tmp_path, holds) as told:
        with told.listen("ines", None) as listener:
            ready = await listener.next(PATIENCE)
        holds.changed.ring([f"h_{number}" for number in range(feed.KEPT + 1)])
        await asyncio.sleep(2 * feed._LOOK)
        with told.listen("ines", ready.id) as listener:
            assert (await listener.next(PATIENCE)).name == "reset"
    assert holds.asked == []


async def test_rulings_are_told_by_the_newest_and_their_number(tmp_path: Path) -> None:
    """However many were recorded between two looks is one event; what was there before anybody listened, and what is no ruling, is none."""
    log = audit_log(tmp_path / "audit")
    await log.open()
    await log.append("ruling", ruling_entry(ruling()))
    async with following(tmp_path, Holds()) as told:
        await asyncio.sleep(2 * feed._LOOK)
        with told.listen("ines", None) as listener:
            assert (await listener.next(PATIENCE)).name == "ready"
            assert await listener.next(2 * feed._LOOK) is None
            made = [ruling("deny") for _ in range(3)]
            await asyncio.gather(*(log.append("ruling", ruling_entry(one)) for one in made))
            seen, newest = 0, None
            while seen < len(made):
                event = await listener.next(PATIENCE)
                seen, newest = seen + event.data["count"], event.data["ruling"]
            await log.append("heartbeat", {})
            assert await listener.next(2 * feed._LOOK) is None
    await log.close()
    assert (seen, newest) == (3, made[-1].id)


def test_places_are_bounded_and_given_back() -> None:
    """Of one caller, and of all together; none after the feed has closed."""
    told = Feed()
    with pytest.raises(TooMuch), _all(told, ["ines"] * (feed.OF_ONE + 1)):
        pass
    with pytest.raises(TooMuch), _all(told, [f"p{number // feed.OF_ONE}" for number in range(feed.AT_ONCE + 1)]):
        pass
    assert told._listeners.total() == 0
    told.close()
    with pytest.raises(Refused, match="draining"), told.listen("ines", None):
        pass


def _all(told: Feed, callers: list[str]):
    from contextlib import ExitStack  # noqa: PLC0415 - one use

    stack = ExitStack()
    with stack:
        for caller in callers:
            stack.enter_context(told.listen(caller, None))
        return stack.pop_all()
