"""TLS on our own listeners: who we are, whose client certificates count, and which one a connection showed.

Never below TLS 1.2, never takes a certificate from anywhere but the handshake, gives no session tickets. A TLS 1.2 session can be taken
up by its id: with the certificate it began with, and until the next reload. Revocation lists are not read: certificates are short-lived.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS, rfc3339
from stagewarden.config import MtlsIdentity
from stagewarden.config.certificates import authorities, certificates, of_listeners
from stagewarden.config.rules.listeners import started
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from stagewarden.clock import Clock
    from stagewarden.config import Config, Secrets, Tls

_NOT_SPOKEN = "h2"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A listener's files as they were read: TLS by them, and their certificate's last moment (nanoseconds since the epoch)."""

    context: ssl.SSLContext
    expires_ns: int


class NothingInCommon(ssl.SSLError):
    """A client that speaks HTTP/2 alone."""


class Handshaken(ssl.SSLObject):
    """One connection's TLS. The library cannot say `no_application_protocol` (RFC 7301 section 3.2), nor what a client had offered.

    So `h2` stands last on our list: it is chosen where nothing else is offered, and the handshake fails before anything is read.
    """

    def do_handshake(self) -> None:
        """As far as it goes now."""
        super().do_handshake()
        if self.selected_alpn_protocol() == _NOT_SPOKEN:
            raise NothingInCommon("no HTTP version in common")


class Newest(ssl.SSLContext):
    """What a server is given for good. Each new connection begins with `current`; those that stand keep theirs.

    asyncio and uvloop make a connection's TLS by `wrap_bio`. The context itself holds no certificate: used in any other way, it
    completes no handshake.
    """

    current: Fresh

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """TLS for one connection."""
        return self.current.context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class ListenersTls:
    """The TLS of every listener that has some. Nothing half-read is ever used: `read` gives all or raises, `use` exchanges."""

    def __init__(self, config: Config, secrets: Secrets, clock: Clock) -> None:
        """Raises ConfigError."""
        self._config = config
        self._secrets = secrets
        self._clock = clock
        self._newest = {name: Newest(ssl.PROTOCOL_TLS_SERVER) for name, listener in started(config) if listener.tls is not None}
        self.use(self.read())

    def context(self, listener: str) -> ssl.SSLContext | None:
        """What the server of this listener is given; None: it has no TLS."""
        return self._newest.get(listener)

    async def trouble(self) -> str | None:
        """Why we are not ready: a certificate that ran out, and was not renewed; None while all are in time."""
        now = self._clock.now_ns()
        over = [f"listen.{name} at {rfc3339(one.current.expires_ns)}" for name, one in self._newest.items() if now > one.current.expires_ns]
        return f"certificates expired: {', '.join(over)}" if over else None

    def read(self) -> Mapping[str, Fresh]:
        """The files as they are now; raises ConfigError with every problem, and changes nothing."""
        problems = of_listeners(self._config, self._secrets, self._clock.now_ns())
        if errors := tuple([problem for problem in problems if problem.severity == "error"]):
            raise ConfigError(errors)
        return {name: self._fresh(name, listener.tls) for name, listener in started(self._config) if listener.tls is not None}

    def use(self, fresh: Mapping[str, Fresh]) -> None:
        """From now on, for new connections."""
        for name, one in fresh.items():
            self._newest[name].current = one

    def _fresh(self, name: str, tls: Tls) -> Fresh:
        context = server_context()
        try:
            own = certificates(self._secrets.public(tls.certificate))[0]
            context.load_cert_chain(self._secrets.path(tls.certificate.reference), self._secrets.path(tls.key.reference), password=_nobody_types)
            if tls.client_ca is not None:
                context.load_verify_locations(cadata=authorities(self._secrets, tls.client_ca))
                context.verify_mode = _asked(self._config, name)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; Misfit and asking for a password are ValueErrors
            message = f"cannot be used: {getattr(error, 'reason', None) or error}"
            raise ConfigError((self._config.source.problem(("listen", name, "tls"), message, "check its files with `stagewarden check`"),)) from None
        return Fresh(context, round(own.not_valid_after_utc.timestamp()) * NANOSECONDS)


def peer_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """DER of the certificate this connection's client has proved to hold; None: no TLS, or none was shown. Read once per connection."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return None if tls is None else tls.getpeercert(binary_form=True)


def server_context() -> ssl.SSLContext:
    """TLS 1.2 or later. Not `create_default_context`: that one obeys SSLKEYLOGFILE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0  # TLS 1.3's own tickets
    context.set_alpn_protocols(["http/1.1", _NOT_SPOKEN])
    context.sslobject_class = Handshaken
    return context


def client_context(ca: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later, certificate and name required; `ca`: PEM of the only authorities that count, None: the system's.

    Not `create_default_context`: that one obeys SSLKEYLOGFILE.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=ca)
    return context


def _asked(config: Config, name: str) -> ssl.VerifyMode:
    """Required, but where agents may sign in by a certificate or by something else."""
    kinds = [isinstance(each, MtlsIdentity) for each in config.identity.agents] if name == "agents" else []
    return ssl.CERT_OPTIONAL if any(kinds) and not all(kinds) else ssl.CERT_REQUIRED


def _nobody_types() -> str:
    raise ValueError("the key is encrypted")
