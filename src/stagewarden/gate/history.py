"""What was decided, read back from the log for people and programs: rulings, how many, what a hold or an asset went through.

What an agent said of itself is shown to those who may see payloads in its name; everybody else sees that it was said. Changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stagewarden.audit import entries, story
from stagewarden.audit.reader import EVERY
from stagewarden.errors import NotFound
from stagewarden.gate.callers import Callers, bounded, name_of

if TYPE_CHECKING:
    from stagewarden.audit.reader import Counts, Reader, Wanted
    from stagewarden.audit.story import Place, Story
    from stagewarden.identity.people import Caller
    from stagewarden.model import JSON, Document

_SEES_ALL = frozenset({"security", "privacy", "technical"})
_SAID = ("asserted", "data_sources")


class History(Callers):
    """What people look back at."""

    _reader: Reader

    async def rulings(
        self, caller: Caller, wanted: Wanted = EVERY, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Document], str | None]:
        """Recorded rulings, newest first, as they stand in the log."""
        self._reads(caller)
        found, following = await self._reader.rulings(wanted, cursor=cursor, limit=limit)
        return [self._shown(caller, entry) for entry in found], following

    async def ruling(self, caller: Caller, ruling_id: str) -> Document:
        """One ruling with its outcome."""
        self._reads(caller)
        found = await self._reader.ruling(ruling_id)
        if found is None:
            raise NotFound("no such ruling")
        return self._shown(caller, found)

    async def ruled(self, caller: Caller, since: str) -> Counts:
        """How many rulings there were since, by effect."""
        self._reads(caller)
        return await self._reader.counts(since)

    async def place(self, caller: Caller, ruling: Document) -> Place:
        """Where a ruling stands in the log's chain, followed as far as one look goes."""
        self._reads(caller)
        return await asyncio.to_thread(story.place, self._reader, ruling)

    async def hold_story(self, caller: Caller, hold_id: str) -> Story:
        """What a hold went through; NotFound where the log knows nothing of it."""
        self._reads(caller)
        return self._told(caller, await asyncio.to_thread(story.of_hold, self._reader, hold_id), "no such hold")

    async def asset_story(self, caller: Caller, upstream: str, asset: str) -> Story:
        """What an asset went through; the search is recorded. NotFound where the log knows nothing of it."""
        self._reads(caller)
        await self._rooms.recorder.note("read", entries.read_entry(name_of(caller), "timeline", bounded(f"{upstream}/{asset}")))
        return self._told(caller, await asyncio.to_thread(story.of_asset, self._reader, upstream, asset), "no such asset")

    def _told(self, caller: Caller, found: Story, nothing: str) -> Story:
        if not found.entries:
            raise NotFound(nothing)
        return story.Story(tuple(self._shown(caller, entry) for entry in found.entries), found.whole)

    def _shown(self, caller: Caller, entry: Document) -> Document:
        """The entry as this caller may see it: without rights, what the agent asserted and what triggered it is `redacted`."""
        if entry["kind"] != "ruling" or self._sees(caller, entry):
            return entry
        shown = {**entry, **{name: _redacted(entry[name]) for name in _SAID if name in entry}}
        if isinstance(principal := entry.get("principal"), dict) and "trigger" in principal:
            shown["principal"] = {**principal, "trigger": entries.REDACTED}
        return shown

    def _sees(self, caller: Caller, entry: Document) -> bool:
        if caller.person is None:
            return "payloads" in caller.scopes
        principal, seats = entry.get("principal"), entry.get("seats")
        agent = principal.get("agent") if isinstance(principal, dict) else None
        registered = self._rooms.registry.data.agents.get(str(agent))
        owners = {registered.owners.human, registered.owners.business, registered.owners.technical} if registered else set()
        asked = {str(name) for seat in seats if isinstance(seat, dict) for name in _list(seat.get("functions"))} if isinstance(seats, list) else set()
        return caller.person in owners or not self.functions(caller).isdisjoint(asked | _SEES_ALL)


def _redacted(said: JSON) -> JSON:
    """That it was said, under which names; nothing of what."""
    if isinstance(said, dict):
        return dict.fromkeys(said, entries.REDACTED)
    return said if said == entries.NOT_APPLICABLE else entries.REDACTED


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []
