"""Notifications over the crash of the real process: what is committed arrives, at least once and under one id."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from contextlib import closing

import pytest

from tests.e2e.processes import PATIENCE, SidecarProcess, until
from tests.product import house
from tests.upstreams import ScriptedUpstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def notifying(folder, newsroom: str, receiver: str):
    """The scenarios' house with one webhook."""
    secret = folder / "hook"
    secret.write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}\n")
    secret.chmod(0o600)
    made = house(folder / "house", newsroom)
    channel = f"{{name: desk, kind: webhook, url: '{receiver}', secrets: ['file:{secret}'], events: [opened], timeout: 60s}}"
    made.config.write_text(f"{made.config.read_text()}\npeople: {{url: https://approve.example}}\nnotify: [{channel}]\n")
    return made


def later(folder) -> None:
    """As if the lease and the pause of every delivery were over: nobody waits two minutes in a test."""
    with closing(sqlite3.connect(folder / "house" / "state.db")) as state:
        state.execute("UPDATE deliveries SET lease_until_ns = 0, next_ns = 0")
        state.commit()


@pytest.mark.parametrize("arrived", [False, True], ids=["before a byte left", "after it arrived"])
async def test_what_is_committed_arrives_after_kill_9(upstream, tmp_path, arrived):
    """Killed before the receiver was reached, or while it had the message and had not answered: the next process brings it, under the same id."""
    ids: list[str | None] = []
    first = asyncio.Event()

    async def receive(peer):
        while True:
            ids.append((await peer.request()).header("webhook-id"))
            if arrived and not first.is_set():
                first.set()
                await asyncio.Event().wait()
            await peer.send(OK)

    async with ScriptedUpstream(receive) as receiver:
        if not arrived:
            receiver.stop_listening()
        sidecar = SidecarProcess(notifying(tmp_path, upstream.url, receiver.url))

        def stands(state: str):
            (told,) = sidecar.person("GET", "/deliveries", "lena").json["items"] or [{"state": "", "attempts": 0}]
            return told if (told["state"], told["attempts"] > 0) == (state, True) else None

        try:
            await asyncio.to_thread(sidecar.start)
            assert (await asyncio.to_thread(sidecar.ask, "POST", "/newsroom/articles/1/publish")).status == 403
            if arrived:
                async with asyncio.timeout(PATIENCE):
                    await first.wait()
            told = await asyncio.to_thread(until, lambda: stands("sending" if arrived else "waiting"), "a delivery that did not end")
            await asyncio.to_thread(sidecar.kill)
            later(tmp_path)
            if not arrived:
                await receiver.leave()
                await receiver.come_back()
            await asyncio.to_thread(sidecar.start)
            await asyncio.to_thread(until, lambda: stands("delivered"), "its arrival")
        finally:
            sidecar.close()
    assert ids == [told["id"]] * (2 if arrived else 1)
