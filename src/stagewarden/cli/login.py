"""`login`, `logout`: the console's sign-in for a terminal, and its end. Shows no token; keeps it where the other commands find it.

(1) A verifier that never leaves this process; its digest goes into a link. (2) The person opens the link, signs in, compares the letters
and says yes. (3) The code comes to our loopback (RFC 8252 section 7.3), or is typed in. (4) Code and verifier give the token.
"""

from __future__ import annotations

import getpass
import hmac
import re
import socket
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import click

from stagewarden.cli import logins
from stagewarden.cli import people_print as show
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.cli.people_api import FILE, Client, NotKnown, listener
from stagewarden.clock import SystemClock
from stagewarden.config import Places
from stagewarden.identity.bearer import new_secret
from stagewarden.identity.terminals import Asking, challenge_of, is_code

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 600.0  # seconds a person has to sign in
_SLOW = 5.0  # seconds one connection to the loopback may take
_TRIES = 3  # of typing the code
_LABEL = 64
_PAGE = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Stagewarden</title><h1>%b</h1><p>Go back to your terminal. You can close this page.</p>"
)
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Connection": "close",
}  # fmt: skip


@click.command(epilog=examples("login --url https://approve.example", "login --url https://approve.example --carry"))
@click.option("--carry", is_flag=True, help="The browser is on another machine: type the code it shows in here.")
@click.option("--config", type=FILE, help="The configuration file that names the people's listener.")
@click.option("--url", metavar="URL", help="The people's listener, for example http://127.0.0.1:8081.")
def login(url: str | None, config: Path | None, *, carry: bool) -> None:
    """Sign this terminal in as yourself, by the console.

    For `people.session.terminal` at most, and never for what takes a fresh sign-in.
    """
    where, verifier = listener(url, config), new_secret()
    code = (_carried if carry or Places.of().far or not _browser() else _brought)(where, verifier)
    given = Client(where, "").ask("POST", "/terminals", {"code": code, "verifier": verifier})
    person, until = show.text(given, "person"), show.text(given, "expires_at")
    logins.keep(where, person, until, show.text(given, "token"))
    click.echo(printable(f"signed in as {person} until {until}"))


@click.command(epilog=examples("logout --url https://approve.example", "logout --url https://approve.example --everywhere"))
@click.option("--everywhere", is_flag=True, help="Every session of yours: browsers and other terminals too.")
@click.option("--config", type=FILE, help="The configuration file that names the people's listener.")
@click.option("--url", metavar="URL", help="The people's listener, for example http://127.0.0.1:8081.")
def logout(url: str | None, config: Path | None, *, everywhere: bool) -> None:
    """End what `login` gave, on the server and here."""
    where = listener(url, config)
    try:
        found = logins.of(where)
    except Finding:  # whoever may read it has it: it cannot be trusted to be ours, so it is only forgotten here
        logins.forget(where)
        raise
    if found is None:
        raise Finding(f"nobody is signed in to {printable(where)} here")
    said = "signed out everywhere" if everywhere else "signed out"
    try:
        Client(where, found.token).ask("DELETE", "/sessions", query={"everywhere": "true"} if everywhere else None)
    except NotKnown:
        said = "it was over already"
    logins.forget(where)
    click.echo(printable(f"{found.person}: {said}"))


def _link(where: str, asked: Asking) -> str:
    """Shown with the letters, so that they are compared."""
    click.echo(f"Letters to compare: {asked.letters}")
    return f"{where}/terminal?ask={quote(str(asked), safe='')}"


def _carried(where: str, verifier: str) -> str:
    """The person types what the page shows."""
    link = _link(where, Asking(challenge_of(verifier), new_secret(), 0, _label()))
    click.echo(f"Open this in your browser, sign in, and say yes if it shows the same letters:\n{link}")
    for _ in range(_TRIES):
        code = str(click.prompt("Code")).strip()
        if is_code(code):
            return code
        click.echo("That is not a whole code.", err=True)
    raise Finding("no code was given; nothing was signed in")


def _brought(where: str, verifier: str) -> str:
    """The browser of this machine brings it."""
    with _Loopback() as waiting:
        link = _link(where, Asking(challenge_of(verifier), waiting.state, waiting.port, _label()))
        click.echo(f"Your browser opens; sign in, and say yes if it shows the same letters. If none opens, open this on this machine:\n{link}")
        webbrowser.open(link)
        code = waiting.code(_PATIENCE)
    if code is None:
        raise Finding("nobody said yes within ten minutes; nothing was signed in (--carry where the browser is on another machine)")
    return code


class _Loopback(HTTPServer):
    """Waits on 127.0.0.1 for one code that comes with our state; says nothing to anything else."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Arrival)
        self.state = new_secret()
        self.port = int(self.server_address[1])
        self.found: str | None = None

    def code(self, patience: float) -> str | None:
        """The code, or None when nobody came with one in so many seconds."""
        clock = SystemClock()
        until = clock.monotonic() + patience
        while self.found is None and (left := until - clock.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
        return self.found

    def take(self, host: str | None, target: str) -> bool:
        """(1) Our own name (DNS rebinding). (2) Our state, so that no other page brings somebody else's code. (3) A whole code."""
        parts = urlsplit(target)
        given = {name: values[0] for name, values in parse_qs(parts.query).items() if len(values) == 1}
        ours = host == f"127.0.0.1:{self.port}" and parts.path == "/"
        if not (ours and hmac.compare_digest(given.get("state", "").encode(), self.state.encode()) and is_code(given.get("code", ""))):
            return False
        self.found = given["code"]
        return True


class _Arrival(BaseHTTPRequestHandler):
    """One request to the loopback."""

    timeout = _SLOW
    server: _Loopback

    def do_GET(self) -> None:
        """What the browser brings."""
        taken = self.server.take(self.headers.get("Host"), self.path)
        page = _PAGE % (b"The terminal has it" if taken else b"That is not for this terminal")
        self.send_response(HTTPStatus.OK if taken else HTTPStatus.NOT_FOUND)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """The code stands in the target: nothing is logged."""


def _label() -> str:
    """Who and where, for the person to recognise; unverified, and shown so."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        name = "user"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", f"{name}@{socket.gethostname()}")[:_LABEL]


def _browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True
