"""`access`: where you are signed in, and which programs have tokens, with their last use; ends a session. Shows no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.people_api import every, segment, with_client

if TYPE_CHECKING:
    from stagewarden.cli.people_api import Client


@click.group()
def access() -> None:
    """Sessions of yours, and tokens of programs."""


@access.command(epilog=examples("access sessions --config stagewarden.yaml"))
@with_client
def sessions(api: Client, *, as_json: bool) -> None:
    """List where you are signed in, the one that asks marked."""
    found = every(api, "/sessions", {})
    rows = [
        [
            show.text(one, "id"), show.text(one, "place"), show.text(one, "label"), show.text(one, "opened_at"), show.text(one, "used_at"),
            show.text(one, "ends_at"), "this one" if one.get("here") is True else "",
        ]
        for one in found
    ]  # fmt: skip
    show.as_json_or_table(found, ("id", "where", "says it is", "since", "last used", "ends", ""), rows, as_json=as_json)


@access.command(epilog=examples("access end ID --config stagewarden.yaml"))
@click.argument("session")
@with_client
def end(api: Client, *, session: str, as_json: bool) -> None:
    """End one of your sessions by its id."""
    api.ask("DELETE", f"/sessions/{segment(session)}")
    if as_json:
        show.write_json({"id": session, "ended": True})
    else:
        click.echo(printable(f"{session} is ended"))


@access.command(epilog=examples("access tokens --config stagewarden.yaml --json"))
@with_client
def tokens(api: Client, *, as_json: bool) -> None:
    """List programs' tokens.

    Those you created; to security and technical, all.
    """
    found = every(api, "/tokens", {})
    told = ("creator", "expires_at", "used_at", "state")
    rows = [
        [show.text(one, "id"), show.text(one, "program"), show.joined(one.get("scopes")), *(show.text(one, name) for name in told)] for one in found
    ]
    show.as_json_or_table(found, ("sha256", "program", "scopes", "creator", "expires", "last used", "state"), rows, as_json=as_json)
