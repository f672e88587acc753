"""`audit verify`: is the log what was written? Reads only; needs no secret and no running process.

Three answers. `verified`: an outside checkpoint agrees up to N (comes with checkpoints; nothing says it without one).
`unanchored`: the chain holds up to N, and nothing outside says how long it must be, so a missing tail or a log rewritten from
some entry on would not show. `broken`: at N, how. Garbage, empty or foreign input is broken, never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stagewarden.audit import segments
from stagewarden.audit.chain import Broken, walk

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Report:
    """`size` entries hold; `at` is the first bad sequence number, `how` one word, `text` says where; `head` the last line's digest."""

    state: Literal["verified", "unanchored", "broken"]
    size: int
    at: int | None
    how: str
    text: str
    head: str


def verify(directory: Path) -> Report:
    """Judge the log in a directory.

    An unfinished last line was never acknowledged. While a process has the log open it is ignored; else it is reported
    as `torn`, and the next start cuts it and records that.
    """
    in_use = segments.is_open(directory)
    try:
        tip = walk(directory)
    except Broken as broken:
        return Report("broken", max(0, broken.at), broken.at, broken.how, broken.text, "")
    except OSError as failure:
        return Report("broken", 0, 0, "unreadable", f"{failure.filename or directory}: {failure.strerror}", "")
    if tip.torn and not in_use:
        text = f"{tip.segment}: {tip.torn} bytes after entry {tip.seq - 1} are an unfinished line, never acknowledged; the next start cuts them"
        return Report("broken", tip.seq, tip.seq, "torn", text, tip.head)
    if not tip.seq:
        return Report("broken", 0, 0, "empty", f"{directory}: no entries", "")
    return Report("unanchored", tip.seq, None, "", f"{tip.seq} entries, head sha256:{tip.head}", tip.head)
