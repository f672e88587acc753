"""How much may be under way: of one agent at once and in a time, and of all together. Asked before a body is read and before any policy.

Must never queue: what is over a limit is told so at once, with the seconds after which asking again is worth it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import TYPE_CHECKING

from stagewarden.errors import TooMuch

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.config import Limits

_MOST_PACED = 4096  # agents remembered before those that owe nothing are forgotten


class Admission:
    """Counts who is inside. Every `enter` that returned has one `leave`."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._of_agent: Counter[str] = Counter()
        self.under_way = 0  # all agents together
        self._idle: asyncio.Future[None] | None = None  # somebody waits until nothing is under way
        self._paid_until: dict[str, float] = {}  # agent → when all it has asked for will have been inside its rate

    def check(self) -> None:
        """Room for anybody? Asked before it is known who; raises TooMuch."""
        if self.under_way >= self._limits.inflight:
            raise TooMuch("as much is under way as we carry; this is not about you", "inflight")

    def enter(self, agent: str) -> None:
        """One more of this agent; raises TooMuch, and then it is not inside."""
        if self._of_agent[agent] >= self._limits.inflight_per_agent:
            raise TooMuch("this agent has as many requests under way as it may", "inflight_per_agent", agent)
        if self._limits.rate_per_agent is not None:
            self._pay(agent)
        self._of_agent[agent] += 1
        self.under_way += 1

    def leave(self, agent: str) -> None:
        """It is answered."""
        self._of_agent[agent] -= 1
        if not self._of_agent[agent]:
            del self._of_agent[agent]
        self.under_way -= 1
        if not self.under_way and self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    async def idle(self) -> None:
        """Until nothing is under way."""
        if self.under_way:
            self._idle = self._idle or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    def _pay(self, agent: str) -> None:
        """The generic cell rate algorithm (ITU-T I.371): one number an agent. A refused request costs nothing."""
        rate, now = self._limits.rate_per_agent, self._clock.monotonic()
        assert rate is not None
        paid_until = max(now, self._paid_until.get(agent, 0.0)) + rate.seconds / rate.count
        # A hair of tolerance: sums of fractions must not cost the last of a full burst.
        early = paid_until - now - rate.seconds
        if early > rate.seconds * 1e-9:
            raise TooMuch(f"this agent may ask {rate}", "rate_per_agent", agent, max(1, math.ceil(early)))
        self._paid_until[agent] = paid_until
        if len(self._paid_until) > _MOST_PACED:
            self._paid_until = {name: until for name, until in self._paid_until.items() if until > now}
