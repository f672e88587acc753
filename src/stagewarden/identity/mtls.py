"""Agents by client certificate: X.509-SVIDs of one trust domain. The chain was verified in the handshake; the leaf is judged here.

Never takes a certificate from a header, and never one of another trust domain. A connection does not outlive its certificate: the
leaf's dates are looked at again with every request. Revocation lists are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cachetools import LRUCache
from cryptography import x509

from stagewarden.clock import NANOSECONDS
from stagewarden.config.spiffe import trust_domain_of
from stagewarden.errors import BadCredential
from stagewarden.identity.principal import by_svid

if TYPE_CHECKING:
    from datetime import datetime

    from stagewarden.clock import Clock
    from stagewarden.model import Head, Principal
    from stagewarden.registry import Registry

T = TypeVar("T", bound=x509.ExtensionType)

CACHE_SIZE = 1024
_EXTENSIONS_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Svid:
    """What a leaf proves, and when it does (nanoseconds since the epoch, both ends included)."""

    id: str
    not_before_ns: int
    not_after_ns: int


class MtlsAuthenticator:
    """Claims every connection with a client certificate."""

    def __init__(self, trust_domain: str, registry: Registry, clock: Clock) -> None:
        self._trust_domain = trust_domain
        self._registry = registry
        self._clock = clock
        # By the whole certificate, so that it is parsed once a connection: what it says never changes, who and when is asked every time.
        self._read: LRUCache[bytes, Svid | str] = LRUCache(CACHE_SIZE)

    async def authenticate(self, head: Head) -> Principal | None:
        """Steps: (1) ours? (2) an X.509-SVID of our trust domain? (3) in time? (4) whose."""
        if head.certificate is None:
            return None
        svid = self._read.get(head.certificate)
        if svid is None:
            svid = self._read[head.certificate] = _judged(head.certificate, self._trust_domain)
        if isinstance(svid, str):
            raise BadCredential(svid)
        now = self._clock.now_ns()
        if now > svid.not_after_ns:
            raise BadCredential("the certificate is expired")
        if now < svid.not_before_ns:
            raise BadCredential("the certificate is not valid yet")
        return by_svid(self._registry, svid.id, self._trust_domain, svid.not_after_ns)


def _judged(der: bytes, trust_domain: str) -> Svid | str:
    """The SVID, or why it is none."""
    try:
        return read_svid(der, trust_domain)
    except BadCredential as bad:
        return bad.detail


def read_svid(der: bytes, trust_domain: str) -> Svid:
    """The leaf as an X.509-SVID (X509-SVID sections 2 to 5.2), in numbered steps; raises BadCredential, which repeats nothing of it."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        names = _extension(leaf, x509.SubjectAlternativeName)
        constraints = _extension(leaf, x509.BasicConstraints)
        usage = _extension(leaf, x509.KeyUsage)
    except _EXTENSIONS_UNREADABLE:
        raise BadCredential("the certificate cannot be read") from None
    # (1) One name: with two, each reader could take another.
    uris = [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise BadCredential("the certificate has not exactly one URI name")
    # (2) It is a workload's SPIFFE ID, of our trust domain.
    try:
        domain = trust_domain_of(uris[0])
    except ValueError as broken:
        raise BadCredential(f"the certificate's name is not a SPIFFE ID: {broken}") from None
    if domain != trust_domain:
        raise BadCredential("the certificate is of another trust domain")
    # (3) An authority signs others' names; it has none to act under.
    if constraints is not None and constraints.ca:
        raise BadCredential("the certificate is an authority's")
    # (4) Its key signs handshakes, and nothing else.
    if usage is None or not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise BadCredential("the certificate's key usage is not that of a workload")
    return Svid(uris[0], _nanoseconds(leaf.not_valid_before_utc), _nanoseconds(leaf.not_valid_after_utc))


def _extension(leaf: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return leaf.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * NANOSECONDS
