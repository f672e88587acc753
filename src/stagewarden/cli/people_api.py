"""The people's API as the terminal calls it: where it is, whose token, one request at a time. Follows no redirect and no proxy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import wraps
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

import click

from stagewarden import config as configuration
from stagewarden.cli import logins
from stagewarden.cli import people_print as show
from stagewarden.cli.audit import printable
from stagewarden.cli.exits import Finding, Unreachable
from stagewarden.config import Secret, Secrets
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.config import Bind, Config
    from stagewarden.model import Document

TOKEN = "env:STAGEWARDEN_TOKEN"  # noqa: S105 - where the token is, not the token
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
AGENT_KEY = "env:STAGEWARDEN_AGENT_KEY"
_PEOPLE, _AGENTS = "/api/v1", "/.stagewarden"
_PAGE, _USUAL = 200, 50
_DEADLINE = 30.0
_MOST = 64 << 20
_UNKNOWN = "urn:stagewarden:problem:unauthenticated"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class NotKnown(Finding):
    """The listener does not know this credential, or it is over."""


class _Stays(HTTPRedirectHandler):
    """A bearer token goes nowhere it was not sent to."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Client:
    """One listener, one token ("": none yet); `prefix`: what all of its paths begin with; `hint`: what helps where the token is not known."""

    url: str
    token: str = field(repr=False)
    prefix: str = _PEOPLE
    hint: str = ""
    opener: OpenerDirector = field(default_factory=lambda: build_opener(ProxyHandler({}), _Stays), repr=False)

    def ask(self, method: str, path: str, body: Document | None = None, query: Mapping[str, str] | None = None) -> Document:
        """The answer as JSON. Finding with the listener's own words on a refusal, Unreachable when nobody answers."""
        url = f"{self.url}{self.prefix}{path}{'?' + urlencode(query) if query else ''}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"Content-Type": "application/json"} if data is not None else {}
        try:
            with self.opener.open(Request(url, data=data, headers=headers, method=method), timeout=_DEADLINE) as answer:  # noqa: S310 - http(s) only, see `client`
                return _document(answer.read(_MOST))
        except HTTPError as refusal:
            with refusal:
                raise _refused(refusal, self.hint) from None
        except (URLError, OSError, HTTPException) as failure:
            raise Unreachable(f"nobody answers at {printable(self.url)}: {printable(str(getattr(failure, 'reason', failure)))}") from None


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the people's listener is, whose token, and for whom the answer is."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="For machines."),
        click.option(
            "--token", default=TOKEN, show_default=True, metavar="REF", help="Where the token is: file:PATH or env:NAME; else what `login` gave."
        ),
        click.option("--config", type=FILE, help="The configuration file that names the people's listener."),
        click.option("--url", metavar="URL", help="The people's listener, for example http://127.0.0.1:8081."),
    ):
        command = option(command)
    return command


def with_client(act: Callable[..., None]) -> Callable[..., None]:
    """Turns the connection's options into a Client."""

    @options
    @wraps(act)
    def command(url: str | None, config: Path | None, token: str, **rest: object) -> None:
        act(client(url, config, token), **rest)

    return command


def paged(command: Callable[..., None]) -> Callable[..., None]:
    """How much of a list: a new list has this on it, and calls `listed`."""
    command = click.option("--all", "everything", is_flag=True, help="Every page.")(command)
    return click.option("--limit", type=click.IntRange(1, _PAGE), default=_USUAL, show_default=True, help="How many at most.")(command)


def every(api: Client, path: str, query: dict[str, str]) -> list[Document]:
    """Every page."""
    return listed(api, path, query, limit=_PAGE, everything=True)


def listed(api: Client, path: str, query: dict[str, str], *, limit: int, everything: bool) -> list[Document]:
    """The first page that shows anything, or all of them; that there is more is said on standard error."""
    found: list[Document] = []
    page: Document = {}
    while not found or (everything and page.get("next")):
        more = {"cursor": show.text(page, "next")} if page.get("next") else {}
        page = api.ask("GET", path, query={**query, "limit": str(_PAGE if everything else limit), **more})
        found += show.items(page, "items")
        if not page.get("next"):
            return found
    click.echo(f"These are the first {len(found)}; --all shows the others too.", err=True)
    return found


def segment(identifier: str) -> str:
    """An id as one segment of a path."""
    return quote(identifier, safe="")


def client(url: str | None, config: Path | None, token: str) -> Client:
    """The client of the people's listener for these options; without a token of its own, with what `stagewarden login` gave for that listener."""
    where = listener(url, config)
    if token == TOKEN and not Secrets(Path.cwd()).known(Secret(TOKEN)):
        login = logins.of(where)
        if login is None:
            raise click.UsageError(f"no token: STAGEWARDEN_TOKEN is not set, and nobody is signed in to {printable(where)} here: `stagewarden login`")
        return Client(where, login.token, hint="; sign in again: `stagewarden login`")
    return _client(where, token, _PEOPLE)


def listener(url: str | None, config: Path | None) -> str:
    """Where the people's listener is; an address to which a token may be sent."""
    return _safe(url or _listener(config))


def agents_client(url: str | None, config: Path | None, key: str) -> Client:
    """The client of what agents may ask of their own holds, with an agent's credential."""
    if url is None and config is None:
        raise click.UsageError("say where the agents' listener is: --url URL, or --config FILE")
    loaded = None if url is not None or config is None else load(config)
    if loaded is not None and loaded.listen.agents is None:
        raise click.UsageError("the configuration has no agents' listener: give --url")
    where = url if loaded is None or loaded.listen.agents is None else _address(loaded.listen.agents.bind)
    return _client(where or "", key, _AGENTS)


def _client(where: str, token: str, prefix: str) -> Client:
    try:
        return Client(_safe(where), Secrets(Path.cwd()).text(Secret(token)), prefix)
    except ConfigError as failure:
        raise click.UsageError(f"no token: {'; '.join(f'{each.file or token} {each.message}' for each in failure.problems)}") from failure


def _safe(where: str) -> str:
    """The token never leaves in clear text over a network."""
    parts = urlsplit(where)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError(f"--url: {printable(where)} is not an http or https address")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise click.UsageError("--url: a token is not sent over plain http to another machine; use https")
    return where.rstrip("/")


def load(config: Path) -> Config:
    """The configuration, or a Finding with its problems."""
    try:
        return configuration.load(config)
    except ConfigError as failure:
        raise Finding(str(failure)) from failure


def _listener(config: Path | None) -> str:
    if config is None:
        raise click.UsageError("say where the people's listener is: --url URL, or --config FILE")
    loaded = load(config)
    if loaded.people.url is not None:
        return loaded.people.url
    if loaded.listen.people is None:
        raise click.UsageError("the configuration has no people's listener: give --url")
    return _address(loaded.listen.people.bind)


def _address(bind: Bind) -> str:
    return f"http://{'127.0.0.1' if bind.host in {'0.0.0.0', '::', ''} else bind.host}:{bind.port}"  # noqa: S104 - compared, not bound


def _document(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Unreachable("what answers there is not the people's API")
    return document


def _refused(refusal: HTTPError, hint: str) -> Finding:
    """In the listener's own words."""
    try:
        problem = json.loads(refusal.read(_MOST))
    except (ValueError, OSError):
        problem = None
    if not isinstance(problem, dict) or "title" not in problem:
        return Finding(f"refused with {refusal.code} by something that is not the people's API")
    said = printable(": ".join(str(problem[name]) for name in ("title", "detail") if problem.get(name)))
    return NotKnown(said + hint) if problem.get("type") == _UNKNOWN else Finding(said)
