"""The vocabulary as frozen values: Request, Principal, Action, Question, Verdict, Hold, Ruling.

Everything here is valid by construction and knows no I/O; structs of msgspec: a dozen are made for each request, and theirs cost a tenth of
a dataclass's. The JSON shapes that leave the process are held equal to `rego/schemas/` by a test. Never put a clock, a file or a socket here.
"""

from __future__ import annotations

import hashlib
import struct
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Document: TypeAlias = dict[str, JSON]
Headers: TypeAlias = tuple[tuple[str, str], ...]

Function: TypeAlias = Literal["business", "security", "privacy", "technical", "reviewer", "marketing", "operations", "compliance", "legal", "manager"]
DataClass: TypeAlias = Literal[
    "public", "internal", "contact", "consent", "identity", "billing", "segment", "inferred_trait", "regulated", "source_material"
]  # fmt: skip

QUESTION_VERSION = 1
DIGEST_FORMAT = b"stagewarden/request/1"
REPEAT_IGNORES = frozenset({"traceparent", "tracestate", "baggage", "x-request-id", "date"})
_LENGTH = struct.Struct(">Q").pack


class Stage(StrEnum):
    """Authority over an asset's life, in rising order; what is unlisted is prohibited."""

    GENERATE = "generate"
    EDIT = "edit"
    QUEUE = "queue"
    APPROVE = "approve"
    EXPORT = "export"

    @property
    def rank(self) -> int:
        """0 (generate) to 4 (export)."""
        return _RANK[self]


_RANK = {stage: rank for rank, stage in enumerate(Stage)}


class Tier(StrEnum):
    """How much a wrong yes would cost."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Target(msgspec.Struct, frozen=True):
    """A request target read once, strictly (wire/target.py makes it).

    `raw` is what is sent; `path` is `raw` up to `?`; `segments` are percent-decoded (nothing that decodes to a separator, a dot segment or a
    control gets here); `query` holds decoded pairs in order, each name once.
    """

    raw: str
    path: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()


class Head(msgspec.Struct, frozen=True):
    """What the agent's connection gave us before any body: read once, kept as it came.

    `host` is lower case, without port and trailing dot. `headers` keep order and case; `named` has each one's first value by lower-case
    name. `id` is the ruling's id.
    """

    id: str
    method: str
    target: Target
    host: str
    headers: Headers
    named: Mapping[str, str]
    peer: str
    received_ns: int
    certificate: bytes | None = None  # DER of the connection's client certificate, its chain verified; never from a header


class Large(Protocol):
    """A body that is not in memory. `digest` is the SHA-256 of its bytes alone, as `sha256:HEX`."""

    @property
    def size(self) -> int:
        """Bytes in it."""

    @property
    def digest(self) -> str:
        """Of exactly these bytes."""

    def blocks(self) -> Iterator[bytes]:
        """All of it in order, each time from its beginning. Reads a disk: for a thread. Raises CannotTell."""


Body: TypeAlias = "bytes | Large"


class Request(msgspec.Struct, frozen=True):
    """Exactly what is judged, shown, logged and sent (law 1). Built once, before judgement.

    `headers` are the end-to-end headers as they will be sent, without ours and without any credential; `authority`
    and `scheme` are the upstream's; `target` is what the upstream sees.
    """

    upstream: str
    method: str
    scheme: str
    authority: str
    target: str
    headers: Headers
    body: Body

    @property
    def size(self) -> int:
        """Bytes in the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size

    def digest(self, agent: str, stage: Stage | str) -> str:
        """SHA-256 over the length-prefixed sequence of contract section 3, as `sha256:HEX`. Reads a large body: then for a thread."""
        parts = [DIGEST_FORMAT, agent.encode(), self.upstream.encode(), stage.encode(), self.method.encode(), self.scheme.encode(),
                 self.authority.encode(), self.target.encode()]  # fmt: skip
        for name, value in self.headers:
            parts += name.lower().encode(), value.encode("latin-1")
        size, blocks = (len(self.body), (self.body,)) if isinstance(self.body, bytes) else (self.body.size, self.body.blocks())
        hashed = hashlib.sha256(_prefixed(parts) + _LENGTH(size))
        for block in blocks:
            hashed.update(block)
        return f"sha256:{hashed.hexdigest()}"

    def repeat_digest(self, agent: str, ignores: frozenset[str] = frozenset()) -> str:
        """The digest by which a repeat is found: no stage, no tracing headers, no `date` (lifecycles.md, "A repeat")."""
        kept = tuple((name, value) for name, value in self.headers if name.lower() not in REPEAT_IGNORES and name.lower() not in ignores)
        return Request(self.upstream, self.method, self.scheme, self.authority, self.target, kept, self.body).digest(agent, "repeat")


def _prefixed(parts: list[bytes]) -> bytes:
    """8-byte big-endian length and bytes of each part: no two sequences share a preimage."""
    return b"".join([_LENGTH(len(part)) + part for part in parts])


class Link(msgspec.Struct, frozen=True):
    """One link of the chain that asked; `verified` only when the credential proves it."""

    kind: Literal["human", "service", "agent"]
    id: str
    verified: bool


class Credential(msgspec.Struct, frozen=True):
    """What the agent showed: its kind, issuer and expiry; never the secret itself. `expires_ns` 0 = does not expire."""

    kind: Literal["key", "jwt", "mtls"]
    issuer: str
    expires_ns: int
    header: str = "authorization"  # the header that carried it and must not go upstream
    workflow: str | None = None  # where the credential itself names one


class Principal(msgspec.Struct, frozen=True):
    """Who asks: the registered agent, and what its credential proves. `workflow` is settled by the gate."""

    agent: str
    credential: Credential
    chain: tuple[Link, ...]
    workflow: str | None = None
    trigger: Mapping[str, JSON] | None = None

    @property
    def initiator(self) -> str | None:
        """The proven human at the head of the chain, if any."""
        return next((link.id for link in self.chain if link.kind == "human" and link.verified), None)


class Asset(msgspec.Struct, frozen=True):
    """The thing at the upstream that is acted on; `state` is a registry state, `digest` the look-up's (None: not asked for)."""

    id: str | None
    digest: str | None
    state: str


class Action(msgspec.Struct, frozen=True):
    """What is asked, classified."""

    upstream: str
    route: str
    stage: Stage
    kind: str
    asset: Asset | None
    fields: tuple[str, ...]
    data_classes: tuple[str, ...]
    destination: str
    external: bool
    reversible: str
    loopback: bool = False


class Question(msgspec.Struct, frozen=True):
    """Everything the policy is asked; `document` becomes OPA's `input` and is never changed after it was built."""

    document: Document

    @property
    def digest(self) -> str:
        """The request digest this question is about."""
        return str(self.document["request"]["digest"])  # type: ignore[index, call-overload]  # shape held by the schema test


class Reason(msgspec.Struct, frozen=True):
    """Why: a stable code, the Rego package (or `gate`), the rule's own text, optional machine-readable detail."""

    code: str
    rule: str
    text: str
    detail: Document | None = None

    def document(self) -> Document:
        """As JSON."""
        base: Document = {"code": self.code, "rule": self.rule, "text": self.text}
        return base if self.detail is None else {**base, "detail": self.detail}


class Seat(msgspec.Struct, frozen=True):
    """`count` different people, each holding one of `functions` (sorted)."""

    functions: tuple[str, ...]
    count: int


class Obligations(msgspec.Struct, frozen=True):
    """What an allow or hold obliges us to do. Only what we can honour is understood."""

    review: Literal["auto", "human", "sampled"] = "auto"
    response_fields: tuple[str, ...] | None = None  # names or JSON pointers of all that the agent may see of the answer; None: as it came


class Allow(msgspec.Struct, frozen=True):
    """Yes: send it."""

    tier: Tier
    reasons: tuple[Reason, ...]
    obligations: Obligations = Obligations()
    cacheable: bool = False
    effect: Literal["allow"] = "allow"


class Ask(msgspec.Struct, frozen=True):
    """People decide: hold it."""

    tier: Tier
    reasons: tuple[Reason, ...]
    seats: tuple[Seat, ...]
    obligations: Obligations = Obligations()
    effect: Literal["hold"] = "hold"


class Deny(msgspec.Struct, frozen=True):
    """No. The first reason's code decides the HTTP status; there is always one."""

    reasons: tuple[Reason, ...]
    tier: Tier = Tier.LOW
    effect: Literal["deny"] = "deny"

    @classmethod
    def by_gate(cls, code: str, text: str, detail: Document | None = None) -> Deny:
        """A no of the gate itself, before or instead of any policy."""
        return cls((Reason(code, "gate", text, detail),))


Verdict: TypeAlias = Allow | Ask | Deny


class HoldState(StrEnum):
    """The states of lifecycles.md, "A hold"."""

    PENDING = "pending"
    APPROVED = "approved"
    CLAIMED = "claimed"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"


class Vote(msgspec.Struct, frozen=True):
    """One authenticated person's answer on one hold, in one seat."""

    id: str
    person: str
    function: str
    decision: Literal["approve", "reject"]
    reason: str | None
    note: str | None
    digest: str
    view_digest: str
    at_ns: int
    answers: tuple[tuple[str, bool], ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """An upstream's answer as the agent may see it; kept with a hold. `withheld`: there was a body, and it is not here."""

    status: int
    headers: Headers
    body: bytes
    withheld: bool = False


class Hold(msgspec.Struct, frozen=True):
    """A request waiting for people, with the exact bytes to be sent. Times in nanoseconds since the epoch; 0 = not set."""

    id: str
    state: HoldState
    ruling: str
    digest: str
    view_digest: str
    repeat_digest: str
    agent: str
    workflow: str
    initiator: str
    upstream: str
    stage: Stage
    kind: str
    asset: str | None
    lookup_digest: str | None
    tier: Tier
    reasons: tuple[Reason, ...]
    seats: tuple[Seat, ...]
    questions: tuple[str, ...]
    votes: tuple[Vote, ...]
    asked_at_ns: int
    expires_at_ns: int
    approved_at_ns: int
    use_by_ns: int
    ended_at_ns: int
    attempt: str | None
    successor: str | None
    ended_by: str | None  # reason code, person or event that ended it
    request: Request
    question: Document
    before: bytes | None = None  # the looked-up asset as it stood when asked, for "what changes"
    response: Answer | None = None
    after_digest: str | None = None  # the look-up's digest right after the send; a later difference ends the stored answer
    payload: bool = True  # False: request, question, before and response were not read for this value, or are deleted


class Ruling(msgspec.Struct, frozen=True):
    """The one record of what was decided about one request. The answer, the audit line, the samples and the row are views of it."""

    id: str
    at_ns: int
    head: Head
    verdict: Verdict
    principal: Principal | None = None
    action: Action | None = None
    request: Request | None = None
    question: Question | None = None
    hold: Hold | None = None
    digest: str | None = None
    phases: Mapping[str, float] = msgspec.field(default_factory=dict)  # seconds by phase
    policy: str = ""
    registry: str = ""
    body_read: bool = False


Result: TypeAlias = Literal["done", "failed", "unknown", "not_sent"]
Given: TypeAlias = Literal["whole", "filtered", "withheld"]


class Outcome(msgspec.Struct, frozen=True):
    """What then happened; `status` is the upstream's, 0 without an answer. `given`: what the agent may see of that answer."""

    ruling: str
    result: Result
    status: int
    sent_digest: str | None
    answer_digest: str | None
    answer_bytes: int
    upstream_seconds: float
    code: str | None = None
    hold: str | None = None
    given: Given = "whole"
