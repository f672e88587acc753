"""What is no request, over a raw socket: answered in our words with our headers, and the connection is over. The library's text is never seen."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from stagewarden.web.people.guard import HEADERS

if TYPE_CHECKING:
    from tests.people_listener import Served

HOST = b"Host: 127.0.0.1\r\n"


async def told(served: Served, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to these bytes, read until the other side ends."""
    place = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(data)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, body


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "ambiguous_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "ambiguous_request"),
        (b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n", 400, "ambiguous_request"),
        (b"GET /api/v1/holds HTTP/9.9\r\n" + HOST + b"\r\n", 400, "ambiguous_request"),
        (b"POST /stop HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "ambiguous_request"),
        (b"POST /stop HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, "ambiguous_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400, "ambiguous_request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "target_too_long"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: /" + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"BREW /stop HTTP/1.1\r\n" + HOST + b"\r\n", 400, "ambiguous_request"),
        (b"POST /stop HTTP/1.1\r\n" + HOST + b"Expect: the-unexpected\r\nConnection: close\r\n\r\n", 400, "ambiguous_request"),
    ],
    ids=[
        "no HTTP", "TLS", "a space before the colon", "a version", "two lengths", "a length below nothing", "a NUL", "a long target",
        "a long field", "a long field like a target", "a method nobody has", "an expectation",
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_a_problem(served: Served, data: bytes, status: int, code: str) -> None:
    """The contract's code and form, the headers of every answer, nothing of what was sent; and nothing was done."""
    found, fields, body = await told(served, data)
    problem = json.loads(body)
    assert (found, problem["type"], fields["Content-Type"]) == (status, f"urn:stagewarden:problem:{code}", "application/problem+json")
    assert {name: fields.get(name) for name in HEADERS} == HEADERS
    assert served.gate.engaged == []


@pytest.mark.parametrize(
    ("line", "status", "kind"),
    [
        (b"GET /nothing", 404, "text/html"),
        (b"DELETE /stop", 405, "text/html"),
        (b"PUT /stop", 405, "text/html"),
        (b"GET /api/v1/nothing", 401, "application/problem+json"),
        (b"GET /api/v2/nothing", 404, "text/html"),
    ],
)
async def test_what_no_route_names_is_answered_by_its_door(served: Served, line: bytes, status: int, kind: str) -> None:
    """A page where pages are, a problem where the API is; with the headers of every answer, never the library's text."""
    found, fields, body = await told(served, line + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert (found, fields["Content-Type"].partition(";")[0]) == (status, kind)
    assert {name: fields.get(name) for name in HEADERS} == HEADERS
    assert (b"Method Not Allowed" in body, b"404: Not Found" in body) == (False, False)
