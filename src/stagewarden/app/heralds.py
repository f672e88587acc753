"""Who delivers notifications: the announcer and the courier, in the process that has the clockwork and a configuration with channels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stagewarden.gate.announcing import Announcer, address_of
from stagewarden.notify import Courier, open_channels

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.config import Secrets
    from stagewarden.gate import Rooms
    from stagewarden.notify import Opened

_LOOK_ALONE, _LOOK_SHARED = 30.0, 2.0  # seconds between looks for deliveries that nobody here wrote


class Heralds:
    """The channels of this house. Raises ConfigError where one cannot be opened; nothing is delivered before `run`."""

    def __init__(self, rooms: Rooms, secrets: Secrets) -> None:
        self._rooms = rooms
        self._secrets = secrets
        self._channels = self._opened()
        look = _LOOK_ALONE if rooms.store.exclusive else _LOOK_SHARED
        courier = self._courier = Courier(self._channels, rooms.ledger, rooms.recorder.metrics.notified, look=look)
        if rooms.config.notify:
            rooms.deliver_now = courier.wake

    async def run(self) -> None:
        """Until cancelled; at once where no channel is configured."""
        if not self._channels:
            return
        announcer = Announcer(self._rooms, self._rooms.ledger, self._channels, self._courier.wake)
        async with asyncio.TaskGroup() as group:
            group.create_task(announcer.run())
            group.create_task(self._courier.run())

    def prepare(self) -> Callable[[], None]:
        """Secrets and authorities as they are now, in two steps: the second one cannot fail. Raises ConfigError, and all stays as it was.

        The same channels: which there are is the configuration's to say, and that is read at start.
        """
        fresh = self._opened()
        return lambda: self._channels.update(fresh)

    def _opened(self) -> dict[str, Opened]:
        rooms = self._rooms
        return open_channels(rooms.config, self._secrets, rooms.clock, lambda target: address_of(rooms.registry, target))
