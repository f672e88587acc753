"""Writing down: the only file that appends to the audit log. What cannot be made durable did not happen (law 6)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from stagewarden.audit import entries
from stagewarden.errors import AuditUnavailable, CannotTell, Conflict
from stagewarden.holds.lifecycle import ENDED
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.audit.entries import Standing
    from stagewarden.audit.remote import Log
    from stagewarden.errors import TooMuch
    from stagewarden.grants import Changed, Grant, Grants
    from stagewarden.holds import Holds, Moved
    from stagewarden.metrics import Metrics
    from stagewarden.model import Document, Hold, Outcome, Ruling
    from stagewarden.store.outbox import OutboxEntry

_MOST_PEERS = 1000  # distinct triples of code, peer and agent in one second's summary; beyond that they are counted as `other`


class Recorder:
    """Views of a ruling in the log and in the metrics, and the outbox of the state database."""

    def __init__(self, log: Log, metrics: Metrics, holds: Holds, grants: Grants, standing: Standing) -> None:
        self._log = log
        self._holds = holds
        self._grants = grants
        self.standing = standing  # replaced when another registry comes into force
        self.metrics = metrics
        self._refusals: Counter[tuple[str, str, str]] = Counter()
        self._owed: set[str] = set()  # ids of outbox entries that could not be brought into the log when they were made
        self._logger = structlog.get_logger("stagewarden.gate")

    async def ruling(self, ruling: Ruling) -> None:
        """Make one ruling durable; raises AuditUnavailable, and then nothing may happen."""
        await self._log.append("ruling", entries.ruling_entry(ruling, self.standing))
        self.metrics.observe(ruling)

    def outcome(self, outcome: Outcome, upstream: str, judged: str | None) -> None:
        """What then happened, compared with the digest judged. The effect is done: nobody waits, and a failure is reported, not undone."""
        self._log.report("outcome", entries.outcome_entry(outcome, judged), lambda why: self._counted(why, outcome, upstream))

    def _counted(self, why: str | None, outcome: Outcome, upstream: str) -> None:
        if why is not None:
            self._logger.error("outcome_not_recorded", ruling=outcome.ruling, result=outcome.result, cause=why)
        self.metrics.finish(outcome, upstream, audited=why is None)

    async def note(self, kind: str, body: Document, entry_id: str | None = None) -> None:
        """Record one entry of another kind (mode, kill, read, release, registry), durable on return."""
        await self._log.append(kind, body, entry_id=entry_id)

    async def deliver(self, moved: Moved) -> Hold:
        """Bring a move's outbox entries into the log before anybody is told; then strike them off. What cannot be now is owed."""
        if moved.entries:
            await self._hand_over(moved.entries)
            self.metrics.moved(moved.hold, moved.entries)
            await self._follow(moved.hold)
        return moved.hold

    async def deliver_grant(self, changed: Changed) -> Grant:
        """The same for an act on a grant."""
        if changed.entries:
            await self._hand_over(changed.entries)
            self.metrics.granted(changed.grant, changed.entries)
        return changed.grant

    async def complete_grants(self, agent: str, workflow: str, kind: str) -> None:
        """An act of this kind succeeded: what waited for it is done. What cannot be ended now ends with the next success, or its time."""
        try:
            for changed in await self._grants.complete_on(agent, workflow, kind):
                await self.deliver_grant(changed)
        except (CannotTell, Conflict) as failure:
            self._logger.warning("grants_not_completed", agent=agent, action=kind, cause=str(failure))

    async def _hand_over(self, entries: tuple[OutboxEntry, ...]) -> None:
        ids = [entry.id for entry in entries]
        try:
            await asyncio.gather(*(self._log.append(entry.kind, entry.body, entry_id=entry.id) for entry in entries))
            await self._holds.delivered(ids)
        except BaseException:
            self._owed.update(ids)
            raise

    async def _follow(self, hold: Hold) -> None:
        """The use a template's hold carries goes its way; where that cannot be written down now, it stays counted as used."""
        if hold.grant is not None and (hold.state is HoldState.SENT or hold.state in ENDED):
            try:
                if (changed := await self._grants.follow(hold.ruling, sent=hold.state is HoldState.SENT)) is not None:
                    await self.deliver_grant(changed)
            except (CannotTell, Conflict) as failure:
                self._logger.warning("use_not_settled", grant=hold.grant, hold=hold.id, cause=str(failure))
        if hold.state is HoldState.DONE:
            await self.complete_grants(hold.agent, hold.workflow, hold.kind)

    async def make_good(self) -> int:
        """Append what was owed, once the log takes entries again: no hold is released, and no vote counts, before it is there. How many."""
        if not self._owed or self._log.trouble is not None:
            return 0
        entries = [entry for entry in await self._holds.undelivered() if entry.id in self._owed]
        for entry in entries:
            if not self._log.has(entry.id):
                await self._log.append(entry.kind, entry.body, entry_id=entry.id)
        await self._holds.delivered([entry.id for entry in entries])
        # What is not in the outbox any more was struck off after all.
        self._owed -= {entry.id for entry in entries} if entries else set(self._owed)
        return len(entries)

    async def recover(self) -> int:
        """Append what a crash left between database and log, once each; how many there were."""
        count = 0
        while pending := await self._holds.undelivered():
            for entry in pending:
                if not self._log.has(entry.id):
                    await self._log.append(entry.kind, entry.body, entry_id=entry.id)
            await self._holds.delivered([entry.id for entry in pending])
            count += len(pending)
        return count

    def mistake(self, fault: Exception) -> None:
        """Something of ours broke: the process log gets the traceback, the metrics an error."""
        self._logger.error("internal", exc_info=fault)
        self.metrics.error(fault)

    def refusal(self, code: str, peer: str, agent: str | None = None) -> None:
        """Count what was refused before it was judged, of somebody unknown or of an agent that asks too much; nobody waits for it."""
        self._refusals[self._row(code, peer, agent or "")] += 1
        if agent is None:
            self.metrics.refused(code)

    def turned_away(self, failure: TooMuch, peer: str) -> None:
        """Count what was over a limit: an agent that floods must not fill the log."""
        self.refusal(failure.code, peer, failure.agent)
        self.metrics.shed(failure.limit)

    def ended(self, idle: int, new: int) -> None:
        """Count the connections that were over theirs: waiting for their client, or just come."""
        self.metrics.shed("idle_connections", idle)
        self.metrics.shed("connections", new)

    def unsecured(self, cause: str, peer: str) -> None:
        """Count a client whose TLS was not made; one that left has been refused nothing."""
        self.metrics.unsecured(cause)
        if cause != "left":
            self._refusals[self._row("tls_handshake", peer, "")] += 1

    def take_refusals(self) -> list[tuple[str, str, str, int]]:
        """What was counted since the last time, to be summed up elsewhere: code, peer, agent, how often."""
        counted, self._refusals = self._refusals, Counter()
        return [(*row, count) for row, count in counted.items()]

    def add_refusals(self, rows: Iterable[tuple[str, str, str, int]]) -> None:
        """What a worker counted; it has shown it in its own metrics."""
        for code, peer, agent, count in rows:
            self._refusals[self._row(code, peer, agent)] += count

    async def summarize_refusals(self) -> None:
        """One entry per second with the refusals before judgement, by code, peer and, where it was known, agent."""
        if not self._refusals:
            return
        counted, self._refusals = self._refusals, Counter()
        rows: list[Document] = []
        for (code, peer, agent), count in sorted(counted.items()):
            row: Document = {"code": code, "peer": peer, "count": count}
            rows.append({**row, "agent": agent} if agent else row)
        try:
            await self._log.append("refusals", {"refusals": [*rows]})
        except AuditUnavailable as failure:
            self._logger.error("refusals_not_recorded", count=sum(counted.values()), cause=str(failure))  # noqa: TRY400 - a known state

    def _row(self, code: str, peer: str, agent: str) -> tuple[str, str, str]:
        row = (code, peer, agent)
        return row if len(self._refusals) < _MOST_PEERS or row in self._refusals else (code, "other", "other" if agent else "")
