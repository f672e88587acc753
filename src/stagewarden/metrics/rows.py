"""Several processes as one exposition: what each has counted, taken over a wire and added up. Decides nothing else.

Counters and histograms add up, also those of processes that are gone: no sum ever goes back. A gauge is the house's own, except for the
few that a worker knows better; an info series stands once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stagewarden.metrics import families
from stagewarden.metrics.cells import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stagewarden.metrics.cells import Key

# How a worker's gauges join the house's; all others are the house's to tell.
_GAUGES: Final[dict[Family, Callable[[float, float], float]]] = {
    families.INFLIGHT: lambda one, other: one + other,
    families.LOOP_LAG: max,
    families.ENGINE_UP: min,
}
_EVERY: Final = tuple([value for value in vars(families).values() if isinstance(value, Family)])


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """Everything one process has counted: family → its rows."""

    counts: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    spreads: dict[str, list[tuple[tuple[str, ...], list[float]]]] = {}


def add_counts(family: Family, own: dict[Key, float], others: Iterable[Rows], departed: Rows) -> dict[Key, float]:
    """One counter or gauge family over all processes."""
    total = dict(own)
    join = (lambda one, other: one + other) if family.kind == "counter" else _GAUGES.get(family)
    if join is None:
        return total
    for rows in (*others, departed) if family.kind == "counter" else others:
        for key, value in rows.counts.get(family.name, ()):
            total[key] = join(total[key], value) if key in total else value
    return total


def add_spreads(family: Family, own: dict[Key, list[float]], others: Iterable[Rows], departed: Rows) -> dict[Key, list[float]]:
    """One histogram family over all processes."""
    total = {key: [*row] for key, row in own.items()}
    for rows in (*others, departed):
        for key, row in rows.spreads.get(family.name, ()):
            here = total.get(key)
            total[key] = [*row] if here is None else [one + other for one, other in zip(here, row, strict=True)]
    return total


def joined(departed: Rows, last: Rows) -> Rows:
    """What processes that are gone have counted, with one more of them: counters and histograms alone."""
    both = (departed, last)
    return Rows(
        {one.name: [*add_counts(one, {}, both, Rows()).items()] for one in _EVERY if one.kind == "counter"},
        {one.name: [*add_spreads(one, {}, both, Rows()).items()] for one in _EVERY if one.kind == "histogram"},
    )
