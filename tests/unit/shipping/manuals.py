"""The manuals as tests read them: fenced blocks, tables, commands. Never states what a manual should say."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "stagewarden"
MANUALS = {
    name: (ROOT / name).read_text() for name in ("README.md", "deploy/README.md", "tests/README.md", "rego/README.md", "deploy/monitoring/README.md")
}
README, OPERATORS, CONTRIBUTORS = MANUALS["README.md"], MANUALS["deploy/README.md"], MANUALS["tests/README.md"]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Command:
    """One call of the console script as a manual writes it."""

    manual: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.manual}: {' '.join(self.words)}"


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for written, body in _BLOCK.findall(text) if written == language]


def lines(text: str) -> list[str]:
    """Every shell line a reader would type, one command each."""
    typed = [line for block in blocks(text, "sh") + blocks(text, "") for line in block.replace("\\\n", " ").splitlines()]
    return [part.strip() for line in typed for part in line.split(" && ")]


def codes(text: str) -> list[str]:
    """Everything in backticks outside fenced blocks."""
    return _CODE.findall(_BLOCK.sub("", text))


def commands() -> list[Command]:
    """Each `stagewarden …` of every manual, in blocks and in sentences."""
    found = []
    for manual, text in MANUALS.items():
        for line in [*lines(text), *codes(text)]:
            words = tuple(shlex.split(line)) if "stagewarden" in line and '"$' not in line else ()
            if words[1:] and words[0] == "stagewarden":
                found.append(Command(manual, words[1:]))
            elif "exec" in words and "/opt/stagewarden/bin/stagewarden" in words:
                found.append(Command(manual, words[words.index("/opt/stagewarden/bin/stagewarden") + 1 :]))
    return found


def table(text: str, *head: str) -> list[tuple[str, ...]]:
    """The rows of the table with these headings."""
    rows: list[tuple[str, ...]] = []
    inside = False
    for line in text.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|")) if line.startswith("|") else ()
        if cells == head:
            inside = True
        elif inside and not cells:
            break
        elif inside and not set("".join(cells)) <= {"-"}:
            rows.append(cells)
    assert rows, f"no table {head}"
    return rows
