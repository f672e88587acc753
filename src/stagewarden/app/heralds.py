"""Who delivers notifications: the announcer and the courier, in the process that has the clockwork and a configuration with channels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stagewarden.gate.announcing import Announcer, address_of
from stagewarden.notify import Courier, open_channels

if TYPE_CHECKING:
    from stagewarden.config import Secrets
    from stagewarden.gate import Rooms

_LOOK_ALONE, _LOOK_SHARED = 30.0, 2.0  # seconds between looks for deliveries that nobody here wrote


async def heralds(rooms: Rooms, secrets: Secrets) -> None:
    """Until cancelled; at once where no channel is configured. Raises ConfigError for channels that cannot be opened."""
    if not rooms.config.notify:
        return
    channels = open_channels(rooms.config, secrets, rooms.clock, lambda target: address_of(rooms.registry, target))
    look = _LOOK_ALONE if rooms.store.exclusive else _LOOK_SHARED
    courier = Courier(channels, rooms.ledger, rooms.recorder.metrics.notified, look=look)
    announcer = Announcer(rooms, rooms.ledger, channels, courier.wake)
    rooms.deliver_now = courier.wake
    async with asyncio.TaskGroup() as group:
        group.create_task(announcer.run())
        group.create_task(courier.run())
