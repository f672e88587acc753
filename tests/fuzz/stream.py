"""The agents' listener, from raw bytes: never an answer we did not design, never an upstream byte of what was refused, and the process goes on.

The whole product on loopback in a thread of its own, with an upstream that records. `@KEY@` in an input is the agent's key.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import tempfile
import threading
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.faults.doors import doors
from tests.fuzz.harness import ACCEPTED, REFUSED, Harness
from tests.fuzz.readers import llhttp_request
from tests.upstreams import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.doors import Doors
    from tests.fuzz.harness import Judge
    from tests.upstreams import Received

_BATTERY = Path(__file__).parents[1] / "conformance" / "request-battery"
_PATIENCE = 10.0  # seconds; the listener gives up on a head or body long before
_DEADLINE = 0.25  # seconds a head and a body have
_TRIES = 5  # on a loaded machine a good head may miss its deadline
_DESIGNED = {200, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 421, 429, 431}  # with an upstream, a disk and a policy that all work
_GOOD = b"GET /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer @KEY@\r\n\r\n"
_LAST = _GOOD[:-2] + b"Connection: close\r\n\r\n"
_UPSTREAM = answer(b'{"id":"1","status":"draft"}', "200 OK", "Content-Type: application/json", "X-Upstream: yes")


class _Listener:
    """A running product; `say` speaks to its agents' listener."""

    def __init__(self, there: Doors) -> None:
        self.there = there
        self._address = there.product.sidecar.agents_address or ("", 0)
        self._key = there.product.house.keys["drafter"].encode()

    def say(self, data: bytes) -> tuple[bytes, list[_Answer]]:
        """What was sent, no more to come, and the answers until the listener closed or said that it will."""
        data = data.replace(b"@KEY@", self._key)
        said = b""
        with socket.create_connection(self._address, _PATIENCE) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(1 << 16):
                    said += piece
                    if (answers := _answers(said, data)) and answers[-1].closes and answers[-1].whole:
                        break
            except ConnectionError:
                pass  # it may hang up on whoever talks on
        return data, _answers(said, data)

    def judge(self, data: bytes) -> str:
        """Say it; look at what came back and what arrived."""
        arrived = self.there.upstream.requests
        before = len(arrived)
        sent, answers = self.say(data)
        # (1) Whole answers, all of them designed.
        statuses = [each.status for each in answers]
        assert set(statuses) <= _DESIGNED, statuses
        assert all(each.whole for each in answers)
        # (2) What was relayed arrived, in this order, and nothing else did, but for look-ups of our own.
        requests = [each for each in arrived[before:] if each.header("Stagewarden-Ruling")]
        assert [each.header("Stagewarden-Ruling") for each in requests] == [each.ruling for each in answers if each.relayed]
        assert {each.method for each in arrived[before:] if each not in requests} <= {"GET"}
        for request in requests:
            _is_as_sent(request, sent)
        # (3) The next connection starts clean.
        assert any([(each.status, each.relayed) for each in self.say(_LAST)[1]] == [(200, True)] for _ in range(_TRIES))
        kind = ACCEPTED if any(each.relayed for each in answers) else REFUSED
        return f"{kind} {sorted(set(statuses))} {min(len(requests), 3)}"


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer, as a plain client reads it."""

    status: int
    whole: bool
    closes: bool
    relayed: bool
    ruling: str | None


def _answers(said: bytes, sent: bytes) -> list[_Answer]:
    """Final ones, in order. An answer to HEAD has a length and no body: the next one, or nothing, follows at once."""
    asked_for_heads = b"HEAD " in sent
    found: list[_Answer] = []
    while said:
        head, end, said = said.partition(b"\r\n\r\n")
        start, *lines = head.split(b"\r\n")
        if not end:
            found.append(_Answer(200, whole=False, closes=False, relayed=False, ruling=None))
            return found
        status = re.fullmatch(rb"HTTP/(?:0\.9|1\.[01]) ([0-9]{3}) [\x20-\x7e]*", start)
        assert status is not None, start
        fields = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        if status[1] == b"100":
            continue
        assert len(fields) == len(lines)
        assert b"transfer-encoding" not in fields
        length = int(fields[b"content-length"])
        bodiless = said.startswith(b"HTTP/1.") or (not said and asked_for_heads)
        whole = bodiless or len(said) >= length
        said = said if bodiless else said[length:]
        ruling = fields.get(b"stagewarden-ruling")
        closes = fields.get(b"connection", b"").lower() == b"close"
        found.append(_Answer(int(status[1]), whole, closes, b"x-upstream" in fields, ruling.decode() if ruling else None))
    return found


def _is_as_sent(request: Received, sent: bytes) -> None:
    """Method, target and body are the agent's bytes; the head is one that can be read in one way only."""
    line = f"{request.method} /newsroom{request.target} HTTP/1.".encode()
    assert line in sent or f"{request.method} /intranet{request.target} HTTP/1.".encode() in sent
    seen = llhttp_request(request.raw)
    assert seen.whole
    assert seen.body == request.body
    names = [name.lower() for name, _ in seen.fields]
    assert names.count(b"host") == 1
    assert names.count(b"content-length") <= 1
    assert b"transfer-encoding" not in names
    assert not re.search(rb"[^\r]\n|\r[^\n]|[\x00\x80-\xff]", request.head)
    assert request.header("Authorization") in {"Bearer drafter-secret", "Bearer publisher-secret"}
    if b"chunked" not in sent.lower():
        assert request.body in sent


def _good(request: Received) -> bytes:
    """Nothing but a head where HEAD is asked."""
    return _UPSTREAM if request.method != "HEAD" else _UPSTREAM.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@contextmanager
def running() -> Iterator[Judge]:
    """The product, up in a thread; down at the end."""
    folder = Path(tempfile.mkdtemp())
    loop = asyncio.new_event_loop()
    done = asyncio.Event()
    ready = threading.Event()
    there: list[_Listener] = []

    async def live() -> None:
        async with doors(folder / "house", good=_good, patience=_DEADLINE) as made:
            there.append(_Listener(made))
            ready.set()
            await done.wait()

    def work() -> None:
        try:
            loop.run_until_complete(live())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="fuzzed")
    thread.start()
    ready.wait()
    try:
        assert there, "the product did not start"
        yield there[0].judge
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        shutil.rmtree(folder)


def _battery() -> list[bytes]:
    """The battery's requests, turned to a route of the house."""
    found = []
    for name in ("framing", "headers", "host", "path", "method"):
        for case in json.loads((_BATTERY / f"{name}.json").read_text())["cases"]:
            if "raw" in case and len(raw := b64decode(case["raw"])) < 500:
                raw = raw.replace(b"app.test", b"localhost").replace(b"sw_battery", b"@KEY@")
                found.append(raw.replace(b" /x ", b" /newsroom/articles ", 1).replace(b" /items ", b" /newsroom/articles ", 1))
    return found


_HEAD = b"Host: localhost\r\nAuthorization: Bearer @KEY@\r\n"
_BODY = b"Content-Type: application/json\r\n"
_SEEDS = [
    _GOOD,
    b"HEAD /newsroom/articles HTTP/1.1\r\n" + _HEAD + b"\r\n",
    b"POST /newsroom/articles HTTP/1.1\r\n" + _HEAD + _BODY + b'Content-Length: 13\r\n\r\n{"title":"t"}',
    b"POST /newsroom/articles HTTP/1.1\r\n" + _HEAD + _BODY + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"tit\r\n8\r\nle":"t"}\r\n0\r\n\r\n',
    b"POST /newsroom/articles/1/publish HTTP/1.1\r\n" + _HEAD + b"Content-Length: 0\r\n\r\n",
    b"GET /newsroom/articles?status=draft HTTP/1.1\r\n" + _HEAD + b"\r\n" + _GOOD,
    b"POST /newsroom/articles HTTP/1.1\r\n" + _HEAD + _BODY + b'Expect: 100-continue\r\nContent-Length: 13\r\n\r\n{"title":"t"}' + _GOOD,
    b"GET /.stagewarden/holds/h_0 HTTP/1.1\r\n" + _HEAD + b"\r\n",
    *_battery()[::4],
]
_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x80", b"GET ", b"POST ", b"DELETE /newsroom/articles/1 HTTP/1.1\r\n",
    b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0", b" HTTP/1.2", b"/newsroom/articles", b"/newsroom/../", b"//", b"%2f", b"?a=1", b"#",
    b"http://localhost/newsroom/articles", b"*", b"Host: localhost\r\n", b"Host: other\r\n", b"Content-Length: 13\r\n", b"Content-Length: 0\r\n",
    b"Content-Length: +13\r\n", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"transfer-encoding : chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: Authorization\r\n",
    b"Upgrade: h2c\r\n", b"X-HTTP-Method-Override: DELETE\r\n", b"Prefer: wait=1\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"5;x=y\r\n",
    b"ffffffffffffffff\r\n", b"0\r\nX-Trailer: 1\r\n\r\n", b'{"title":"t"}', b'{"title":1,"title":2}', _GOOD,
    b"GET /newsroom/articles HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"Content-Encoding: gzip\r\n", b"X_A: 1\r\n", b" folded\r\n",
    b"A" * 9000,
)  # fmt: skip
_LINES = st.lists(st.sampled_from([each for each in _TOKENS if each.endswith(b"\r\n") and each.count(b"\r\n") == 1 and b": " in each]), max_size=2)
_FRAMED = (
    (b"", b""), (b"", _GOOD), (b"Content-Length: 13\r\n", b'{"title":"t"}'), (b"Content-Length: 13\r\n", b'{"title":"t"}' + _GOOD),
    (b"Transfer-Encoding: chunked\r\n", b'd\r\n{"title":"t"}\r\n0\r\n\r\n'),
    (b"Transfer-Encoding: chunked\r\n", b'd;x=1\r\n{"title":"t"}\r\n0\r\nX: 1\r\n\r\n' + _GOOD),
    (b"Content-Length: 0\r\n", b'{"title":"t"}'), (b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + _GOOD),
)  # fmt: skip
_STARTS = (
    b"GET /newsroom/articles",
    b"POST /newsroom/articles",
    b"PATCH /newsroom/articles/1",
    b"HEAD /newsroom/articles",
    b"GET /newsroom/none",
    b"GET /other",
)
_GROWN = st.tuples(
    st.sampled_from(_STARTS), st.sampled_from([b" HTTP/1.1", b" HTTP/1.0"]), _LINES, st.sampled_from([b"", _BODY]), st.sampled_from(_FRAMED)
).map(lambda parts: parts[0] + parts[1] + b"\r\n" + _HEAD + b"".join(parts[2]) + parts[3] + parts[4][0] + b"\r\n" + parts[4][1])
HARNESS = Harness("stream", tuple(dict.fromkeys(_SEEDS)), _TOKENS, _GROWN, running)
