"""`serve`: run the sidecar until SIGTERM or SIGINT; SIGHUP reloads. Prints nothing but JSON log lines."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path

import click
import structlog
import uvloop

from stagewarden import config as configuration
from stagewarden.app import Sidecar, running
from stagewarden.cli.descriptors import make_room
from stagewarden.cli.logs import configure_logs
from stagewarden.cli.problems import print_problems
from stagewarden.errors import ConfigError, StagewardenError

_COLLECT_AT = 20_000  # objects made and not freed; the default is 700


@click.command()
@click.option("--config", "path", required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The configuration file.")
def serve(path: Path) -> None:
    """Run the sidecar."""
    configure_logs()
    try:
        uvloop.run(_serve(path))
    except ConfigError as failure:
        print_problems(failure.problems)
        sys.exit(1)
    except (StagewardenError, OSError) as failure:
        click.echo(f"stagewarden: {failure}", err=True)
        sys.exit(1)


async def _serve(path: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # while all is being read there is nothing to read again
    config = configuration.load(path)
    make_room(config)
    async with running(config) as sidecar:
        loop.add_signal_handler(signal.SIGHUP, sidecar.request_reload)
        # What stands now stands to the end: the collector need not walk it again (4 % of a request's CPU in tests/bench).
        gc.collect()
        gc.freeze()
        # Nothing of a request is in a cycle: the count of references frees it, and the collector need not look at every seventh one.
        gc.set_threshold(_COLLECT_AT)
        _say_started(sidecar)
        await sidecar.until(stop)


def _say_started(sidecar: Sidecar) -> None:
    """Where it listens, and what it judges by."""
    addresses = {"agents": sidecar.agents_address, "people": sidecar.people_address, "operations": sidecar.operations_address}
    structlog.get_logger("stagewarden.start").info(
        "started",
        policy=sidecar.rooms.decider.revision,
        registry=sidecar.rooms.registry.revision,
        **{name: f"{address[0]}:{address[1]}" for name, address in addresses.items() if address is not None},
    )
