"""What was asked, byte for byte, and the words everything else is made of."""

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
