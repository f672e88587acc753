"""`audit verify` and `audit show`: the log, offline. Reads only; needs no running process and no secret.

What agents wrote is shown escaped: a log that is looked at must not steer the terminal (CVE-2024-45808, CVE-2025-25294).
"""

from __future__ import annotations

import json
import sys
from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagewarden import config as configuration
from stagewarden.audit.reader import Reader
from stagewarden.audit.verify import Report
from stagewarden.audit.verify import verify as check_log
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.errors import ConfigError, StagewardenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stagewarden.model import JSON, Document

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_LOG_OPTIONS = (
    click.option("--config", "config", type=_FILE, help="The configuration file that names the log."),
    click.option("--directory", type=_FOLDER, help="The log's directory."),
)
_ENVELOPE = ("v", "seq", "time", "boot", "kind", "prev")
_WIDEST, _WHO = 200, 28  # characters of a summary; columns of a name


def printable(text: str) -> str:
    """The text with every control, format and invisible character as an escape: C0, C1, bidi, zero-width, line separators."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


@click.group()
def audit() -> None:
    """The log of everything that was decided, offline."""


def _log_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_LOG_OPTIONS):
        command = option(command)
    return command


@audit.command(epilog=examples("audit verify --config stagewarden.yaml", "audit verify --directory audit --json"))
@_log_options
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(config: Path | None, directory: Path | None, *, as_json: bool) -> None:
    """Say whether the log is what was written.

    `unanchored` exits 0, `broken` exits 1.

    An unfinished last line was never acknowledged: while a process has the log open it is ignored, else it is reported as torn.
    """
    where = _directory(config, directory)
    with Console(stderr=True).status("Following the chain"):
        report = check_log(where)
    click.echo(orjson.dumps(report) if as_json else "\n".join(map(printable, _sentence(report).split("\n"))))
    sys.exit(1 if report.state == "broken" else 0)


@audit.command(epilog=examples("audit show --config stagewarden.yaml --last 50", "audit show --config stagewarden.yaml --ruling r_ID --json"))
@_log_options
@click.option("--json", "as_json", is_flag=True, help="The entries as they stand in the log, one a line.")
@click.option("--ruling", help="Everything about one ruling: r_…")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many of the newest entries.")
def show(config: Path | None, directory: Path | None, ruling: str | None, last: int, *, as_json: bool) -> None:
    """Show entries, oldest first."""
    where = _directory(config, directory)
    reader = Reader(where)
    try:
        lines = [*_about(reader, ruling)] if ruling else [*reversed([*islice(reader.newest(), last)])]
        if not lines:
            raise Finding(f"the log has no ruling {printable(ruling)}" if ruling else f"{printable(str(where))} holds no log")
        if as_json:
            for line in lines:
                click.echo(_for_terminal(line) if sys.stdout.isatty() else line)
        else:
            (_print_whole if ruling else _print_table)([orjson.loads(line) for line in lines])
    except (StagewardenError, orjson.JSONDecodeError) as failure:
        raise click.ClickException(printable(str(failure))) from failure


def _directory(config: Path | None, directory: Path | None) -> Path:
    if (config is None) == (directory is None):
        raise click.UsageError("say where the log is: --config FILE or --directory D")
    if directory is not None:
        return directory
    assert config is not None
    try:
        loaded = configuration.load(config)
    except ConfigError as failure:
        raise click.ClickException(str(failure)) from failure
    return loaded.base / loaded.audit.directory


def _sentence(report: Report) -> str:
    if report.state == "broken":
        return f"broken at {report.at}, {report.how}: {report.text}"
    caution = "No outside checkpoint was given: a missing end, or a log written anew, would not show."
    return f"{report.state} after {report.size - 1}: {report.text}\n{caution}"


def _about(reader: Reader, ruling: str) -> Iterator[bytes]:
    """The entries of one ruling and of its hold, oldest first."""
    names = {ruling}
    kept: deque[bytes] = deque()
    for line in reader.newest():
        if not any(name.encode() in line for name in names):
            continue
        entry = orjson.loads(line)
        if entry.get("ruling") not in names and entry.get("hold") not in names:
            continue
        kept.appendleft(line)
        names |= {value for value in (entry.get("hold"),) if isinstance(value, str) and value.startswith("h_")}
    return iter(kept)


def _for_terminal(line: bytes) -> str:
    """The same JSON with what could steer a terminal as JSON escapes."""
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in line.decode("utf-8", "replace"))


def _print_table(entries: list[Document]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("seq", "time", "kind"):
        table.add_column(name, justify="right" if name == "seq" else "left", no_wrap=True)
    table.add_column("who", overflow="fold", max_width=_WHO)
    table.add_column("what", overflow="fold")
    for entry in entries:
        cells = (entry.get("seq"), f"{str(entry.get('time'))[:19]}Z", entry.get("kind"), _who(entry), _summary(entry)[:_WIDEST])
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    Console(highlight=False).print(table)


def _print_whole(entries: list[Document]) -> None:
    """Each entry with all its members, one a line, nested ones under dotted names."""
    console = Console(highlight=False)
    for entry in entries:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in _members(entry):
            grid.add_row(Text(printable(name)), Text(printable(value)))
        console.print(Text(printable(f"{entry.get('seq')} {entry.get('time')} {entry.get('kind')}"), style="bold"), grid)


def _members(entry: Document) -> list[tuple[str, str]]:
    return [row for name, value in entry.items() if name not in _ENVELOPE for row in _rows(name, value)]


def _rows(name: str, value: JSON) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for inner, member in value.items():
            yield from _rows(f"{name}.{inner}", member)
    elif isinstance(value, list) and value and not all(isinstance(item, str) for item in value):
        for number, item in enumerate(value):
            yield from _rows(f"{name}.{number}", item)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or "none"
    else:
        yield name, value if isinstance(value, str) else orjson.dumps(value).decode()


def _who(entry: Document) -> str:
    principal = entry.get("principal")
    if isinstance(principal, dict):
        return str(principal.get("agent", ""))
    return str(entry.get("person") or entry.get("by") or "")


def _summary(entry: Document) -> str:
    """One line by kind; an unknown shape shows its members."""
    said = "  ".join(f"{name}: {value}" for name, value in _members(entry))
    match entry:
        case {"kind": "ruling", "effect": effect, "reasons": [{"code": code}, *_]}:
            said = f"{effect} {_asked(entry)}: {code}  {entry.get('ruling')}"
        case {"kind": "outcome", "result": result, "status": status}:
            said = f"{result} {status or ''}  {entry.get('ruling')}"
        case {"kind": "hold", "hold": hold, "state": state, "event": event}:
            said = f"{hold} {entry.get('from') or 'new'} → {state} ({event})"
        case {"kind": "vote", "hold": hold, "decision": decision, "function": function}:
            said = f"{decision} {hold} as {function}"
        case {"kind": "vote", "grant": grant, "decision": decision, "function": function}:
            said = f"{decision} {grant} as {function}"
        case {"kind": "grant", "grant": grant, "state": state, "event": event}:
            said = f"{grant} {entry.get('from') or 'new'} → {state} ({event})"
        case {"kind": "mode" | "kill", "act": act, "scope": scope, "subject": subject}:
            said = "  ".join(str(each) for each in (act, scope, entry.get("mode"), subject if act != "mode" else "", entry.get("reason")) if each)
        case {"kind": "refusals", "refusals": list(rows)}:
            said = ", ".join(f"{row.get('count')} x {row.get('code')}" for row in rows if isinstance(row, dict))
    return said


def _asked(entry: Document) -> str:
    match entry:
        case {"proposed": {"kind": kind, "upstream": upstream}}:
            return f"{kind} at {upstream}"
        case {"request": {"method": method, "path": path}}:
            return f"{method} {path}"
        case _:
            return ""
