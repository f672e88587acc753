"""E-mail over SMTP: TLS with a name check (RFC 8314, RFC 3207) before any password, one message to one recipient, plain text.

The server's name is resolved once and judged like any other receiver's. Never falls back to a connection in clear.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import UpstreamUnavailable
from stagewarden.notify import notice
from stagewarden.notify.channels import Outcome
from stagewarden.wire.upstream.addresses import resolve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from stagewarden.clock import Clock
    from stagewarden.model import Document
    from stagewarden.wire.upstream.addresses import Resolved

_PERMANENT = 500
_AS_SENT = SMTP.clone(max_line_length=998)  # RFC 5322 section 2.1.1: nothing of ours is that long, so nothing is folded
_POLITE = 1.0  # seconds for QUIT


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed over. `context` None: in clear, which the configuration allows to this machine only."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    context: ssl.SSLContext | None
    seconds: float
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"Server({self.host}:{self.port}, {self.tls})"


class Mail:
    """Messages from one sender; the target of each is one person, whose address is looked up when it leaves, or one address."""

    def __init__(self, server: Server, sender: str, address_of: Callable[[str], str | None], clock: Clock) -> None:
        self._server = server
        self._sender = sender
        self._address_of = address_of
        self._clock = clock

    async def deliver(self, message_id: str, target: str, document: Document) -> Outcome:
        """Hand it over once."""
        if (address := self._address_of(target)) is None:
            return Outcome("never", "no_address")
        message = self._message(message_id, address, document)
        try:
            async with asyncio.timeout(self._server.seconds):
                await self._hand_over(message, address)
        except (UpstreamUnavailable, TimeoutError, SMTPException, OSError) as failure:  # TLS's errors are OSErrors
            return came_of(failure)
        return Outcome("delivered", "smtp_250")

    async def _hand_over(self, message: EmailMessage, target: str) -> None:
        """(1) Connect to an address that may be. (2) TLS. (3) Login. (4) The message."""
        server = self._server
        sock = await _connected(await resolve(server.host, server.port))
        client = aiosmtplib.SMTP(
            hostname=server.host, sock=sock, use_tls=server.tls == "implicit", start_tls=server.tls == "starttls", tls_context=server.context,
            username=server.user, password=server.password, timeout=server.seconds, local_hostname="localhost",
        )  # fmt: skip
        try:
            await client.connect()
            await client.sendmail(self._sender, [target], message.as_bytes(policy=_AS_SENT))
            with suppress(SMTPException, TimeoutError):  # it is there; how we part does not matter
                await client.quit(timeout=_POLITE)
        finally:
            transport = client.transport
            client.close()
            if isinstance(transport, asyncio.WriteTransport):  # the socket is its own; a server that does not answer TLS's goodbye is not waited for
                transport.abort()

    def _message(self, message_id: str, target: str, document: Document) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = target
        message["Subject"] = notice.subject_line(document)
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now_ns() // NANOSECONDS, UTC))
        message["Message-ID"] = f"<{message_id}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's machine answers it
        message.set_content("\n".join(notice.lines(document)) + "\n")
        return message


async def _connected(addresses: tuple[Resolved, ...]) -> socket.socket:
    """A connection to the first address that answers; raises OSError."""
    failure: OSError = ConnectionError("no address")
    for each in addresses:
        sock = socket.socket(each.family, socket.SOCK_STREAM)
        sock.setblocking(False)  # noqa: FBT003 - the library's own order
        try:
            await asyncio.get_running_loop().sock_connect(sock, each.sockaddr)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def came_of(failure: Exception) -> Outcome:
    """What a failure means: a permanent no to message or recipient ends it (RFC 5321 section 4.2.1), everything else may pass."""
    match failure:
        case SMTPRecipientsRefused():
            code = failure.recipients[0].code
            return Outcome("never" if code >= _PERMANENT else "again", f"smtp_{code}")
        case SMTPResponseException() if failure.code > 0 and not isinstance(failure, SMTPAuthenticationError):  # below: no answer at all
            return Outcome("never" if failure.code >= _PERMANENT else "again", f"smtp_{failure.code}")
    # A login that is refused is mended here, not there: no reason to give the message up.
    names = ((UpstreamUnavailable, "no_server"), (SMTPAuthenticationError, "smtp_login"), (TimeoutError, "timeout"), (SMTPException, "smtp"))
    return Outcome("again", next((code for kind, code in names if isinstance(failure, kind)), "no_connection"))
