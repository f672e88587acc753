"""The courier: brings each delivery to its channel, again and again as the schedule says, until it has arrived or is dead.

Every channel has a loop of its own, so that one dead receiver keeps nobody else waiting; and none of them is waited for by anything.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog

from stagewarden.errors import CannotTell
from stagewarden.notify.channels import Outcome
from stagewarden.notify.schedule import pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.notify.ledger import Delivery, Ledger
    from stagewarden.notify.opening import Opened

AT_ONCE = 4  # attempts of one channel under way
_WAITS = 1.0  # seconds after "could not tell"
_SHORTEST, _LONGEST = 0.02, 30.0


class Courier:
    """`run` until cancelled; `wake` says that there is something new."""

    def __init__(self, channels: Mapping[str, Opened], ledger: Ledger, count: Callable[[str, str], None], *, look: float = _LONGEST) -> None:
        """`channels` may be opened anew under the same names: the next attempt takes them as they are then.

        `count` is told each attempt: the channel's kind, and `ok` or `failed`. `look`: seconds between looks for what others wrote.
        """
        self._channels = channels
        self._ledger = ledger
        self._count = count
        self._look = look
        self._news = {name: asyncio.Event() for name in channels}
        self._dice = random.Random()  # noqa: S311 - it spreads attempts, and keeps no secret
        self._logger = structlog.get_logger("stagewarden.notify")

    def wake(self) -> None:
        """Deliveries were written."""
        for event in self._news.values():
            event.set()

    async def run(self) -> None:
        """Until cancelled: one loop for each channel."""
        async with asyncio.TaskGroup() as group:
            for name in self._channels:
                group.create_task(self._serve(name))

    async def _serve(self, name: str) -> None:
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                pause = _WAITS
                try:
                    for delivery in await self._ledger.claim(name, AT_ONCE - len(under_way)) if len(under_way) < AT_ONCE else ():
                        task = asyncio.create_task(self._attempt(self._channels[name], delivery))
                        under_way.add(task)
                        task.add_done_callback(under_way.discard)
                    due = await self._ledger.next_due(name)
                    pause = self._look if due is None else min(self._look, max(due, _SHORTEST))
                except CannotTell as failure:
                    self._logger.warning("deliveries_wait", channel=name, cause=str(failure))
                await self._sleep(name, under_way, pause)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _sleep(self, name: str, under_way: set[asyncio.Task[None]], seconds: float) -> None:
        """Until there is something new, a place is free again, or so many seconds are over."""
        news = asyncio.create_task(self._news[name].wait())
        full = len(under_way) >= AT_ONCE
        try:
            await asyncio.wait(under_way if full else {news, *under_way}, timeout=None if full else seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        self._news[name].clear()

    async def _attempt(self, channel: Opened, delivery: Delivery) -> None:
        outcome = await self._deliver(channel, delivery)
        self._count(channel.kind, "ok" if outcome.result == "delivered" else "failed")
        pause = pause_after(delivery.attempts, self._dice.random(), outcome.after) if outcome.result == "again" else None
        try:
            state = await self._ledger.settle(delivery, outcome, pause, channel.address)
        except CannotTell as failure:  # its lease ends, and it goes out again under the same id
            self._logger.warning("delivery_not_settled", delivery=delivery.id, cause=str(failure))
            return
        if outcome.result != "delivered":
            self._logger.warning(
                "delivery_failed", delivery=delivery.id, channel=delivery.channel, code=outcome.code, attempts=delivery.attempts, state=state,
            )  # fmt: skip

    async def _deliver(self, channel: Opened, delivery: Delivery) -> Outcome:
        try:
            return await channel.channel.deliver(delivery.id, delivery.target, delivery.document)
        except Exception:  # a mistake of ours, or of a library's, must not end the other channels and the process with them
            self._logger.exception("delivery_broken", delivery=delivery.id)
            return Outcome("again", "internal")
