"""`serve`: run the sidecar until SIGTERM or SIGINT; SIGHUP reloads. Prints nothing but JSON log lines."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click
import uvloop

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.logs import configure_logs
from stagewarden.cli.problems import print_problems
from stagewarden.errors import ConfigError, StagewardenError


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
    async with running(configuration.load(path)) as sidecar:
        loop.add_signal_handler(signal.SIGHUP, sidecar.request_reload)
        await sidecar.until(stop)
