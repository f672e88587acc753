"""The bench's arithmetic: percentiles, pairs of rounds, slopes, the open loop's schedule. Pure; measures nothing itself."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_STEAL = 0.02  # fixed before anything is measured: a pair with more stolen time than this is dropped, and only such a pair


@dataclass(frozen=True, slots=True)
class Round:
    """One arm in one round: what was measured, and the share of time the host took away meanwhile."""

    value: float
    steal: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the whole range of what was kept; `dropped` pairs were not."""

    median: float
    least: float
    most: float
    dropped: int = 0

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that at least this share of them does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float], dropped: int = 0) -> Spread | None:
    """None where nothing was kept."""
    return Spread(statistics.median(values), min(values), max(values), dropped) if values else None


def ratios(mine: Sequence[Round], theirs: Sequence[Round]) -> Spread | None:
    """Mine ÷ theirs, round by round; the rounds in which time was stolen from either are left out."""
    pairs = list(zip(mine, theirs, strict=True))
    kept = [one.value / other.value for one, other in pairs if max(one.steal, other.steal) <= MAX_STEAL]
    return spread(kept, len(pairs) - len(kept))


def schedule(rate: float, seconds: float) -> list[float]:
    """When each request of an open loop is due, in seconds from its start: evenly, whatever became of the one before."""
    return [index / rate for index in range(int(rate * seconds))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: the change of the second per unit of the first; 0 where the first does not change."""
    middle = statistics.fmean(x for x, _ in points)
    level = statistics.fmean(y for _, y in points)
    width = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - level) for x, y in points) / width if width else 0.0


def per_request(few: int, few_cost: float, many: int, many_cost: float) -> float:
    """What one request costs once what both runs have in common (start-up, connections) is taken off."""
    return (many_cost - few_cost) / (many - few)


def within(found: float, kept: float, tolerance: float) -> bool:
    """Whether a figure is no further from the one kept than this share of it, up or down."""
    return abs(found - kept) <= tolerance * kept
