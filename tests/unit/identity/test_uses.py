"""When a token was last used: over restarts and replicas, without a write for each request, and never later than it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from stagewarden.identity.uses import Uses
from stagewarden.store import Store, locate
from tests.unit.identity.people_and_agents import StillClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(state: str, tmp_path: Path) -> AsyncIterator[Store]:
    """Open."""
    made = Store(locate(state, tmp_path), "a")
    await made.open()
    yield made
    await made.close()


async def test_a_use_outlives_the_process(store: Store) -> None:
    """Known at once here; elsewhere and after a restart once it was kept."""
    clock = StillClock()
    uses = Uses(clock)
    uses.used("a")
    assert await uses.last(store) == {"a": clock.now_ns()}
    assert await Uses(clock).last(store) == {}
    await uses.keep(store)
    assert await Uses(clock).last(store) == {"a": clock.now_ns()}


async def test_the_latest_of_two_processes_counts(store: Store) -> None:
    """Whoever writes last, whatever the order."""
    clock = StillClock()
    early, late = Uses(clock), Uses(clock)
    early.used("a")
    clock.pass_(5)
    late.used("a")
    await late.keep(store)
    await early.keep(store)
    assert (await Uses(clock).last(store), await early.last(store)) == ({"a": clock.now_ns()}, {"a": clock.now_ns()})


async def test_many_uses_are_one_write(store: Store) -> None:
    """A thousand requests are one row written once; what was not used since is not written again."""
    uses = Uses(StillClock())
    writes: list[str] = []
    engine = store._live().sync_engine
    event.listen(engine, "before_cursor_execute", lambda *given: writes.append(given[2]) if "token_uses" in given[2] else None)
    for _ in range(1000):
        uses.used("a")
    assert writes == []
    await uses.keep(store)
    await uses.keep(store)
    assert len([each for each in writes if not each.startswith("SELECT")]) == 1


async def test_a_state_that_is_gone_keeps_nobody_out(store: Store) -> None:
    """The use stands in memory, and is written the next time."""
    uses = Uses(StillClock())
    uses.used("a")
    await store.close()
    with pytest.raises(Exception, match="not open"):
        await uses.keep(store)
    await store.open()
    await uses.keep(store)
    assert (await Uses(StillClock()).last(store)).keys() == {"a"}
