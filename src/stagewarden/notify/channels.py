"""Where messages go: a webhook, a Slack-compatible incoming webhook, a mail server. One verb: deliver one message to one target, once.

A channel says what came of it, and never raises for what a receiver does. It is a way out only: nothing that comes back is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import orjson

from stagewarden.clock import NANOSECONDS
from stagewarden.notify import notice, signing
from stagewarden.notify.posting import Unreachable
from stagewarden.notify.schedule import retry_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stagewarden.clock import Clock
    from stagewarden.model import Document
    from stagewarden.notify.posting import Poster, Reply

_GONE, _PUT_OFF = 410, frozenset({429, 503})
_OTHERS_THAN_SUCCESS = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. `never`: trying again would change nothing; `gone`: the receiver wants nothing more, ever."""

    result: Literal["delivered", "again", "never", "gone"]
    code: str
    after: float | None = None  # seconds the receiver asks us to wait


class Channel(Protocol):
    """One way out."""

    async def deliver(self, message_id: str, target: str, document: Document) -> Outcome:
        """Send it once. `message_id` is the same at every attempt, so that a receiver knows it again."""


class Webhook:
    """Standard Webhooks: the document as JSON, signed with every secret there is."""

    def __init__(self, poster: Poster, keys: Sequence[bytes], clock: Clock) -> None:
        self._poster = poster
        self._keys = tuple(keys)
        self._clock = clock

    async def deliver(self, message_id: str, target: str, document: Document) -> Outcome:  # noqa: ARG002 - it is the only target
        """POST it; any 2xx is an arrival."""
        now, body = self._clock.now_ns(), orjson.dumps(document)
        try:
            reply = await self._poster.post(body, signing.headers(message_id, now // NANOSECONDS, body, self._keys))
        except Unreachable as failure:
            return unreachable(failure)
        return judged(reply, now)


class Slack:
    """A Slack-compatible incoming webhook: one block of plain text, which renders no markup. No buttons: a chat message is never a vote."""

    def __init__(self, poster: Poster, clock: Clock) -> None:
        self._poster = poster
        self._clock = clock

    async def deliver(self, message_id: str, target: str, document: Document) -> Outcome:  # noqa: ARG002 - it knows no message id, and one target
        """POST it; any 2xx is an arrival."""
        text = "\n".join(notice.lines(document))
        block = {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
        body = orjson.dumps({"text": notice.subject_line(document), "mrkdwn": False, "unfurl_links": False, "blocks": [block]})
        try:
            reply = await self._poster.post(body, {})
        except Unreachable as failure:
            return unreachable(failure)
        return judged(reply, self._clock.now_ns())


def judged(reply: Reply, now_ns: int) -> Outcome:
    """Standard Webhooks, "Delivery": 2xx arrived; 410 is for good; 429 and 503 may say when; a redirect is a failure like any other."""
    if 200 <= reply.status < _OTHERS_THAN_SUCCESS:  # noqa: PLR2004 - RFC 9110 section 15: the class is the first digit
        return Outcome("delivered", f"http_{reply.status}")
    if reply.status == _GONE:
        return Outcome("gone", "http_410")
    after = retry_after(reply.retry_after, now_ns) if reply.status in _PUT_OFF else None
    return Outcome("again", f"http_{reply.status}", after)


def unreachable(failure: Unreachable) -> Outcome:
    """An address that must not be connected to stays one; everything else may pass."""
    return Outcome("never" if failure.code == "address_refused" else "again", failure.code)
