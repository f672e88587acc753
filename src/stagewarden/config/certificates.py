"""Certificates and keys that the configuration names, read and held against each other before anything listens or connects.

An empty or unreadable list of authorities is an error, never a listener that asks nobody (CVE-2024-39321 and kin). Never repeats what
a file holds; looks at no revocation list.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from stagewarden.clock import NANOSECONDS
from stagewarden.config.rules.listeners import started
from stagewarden.config.units import Misfit
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from stagewarden.config.secrets import Secrets
    from stagewarden.config.shapes import Config, Tls
    from stagewarden.config.units import File
    from stagewarden.config.yaml_source import Place
    from stagewarden.errors import Problem

T = TypeVar("T")


def certificates(pem: str) -> tuple[x509.Certificate, ...]:
    """Every certificate of a PEM file, in order; raises Misfit where there is none, or one cannot be read."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        raise Misfit("holds no certificate that can be read", "save certificates there in PEM form (`-----BEGIN CERTIFICATE-----`)") from None


def authorities(secrets: Secrets, file: File) -> str:
    """The certificates of the file as PEM, and nothing else of it; raises ConfigError or Misfit."""
    return "".join([each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates(secrets.public(file))])


def of_listeners(config: Config, secrets: Secrets, now_ns: int) -> tuple[Problem, ...]:
    """Every listener's files. Errors are what no handshake could succeed with, or one succeed with too much."""
    inspection = _Inspection(config, secrets, now_ns)
    for name, listener in started(config):
        if listener.tls is not None:
            inspection.listener(("listen", name, "tls"), listener.tls)
    return tuple(inspection.problems)


def of_upstreams(config: Config, secrets: Secrets, now_ns: int) -> tuple[Problem, ...]:
    """Every upstream's authorities."""
    inspection = _Inspection(config, secrets, now_ns)
    for name, upstream in config.upstreams.items():
        if upstream.ca is not None:
            inspection.authorities(("upstreams", name, "ca"), upstream.ca)
    return tuple(inspection.problems)


class _Inspection:
    """`problems` grows; what cannot be read is not held against anything."""

    def __init__(self, config: Config, secrets: Secrets, now_ns: int) -> None:
        self.problems: list[Problem] = []
        self._source = config.source
        self._secrets = secrets
        self._now = datetime.fromtimestamp(now_ns / NANOSECONDS, UTC)

    def listener(self, place: Place, tls: Tls) -> None:
        """The key is of the first certificate, the chain is in time, the authorities are some."""
        chain = self._read((*place, "certificate"), tls.certificate.reference, lambda: certificates(self._secrets.public(tls.certificate)))
        key = self._read((*place, "key"), tls.key.reference, lambda: _private_key(self._secrets.text(tls.key)))
        for each in chain or ():
            if trouble := self._untimely(each):
                self._note((*place, "certificate"), f"{tls.certificate.reference} {trouble}", "renew it: clients refuse it")
        if chain and key is not None and chain[0].public_key() != key.public_key():
            remedy = f"put the certificate of this key first in {tls.certificate.reference}, or name its own key"
            self._note((*place, "key"), f"{tls.key.reference} is not the key of the first certificate", remedy)
        if tls.client_ca is not None:
            self.authorities((*place, "client_ca"), tls.client_ca, signing=True)

    def authorities(self, place: Place, file: File, *, signing: bool = False) -> None:
        """At least one that is in time; a server's own self-signed certificate will do for an upstream, where `signing` is not asked."""
        found = self._read(place, file.reference, lambda: certificates(self._secrets.public(file)))
        if not found:
            return
        if signing and not all(map(_signs, found)):
            self._note(place, f"{file.reference} holds a certificate that is no authority", "keep authorities alone there (basicConstraints CA:TRUE)")
        late = [trouble for each in found if (trouble := self._untimely(each))]
        if late:
            severity = "error" if len(late) == len(found) else "warning"
            self._note(place, f"{file.reference} holds an authority that {late[0]}", "replace it", severity=severity)

    def _read(self, place: Place, reference: str, parse: Callable[[], T]) -> T | None:
        try:
            return parse()
        except ConfigError as error:
            for problem in error.problems:
                self._note(place, f"{reference} {problem.message}", problem.remedy)
        except Misfit as misfit:
            self._note(place, f"{reference} {misfit.message}", misfit.remedy)
        return None

    def _untimely(self, certificate: x509.Certificate) -> str | None:
        if self._now > certificate.not_valid_after_utc:
            return f"expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        if self._now < certificate.not_valid_before_utc:
            return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        return None

    def _note(self, place: Place, message: str, remedy: str, *, severity: str = "error") -> None:
        self.problems.append(self._source.problem(place, message, remedy, severity=severity))


def _private_key(pem: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise Misfit("is encrypted", "store it unencrypted, mode 0600: nobody is there at start to type a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Misfit("holds no private key that can be read", "save the key there in PEM form (`-----BEGIN PRIVATE KEY-----`)") from None


def _signs(certificate: x509.Certificate) -> bool:
    """Whether it may sign others (RFC 5280 section 4.2.1.9); without basicConstraints it may not."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
