"""A counting upstream on raw sockets with the newsroom's routes: every article is a draft for ever, so that nothing but us prevents a second publish.

A hook sees each request before its answer, and may keep it waiting.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

from tests.upstreams import ScriptedUpstream, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.upstreams import Peer, Received

JSON = "Content-Type: application/json"


class Articles(ScriptedUpstream):
    """`before_answer` is awaited for each request after it was counted."""

    def __init__(self) -> None:
        super().__init__(self._play)
        self.before_answer: Callable[[Received], Awaitable[object]] = lambda _: asyncio.sleep(0)

    def publishes(self) -> Counter[str]:
        """Article → how many publishes of it arrived."""
        return Counter(each.target.split("/")[2] for each in self.requests if each.target.endswith("/publish"))

    def writes(self) -> list[Received]:
        """Everything that arrived and is not a GET."""
        return [each for each in self.requests if each.method != "GET"]

    async def _play(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            await self.before_answer(request)
            await peer.send(draft(request))


def draft(request: Received) -> bytes:
    """The answer to any request for an article: it is a draft."""
    number = [*request.target.split("/"), "new"][2]
    article = {"id": number, "status": "draft", "title": "", "offers": [], "claims": []}
    return answer(json.dumps(article).encode(), "200 OK", JSON)
