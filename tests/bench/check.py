"""Before anything is timed: does each arm answer what it should? A refusal is a fast answer, and an arm that allows all is no peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.load import once
from tests.bench.parts import ANSWER

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm

OK = 200


class Wrong(Exception):
    """An arm does not do what it is measured for."""


def reached(upstream: int) -> int:
    """Requests that have come to the upstream so far."""
    return int(once(upstream, b"GET /bench/count HTTP/1.1\r\nHost: localhost\r\n\r\n")[1])


def check(arm: Arm, upstream: int) -> None:
    """Raises Wrong.

    1. An allowed request reaches the upstream once, and its answer comes back byte for byte.
    2. A forbidden one is refused and reaches it not at all; a mere pass-through is not asked.
    """
    before = reached(upstream)
    try:
        status, body = once(arm.port, arm.request())
    except OSError as failure:
        raise Wrong(f"{arm.name} does not answer: {failure}") from failure
    if (status, body, reached(upstream)) != (OK, ANSWER, before + 1):
        raise Wrong(f"{arm.name}: an allowed request gave {status}, {len(body)} bytes, and reached the upstream {reached(upstream) - before} times")
    if not arm.judges:
        return
    before = reached(upstream)
    status, _ = once(arm.port, arm.forbidden())
    if status < 400 or reached(upstream) != before:
        raise Wrong(f"{arm.name}: a forbidden request gave {status} and reached the upstream {reached(upstream) - before} times")
