"""`deliveries`: what became of notifications, and one of them sent again, from a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.examples import examples
from stagewarden.cli.people_api import listed, paged, segment, with_client
from stagewarden.notify.ledger import STATES

if TYPE_CHECKING:
    from stagewarden.cli.people_api import Client

_COLUMNS = ("id", "event", "subject", "channel", "target", "state", "attempts", "code", "at")


@click.group()
def deliveries() -> None:
    """Notifications on their way to chat, mail and webhooks."""


@deliveries.command("list", epilog=examples("deliveries list --config stagewarden.yaml --state dead"))
@click.option("--state", type=click.Choice(STATES), help="Only those that stand so; dead: given up.")
@paged
@with_client
def list_deliveries(api: Client, *, state: str | None, as_json: bool, limit: int, everything: bool) -> None:
    """List notifications, newest first."""
    found = listed(api, "/deliveries", {} if state is None else {"state": state}, limit=limit, everything=everything)
    rows = [[show.text(one, name) for name in _COLUMNS] for one in found]
    show.as_json_or_table(found, ("delivery", "event", "about", "channel", "to", "state", "attempts", "last", "since"), rows, as_json=as_json)


@deliveries.command(epilog=examples("deliveries resend n_ID --config stagewarden.yaml"))
@click.argument("delivery")
@with_client
def resend(api: Client, *, delivery: str, as_json: bool) -> None:
    """Send a notification again, under the same id."""
    found = api.ask("POST", f"/deliveries/{segment(delivery)}/resend", {})
    if as_json:
        show.write_json(found)
    else:
        click.echo(f"{show.text(found, 'id')} is {show.text(found, 'state')}")
