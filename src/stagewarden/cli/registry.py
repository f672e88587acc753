"""`registry`: registries that widen rights and wait for people, from a terminal. A confirmation names the digest that was just shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.people_api import every, segment, with_client

if TYPE_CHECKING:
    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document


@click.group()
def registry() -> None:
    """Registries that wait for two people."""


@registry.command(epilog=examples("registry revisions --config stagewarden.yaml"))
@with_client
def revisions(api: Client, *, as_json: bool) -> None:
    """List what waits, and each place where it widens rights."""
    found = every(api, "/registry/revisions", {})
    rows = [
        (show.text(one, "id"), show.text(one, "digest"), _said(one), show.text(widening, "place"), show.text(widening, "change"))
        for one in found
        for widening in show.items(one, "widens")
    ]
    show.as_json_or_table(found, ("revision", "digest", "confirmed by", "widens", "change"), rows, as_json=as_json)


@registry.command(epilog=examples("registry confirm ID --digest sha256:DIGEST --config stagewarden.yaml"))
@click.argument("revision")
@click.option("--digest", required=True, help="What you looked at, as `registry revisions` shows it.")
@with_client
def confirm(api: Client, *, revision: str, digest: str, as_json: bool) -> None:
    """Confirm a registry that widens rights.

    Takes two people who gain nothing by it.
    """
    found = api.ask("POST", f"/registry/revisions/{segment(revision)}/confirm", {"digest": digest})
    if as_json:
        show.write_json(found)
    else:
        click.echo(printable(f"{show.text(found, 'id')} is confirmed by {_said(found)}; needed: {show.text(found, 'needed')}"))


def _said(revision: Document) -> str:
    return ", ".join(show.text(one, "person") for one in show.items(revision, "confirmations"))
