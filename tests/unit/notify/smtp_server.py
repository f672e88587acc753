"""A real SMTP server in a process of its own: aiosmtpd, with TLS and a login where a test wants them. Messages are kept as files.

Run as a module: `python -m tests.unit.notify.smtp_server JSON`; it prints its port and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

ROOT = Path(__file__).parents[3]


class Keeper:
    """Keeps every message, or refuses as it is told to."""

    def __init__(self, folder: Path, refuses: dict[str, str]) -> None:
        self._folder = folder
        self._refuses = refuses

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802 - the library's name
        """One recipient."""
        if "rcpt" in self._refuses:
            return self._refuses["rcpt"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - the library's name
        """One message."""
        if "data" in self._refuses:
            return self._refuses["data"]
        told = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "login": session.authenticated,
        }
        number = len([*self._folder.glob("*.json")])
        (self._folder / f"{number}.eml").write_bytes(envelope.content)
        (self._folder / f"{number}.json").write_text(json.dumps(told))
        return "250 kept"


def _tls(settings: dict[str, Any]) -> ssl.SSLContext | None:
    if "certificate" not in settings:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["certificate"], settings["key"])
    return context


async def main(settings: dict[str, Any]) -> None:
    """Serve until the standard input ends."""
    context, starttls = _tls(settings), settings.get("starttls", False)

    def check(server, session, envelope, mechanism, data) -> AuthResult:
        return AuthResult(success=(data.login.decode(), data.password.decode()) == ("stagewarden", "hunter2"), handled=False)

    def protocol() -> SMTP:
        login = {"authenticator": check, "auth_required": True, "auth_require_tls": starttls} if settings.get("login") else {}
        keeper = Keeper(Path(settings["folder"]), settings.get("refuses", {}))
        return SMTP(keeper, hostname="mail.test", tls_context=context if starttls else None, require_starttls=starttls, **login)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=None if starttls else context)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how it is found
    await asyncio.to_thread(sys.stdin.read)
    server.close()


class Mailbox:
    """The running server, as its test sees it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self._folder = folder

    def messages(self) -> list[tuple[EmailMessage, dict[str, Any]]]:
        """What was kept, with how it came, oldest first."""
        return [
            (message_from_bytes(path.read_bytes(), policy=policy.default), json.loads(path.with_suffix(".json").read_text()))
            for path in sorted(self._folder.glob("*.eml"))
        ]


@contextmanager
def smtp(folder: Path, **settings: Any) -> Iterator[Mailbox]:
    """A server while the block lasts."""
    kept = folder / "mail"
    kept.mkdir()
    command = [sys.executable, "-W", "ignore", "-m", "tests.unit.notify.smtp_server", json.dumps({"folder": str(kept), **settings})]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Mailbox(int(process.stdout.readline()), kept)
        finally:
            process.stdin.close()
            process.wait(10)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
