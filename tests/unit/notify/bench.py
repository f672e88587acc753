"""What the tests of notifications share: a ledger over the bench of holds, channels to receivers on loopback, and a courier that runs."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.config import Seconds, Secret, WebhookChannel
from stagewarden.notify import Courier, Ledger, NewDelivery, Notice, Opened, SeatLine
from stagewarden.notify.channels import Webhook
from stagewarden.notify.posting import Poster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stagewarden.clock import Clock
    from stagewarden.notify import Delivery

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOTICE = Notice(
    event="opened", subject="h_01M7YNAYM0KZRJ65AWGYZCHKK2", at_ns=1_795_251_600_000_000_000, state="pending", tier="high", kind="post.publish",
    workflow="newsletter", seats=(SeatLine(("legal", "compliance"), 2, 1),), due_ns=1_795_266_000_000_000_000,
    link="https://approve.example/holds/h_01M7YNAYM0KZRJ65AWGYZCHKK2",
)  # fmt: skip
SETTINGS = WebhookChannel(name="desk", url="http://127.0.0.1/", secrets=(Secret("file:hook"),))


def new(once: str = "1", **changes: str) -> NewDelivery:
    """One delivery to the channel `desk`."""
    given = {"once": once, "channel": "desk", "target": "", "event": "opened", "subject": NOTICE.subject, "document": NOTICE.document(), **changes}
    return NewDelivery(**given)


def webhook(url: str, clock: Clock, *keys: bytes, seconds: float = 5.0) -> Opened:
    """A webhook that can be used."""
    settings = replace(SETTINGS, url=url, timeout=Seconds(seconds))
    return Opened(Webhook(Poster(url, None, seconds), keys or (KEY,), clock), "webhook", f"digest of {url}", settings)


@asynccontextmanager
async def delivering(ledger: Ledger, **channels: Opened) -> AsyncIterator[list[tuple[str, str]]]:
    """A courier at work; what it counted."""
    counted: list[tuple[str, str]] = []
    courier = Courier(channels, ledger, lambda kind, result: counted.append((kind, result)), look=0.05)
    task = asyncio.create_task(courier.run())
    try:
        yield counted
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(ledger: Ledger, holds: Callable[[list[Delivery]], bool]) -> list[Delivery]:
    """The deliveries, newest first, once they stand so; the test's own limit ends a wait that is in vain."""
    while True:
        page, _ = await ledger.page(None, None, 100)
        if holds([*page]):
            return [*page]
        await asyncio.sleep(0.01)
