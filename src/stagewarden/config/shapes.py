"""The whole of `stagewarden.yaml` on one page: every key, its default, unit and limit (contract section 2).

Frozen values and nothing else: what may stand together is said in rules.py. Never holds a secret, only where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from stagewarden.config.units import Bind, Bytes, File, Rate, Seconds, Secret, TimeOfDay
from stagewarden.config.yaml_source import Source
from stagewarden.model import Function, Stage, Tier

NotifyEvent: TypeAlias = Literal["opened", "escalated", "reminder", "decided", "expired", "unknown", "stop"]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every configuration section."""


class Tls(Struct, frozen=True, kw_only=True):
    """A listener's side of TLS, PEM files all three; SIGHUP reads them again."""

    certificate: File  # the listener's own first, then intermediates
    key: Secret  # not encrypted
    client_ca: File | None = None  # whose client certificates count; null: none is asked for


class Listener(Struct, frozen=True, kw_only=True):
    """One listener."""

    bind: Bind
    hosts: tuple[str, ...] = ()  # Host values answered; default: the bind address and `localhost`
    insecure: bool = False  # a public bind without TLS must say so
    tls: Tls | None = None


class Listeners(Struct, frozen=True, kw_only=True):
    """A listener left out is not started."""

    agents: Listener | None = None
    people: Listener | None = None
    operations: Listener | None = None


class KeyIdentity(Struct, frozen=True, kw_only=True, tag="key", tag_field="kind"):
    """`Bearer sw_<id>_<43 base64url>`; the file maps id → SHA-256 in hex."""

    keys: Secret


class JwtIdentity(Struct, frozen=True, kw_only=True, tag="jwt", tag_field="kind"):
    """RFC 9068 / JWT-SVID / Kubernetes tokens. `keys`: `file:jwks.json` or an https URL (http only on loopback)."""

    issuer: str
    audience: str
    keys: str
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
    leeway: Seconds = Seconds(30)


class MtlsIdentity(Struct, frozen=True, kw_only=True, tag="mtls", tag_field="kind"):
    """X.509-SVIDs of one trust domain; needs `listen.agents.tls.client_ca`."""

    trust_domain: str


class TokenPeople(Struct, frozen=True, kw_only=True, tag="token", tag_field="kind"):
    """`Bearer swp_…`; the file holds SHA-256, person or program, scopes, expiry."""

    tokens: Secret


class OidcPeople(Struct, frozen=True, kw_only=True, tag="oidc", tag_field="kind"):
    """OpenID Connect by authorization code with PKCE; needs `people.url`, whose `/sign-in/callback` is registered at the provider."""

    issuer: str
    client_id: str
    client_secret: Secret | None = None
    groups: str | None = None  # the claim with the directory groups
    scopes: tuple[str, ...] = ("openid",)
    label: str | None = None  # what people call it, on the page where they sign in; else its host


class PasswordPeople(Struct, frozen=True, kw_only=True, tag="password", tag_field="kind"):
    """scrypt in PHC form; sandbox only."""

    users: Secret


class Identity(Struct, frozen=True, kw_only=True):
    """Authenticators, tried in order: "not mine" goes on, "mine and bad" is 401."""

    agents: tuple[KeyIdentity | JwtIdentity | MtlsIdentity, ...] = ()
    people: tuple[OidcPeople | TokenPeople | PasswordPeople, ...] = ()


class OpaServer(Struct, frozen=True, kw_only=True):
    """An OPA server: `unix:/path` or `http(s)://host:port`; a TCP OPA needs a token in production."""

    url: str
    token: Secret | None = None


class Cache(Struct, frozen=True, kw_only=True):
    """Giving a cacheable yes again to exactly the same question."""

    entries: int = 1024
    age: Seconds = Seconds(2)


class Policy(Struct, frozen=True, kw_only=True):
    """Which engine judges, with which bundle, inside which deadline."""

    engine: Literal["wasm", "opa"] = "wasm"
    bundle: str = "builtin"  # builtin | a directory of Rego | bundle.tar.gz
    deadline: Seconds = Seconds(0.2)
    opa: OpaServer | None = None
    memory: Bytes = Bytes(64 << 20)  # cap of one Wasm instance
    cache: Cache | None = None


class StageCredential(Struct, frozen=True, kw_only=True):
    """A header attached by us at sending; the agent never sees it."""

    header: str
    value: Secret


class Case(Struct, frozen=True, kw_only=True):
    """A refinement of a route: `when` maps `/pointer`, `query:NAME`, `lookup:/pointer` to literals."""

    when: dict[str, object]
    stage: Stage
    kind: str
    reversible: Literal["restore", "compensate", "none"] | None = None


class Lookup(Struct, frozen=True, kw_only=True):
    """The GET asked of the upstream before judging."""

    get: str
    as_: Stage = msgspec.field(name="as", default=Stage.GENERATE)
    state: str | None = None  # JSON pointer to the upstream's word for the state
    states: dict[str, str] = {}  # the upstream's word → registry state; unmapped is a no
    id: str | None = None  # JSON pointer to the asset's own id, which must be the one the path names (`/posts/011` is not post 11)
    digest: bool = False
    ignore: tuple[str, ...] = ()  # JSON pointers left out of the digest (view counters and the like)
    authors: tuple[str, ...] = ()  # JSON pointers to who wrote the asset: ids, aliases or sign-in subjects of people, who then may not approve it


class Route(Struct, frozen=True, kw_only=True):
    """One listed request: `match` is METHOD and a path template."""

    match: str
    stage: Stage
    kind: str
    reversible: Literal["restore", "compensate", "none"] = "compensate"
    query: tuple[str, ...] = ()
    body: Literal["json", "form", "multipart", "opaque", "none"] = "none"
    types: tuple[str, ...] = ()  # media types of an opaque body, or of a multipart body's files
    several: tuple[str, ...] = ()  # names of files that a multipart body may carry more than once
    facts: dict[str, str] = {}
    cases: tuple[Case, ...] = ()
    lookup: Lookup | None = None
    workflow: str | None = None
    content: Literal["body", "upstream"] | None = None
    data_classes: tuple[str, ...] = ()
    idempotency: bool = False  # the upstream does the same `Idempotency-Key` once: a lost answer may be asked for again


class Upstream(Struct, frozen=True, kw_only=True):
    """One system the agent writes to; reached by mount or by Host."""

    url: str
    destination: str
    ca: File | None = None  # PEM; the only authorities that count for this upstream, instead of the system's
    mount: str | None = None
    hosts: tuple[str, ...] = ()
    catalogue: str | None = None
    credentials: dict[Stage, StageCredential] = {}
    routes: tuple[Route, ...] = ()
    announce: bool = True
    repeat_ignores: tuple[str, ...] = ()
    connect_deadline: Seconds = Seconds(5)
    answer_deadline: Seconds = Seconds(60)


class Hours(Struct, frozen=True, kw_only=True):
    """When people are at work: only this time counts towards `holds.decide_within`."""

    zone: str  # IANA, as in Europe/Berlin
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri")
    from_: TimeOfDay = msgspec.field(name="from", default=TimeOfDay(9 * 60))
    to: TimeOfDay = TimeOfDay(18 * 60)

    @property
    def week(self) -> int:
        """Seconds of work in a week."""
        return len(set(self.days)) * max(0, self.to.minutes - self.from_.minutes) * 60


class Holds(Struct, frozen=True, kw_only=True):
    """Deadlines of holds and the key that encrypts stored bytes."""

    wait: Seconds = Seconds(0)
    decide_within: Seconds = Seconds(4 * 3600)
    use_within: Seconds = Seconds(15 * 60)
    settle: Seconds = Seconds(5 * 60)  # in a sandbox that does not say: none
    escalate_at: float | None = 0.5  # of the time to decide; null: nobody else is called
    remind_at: float | None = 0.75  # of the time to decide; null: nobody is reminded
    hours: Hours | None = None
    replay: Seconds = Seconds(24 * 3600)
    proposals: Seconds = Seconds(7 * 24 * 3600)  # how long one waits to be taken up
    key: Secret = Secret("file:holds.key")


class Session(Struct, frozen=True, kw_only=True):
    """How long a person stays signed in; `terminal`: what `stagewarden login` gives, used or not."""

    idle: Seconds = Seconds(1800)
    absolute: Seconds = Seconds(8 * 3600)
    terminal: Seconds = Seconds(12 * 3600)


class StepUp(Struct, frozen=True, kw_only=True):
    """How freshly, and by which authentication context, a person must have signed in for what is grave."""

    acr: str | None = None
    max_age: Seconds = Seconds(300)


class Adapter(Struct, frozen=True, kw_only=True):
    """A queue of yours whose callbacks carry votes, each with the person's own token: issued for this and for nothing else, and just now."""

    issuer: str
    audience: str
    keys: str  # `file:jwks.json` or an https URL (http only on loopback)
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
    groups: str | None = None  # the claim with the directory groups
    max_age: Seconds = Seconds(300)  # since the token was issued


class People(Struct, frozen=True, kw_only=True):
    """The people's plane; `url` is where links to the console lead."""

    url: str | None = None
    session: Session = Session()
    step_up: StepUp = StepUp()
    adapters: dict[str, Adapter] = {}


class NotifyBase(Struct, frozen=True, kw_only=True):
    """What every channel of notifications has: a name, and what it is told of. A list that names nothing leaves nothing out."""

    name: str
    events: tuple[NotifyEvent, ...] = ()
    tiers: tuple[Tier, ...] = ()
    functions: tuple[Function, ...] = ()
    workflows: tuple[str, ...] = ()
    ca: File | None = None  # PEM; the only authorities that count there, instead of the system's
    timeout: Seconds = Seconds(10)  # of one attempt


class WebhookChannel(NotifyBase, frozen=True, kw_only=True, tag="webhook", tag_field="kind"):
    """Standard Webhooks; each secret (`whsec_…`) signs, so that one can take the place of another."""

    url: str
    secrets: tuple[Secret, ...]


class SlackChannel(NotifyBase, frozen=True, kw_only=True, tag="slack", tag_field="kind"):
    """A Slack-compatible incoming webhook, whose URL is its secret."""

    url: Secret


class EmailChannel(NotifyBase, frozen=True, kw_only=True, tag="email", tag_field="kind"):
    """Mail to people's own addresses (`people.NAME.email` of the registry), and to a list for each function."""

    server: str  # HOST:PORT
    sender: str = msgspec.field(name="from")
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str | None = None
    password: Secret | None = None
    people: bool = True
    to: dict[Function, tuple[str, ...]] = {}


NotifyChannel: TypeAlias = WebhookChannel | SlackChannel | EmailChannel


class Stops(Struct, frozen=True, kw_only=True):
    """Kills and agents' modes. `max_staleness`: how long a replica goes on writing that does not hear of the others' stops."""

    max_staleness: Seconds = Seconds(5)
    observe: Seconds = Seconds(24 * 3600)  # the observation window after a loosening


class Audit(Struct, frozen=True, kw_only=True):
    """The log; `reserve` is the free space below which nothing goes on."""

    directory: str = "audit"
    durability: Literal["before_effect"] = "before_effect"
    reserve: Bytes = Bytes(64 << 20)
    segment: Bytes = Bytes(64 << 20)


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one request, of one agent, of all together."""

    body: Bytes = Bytes(1 << 20)
    spool: Bytes = Bytes(64 << 20)  # of an opaque or multipart body
    target: Bytes = Bytes(8 << 10)
    headers: int = 100
    header_bytes: Bytes = Bytes(32 << 10)
    json_depth: int = 64
    header_deadline: Seconds = Seconds(10)
    body_deadline: Seconds = Seconds(30)
    inflight_per_agent: int = 64
    rate_per_agent: Rate | None = None  # null: as fast as it likes
    inflight: int = 1024  # of all agents together
    connections: int = 10_000  # on the agents' listener
    holds_per_agent: int = 50


class Config(Struct, frozen=True, kw_only=True):
    """The whole of `stagewarden.yaml`, validated."""

    version: Literal[1]
    name: str
    registry: str
    upstreams: dict[str, Upstream]
    environment: Literal["production", "sandbox"] = "production"
    listen: Listeners = Listeners()
    identity: Identity = Identity()
    policy: Policy = Policy()
    holds: Holds = Holds()
    people: People = People()
    notify: tuple[WebhookChannel | SlackChannel | EmailChannel, ...] = ()
    stops: Stops = Stops()
    state: str = "sqlite:state.db"
    audit: Audit = Audit()
    limits: Limits = Limits()

    # Set by load(), never by the file:
    base: Path = Path()  # relative paths start here
    revision: str = ""  # first 16 hex digits of the SHA-256 of what was written
    source: Source = Source("", None, {})  # for naming lines


INTERNAL = frozenset({"base", "revision", "source"})
