"""The outbox: what the log must be told, written by the very transaction that changes a state, and struck off once it is in the log.

One table for every room that moves something. Never appends to the log itself: the gate does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlalchemy import insert

from stagewarden.clock import new_id
from stagewarden.store.backend import origin
from stagewarden.store.tables import outbox

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.model import Document

Kind: TypeAlias = Literal["hold", "vote", "grant"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An entry for the log, appended under its own id: appending it twice is noticed."""

    id: str
    kind: Kind
    body: Document


async def put(connection: AsyncConnection, kind: Kind, subject: str, body: Document, now_ns: int) -> OutboxEntry:
    """Write one entry about `subject`, the id of a hold or a grant, in the caller's transaction, for the log of whoever writes it."""
    entry = OutboxEntry(new_id("e", now_ns), kind, body)
    row = {"id": entry.id, "created_ns": now_ns, "hold": subject, "kind": kind, "body": body, "origin": origin(connection)}
    await connection.execute(insert(outbox).values(row))
    return entry
