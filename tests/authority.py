"""A certificate authority of a test's own, and the servers and workloads it signs for."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import ObjectIdentifier

    PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | RSAPrivateKey

YESTERDAY_TO_TOMORROW = (-1.0, 1.0)


def usage(*said: str) -> x509.KeyUsage:
    """A key usage with these bits."""
    bits = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{bit: bit in said for bit in bits.split()})


SIGNATURE = usage("digital_signature")


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def der(self) -> bytes:
        """As it comes out of a handshake."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key alone."""
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def save(self, certificate: Path, key: Path) -> None:
        """Both, the key for its owner only."""
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        key.chmod(0o600)


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `file` is what others trust."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    @cached_property
    def pem(self) -> str:
        """What is in the file."""
        return self.file.read_text()

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _builder("Test CA", "Test CA", key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        made = cls(folder, key, certificate.sign(key, hashes.SHA256()))
        made.file.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
        return made

    def issue(
        self,
        names: Sequence[x509.GeneralName],
        *extensions: x509.ExtensionType,
        days: tuple[float, float] = YESTERDAY_TO_TOMORROW,
        self_signed: bool = False,
        key: PrivateKey | None = None,
    ) -> Issued:
        """A certificate with these names and extensions, valid from one day to the other, counted from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = _builder("Somebody", "Somebody" if self_signed else "Test CA", key, days)
        for extension in (*((x509.SubjectAlternativeName(names),) if names else ()), *extensions):
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.KeyUsage | x509.BasicConstraints))
        return Issued(builder.sign(key if self_signed else self.key, hashes.SHA256()), key)

    def server_certificate(
        self,
        *names: str,
        days: tuple[float, float] = YESTERDAY_TO_TOMORROW,
        self_signed: bool = False,
        purpose: ObjectIdentifier | None = None,
    ) -> Issued:
        """For these DNS names."""
        purposes = () if purpose is None else (x509.ExtendedKeyUsage([purpose]),)
        return self.issue([x509.DNSName(name) for name in names], *purposes, days=days, self_signed=self_signed)

    def svid(
        self, *uris: str, days: tuple[float, float] = YESTERDAY_TO_TOMORROW, ca: bool = False, key_usage: x509.KeyUsage | None = SIGNATURE
    ) -> Issued:
        """A workload's, with these URI names: an X.509-SVID where nothing else is said."""
        usages = () if key_usage is None else (key_usage,)
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        return self.issue(names, x509.BasicConstraints(ca=ca, path_length=None), *usages, days=days)

    def server(self, *names: str, **changed: object) -> ssl.SSLContext:
        """A server's side for these DNS names."""
        pem = self.folder / f"{names[0]}.pem"
        issued = self.server_certificate(*names, **changed)  # type: ignore[arg-type]
        pem.write_bytes(issued.pem + issued.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    def client(self, issued: Issued | None = None) -> ssl.SSLContext:
        """A client's side that trusts this authority, with a certificate of its own or without."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.file)
        if issued is not None:
            pem = self.folder / f"client-{issued.certificate.serial_number}.pem"
            pem.write_bytes(issued.pem + issued.key_pem)
            context.load_cert_chain(pem)
        return context


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: str, issuer: str, key: PrivateKey, days: tuple[float, float] = YESTERDAY_TO_TOMORROW) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
