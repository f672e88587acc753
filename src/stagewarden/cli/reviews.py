"""`reviews`: how votes came about, from the people's API: your own, and in numbers those of workflows you answer for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.examples import examples
from stagewarden.cli.people_api import with_client

if TYPE_CHECKING:
    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document

_COLUMNS = ("of", "reviews", "approved", "median seconds", "median words a minute", "unread", "longest run", "after hours", "signals")
_NAMES = ("count", "approved", "seconds", "words_per_minute", "unread", "run", "burst")


@click.command(epilog=examples("reviews --config stagewarden.yaml"))
@with_client
def reviews(api: Client, *, as_json: bool) -> None:
    """Say how votes came about, in numbers.

    Your own, and those of workflows you answer for.
    """
    found = api.ask("GET", "/reviews")
    if as_json:
        show.write_json(found)
        return
    you = show.members(found, "you")
    rows = [["you", *_numbers(you)]] if you else []
    rows += [[show.text(item, "workflow"), *_numbers(item)] for item in show.items(found, "items")]
    show.write_table(_COLUMNS, rows)


def _numbers(of: Document) -> list[str]:
    measures = show.members(of, "measures")
    told = [_number(measures, name) for name in _NAMES] if measures else ["too few", *[""] * (len(_NAMES) - 1)]
    return [*told, show.joined(of.get("signals"))]


def _number(measures: Document, name: str) -> str:
    value = measures.get(name)
    return f"{value:.0f}" if isinstance(value, (int, float)) else ""
