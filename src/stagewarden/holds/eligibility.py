"""Who may vote on a hold (lifecycles.md, "Who may vote"), computed at the vote and again at release.

Pure; reads the registry it is given. Whatever cannot be told is a "no", with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stagewarden.holds.seats import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.holds.seats import SeatView
    from stagewarden.model import Document, Hold, Seat, Vote
    from stagewarden.registry import RegistryData


class Directory(Protocol):
    """What is asked of the registry (`registry.Registry` is one)."""

    @property
    def data(self) -> RegistryData:
        """The registry's sections."""

    def same_human(self, one: str, other: str) -> bool:
        """Whether two ids mean one human being."""


class Asked(Protocol):
    """What eligibility depends on: a hold, or one about to be opened."""

    @property
    def agent(self) -> str:
        """The registered agent."""

    @property
    def workflow(self) -> str:
        """The workflow asked under."""

    @property
    def authors(self) -> tuple[str, ...]:
        """Who else wrote the content, as far as it is known."""

    @property
    def initiator(self) -> str:
        """Who started it, as the gate settled it."""

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The seats asked for."""

    @property
    def question(self) -> Document:
        """The question; its `principal` holds the chain."""


class Voted(Asked, Protocol):
    """What the seats that are filled depend on besides: the votes, and what they have to be about."""

    @property
    def votes(self) -> tuple[Vote, ...]:
        """Those that are not void."""

    @property
    def digest(self) -> str:
        """Of the request."""

    @property
    def view_digest(self) -> str:
        """Of what was shown."""


def functions_held(person: str, asked: Asked, registry: Directory) -> frozenset[str]:
    """The functions an active person of the registry holds that some seat, filled or not, lists: enough to reject."""
    known = registry.data.people.get(person)
    if known is None or not known.active:
        return frozenset()
    return frozenset(known.functions) & {function for seat in asked.seats for function in seat.functions}


def eligible(person: str, asked: Asked, registry: Directory) -> str | None:
    """Why this person may not approve, or None when they may.

    (1) A person of the registry, and still with us. (2) Holds a function some seat asks for. (3) Not who started it.
    (4) Not in the chain that asked, which an editor joins. (5) Not known to have written what would go out. (6) No conflict the registry marks.
    (7) Somebody is known who started it.
    """
    known = registry.data.people.get(person)
    if known is None:
        return "not a person of the registry"
    if not known.active:
        return "no longer active"
    if not functions_held(person, asked, registry):
        return "holds none of the functions this hold asks for"
    return _conflict(person, asked, registry)


def _conflict(person: str, asked: Asked, registry: Directory) -> str | None:
    started = _started(asked, registry)
    if started is None:
        return "nobody can tell who started this request"
    if any(_is(person, other, registry) for other in started):
        return "started this request"
    if any(_is(person, other, registry) for other in _proven(asked)):
        return "is in the chain that asked"
    if any(_is(person, other, registry) for other in asked.authors):
        return "wrote or edited this content"
    if marked := _marked(person, asked, registry):
        return f"has a conflict of interest marked in the registry: {marked}"
    return None


def _marked(person: str, asked: Asked, registry: Directory) -> str | None:
    """The conflict the registry marks, under whichever of this human being's ids."""
    theirs = {mark for name, entry in registry.data.people.items() for mark in entry.conflicts if registry.same_human(person, name)}
    return next((mark for mark in (f"agent:{asked.agent}", f"workflow:{asked.workflow}") if mark in theirs), None)


def voted_already(person: str, hold: Voted, registry: Directory) -> str | None:
    """Why this person fills no further seat: they have voted. One human being votes once, however many ids they sign in with."""
    cast = next((vote.person for vote in hold.votes if registry.same_human(person, vote.person)), None)
    if cast is None:
        return None
    return "has voted already" if cast == person else f"has voted already, as {cast}"


def candidates(asked: Asked, registry: Directory) -> dict[str, frozenset[str]]:
    """Everybody who could approve, with their functions; one human being with several ids stands once."""
    found: dict[str, frozenset[str]] = {}
    for person in registry.data.people:
        if eligible(person, asked, registry) is not None:
            continue
        same = next((other for other in found if registry.same_human(other, person)), person)
        found[same] = found.get(same, frozenset()) | functions_held(person, asked, registry)
    return found


def standing(hold: Voted, registry: Directory) -> tuple[Vote, ...]:
    """The approvals that count now: of this digest and view, by people eligible today, each human being once."""
    counted: list[Vote] = []
    for vote in hold.votes:
        if vote.decision != "approve" or (vote.digest, vote.view_digest) != (hold.digest, hold.view_digest):
            continue
        if vote.function not in functions_held(vote.person, hold, registry) or eligible(vote.person, hold, registry) is not None:
            continue
        if not any(registry.same_human(vote.person, other.person) for other in counted):
            counted.append(vote)
    return tuple(counted)


def seat_views(hold: Voted, registry: Directory) -> list[SeatView]:
    """The hold's seats as they stand now."""
    return fill(hold.seats, standing(hold, registry))


def writers(earlier: Hold, registry: Directory) -> frozenset[str]:
    """Who wrote what this hold sent: whoever started it, every human being proven in its chain, and its editor."""
    humans = {str(link["id"]) for link in _links(_principal(earlier)) if link.get("kind") == "human" and link.get("verified") is True}
    editor = frozenset() if earlier.editor is None else {earlier.editor}
    return frozenset(humans | editor | {*earlier.authors} | (_started(earlier, registry) or frozenset()))


def _started(asked: Asked, registry: Directory) -> frozenset[str] | None:
    """Who counts as initiator; None when nobody can tell (unregistered agent, nobody proven, no trigger)."""
    principal = _principal(asked)
    humans = {str(link["id"]) for link in _links(principal) if link.get("kind") == "human" and link.get("verified") is True}
    named = {asked.initiator} - {""}
    if humans or principal.get("trigger") is not None:
        return frozenset(humans | named)
    agent = registry.data.agents.get(asked.agent)
    return None if agent is None else frozenset({agent.owners.human} | named)


def _proven(asked: Asked) -> frozenset[str]:
    return frozenset(str(link["id"]) for link in _links(_principal(asked)) if link.get("verified") is True)


def _is(person: str, other: str, registry: Directory) -> bool:
    """Whether a chain's id means this human being: by id, by alias, or by a subject they sign in with."""
    if registry.same_human(person, other):
        return True
    theirs = (entry.identity.subject for name, entry in registry.data.people.items() if entry.identity and registry.same_human(person, name))
    return other in theirs


def _principal(asked: Asked) -> Document:
    principal = asked.question.get("principal")
    return principal if isinstance(principal, dict) else {}


def _links(principal: Document) -> Iterator[Document]:
    chain = principal.get("chain")
    return (link for link in chain if isinstance(link, dict) and "id" in link) if isinstance(chain, list) else iter(())
