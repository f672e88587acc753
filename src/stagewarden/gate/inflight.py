"""How many requests an agent has under way over all workers: `limits.inflight_per_agent` is one number, however many processes serve.

A table in memory that the house and its workers share: one cell for each worker and agent, written by that worker alone, so that no two
ever write one. Counted first and added up afterwards: never more than the limit are let in; two that come within the same microsecond
at one below it may both be told to wait. An agent the registry does not list has no cell: each worker grants it its share.
"""

from __future__ import annotations

import mmap
import os
from collections import Counter
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = 1 << 16  # agents ever registered while the house runs; pages nobody touches cost nothing
_CELL = 4  # bytes


class Places(Protocol):
    """Whether there is room for one more request of an agent, beside what this process counts itself."""

    def enter(self, agent: str) -> bool:
        """Take a place; False: there is none, and nothing was taken."""

    def leave(self, agent: str) -> None:
        """Give back what `enter` took."""


class Alone:
    """One process: what it counts itself is all there is."""

    def enter(self, agent: str) -> bool:  # noqa: ARG002 - the shape of the shared one
        """There is room."""
        return True

    def leave(self, agent: str) -> None:
        """Nothing was taken."""


class Columns:
    """The house's list of agents: each keeps its column for as long as the house runs, also when it leaves the registry and comes back."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}

    def name(self, agents: Iterable[str]) -> dict[str, int]:
        """The columns of these agents; those for whom none is left have none."""
        for agent in sorted(agents):
            if len(self._names) < COLUMNS:
                self._names.setdefault(agent, len(self._names))
        return dict(self._names)


class Table:
    """The shared memory. `handle` is the descriptor a worker inherits."""

    def __init__(self, handle: int, workers: int) -> None:
        self.handle = handle
        self.workers = workers
        self._map = mmap.mmap(handle, workers * COLUMNS * _CELL)
        self.cells = memoryview(self._map).cast("I")

    @classmethod
    def make(cls, workers: int) -> Self:
        """A fresh one, all zero, without a name in any file system."""
        handle = os.memfd_create("stagewarden-inflight", os.MFD_CLOEXEC)
        os.ftruncate(handle, workers * COLUMNS * _CELL)
        return cls(handle, workers)

    def clear(self, worker: int) -> None:
        """A worker is gone, and with it whatever it had under way."""
        self.cells[worker * COLUMNS : (worker + 1) * COLUMNS] = memoryview(bytes(COLUMNS * _CELL)).cast("I")

    def close(self) -> None:
        """Let the memory go."""
        self.cells.release()
        self._map.close()
        os.close(self.handle)


class SharedPlaces:
    """One worker's view of the table."""

    def __init__(self, table: Table, worker: int, limit: int) -> None:
        self._cells = table.cells
        self._row = worker * COLUMNS
        self._limit = limit
        self._share = -(-limit // table.workers)
        self._columns: dict[str, int] = {}
        self._unlisted: Counter[str] = Counter()

    def know(self, columns: dict[str, int]) -> None:
        """A registry came into force; columns that were known stay what they were."""
        self._columns = columns

    def enter(self, agent: str) -> bool:
        """Take a place."""
        column = self._columns.get(agent)
        if column is None:
            if self._unlisted[agent] >= self._share:
                return False
            self._unlisted[agent] += 1
            return True
        own = self._row + column
        self._cells[own] += 1
        if sum(self._cells[column::COLUMNS]) > self._limit:
            self._cells[own] -= 1
            return False
        return True

    def leave(self, agent: str) -> None:
        """Give the place back; one that was taken before the agent was listed, first."""
        if self._unlisted[agent]:
            self._unlisted[agent] -= 1
        else:
            self._cells[self._row + self._columns[agent]] -= 1
        if not self._unlisted[agent]:
            del self._unlisted[agent]
