"""The agents' plane: one request is settled in numbered steps, and every outcome is a recorded Ruling, "could not tell" included.

Order of judgement: contract section 3. The only `except` that turns an error into a no stands here. Nothing is sent from here
before its record is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

import msgspec
from msgspec.structs import replace

from stagewarden.classify import Match, classify
from stagewarden.classify import action as classing
from stagewarden.errors import AuditUnavailable, CannotTell, NotFound, Refused, TooMuch, UpstreamFailed, UpstreamUnavailable
from stagewarden.gate import bodies, filtering
from stagewarden.gate.admission import Admission
from stagewarden.gate.lookup import look_up, lookup_key
from stagewarden.gate.question import Parts, build
from stagewarden.gate.rooms import is_edit_of_asset
from stagewarden.gate.rulings import outcome_of, ruling_of
from stagewarden.gate.sending import Relay
from stagewarden.gate.streams import Stopped
from stagewarden.holds import NewHold
from stagewarden.holds.eligibility import candidates
from stagewarden.holds.seats import fillable
from stagewarden.model import Allow, Ask, Deny, Principal, Request
from stagewarden.wire import headers as wire_headers
from stagewarden.wire.spool import Spool, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stagewarden.classify import Looked
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Action, Body, Head, Hold, Question, Ruling, Verdict
    from stagewarden.wire.upstream import Lease


class Incoming(Protocol):
    """The rest of the request being judged; read once, and only when its route is known."""

    @property
    def empty(self) -> bool:
        """Whether its head says that it has no body."""

    async def body(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes; raises Refused over it."""

    def pieces(self, limit: int) -> AsyncGenerator[bytes, None]:
        """The same as it arrives."""


class Draft(msgspec.Struct):
    """What is known so far of one request; becomes the Ruling. Lives only while its request is judged."""

    head: Head
    principal: Principal | None = None
    action: Action | None = None
    request: Request | None = None
    question: Question | None = None
    hold: Hold | None = None
    digest: str | None = None
    body_read: bool = False
    match: Match | None = None
    looked: Looked | None = None
    body: Body = b""  # a large one is ours to close
    phases: dict[str, float] = msgspec.field(default_factory=dict)
    agent: str | None = None  # counted as in flight for this agent
    asset: tuple[str, ...] | None = None  # the look-up's lock we hold
    started: float = 0.0
    upstream_seconds: float = 0.0


class Sending(msgspec.Struct):
    """One direct send from its first step to its outcome."""

    started: float
    lease: Lease | None = None
    relay: Relay | None = None
    failure: UpstreamFailed | None = None


class Passage:
    """One judged request until its answer is out; close it always."""

    __slots__ = ("_draft", "_gate", "_sending", "ruling")

    def __init__(self, gate: Judge, draft: Draft, ruling: Ruling) -> None:
        self._gate = gate
        self._draft = draft
        self._sending: Sending | None = None
        self.ruling = ruling

    async def send(self) -> Relay:
        """Step (8): send what was judged. Raises UpstreamFailed, or Stopped with the no; what came of it is recorded at the close."""
        self._sending = Sending(self._gate.now())
        return await self._gate.send(self._sending, self.ruling)

    def close(self) -> None:
        """Record what came of the send; let go of the connection, of the asset and of the agent's place in flight."""
        if self._sending is not None:
            self._gate.sent(self._sending, self._draft, self.ruling)
        self._gate.served(self._draft, self.ruling)
        self._gate.close(self._draft)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Judge:
    """Settles agents' requests."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._admission = Admission(rooms.config.limits, rooms.clock)
        rooms.recorder.metrics.counted(lambda: self._admission.under_way)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._rooms.clock.monotonic()

    async def judge(self, head: Head, incoming: Incoming) -> Passage:
        """Settle one request. Raises TooMuch over a limit: then nothing was asked and nothing is recorded but its count."""
        self._admission.check()
        draft = Draft(head, started=self._rooms.clock.monotonic())
        try:
            verdict = await self._verdict(draft, incoming)
            ruling = await self._record(draft, verdict)
        except BaseException:
            self.close(draft)
            raise
        return Passage(self, draft, ruling)

    async def _verdict(self, draft: Draft, incoming: Incoming) -> Verdict:
        try:
            return await self._settle(draft, incoming)
        except Refused as refused:
            return Deny.by_gate(refused.code, refused.detail)
        except TooMuch:
            raise
        except CannotTell as failure:  # the only place where an error becomes a verdict, and it becomes a no
            self._rooms.recorder.metrics.error(failure)
            return Deny.by_gate(failure.code, "Could not find out, so the answer is no", {"cause": type(failure).__name__})
        except Exception as fault:  # noqa: BLE001 - a mistake of ours could not tell either, and is recorded like everything else
            self._rooms.recorder.mistake(fault)
            return Deny.by_gate(CannotTell.code, "Could not find out, so the answer is no", {"cause": "internal"})

    async def _settle(self, draft: Draft, incoming: Incoming) -> Verdict:
        rooms, head = self._rooms, draft.head
        started = rooms.clock.monotonic()
        # (1) Who asks? An unknown gets no body read.
        principal = draft.principal = await rooms.identities.authenticate(head)
        started = self._phase(draft, "authn", started)
        self._admit(draft, principal.agent)
        # (2) Stopped? Then nobody is asked, not even which route this would be.
        match = rooms.routes.find(head)
        listed = match if isinstance(match, Match) else None
        principal = draft.principal = self._at_work(principal, listed.route.settings.workflow if listed else None)
        if stop := rooms.stopped(principal.agent, principal.workflow, listed.upstream.name if listed else None):
            return stop
        # (3) What is asked? Only what a route lists has a stage at all.
        if isinstance(match, Deny):
            return match
        draft.match = match
        _check_body(head, match, incoming)
        spooled, limits = match.route.settings.body in bodies.SPOOLED, rooms.config.limits
        draft.body = body = await (bodies.take(rooms, head, match, incoming.pieces(limits.spool)) if spooled else incoming.body(limits.body))
        draft.body_read = True
        request = draft.request = self._request(head, match, principal, body)
        document = (
            await bodies.describe(rooms, head, match, body)
            if spooled or not isinstance(body, bytes)
            else classing.parse_body(match, head.named.get("content-type"), body, limits.json_depth)
        )
        # (4) What already stands? The asset is looked up and stays ours until the answer.
        refusal = await self._look_up(draft, match, principal)
        action = draft.action = classify(match, document, draft.looked, external=rooms.is_external(match.upstream.settings.destination))
        small = isinstance(body, bytes)
        draft.digest = request.digest(principal.agent, action.stage) if small else await in_thread(request.digest, principal.agent, action.stage)
        if refusal is not None:
            return refusal
        if stop := rooms.stopped(principal.agent, principal.workflow, action.upstream, action.stage):
            return stop
        asserted = wire_headers.asserts(head.named.get("stagewarden-asserts"), rooms.config.limits.json_depth)
        parts = Parts(
            request,
            draft.digest,
            match.target,
            head.host,
            document,
            principal,
            action,
            classing.facts(match, action, document, draft.looked),
            asserted,
        )
        question = draft.question = build(parts, rooms.circumstances(principal.agent))
        started = self._phase(draft, "context", started)
        # (5) May they?
        verdict = await rooms.decider.decide(question)
        started = self._phase(draft, "policy", started)
        # (6) People: the request waits as a Hold; only the release loop sends it.
        if isinstance(verdict, Ask):
            verdict = await self._hold(draft, verdict)
            self._phase(draft, "approval", started)
        elif isinstance(verdict, Allow) and is_edit_of_asset(action):
            for moved in await rooms.holds.supersede_asset(action.upstream, str(action.asset and action.asset.id), "edited"):
                await rooms.recorder.deliver(moved)
        return verdict

    async def _record(self, draft: Draft, verdict: Verdict) -> Ruling:
        """(7) Record before anything happens; if this fails, nothing happens."""
        rooms = self._rooms
        ruling = ruling_of(draft, verdict, rooms)
        if draft.principal is None:
            rooms.recorder.refusal(verdict.reasons[0].code, draft.head.peer)
            return ruling
        started = rooms.clock.monotonic()
        try:
            await rooms.recorder.ruling(ruling)
        except AuditUnavailable as failure:
            rooms.recorder.metrics.error(failure)
            ruling = ruling_of(draft, Deny.by_gate(failure.code, "The record could not be made durable, so nothing happens"), rooms)
            rooms.recorder.metrics.observe(ruling)
            return ruling
        rooms.recorder.metrics.phase("audit", rooms.clock.monotonic() - started)
        return ruling

    async def send(self, sending: Sending, ruling: Ruling) -> Relay:
        """(8) Send the judged bytes with the stage's credential, once; the answer's head is there on return."""
        rooms, request, action, principal = self._rooms, ruling.request, ruling.action, ruling.principal
        assert isinstance(ruling.verdict, Allow)
        assert request is not None
        assert action is not None
        assert principal is not None
        ours = (("Stagewarden-Ruling", ruling.id), ("Stagewarden-Review", ruling.verdict.obligations.review))
        try:
            head = rooms.sender.head(request, action.stage, ours)
            sending.lease = rooms.sender.connected(principal.agent, request, action.stage)
            connection = await sending.lease.open()
            if stop := rooms.stopped_at_last(ruling):
                raise Stopped(stop)
            relay = sending.relay = Relay(await rooms.sender.exchange(connection, request, head))
            if relay.open:
                rooms.streams.begin(relay, ruling, rooms.stopped_now)
            if (fields := ruling.verdict.obligations.response_fields) is not None:
                await filtering.reduce(relay, fields, rooms.config.limits, request.method)
        except CannotTell as error:
            sending.failure = UpstreamUnavailable(str(error))
            raise sending.failure from error
        except UpstreamFailed as error:
            sending.failure = error
            raise
        return relay

    def sent(self, sending: Sending, draft: Draft, ruling: Ruling) -> None:
        """Record what came of a send, whatever it is, and give its connection back."""
        assert ruling.action is not None
        if sending.relay is not None:
            self._rooms.streams.end(sending.relay)
        if sending.lease is not None:
            sending.lease.close()
        draft.upstream_seconds = self.now() - sending.started
        self._rooms.recorder.outcome(outcome_of(ruling, sending, draft.upstream_seconds), ruling.action.upstream, ruling.digest)

    def served(self, draft: Draft, ruling: Ruling) -> None:
        """Count what an answer took, without the time people take; nobody unknown is counted here."""
        if draft.principal is not None:
            self._rooms.recorder.metrics.served(ruling.verdict.effect, self._rooms.clock.monotonic() - draft.started, draft.upstream_seconds)

    def close(self, draft: Draft) -> None:
        """Let go of what the draft holds; safe to call twice."""
        if isinstance(draft.body, Spool):
            draft.body.close()
        if draft.asset is not None:
            self._rooms.assets.release(draft.asset)
            draft.asset = None
        if draft.agent is not None:
            self._rooms.places.leave(draft.agent)
            self._admission.leave(draft.agent)
            draft.agent = None

    async def idle(self) -> None:
        """Until nothing is under way."""
        await self._admission.idle()

    @property
    def challenge(self) -> str:
        """What a client may authenticate with, for `WWW-Authenticate`."""
        return self._rooms.identities.challenge

    def refuse(self, code: str, peer: str) -> None:
        """Count what the door could not even make a Head of."""
        self._rooms.recorder.refusal(code, peer)

    def turn_away(self, failure: TooMuch, peer: str) -> None:
        """Count what was over a limit."""
        self._rooms.recorder.turned_away(failure, peer)

    def ended(self, idle: int, new: int) -> None:
        """Count the connections that were over theirs."""
        self._rooms.recorder.ended(idle, new)

    async def outcome_of(self, hold_id: str, seconds: float) -> Hold:
        """Where a hold stands once it has ended, at the latest after `seconds`."""
        return await self._rooms.holds.outcome(hold_id, seconds)

    async def own_hold(self, head: Head, hold_id: str) -> Hold:
        """The hold, for the agent that asked; anybody else's does not exist."""
        principal = await self._rooms.identities.authenticate(head)
        hold = await self._rooms.holds.get(hold_id)
        if hold.agent != principal.agent:
            raise NotFound(f"hold {hold_id}: no such hold")
        return hold

    async def withdraw(self, head: Head, hold_id: str) -> Hold:
        """The agent takes its request back; recorded before it is answered."""
        principal = await self._rooms.identities.authenticate(head)
        return await self._rooms.recorder.deliver(await self._rooms.holds.withdraw(hold_id, principal.agent))

    def _admit(self, draft: Draft, agent: str) -> None:
        self._admission.enter(agent)
        if not self._rooms.places.enter(agent):
            self._admission.leave(agent)
            raise TooMuch("this agent has as many requests under way as it may", "inflight_per_agent", agent)
        draft.agent = agent

    def _at_work(self, principal: Principal, of_route: str | None) -> Principal:
        """With its workflow: the credential's, else the route's, else the agent's only one; more than one left is None (`shared_identity`)."""
        entry = self._rooms.registry.data.agents.get(principal.agent)
        only = entry.workflows[0] if entry is not None and len(entry.workflows) == 1 else None
        workflow = principal.workflow or of_route or only
        return principal if workflow == principal.workflow else replace(principal, workflow=workflow)

    def _request(self, head: Head, match: Match, principal: Principal, body: Body) -> Request:
        address = self._rooms.sender.address(match.upstream.name)
        kept = wire_headers.end_to_end(head.headers, principal.credential.header, self._rooms.sender.withheld(match.upstream.name))
        return Request(match.upstream.name, head.method, address.scheme, address.authority, match.target.raw, kept, body)

    async def _look_up(self, draft: Draft, match: Match, principal: Principal) -> Deny | None:
        """Fetch the asset for an agent whose workflow lists a kind of this route; anybody else is judged by the strict answer."""
        key = lookup_key(match)
        if key is None or not self._rooms.lists(principal.workflow, match.route.kinds):
            return None
        await self._rooms.assets.acquire(key)
        draft.asset = key
        try:
            answer = await look_up(self._rooms, principal.agent, principal.workflow, match)
        except Stopped as stopped:
            return stopped.verdict
        if isinstance(answer, str):
            return Deny.by_gate("lookup_failed", "The asset could not be looked up", {"why": answer})
        draft.looked = answer
        return None

    async def _hold(self, draft: Draft, verdict: Ask) -> Verdict:
        """Where the request already waits, or a new hold; nobody is asked for seats that nobody can fill."""
        rooms, principal, action, request, question = self._rooms, draft.principal, draft.action, draft.request, draft.question
        assert principal is not None
        assert action is not None
        assert request is not None
        assert question is not None
        initiator = principal.initiator or ""
        ignores = frozenset(name.lower() for name in rooms.config.upstreams[action.upstream].repeat_ignores)
        small = isinstance(request.body, bytes)
        repeat = request.repeat_digest(principal.agent, ignores) if small else await in_thread(request.repeat_digest, principal.agent, ignores)
        looked = draft.looked
        lookup_digest = looked.digest if looked else None
        known = await rooms.holds.find_repeat(principal.agent, principal.workflow or "", initiator, repeat, lookup_digest)
        if known is not None:
            draft.hold = known
            return verdict
        new = NewHold(
            ruling=draft.head.id, digest=draft.digest or "", repeat_digest=repeat, agent=principal.agent, workflow=principal.workflow or "",
            initiator=initiator, upstream=action.upstream, stage=action.stage, kind=action.kind, asset=action.asset.id if action.asset else None,
            lookup_digest=lookup_digest, verdict=verdict, request=request, question=question.document, before=looked.body if looked else None,
        )  # fmt: skip
        if missing := fillable(verdict.seats, candidates(new, rooms.registry)):
            return Deny.by_gate("seats_unfillable", "Nobody who may vote can fill these seats", {"functions": [*missing]})
        draft.hold = await rooms.recorder.deliver(await rooms.holds.open(new))
        return verdict

    def _phase(self, draft: Draft, name: str, started: float) -> float:
        now = self._rooms.clock.monotonic()
        draft.phases[name] = now - started
        return now


def _check_body(head: Head, match: Match, incoming: Incoming) -> None:
    """What the head alone says of a body that this route does not take; raises Refused before any of it is read."""
    if (encoding := head.named.get("content-encoding")) is not None:
        raise Refused("unsupported_body", f"Content-Encoding {encoding[:32]!r} is not read: send the body as it is")
    if match.route.settings.body == "none" and not incoming.empty:
        raise Refused("unsupported_body", "this route takes no body")
