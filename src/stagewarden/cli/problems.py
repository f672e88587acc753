"""Findings on the terminal: a table for people, JSON for machines. Says where, what and how to mend it; decides nothing."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from stagewarden.errors import Problem

_PLAIN_WIDTH = 120  # beside the places, where there is no terminal to ask


def print_problems(problems: Iterable[Problem], stream: TextIO | None = None) -> None:
    """One row a finding, errors first, on standard error unless a stream is given. A place is never broken: people copy it."""
    stream = sys.stderr if stream is None else stream
    rows = [(each, f"{each.file}:{each.line}" if each.line else each.file) for each in sorted(problems, key=lambda each: each.severity)]
    table = Table(show_lines=True)
    table.add_column("")
    table.add_column("where", no_wrap=True)
    for title in ("key", "problem", "remedy"):
        table.add_column(title, overflow="fold")
    for problem, where in rows:
        severity = Text(problem.severity, "red" if problem.severity == "error" else "yellow")
        table.add_row(severity, *map(Text, (where, problem.key, problem.message, problem.remedy)))
    width = None if stream.isatty() else _PLAIN_WIDTH + max((len(where) for _, where in rows), default=0)
    Console(file=stream, width=width).print(table)


def problems_json(problems: Iterable[Problem]) -> str:
    """A JSON array of {file, line, key, message, remedy, severity}."""
    return json.dumps([dataclasses.asdict(problem) for problem in problems], indent=2, ensure_ascii=False)
