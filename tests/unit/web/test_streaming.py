"""Answers on their way: as they come, no faster than the agent reads, no longer than the agent stays or a stop allows; and what then is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import time
from contextlib import asynccontextmanager

import pytest

from tests.product import product as newsroom
from tests.product import rulings, until
from tests.unit.web.test_agents_door import behind
from tests.upstreams import ScriptedUpstream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Events:
    """An upstream that sends an event when it is let, and says when its connection is gone."""

    def __init__(self) -> None:
        self.next = asyncio.Semaphore(0)
        self.sent = 0
        self.gone = asyncio.Event()

    async def __call__(self, peer) -> None:
        """The script."""
        await peer.request()
        await peer.send(HEAD)
        watching = asyncio.get_running_loop().create_task(peer.reader.read())
        watching.add_done_callback(lambda _: self.gone.set())
        try:
            while True:
                await self.next.acquire()
                await peer.send(chunk(b"data: %d\n\n" % self.sent))
                self.sent += 1
        finally:
            watching.cancel()
            self.gone.set()


@asynccontextmanager
async def asking(product, path: str = "/newsroom/articles", *extra: str, agent: str = "drafter"):
    """A raw client that has asked; its reader and writer."""
    reader, writer = await asyncio.open_connection(*product.sidecar.agents_address, limit=1 << 10)
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {product.house.keys[agent]}", *extra]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def outcome(product):
    """The one outcome recorded."""
    return await until(lambda: next((entry for entry in rulings(product.house.folder) if entry["kind"] == "outcome"), None))


def made_late():
    """An upstream that answers 201 once it is let, what lets it, and what tells that it was asked."""
    let, asked = asyncio.Event(), asyncio.Event()

    async def late(peer) -> None:
        await peer.request()
        asked.set()
        await let.wait()
        await peer.send(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok")

    return late, let, asked


async def test_each_event_arrives_before_the_next_is_sent(tmp_path):
    """Server-sent events are flushed one by one; nobody waits for a buffer to fill."""
    events = Events()
    async with ScriptedUpstream(events) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        for number in range(5):
            events.next.release()
            assert await asyncio.wait_for(reader.readuntil(b"\n\n\r\n"), 60) == chunk(b"data: %d\n\n" % number)


async def test_a_slow_reader_stops_the_upstream(tmp_path):
    """Bounded memory: what the agent does not read, the upstream cannot send, however much it has."""
    sent = 0

    async def flood(peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(HEAD)
        while True:
            await peer.send(chunk(b"x" * 65_536))
            sent += 65_536

    async with ScriptedUpstream(flood) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.5)
        assert sent < 32 << 20, "sockets' buffers and ours, not the whole flood"
        for _ in range(64):
            await reader.readexactly(65_536)
        await until(lambda: sent > before)


async def test_the_upstream_is_let_go_of_when_the_agent_leaves(tmp_path):
    """Promptly, and not when the next event comes; the outcome says so."""
    events = Events()
    async with ScriptedUpstream(events) as upstream, behind(tmp_path, upstream.url) as product:
        async with asking(product) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            events.next.release()
            await reader.readuntil(b"\n\n\r\n")
        await asyncio.wait_for(events.gone.wait(), 60)
        found = await outcome(product)
        assert (found["result"], found["code"], found["status"], found["answer"]["bytes"]) == ("done", "client_gone", 200, 9)


async def test_what_was_sent_is_recorded_though_the_agent_left_before_the_answer(tmp_path):
    """The gate does not forget a send because nobody waits for it any more."""
    late, let, asked = made_late()
    async with ScriptedUpstream(late) as upstream, behind(tmp_path, upstream.url) as product:
        async with asking(product):
            await asked.wait()
        let.set()
        found = await outcome(product)
        assert (found["result"], found["status"]) == ("done", 201)


@pytest.mark.parametrize("stop", ["kill-agent", "kill-upstream", "kill-all", "pause"])
async def test_a_stop_cuts_the_streams_it_covers(tmp_path, stop):
    """Lifecycles, "Modes and the stop": no more of the answer reaches the agent, and it does not end cleanly."""
    events, modes = Events(), None
    async with ScriptedUpstream(events) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        events.next.release()
        await reader.readuntil(b"\n\n\r\n")
        modes = product.sidecar.rooms.modes
        if stop == "pause":
            await modes.set_mode("drafter", "paused", "aiko", "drill")
        else:
            await modes.kill({"kill-agent": "agent:drafter", "kill-upstream": "upstream:newsroom", "kill-all": "all"}[stop], "aiko", "drill")
        rest = b""
        with contextlib.suppress(ConnectionError):
            rest = await asyncio.wait_for(reader.read(), 60)
        assert rest == b"", "neither an event nor a last chunk"
        await asyncio.wait_for(events.gone.wait(), 60)
        found = await outcome(product)
        assert (found["result"], found["code"], found["status"]) == ("done", "paused" if stop == "pause" else "killed", 200)
        assert not product.sidecar.rooms.streams


async def test_a_pause_in_the_registry_cuts_streams_too(tmp_path):
    """A reload that pauses an agent is a stop like any other."""
    events = Events()
    async with ScriptedUpstream(events) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        registry = tmp_path / "registry.yaml"
        active = "drafter: {identity: {key: drafter}, "
        registry.write_text(registry.read_text().replace(active, f"{active}mode: paused, ", 1))
        await product.sidecar.reload()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        assert (await outcome(product))["code"] == "paused"


async def test_a_stop_of_somebody_else_cuts_nothing(tmp_path):
    """The stream of an agent nobody stopped goes on."""
    events = Events()
    async with ScriptedUpstream(events) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        await product.sidecar.rooms.modes.kill("agent:briefer", "aiko", "drill")
        await until(lambda: product.sidecar.watch._epoch == product.sidecar.rooms.modes.epoch)
        events.next.release()
        assert await asyncio.wait_for(reader.readuntil(b"\n\n\r\n"), 60) == chunk(b"data: 0\n\n")


async def test_a_stop_while_the_answers_head_is_awaited_is_felt_with_it(tmp_path):
    """Between the last byte sent and the answer's head nobody looks at the stream: it is looked at when it begins."""
    let, asked = asyncio.Event(), asyncio.Event()

    async def late(peer) -> None:
        await peer.request()
        asked.set()
        await let.wait()
        await peer.send(HEAD + chunk(b"secret"))
        await peer.request()

    async with ScriptedUpstream(late) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        await asked.wait()
        await product.sidecar.rooms.modes.kill("all", "aiko", "drill")
        await until(lambda: product.sidecar.watch._epoch == product.sidecar.rooms.modes.epoch)
        let.set()
        read = b""
        with contextlib.suppress(ConnectionError):
            read = await asyncio.wait_for(reader.read(), 60)
        assert b"secret" not in read
        assert (await outcome(product))["code"] == "killed"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", b"2\r\nok\r\n0\r\n\r\n"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
    ids=["trailers-are-dropped", "1xx-are-skipped"],
)
async def test_what_nobody_judged_does_not_pass(tmp_path, raw, body):
    """Trailers and interim answers end here; the connection goes on being used."""
    async with (
        ScriptedUpstream(raw) as upstream,
        behind(tmp_path, upstream.url) as product,
        asking(product, "/newsroom/articles", "Connection: close") as (
            reader,
            _,
        ),
    ):
        head, _, rest = (await reader.read(-1)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert b"X-Sum" not in head
        assert rest == body


async def test_an_early_answer_is_relayed(tmp_path):
    """An upstream may answer before it has read the body: the agent gets that answer, once, and the next request a connection of its own."""

    async def early(peer) -> None:
        await peer.reader.readuntil(b"\r\n")
        await peer.send(b"HTTP/1.1 413 Enough\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")
        await peer.reader.read()

    async with ScriptedUpstream(early) as upstream, behind(tmp_path, upstream.url) as product:
        for _ in range(2):
            reply = await product.ask("POST", "/newsroom/articles", json={"title": "x" * 50_000})
            assert (reply.status, reply.body) == (413, b"stop")
        assert upstream.connections == 2


async def test_draining_finishes_what_runs_and_refuses_what_comes(tmp_path):
    """SIGTERM: the open request gets its answer, a kept-alive connection is told 503 and closed."""
    late, let, asked = made_late()
    async with ScriptedUpstream(late) as upstream, behind(tmp_path, upstream.url) as product:
        async with asking(product) as (reader, _), asking(product, "/nowhere") as (kept, kept_writer):
            await asked.wait()
            assert (await kept.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403")
            draining = asyncio.get_running_loop().create_task(product.sidecar.drain())
            await until(lambda: product.sidecar.readiness.draining)
            kept_writer.write(b"GET /newsroom/articles HTTP/1.1\r\nHost: localhost\r\n\r\n")
            told = await kept.read()
            assert b"HTTP/1.1 503" in told
            assert b"urn:stagewarden:problem:draining" in told
            let.set()
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201 Made")
            assert (b"Connection: close" in head, body) == (True, b"ok")
            await draining
        assert (await outcome(product))["status"] == 201


async def test_good_agents_are_served_while_one_floods(tmp_path):
    """The flood is turned away by its agent's name, cheaply and early; everybody else's requests all succeed, and the log is not filled."""
    raw = b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok"
    async with ScriptedUpstream(raw) as upstream, behind(tmp_path, upstream.url, ("limits: {", "limits: {rate_per_agent: 5/h, ")) as product:
        flood = [asyncio.create_task(product.ask("GET", "/newsroom/articles", "drafter")) for _ in range(200)]
        good = [await product.ask("POST", "/intranet/articles", "briefer", json={"title": "x"}) for _ in range(5)]
        answers = await asyncio.gather(*flood)
        assert [reply.status for reply in good] == [201] * 5
        turned_away = [reply for reply in answers if reply.status == 429]
        assert len(turned_away) == 195
        assert {reply.json["type"] for reply in turned_away} == {"urn:stagewarden:problem:overloaded"}
        assert all(600 < int(reply.headers["Retry-After"]) <= 720 for reply in turned_away)
        assert len(upstream.requests) == 10
        metrics = (await product.operations("/metrics")).body.decode()
        assert 'stagewarden_shed_total{limit="rate_per_agent"} 195.0' in metrics
        await until(lambda: sum(row["count"] for row in turned_away_rows(product)) == 195)
        assert len([entry for entry in rulings(product.house.folder) if entry["kind"] == "ruling"]) == 10


async def test_only_so_many_of_an_agents_clients_wait_for_people(tmp_path):
    """Waiting costs a connection and no more: over the agent's share one is told at once where its hold stands, instead of waiting."""
    async with newsroom(tmp_path) as running:
        article = (await running.ask("POST", "/newsroom/articles", json={"title": "x"})).json["id"]
        held = ("POST", f"/newsroom/articles/{article}/publish")
        door = running.sidecar.listener.door
        door._most_waiting = 1
        waiting = asyncio.create_task(running.ask(*held, headers={"Prefer": "wait=55"}))
        await until(lambda: door._waiting)
        reply = await running.ask(*held, headers={"Prefer": "wait=55"})
        assert (reply.status, reply.json["hold"]["state"]) == (403, "pending")
        assert not waiting.done()
        await running.vote(reply.json["hold"]["id"], "ines", "reviewer")
        assert (await waiting).status == 200
        assert not +door._waiting_of


def turned_away_rows(product):
    """What the summaries say of the flood."""
    entries = [entry for entry in rulings(product.house.folder) if entry["kind"] == "refusals"]
    return [row for entry in entries for row in entry["refusals"] if (row["code"], row.get("agent")) == ("overloaded", "drafter")]


async def test_a_loop_that_stood_still_is_not_ready_and_serves_on(tmp_path):
    """The listener's requests and the probe share one loop: when it stalls, readiness says so for a while, and agents are answered again at once."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with ScriptedUpstream(raw) as upstream, behind(tmp_path, upstream.url) as product, asking(product) as (reader, _):
        assert (await product.operations("/readyz")).status == 200
        time.sleep(1.5)  # noqa: ASYNC251 - the stall itself
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        reply = await until_ready(product, 503)
        assert [row["part"] for row in reply.json["reasons"]] == ["loop"]
        assert (await product.ask("GET", "/newsroom/articles")).status == 200


async def until_ready(product, status):
    """The first answer of `/readyz` with this status."""
    async with asyncio.timeout(60):
        while (reply := await product.operations("/readyz")).status != status:  # noqa: ASYNC110 - a probe asks again and again
            await asyncio.sleep(0.05)
    return reply


async def test_over_the_limit_of_all_together_nobody_is_asked(tmp_path):
    """503 `busy` before identity, with Retry-After; nothing is judged, and the next one is served when there is room."""
    events = Events()
    async with ScriptedUpstream(events) as upstream, behind(tmp_path, upstream.url, ("limits: {", "limits: {inflight: 1, ")) as product:
        async with asking(product) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            reply = await product.ask("GET", "/newsroom/articles", "sw_nobody")
            assert (reply.status, reply.json["type"], reply.headers["Retry-After"]) == (503, "urn:stagewarden:problem:busy", "1")
            assert len(upstream.requests) == 1
        await events.gone.wait()
        await until(lambda: product.sidecar.judge._admission.under_way == 0)
        assert (await product.ask("GET", "/newsroom/articles", "sw_nobody")).status == 401


async def test_a_kill_while_a_large_body_leaves_ends_it_there(tmp_path):
    """What had not left stays here, the upstream sees a body that broke off, and the outcome is unknown and names the stop."""
    begun, over, got = asyncio.Event(), asyncio.Event(), 0

    async def slow(peer) -> None:
        nonlocal got
        peer._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        got += len(await peer.reader.read(1 << 16))
        begun.set()
        await over.wait()
        with contextlib.suppress(ConnectionError):
            while data := await peer.reader.read(1 << 16):
                got += len(data)
        peer.drop()

    size = 8 << 20
    async with ScriptedUpstream(slow) as upstream, behind(tmp_path, upstream.url) as product:
        sending = asyncio.create_task(product.ask("POST", "/newsroom/media", headers={"Content-Type": "image/png"}, data=io.BytesIO(b"x" * size)))
        await asyncio.wait_for(begun.wait(), 60)
        kill = (await product.person("PUT", "/kill", "ines", {"scope": "agent:drafter"})).json
        assert kill["owed"] == []
        over.set()
        reply = await asyncio.wait_for(sending, 60)
        found = await outcome(product)
        assert (reply.status, found["result"], found["code"]) == (403, "unknown", "killed")
        assert got < size
