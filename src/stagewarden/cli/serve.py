"""`serve`: run the sidecar until SIGTERM or SIGINT; SIGHUP reloads. Prints nothing but JSON log lines."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click
import structlog
import uvloop

from stagewarden import config as configuration
from stagewarden.app import Sidecar, Workers, running, settle
from stagewarden.cli.descriptors import make_room
from stagewarden.cli.examples import examples
from stagewarden.cli.logs import configure_logs
from stagewarden.cli.problems import print_problems
from stagewarden.cli.worker import COMMAND
from stagewarden.errors import ConfigError, StagewardenError


@click.command(epilog=examples("serve --config stagewarden.yaml", "serve --config stagewarden.yaml --workers 4"))
@click.option("--config", "path", required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The configuration file.")
@click.option("--workers", type=click.IntRange(min=1, max=64), default=1, show_default=True, help="Processes that serve agents, for several cores.")
def serve(path: Path, workers: int) -> None:
    """Run the sidecar until SIGTERM or SIGINT; SIGHUP reloads.

    Logs JSON lines to standard error. Whatever `check` finds keeps it from starting.
    """
    configure_logs()
    try:
        uvloop.run(_serve(path, workers))
    except ConfigError as failure:
        print_problems(failure.problems)
        sys.exit(1)
    except (StagewardenError, OSError) as failure:
        click.echo(f"stagewarden: {failure}", err=True)
        sys.exit(1)


async def _serve(path: Path, workers: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # while all is being read there is nothing to read again
    config = configuration.load(path)
    make_room(config)
    house = Workers(workers, COMMAND, stop) if workers > 1 else None
    async with running(config, workers=house) as sidecar:
        loop.add_signal_handler(signal.SIGHUP, sidecar.request_reload)
        settle()
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
