"""Who asks for what: the principal, the action, and the question that is put to the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model.request import JSON, Document, Stage


class Link(msgspec.Struct, frozen=True):
    """One link of the chain that asked; `verified` only when the credential proves it."""

    kind: Literal["human", "service", "agent", "editor"]  # editor: changed the body while it was held; joins the chain, and is no initiator
    id: str
    verified: bool


class Credential(msgspec.Struct, frozen=True):
    """What the agent showed: its kind, issuer and expiry; never the secret itself. `expires_ns` 0 = does not expire."""

    kind: Literal["key", "jwt", "mtls"]
    issuer: str
    expires_ns: int
    header: str = "authorization"  # the header that carried it and must not go upstream
    workflow: str | None = None  # where the credential itself names one
    stage: Stage | None = None  # a narrow credential: good for this stage alone


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
