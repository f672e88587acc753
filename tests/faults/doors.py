"""The doors a fault is met at: requests sent on at once, look-ups, approved sends. And what the log says of each."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, TCPConnector
from yarl import URL

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.newsroom import Newsroom
from tests.e2e.articles import draft
from tests.product import DRAFTER, PUBLISHER, WASM, Product, house, rulings, until
from tests.toxics import Poisoned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from tests.faults.table import Direct
    from tests.product import House
    from tests.upstreams import Received

PATIENCE = 1.0  # seconds an upstream has, and where nothing else is said a head and a body


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent's client got; `cut`: its end never came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


@dataclass(slots=True)
class Doors:
    """A product in front of an upstream that may be poisoned."""

    product: Product
    upstream: Poisoned
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def read(self) -> Told:
        """A request without a body that is allowed."""
        return await self._send("GET", "/newsroom/articles", None)

    async def write(self) -> Told:
        """A request with a body that is allowed."""
        return await self._send("POST", "/newsroom/articles", b'{"title":"t"}')

    async def publish(self, article: str) -> Told:
        """A request that is looked up and held."""
        return await self._send("POST", f"/newsroom/articles/{article}/publish", None)

    async def held(self) -> tuple[str, str]:
        """A new article whose publication waits for people: its number and the hold."""
        article = str(next(self._numbers))
        reply = await self.product.ask("POST", f"/newsroom/articles/{article}/publish")
        assert reply.status == 403, reply
        return article, reply.json["hold"]["id"]

    def publishes(self, article: str) -> int:
        """How often it was published."""
        return sum(each.target == f"/articles/{article}/publish" for each in self.upstream.requests)

    def entries(self, kind: str, **members: Any) -> list[dict[str, Any]]:
        """What the log says, of one kind, with these members."""
        return [entry for entry in rulings(self.product.house.folder) if entry["kind"] == kind and members.items() <= entry.items()]

    async def outcome(self, **members: Any) -> dict[str, Any]:
        """The one outcome entry with these members, once it is there."""
        (entry,) = await until(lambda: self.entries("outcome", **members))
        return entry

    async def _send(self, method: str, path: str, data: bytes | None) -> Told:
        headers = {"Authorization": f"Bearer {self.product.house.keys['drafter']}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        host, port = self.product.sidecar.agents_address or ("", 0)
        async with self.product.session.request(method, URL(f"http://{host}:{port}{path}", encoded=True), headers=headers, data=data) as answer:
            try:
                return Told(answer.status, answer.headers, await answer.read(), cut=False)
            except ClientError:
                return Told(answer.status, answer.headers, b"", cut=True)


def code_of(told: Told) -> str | None:
    """The problem's code, None for an answer of the upstream's."""
    found = re.search(rb'"type":"urn:stagewarden:problem:(\w+)"', told.body)
    return found[1].decode() if found else None


async def settled(doors: Doors, ask: Callable[[], Awaitable[Told]]) -> Told:
    """Ask while the upstream is poisoned, let it strike its idle connection, and heal it."""
    told = await ask()
    await doors.upstream.rest()
    doors.upstream.heal()
    return told


async def becomes(ask: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Ask until the answer is this one. Polls: it looks at what comes back by itself."""
    async with asyncio.timeout(60):
        while await ask() != wanted:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)


def matches(told: Told, direct: Direct) -> bool:
    """Whether the agent was told what the table says."""
    return (told.status, code_of(told), told.cut) == (direct.status, direct.code, direct.cut)


def impatient(config: Path, patience: float) -> None:
    """Every upstream of this configuration gets PATIENCE; who sends heads and bodies gets `patience` seconds."""
    term = f"{patience * 1000:.0f}ms"
    text = config.read_text()
    text = re.sub(r"(?m)^    url: .*$", rf"\g<0>\n    connect_deadline: {PATIENCE:g}s\n    answer_deadline: {PATIENCE:g}s", text)
    config.write_text(text.replace("limits: {", f"limits: {{header_deadline: {term}, body_deadline: {term}, "))


@asynccontextmanager
async def doors(folder: Path, engine: str = WASM, good: Callable[[Received], bytes] = draft, patience: float = PATIENCE) -> AsyncIterator[Doors]:
    """The product, running; every upstream of the house is the same one."""
    async with Poisoned(good) as upstream:
        made = house(folder, upstream.url, engine)
        impatient(made.config, patience)
        async with started(made, upstream) as there:
            yield there


@asynccontextmanager
async def started(made: House, upstream: Poisoned) -> AsyncIterator[Doors]:
    """A house that is there already, once more."""
    async with running(configuration.load(made.config)) as sidecar, ClientSession(connector=TCPConnector(force_close=True)) as session:
        yield Doors(Product(sidecar, made, session, Newsroom(DRAFTER, PUBLISHER)), upstream)
