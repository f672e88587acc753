"""Large bodies and forms in parts through the whole product: exactly the bytes that were judged arrive, or none."""

from __future__ import annotations

import asyncio
import hashlib
import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.newsroom import Newsroom
from stagewarden.errors import NotAllowed
from stagewarden.identity.people import Caller
from tests.e2e.houses import NOWHERE, edit
from tests.e2e.processes import SidecarProcess
from tests.product import DRAFTER, PUBLISHER, Product, house, rulings, until
from tests.upstreams import Peer, ScriptedUpstream, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.product import House

ROUTES = """    routes:
      - {match: POST /media, stage: generate, kind: article.draft, body: opaque, types: [image/png, application/zip]}
      - {match: POST /public, stage: export, kind: article.publish, body: opaque, types: [image/png]}
      - match: POST /forms
        stage: generate
        kind: article.draft
        body: multipart
        types: [image/png]
        several: [files]
        facts: {offers: /fields/offer}
        cases:
          - {when: {/fields/status: publish}, stage: export, kind: article.publish}
          - {when: {/parts/*/name: cover}, stage: edit, kind: article.edit}
"""
PNG = {"Content-Type": "image/png"}
SPOOL = 16 << 20
MADE = answer(b'{"id": 1}', "201 Created", "Content-Type: application/json")


def large(size: int) -> bytes:
    """Bytes that repeat nowhere near."""
    block = hashlib.sha512(b"stagewarden").digest()
    return b"".join(hashlib.sha256(block + number.to_bytes(4, "big")).digest() * 32 for number in range(size // 1024 + 1))[:size]


BODY = large((12 << 20) + 17)


@asynccontextmanager
async def behind(folder: Path, upstream: str, *changes: Callable[[House], None]) -> AsyncIterator[Product]:
    """The product before this upstream, with routes for files and forms."""
    made = house(folder, upstream)
    for change in (edit("stagewarden.yaml", "    routes:\n", ROUTES), edit("stagewarden.yaml", "body: 64KiB", "body: 64KiB, spool: 16MiB"), *changes):
        change(made)
    async with running(configuration.load(made.config)) as sidecar, ClientSession(auto_decompress=False) as session:
        yield Product(sidecar, made, session, Newsroom(DRAFTER, PUBLISHER))


async def pieces(body: bytes, cut: int = 70_000):
    """Sent chunked."""
    for at in range(0, len(body), cut):
        yield body[at : at + cut]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    "size", [10, 64 << 10, (64 << 10) + 1, len(BODY), SPOOL], ids=["small", "at-64-KiB", "over-64-KiB", "12-MiB", "at-the-limit"]
)
async def test_an_opaque_body_arrives_byte_for_byte(tmp_path, size, chunked):
    """Framed once by us, whatever way it came; question and log say size and digest, and nothing of it is left on disk."""
    body = large(size)
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        reply = await product.ask("POST", "/newsroom/media", headers=PNG, data=pieces(body) if chunked else io.BytesIO(body))
        assert (reply.status, reply.json) == (201, {"id": 1})
        (got,) = upstream.requests
        assert got.body == body
        assert (got.header("Content-Length"), got.header("Transfer-Encoding")) == (str(size), None)
        assert product.sidecar.rooms.spools.in_use == (0, 0)
    ruling = next(entry for entry in rulings(tmp_path) if entry["kind"] == "ruling")
    outcome = next(entry for entry in rulings(tmp_path) if entry["kind"] == "outcome")
    assert ruling["proposed"]["digest"] == outcome["sent"]
    assert (outcome["as_approved"], outcome["answer"]["given"]) == (True, "whole")


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/newsroom/media", PNG, b"x" * (SPOOL + 1), 413),
        ("/newsroom/media", PNG | {"Transfer-Encoding": "chunked"}, b"x" * (SPOOL + 1), 413),
        ("/newsroom/media", {"Content-Type": "image/gif"}, BODY, 415),
        ("/newsroom/media", {}, BODY, 415),
        ("/newsroom/media", PNG | {"Content-Encoding": "gzip"}, BODY, 415),
        ("/newsroom/articles", {"Content-Type": "application/json"}, b"[" + b"1," * 40_000 + b"1]", 413),
    ],
    ids=["over-the-limit", "over-the-limit-chunked", "type", "no-type", "encoded", "json-keeps-its-own-limit"],
)
async def test_a_refused_body_leaves_nothing_and_reaches_nobody(tmp_path, path, headers, body, status):
    """By length, by type, by encoding; the upstream saw nothing, the disk holds nothing."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        chunked = "Transfer-Encoding" in headers
        sent = {name: value for name, value in headers.items() if name != "Transfer-Encoding"}
        status_line = await raw(product, path, sent, body, chunked=chunked)
        assert status_line == f"HTTP/1.1 {status}".encode()
        assert upstream.requests == []
        await until(lambda: product.sidecar.rooms.spools.in_use == (0, 0))


async def raw(product: Product, path: str, headers: dict[str, str], body: bytes, *, chunked: bool = False) -> bytes:
    """Version and status of the answer; whatever of the body can still be sent is."""
    reader, writer = await asyncio.open_connection(*product.sidecar.agents_address)
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    fields = {"Host": "localhost", "Authorization": f"Bearer {product.house.keys['drafter']}"} | headers | framing
    writer.write(f"POST {path} HTTP/1.1\r\n".encode() + "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n")

    async def push() -> None:
        for at in range(0, len(body), 1 << 16):
            piece = body[at : at + (1 << 16)]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()

    pushing = asyncio.create_task(push())
    try:
        return (await asyncio.wait_for(reader.readuntil(b" "), 20)) + (await reader.readexactly(3))
    finally:
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        writer.close()


async def test_a_client_gone_half_way_was_never_judged(tmp_path):
    """Nothing is asked of the policy, nothing is sent; while it came it had no name on disk, and then no file."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        _, writer = await asyncio.open_connection(*product.sidecar.agents_address)
        head = (
            f"POST /newsroom/media HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {product.house.keys['drafter']}\r\n"
            f"Content-Type: image/png\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        writer.write(head.encode() + BODY[: 6 << 20])
        spools = product.sidecar.rooms.spools
        await until(lambda: spools.in_use[1] >= 4 << 20)
        assert list((tmp_path / "spool").iterdir()) == []
        writer.transport.abort()
        await until(lambda: spools.in_use == (0, 0))
        assert upstream.requests == []
    (ruling,) = [entry for entry in rulings(tmp_path) if entry["kind"] == "ruling"]
    assert (ruling["effect"], ruling["reasons"][0]["code"], "policy" in ruling["took_us"]) == ("deny", "ambiguous_request", False)


async def test_a_crash_half_way_leaves_no_file(tmp_path):
    """SIGKILL while a body lies on disk: its file had no name, so there is nothing to clean up, and the next start is clean."""
    made = house(tmp_path, NOWHERE)
    edit("stagewarden.yaml", "    routes:\n", ROUTES)(made)
    sidecar = SidecarProcess(made)
    try:
        sidecar.start()
        _, writer = await asyncio.open_connection("127.0.0.1", sidecar.ports["agents"])
        head = (
            f"POST /newsroom/media HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {made.keys['drafter']}\r\n"
            f"Content-Type: image/png\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        writer.write(head.encode() + BODY[: 4 << 20])
        await until((tmp_path / "spool").is_dir)
        await asyncio.to_thread(sidecar.kill)
        writer.transport.abort()
        assert list((tmp_path / "spool").iterdir()) == []
        await asyncio.to_thread(sidecar.start)
    finally:
        sidecar.close()


async def test_a_full_disk_is_503_and_nothing_is_sent(tmp_path):
    """The record's reserve is never taken by bodies; small ones, which need no disk, go on."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        product.sidecar.rooms.spools.reserve = 1 << 62
        reply = await product.ask("POST", "/newsroom/media", headers=PNG, data=io.BytesIO(BODY))
        assert (reply.status, reply.json["type"]) == (503, "urn:stagewarden:problem:cannot_tell")
        assert (upstream.requests, product.sidecar.rooms.spools.in_use) == ([], (0, 0))
        assert (await product.ask("POST", "/newsroom/media", headers=PNG, data=b"small")).status == 201


async def test_an_upstream_that_answers_early_is_recorded_as_having_seen_less(tmp_path):
    """Its answer is the agent's; the rest of the file stayed here, and nobody may claim that the judged bytes were sent."""

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(answer(b"too large for us", "413 Content Too Large"))
        await asyncio.sleep(30)

    async with ScriptedUpstream(script) as upstream, behind(tmp_path, upstream.url) as product:
        reply = await product.ask("POST", "/newsroom/media", headers=PNG, data=io.BytesIO(BODY))
        assert (reply.status, reply.body) == (413, b"too large for us")
    outcome = next(entry for entry in rulings(tmp_path) if entry["kind"] == "outcome")
    assert (outcome["result"], outcome["status"], outcome["code"]) == ("failed", 413, "answered_early")
    assert (outcome["sent"], outcome["as_approved"]) == ("not_applicable", "not_applicable")


async def test_a_held_file_is_sent_exactly_once_and_exactly(tmp_path):
    """Hold, show, approve, send: byte for byte; people see type, size and digest; a repeat gets the stored answer."""
    digest = "sha256:" + hashlib.sha256(BODY).hexdigest()
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        held = await product.ask("POST", "/newsroom/public", headers=PNG, data=io.BytesIO(BODY))
        hold = held.headers["Stagewarden-Hold"]
        assert (held.status, upstream.requests) == (403, [])
        assert held.json["hold"]["request"]["body_file"] == {"size": len(BODY), "digest": digest}
        shown = (await product.person("GET", f"/holds/{hold}", "ines")).json
        assert shown["request"]["body_file"] == {"size": len(BODY), "digest": digest}
        assert (await product.vote(hold, "ines", "reviewer")).status == 200
        assert await product.ended(hold) == "done"
        (got,) = upstream.requests
        assert got.body == BODY
        assert got.header("Authorization") == f"Bearer {PUBLISHER}"
        repeat = await product.ask("POST", "/newsroom/public", headers=PNG, data=io.BytesIO(BODY))
        assert (repeat.status, repeat.headers["Stagewarden-Hold"], len(upstream.requests)) == (201, hold, 1)
        assert product.sidecar.rooms.spools.in_use == (0, 0)


async def test_people_save_exactly_the_bytes_and_are_recorded(tmp_path):
    """A reviewer gets the file as it came, after a `read` entry; a program without the scope for payloads gets nothing."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        held = await product.ask("POST", "/newsroom/public", headers=PNG, data=io.BytesIO(BODY))
        hold, acts = held.headers["Stagewarden-Hold"], product.sidecar.acts
        with pytest.raises(NotAllowed):
            async with acts.body(Caller(None, "robot", frozenset({"read"}), "token"), hold):
                pytest.fail("it was shown")
        assert not [entry for entry in rulings(tmp_path) if entry["kind"] == "read"]
        async with acts.body(Caller("ines", None, frozenset(), "token"), hold) as body:
            assert b"".join(body.blocks()) == BODY
        assert [entry["by"] for entry in rulings(tmp_path) if entry["kind"] == "read"] == ["ines"]
        assert product.sidecar.rooms.spools.in_use == (0, 0)


async def test_a_stricter_policy_asks_again_for_the_same_bytes(tmp_path):
    """The linked hold carries the whole file, sealed anew; two people release it, byte for byte."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        held = await product.ask("POST", "/newsroom/public", headers=PNG, data=io.BytesIO(BODY))
        first = held.headers["Stagewarden-Hold"]
        edit("registry.yaml", "approval_level: medium", "approval_level: high")(product.house)
        await product.sidecar.reload()
        successor = (await product.sidecar.rooms.holds.get(first)).successor
        assert successor is not None
        for person, function in (("ines", "reviewer"), ("lena", "compliance")):
            assert (await product.vote(successor, person, function)).status == 200
        assert await product.ended(successor) == "done"
        assert [each.body == BODY for each in upstream.requests] == [True]


async def test_a_release_without_room_on_disk_waits_and_sends_once(tmp_path):
    """Could not tell: it stays approved, nothing leaves; with room again it is sent."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        held = await product.ask("POST", "/newsroom/public", headers=PNG, data=io.BytesIO(BODY))
        hold = held.headers["Stagewarden-Hold"]
        spools = product.sidecar.rooms.spools
        reserve, spools.reserve = spools.reserve, 1 << 62
        assert (await product.vote(hold, "ines", "reviewer")).status == 200
        await until(lambda: [entry for entry in rulings(tmp_path) if entry["kind"] == "hold" and entry["event"] == "released"])
        assert (upstream.requests, spools.in_use) == ([], (0, 0))
        spools.reserve = reserve
        assert await product.ended(hold) == "done"
        assert [each.body == BODY for each in upstream.requests] == [True]


def form(*parts: tuple[str, bytes]) -> bytes:
    """Parts as (what follows `form-data; `, content)."""
    lines = [f"--B\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode() + content + b"\r\n" for said, content in parts]
    return b"".join(lines) + b"--B--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=B"}
IMAGE = 'name="{}"; filename="a.png"\r\nContent-Type: image/png'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(('name="title"', b"x")), "article.draft"),
        (form(('name="title"', b"x"), (IMAGE.format("files"), BODY), (IMAGE.format("files"), b"2")), "article.draft"),
        (form((IMAGE.format("cover"), large(300_000))), "article.edit"),
    ],
    ids=["small", "two-large-files", "case-on-a-part"],
)
async def test_a_form_is_sent_as_it_came(tmp_path, body, kind):
    """Judged by its parts, sent byte for byte, its boundary included."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        reply = await product.ask("POST", "/newsroom/forms", headers=FORM, data=io.BytesIO(body))
        assert reply.status == 201
        (got,) = upstream.requests
        assert (got.body == body, got.header("Content-Type")) == (True, FORM["Content-Type"])
    ruling = next(entry for entry in rulings(tmp_path) if entry["kind"] == "ruling")
    assert ruling["proposed"]["kind"] == kind


async def test_a_field_of_a_form_decides_and_people_see_its_parts(tmp_path):
    """`/fields/status: publish` makes it an export; an offer in a field is a fact; the console names the file and shows the field."""
    body = form(('name="status"', b"publish"), ('name="offer"', b"summer"), (IMAGE.format("image"), BODY))
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        held = await product.ask("POST", "/newsroom/forms", headers=FORM, data=io.BytesIO(body))
        hold = held.headers["Stagewarden-Hold"]
        assert (held.status, upstream.requests) == (403, [])
        assert "legal_or_price" in {reason["code"] for reason in held.json["reasons"]}
        stored = await product.sidecar.rooms.holds.get(hold)
        described = stored.question["request"]["body"]
        assert described["fields"] == {"offer": "summer", "status": "publish"}
        assert described["parts"][2] == {
            "name": "image", "filename": "a.png", "type": "image/png", "size": len(BODY), "digest": "sha256:" + hashlib.sha256(BODY).hexdigest(),
        }  # fmt: skip
        for person, function in (("ines", "reviewer"), ("lena", "compliance")):
            assert (await product.vote(hold, person, function)).status == 200
        assert await product.ended(hold) == "done"
        assert upstream.requests[0].body == body


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (form(('name="status"', b"draft"), ('name="status"', b"publish")), FORM, 400),
        (form(('name="Status"', b"publish")), FORM, 400),
        (form((IMAGE.format("status"), b"publish")), FORM, 400),
        (form(('name="title"', b"x")), {"Content-Type": "multipart/form-data; boundary=A; boundary=B"}, 400),
        (form((IMAGE.format("image"), BODY))[:-4], FORM, 400),
        (form(('name="image"; filename="../x.php"\r\nContent-Type: image/png', BODY)), FORM, 400),
        (form(('name="image"; filename="x.svg"\r\nContent-Type: image/svg+xml', b"<svg/>")), FORM, 415),
        (form(('name="title"', b"x" * (65 << 10))), FORM, 413),
    ],
    ids=["name-twice", "case-variant", "file-where-a-field-is-looked-at", "boundary-twice", "no-end", "path", "type", "field-over-the-limit"],
)
async def test_a_form_that_can_be_read_in_two_ways_reaches_nobody(tmp_path, body, headers, status):
    """docker/mcp-gateway PR 414 and kin: refused, recorded, nothing sent, nothing left on disk."""
    async with ScriptedUpstream(MADE) as upstream, behind(tmp_path, upstream.url) as product:
        reply = await product.ask("POST", "/newsroom/forms", headers=headers, data=io.BytesIO(body))
        assert (reply.status, upstream.requests, product.sidecar.rooms.spools.in_use) == (status, [], (0, 0))
