"""What the people's doors need of the gate and of sign-in, and the settings they are built with. Shapes only."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stagewarden.audit.reader import EVERY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from stagewarden.audit.acts import Receipt
    from stagewarden.audit.reader import Counts, Wanted
    from stagewarden.audit.story import Place, Story
    from stagewarden.gate.feed import Listener
    from stagewarden.gate.grant_acts import GrantView
    from stagewarden.gate.grant_terms import Wanted as WantedGrant
    from stagewarden.gate.inbox import Selection, Shown
    from stagewarden.gate.overview import AgentPicture, Past, Traffic, WorkflowPicture
    from stagewarden.gate.people import AgentView, Around, Engaged, HoldView, OwnReviews, Turn, VoteIntent, WorkflowReviews
    from stagewarden.gate.revisions import RevisionView
    from stagewarden.grants import Ballot as GrantBallot
    from stagewarden.identity.people import Caller, People, ProgramToken
    from stagewarden.model import Body, Document, Hold
    from stagewarden.modes import Kill
    from stagewarden.notify import Delivery
    from stagewarden.store import Callback


class Gate(Protocol):
    """Every act of people and programs (`gate.Acts` is one); raises NotAllowed, NotFound, Conflict, Invalid, CannotTell."""

    def functions(self, caller: Caller) -> frozenset[str]:
        """The functions a person holds now."""

    def may_lend(self, caller: Caller) -> None:
        """Raise NotAllowed unless this person may lend a terminal their sign-in."""

    async def program_tokens(self, caller: Caller, people: People) -> list[ProgramToken]:
        """Programs' tokens this person may see."""

    async def list_holds(
        self, caller: Caller, wanted: Selection, *, state: str | None, mine: bool, asked: bool | None = None
    ) -> tuple[list[HoldView], str | None]:
        """Holds, newest first, and the cursor of the next page; of `wanted` its filters, place and limit."""

    async def inbox(self, caller: Caller, wanted: Selection) -> Shown:
        """One page of what waits, or of what is decided, with the counts of all; titles for whom the payload is, recorded as read."""

    async def fresh(self, caller: Caller, wanted: Selection, since_ns: int) -> int:
        """How many holds were added to a list since then."""

    async def next_hold(self, caller: Caller, hold_id: str) -> Hold | None:
        """The hold, without payload, that waits for this person after that one; past the end the first; None when there is no other."""

    async def turn(self, caller: Caller, hold_id: str) -> Turn | None:
        """Where a hold stands among those that wait for this person; None when it is none of them."""

    async def show_hold(self, caller: Caller, hold_id: str) -> HoldView:
        """One hold; showing its bytes is recorded."""

    async def around(self, caller: Caller, hold: Hold) -> Around:
        """What stands around a hold that was shown: registry entries, what it took the place of, and its like."""

    async def look_at_hold(self, caller: Caller, hold_id: str) -> HoldView:
        """The same for a door's own checks: shown to nobody, so not recorded."""

    def body(self, caller: Caller, hold_id: str) -> AbstractAsyncContextManager[Body]:
        """The exact bytes of one held request, while the block lasts; recorded as read."""

    async def vote(self, caller: Caller, hold_id: str, intent: VoteIntent) -> Hold:
        """Cast one vote."""

    async def take_up(self, caller: Caller, hold_id: str) -> Hold:
        """Ask people about a proposal from now on."""

    async def stop_hold(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """Stop one hold."""

    async def vote_by_adapter(self, caller: Caller, callback: Callback, hold_id: str, intent: VoteIntent) -> Hold:
        """Cast one vote that another queue passed on."""

    def turned_away(self, code: str, peer: str) -> None:
        """A token that another queue passed on proved nobody."""

    async def list_deliveries(self, caller: Caller, *, state: str | None, cursor: str | None, limit: int) -> tuple[list[Delivery], str | None]:
        """Notifications, newest first, and the cursor of the next page."""

    def why_not_resend(self, caller: Caller) -> str | None:
        """Why this caller cannot have one sent again."""

    async def resend(self, caller: Caller, delivery_id: str) -> Delivery:
        """Send one again."""

    async def list_grants(
        self, caller: Caller, *, state: str | None, agent: str | None, wider: bool, cursor: str | None, limit: int
    ) -> tuple[list[GrantView], str | None]:
        """Grants, newest first, and the cursor of the next page."""

    async def show_grant(self, caller: Caller, grant_id: str) -> GrantView:
        """One grant with its uses."""

    async def ask_grant(self, caller: Caller, wanted: WantedGrant) -> GrantView:
        """Ask for a grant."""

    async def vote_grant(self, caller: Caller, grant_id: str, ballot: GrantBallot) -> GrantView:
        """Cast one vote on a grant; the person is the caller."""

    async def complete_grant(self, caller: Caller, grant_id: str, reason: str) -> GrantView:
        """Its task is done."""

    async def revoke_grant(self, caller: Caller, grant_id: str, reason: str) -> GrantView:
        """End a grant."""

    async def resolve(self, caller: Caller, hold_id: str, result: str, evidence: str) -> Hold:
        """Say what became of a send whose outcome is unknown."""

    async def roll_back(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """Say that what was done was taken back."""

    async def own_reviews(self, caller: Caller) -> OwnReviews:
        """How the caller's own votes came about."""

    async def workflow_reviews(self, caller: Caller) -> list[WorkflowReviews]:
        """How votes on the workflows the caller answers for came about."""

    async def list_agents(self, caller: Caller) -> list[AgentView]:
        """Every registered agent."""

    async def show_agent(self, caller: Caller, agent: str) -> AgentPicture:
        """One agent, as far as registry, route table and stop file tell."""

    async def list_workflows(self, caller: Caller) -> list[WorkflowPicture]:
        """Every registered workflow."""

    async def show_workflow(self, caller: Caller, workflow: str) -> WorkflowPicture:
        """One workflow."""

    async def traffic(self, caller: Caller, *, agent: str | None = None, workflow: str | None = None) -> Traffic:
        """What waits of one agent or workflow, and what was counted by day."""

    async def history(self, caller: Caller, scope: str, cursor: str | None, limit: int) -> tuple[list[Past], str | None]:
        """Acts on a scope's mode or stops, newest first."""

    async def receipt(self, caller: Caller, kill_id: str) -> Receipt:
        """What one stop did."""

    def why_not_loosen(self, caller: Caller, agent: str) -> str | None:
        """Why this caller could not loosen the agent's mode."""

    def why_not_lift(self, caller: Caller, kill: Kill) -> str | None:
        """Why this caller could not lift a stop."""

    async def set_mode(self, caller: Caller, agent: str, mode: str, reason: str) -> AgentView:
        """Give an agent a mode."""

    async def kills(self, caller: Caller) -> list[Kill]:
        """The kills engaged."""

    async def kill(self, caller: Caller, scope: str, reason: str) -> Engaged:
        """Stop a scope."""

    async def unkill(self, caller: Caller, kill_id: str, reason: str) -> None:
        """Lift a kill."""

    async def waiting_revisions(self, caller: Caller) -> list[RevisionView]:
        """Registries that wait for people."""

    async def confirm_revision(self, caller: Caller, revision_id: str, digest: str) -> RevisionView:
        """One person's word for a registry."""

    async def rulings(
        self, caller: Caller, wanted: Wanted = EVERY, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Document], str | None]:
        """Recorded rulings, newest first."""

    async def ruling(self, caller: Caller, ruling_id: str) -> Document:
        """One ruling."""

    async def ruled(self, caller: Caller, since: str) -> Counts:
        """How many rulings there were since, by effect."""

    async def place(self, caller: Caller, ruling: Document) -> Place:
        """Where a ruling stands in the log's chain."""

    async def hold_story(self, caller: Caller, hold_id: str) -> Story:
        """What a hold went through."""

    async def asset_story(self, caller: Caller, upstream: str, asset: str) -> Story:
        """What an asset went through."""

    def listen(self, caller: Caller, since: str | None) -> AbstractContextManager[Listener]:
        """A place among the events, after the one with this id."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How we are, as `/readyz` knows it."""

    troubles: Collection[str] = ()  # the parts that do not work now
    policy: str = ""  # the revision in force
    replicas: int | None = None  # how many share the state; None: alone


@dataclass(frozen=True, slots=True)
class Settings:
    """What the listener is told. `url`: where people reach it from outside (None: as they asked); `hosts`: Host values answered."""

    name: str
    environment: str
    url: str | None
    hosts: frozenset[str]
    upstreams: tuple[str, ...]
    session_idle: float  # seconds
    session_absolute: float  # seconds
    session_terminal: float = 43200.0  # seconds
    body: int = 256 << 10  # bytes; nothing people send is larger
    json_depth: int = 16
    condition: Callable[[], Condition] = Condition
    cursor_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)  # shared by replicas, so that a page may come from any

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over TLS."""
        return self.url is not None and self.url.startswith("https://")
