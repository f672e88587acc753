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

_PLAIN_WIDTH = 160  # where there is no terminal to ask


def print_problems(problems: Iterable[Problem], stream: TextIO | None = None) -> None:
    """One row a finding, errors first, on standard error unless a stream is given."""
    stream = sys.stderr if stream is None else stream
    table = Table(show_lines=True)
    for title in ("", "where", "key", "problem", "remedy"):
        table.add_column(title, overflow="fold")
    for problem in sorted(problems, key=lambda each: each.severity):
        where = f"{problem.file}:{problem.line}" if problem.line else problem.file
        style = "red" if problem.severity == "error" else "yellow"
        table.add_row(
            *(
                Text(cell, style) if not at else Text(cell)
                for at, cell in enumerate((problem.severity, where, problem.key, problem.message, problem.remedy))
            )
        )
    console = Console(file=stream) if stream.isatty() else Console(file=stream, width=_PLAIN_WIDTH)
    console.print(table)


def problems_json(problems: Iterable[Problem]) -> str:
    """A JSON array of {file, line, key, message, remedy, severity}."""
    return json.dumps([dataclasses.asdict(problem) for problem in problems], indent=2, ensure_ascii=False)
