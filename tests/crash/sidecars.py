"""A process that forks sidecars, each of which kills itself at a chosen durable step; run by matrix.py as `python -m tests.crash.sidecars`.

A durable step is a commit of the state database, a sync of the audit log, or a sync of the stop file or its folder. Forking after
the imports makes a start cheap; the sidecar itself is the product's own `running`, unchanged.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from sqlalchemy.engine import default

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.audit.disk import SystemDisk
from stagewarden.cli.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable


class Deathbed:
    """Counts durable steps once armed, and kills the process before or after the chosen one."""

    def __init__(self, step: int, when: str) -> None:
        self._step = step
        self._when = when
        self._one = threading.Lock()
        self.armed = False
        self.count = 0

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """The act, with death before or after it where its turn has come."""

        def wrapped(*arguments: Any, **named: Any) -> Any:
            mine = self._mine()
            if mine and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = act(*arguments, **named)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    def _mine(self) -> bool:
        with self._one:
            self.count += self.armed
            return self.armed and self.count == self._step


def watch(deathbed: Deathbed) -> None:
    """Put it beside every durable step of the product."""
    default.DefaultDialect.do_commit = deathbed.around(default.DefaultDialect.do_commit)  # type: ignore[method-assign]  # a drill
    SystemDisk.sync = deathbed.around(SystemDisk.sync)  # type: ignore[method-assign]  # a drill
    os.fsync = deathbed.around(os.fsync)


async def serve(path: Path, deathbed: Deathbed) -> None:
    """The sidecar until SIGTERM; says where it listens, when it was armed (SIGUSR1) and how many steps it has done since (SIGUSR2)."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def arm() -> None:
        deathbed.armed = True
        say({"armed": True})

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, arm)
    loop.add_signal_handler(signal.SIGUSR2, lambda: say({"steps": deathbed.count}))
    async with running(configuration.load(path)) as sidecar:
        say({name: address[1] for name in ("agents", "people") if (address := getattr(sidecar, f"{name}_address")) is not None})
        await sidecar.until(stop)


def say(what: dict[str, Any]) -> None:
    """One line to whoever plays the drill."""
    os.write(1, json.dumps(what).encode() + b"\n")


def main() -> None:
    """One sidecar for each line of standard input, until it ends: {config, step, when, log}; answers {pid} and at its end {ended}."""
    for line in sys.stdin:
        wanted = json.loads(line)
        if (child := os.fork()) == 0:
            log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 2)
            configure_logs()
            deathbed = Deathbed(wanted["step"], wanted["when"])
            watch(deathbed)
            uvloop.run(serve(Path(wanted["config"]), deathbed))
            os._exit(0)
        say({"pid": child})
        _, status = os.waitpid(child, 0)
        say({"ended": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
