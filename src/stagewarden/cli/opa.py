"""`stagewarden opa install|path`: the OPA that builds policies and may judge. Never runs a file it has not verified."""

from __future__ import annotations

import click

from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Unreachable
from stagewarden.config import Places
from stagewarden.decision import toolchain


@click.group()
def opa() -> None:
    """Find or install Open Policy Agent."""


@opa.command(epilog=examples("opa path"))
def path() -> None:
    """Print where OPA is.

    On PATH, else in Stagewarden's own cache. Exits 3 when it is nowhere.
    """
    try:
        click.echo(toolchain.required(Places.of()))
    except toolchain.NoOpa as error:
        raise Unreachable(str(error)) from None


@opa.command(epilog=examples("opa install"))
def install() -> None:
    """Install the pinned OPA, unless one is here.

    It goes into Stagewarden's cache. Exits 3 when it cannot be had.
    """
    places = Places.of()
    found = toolchain.find(places)
    if found is None:
        click.echo(f"Installing OPA {toolchain.VERSION}; compiling it takes a few minutes.", err=True)
        try:
            found = toolchain.install(places)
        except toolchain.NoOpa as error:
            raise Unreachable(str(error)) from None
    click.echo(found)
