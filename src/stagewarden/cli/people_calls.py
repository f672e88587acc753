"""What every command against the people's API shares: its options, its client, and lists page by page.

A new command is one function with `with_client` on it; a new list has `paged` on it too, and calls `listed`.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.people_api import TOKEN, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_MOST, _USUAL = 200, 50


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the listener is, whose token, and in which form."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="For machines."),
        click.option("--token", default=TOKEN, show_default=True, metavar="REF", help="Where the token is: file:PATH or env:NAME."),
        click.option("--config", type=FILE, help="The configuration file that names the people's listener."),
        click.option("--url", help="The people's listener, for example http://127.0.0.1:8081."),
    ):
        command = option(command)
    return command


def with_client(act: Callable[..., None]) -> Callable[..., None]:
    """Turns the connection's options into a Client."""

    @options
    @wraps(act)
    def command(url: str | None, config: Path | None, token: str, **rest: object) -> None:
        act(client(url, config, token), **rest)

    return command


def paged(command: Callable[..., None]) -> Callable[..., None]:
    """How much of a list."""
    command = click.option("--all", "everything", is_flag=True, help="Every page.")(command)
    return click.option("--limit", type=click.IntRange(1, _MOST), default=_USUAL, show_default=True, help="How many at most.")(command)


def listed(api: Client, where: str, query: dict[str, str], *, limit: int = _MOST, everything: bool = True) -> list[Document]:
    """One page of a list, or all of it; that there is more is said on standard error."""
    found: list[Document] = []
    page: Document = {}
    while not found or (everything and page.get("next")):
        more = {"cursor": show.text(page, "next")} if page.get("next") else {}
        page = api.ask("GET", where, query={**query, "limit": str(_MOST if everything else limit), **more})
        found += show.items(page, "items")
        if not page.get("next"):
            return found
    click.echo(f"These are the first {len(found)}; --all shows the others too.", err=True)
    return found


def path(identifier: str) -> str:
    """An id as one segment of a path."""
    return quote(identifier, safe="")
