"""Documents of the people's API on a terminal: tables for people, JSON for machines. Everything from outside is escaped first."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagewarden.cli.audit import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stagewarden.model import JSON, Document

_PLAIN_WIDTH = 160  # where there is no terminal to ask
_FACTS = (
    "id",
    "state",
    "tier",
    "kind",
    "agent",
    "workflow",
    "upstream",
    "asked_at",
    "expires_at",
    "escalated_at",
    "settles_at",
    "use_by",
    "digest",
    "view_digest",
)


def text(document: Document, name: str) -> str:
    """A member as text; empty where there is none."""
    value = document.get(name)
    return "" if value is None else str(value)


def members(document: Document, name: str) -> Document:
    """A member that is an object."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def items(document: Document, name: str) -> Iterator[Document]:
    """A member that is a list of objects."""
    value = document.get(name)
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def joined(value: JSON) -> str:
    """A list of words in one cell."""
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


def seats(hold: Document) -> str:
    """`reviewer 0/1, legal or manager 1/1`."""
    return ", ".join(
        f"{joined(seat.get('functions')).replace(', ', ' or ')} {text(seat, 'filled')}/{text(seat, 'needed')}" for seat in items(hold, "seats")
    )


def as_json_or_table(documents: Sequence[Document], columns: Sequence[str], rows: Iterable[Sequence[str]], *, as_json: bool) -> None:
    """A list."""
    if as_json:
        write_json(list(documents))
    else:
        write_table(columns, rows)


def write_json(value: object) -> None:
    """For machines; ASCII, so that it is safe on a terminal too."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal."""
    table = Table(show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    (Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)).print(table)


def write_hold(hold: Document) -> None:
    """One hold whole: the facts, why, and the exact request."""
    request = members(hold, "request")
    facts = [(name.replace("_", " "), text(hold, name)) for name in _FACTS]
    facts += [("why held", f"{text(reason, 'text')} ({text(reason, 'code')})") for reason in items(hold, "reasons")]
    facts += [("seats", seats(hold)), ("questions", joined(hold.get("questions"))), ("you", text(members(hold, "you"), "why_not") or "may vote")]
    write_table(("", ""), [*facts, ("request", f"{text(request, 'method')} {text(request, 'target')}")])
    headers = request.get("headers")
    for pair in headers if isinstance(headers, list) else []:
        click.echo(printable(": ".join(map(str, pair))) if isinstance(pair, list) else "")
    if "body" in request:
        click.echo("\n" + "\n".join(printable(line) for line in text(request, "body").split("\n")))
    elif "body_base64" in request:
        click.echo(f"\nnot text, in base64: {text(request, 'body_base64')}")
    else:
        click.echo("\nThe content is not shown to you, or no longer kept.")
