"""The people's listener for a test: the real doors and real sign-in on a loopback socket, with a gate in memory behind them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.clock import SystemClock
from stagewarden.config import PasswordPeople, Secret, Secrets, TokenPeople
from stagewarden.config import People as PeopleSettings
from stagewarden.gate.repeats import Repeats
from stagewarden.holds import Vault
from stagewarden.identity.passwords import hash_password
from stagewarden.identity.people import People
from stagewarden.identity.sessions import Terms
from stagewarden.identity.tokens import new_token
from stagewarden.store import Store, locate
from stagewarden.web import spoken
from stagewarden.web.people.ports import Condition, Settings
from stagewarden.web.plane import listener
from tests.fakes import PEOPLE, FakeGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stagewarden.identity.sessions import Place, Session

PASSWORD = "correct horse battery"
PROGRAMS = {"reader": ("read",), "stopper": ("stop",), "auditor": ("read", "payloads")}
CREATORS = {"reader": "ines"}


@dataclass(slots=True)
class Served:
    """Where it is, what stands behind it, and everybody's bearer token."""

    url: str
    gate: FakeGate
    tokens: dict[str, str]
    store: Store
    troubles: dict[str, str]  # what does not work, as the pages are told
    routes: frozenset[tuple[str, str]]  # method and path of every route of it, with {names}
    people: People

    @property
    def gets(self) -> frozenset[str]:
        """Every path that answers GET."""
        return frozenset(path for method, path in self.routes if method == "GET")

    def signed_in(self, person: str, place: Place = "browser") -> Session:
        """As after a password, without the fifth of a second it takes."""
        return self.people._sessions.open(person, self.people._read.users[person], Terms(place))


@cache
def _hash() -> str:
    return hash_password(PASSWORD)  # a fifth of a second: once


@asynccontextmanager
async def people_listener(folder: Path, *, url: str | None = None) -> AsyncIterator[Served]:
    """Everybody of `fakes.PEOPLE` can sign in with PASSWORD, and has a token; so has each of PROGRAMS."""
    clock = SystemClock()
    gate = FakeGate(clock)
    tokens: dict[str, str] = {}
    troubles: dict[str, str] = {}
    lines = []
    for name in PEOPLE:
        tokens[name], sha256 = new_token()
        lines.append(f'- {{sha256: "{sha256}", person: {name}, expires: "2099-01-01"}}')
    for name, scopes in PROGRAMS.items():
        tokens[name], sha256 = new_token()
        creator = f", creator: {CREATORS[name]}" if name in CREATORS else ""
        lines.append(f'- {{sha256: "{sha256}", program: {name}, scopes: [{", ".join(scopes)}], expires: "2099-01-01"{creator}}}')
    _private(folder / "tokens.yaml", "\n".join(lines) + "\n")
    _private(folder / "users.yaml", "".join(f'{name}: "{_hash()}"\n' for name in PEOPLE))
    sources = (TokenPeople(tokens=Secret("file:tokens.yaml")), PasswordPeople(users=Secret("file:users.yaml")))
    people = People(sources, Secrets(folder, {}), gate.registry, clock, PeopleSettings(), sandbox=True)
    settings = Settings(
        "newsroom",
        "sandbox",
        url,
        frozenset({"127.0.0.1", "localhost"}),
        ("cms",),
        1800,
        28800,
        condition=lambda: Condition(troubles, "4c1e0b77aa", 2),
    )
    store = Store(locate("sqlite:state.db", folder))
    await store.open()
    gate.store = store
    application = listener(gate, people, settings, clock, Repeats(store, Vault(bytes(32)), clock))
    routes = frozenset((route.method, route.resource.canonical) for route in application.router.routes() if route.resource is not None)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    server = await spoken.serve(runner, "127.0.0.1", 0)
    try:
        yield Served(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", gate, tokens, store, troubles, routes, people)
    finally:
        gate.feed.close()
        server.close()
        await runner.cleanup()
        await store.close()


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
