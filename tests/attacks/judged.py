"""Judged = shown = logged = sent: a run of generated requests against a sidecar process, compared byte for byte at every place they are seen.

The digest that was judged is computed again from nothing but the bytes the upstream received, by contract section 3's formula, and looked for in
the answer's ruling, in the log's ruling and in the log's outcome. What is refused must not arrive. Never asserts a time.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tests.attacks.generated import BLOCK, block
from tests.ground import KEY, digest
from tests.upstreams import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.attacks.generated import Made
    from tests.e2e.processes import SidecarProcess

AGENT, PERSON = "mallory", "ines"
CONNECTIONS = 24
_PATIENCE = 60.0
_CANNOT_TELL = 503
_UNKNOWN = 401  # before identity refusals are summed up, not recorded one by one
_NUMBER = re.compile(rb"\r\nX-Number: (\d+)\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OURS = frozenset({b"host", b"authorization", b"content-length", b"stagewarden-ruling", b"stagewarden-review"})
_APPROVED = 10  # one hold in so many is approved and must then be sent
_LOOK = 4 * BLOCK  # the log is read on every so many requests


@dataclass(slots=True)
class Result:
    """What a run found."""

    fates: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)  # by place
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Requests made."""
        return sum(self.fates.values())

    def failed(self, made: Made, what: str) -> None:
        """Remember the first of them, each with its bytes."""
        if len(self.failures) < 50:
            self.failures.append(f"#{made.number} {made.name}: {what}: {made.raw[:600]!r}")


class Lab(asyncio.Protocol):
    """The upstream: keeps every request as it came, by its number, and answers at once."""

    def __init__(self, received: dict[int, list[bytes]]) -> None:
        self._received = received
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection of the sidecar's pool."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut into requests by our own framing: Content-Length or none."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            raw, self._buffer = self._buffer[:whole], self._buffer[whole:]
            number = _NUMBER.search(raw, 0, end + 2)
            self._received.setdefault(int(number[1]) if number else -1, []).append(raw)
            body = b"" if raw.startswith(b"HEAD ") else b"ok"
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)


class Line(asyncio.Protocol):
    """The agent's connection: writes a request and waits for its one final answer."""

    def __init__(self) -> None:
        self.closed = False
        self.ending = False  # the answer says that none follows
        self._buffer = b""
        self._waiter: asyncio.Future[tuple[int, bytes, bytes] | None] | None = None
        self._headless = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """Whoever waits is told that no answer comes."""
        self.closed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def ask(self, raw: bytes, *, headless: bool) -> tuple[int, bytes, bytes] | None:
        """Status, head and body; None where the connection ends without an answer."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._headless = headless
        self.transport.write(raw)
        async with asyncio.timeout(_PATIENCE):
            return await self._waiter

    def data_received(self, data: bytes) -> None:
        """An interim answer is skipped, a second final one stays in the buffer and is found by `left`."""
        self._buffer += data
        while self._waiter is not None and not self._waiter.done() and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            status = int(self._buffer[9:12])
            if status < 200:
                self._buffer = self._buffer[end + 4 :]
                continue
            length = None if self._headless else _LENGTH.search(self._buffer, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            head, body = self._buffer[: end + 4], self._buffer[end + 4 : whole]
            self._buffer = self._buffer[whole:]
            self._waiter.set_result((status, head, body))

    @property
    def left(self) -> bytes:
        """Bytes nobody asked for."""
        return self._buffer


class Log:
    """Reads the audit log on, and compares its rulings and outcomes with what is expected of them."""

    def __init__(self, folder: Path, result: Result) -> None:
        self.waiting: dict[str, tuple[Made, str | None]] = {}  # ruling → the request, and the digest of what arrived (None: nothing may)
        self._sent: dict[str, tuple[Made, str | None]] = {}  # of these the outcome is still to come
        self._rulings: dict[str, tuple[object, str]] = {}  # as logged: what happens now, and the digest; an entry may come before its answer
        self._outcomes: dict[str, str] = {}
        self._folder = folder
        self._result = result
        self._at: dict[Path, int] = {}

    @property
    def done(self) -> bool:
        """Whether everything expected was found."""
        return not self.waiting and not self._sent

    @property
    def missing(self) -> dict[str, tuple[Made, str | None]]:
        """What was expected and is not there."""
        return self.waiting | self._sent

    def read(self) -> None:
        """Everything that was written since, and what it says of what is expected."""
        for path in sorted(self._folder.glob("*.jsonl")):
            start = self._at.get(path, 0)
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            end = data.rfind(b"\n") + 1
            self._at[path] = start + end
            for line in data[:end].splitlines():
                entry = orjson.loads(line)
                if entry["kind"] == "ruling":
                    proposed = entry["proposed"]
                    self._rulings[entry["ruling"]] = entry["final"], proposed["digest"] if isinstance(proposed, dict) else proposed
                elif entry["kind"] == "outcome":
                    self._outcomes[entry["ruling"]] = entry["sent"]
        for ruling in self.waiting.keys() & self._rulings.keys():
            self._ruling(ruling)
        for ruling in self._sent.keys() & self._outcomes.keys():
            made, expected = self._sent.pop(ruling)
            self._result.compared["outcome"] += 1
            if (sent := self._outcomes.pop(ruling)) != expected:
                self._result.failed(made, f"the outcome says {sent}, arrived {expected}")

    def _ruling(self, ruling: str) -> None:
        made, expected = self.waiting.pop(ruling)
        final, judged = self._rulings.pop(ruling)
        self._result.compared["ruling"] += 1
        if expected is None:
            if final not in ("nothing", "wait"):
                self._result.failed(made, f"not sent, and logged as {final}")
        elif final != {"send": expected} or judged != expected:
            self._result.failed(made, f"the ruling says {final}, {judged}; arrived {expected}")
        else:
            self._sent[ruling] = made, expected


@dataclass(slots=True)
class Run:
    """One run against a sidecar process whose lab is `received`."""

    sidecar: SidecarProcess
    received: dict[int, list[bytes]]
    result: Result
    log: Log
    key: bytes
    held: dict[str, Made] = field(default_factory=dict)  # approved holds that are to be sent
    perhaps: dict[str, Made] = field(default_factory=dict)  # holds that may have been approved

    async def one(self, line: Line, made: Made) -> None:
        """Ask, and compare everything that is known at once."""
        answered = await line.ask(made.raw.replace(KEY, self.key), headless=made.raw.startswith(b"HEAD "))
        self.result.fates[made.fate] += 1
        self.result.names[made.name] += 1
        arrived = self.received.get(made.number, [])
        if answered is None:
            if made.fate != "refused" or arrived:
                self.result.failed(made, "no answer")
            return
        status, head, body = answered
        line.ending = _field(head, b"connection").lower() == "close" or not head.startswith(b"HTTP/1.1 ")
        if made.fate == "held" and status == _CANNOT_TELL:
            # The store had no answer in time: a no as well, if nothing arrived. What it cost is told, it is no difference.
            self.result.fates["held"] -= 1
            self.result.fates["cannot tell"] += 1
            if arrived:
                self.result.failed(made, "could not tell, and it arrived")
            return
        if status not in made.statuses:
            self.result.failed(made, f"answered {status} {body[-120:]!r}")
        ruling = _field(head, b"stagewarden-ruling")
        if made.fate == "sent":
            self._sent(made, arrived, ruling)
            del self.received[made.number]
        elif arrived:
            self.result.failed(made, f"refused, and the upstream received {arrived[0][:200]!r}")
        elif ruling and status != _UNKNOWN:
            self.log.waiting[ruling] = (made, None)
        if made.fate == "held" and status in made.statuses:
            await self._held(made, orjson.loads(body)["hold"])

    def _sent(self, made: Made, arrived: list[bytes], ruling: str) -> None:
        if len(arrived) != 1:
            self.result.failed(made, f"arrived {len(arrived)} times")
            self.received[made.number] = []
            return
        self._compare(made, arrived[0])
        self.log.waiting[ruling] = (made, digest(Received(arrived[0]), AGENT, "lab", "generate"))

    def _compare(self, made: Made, raw: bytes) -> None:
        """What arrived is what was written: line, fields in order, body."""
        head, _, body = raw.partition(b"\r\n\r\n")
        start, *lines = head.split(b"\r\n")
        fields = tuple((name, value) for name, _, value in (each.partition(b": ") for each in lines) if name.lower() not in _OURS)
        self.result.compared["arrived"] += 1
        if start != made.method + b" " + made.target + b" HTTP/1.1":
            self.result.failed(made, f"arrived as {start!r}")
        if fields != made.fields:
            self.result.failed(made, f"arrived with {fields!r}, not {made.fields!r}")
        if body != made.body:
            self.result.failed(made, f"arrived with the body {body[:200]!r}")

    async def _held(self, made: Made, told: dict[str, Any]) -> None:
        """The agent and the people are shown the same exact request; some holds are approved and then arrive as shown."""
        self._shown(made, told["request"])
        if made.number % _APPROVED and len(self.held):
            return
        shown = (await asyncio.to_thread(self.sidecar.person, "GET", f"/holds/{told['id']}", PERSON)).json
        self._shown(made, shown["request"])
        if shown["digest"] != told["digest"]:
            self.result.failed(made, f"people are shown {shown['digest']}, the agent {told['digest']}")
        vote = await asyncio.to_thread(self.sidecar.vote, told["id"], PERSON, "reviewer")
        if vote.status == 200:
            self.held[told["digest"]] = made
        elif vote.status == _CANNOT_TELL:
            self.perhaps[told["digest"]] = made  # counted or not: nobody said
        else:
            self.result.failed(made, f"the vote was answered {vote.status} {vote.body!r}")

    def _shown(self, made: Made, request: dict[str, Any]) -> None:
        self.result.compared["shown"] += 1
        shown = (request["method"].encode(), request["target"].encode(), request["body"].encode())
        fields = tuple((name.encode(), value.encode()) for name, value in request["headers"])
        if shown != (made.method, made.target, made.body) or fields != made.fields:
            self.result.failed(made, f"shown as {request!r}")

    async def settle(self) -> None:
        """Until what was approved has arrived, and the log has told everything; what arrived unasked for is a failure."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            self.log.read()
            if self.log.done and all(made.number in self.received for made in self.held.values()):
                break
            await asyncio.sleep(0.02)
        for ruling, (made, _) in self.log.missing.items():
            self.result.failed(made, f"the log does not tell all of {ruling}")
        for approved, made in (self.held | self.perhaps).items():
            arrived = self.received.pop(made.number, [])
            if not arrived and approved in self.perhaps:
                continue
            if len(arrived) != 1:
                self.result.failed(made, f"approved, and arrived {len(arrived)} times")
                continue
            self._compare(made, arrived[0])
            if digest(Received(arrived[0]), AGENT, "lab", "export") != approved:
                self.result.failed(made, f"approved as {approved}, and arrived as something else")
            self.result.compared["approved"] += 1
        self.result.failures += [f"nobody's request arrived: {number} {raw[:1]!r}" for number, raw in self.received.items()]


async def drive(
    sidecar: SidecarProcess, received: dict[int, list[bytes]], blocks: Iterator[tuple[int, int]], progress: Callable[[Result, int], None]
) -> Result:
    """Every request of the blocks (seed, index), over a few kept connections, one under way on each."""
    result = Result()
    run = Run(sidecar, received, result, Log(sidecar.house.folder / "audit", result), sidecar.house.keys[AGENT].encode())
    requests = ((made, index) for seed, index in blocks for made in block(seed, index))
    loop = asyncio.get_running_loop()
    started = time.perf_counter()

    async def one() -> None:
        line: Line | None = None
        for made, index in requests:
            if line is None or line.closed or line.left:
                _, line = await loop.create_connection(Line, "127.0.0.1", sidecar.ports["agents"])
            await run.one(line, made)
            if line.left and not line.ending:
                result.failed(made, f"answered more than once: {line.left[:200]!r}")
            if made.name in _ENDS or line.ending:
                line.transport.close()
                line = None
            if result.total % _LOOK == 0:
                run.log.read()
            if result.total % BLOCK == 0:
                progress(result, index)
        if line is not None:
            line.transport.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    result.seconds = time.perf_counter() - started
    await run.settle()
    return result


_ENDS = frozenset({"smuggled", "chunks", "large", "header-line", "header-line-again"})  # what follows on such a connection is anybody's guess


def _field(head: bytes, name: bytes) -> str:
    at = head.lower().find(b"\r\n" + name + b": ")
    return "" if at < 0 else head[at + len(name) + 4 : head.index(b"\r\n", at + 2)].decode()
