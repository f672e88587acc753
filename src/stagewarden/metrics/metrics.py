"""The one object that counts: a method per fact, called on the event loop by whoever knows the fact.

Recording must never fail a request: values outside the closed sets become `other`, and nothing here raises or waits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import AuditUnavailable, PolicyUnavailable, StateUnavailable, UpstreamFailed, UpstreamTimeout
from stagewarden.metrics import families, labels
from stagewarden.metrics.cells import Counts, Family, Spread
from stagewarden.metrics.processes import Processes
from stagewarden.metrics.rows import Rows, add_counts, add_spreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from stagewarden.model import Document, Hold, Outcome, Ruling

_MOST = {"workflow": 50, "agent": 100, "upstream": 20}  # values the registry may add to a label; the rest is `other`


class Fact(Protocol):
    """An outbox entry, as far as counting needs it."""

    @property
    def kind(self) -> str:
        """`hold` or `vote`."""

    @property
    def body(self) -> Document:
        """What the log is told."""


class Granted(Protocol):
    """A grant, as far as counting needs it."""

    @property
    def terms(self) -> Permitted:
        """What it permits."""


class Permitted(Protocol):
    """Terms, as far as counting needs them."""

    @property
    def stage(self) -> str:
        """The stage."""

    @property
    def ttl(self) -> int:
        """Seconds."""


class Flushed(Protocol):
    """One durable write of the log: how many entries, how long, and `ok`, `failed` or `refused`."""

    @property
    def entries(self) -> int:
        """How many."""

    @property
    def seconds(self) -> float:
        """How long it took."""

    @property
    def result(self) -> str:
        """What came of it."""


class _All:
    """Every family, in the order of families.py, under its own name."""

    def __init__(self) -> None:
        every = [value for value in vars(families).values() if isinstance(value, Family)]
        self.counts = {family: Counts(family) for family in every if family.kind != "histogram"}
        self.spreads = {family: Spread(family) for family in every if family.kind == "histogram"}
        self.workers: tuple[Rows, ...] = ()
        self.departed = Rows()

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client: what this process has counted, and the workers it speaks for."""
        for family, counts in self.counts.items():
            yield counts.collect(add_counts(family, counts.rows(), self.workers, self.departed))
        for family, spread in self.spreads.items():
            yield spread.collect(add_spreads(family, spread.rows(), self.workers, self.departed))


class Metrics:
    """Everything counted, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, version: str = "") -> None:
        self._registry = CollectorRegistry()
        self._all = _All()
        self._registry.register(self._all)
        self.processes = Processes()
        self._registry.register(self.processes)
        counts, spreads = self._all.counts, self._all.spreads
        self._decisions, self._reasons, self._workflows = counts[families.DECISIONS], counts[families.REASONS], counts[families.WORKFLOWS]
        self._violations, self._engine, self._engine_up = counts[families.VIOLATIONS], counts[families.ENGINE], counts[families.ENGINE_UP]
        self._phase, self._request, self._overhead = spreads[families.PHASE], spreads[families.REQUEST], spreads[families.OVERHEAD]
        self._phases = {name: (name,) for name in labels.PHASES}
        self._under_way: Callable[[], int] = int
        counts[families.FAIL_OPEN].add(amount=0)
        self._info(families.BUILD_INFO, version)

    # -- a request -----------------------------------------------------------------------------------------------------

    def observe(self, ruling: Ruling) -> None:
        """One ruling: by stage, effect and risk, by first reason, by workflow, with the time its phases took."""
        verdict, action, principal = ruling.verdict, ruling.action, ruling.principal
        code = verdict.reasons[0].code if verdict.reasons else "none"
        effect = "error" if code in labels.OUR_FAULT else verdict.effect
        self._decisions.add((action.stage if action else "none", effect, verdict.tier))
        self._reasons.add((effect, code))
        self._workflows.add(((principal.workflow if principal else None) or labels.OTHER, effect))
        if effect == "deny" and (kind := labels.VIOLATION_OF.get(code)):
            self._violations.add((kind,))
        for name, seconds in ruling.phases.items():
            self._phase.observe(seconds, self._phases.get(name) or (name,))
        if "policy" in ruling.phases:
            self._engine.add(("ok",))
            self._engine_up.set(1)

    def phase(self, name: str, seconds: float) -> None:
        """A phase that ended after the ruling was made (`audit`)."""
        self._phase.observe(seconds, (name,))

    def served(self, effect: str, seconds: float, upstream_seconds: float = 0.0) -> None:
        """One request answered: from its head to the end of the answer, without the time people took; and without the upstream's."""
        self._request.observe(seconds, (effect,))
        self._overhead.observe(seconds - upstream_seconds)

    def finish(self, outcome: Outcome, upstream: str = labels.OTHER, *, audited: bool = True) -> None:
        """What came of a send; `audited`: its outcome entry is durable."""
        status = f"{outcome.status // 100}xx" if outcome.status else "none"
        self._all.counts[families.RESPONSES].add((upstream, status))
        self._all.spreads[families.UPSTREAM].observe(outcome.upstream_seconds, (upstream,))
        if outcome.result != "not_sent":
            self._all.counts[families.EFFECTS].add(("yes" if audited else "no",))

    def refused(self, code: str) -> None:
        """A request of somebody unknown."""
        self._all.counts[families.REFUSALS].add((code,))

    def unsecured(self, cause: str) -> None:
        """A TLS handshake with an agent that was not finished."""
        self._all.counts[families.HANDSHAKES].add((cause,))

    def error(self, failure: Exception) -> None:
        """Something could not be found out."""
        component, kind = "gate", "error"
        match failure:
            case PolicyUnavailable():
                component, kind = "policy", failure.cause
                self._engine.add((failure.cause,))
                self._engine_up.set(0)
            case StateUnavailable():
                component, kind = "state", "unavailable"
            case AuditUnavailable():
                component, kind = "audit", "unavailable"
            case UpstreamFailed():
                component, kind = "upstream", "timeout" if isinstance(failure, UpstreamTimeout) else "unavailable"
        self._all.counts[families.ERRORS].add((component, kind))

    def counted(self, under_way: Callable[[], int]) -> None:
        """Who knows how many requests are under way; asked when somebody reads."""
        self._under_way = under_way

    def shed(self, limit: str, count: int = 1) -> None:
        """So much was over a limit."""
        self._all.counts[families.SHED].add((limit,), count)

    # -- people --------------------------------------------------------------------------------------------------------

    def moved(self, hold: Hold, facts: Iterable[Fact]) -> None:
        """What happened to a hold, from the entries the log was told."""
        for fact in facts:
            if fact.kind == "vote":
                self._voted(hold, fact.body)
            else:
                self._decided(hold, fact.body)

    def reviewed(self, risk: str, seconds: float | None) -> None:
        """A vote, so long after its person first saw the content; None: they never did, and there is no time to tell."""
        if seconds is not None:
            self._all.spreads[families.REVIEW].observe(seconds, (risk,))

    def pending(self, waiting: Mapping[str, tuple[int, float]]) -> None:
        """Holds waiting for people: by tier how many, and the age of the oldest in seconds."""
        self._all.counts[families.PENDING].replace({(tier,): count for tier, (count, _) in waiting.items()})
        self._all.counts[families.OLDEST].replace({(tier,): age for tier, (_, age) in waiting.items()})

    def proposals(self, count: int) -> None:
        """Proposals nobody has taken up; nobody is waited for."""
        self._all.counts[families.PROPOSALS].set(count)

    def notified(self, channel: str, result: str) -> None:
        """One attempt to deliver a notification: the channel's kind, and `ok` or `failed`."""
        self._all.counts[families.NOTIFICATIONS].add((channel, result))

    def deliveries(self, standing: Mapping[str, int]) -> None:
        """How many notifications wait, and how many are dead."""
        self._all.counts[families.DELIVERIES].replace({(state,): standing.get(state, 0) for state in labels.DELIVERIES})

    # -- grants --------------------------------------------------------------------------------------------------------

    def granted(self, grant: Granted, facts: Iterable[Fact]) -> None:
        """What happened to a grant, from the entries the log was told."""
        stage = grant.terms.stage
        for fact in facts:
            event = str(fact.body.get("event"))
            if fact.kind != "grant":
                continue
            if event in labels.GRANT_USES:
                self._all.counts[families.GRANT_USES].add((stage, event))
            elif event in labels.GRANT_EVENTS:
                self._all.counts[families.GRANTS].add((stage, event))
            if event == "filled":
                self._all.spreads[families.GRANT_TTL].observe(grant.terms.ttl, (stage,))

    def grants_active(self, active: Mapping[str, int]) -> None:
        """How many grants are active, by stage."""
        self._all.counts[families.GRANTS_ACTIVE].replace({(stage,): count for stage, count in active.items()})

    # -- stops ---------------------------------------------------------------------------------------------------------

    def mode_changed(self, mode: str) -> None:
        """A person gave an agent a mode."""
        self._all.counts[families.MODE_CHANGES].add((mode,))

    def killed(self, scope: str) -> None:
        """A kill was engaged; `scope` is its kind (all, agent, workflow, upstream, stage)."""
        self._all.counts[families.KILLS].add((scope,))

    def revoked(self, seconds: float) -> None:
        """How long from the order to stop until this process obeyed."""
        self._all.spreads[families.REVOCATION].observe(seconds)

    def stops_heard(self, age: float | None) -> None:
        """Seconds since the shared stops were last heard; None: never yet."""
        self._all.counts[families.STOPS_HEARD].set(math.inf if age is None else age)

    def standing(self, kills: Iterable[str], modes: Mapping[str, str]) -> None:
        """What is stopped now: the scopes of the kills engaged, and each registered agent's mode."""
        engaged: dict[tuple[str, ...], float] = {}
        for scope in kills:
            key = (scope.partition(":")[0],)
            engaged[key] = engaged.get(key, 0) + 1
        self._all.counts[families.KILLS_ENGAGED].replace(engaged)
        self._all.counts[families.AGENT_MODE].replace({(agent, mode): float(mode == now) for agent, now in modes.items() for mode in labels.MODES})

    # -- parts ---------------------------------------------------------------------------------------------------------

    def flushed(self, flushed: Flushed) -> None:
        """One durable write of the log."""
        self._all.counts[families.APPENDS].add((flushed.result,), flushed.entries)
        if flushed.result != "refused":
            self._all.spreads[families.APPEND_SECONDS].observe(flushed.seconds)

    def disk(self, free_bytes: int) -> None:
        """Free space where the audit log lies."""
        self._all.counts[families.DISK_FREE].set(free_bytes)

    def engine_up(self, *, up: bool) -> None:
        """Whether the policy engine answers, as its health check saw it."""
        self._engine_up.set(int(up))

    def cache_asked(self, result: str) -> None:
        """The decision cache was asked: `hit` or `miss`."""
        self._all.counts[families.CACHE].add(("decision", result))

    def policy_loaded(self, revision: str, engine: str, at_ns: int) -> None:
        """A policy came into force."""
        self._info(families.POLICY_INFO, revision, engine)
        self._all.counts[families.POLICY_LOADED].set(at_ns / NANOSECONDS)
        self._engine_up.set(1)

    def registry_loaded(self, revision: str, workflows: Iterable[str], agents: Iterable[str], upstreams: Iterable[str]) -> None:
        """A registry came into force; its names are the values their labels may take, up to the budget."""
        self._info(families.REGISTRY_INFO, revision)
        named = {"workflow": workflows, "agent": agents, "upstream": upstreams}
        for rows in (*self._all.counts.values(), *self._all.spreads.values()):
            for label in rows.family.labels:
                if label in named:
                    rows.name(label, named[label], most=_MOST[label])

    def reload_failed(self, what: str) -> None:
        """A reload (policy, registry, keys) was refused; the last good one stays."""
        self._all.counts[families.RELOAD_FAILURES].add((what,))

    def loop_lag(self, seconds: float) -> None:
        """How late the event loop was."""
        self._all.counts[families.LOOP_LAG].set(seconds)

    def workers(self, ready: int, starting: int, silent: int) -> None:
        """How the workers are; all 0 where one process serves alone."""
        self._all.counts[families.WORKERS].replace({("ready",): ready, ("starting",): starting, ("silent",): silent})

    def worker_died(self, cause: str) -> None:
        """A worker `ended` that was not told to, or `hung` and was ended."""
        self._all.counts[families.WORKER_DEATHS].add((cause,))

    def replicas(self, living: int, differing: int) -> None:
        """How many instances use this database, ourselves among them; 0 where it is ours alone."""
        self._all.counts[families.REPLICAS].replace({("agreeing",): living - differing, ("differing",): differing})

    def speak_for(self, workers: Iterable[Rows], departed: Rows) -> None:
        """What the workers have counted, and those that are gone: shown with our own from now on."""
        self._all.workers, self._all.departed = tuple(workers), departed

    def rows(self) -> Rows:
        """Everything counted here, for another process that speaks for us."""
        self._all.counts[families.INFLIGHT].set(self._under_way())
        return Rows(
            {family.name: [*counts.rows().items()] for family, counts in self._all.counts.items()},
            {family.name: [*spread.rows().items()] for family, spread in self._all.spreads.items()},
        )

    def render(self) -> bytes:
        """The exposition, in `content_type`."""
        self._all.counts[families.INFLIGHT].set(self._under_way())
        return generate_latest(self._registry)

    # ------------------------------------------------------------------------------------------------------------------

    def _voted(self, hold: Hold, body: Document) -> None:
        decision, function, reason = str(body.get("decision")), str(body.get("function")), body.get("reason")
        self._all.counts[families.VOTES].add((decision, hold.tier))
        if decision == "reject":
            self._all.counts[families.REJECTIONS].add((str(reason),))
        vote = next((vote for vote in hold.votes if vote.id == body.get("vote")), None)
        if vote is not None:
            seat = function if function in labels.SEATS else "review"
            self._all.spreads[families.WAIT].observe((vote.at_ns - hold.asked_at_ns) / NANOSECONDS, (hold.tier, seat))

    def _decided(self, hold: Hold, body: Document) -> None:
        state, was = body.get("state"), body.get("from")
        if body.get("event") == "edited":
            self._all.counts[families.OVERRIDES].add(("content",))
        if body.get("event") == "escalated":
            self._all.counts[families.ESCALATIONS].add((hold.reasons[0].code if hold.reasons else labels.OTHER,))
        if state == "settling":  # its last vote; later moves of it begin elsewhere
            state = "approved"
        if state == was or state not in labels.HOLD_ENDS or (state == "approved" and was != "pending"):
            return
        self._all.counts[families.APPROVALS].add((str(state), hold.tier))
        if state == "superseded" and "digest_mismatch" in str(body.get("reason")):
            self._all.counts[families.DIGEST_MISMATCH].add()

    def _info(self, family: Family, *values: str) -> None:
        """One live series: the last one's value goes when the next comes."""
        self._all.counts[family].only(values)
