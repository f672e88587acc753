"""A sparkline as numbers for an SVG the server draws: no script, no style. Value and limit always stand beside it in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH, HEIGHT, _PAD = 150, 28, 3
_AMBER = 0.75  # share of the limit from which it is looked at (console README, "Sparkline")


@dataclass(frozen=True, slots=True)
class Spark:
    """`points` of a polyline; where its last point is; how high the limit's dashed line is (None: no limit); `tone` ink or amber."""

    points: str
    end: tuple[float, float]
    limit: float | None
    tone: str


def spark(values: tuple[int, ...], limit: int | None = None) -> Spark:
    """One point for each value, oldest first, from 0 to the largest of values and limit."""
    top = max((*values, limit or 0, 1))
    step = (WIDTH - 2 * _PAD) / max(1, len(values) - 1)
    places = [(round(_PAD + index * step, 1), _height(value, top)) for index, value in enumerate(values)]
    amber = limit is not None and bool(values) and values[-1] >= limit * _AMBER
    return Spark(
        " ".join(f"{x:g},{y:g}" for x, y in places), places[-1] if places else (0.0, 0.0), None if limit is None else _height(limit, top),
        "amber" if amber else "ink",
    )  # fmt: skip


def _height(value: int, top: int) -> float:
    return round(HEIGHT - _PAD - value / top * (HEIGHT - 2 * _PAD), 1)
