"""A release played in a process that kills itself (SIGKILL) after its n-th SQL statement; run by test_crash.py.

Every act that came back is acknowledged in a file of its own, and so is every byte that would have left.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from stagewarden import config
from stagewarden.holds.paging import Filter
from tests.databases import handed_on
from tests.unit.holds.bench import HIGH, OK, Bench, HandClock, ballot, open_bench

RELEASES = ("release", "settle", "resend")
ENDS = (*RELEASES, "withdraw", "kill", "expire")
SETTLES = config.Holds(settle=config.Seconds(60), escalate_at=None, remind_at=None)


def write(path: Path, line: str) -> None:
    """On disk, whatever happens next."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


def lines(path: Path) -> list[str]:
    """What was written."""
    return path.read_text().splitlines() if path.exists() else []


class Drill:
    """One life in one folder; the process dies at the n-th statement or commit once armed."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.folder = folder
        self.bench = bench

    def die_after(self, number: int) -> None:
        """From now on, SIGKILL ourselves at the n-th statement or commit."""
        left = [number]

        def count(*_: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        for moment in ("after_cursor_execute", "commit"):
            event.listen(self.bench.store._engine.sync_engine, moment, count)

    def acknowledge(self, what: str) -> None:
        """An act came back."""
        write(self.folder / "acknowledged", what)

    async def log(self) -> None:
        """Append what is in the outbox to a log, once by id, as the gate does; then strike it off."""
        entries = await self.bench.holds.undelivered()
        known = {json.loads(line)["id"] for line in lines(self.folder / "log")}
        for entry in entries:
            if entry.id not in known:
                write(self.folder / "log", json.dumps({"id": entry.id, "kind": entry.kind, **entry.body}))
        await self.bench.holds.delivered([entry.id for entry in entries])

    async def release(self, hold_id: str, attempt: str, *, resend: bool) -> None:
        """Claim, send and finish; with `resend` the upstream does the same key once."""
        await self.bench.holds.claim(hold_id, attempt)
        await self.log()
        await self.bench.holds.mark_sent(hold_id, attempt, resend=resend)
        await self.log()
        self.acknowledge("bytes")
        await self.bench.holds.finish(hold_id, attempt, OK)
        await self.log()


async def play(folder: Path, end: str, number: int) -> None:
    """Open, two votes, then a release or the end that is drilled; the release is drilled from the first statement on."""
    async with open_bench(folder, HandClock(), SETTLES if end == "settle" else None, instance="drill") as bench:
        drill = Drill(folder, bench)
        if end in RELEASES:
            drill.die_after(number)
        hold = await bench.pending(seats=HIGH)
        drill.acknowledge("opened")
        await bench.holds.vote(hold.id, ballot(hold, "ravi", "manager"), bench.registry)
        drill.acknowledge("vote ravi")
        await bench.holds.vote(hold.id, ballot(hold, "lena", "legal"), bench.registry)
        drill.acknowledge("vote lena")
        await drill.log()
        if end not in RELEASES:
            drill.die_after(number)
        match end:
            case "release" | "settle" | "resend":
                bench.clock.advance(60 if end == "settle" else 0)
                await drill.release(hold.id, "a_1", resend=end == "resend")
            case "withdraw":
                await bench.holds.withdraw(hold.id, "drafter")
            case "kill":
                await bench.holds.stop_in_scope("all", "sam", "incident")
            case _:
                bench.clock.advance(3600)
                await bench.holds.expire_due()
        drill.acknowledge(end)


async def examine(folder: Path, end: str) -> dict[str, object]:
    """Start again as a sidecar would: recover, deliver, release what is ready; then say where everything stands."""
    async with open_bench(folder, HandClock(), SETTLES if end == "settle" else None, instance="drill") as bench:
        drill = Drill(folder, bench)
        bench.clock.advance(60 if end == "settle" else 0)
        bench.clock.advance(2 if bench.store.exclusive else 31)  # beside others its own claims are left to their lease
        await bench.holds.recover()
        await drill.log()
        bench.clock.advance(2 if end == "resend" else 0)  # the pause before another try
        for hold_id in await bench.holds.due():
            await drill.release(hold_id, "a_2", resend=end == "resend")
        listed = (await bench.holds.list(Filter()))[0]
        return {
            "states": [str(hold.state) for hold in listed], "voters": [vote.person for hold in listed for vote in hold.votes],
            "acknowledged": lines(folder / "acknowledged"), "log": [json.loads(line) for line in lines(folder / "log")],
        }  # fmt: skip


def main(folder: Path, end: str, step: int) -> None:
    """Every step-th n until the play is over, each in a process of its own; one JSON line each."""
    for number in range(1, 1000, step):
        place = folder / f"{end}-{number}"
        place.mkdir()
        asyncio.run(handed_on(folder, place))
        child = os.fork()
        if child == 0:
            asyncio.run(play(place, end, number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps(asyncio.run(examine(place, end))), flush=True)  # noqa: T201  # this is its output
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
