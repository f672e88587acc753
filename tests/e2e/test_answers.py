"""The field filter through the whole product (W8): an agent sees the listed fields of an answer, or nothing of it."""

from __future__ import annotations

import hashlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.newsroom import Newsroom
from tests.e2e.houses import edit
from tests.product import DRAFTER, PUBLISHER, Product, house, rulings
from tests.upstreams import Peer, ScriptedUpstream, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

READ = ("GET", "/newsroom/articles/7")
SECRET = "sw-secret-41"
PROFILE = {"id": 7, "email": SECRET, "title": "Ada", "author": {"name": "Ada L", "phone": SECRET}}
KEPT = {"id": 7, "title": "Ada", "author": {"name": "Ada L"}}
JSON = "Content-Type: application/json"
SCOPE = "    purpose: inform readers\n    scope: {fields: {read: [id, title, /author/name]}}\n"


@asynccontextmanager
async def behind(folder: Path, upstream: str) -> AsyncIterator[Product]:
    """The product before this upstream, its newsletter workflow bounded to three fields."""
    made = house(folder, upstream)
    edit("registry.yaml", "    purpose: inform readers\n", SCOPE)(made)
    async with running(configuration.load(made.config)) as sidecar, ClientSession(auto_decompress=False) as session:
        yield Product(sidecar, made, session, Newsroom(DRAFTER, PUBLISHER))


CHUNKED = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"id":7,"e":"sec\r\n3\r\n"} \r\n0\r\n\r\n'


def body(document: object) -> bytes:
    """As an upstream writes it, with spaces that we would not write."""
    return json.dumps(document, indent=1).encode()


def outcome(folder: Path) -> dict:
    """The last one in the log."""
    return [entry for entry in rulings(folder) if entry["kind"] == "outcome"][-1]


async def asked(tmp_path: Path, raw: bytes, method: str = "GET", **sent: object):
    """What the agent gets of this answer, the outcome recorded, and the bytes of everything it got."""
    async with ScriptedUpstream(raw) as upstream, behind(tmp_path, upstream.url) as product:
        path = READ[1] if method in {"GET", "HEAD"} and "json" not in sent else "/newsroom/articles"
        reply = await product.ask(method, path if method != "HEAD" else "/newsroom/articles", **sent)
        assert len(upstream.requests) == 1
    return reply, outcome(tmp_path)


@pytest.mark.parametrize(
    ("raw", "status", "kept"),
    [
        (answer(body(PROFILE), "200 OK", JSON), 200, KEPT),
        (answer(body([PROFILE, {"email": SECRET}]), "200 OK", JSON), 200, [KEPT, {}]),
        (answer(body(PROFILE), "200 OK", "Content-Type: application/hal+json; charset=utf-8"), 200, KEPT),
        (answer(body({"email": SECRET}), "200 OK", JSON), 200, {}),
        (answer(body({"title": "no such article", "trace": SECRET}), "404 Not Found", JSON), 404, {"title": "no such article"}),
        (answer(body(PROFILE), "302 Found", JSON, "Location: /else"), 302, KEPT),
        (CHUNKED, 200, {"id": 7}),
    ],
    ids=["object", "list", "hal", "nothing-listed", "error", "redirect", "chunked"],
)  # fmt: skip
async def test_w8_a_full_profile_is_reduced_to_its_fields(tmp_path, raw, status, kept):
    """The listed fields and our own length; the log has the digest of what the upstream said, and that it was reduced."""
    reply, recorded = await asked(tmp_path, raw)
    assert (reply.status, reply.json, SECRET in f"{reply.headers}{reply.body!r}") == (status, kept, False)
    assert (reply.headers["Content-Length"], "Transfer-Encoding" in reply.headers) == (str(len(reply.body)), False)
    head, _, said = raw.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        assert recorded["answer"] == {"digest": "sha256:" + hashlib.sha256(said).hexdigest(), "bytes": len(said), "given": "filtered"}
    assert recorded["result"] == ("failed" if status == 404 else "done")
    assert next(entry for entry in rulings(tmp_path) if entry["kind"] == "ruling")["response_fields"] == ["/author/name", "id", "title"]


@pytest.mark.parametrize(
    "name",
    ["ETag", "Last-Modified", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges", "Signature", "Signature-Input", "etag"],
)
async def test_what_vouches_for_the_whole_is_dropped(tmp_path, name):
    """A validator of bytes the agent does not get would let it guess at them, and would be wrong; other headers stay."""
    reply, _ = await asked(tmp_path, answer(body(PROFILE), "200 OK", JSON, f"{name}: {SECRET}", "X-Total: 1"))
    assert (reply.json, name in reply.headers, reply.headers["X-Total"]) == (KEPT, False, "1")


ZIPPED = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xaeV\xcaLQ\xb2R0\xac\x05\x00"
WITHHELD = {
    "html": answer(f"<p>{SECRET}".encode(), "200 OK", "Content-Type: text/html"),
    "no type": answer(body(PROFILE)),
    "event stream": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nda" b"ta\n\r\n",
    "encoded": answer(ZIPPED, "200 OK", JSON, "Content-Encoding: gzip"),
    "encoded twice": answer(ZIPPED, "200 OK", JSON, "Content-Encoding: identity", "Content-Encoding: gzip"),
    "not JSON": answer(b'{"title": "x", ' + SECRET.encode(), "200 OK", JSON),
    "name twice": answer(b'{"title": "x", "title": "%b"}' % SECRET.encode(), "200 OK", JSON),
    "secret name twice": answer(b'{"%b": 1, "%b": 2}' % (SECRET.encode(), SECRET.encode()), "200 OK", JSON),
    "a text": answer(body(SECRET), "200 OK", JSON),
    "a list of texts": answer(body([SECRET]), "200 OK", JSON),
    "number beyond 2^53": answer(b'{"id": 90071992547409931}', "200 OK", JSON),
    "too deep": answer(b'{"title": ' + b"[" * 70 + b"]" * 70 + b"}", "200 OK", JSON),
    "too large": answer(b'{"title": "' + b"x" * (256 << 10) + b'"}', "200 OK", JSON),
    "a range": answer(body({"title": SECRET}), "206 Partial Content", JSON, "Content-Range: bytes 20-40/99"),
    "nothing, as JSON": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("raw", WITHHELD.values(), ids=WITHHELD)
async def test_what_cannot_be_reduced_is_withheld(tmp_path, raw):
    """Refused, not passed: 502 with a code of its own, because the upstream did answer; no byte of the answer is in ours."""
    reply, recorded = await asked(tmp_path, raw)
    assert (reply.status, reply.json["type"], SECRET in f"{reply.headers}{reply.body!r}") == (502, "urn:stagewarden:problem:answer_withheld", False)
    assert b"9007199" not in reply.body
    assert reply.json["upstream_status"] == int(raw.split(b" ", 2)[1])
    assert (recorded["result"], recorded["code"], recorded["answer"]["given"]) == ("done", "answer_withheld", "withheld")


@pytest.mark.parametrize("kind", ["html", "encoded", "not JSON", "too large", "a text"])
async def test_an_error_that_cannot_be_reduced_keeps_its_status_alone(tmp_path, kind):
    """An error page leaks like any other; that it failed is no secret."""
    raw = WITHHELD[kind].replace(b"200 OK", b"403 Forbidden")
    reply, recorded = await asked(tmp_path, raw)
    assert (reply.status, reply.body, "Content-Type" in reply.headers) == (403, b"", False)
    assert (recorded["result"], recorded["answer"]["given"]) == ("failed", "filtered")


@pytest.mark.parametrize(
    ("method", "raw", "status"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 777\r\nETag: x\r\n\r\n", 200),
        ("GET", answer(b"", "200 OK", "ETag: x"), 200),
    ],
    ids=["204", "304", "head", "empty"],
)  # fmt: skip
async def test_an_answer_without_content_passes_without_its_validators(tmp_path, method, raw, status):
    """There is nothing to reduce; a HEAD does not say how long the whole is."""
    reply, recorded = await asked(tmp_path, raw, method)
    assert (reply.status, reply.body, "ETag" in reply.headers) == (status, b"", False)
    assert reply.headers.get("Content-Length") == ("0" if raw.startswith(b"HTTP/1.1 200") and method == "GET" else None)
    assert recorded["result"] == "done"


async def test_a_write_is_done_and_its_answer_reduced_or_withheld(tmp_path):
    """What a write answers is read too; withheld or not, it is recorded as done and never sent again."""
    for raw, status in ((answer(body(PROFILE), "201 Created", JSON), 201), (answer(SECRET.encode(), "201 Created"), 502)):
        folder = tmp_path / str(status)
        reply, recorded = await asked(folder, raw, "POST", json={"title": "x"})
        assert (reply.status, recorded["result"], recorded["status"]) == (status, "done", 201)
        assert SECRET.encode() not in reply.body


async def test_an_answer_that_breaks_off_is_outcome_unknown(tmp_path):
    """Nothing of it was passed, and nobody knows what the rest was."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"title": "')
        await peer.end()

    async with ScriptedUpstream(script) as upstream, behind(tmp_path, upstream.url) as product:
        reply = await product.ask(*READ)
        assert (reply.status, reply.json["type"]) == (502, "urn:stagewarden:problem:outcome_unknown")
    assert outcome(tmp_path)["result"] == "unknown"


async def test_another_workflow_is_answered_as_the_upstream_said(tmp_path):
    """No list, no bound: byte for byte."""
    async with ScriptedUpstream(answer(body(PROFILE), "201 Created", JSON)) as upstream, behind(tmp_path, upstream.url) as product:
        reply = await product.ask("POST", "/intranet/articles", "briefer", json={"title": "x"})
        assert (reply.status, reply.body) == (201, body(PROFILE))
    assert outcome(tmp_path)["answer"]["given"] == "whole"


@pytest.mark.parametrize("withheld", [False, True], ids=["reduced", "withheld"])
async def test_a_release_stores_and_repeats_the_reduced_answer(tmp_path, withheld):
    """What people released is answered under the same bound; the whole answer is nowhere in the state."""

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.request()
            if received.method == "GET":
                await peer.send(answer(body(PROFILE | {"status": "draft"}), "200 OK", JSON))
            else:
                await peer.send(answer(SECRET.encode(), "200 OK") if withheld else answer(body(PROFILE), "200 OK", JSON, f"ETag: {SECRET}"))

    async with ScriptedUpstream(script) as upstream, behind(tmp_path, upstream.url) as product:
        hold = (await product.ask("POST", "/newsroom/articles/7/publish")).headers["Stagewarden-Hold"]
        assert (await product.vote(hold, "ines", "reviewer")).status == 200
        assert await product.ended(hold) == "done"
        response = (await product.sidecar.rooms.holds.get(hold)).response
        assert SECRET not in f"{response}"
        shown = (await product.ask("GET", f"/.stagewarden/holds/{hold}")).json["response"]
        repeat = await product.ask("POST", "/newsroom/articles/7/publish")
        if withheld:
            assert (shown["status"], shown["body"], shown["withheld"]) == (200, "", True)
            assert (repeat.status, repeat.json["type"]) == (502, "urn:stagewarden:problem:answer_withheld")
        else:
            assert (json.loads(shown["body"]), repeat.status, repeat.json) == (KEPT, 200, KEPT)
            assert "ETag" not in repeat.headers
        assert repeat.headers["Stagewarden-Hold"] == hold
        assert len([each for each in upstream.requests if each.method == "POST"]) == 1
    assert outcome(tmp_path)["answer"]["given"] == ("withheld" if withheld else "filtered")
