"""Agents' credentials → Principal: the configured authenticators in order, "not mine" goes on, "mine and bad" is final.

Nobody's credential is a bad one. Never falls back to a weaker authenticator after a stronger one said no, and never picks one of two
credentials.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeAlias

from stagewarden.config import JwtIdentity, KeyIdentity, MtlsIdentity
from stagewarden.errors import BadCredential
from stagewarden.identity.fetch import MAX_REPLY
from stagewarden.identity.jwks import JwksSource
from stagewarden.identity.jwt import JwtAuthenticator, JwtSettings
from stagewarden.identity.keys import KeyAuthenticator, parse_keys
from stagewarden.identity.mtls import MtlsAuthenticator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stagewarden.clock import Clock
    from stagewarden.config import Secrets
    from stagewarden.identity.fetch import Fetch
    from stagewarden.identity.jwks import Load
    from stagewarden.model import Head, Principal
    from stagewarden.registry import Registry


Settings: TypeAlias = "KeyIdentity | JwtIdentity | MtlsIdentity"


class Authenticator(Protocol):
    """One kind of credential."""

    async def authenticate(self, head: Head) -> Principal | None:
        """The principal; None: not mine; BadCredential: mine and bad; CannotTell: mine, and it could not be found out."""


class AgentIdentities:
    """The listener's authenticators. `open` before use; `reload` re-reads keys and registry, all of it or nothing."""

    challenge = 'Bearer realm="stagewarden"'  # RFC 6750 section 3; says nothing about what was wrong

    def __init__(self, settings: tuple[Settings, ...], secrets: Secrets, registry: Registry, clock: Clock, fetch: Fetch) -> None:
        self._settings = settings
        self._secrets = secrets
        self._registry = registry
        self._clock = clock
        self._fetch = fetch
        self._sources = {one.issuer: JwksSource(one.keys, self._load(one.keys), clock) for one in settings if isinstance(one, JwtIdentity)}
        self._authenticators: tuple[Authenticator, ...] = ()

    async def open(self) -> None:
        """Read keys and key sets; ConfigError where one must not be used. A key set behind a URL may be unreachable for now."""
        await self.reload(self._registry)

    async def reload(self, registry: Registry) -> None:
        """Read everything again and forget verified tokens; on ConfigError, or where an issuer is out of reach, the last good keys stay."""
        commit = await self.prepare(registry)
        commit()

    async def prepare(self, registry: Registry) -> Callable[[], None]:
        """`reload` in two steps: the second one cannot fail. Key sets are shared by both: an issuer's new keys count from now on."""
        authenticators = tuple([await self._build(one, registry) for one in self._settings])

        def commit() -> None:
            self._authenticators = authenticators
            self._registry = registry

        return commit

    async def authenticate(self, head: Head) -> Principal:
        """Who asks. BadCredential where the credential is bad or nobody's, CannotTell where its issuer's keys are out of reach."""
        for number, authenticator in enumerate(self._authenticators, 1):
            principal = await authenticator.authenticate(head)
            if principal is not None:
                if head.certificate is not None:
                    await _alone(head, self._authenticators[number:])
                return principal
        raise BadCredential("no credential that is known here")

    async def _build(self, one: Settings, registry: Registry) -> Authenticator:
        if isinstance(one, KeyIdentity):
            return KeyAuthenticator(parse_keys(self._secrets.text(one.keys), one.keys.reference), registry)
        if isinstance(one, MtlsIdentity):
            return MtlsAuthenticator(one.trust_domain, registry, self._clock)
        source = self._sources[one.issuer]
        await source.open(remote=not one.keys.startswith("file:"))
        return JwtAuthenticator(JwtSettings(one.issuer, one.audience, frozenset(one.algorithms), float(one.leeway)), source, registry, self._clock)

    def _load(self, keys: str) -> Load:
        if not keys.startswith("file:"):
            return lambda: self._fetch(keys)
        path = self._secrets.path(keys)
        return lambda: asyncio.to_thread(_read, path)


async def _alone(head: Head, others: tuple[Authenticator, ...]) -> None:
    """A certificate and a bearer token can stand side by side, and an agent has one identity: whoever shows two is refused (ASI03)."""
    for other in others:
        if await other.authenticate(head) is not None:
            raise BadCredential("a certificate and a bearer token: two credentials, of two agents")


def _read(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(MAX_REPLY)
