"""A gate in memory for the people's doors, and holds to show: real eligibility and ballots, no database, no policy, no log."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.audit import entries, reader, story
from stagewarden.audit.acts import Receipt
from stagewarden.classify import RouteTable
from stagewarden.clock import new_id, rfc3339
from stagewarden.config import Route, Upstream, units
from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound, StepUp
from stagewarden.gate import council
from stagewarden.gate.editing import unfit
from stagewarden.gate.feed import Feed
from stagewarden.gate.grant_acts import GrantView
from stagewarden.gate.inbox import FILTERS, Shown
from stagewarden.gate.overview import DAYS, AgentPicture, Past, Traffic, WorkflowPicture
from stagewarden.gate.people import AgentView, Around, Engaged, HoldView, OwnReviews, Turn, WorkflowReviews
from stagewarden.gate.reach import reach, ways
from stagewarden.gate.resolving import LOOKS_UP
from stagewarden.gate.revisions import RevisionView, why_not
from stagewarden.grants import Grant, GrantState, Terms
from stagewarden.grants import lifecycle as grant_cycle
from stagewarden.grants.report import report
from stagewarden.holds import ballot, lifecycle, signals, titles
from stagewarden.holds.counting import Days
from stagewarden.holds.eligibility import candidates, eligible, functions_held, seat_views, voted_already
from stagewarden.holds.lots import lot_of, standing_of
from stagewarden.holds.resending import doubtful
from stagewarden.holds.rows import destination
from stagewarden.holds.seats import fillable, filled
from stagewarden.holds.signals import Review
from stagewarden.model import Hold, HoldState, Reason, Request, Seat, Stage, Tier, Vote
from stagewarden.modes import MODES, RANK, Kill, parse_scope
from stagewarden.notify import Delivery
from stagewarden.notify.ledger import STATES
from stagewarden.registry import (
    Actions,
    Agent,
    AgentIdentity,
    AgentOwners,
    Destination,
    Owners,
    Person,
    Process,
    Registry,
    RegistryData,
    Risk,
    Rollback,
    TierRule,
    TierSeat,
    Workflow,
    widenings,
)
from stagewarden.store.revisions import Confirmation
from tests.unit.audit.parts import ruling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from stagewarden.clock import Clock
    from stagewarden.gate.feed import Listener
    from stagewarden.gate.grant_terms import Wanted as WantedGrant
    from stagewarden.gate.inbox import Selection
    from stagewarden.gate.people import VoteIntent
    from stagewarden.grants import Ballot as GrantBallot
    from stagewarden.identity.people import Caller, People, ProgramToken
    from stagewarden.model import Body, Document
    from stagewarden.store import Callback, Revision, Store

HOUR = 3600 * 1_000_000_000
_FRESH = "a sign-in not older than 300 s"
PEOPLE = {
    "ines": ("reviewer", "privacy"),
    "mara": ("reviewer", "business"),
    "samir": ("compliance",),
    "aiko": ("security",),
    "jonas": ("technical",),
    "nobody": (),
}
FOUR = ("factual", "brand", "policy", "approved_data")
TEN = (*FOUR, "source", "claims", "segment", "triggers", "legal", "rollback")


def registry() -> Registry:
    """Six people, two agents, one of them with its workflow."""
    agent = Agent(
        identity=AgentIdentity(key="drafter-7"),
        owners=AgentOwners(human="jonas", business="mara"),
        stages=("generate", "edit", "queue"),
        workflows=("newsletter",),
    )
    helper = Agent(identity=AgentIdentity(key="helper-4"), owners=AgentOwners(human="aiko"), stages=("generate",), workflows=("support-replies",))
    people = {name: Person(functions=functions) for name, functions in PEOPLE.items()}
    newsletter = Workflow(
        summary="Writes posts and newsletters from approved sources and queues them. It never publishes.", process="editorial",
        owners=Owners(business="mara", security="aiko", privacy="ines", technical="jonas"),
        risk=Risk(data_sensitivity="low", external_impact="medium", regulatory_exposure="low", rollback_difficulty="low", approval_level=Tier.MEDIUM),
        purpose="inform readers", rollback=Rollback(kind="restore", steps="back to draft", owner="jonas", rto="10m", tested_at="2026-01-29"),
        actions=Actions(allowed=("post.draft", "post.queue"), restricted=("post.publish",), prohibited=("post.delete",)), initiators=("mara",),
    )  # fmt: skip
    tiers = {Tier.LOW: TierRule(), Tier.MEDIUM: TierRule(seats=(TierSeat(functions=("reviewer",)),))}
    return Registry.of(
        RegistryData(
            people=people, agents={"drafter-7": agent, "helper-4": helper}, workflows={"newsletter": newsletter},
            processes={"editorial": Process(summary="Posts for the public site", control_owner="mara", review_cycle="quarterly")},
            destinations={"newsroom-site": Destination(channel="public")}, tiers=tiers,
        )
    )  # fmt: skip


def routes() -> RouteTable:
    """One upstream that lists what the workflow names."""
    listed = (
        Route(match="POST /wp-json/wp/v2/posts", stage=Stage.GENERATE, kind="post.draft"),
        Route(match="POST /queue", stage=Stage.QUEUE, kind="post.queue"),
        Route(match="POST /wp-json/wp/v2/posts/{id}", stage=Stage.EXPORT, kind="post.publish"),
        Route(match="DELETE /wp-json/wp/v2/posts/{id}", stage=Stage.EXPORT, kind="post.delete"),
    )
    upstream = Upstream(url="http://127.0.0.1:9", destination="newsroom-site", mount="/cms", routes=listed)
    return RouteTable({"cms": upstream}, lambda one: one.routes, lambda _: True)


def held(
    now_ns: int, body: Document | bytes | None = None, *, before: Document | None = None, asserted: Document | None = None, **changes: object
) -> Hold:
    """A hold that waits: publish a post, medium tier, one reviewer; anything can be changed."""
    data = (
        body if isinstance(body, bytes) else json.dumps(body if body is not None else {"status": "publish", "title": "Winter opening hours"}).encode()
    )
    request = Request(
        "cms", "POST", "https", "cms.internal", "/wp-json/wp/v2/posts/1842",
        (("Content-Type", "application/json"), ("Accept", "application/json")), data,
    )  # fmt: skip
    question: Document = {
        "action": {
            "asset": {"id": "1842", "digest": None, "state": "draft"} if before is not None else None,
            "destination": "newsroom-site", "external": True, "reversible": "compensate",
        },
        "asserted": asserted or {},
        "principal": {"chain": [{"kind": "agent", "id": "drafter-7", "verified": True}]},
    }  # fmt: skip
    hold = Hold(
        id=new_id("h", now_ns), state=HoldState.PENDING, ruling=new_id("r", now_ns), digest=request.digest("drafter-7", Stage.EXPORT),
        view_digest="sha256:" + "5a" * 32, repeat_digest="sha256:" + "77" * 32, agent="drafter-7", workflow="newsletter", initiator="",
        upstream="cms", stage=Stage.EXPORT, kind="post.publish", asset="1842" if before is not None else None, lookup_digest=None, tier=Tier.MEDIUM,
        reasons=(Reason("unreviewed_external", "stagewarden.rules.triggers", "It becomes public without anybody having reviewed it"),),
        seats=(Seat(("reviewer",), 1),), questions=FOUR, votes=(), asked_at_ns=now_ns - HOUR, expires_at_ns=now_ns + 3 * HOUR, approved_at_ns=0,
        use_by_ns=0, ended_at_ns=0, attempt=None, successor=None, ended_by=None, request=request, question=question,
        before=None if before is None else json.dumps(before).encode(),
    )  # fmt: skip
    return replace(hold, **changes)


@dataclass
class FakeGate:
    """Everything in memory; acts as the gate does, as far as people's doors can tell. `reads` are the payloads shown."""

    clock: Clock
    registry: Registry = field(default_factory=registry)
    holds: dict[str, Hold] = field(default_factory=dict)
    modes: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    engaged: list[Kill] = field(default_factory=list)
    owed: tuple[str, ...] = ()
    recorded: list[Document] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    reads: list[tuple[str | None, str]] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    feed: Feed = field(default_factory=Feed)
    past: list[Past] = field(default_factory=list)
    routes: RouteTable = field(default_factory=routes)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)  # hold and person → when its content was first shown to them
    reviews: list[Review] = field(default_factory=list)
    store: Store | None = None
    stale: bool = False  # nobody has just signed in
    deliveries: list[Delivery] = field(default_factory=list)
    used: set[str] = field(default_factory=set)  # ids and tokens of votes through adapters
    strangers: list[str] = field(default_factory=list)
    titled: list[tuple[str | None, tuple[str, ...]]] = field(default_factory=list)  # pages of a list that showed titles: to whom, and of which holds

    def add(self, hold: Hold) -> Hold:
        """Hold something."""
        self.holds[hold.id] = hold
        return hold

    def functions(self, caller: Caller) -> frozenset[str]:
        """As the registry says now."""
        person = self.registry.data.people.get(caller.person or "")
        return frozenset(person.functions) if person else frozenset()

    def may_lend(self, caller: Caller) -> None:
        """A person at the console; where `stale`, not one who has just signed in."""
        if caller.person is None or caller.via != "session":
            raise NotAllowed("a terminal is lent a sign-in by a person who is signed in to the console")
        if self.stale:
            raise StepUp(f"this takes {_FRESH}")

    async def program_tokens(self, caller: Caller, people: People) -> list[ProgramToken]:
        """One's own, or all for security and technical."""
        if caller.person is None:
            raise NotAllowed("a program is shown no tokens")
        assert self.store is not None
        everything = not self.functions(caller).isdisjoint({"security", "technical"})
        return [one for one in await people.programs(self.store) if everything or one.creator == caller.person]

    async def list_holds(
        self, caller: Caller, wanted: Selection, *, state: str | None, mine: bool, asked: bool | None = None
    ) -> tuple[list[HoldView], str | None]:
        """Newest first, without payload."""
        self._reads(caller)
        if state not in {None, "open", "ended", *HoldState}:
            raise Invalid("state: not one")
        kept = [hold for hold in self.holds.values() if state is None or hold.state == state or (hold.state in lifecycle.OPEN) is (state == "open")]
        if state in set(HoldState):
            kept = [hold for hold in self.holds.values() if hold.state == state]
        now = self.clock.now_ns()
        kept = [hold for hold in kept if asked in {None, hold.asked} and self._left(hold, wanted, now)]
        views = [self._view(caller, self._bare(hold)) for hold in kept]
        start = int(wanted.place or 0)
        end = start + wanted.limit
        shown = [view for view in views if not mine or view.why_not is None]
        return shown[start:end], str(end) if len(shown) > end else None

    async def inbox(self, caller: Caller, wanted: Selection) -> Shown:
        """As the gate: due first, or ended last first; without payload, but with what is called how for whoever may see that."""
        shown = self._shown(caller, wanted)
        found = {view.hold.id: self._title(view.hold.id) for view in shown.every if view.payload}
        told = {name: called for name, called in found.items() if called is not None}
        if told:
            self.titled.append((caller.person, tuple(sorted(told))))
        return shown.called(told)

    def _title(self, hold_id: str) -> str | None:
        hold = self.holds[hold_id]
        return titles.kept(hold) if hold.payload else None

    def _shown(self, caller: Caller, wanted: Selection) -> Shown:
        self._reads(caller)
        now = self.clock.now_ns()
        tabs = self._tabs(caller)
        mine = tabs["mine"]
        here = sorted(tabs.get(wanted.tab, ()), key=lambda hold: (hold.expires_at_ns, hold.id))
        if wanted.tab == "done":
            here = sorted((hold for hold in self.holds.values() if hold.ended_at_ns), key=lambda hold: (-hold.ended_at_ns, hold.id))
        left = [hold for hold in here if self._left(hold, wanted, now)]
        if not (wanted.place or "0").isdecimal():
            raise Invalid("cursor: not a cursor of this list")
        start = int(wanted.place or 0)
        ids = self.registry.ids_of(caller.person or "")
        voted = [(vote, hold) for hold in self.holds.values() for vote in hold.votes if vote.person in ids]
        vote, last = max(voted, key=lambda pair: pair[0].at_ns) if voted and not left else (None, None)
        under_way = [hold for hold in self.holds.values() if hold.state in lifecycle.OPEN - {HoldState.PENDING}]
        high = [hold for hold in mine if hold.tier is Tier.HIGH]
        return Shown(
            views=tuple(self._view(caller, self._bare(hold)) for hold in left[start : start + wanted.limit]),
            following=str(start + wanted.limit) if len(left) > start + wanted.limit else None,
            under_way=() if wanted.tab != "done" or start or wanted.narrowed else tuple(self._view(caller, self._bare(hold)) for hold in under_way),
            counts={tab: len(held) for tab, held in tabs.items()},
            matched=None if wanted.tab == "done" else len(left),
            choices={name: self._choices(here, name) for name in FILTERS},
            soon=sum(hold.expires_at_ns <= now + HOUR for hold in left),
            oldest_ns=min((hold.asked_at_ns for hold in mine), default=None),
            high=(sum(hold.tier is Tier.HIGH for _, hold in voted) if high else 0, len(high)),
            last=None if last is None else self._view(caller, self._bare(last)),
            last_vote=vote,
            ended_today=sum(hold.ended_at_ns >= now - now % (24 * HOUR) for hold in self.holds.values()) if not left else 0,
        )

    async def fresh(self, caller: Caller, wanted: Selection, since_ns: int) -> int:
        """As the gate."""
        here = self._tabs(caller).get(wanted.tab, [])
        return sum(hold.asked_at_ns > since_ns and self._left(hold, wanted, self.clock.now_ns()) for hold in here)

    async def next_hold(self, caller: Caller, hold_id: str) -> Hold | None:
        """As the gate."""
        at = self._hold(hold_id)
        others = sorted((hold.expires_at_ns, hold.id) for hold in self._tabs(caller)["mine"] if hold.id != hold_id)
        behind = [place for place in others if place > (at.expires_at_ns, at.id)]
        found = next((name for _, name in (*behind, *others)), None)
        return None if found is None else self._bare(self.holds[found])

    async def turn(self, caller: Caller, hold_id: str) -> Turn | None:
        """As the gate."""
        self._reads(caller)
        mine = [name for _, name in sorted((hold.expires_at_ns, hold.id) for hold in self._tabs(caller)["mine"])]
        if hold_id not in mine:
            return None
        at = mine.index(hold_id)
        return Turn(at + 1, len(mine), mine[at - 1] if at else None, next(iter(mine[at + 1 :]), None))

    def _tabs(self, caller: Caller) -> dict[str, list[Hold]]:
        pending = [hold for hold in self.holds.values() if hold.state is HoldState.PENDING]
        asked = [hold for hold in pending if hold.asked]
        functions = self.functions(caller)
        mine = [hold for hold in asked if caller.person and standing_of(caller.person, functions, lot_of(hold), self.registry).mine]
        others = [hold for hold in asked if hold not in mine]
        return {"mine": mine, "others": others, "all": asked, "proposals": [hold for hold in pending if not hold.asked]}

    @staticmethod
    def _left(hold: Hold, wanted: Selection, now: int) -> bool:
        lot = lot_of(hold)
        same = all(getattr(wanted, name) in {None, getattr(lot, name)} for name in ("tier", "workflow", "channel"))
        text = wanted.text.lower() in "\n".join((hold.id, hold.asset or "", lot.agent, lot.workflow)).lower()
        return (
            same
            and wanted.why in {None, *lot.codes}
            and text
            and (not wanted.soon or (hold.state is HoldState.PENDING and hold.expires_at_ns <= now + HOUR))
        )

    @staticmethod
    def _choices(holds: list[Hold], name: str) -> dict[str, int]:
        found = [value for hold in holds for value in (lot_of(hold).codes if name == "why" else (str(getattr(lot_of(hold), name)),))]
        return {value: found.count(value) for value in sorted(set(found))}

    async def show_hold(self, caller: Caller, hold_id: str) -> HoldView:
        """One."""
        view = await self.look_at_hold(caller, hold_id)
        if view.payload:
            self.reads.append((caller.person, hold_id))
            if caller.person is not None and view.hold.state in lifecycle.OPEN:
                self.seen.setdefault((hold_id, caller.person), self.clock.now_ns())
        return view

    async def around(self, caller: Caller, hold: Hold) -> Around:
        """What the registry says, what it took the place of, and its like that have ended."""
        self._reads(caller)
        data, like = self.registry.data, (hold.agent, hold.kind, hold.upstream)
        ended = [each for each in self.holds.values() if each.state not in lifecycle.OPEN and each.id != hold.id]
        ended.sort(key=lambda each: each.asked_at_ns, reverse=True)
        alike = [self._bare(each) for each in ended if (each.agent, each.kind, each.upstream) == like]
        before = self.holds.get(hold.predecessor or "")
        return Around(
            self.registry.revision, data.workflows.get(hold.workflow), data.destinations.get("newsroom-site"), before and self._bare(before),
            tuple(alike[:5]),
        )  # fmt: skip

    @staticmethod
    def _bare(hold: Hold) -> Hold:
        """As lists have it."""
        request = Request("cms", "POST", "", "", "/wp-json/wp/v2/posts", (), b"")
        question: Document = {"principal": hold.question["principal"], "action": {"destination": destination(hold.question)}}
        bare = {"before": None, "original": None, "response": None, "evidence": None}
        return replace(hold, payload=False, request=request, question=question, **bare)

    async def look_at_hold(self, caller: Caller, hold_id: str) -> HoldView:
        """One, not recorded."""
        self._reads(caller)
        hold = self._hold(hold_id)
        view = self._view(caller, hold)
        trusted = not self.functions(caller).isdisjoint({"security", "technical"})
        offers = {
            "take_up": hold.state is HoldState.PENDING and not hold.asked and view.why_not is None,
            "resolve": hold.state is HoldState.UNKNOWN and trusted,
            "roll_back": hold.state is HoldState.DONE and trusted,
        }
        left = {one: held for one, held in candidates(hold, self.registry).items() if one != caller.person}
        missing = fillable(hold.seats, left)
        unasked = None if hold.asked else "the hold is a proposal: take it up first"
        nobody = f"with you as its editor nobody is left for {', '.join(missing)}" if missing else None
        prove = _FRESH if self.stale and hold.tier is Tier.HIGH else None
        return dataclasses.replace(
            view,
            why_not_edit=view.why_not or unasked or unfit(hold) or nobody,
            prove=prove,
            offers=frozenset(name for name, may in offers.items() if may),
        )

    @asynccontextmanager
    async def body(self, caller: Caller, hold_id: str) -> AsyncIterator[Body]:
        """Its bytes."""
        view = await self.show_hold(caller, hold_id)
        if not view.payload:
            raise NotAllowed("these bytes are shown to the hold's seats, its owners, security and privacy")
        yield view.hold.request.body

    async def vote(self, caller: Caller, hold_id: str, intent: VoteIntent) -> Hold:
        """Check and count."""
        hold = self._hold(hold_id)
        if caller.person is None:
            raise NotAllowed("a program's credential never votes")
        if self.engaged and intent.decision == "approve":
            raise Conflict("stopped meanwhile")
        if self.stale and intent.decision == "approve" and hold.tier is Tier.HIGH:
            raise StepUp(f"this takes {_FRESH}")
        given = ballot.Ballot(
            caller.person, intent.function, intent.decision, intent.digest, intent.view_digest, intent.reason, intent.note, dict(intent.answers)
        )  # fmt: skip
        if intent.edit is not None:
            ballot.check_edit(given, hold, self.registry)
            if not intent.edit or intent.edit == hold.request.body:
                raise Invalid("edit: changes nothing")
            request = replace(hold.request, body=intent.edit)
            fresh = replace(
                hold, id=new_id("h", self.clock.now_ns()), request=request, digest=request.digest(hold.agent, hold.stage), predecessor=hold.id,
                editor=caller.person, authors=(*hold.authors, caller.person), original=hold.request.body, votes=(),
            )  # fmt: skip
            self.add(replace(hold, state=HoldState.SUPERSEDED, successor=fresh.id))
            return self.add(fresh)
        ballot.check(given, hold, self.registry)
        now = self.clock.now_ns()
        vote = Vote(
            new_id("v", now), caller.person, intent.function, intent.decision, intent.reason, intent.note, intent.digest, intent.view_digest, now,
            tuple(intent.answers.items()),
        )  # fmt: skip
        viewed = self.seen.get((hold_id, caller.person), 0)
        length = signals.length(hold.request.body, hold.before)
        in_view = viewed > 0 and not intent.unread
        self.reviews.append(Review(caller.person, hold.workflow, str(hold.tier), intent.decision, viewed, now, length, in_view, after_hours=False))
        hold = replace(hold, votes=(*hold.votes, vote))
        if intent.decision != "approve":
            state = HoldState.REJECTED if intent.decision == "reject" else HoldState.SENT_BACK
            hold = replace(hold, state=state, ended_at_ns=now, ended_by=intent.reason)
        elif filled(seat_views(hold, self.registry)):
            hold = replace(hold, state=HoldState.APPROVED, approved_at_ns=now, use_by_ns=now + HOUR)
        return self.add(hold)

    async def take_up(self, caller: Caller, hold_id: str) -> Hold:
        """Ask from now on."""
        hold = self._hold(hold_id)
        if caller.person is None or (why := eligible(caller.person, hold, self.registry)) is not None:
            raise NotAllowed("not theirs to take up" if caller.person is None else why)
        return self.add(replace(hold, asked=True))

    async def stop_hold(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """End it."""
        self._stops(caller)
        hold = self._hold(hold_id)
        state = lifecycle.move(hold.state, lifecycle.Event.STOPPED, doubtful=doubtful(hold))
        return self.add(replace(hold, state=state, ended_at_ns=self.clock.now_ns(), ended_by="stopped"))

    def offer(self, requested_by: str = "jonas") -> Grant:
        """A grant somebody asked for: business and security vote."""
        now = self.clock.now_ns()
        terms = Terms(
            agent="drafter-7", workflow="newsletter", stage=Stage.QUEUE, kind="post.queue", upstream="cms", destination="site", fields=("title",),
            classes=(), purpose="news", evidence="a ticket", ttl=3600, uses=2,
        )  # fmt: skip
        seats = (Seat(("business",), 1), Seat(("security",), 1))
        grant = Grant(
            id=new_id("g", now), state=GrantState.REQUESTED, terms=terms, digest=terms.fingerprint(), tier=Tier.MEDIUM, seats=seats,
            requested_by=requested_by, asked_at_ns=now, decide_by_ns=now + HOUR,
        )  # fmt: skip
        self.grants[grant.id] = grant
        return grant

    async def vote_by_adapter(self, caller: Caller, callback: Callback, hold_id: str, intent: VoteIntent) -> Hold:
        """As the gate, as far as ids and tiers go."""
        if caller.via != "adapter":
            raise NotAllowed("the person's own token")
        if {callback.id, callback.token} & self.used:
            raise Conflict("used before")
        self.used |= {callback.id, callback.token}
        if self._hold(hold_id).tier is Tier.HIGH:
            raise NotAllowed("tier high is decided in the console")
        return await self.vote(caller, hold_id, intent)

    def turned_away(self, code: str, peer: str) -> None:
        """Counted."""
        self.strangers.append(code)

    async def list_deliveries(self, caller: Caller, *, state: str | None, cursor: str | None, limit: int) -> tuple[list[Delivery], str | None]:
        """Newest first; pages are not told apart here."""
        self._reads(caller)
        if state is not None and state not in STATES:
            raise Invalid("state")
        return [one for one in reversed(self.deliveries) if state in {None, one.state}][:limit], None

    def notify(self, state: str, **changes: object) -> Delivery:
        """A notification that stands so."""
        now = self.clock.now_ns()
        ended = 0 if state in {"waiting", "sending"} else now
        made = Delivery(
            new_id("n", now), "desk", "", "opened", new_id("h", now), {}, state, 10, now, now, ended,
            "http_500" if state != "delivered" else "http_200", None, None,
        )  # fmt: skip
        self.deliveries.append(dataclasses.replace(made, **changes))
        return self.deliveries[-1]

    def why_not_resend(self, caller: Caller) -> str | None:
        """Security and technical can."""
        return "takes the function security or technical" if caller.person is None or self.functions(caller).isdisjoint(LOOKS_UP) else None

    async def resend(self, caller: Caller, delivery_id: str) -> Delivery:
        """Due again."""
        if (why := self.why_not_resend(caller)) is not None:
            raise NotAllowed(why)
        for index, one in enumerate(self.deliveries):
            if one.id == delivery_id:
                self.deliveries[index] = dataclasses.replace(one, state="waiting", attempts=0, ended_ns=0, resent_by=caller.person)
                return self.deliveries[index]
        raise NotFound("no such delivery")

    async def list_grants(
        self, caller: Caller, *, state: str | None, agent: str | None, wider: bool, cursor: str | None, limit: int
    ) -> tuple[list[GrantView], str | None]:
        """Newest first."""
        self._reads(caller)
        if state not in {None, "open", "ended", *GrantState}:
            raise Invalid("state: not one")
        states = {"open": grant_cycle.OPEN, "ended": grant_cycle.ENDED}.get(state or "", frozenset({state}) if state else frozenset(GrantState))
        found = [one for one in reversed(self.grants.values()) if one.state in states and agent in {None, one.terms.agent} and not wider]
        start = int(cursor or 0)
        shown = [self._grant_view(caller, grant) for grant in found[start : start + limit]]
        return shown, str(start + limit) if len(found) > start + limit else None

    async def show_grant(self, caller: Caller, grant_id: str) -> GrantView:
        """One."""
        self._reads(caller)
        return self._grant_view(caller, self._grant(grant_id))

    async def ask_grant(self, caller: Caller, wanted: WantedGrant) -> GrantView:
        """Ask."""
        if caller.person is None or not self.functions(caller):
            raise NotAllowed("a grant is asked for by a person of the registry")
        if wanted.agent not in self.registry.data.agents:
            raise Invalid("agent: not registered")
        grant = self.offer(caller.person)
        terms = replace(
            grant.terms, agent=wanted.agent, workflow=wanted.workflow, stage=Stage(wanted.stage), kind=wanted.kind, upstream=wanted.upstream,
            uses=wanted.uses, ttl=int(units.seconds(wanted.ttl)), evidence=wanted.evidence, fields=wanted.fields, bounds=wanted.bounds,
        )  # fmt: skip
        self.grants[grant.id] = replace(grant, terms=terms, digest=terms.fingerprint())
        return self._grant_view(caller, self.grants[grant.id])

    async def vote_grant(self, caller: Caller, grant_id: str, given: GrantBallot) -> GrantView:
        """Check and count."""
        grant = self._grant(grant_id)
        if caller.person is None:
            raise NotAllowed("a program's credential never votes")
        if grant.state is not GrantState.REQUESTED or given.digest != grant.digest:
            raise Conflict("digest: the vote is about other terms than the grant's")
        council.Council(self.registry).check(given, grant)
        now = self.clock.now_ns()
        vote = Vote(new_id("v", now), caller.person, given.function, given.decision, given.reason, None, given.digest, given.digest, now)
        grant = replace(grant, votes=(*grant.votes, vote))
        if given.decision == "reject":
            grant = replace(grant, state=GrantState.REJECTED, ended_at_ns=now, ended_by=caller.person, ended_why=given.reason)
        elif council.Council(self.registry).filled(grant):
            grant = replace(grant, state=GrantState.ACTIVE, approved_at_ns=now, expires_at_ns=now + grant.terms.ttl * 1_000_000_000)
        self.grants[grant_id] = grant
        return self._grant_view(caller, self.grants[grant_id])

    async def complete_grant(self, caller: Caller, grant_id: str, reason: str) -> GrantView:
        """A person says so."""
        if caller.person is None:
            raise NotAllowed("a person says that a task is done")
        self.grants[grant_id] = replace(self._grant(grant_id), state=GrantState.COMPLETED, ended_why=reason)
        return self._grant_view(caller, self.grants[grant_id])

    async def revoke_grant(self, caller: Caller, grant_id: str, reason: str) -> GrantView:
        """End it."""
        self._stops(caller)
        self.grants[grant_id] = replace(self._grant(grant_id), state=GrantState.REVOKED, ended_by=_name(caller), ended_why=reason)
        return self._grant_view(caller, self.grants[grant_id])

    def _grant(self, grant_id: str) -> Grant:
        if grant_id not in self.grants:
            raise NotFound("no such grant")
        return self.grants[grant_id]

    def _grant_view(self, caller: Caller, grant: Grant) -> GrantView:
        why = "a program's credential never votes" if caller.person is None else council.why_not(caller.person, grant, self.registry)
        functions = sorted({function for seat in grant.seats for function in seat.functions} & self.functions(caller))
        return GrantView(grant, council.seat_views(grant, self.registry), why, tuple(functions), report(grant, ()))

    async def resolve(self, caller: Caller, hold_id: str, result: str, evidence: str) -> Hold:
        """What became of it."""
        self._looks_up(caller)
        if result not in {"done", "failed"} or not evidence.strip():
            raise Invalid("result: done or failed, with evidence")
        hold = self._hold(hold_id)
        event = lifecycle.Event.ANSWERED if result == "done" else lifecycle.Event.REFUSED
        if hold.state is not HoldState.UNKNOWN:
            raise Conflict(f"the hold is {hold.state}; only an unknown outcome is resolved")
        return self.add(replace(hold, state=lifecycle.move(hold.state, event), evidence=evidence, ended_by=f"resolved_{result}"))

    async def roll_back(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """It was taken back."""
        self._looks_up(caller)
        if not reason.strip():
            raise Invalid("reason: a rollback needs one")
        hold = self._hold(hold_id)
        return self.add(replace(hold, state=lifecycle.move(hold.state, lifecycle.Event.ROLLED_BACK), ended_by="rolled_back"))

    async def own_reviews(self, caller: Caller) -> OwnReviews:
        """As the gate measures them."""
        if caller.person is None:
            raise NotAllowed("a program reviews nothing")
        measures, rule = signals.measure(review for review in self.reviews if review.person == caller.person), self.registry.data.signals
        return OwnReviews(measures, signals.signals(measures, rule))

    async def workflow_reviews(self, caller: Caller) -> list[WorkflowReviews]:
        """Of every workflow in them, to security."""
        self._reads(caller)
        rule = self.registry.data.signals
        views: list[WorkflowReviews] = []
        for name in sorted({review.workflow for review in self.reviews}) if "security" in self.functions(caller) else ():
            measures = signals.measure(review for review in self.reviews if review.workflow == name)
            shown = measures if measures.count >= rule.minimum else None
            views.append(WorkflowReviews(name, shown, signals.signals(measures, rule), ()))
        return views

    async def list_agents(self, caller: Caller) -> list[AgentView]:
        """All."""
        self._reads(caller)
        return [self._agent(name) for name in sorted(self.registry.data.agents)]

    async def show_agent(self, caller: Caller, agent: str) -> AgentPicture:
        """One."""
        self._reads(caller)
        if agent not in self.registry.data.agents:
            raise NotFound("no such agent")
        view, data = self._agent(agent), self.registry.data
        named = {name: data.workflows[name] for name in view.agent.workflows if name in data.workflows}
        kills = tuple(kill for kill in self.engaged if kill.scope in {"all", f"agent:{agent}", *(f"workflow:{name}" for name in named)})
        past = tuple(each for each in reversed(self.past) if each.scope == f"agent:{agent}")
        lifters = tuple(sorted(name for name, person in data.people.items() if {"security", "technical"} & {*person.functions}))
        return AgentPicture(
            view, named, reach(view.agent, named, self.routes, self._external), past, kills, lifters, self.why_not_loosen(caller, agent)
        )

    async def list_workflows(self, caller: Caller) -> list[WorkflowPicture]:
        """All."""
        self._reads(caller)
        return [await self.show_workflow(caller, name) for name in sorted(self.registry.data.workflows)]

    async def show_workflow(self, caller: Caller, workflow: str) -> WorkflowPicture:
        """One."""
        self._reads(caller)
        data = self.registry.data
        if workflow not in data.workflows:
            raise NotFound("no such workflow")
        entry = data.workflows[workflow]
        kinds = (*entry.actions.allowed, *entry.actions.restricted, *entry.actions.prohibited)
        agents = tuple(self._agent(name) for name, agent in data.agents.items() if workflow in agent.workflows)
        went = {kind: ways(workflow, kind, self.routes, self._external) for kind in kinds}
        kills = tuple(kill for kill in self.engaged if kill.scope in {"all", f"workflow:{workflow}"})
        return WorkflowPicture(workflow, entry, data.processes.get(entry.process), agents, went, data.tiers, kills)

    async def traffic(self, caller: Caller, *, agent: str | None = None, workflow: str | None = None) -> Traffic:
        """What waits; everything was asked today."""
        self._reads(caller)
        theirs = [hold for hold in self.holds.values() if agent in {None, hold.agent} and workflow in {None, hold.workflow}]
        opened = tuple(hold for hold in theirs if hold.state in lifecycle.OPEN)
        zeros = (0,) * (DAYS - 1)
        rejected = sum(hold.state in {HoldState.REJECTED, HoldState.SENT_BACK} for hold in theirs)
        failed = sum(hold.state in {HoldState.FAILED, HoldState.UNKNOWN} for hold in theirs)
        days = Days(len(opened), (*zeros, len(theirs)), (*zeros, rejected), (*zeros, failed))
        return Traffic(len(opened), 50 if agent else None, opened, days)

    async def history(self, caller: Caller, scope: str, cursor: str | None, limit: int) -> tuple[list[Past], str | None]:
        """Acts, newest first."""
        self._reads(caller)
        found, start = [each for each in reversed(self.past) if each.scope == scope], int(cursor or 0)
        return found[start : start + limit], str(start + limit) if len(found) > start + limit else None

    async def receipt(self, caller: Caller, kill_id: str) -> Receipt:
        """What was stopped while it stood: here, everything stopped in memory."""
        self._reads(caller)
        kill = next((kill for kill in self.engaged if kill.id == kill_id), None)
        if kill is None:
            raise NotFound("the log has no such stop, or it is too long ago")
        act: Document = {
            "kind": "kill", "act": "kill", "subject": kill.id, "scope": kill.scope, "by": kill.by, "reason": kill.reason, "time": rfc3339(kill.at_ns),
        }  # fmt: skip
        stopped = [hold.id for hold in self.holds.values() if hold.state is HoldState.STOPPED]
        return Receipt([act], stopped, [], 0, whole=True)

    def why_not_loosen(self, caller: Caller, agent: str) -> str | None:
        """Who holds neither function."""
        return "it takes the function security or technical" if self.functions(caller).isdisjoint({"security", "technical"}) else None

    def why_not_lift(self, caller: Caller, kill: Kill) -> str | None:
        """The same."""
        return self.why_not_loosen(caller, kill.scope)

    def _external(self, destination: str) -> bool:
        entry = self.registry.data.destinations.get(destination)
        return entry is None or entry.channel != "internal"

    def _did(self, act: str, scope: str, mode: str, caller: Caller, reason: str) -> None:
        security = "security" in self.functions(caller) and act != "unkill" and mode != "active"
        self.past.append(Past(act, scope, mode, _name(caller), reason, self.clock.now_ns(), security, relapse=False, observed_until_ns=0))

    async def set_mode(self, caller: Caller, agent: str, mode: str, reason: str) -> AgentView:
        """Tighten or loosen."""
        if agent not in self.registry.data.agents:
            raise NotFound("no such agent")
        if mode not in MODES:
            raise Invalid(f"mode: expected one of {', '.join(MODES)}")
        if RANK[mode] < RANK[self._agent(agent).mode]:
            self._loosens(caller, reason)
        else:
            self._stops(caller)
        self.modes[agent] = (mode, _name(caller), reason)
        self._did("mode", f"agent:{agent}", mode, caller, reason)
        return self._agent(agent)

    async def kills(self, caller: Caller) -> list[Kill]:
        """Engaged ones."""
        self._reads(caller)
        return list(self.engaged)

    async def kill(self, caller: Caller, scope: str, reason: str) -> Engaged:
        """Engage."""
        self._stops(caller)
        now = self.clock.now_ns()
        kill = Kill(id=new_id("k", now), scope=parse_scope(scope), by=_name(caller), at_ns=now, reason=reason)
        self.engaged.append(kill)
        self._did("kill", kill.scope, "", caller, reason)
        return Engaged(kill, self.owed)

    async def unkill(self, caller: Caller, kill_id: str, reason: str) -> None:
        """Lift."""
        self._loosens(caller, reason)
        if not any(kill.id == kill_id for kill in self.engaged):
            raise NotFound("no such kill")
        self.engaged = [kill for kill in self.engaged if kill.id != kill_id]

    async def waiting_revisions(self, caller: Caller) -> list[RevisionView]:
        """What was put into `revisions`."""
        self._reads(caller)
        return [self._revision_view(caller, one) for one in self.revisions]

    async def confirm_revision(self, caller: Caller, revision_id: str, digest: str) -> RevisionView:
        """One person's word."""
        if caller.person is None:
            raise NotAllowed("a program's credential confirms nothing")
        found = next((one for one in self.revisions if one.id == revision_id), None)
        if found is None:
            raise NotFound("no such revision")
        if found.digest != digest:
            raise Conflict("digest: another")
        if (why := self._revision_view(caller, found).why_not) is not None:
            raise NotAllowed(why)
        said = dataclasses.replace(found, confirmations=(*found.confirmations, Confirmation(caller.person, self.clock.now_ns())))
        self.revisions = [said if one.id == said.id else one for one in self.revisions]
        return self._revision_view(caller, said)

    def _revision_view(self, caller: Caller, one: Revision) -> RevisionView:
        widens = widenings(self.registry.data, one.registry.data)
        return RevisionView(one, widens, why_not(caller, self.registry, one, widens))

    async def rulings(
        self, caller: Caller, wanted: reader.Wanted = reader.EVERY, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Document], str | None]:
        """What was put into `recorded`, newest first."""
        self._reads(caller)
        kept, start = [item for item in reversed(self.recorded) if wanted.matches(item)], int(cursor or 0)
        return kept[start : start + limit], str(start + limit) if len(kept) > start + limit else None

    async def ruling(self, caller: Caller, ruling_id: str) -> Document:
        """One of them."""
        self._reads(caller)
        found = next((item for item in self.recorded if item["ruling"] == ruling_id), None)
        if found is None:
            raise NotFound("no such ruling")
        return found

    async def ruled(self, caller: Caller, since: str) -> reader.Counts:
        """What was put into `recorded`."""
        self._reads(caller)
        effects = Counter(str(item["effect"]) for item in self.recorded if str(item["time"]) >= since)
        return reader.Counts(effects["allow"], effects["hold"], effects["deny"])

    async def place(self, caller: Caller, ruling: Document) -> story.Place:
        """At its number, with nothing broken after it."""
        self._reads(caller)
        return story.Place(int(str(ruling["seq"])), "0" * 64, len(self.recorded) - 1 - int(str(ruling["seq"])), newest=True)

    async def hold_story(self, caller: Caller, hold_id: str) -> story.Story:
        """The rulings of one hold."""
        return self._story(caller, [item for item in self.recorded if item["hold"] == hold_id])

    async def asset_story(self, caller: Caller, upstream: str, asset: str) -> story.Story:
        """The rulings about one asset."""
        about = [item for item in self.recorded if isinstance(said := item["proposed"], dict) and isinstance(said["asset"], dict)]
        return self._story(caller, [item for item in about if (item["proposed"]["upstream"], item["proposed"]["asset"]["id"]) == (upstream, asset)])

    def _story(self, caller: Caller, found: list[Document]) -> story.Story:
        self._reads(caller)
        if not found:
            raise NotFound("no such story")
        return story.Story(tuple(found), whole=True)

    def listen(self, caller: Caller, since: str | None) -> AbstractContextManager[Listener]:
        """A place at the real feed."""
        self._reads(caller)
        return self.feed.listen(_name(caller), since)

    def record(self, effect: str, code: str) -> Document:
        """A ruling as the log has it."""
        now = self.clock.now_ns()
        made = replace(ruling(effect, agent="drafter-7", code=code), id=new_id("r", now), at_ns=now)
        envelope: Document = {"v": 1, "seq": len(self.recorded), "time": rfc3339(now), "boot": "b_1", "prev": "0" * 64, "kind": "ruling"}
        entry: Document = {**entries.ruling_entry(made), **envelope, "outcome": None}
        self.recorded.append(entry)
        return entry

    def _hold(self, hold_id: str) -> Hold:
        if hold_id not in self.holds:
            raise NotFound("no such hold")
        return self.holds[hold_id]

    def _view(self, caller: Caller, hold: Hold) -> HoldView:
        person = caller.person
        if person is None:
            why: str | None = "a program's credential never votes"
        else:
            why = eligible(person, hold, self.registry) or voted_already(person, hold, self.registry)
        functions = () if person is None else tuple(sorted(functions_held(person, hold, self.registry)))
        payload = bool(functions) or bool(self.functions(caller) & {"security", "privacy"}) or "payloads" in caller.scopes
        return HoldView(hold, tuple(seat_views(hold, self.registry)), payload, why, functions)

    def _agent(self, name: str) -> AgentView:
        entry = self.registry.data.agents[name]
        if name not in self.modes:
            return AgentView(name, entry, entry.mode)
        mode, by, reason = self.modes[name]
        return AgentView(name, entry, mode, by, reason, self.clock.now_ns())

    def _reads(self, caller: Caller) -> None:
        if caller.person is None and "read" not in caller.scopes:
            raise NotAllowed("this token's scopes do not include read")

    def _stops(self, caller: Caller) -> None:
        if caller.person is None and "stop" not in caller.scopes:
            raise NotAllowed("this token's scopes do not include stop")

    def _looks_up(self, caller: Caller) -> None:
        if self.functions(caller).isdisjoint({"security", "technical"}):
            raise NotAllowed("this takes the function technical or security")

    def _loosens(self, caller: Caller, reason: str) -> None:
        if self.functions(caller).isdisjoint({"security", "technical"}):
            raise NotAllowed("loosening takes the function security or technical")
        if not reason.strip():
            raise Invalid("reason: loosening needs one")


def _name(caller: Caller) -> str:
    return caller.person or f"program:{caller.program}"
