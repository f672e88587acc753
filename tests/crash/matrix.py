"""The drill: an act of a person, an agent or the clock on a real sidecar that dies at one of its durable steps; then what must hold.

Each run has a folder, an upstream's count and a seed-free story of its own: ask, perhaps approve, arm, act, die, start again, go on
as people and agents would, and read what database and log say. Nothing here decides when a send happens; the product does.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stagewarden.audit.verify import verify
from stagewarden.holds.lifecycle import TRANSITIONS, Event
from stagewarden.model import HoldState
from tests.crash import state
from tests.e2e.processes import PATIENCE, exchange
from tests.product import House, house, rulings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from tests.crash.state import State
    from tests.e2e.articles import Articles
    from tests.product import Reply
    from tests.upstreams import Received

ARTICLE = "1"
WHENS = ("before", "after")
_QUIET = 0.15  # seconds without a durable step: what the act set off is over


class Forks:
    """The process that forks sidecars, and the one that is alive."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._pid = 0
        self._ended: int | None = None

    async def start(self, made: House, step: int, when: str) -> dict[str, int]:
        """A sidecar that answers; its ports. One that dies on the way up is started again by whoever meets the end of its story."""
        wanted = {"config": str(made.config), "step": step, "when": when, "log": str(made.folder / "serve.log")}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._pid, self._ended = (await self._said())["pid"], None
        ports = await self._said()
        assert "agents" in ports, f"the sidecar ended at start:\n{(made.folder / 'serve.log').read_text()}"
        return ports

    async def arm(self) -> None:
        """From now on its durable steps count."""
        os.kill(self._pid, signal.SIGUSR1)
        assert await self._said() == {"armed": True}

    async def quiet(self) -> int | None:
        """The steps it has done, once it does no more; None where it is dead."""
        steps = -1
        while True:
            try:
                os.kill(self._pid, signal.SIGUSR2)
            except ProcessLookupError:
                return None
            said = await self._said()
            if "ended" in said or said["steps"] == steps:
                self._ended = said.get("ended")
                return None if "ended" in said else steps
            steps = said["steps"]
            await asyncio.sleep(_QUIET)

    async def end(self) -> int:
        """Told to end, unless it is dead already; how it ended (negative: by that signal)."""
        if self._ended is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
            self._ended = (await self._said())["ended"]
        return self._ended

    async def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        assert line, "the forking process ended"
        return dict(json.loads(line))


@asynccontextmanager
async def forks() -> AsyncIterator[Forks]:
    """For as many runs as one likes."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    words = (sys.executable, "-m", "tests.crash.sidecars")
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environ)
    try:
        yield Forks(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


@dataclass
class Run:
    """One folder, one hold, one death."""

    made: House
    upstream: Articles
    store: State
    ports: dict[str, int] = field(default_factory=dict)
    hold: str = ""
    acknowledged: list[str] = field(default_factory=list)  # acts that came back

    async def agent(self, method: str, path: str, more: Mapping[str, str] | None = None) -> Reply:
        """What the drafting agent gets."""
        headers = {"Authorization": f"Bearer {self.made.keys['drafter']}", **(more or {})}
        return await asyncio.to_thread(exchange, self.ports["agents"], method, path, headers)

    async def person(self, who: str, method: str, path: str, body: object = None) -> Reply:
        """What a person gets."""
        headers = {"Authorization": f"Bearer {self.made.tokens[who]}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return await asyncio.to_thread(exchange, self.ports["people"], method, f"/api/v1{path}", headers, data)

    async def open(self, seats: int) -> None:
        """The agent asks to publish; what it asserts makes it a matter for two people."""
        asserted = {"Stagewarden-Asserts": '{"claims": ["cheapest in town"]}'} if seats > 1 else {}
        reply = await self.agent("POST", f"/newsroom/articles/{ARTICLE}/publish", asserted)
        assert reply.status == 403, reply
        self.hold = reply.json["hold"]["id"]

    async def vote(self, who: str, function: str) -> None:
        """An approval on what is shown; acknowledged once it came back."""
        shown = (await self.person(who, "GET", f"/holds/{self.hold}")).json
        ballot = {"decision": "approve", "function": function, "digest": shown["digest"], "view_digest": shown["view_digest"]}
        ballot["answers"] = dict.fromkeys(shown["questions"], True)
        reply = await self.person(who, "POST", f"/holds/{self.hold}/votes", ballot)
        assert reply.status == 200, reply
        self.acknowledged.append(f"vote {who}")

    async def standing(self) -> str:
        """Where the hold stands, as the list says: reading a hold itself is an entry of its own."""
        (listed,) = (await self.person("ines", "GET", "/holds")).json["items"]
        return str(listed["state"])


async def _approve(run: Run) -> None:
    await run.vote("ines", "reviewer")


async def _approve_and_wait(run: Run) -> None:
    await _approve(run)
    await _wait(run)


async def _kill(run: Run) -> None:
    reply = await run.person("lena", "PUT", "/kill", {"scope": "agent:drafter", "reason": "drill"})
    assert reply.status == 200, reply
    run.acknowledged.append("kill")


async def _withdraw(run: Run) -> None:
    reply = await run.agent("POST", f"/.stagewarden/holds/{run.hold}/withdraw")
    assert reply.status == 200, reply
    run.acknowledged.append("withdraw")


async def _wait(run: Run) -> None:
    while await run.standing() in OPEN:  # noqa: ASYNC110 - another process sets no event
        await asyncio.sleep(0.02)


OPEN = frozenset({"pending", "settling", "approved", "claimed", "sent"})


@dataclass(frozen=True)
class Act:
    """What is done while the steps count, what goes before, and where the hold may be found in the end."""

    seats: int
    prepare: Callable[[Run], Any] | None
    act: Callable[[Run], Any]
    ends: frozenset[str]
    claimed: bool = False  # the upstream keeps the release's look-up waiting: it is approved and cannot be sent yet
    decide_within: str = "1h"


ACTS = {
    "approve": Act(2, None, _approve, frozenset({"pending"})),
    "release": Act(1, None, _approve_and_wait, frozenset({"done", "unknown"})),
    "expire": Act(1, None, _wait, frozenset({"expired"}), decide_within="1s"),
    "kill": Act(1, _approve, _kill, frozenset({"stopped", "done"}), claimed=True),
    "withdraw": Act(1, None, _withdraw, frozenset({"withdrawn", "pending"})),
}


async def steps_of(forked: Forks, folder: Path, upstream: Articles, act: str, database: str) -> int:
    """How many durable steps this act has when nothing dies."""
    return (await run_once(forked, folder, upstream, (act, 0, "before"), database)) or 0


async def run_once(forked: Forks, folder: Path, upstream: Articles, death: tuple[str, int, str], database: str) -> int | None:
    """One death (act, step, when), and all that must hold after it; the steps that were done where nothing died, else None."""
    act, step, when = death
    drill = ACTS[act]
    with state.opened(database, folder) as store:
        upstream.requests.clear()
        made = house(folder, upstream.url)
        made.config.write_text(_configured(made.config.read_text(), drill, store))
        run = Run(made, upstream, store)
        go = asyncio.Event()
        run.ports = await forked.start(made, step, when)
        await run.open(drill.seats)
        if drill.claimed:
            upstream.before_answer = _keep_look_ups(go)
        if drill.prepare is not None:
            await drill.prepare(run)
        await forked.arm()
        with suppress(OSError, http.client.HTTPException):
            await drill.act(run)
        steps = await forked.quiet()
        upstream.before_answer = _at_once
        go.set()
        ended = await forked.end()  # a step of its ending may be the chosen one, too
        steps = steps if ended == 0 else None
        assert ended == (0 if steps is not None else -signal.SIGKILL)
        run.ports = await forked.start(made, 0, when)
        end = await _settled(run, drill)
        await forked.quiet()
        assert await forked.end() == 0
        await check(run, drill, end, died=steps is None)
        return steps


async def _settled(run: Run, drill: Act) -> str:
    """The hold's end after the restart; one that waits for people rests, unless it is the clock's turn."""
    async with asyncio.timeout(PATIENCE):
        while (now := await run.standing()) in OPEN and (now != "pending" or drill.act is _wait):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    return now


async def check(run: Run, drill: Act, end: str, *, died: bool) -> None:
    """Sends at most one. No acknowledged vote lost. No entry lost or doubled. A state a person can read, and the log tells the way there."""
    sent = run.upstream.publishes()[ARTICLE]
    allowed = drill.ends if not died else drill.ends | {"pending"}
    assert end in allowed, (end, run.acknowledged)
    assert sent <= 1
    assert sent == 1 if end == "done" else end == "unknown" or sent == 0, (end, sent)
    if "kill" in run.acknowledged:
        assert (end, sent) == ("stopped", 0)
    if "withdraw" in run.acknowledged:
        assert (end, sent) == ("withdrawn", 0)
    report = verify(run.made.folder / "audit")
    assert report.state == "unanchored", report
    entries = rulings(run.made.folder)
    assert max(Counter(entry["id"] for entry in entries if "id" in entry).values()) == 1
    stored = await run.store.read()
    assert stored.outbox == 0
    assert stored.holds == {run.hold: end}
    logged = [entry["person"] for entry in entries if entry["kind"] == "vote"]
    assert sorted(logged) == sorted(stored.voters)
    assert {word.removeprefix("vote ") for word in run.acknowledged if word.startswith("vote ")} <= set(stored.voters)
    check_life([entry for entry in entries if entry["kind"] == "hold"], end)


def check_life(moves: list[dict[str, Any]], end: str) -> None:
    """The log tells the whole life: every move is one of the table, and each begins where the one before ended; a call for others moves nothing."""
    stands = None
    for move in moves:
        assert move["from"] == stands
        if move["event"] in {"escalated", "reminded"}:
            assert move["state"] == stands
            continue
        assert move["state"] == ("pending" if stands is None else TRANSITIONS[HoldState(stands), Event(move["event"])])
        stands = move["state"]
    assert stands == end


def _configured(text: str, drill: Act, store: State) -> str:
    for old, new in (("decide_within: 1h", f"decide_within: {drill.decide_within}"), ("state: sqlite:state.db", f"state: {store.url}")):
        assert old in text
        text = text.replace(old, new)
    return text


def _keep_look_ups(go: asyncio.Event) -> Callable[[Received], Any]:
    async def wait(request: Received) -> None:
        if request.method == "GET":
            await go.wait()

    return wait


async def _at_once(_: Received) -> None:
    return
