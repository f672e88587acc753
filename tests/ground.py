"""A ground to attack: the whole product in a thread, two recording upstreams behind it, and a raw socket in front.

What a client hears and what an upstream receives is kept as it came; nothing here repairs, follows or retries. `Ground.attack` writes raw
bytes and, where the connection is kept, a probe after them: answers come in order, so whatever the bytes gave rise to was answered before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import select
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagewarden import config as configuration
from stagewarden.app import running
from tests.product import WASM, House, house
from tests.upstreams import ScriptedUpstream, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.app import Sidecar
    from tests.upstreams import Peer, Received

HOUSE = Path(__file__).parent / "attacks" / "house"
KEY = b"sw_battery"  # stands for the agent's credential in every table of requests
HOST = b"app.test"
KEEPS = "/kept-"  # a target for which the lab answers as it is told and keeps the connection; after any other such answer it closes it
PATIENCE = 60.0  # seconds; far beyond the deadlines of the house
STATUS = {
    "ambiguous_request": 400, "unauthenticated": 401, "denied": 403, "held": 403, "killed": 403, "paused": 403, "revoked": 403, "not_found": 404,
    "body_too_large": 413, "target_too_long": 414, "unsupported_body": 415, "overloaded": 429, "headers_too_large": 431,
    "upstream_unavailable": 502, "outcome_unknown": 502, "cannot_tell": 503, "upstream_timeout": 504,
}  # fmt: skip
_PROBLEM = "urn:stagewarden:problem:"
_PORTION = 1 << 16


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as it came."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        """The first of that name."""
        return next((value for key, value in self.fields if key.lower() == name), None)

    @property
    def code(self) -> str | None:
        """The problem's code, None where the answer is no problem of ours."""
        if self.header("content-type") != "application/problem+json":
            return None
        return str(json.loads(self.body)["type"]).removeprefix(_PROBLEM)

    @property
    def reason(self) -> str | None:
        """The first reason's code of a denial."""
        return next((reason["code"] for reason in json.loads(self.body).get("reasons", ())), None)

    @property
    def closes(self) -> bool:
        """Whether nothing may follow on this connection."""
        return (self.header("connection") or "").lower() == "close" or self.raw.startswith(b"HTTP/1.0")


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of raw bytes: the answers to them, whether the connection ended, what each upstream received."""

    answers: tuple[Heard, ...]
    closed: bool
    reached: tuple[Received, ...]
    strayed: tuple[Received, ...]

    @property
    def only(self) -> Heard:
        """The one answer."""
        assert len(self.answers) == 1, self.answers
        return self.answers[0]


@dataclass(slots=True)
class Ground:
    """The running product as an attacker meets it."""

    address: tuple[str, int]
    sidecar: Sidecar
    house: House
    lab: ScriptedUpstream
    vault: ScriptedUpstream
    loop: asyncio.AbstractEventLoop
    replies: dict[str, list[bytes]] = field(default_factory=dict)  # by target: what the lab answers instead of its echo, in pieces
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _read: dict[Path, int] = field(default_factory=dict)
    _entries: list[dict[str, Any]] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """A connection to the agents' listener."""
        connection = socket.create_connection(self.address, timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def attack(self, raw: bytes, *, agent: str = "mallory", leaves: bool = False, step: int = 0) -> Seen:
        """Write the bytes on a connection of their own, with `step` so many at a time. With `leaves` the client ends its side after them."""
        before = len(self.lab.requests), len(self.vault.requests)
        probe = f"/probe-{next(self._numbers)}"
        with self.connect() as connection:
            client = Client(connection)
            keyed = self.keyed(raw, agent)
            for at in range(0, len(keyed), step or len(keyed)):
                client.write(keyed[at : at + (step or len(keyed))])
            if leaves:
                client.end()
            answers = client.answers(probe, self.keyed(get(probe.encode())), headless=raw.startswith(b"HEAD "))
        self.settle()
        reached = tuple(request for request in self.lab.requests[before[0] :] if request.target != probe)
        return Seen(tuple(answers), client.closed, reached, tuple(self.vault.requests[before[1] :]))

    def elsewhere(self, address: tuple[str, int] | None, raw: bytes) -> Heard:
        """The answer of another of our listeners."""
        assert address is not None
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            client = Client(connection)
            client.write(self.keyed(raw))
            heard = client.answer(headless=raw.startswith(b"HEAD "))
        assert heard is not None
        return heard

    def settle(self) -> None:
        """Until nothing is under way: a client that has left does not stop what it began."""
        asyncio.run_coroutine_threadsafe(self.sidecar.judge.idle(), self.loop).result(PATIENCE)

    def keyed(self, raw: bytes, agent: str = "mallory") -> bytes:
        """With the agent's credential where the tables have a word for it."""
        return raw.replace(KEY, self.house.keys[agent].encode())

    def entries(self) -> list[dict[str, Any]]:
        """The audit log so far; read on from where it was left."""
        for path in sorted((self.house.folder / "audit").glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._entries.append(json.loads(line))
                    self._read[path] = self._read.get(path, 0) + len(line)
        return self._entries

    def entry(self, kind: str, ruling: str) -> dict[str, Any]:
        """The entry of that kind about this ruling; outcomes are written a moment after the answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for entry in reversed(self.entries()):
                if entry["kind"] == kind and entry.get("ruling") == ruling:
                    return entry
            assert time.monotonic() < deadline, f"no {kind} of {ruling} in the log"
            time.sleep(0.005)


class Client:
    """A raw connection: writes while it reads, as an answer may come before the last byte is taken."""

    def __init__(self, connection: socket.socket) -> None:
        self.closed = False
        self._connection = connection
        self._buffer = bytearray()
        self._pending = b""
        self._lost = False

    def write(self, data: bytes) -> None:
        """Send, and keep what comes meanwhile. A connection cut by the other side takes nothing more."""
        pending = memoryview(data)
        while pending and not self._lost:
            readable, writable, _ = select.select([self._connection], [self._connection], [], PATIENCE)
            assert readable or writable, "the listener takes no bytes"
            try:
                if writable:
                    pending = pending[self._connection.send(pending[:_PORTION]) :]
            except OSError:
                self._lost = True
            if readable and not self._receive():
                return

    def end(self) -> None:
        """No more bytes from this side."""
        if not self._lost:
            with contextlib.suppress(OSError):  # the other side was faster
                self._connection.shutdown(socket.SHUT_WR)

    def answers(self, probe: str, probing: bytes, *, headless: bool = False) -> list[Heard]:
        """Every answer until the connection ends, or until the probe, sent once the first answer allows it, is answered."""
        found: list[Heard] = []
        probed = False
        while (heard := self.answer(headless=headless and not found)) is not None:
            if probed and heard.status == 200 and json.loads(heard.body).get("target") == probe:
                return found
            found.append(heard)
            if not probed and not heard.closes:
                probed = True
                self.write(probing)
            elif not probed:
                self.end()  # whoever lingers for the rest of a body need not
        return found

    def answer(self, *, headless: bool = False) -> Heard | None:
        """The next final answer; None where the connection ends before it. `headless` to a HEAD: it has a length and no body."""
        while True:
            while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                if not self._receive():
                    assert not self._buffer, bytes(self._buffer)
                    return None
            head = bytes(self._buffer[: end + 4])
            status = int(head.split(b" ", 2)[1])
            if status == 101 or status >= 200:
                break
            del self._buffer[: end + 4]
        lines = head.decode("latin-1").split("\r\n")[1:-2]
        fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        del self._buffer[: end + 4]
        body = b"" if headless else self._body({name.lower(): value for name, value in fields})
        return Heard(status, fields, body, head + body)

    def _body(self, fields: dict[str, str]) -> bytes:
        """By chunks or by length; an answer of ours says one of the two."""
        if "transfer-encoding" not in fields:
            return self._take(int(fields.get("content-length", 0)))
        body = b""
        while size := int(self._line(), 16):
            body += self._take(size)
            assert self._take(2) == b"\r\n"
        while self._line():
            pass
        return body

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            assert self._receive(), "an answer is cut short"
        return self._take(end + 2)[:-2]

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            assert self._receive(), "an answer is cut short"
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive(self) -> bool:
        """False at the end of the connection."""
        if self.closed:
            return False
        try:
            data = self._connection.recv(_PORTION)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self.closed = not data
        return bool(data)


@contextmanager
def standing(folder: Path, engine: str = WASM, source: Path = HOUSE, **replaced: str) -> Iterator[Ground]:
    """The product and its upstreams, running in a thread until the block is left."""
    ready: list[Ground | BaseException] = []
    told, over = threading.Event(), threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        replies: dict[str, list[bytes]] = {}
        async with ScriptedUpstream(_echo(replies)) as lab, ScriptedUpstream(_echo({})) as vault:
            made = house(folder, lab.url, engine, source, **{"@VAULT@": vault.url, **replaced})
            async with running(configuration.load(made.config)) as sidecar:
                assert sidecar.agents_address is not None
                ready.append(Ground(sidecar.agents_address, sidecar, made, lab, vault, loop, replies))
                told.set()
                await loop.run_in_executor(None, over.wait)
                stop.set()

    def play() -> None:
        try:
            asyncio.run(run())
        except BaseException as failure:  # noqa: BLE001 - raised where the ground was asked for
            ready.append(failure)
        finally:
            told.set()

    thread = threading.Thread(target=play, name="ground")
    thread.start()
    try:
        told.wait()
        if isinstance(ready[0], BaseException):
            raise ready[0]
        yield ready[0]
    finally:
        over.set()
        thread.join()
    if isinstance(ready[-1], BaseException):
        raise ready[-1]


def _echo(replies: dict[str, list[bytes]]) -> Any:
    async def play(peer: Peer) -> None:
        while True:
            received = await peer.request()
            pieces = replies.get(received.target)
            if pieces is None:
                body = json.dumps({"method": received.method, "target": received.target}).encode()
                pieces = [answer(body, "200 OK", "Content-Type: application/json")]
            for piece in pieces:
                await peer.send(piece if received.method != "HEAD" else piece.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            if received.target in replies and not received.target.startswith(KEEPS):
                await peer.end()
                return

    return play


def request(method: bytes, target: bytes, *lines: bytes, body: bytes | None = None, version: bytes = b"HTTP/1.1", host: bytes | None = HOST) -> bytes:
    """One request with the agent's credential; `lines` are put before the empty line as they are, a body gets its length."""
    head = [method + b" " + target + b" " + version]
    head += [b"Host: " + host] if host is not None else []
    head += [b"Authorization: Bearer " + KEY, *lines]
    head += [b"Content-Length: %d" % len(body)] if body is not None else []
    return b"\r\n".join(head) + b"\r\n\r\n" + (body or b"")


def get(target: bytes, *lines: bytes) -> bytes:
    """A GET."""
    return request(b"GET", target, *lines)


def chunked(body: bytes, size: int = 7) -> bytes:
    """A body in chunks, with the last one."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def exact(received: Received) -> list[tuple[str, str]]:
    """The header fields to the byte: what stands between `: ` and the line's end, white space included."""
    lines = received.head.decode("latin-1").split("\r\n")[1:-2]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def digest(received: Received, agent: str, upstream: str, stage: str) -> str:
    """The request digest by contract section 3's formula, from nothing but the bytes an upstream received."""
    ours = {"host", "authorization", "content-length", "stagewarden-ruling", "stagewarden-review"}
    fields = [part for name, value in exact(received) if name.lower() not in ours for part in (name.lower(), value)]
    head = ["stagewarden/request/1", agent, upstream, stage, received.method, "http", received.header("host") or "", received.target, *fields]
    parts = [*(part.encode("latin-1") for part in head), received.body]
    return "sha256:" + hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
