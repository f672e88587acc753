"""What the thing is called that a held request is about, so that a list can tell two requests apart: kept sealed beside its hold.

It is a piece of the content, in the agent's or the upstream's words: shown to those alone who may see that hold's payload, deleted with it,
and part of no entry, event, notice or metric. Read from what the policy was asked, and never repaired: where two readers could read two
titles, there is none.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import insert, select

from stagewarden.errors import Ambiguous, StateUnavailable
from stagewarden.store.tables import holds, titles
from stagewarden.wire import form, strict_json

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.holds.crypto import Payload, Vault
    from stagewarden.model import JSON, Document, Hold, Request

LONGEST = 200  # characters kept
_NAMES = ("title", "subject", "headline", "name", "title.raw", "title.rendered", "subject_line", "settings.subject_line", "message", "text")
_READ = 1 << 20  # bytes; what is larger is not read for this alone
_DEPTH = 64
_COLUMN = "title"


def described(question: Document) -> JSON:
    """The body as it was described to the policy: all that is known of a body too large for memory, or of one in parts."""
    request = question.get("request")
    return request.get("body") if isinstance(request, dict) else None


def title(request: Request, before: bytes | None, question: Document) -> str | None:
    """The first of the usual names that holds a text, in the request, else in the asset as it was looked up."""
    return _called(_sent(request, described(question))) or (None if before is None else _called(_asset(before)))


def kept(hold: Hold) -> str | None:
    """As much of the title of a hold with its payload as a list shows."""
    found = title(hold.request, hold.before, hold.question)
    return found if found is None or len(found) <= LONGEST else f"{found[: LONGEST - 1]}…"


async def store(connection: AsyncConnection, hold: Hold, payload: Payload) -> None:
    """Seal the title of a fresh hold, where it has one."""
    if (found := kept(hold)) is not None:
        await connection.execute(insert(titles).values(hold=hold.id, sealed=payload.seal(_COLUMN, found.encode())))


async def load(connection: AsyncConnection, vault: Vault, ids: Collection[str]) -> dict[str, str]:
    """What these holds are called, by id, in one statement; those without a title are left out.

    One that was changed or moved is left out too: its own page says so, and a damaged row must not keep anybody from a list to stop from.
    """
    found: dict[str, str] = {}
    if ids:
        columns = select(titles.c.hold, titles.c.sealed, holds.c.data_key).join(holds, holds.c.id == titles.c.hold)
        for hold, sealed, wrapped in await connection.execute(columns.where(titles.c.hold.in_(ids), holds.c.data_key.is_not(None))):
            with suppress(StateUnavailable):
                found[hold] = vault.unwrap(hold, wrapped).open(_COLUMN, sealed).decode()
    return found


def _called(named: JSON) -> str | None:
    for name in _NAMES:
        value = named
        for token in name.split("."):
            value = value.get(token) if isinstance(value, dict) else None
        if isinstance(value, str) and (text := value.strip()):
            return text
    return None


def _sent(request: Request, said: JSON) -> JSON:
    """The body by its names: as it was described, else as strictly as an agent's is read."""
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "").partition(";")[0].strip().lower()
    if isinstance(said, dict):
        return said.get("fields") if kind == "multipart/form-data" else said
    if not isinstance(request.body, bytes) or len(request.body) > _READ:
        return None
    try:
        return {**form.loads(request.body)} if kind == "application/x-www-form-urlencoded" else strict_json.loads(request.body, _DEPTH)
    except Ambiguous:
        return None


def _asset(before: bytes) -> JSON:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(before) if len(before) <= _READ else None
    return None
