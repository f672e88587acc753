"""Races of stops against sends: what was approved, and what is allowed at once, against a kill or a pause given at that moment.

    python -m tests.faults.stop_races --rounds 1000 --workers 2

Counted are raw bytes at the upstream. At the moment the stop is acknowledged everything that has left is taken out of the sockets; a byte
that arrives after that left too late. Must never take the sidecar's own word for what it sent.
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.houses import edit
from tests.e2e.processes import OPEN, serving, until
from tests.product import house

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.processes import SidecarProcess

_WINDOW = 0.08  # seconds over which a stop falls after the last vote began
_SCOPES = ("all", "agent:drafter", "workflow:newsletter", "upstream:newsroom", "stage:export", "pause")


class RawUpstream:
    """Counts bytes. A thread reads and answers; `taken` reads whatever has arrived by now, and says how much that is in all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.settimeout(0)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waiting: dict[socket.socket, bytes] = {}
        self._bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def taken(self) -> int:
        """Bytes so far; none is left in a socket."""
        with self._lock:
            self._accept()
            for peer in list(self._waiting):
                self._read(peer)
            return self._bytes

    def close(self) -> None:
        """End it."""
        self._ended.set()
        self._thread.join()
        for peer in (*self._waiting, self._listener):
            peer.close()
        self._selector.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._selector.select(0.02)
            self.taken()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except BlockingIOError:
                return
            peer.settimeout(0)
            self._waiting[peer] = b""
            self._selector.register(peer, selectors.EVENT_READ)

    def _read(self, peer: socket.socket) -> None:
        while True:
            try:
                data = peer.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(peer)
                peer.close()
                del self._waiting[peer]
                return
            self._bytes += len(data)
            self._waiting[peer] = self._answered(peer, self._waiting[peer] + data)

    def _answered(self, peer: socket.socket, data: bytes) -> bytes:
        """Answer every whole request; what is left of the next."""
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(data) < end + 4 + length:
                break
            number = ([*data.split(b" ")[1].split(b"/"), b"new"])[2].decode()
            body = json.dumps({"id": number, "status": "draft", "title": "", "offers": [], "claims": []}).encode()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            data = data[end + 4 + length :]
        return data


@dataclass(slots=True)
class Told:
    """What came of all rounds: `late` bytes after an acknowledged stop; how holds ended; how often each stop was given."""

    rounds: int = 0
    late: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    direct: Counter[int] = field(default_factory=Counter)  # status of what was sent on at once

    def __str__(self) -> str:
        lines = (f"rounds {self.rounds}", f"bytes after an acknowledged stop {self.late}", f"holds {dict(self.ends)}", f"at once {dict(self.direct)}")
        return "; ".join((*lines, f"stops {dict(self.stops)}"))


@dataclass(slots=True)
class Races:
    """A sidecar in front of the counting upstream."""

    sidecar: SidecarProcess
    upstream: RawUpstream
    chance: random.Random
    told: Told = field(default_factory=Told)

    def play(self, rounds: int) -> Told:
        """So many, one after another."""
        for number in range(rounds):
            self._round(number)
        return self.told

    def _round(self, number: int) -> None:
        """(1) A hold, one vote from approved. (2) Vote, writes sent on at once, and the stop, all together. (3) Counted. (4) Lifted."""
        hold = self.sidecar.ask("POST", f"/newsroom/articles/{number}/publish").json["hold"]["id"]
        shown = self.sidecar.hold(hold, "ines")
        yes = {"decision": "approve", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"]}
        yes["answers"] = dict.fromkeys(shown["questions"], True)
        stop = _SCOPES[number % len(_SCOPES)]
        over = threading.Event()
        # Drafts are none of `stage:export`: they go on, and would be counted.
        writers = [threading.Thread(target=self._write, args=(over,)) for _ in range(0 if stop == "stage:export" else 2)]
        voter = threading.Thread(target=self.sidecar.person, args=("POST", f"/holds/{hold}/votes", "ines", yes))
        for each in (*writers, voter):
            each.start()
        time.sleep(self.chance.uniform(0, _WINDOW))
        lift = self._stop(stop)
        left = self.upstream.taken()
        voter.join()
        state = until(lambda: self._ended(hold), f"the end of {hold}")
        time.sleep(0.01)
        over.set()
        for each in writers:
            each.join()
        self.told.late += self.upstream.taken() - left
        self.told.rounds += 1
        self.told.ends[state] += 1
        self.told.stops[stop.partition(":")[0]] += 1
        lift()

    def _stop(self, stop: str):
        """Given and acknowledged; the way back."""
        if stop == "pause":
            assert self.sidecar.person("PUT", "/agents/drafter/mode", "ines", {"mode": "paused"}).status == 200
            back = {"mode": "active", "reason": "next"}
            return lambda: self._lifted("PUT", "/agents/drafter/mode", back)
        reply = self.sidecar.person("PUT", "/kill", "ines", {"scope": stop})
        assert (reply.status, reply.json["owed"]) == (200, []), reply
        return lambda: self._lifted("DELETE", "/kill", {"id": reply.json["id"], "reason": "next"})

    def _lifted(self, method: str, path: str, body: object) -> None:
        reply = self.sidecar.person(method, path, "lena", body)
        assert reply.status == 200, reply

    def _ended(self, hold: str) -> str | None:
        """How it ended; one that is pending was not approved in time, and waits."""
        state = self.sidecar.hold(hold, "ines")["state"]
        return state if state not in OPEN - {"pending"} else None

    def _write(self, over: threading.Event) -> None:
        while not over.is_set():
            self.told.direct[self.sidecar.ask("POST", "/newsroom/articles", json={"title": "t"}).status] += 1


@contextmanager
def racing(folder: Path, workers: int, seed: int) -> Iterator[Races]:
    """Everything started."""
    upstream = RawUpstream()
    made = house(folder, upstream.url)
    edit("stagewarden.yaml", "holds_per_agent: 500", "holds_per_agent: 5000")(made)
    try:
        with serving(made, workers=workers) as sidecar:
            yield Races(sidecar, upstream, random.Random(seed))
    finally:
        upstream.close()


def main() -> int:
    """Print what came of it; 1 where a byte was late."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stop_races")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, racing(Path(folder), given.workers, given.seed) as races:
        told = races.play(given.rounds)
    sys.stdout.write(f"{told}\n")
    return 1 if told.late else 0


if __name__ == "__main__":
    sys.exit(main())
