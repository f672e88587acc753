"""What is on its way into the log: entries of one flush, those who wait for them, and what is told of it. Knows no file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from stagewarden.errors import AuditUnavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Drafted(msgspec.Struct, frozen=True, array_like=True):
    """An entry made in another process of ours: `line.draft`'s bytes, to be given their place in the chain."""

    kind: str
    text: bytes
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Flushed:
    """One flush, for the metrics: how many entries, how long it took, and `ok` or `failed`; `refused` entries never got to one."""

    entries: int
    seconds: float
    result: str


Observer: TypeAlias = "Callable[[Flushed], None]"
Then: TypeAlias = "Callable[[str | None], None]"  # told why the entry is not in the log; None: it is


@dataclass(slots=True)
class Batch:
    """The entries of one flush, and who waits for each."""

    lines: list[bytes] = field(default_factory=list)
    waiters: list[asyncio.Future[int] | None] = field(default_factory=list)  # as the lines; None where nobody waits
    then: list[Then] = field(default_factory=list)  # what to call for those
    ids: list[tuple[str, int]] = field(default_factory=list)
    urgent: bool = False  # somebody waits


def unobserved(_: Flushed) -> None:
    """Nobody counts."""


def failed(future: asyncio.Future[int], why: str) -> asyncio.Future[int]:
    """Whoever waits is told; nobody waiting is no fault of its own, so the exception counts as seen."""
    future.set_exception(AuditUnavailable(why))
    future.exception()
    return future


def follow(first: asyncio.Future[int], known: asyncio.Future[int]) -> None:
    """The second to bring an entry learns what the first one does; a first one that gave up says nothing about the entry."""
    if known.done():
        return
    if first.cancelled():
        failed(known, "whoever brought the entry first gave up")
    elif (failure := first.exception()) is not None:
        failed(known, str(failure))
    else:
        known.set_result(first.result())
