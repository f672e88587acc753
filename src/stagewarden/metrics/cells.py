"""Counters, gauges and histograms as plain values, read by prometheus_client at a scrape.

prometheus_client's own metric objects take a lock for each sample: 0.3 µs a counter, 0.75 µs a histogram, ten of them a request.
Everything here is touched on the event loop only, scrapes included, so that nothing needs a lock. A label outside its closed set
becomes `other`: the number of series is bounded whatever is asked of us.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Literal, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from stagewarden.metrics.labels import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Metric

Key: TypeAlias = "tuple[str, ...]"
_EAGER = 40  # families with at most so many series show them all from the start, at zero: `increase` then sees the first one


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One metric as the README's table has it. `values` are the closed sets of its labels, in order; empty: the registry names them."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Key = ()
    values: tuple[Key, ...] = ()
    buckets: tuple[float, ...] = ()


class _Rows:
    """The closed label sets of one family."""

    __slots__ = ("_closed", "family")

    def __init__(self, family: Family) -> None:
        self.family = family
        self._closed = [frozenset(values) for values in family.values]

    def name(self, label: str, values: Iterable[str], most: int) -> None:
        """Let the registry say which values a label may take, at most so many; earlier ones stay known, so that no counter goes back."""
        place = self.family.labels.index(label)
        known = self._closed[place]
        new = (value for value in values if value not in known)
        self._closed[place] = known | frozenset(islice(new, max(0, most - len(known))))

    def known(self, key: Key) -> Key:
        """The key with everything unlisted replaced."""
        return tuple(value if value in closed else OTHER for value, closed in zip(key, self._closed, strict=True))

    def eager(self) -> list[Key]:
        """All keys, where they are few and fixed."""
        if not all(self.family.values):
            return []
        keys = list(product(*self.family.values))
        return keys if len(keys) <= _EAGER else []


class Counts(_Rows):
    """A counter family, or a gauge family that is counted up and down."""

    __slots__ = ("_rows",)

    def __init__(self, family: Family) -> None:
        super().__init__(family)
        self._rows: dict[Key, float] = dict.fromkeys(self.eager(), 0)

    def add(self, key: Key = (), amount: float = 1) -> None:
        """Count."""
        try:
            self._rows[key] += amount
        except KeyError:
            key = self.known(key)
            self._rows[key] = self._rows.get(key, 0) + amount

    def set(self, value: float, key: Key = ()) -> None:
        """Set a gauge."""
        self._rows[key if key in self._rows else self.known(key)] = value

    def replace(self, rows: Mapping[Key, float]) -> None:
        """Set all of a gauge at once: what is not named is zero where it is fixed, and gone elsewhere."""
        self._rows = {**dict.fromkeys(self.eager(), 0), **{self.known(key): value for key, value in rows.items()}}

    def only(self, key: Key) -> None:
        """An info series: exactly one, whatever its value."""
        self._rows = {key: 1}

    def rows(self) -> dict[Key, float]:
        """What stands here."""
        return self._rows

    def collect(self, rows: Mapping[Key, float] | None = None) -> Metric:
        """As prometheus_client wants it; `rows` instead of what stands here, where several processes were added up."""
        make = CounterMetricFamily if self.family.kind == "counter" else GaugeMetricFamily
        metric = make(self.family.name, self.family.help, labels=self.family.labels)
        for key, value in (self._rows if rows is None else rows).items():
            metric.add_metric(key, value)
        return metric


class Spread(_Rows):
    """A histogram family."""

    __slots__ = ("_bounds", "_edges", "_rows")

    def __init__(self, family: Family) -> None:
        super().__init__(family)
        self._bounds = family.buckets
        self._edges = [*(f"{bound:g}" for bound in family.buckets), "+Inf"]
        self._rows: dict[Key, list[float]] = {key: self._empty() for key in self.eager()}

    def observe(self, value: float, key: Key = ()) -> None:
        """One sample; below zero (a clock set back) counts as zero."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows.setdefault(self.known(key), self._empty())
        row[bisect_left(self._bounds, value)] += 1
        if value > 0:
            row[-1] += value

    def rows(self) -> dict[Key, list[float]]:
        """What stands here: per key one number a bucket, then the sum."""
        return self._rows

    def collect(self, rows: Mapping[Key, list[float]] | None = None) -> Metric:
        """As prometheus_client wants it: cumulative, then the sum; `rows` as above."""
        metric = HistogramMetricFamily(self.family.name, self.family.help, labels=self.family.labels)
        for key, row in (self._rows if rows is None else rows).items():
            total = 0.0
            buckets: list[tuple[str, float]] = []
            for edge, count in zip(self._edges, row[:-1], strict=True):
                total += count
                buckets.append((edge, total))
            metric.add_metric(key, buckets, row[-1])
        return metric

    def _empty(self) -> list[float]:
        return [0.0] * (len(self._bounds) + 2)
