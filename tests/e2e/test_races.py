"""Many at once: whoever comes second changes nothing, and one approval is sent once."""

from __future__ import annotations

import asyncio
from collections import Counter

from stagewarden.errors import Conflict
from tests.product import product, rulings

MANY = 200


async def test_many_votes_and_releases_at_once_are_one(tmp_path):
    """Two people vote 100 times each while the hold is claimed 200 times over: two votes, one claim, one send, one log of it."""
    async with product(tmp_path) as house:
        draft = (await house.ask("POST", "/newsroom/articles", json={"title": "Now only $ 19"})).json["id"]
        reply = await house.ask("POST", f"/newsroom/articles/{draft}/publish")
        assert reply.status == 403, reply
        hold = reply.json["hold"]["id"]
        votes = [house.vote(hold, *voter) for voter in (("ines", "reviewer"), ("tomas", "manager")) for _ in range(MANY // 2)]
        claims = [_release(house.sidecar.releases, hold) for _ in range(MANY)]
        answers, released = await asyncio.gather(asyncio.gather(*votes), asyncio.gather(*claims))
        assert {answer.status for answer in answers} <= {200, 409}
        assert sum(answer.status == 200 for answer in answers) >= 2
        released += await asyncio.gather(*[_release(house.sidecar.releases, hold) for _ in range(MANY)])
        assert await house.ended(hold) == "done"
        assert sum(released) <= 1  # none, where the loop itself was first
        assert [each.path for each in house.newsroom.arrivals] == ["/articles", f"/articles/{draft}/publish"]
    kinds = Counter((entry["kind"], entry.get("event")) for entry in rulings(tmp_path) if entry.get("hold") == hold)
    assert kinds["vote", None] == 2
    assert {event: kinds["hold", event] for event in ("opened", "filled", "claimed", "sending", "answered")} == {
        "opened": 1, "filled": 1, "claimed": 1, "sending": 1, "answered": 1,
    }  # fmt: skip


async def _release(releases, hold: str) -> bool:
    """Whether this one was allowed to release it."""
    try:
        await releases.release(hold)
    except Conflict:
        return False
    return True
