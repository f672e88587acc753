"""The release loop's own care for its claim."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from stagewarden.errors import StateUnavailable
from stagewarden.gate import release
from stagewarden.gate.release import Releases


async def test_a_lease_is_renewed_also_after_the_database_was_gone(monkeypatch):
    """One try that failed is not the last: a lease outlives two, and a send that goes on keeps it."""
    monkeypatch.setattr(release, "_RENEW_SECONDS", 0.001)
    tries, enough = [], asyncio.Event()

    async def renew(hold, attempt):
        tries.append((hold, attempt))
        if len(tries) == 1:
            raise StateUnavailable("gone")
        enough.set()

    releases = Releases(SimpleNamespace(store=SimpleNamespace(exclusive=True), holds=SimpleNamespace(renew=renew)))
    async with asyncio.timeout(30), releases._kept("h_1", "a_1"):
        await enough.wait()
    assert set(tries) == {("h_1", "a_1")}
