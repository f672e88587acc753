"""A proven credential → Principal: the agent by the registry's links, and the chain that asked (RFC 8693 `sub` and `act`).

A name in a credential is never taken for a name in the registry: only the registry's own links (key id; issuer and subject; SPIFFE ID) lead there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import BadCredential
from stagewarden.model import Credential, Link, Principal

if TYPE_CHECKING:
    from stagewarden.model import Stage
    from stagewarden.registry import Registry

KEY_ISSUER = "stagewarden"  # what Credential.issuer says of a key: we made it


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `actor` is the workload that presents it, `initiator` whom it acts for, `history` earlier actors, oldest first."""

    issuer: str
    actor: str
    initiator: str | None
    history: tuple[str, ...]
    workflow: str | None
    expires_ns: int
    stage: Stage | None = None


def by_key(registry: Registry, key_id: str) -> Principal:
    """Who holds this key; a key proves no one but the agent."""
    agent = _agent(registry, registry.agent_by_key(key_id), key_id)
    return Principal(agent, Credential("key", KEY_ISSUER, 0), (Link("agent", agent, verified=True),))


def by_svid(registry: Registry, spiffe_id: str, trust_domain: str, expires_ns: int) -> Principal:
    """Whose certificate this is; it proves no one but the agent."""
    agent = _agent(registry, registry.agent_by_spiffe(spiffe_id), spiffe_id)
    return Principal(agent, Credential("mtls", trust_domain, expires_ns), (Link("agent", agent, verified=True),))


def by_token(registry: Registry, claims: Claims) -> Principal:
    """Who presents this token, and for whom: initiator first, then earlier actors, the agent last."""
    agent = _agent(registry, registry.agent_by_subject(claims.issuer, claims.actor), claims.actor)
    chain = (*_initiator(registry, claims), *_history(registry, claims), Link("agent", agent, verified=True))
    return Principal(agent, Credential("jwt", claims.issuer, claims.expires_ns, workflow=claims.workflow, stage=claims.stage), chain)


def _agent(registry: Registry, listed: str | None, seen: str) -> str:
    """The registry's id; else the name as seen, so that the policy can say `unregistered`. A stranger cannot take a registered agent's name."""
    if listed is not None:
        return listed
    if seen in registry.data.agents:
        raise BadCredential("this identity is not the one registered for the agent of that name")
    return seen


def _initiator(registry: Registry, claims: Claims) -> tuple[Link, ...]:
    """A listed, active person is a proven human, a registered agent a proven agent; anybody else is shown with the issuer and proves nothing."""
    if claims.initiator is None:
        return ()
    return (_known(registry, claims.issuer, claims.initiator) or Link("human", f"{claims.issuer}#{claims.initiator}", verified=False),)


def _history(registry: Registry, claims: Claims) -> tuple[Link, ...]:
    """Earlier actors are information, not authority (RFC 8693 section 4.1): proven behind a proven human only, so none becomes the initiator."""
    behind_human = any(link.kind == "human" and link.verified for link in _initiator(registry, claims))
    issuer = claims.issuer
    links = tuple([_known(registry, issuer, subject) or Link("service", f"{issuer}#{subject}", verified=True) for subject in claims.history])
    return links if behind_human else tuple([Link(link.kind, link.id, verified=False) for link in links])


def _known(registry: Registry, issuer: str, subject: str) -> Link | None:
    person = registry.person_by_identity(issuer, subject)
    if person is not None:
        return Link("human", person, verified=registry.data.people[person].active)
    agent = registry.agent_by_subject(issuer, subject)
    return None if agent is None else Link("agent", agent, verified=True)
