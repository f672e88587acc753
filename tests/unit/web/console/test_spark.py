"""A sparkline's numbers: inside its box, the limit where it belongs, amber from three quarters of it."""

from __future__ import annotations

import pytest

from stagewarden.web.console.spark import HEIGHT, WIDTH, spark


@pytest.mark.parametrize(
    ("values", "limit", "tone"),
    [
        ((0, 0, 0), None, "ink"), ((1, 5, 2), None, "ink"), ((0, 0, 2), 3, "ink"), ((0, 0, 3), 4, "amber"), ((9, 9, 0), 4, "ink"), ((7,), 4, "amber"),
        ((), 4, "ink"), ((0, 10**12), None, "ink"),
    ],
    ids=["nothing", "no limit", "below", "three quarters", "was above", "one value above", "no value", "large"],
)  # fmt: skip
def test_points_stay_inside(values: tuple[int, ...], limit: int | None, tone: str) -> None:
    """One point a value, from left to right, higher for more; the last one is marked."""
    line = spark(values, limit)
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert (len(points), line.tone, (line.limit is None)) == (len(values), tone, limit is None)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert not points or points[-1] == line.end
    if limit is not None and points:
        assert line.limit is not None
        assert (points[-1][1] <= line.limit) is (values[-1] >= limit)
