"""What a command's help ends with: lines to type, and the exit codes. Imports nothing, so that `kill` starts at once."""

from __future__ import annotations

EXITS = "Exit codes: 0 fine, 1 a finding or a refusal, 2 usage, 3 not reachable."


def examples(*lines: str) -> str:
    """An epilog for click; its backspace keeps the lines as they are."""
    return "\b\nExamples:\n" + "".join(f"  stagewarden {line}\n" for line in lines) + f"\n{EXITS}"
