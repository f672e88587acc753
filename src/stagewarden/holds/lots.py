"""Lots: holds alike in all that decides who may vote on them, and by what lists are filtered.

Who may vote is computed when it is asked, from the registry (lifecycles.md, "Who may vote"): nothing of it is ever stored. What it is
computed from is the same for many holds, so lists ask once a lot instead of once a hold, by the very code that a vote is checked with. A
lot is named by its own digest and never changes; a vote puts its hold into another one. Holds nothing that an agent wrote.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, text

from stagewarden.holds.eligibility import eligible, functions_held, standing
from stagewarden.holds.rows import destination
from stagewarden.holds.seats import fill
from stagewarden.model import Seat, Tier, Vote
from stagewarden.store.tables import lots

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.holds.eligibility import Directory
    from stagewarden.model import JSON, Document, Hold

_KEPT = 20_000  # lots in memory; past that they are read again
_BATCH = 500
# Two that open holds of one new lot at once both write it, and both mean the same.
_INSERT = text("INSERT INTO lots (id, document) VALUES (:id, :document) ON CONFLICT (id) DO NOTHING")


class Lot(msgspec.Struct, frozen=True):
    """What holds have in common. `chain`: kind and id of each proven link; `cast`: person, function, and whether it is about what stands."""

    agent: str
    workflow: str
    initiator: str
    tier: Tier
    kind: str
    channel: str  # the destination by its registered name, else the upstream
    codes: tuple[str, ...]
    seats: tuple[Seat, ...]
    authors: tuple[str, ...]
    chain: tuple[tuple[str, str], ...]
    triggered: bool
    cast: tuple[tuple[str, str, bool], ...]

    digest = view_digest = ""

    @property
    def question(self) -> Document:
        """As far as it says who asked."""
        links: list[JSON] = [{"kind": kind, "id": name, "verified": True} for kind, name in self.chain]
        return {"principal": {"chain": links, "trigger": True if self.triggered else None}}

    @property
    def votes(self) -> tuple[Vote, ...]:
        """Approvals: whatever else is cast ends the hold."""
        return tuple(Vote("", person, function, "approve", None, None, "" if stands else "-", "", 0) for person, function, stands in self.cast)


def lot_of(hold: Hold) -> Lot:
    """The lot of a hold with its votes."""
    principal = hold.question.get("principal")
    asked = principal if isinstance(principal, dict) else {}
    chain = asked.get("chain")
    links = [link for link in chain if isinstance(link, dict) and "id" in link] if isinstance(chain, list) else []
    return Lot(
        hold.agent, hold.workflow, hold.initiator, hold.tier, hold.kind, destination(hold.question) or hold.upstream,
        codes=tuple(reason.code for reason in hold.reasons), seats=hold.seats, authors=hold.authors,
        chain=tuple((str(link.get("kind")), str(link["id"])) for link in links if link.get("verified") is True),
        triggered=asked.get("trigger") is not None,
        cast=tuple((vote.person, vote.function, (vote.digest, vote.view_digest) == (hold.digest, hold.view_digest)) for vote in hold.votes),
    )  # fmt: skip


class Standing(msgspec.Struct, frozen=True):
    """One person and one lot. `why_not`: why they may not approve (None: they may); `open`: a vote of theirs would fill a seat now."""

    why_not: str | None
    voted: bool
    open: bool

    @property
    def mine(self) -> bool:
        """Whether its holds wait for this person."""
        return self.why_not is None and self.open and not self.voted


def standing_of(person: str, functions: frozenset[str], lot: Lot, registry: Directory) -> Standing:
    """As a vote would find it. `functions`: those this person may vote in now."""
    why_not = eligible(person, lot, registry)
    voted = any(registry.same_human(person, vote.person) for vote in lot.votes)
    return Standing(why_not, voted, why_not is None and not voted and _fills(person, functions, lot, registry))


def _fills(person: str, functions: frozenset[str], lot: Lot, registry: Directory) -> bool:
    """Whether one more approval makes one more place filled, by the matching that counts (seats.py)."""
    counted = standing(lot, registry)
    ballots = [Vote("", person, function, "approve", None, None, "", "", 0) for function in sorted(functions_held(person, lot, registry) & functions)]
    return any(_places(lot, (*counted, ballot)) > _places(lot, counted) for ballot in ballots)


def _places(lot: Lot, votes: Iterable[Vote]) -> int:
    return sum(view.filled for view in fill(lot.seats, votes))


class Lots:
    """Those this process knows: read from the database, or committed by us. `complete`: every hold that waits is known to have one."""

    def __init__(self) -> None:
        self.complete = False
        self._known: dict[str, Lot] = {}

    async def put(self, connection: AsyncConnection, lot: Lot) -> str:
        """Its id; written where nobody has yet. To be `learned` once that is committed."""
        document = msgspec.json.encode(lot)
        identifier = hashlib.sha256(document).hexdigest()
        if identifier not in self._known:
            await connection.execute(_INSERT, {"id": identifier, "document": document.decode()})
        return identifier

    def learn(self, found: Mapping[str, Lot]) -> None:
        """These stand in the database."""
        if len(self._known) + len(found) > _KEPT:
            self._known.clear()
        self._known.update(found)

    async def read(self, connection: AsyncConnection, ids: Collection[str]) -> dict[str, Lot]:
        """By id; what is known already is not read."""
        missing = [identifier for identifier in ids if identifier not in self._known]
        found: dict[str, Lot] = {}
        for start in range(0, len(missing), _BATCH):
            query = select(lots).where(lots.c.id.in_(missing[start : start + _BATCH]))
            found |= {row.id: msgspec.json.decode(row.document, type=Lot) for row in await connection.execute(query)}
        answer = {identifier: known for identifier in ids if (known := self._known.get(identifier)) is not None} | found
        self.learn(found)
        return answer
