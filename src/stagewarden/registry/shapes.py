"""The sections of `registry.yaml` (governance section 1) as frozen values: every key and default on one page.

What may stand together is said in lint.py. The defaults of a security question are its strict answer, or shipped data (defaults.py).
"""

from __future__ import annotations

from typing import Literal

from stagewarden.config import Struct
from stagewarden.model import DataClass, Function, Stage, Tier
from stagewarden.registry.defaults import LEGAL_OR_PRICE

Level = Literal["low", "medium", "high"]
Signal = Literal["fast", "unread", "run", "always", "after_hours"]  # what reviews of a workflow can look like (holds/signals.py)


class PersonIdentity(Struct, frozen=True, kw_only=True):
    """The only link between a sign-in and a person; never e-mail."""

    issuer: str
    subject: str


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who may own, review or stop."""

    functions: tuple[Function, ...]
    name: str = ""
    identity: PersonIdentity | None = None
    aliases: tuple[str, ...] = ()  # other ids of the same human being
    group: str | None = None
    delegate: str | None = None  # who stands by when a hold that waits for this person is escalated; holds the function too
    active: bool = True  # false: left
    email: str | None = None  # where notifications go; says nothing about who signs in
    conflicts: tuple[str, ...] = ()  # `workflow:ID`, `agent:ID`: what this human being never approves


class Process(Struct, frozen=True, kw_only=True):
    """The business process a workflow serves."""

    summary: str
    control_owner: str
    review_cycle: str = ""


class Owners(Struct, frozen=True, kw_only=True):
    """Accountable people of a workflow."""

    business: str | None = None
    security: str | None = None
    privacy: str | None = None
    technical: str | None = None


class Risk(Struct, frozen=True, kw_only=True):
    """The risk register's five columns, each low|medium|high (approval_level: a tier)."""

    data_sensitivity: Level
    external_impact: Level
    regulatory_exposure: Level
    rollback_difficulty: Level
    approval_level: Tier


class Fields(Struct, frozen=True, kw_only=True):
    """Names a workflow may read and write."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


class Classes(Struct, frozen=True, kw_only=True):
    """Data classes a workflow may read and write."""

    read: tuple[DataClass, ...] = ()
    write: tuple[DataClass, ...] = ()


class Scope(Struct, frozen=True, kw_only=True):
    """What a workflow may touch."""

    fields: Fields = Fields()
    classes: Classes = Classes()


class Actions(Struct, frozen=True, kw_only=True):
    """Kinds by class; a kind in none of the three is prohibited."""

    allowed: tuple[str, ...] = ()
    restricted: tuple[str, ...] = ()
    prohibited: tuple[str, ...] = ()


class Rollback(Struct, frozen=True, kw_only=True):
    """What can be undone, and how."""

    kind: Literal["restore", "compensate", "none"]
    steps: str = ""
    owner: str | None = None
    rto: str = ""
    tested_at: str | None = None


class Approval(Struct, frozen=True, kw_only=True):
    """Who approved the scope."""

    function: Function
    person: str
    at: str
    evidence: str = ""


class Workflow(Struct, frozen=True, kw_only=True):
    """A business use of an agent."""

    summary: str
    process: str
    owners: Owners
    risk: Risk
    purpose: str
    actions: Actions
    rollback: Rollback
    initiators: tuple[str, ...] = ()
    delegation: Literal["inherit", "service_account", "jit"] = "service_account"
    scope: Scope = Scope()
    approved: tuple[Approval, ...] = ()
    automation: Literal["now", "later", "human_led"] = "now"
    second_person: tuple[Signal, ...] = ()  # while its reviews give one of these signals, a hold asks one more person


class AgentIdentity(Struct, frozen=True, kw_only=True):
    """`{key: ID}`, `{issuer, subject}` or `{spiffe: ID}`."""

    key: str | None = None
    issuer: str | None = None
    subject: str | None = None
    spiffe: str | None = None


class AgentOwners(Struct, frozen=True, kw_only=True):
    """Who answers for an agent."""

    human: str
    business: str | None = None
    technical: str | None = None
    service_account: str | None = None


class Agent(Struct, frozen=True, kw_only=True):
    """A registered workload."""

    identity: AgentIdentity
    owners: AgentOwners
    stages: tuple[Stage, ...]
    workflows: tuple[str, ...]
    connectors: tuple[str, ...] = ()
    mode: Literal["active", "recommend_only", "paused", "revoked"] = "active"


class Capabilities(Struct, frozen=True, kw_only=True):
    """What the downstream system can itself enforce."""

    retention: bool = False
    approval: bool = False
    revoke: bool = False
    rollback: bool = False


class Attested(Struct, frozen=True, kw_only=True):
    """Who vouched for the capabilities, and when (RFC 3339 date)."""

    at: str
    by: str


class Destination(Struct, frozen=True, kw_only=True):
    """Where something comes out."""

    channel: Literal["internal", "partner", "customer", "public"]
    capabilities: Capabilities = Capabilities()
    attested: Attested | None = None


class TierSeat(Struct, frozen=True, kw_only=True):
    """`count` different people, each holding one of `functions`."""

    functions: tuple[Function, ...]
    count: int = 1


class TierRule(Struct, frozen=True, kw_only=True):
    """What a tier asks for: how many people, by which functions, and how long what they approved can still be stopped."""

    seats: tuple[TierSeat, ...] = ()
    settle: str | None = None  # a duration, as in 5m; the longer of this and the configuration's counts


class PatternTrigger(Struct, frozen=True, kw_only=True):
    """Regular expressions (RE2) searched in every string of the body; the shipped ones where none are written."""

    patterns: tuple[str, ...] = LEGAL_OR_PRICE
    tier: Tier = Tier.HIGH


class Triggers(Struct, frozen=True, kw_only=True):
    """Which facts stop and ask."""

    legal_or_price: PatternTrigger = PatternTrigger()


class GrantRule(Struct, frozen=True, kw_only=True):
    """What a grant may be at most, and the seats every one has besides those of the action it covers."""

    max_ttl: str = "8h"  # a duration, as in the configuration
    max_uses: int = 1000
    seats: tuple[TierSeat, ...] = (TierSeat(functions=("business",)), TierSeat(functions=("security",)))


class SignalRule(Struct, frozen=True, kw_only=True):
    """When reviews of a workflow look like rubber-stamping (reference/governance.md C2.16); never said of fewer than `minimum` reviews."""

    minimum: int = 30
    window: str = "30d"  # a duration: how far back reviews count
    words_per_minute: int = 600  # faster nobody reads with understanding: people read prose at 238 (Brysbaert 2019, 190 studies)
    unread: int = 10  # percent of approvals without the content in view
    run: int = 20  # approvals of one person in a row
    burst: int = 10  # approvals of one person within an hour, outside `holds.hours`


class RegistryData(Struct, frozen=True, kw_only=True):
    """The sections of `registry.yaml`; a tier that is not written asks for what governance section 3 says."""

    people: dict[str, Person] = {}
    processes: dict[str, Process] = {}
    workflows: dict[str, Workflow] = {}
    agents: dict[str, Agent] = {}
    destinations: dict[str, Destination] = {}
    tiers: dict[Tier, TierRule] = {}
    triggers: Triggers = Triggers()
    grants: GrantRule = GrantRule()
    signals: SignalRule = SignalRule()
