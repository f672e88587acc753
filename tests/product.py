"""The whole product for a test: a configured sidecar in this process, real sockets on loopback, a real upstream behind it.

`house(...)` writes a configuration with fresh keys into a folder; `product(...)` runs it. Nothing is mocked.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import ClientSession, web
from yarl import URL

from stagewarden import config as configuration
from stagewarden.app import Sidecar, running
from stagewarden.cli.newsroom import Newsroom
from stagewarden.identity.keys import new_key
from stagewarden.identity.tokens import new_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

HOUSE = Path(__file__).parent / "scenarios" / "house"
WASM = "{engine: wasm, deadline: 2s}"  # a loaded test machine is not what the 200 ms are about
DRAFTER, PUBLISHER = "drafter-secret", "publisher-secret"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return jsonlib.loads(self.body)


@dataclass(slots=True)
class House:
    """A folder a sidecar can be started from, and the secrets in it."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)  # agent → key
    tokens: dict[str, str] = field(default_factory=dict)  # person → token

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "stagewarden.yaml"


def house(folder: Path, newsroom: str, engine: str = WASM, source: Path = HOUSE, **replaced: str) -> House:
    """Write the house: configuration, registry, keys for every agent, tokens for every person."""
    folder.mkdir(parents=True, exist_ok=True)
    words = {"@NEWSROOM@": newsroom, "@ENGINE@": engine, "@TODAY@": datetime.now(UTC).date().isoformat(), **replaced}
    for name in ("stagewarden.yaml", "registry.yaml"):
        text = (source / name).read_text()
        for word, value in words.items():
            text = text.replace(word, value)
        (folder / name).write_text(text)
    registry = yaml.safe_load((folder / "registry.yaml").read_text())
    made = House(folder)
    hashes, grants = {}, []
    for agent in registry["agents"]:
        made.keys[agent], hashes[agent] = new_key(agent)
    for person in registry["people"]:
        made.tokens[person], fingerprint = new_token()
        grants.append({"sha256": fingerprint, "person": person, "expires": (datetime.now(UTC).date() + timedelta(days=2)).isoformat()})
    made.tokens["program"], fingerprint = new_token()
    grants.append(
        {"sha256": fingerprint, "program": "robot", "scopes": ["read"], "expires": (datetime.now(UTC).date() + timedelta(days=2)).isoformat()}
    )
    _private(folder / "agent-keys.yaml", yaml.safe_dump(hashes))
    _private(folder / "people-tokens.yaml", yaml.safe_dump(grants))
    _private(folder / "holds.key", os.urandom(32).hex() + "\n")
    (folder / "secrets").mkdir(exist_ok=True)
    _private(folder / "secrets" / "drafter", f"Bearer {DRAFTER}\n")
    _private(folder / "secrets" / "publisher", f"Bearer {PUBLISHER}\n")
    return made


def populated(folder: Path, people: str, source: Path = HOUSE) -> Path:
    """A copy of a house's templates with these lines more under `people`; give it to `product` as its source."""
    made = folder / "source"
    made.mkdir()
    for path in source.iterdir():
        (made / path.name).write_text(path.read_text().replace("processes:\n", f"{people}processes:\n", 1))
    return made


def _private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


@dataclass(slots=True)
class Product:
    """A running sidecar with clients for everybody."""

    sidecar: Sidecar
    house: House
    session: ClientSession
    newsroom: Newsroom

    async def ask(
        self,
        method: str,
        path: str,
        agent: str | None = "drafter",
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """What an unmodified HTTP client of the agent gets; the path is sent as it is."""
        sent = dict(headers or {})
        if agent is not None:
            sent.setdefault("Authorization", f"Bearer {self.house.keys.get(agent, agent)}")
        if json is not None:
            data = jsonlib.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        return await self._send(method, self.sidecar.agents_address, path, sent, data)

    async def person(self, method: str, path: str, person: str, json: object = None) -> Reply:
        """What a person's client of the API gets."""
        data = None if json is None else jsonlib.dumps(json).encode()
        headers = {"Authorization": f"Bearer {self.house.tokens[person]}", "Content-Type": "application/json"}
        return await self._send(method, self.sidecar.people_address, f"/api/v1{path}", headers, data)

    async def operations(self, path: str) -> Reply:
        """What a probe or a scrape gets."""
        return await self._send("GET", self.sidecar.operations_address, path, {}, None)

    async def vote(self, hold: str, person: str, function: str, decision: str = "approve", **changed: object) -> Reply:
        """Read the hold as this person and vote on what was shown, every question answered with yes."""
        shown = (await self.person("GET", f"/holds/{hold}", person)).json
        ballot = {"decision": decision, "function": function, "digest": shown["digest"], "view_digest": shown["view_digest"]}
        ballot |= {"answers": dict.fromkeys(shown["questions"], True)} if decision == "approve" else {"reason": "timing"}
        return await self.person("POST", f"/holds/{hold}/votes", person, ballot | changed)

    async def ended(self, hold: str, seconds: float = 60) -> str:
        """The state in which a hold has ended."""
        return str((await self.sidecar.rooms.holds.outcome(hold, seconds)).state)

    async def _send(self, method: str, address: tuple[str, int] | None, path: str, headers: Mapping[str, str], data: bytes | None) -> Reply:
        assert address is not None
        url = URL(f"http://{address[0]}:{address[1]}{path}", encoded=True)
        async with self.session.request(method, url, headers=headers, data=data, allow_redirects=False) as answer:
            return Reply(answer.status, answer.headers.copy(), await answer.read())


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """Serve an application on loopback; its address."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def product(folder: Path, engine: str = WASM, source: Path = HOUSE, **replaced: str) -> AsyncIterator[Product]:
    """The newsroom, a house and its sidecar, running."""
    newsroom = Newsroom(DRAFTER, PUBLISHER)
    async with serving(newsroom.application()) as upstream:
        made = house(folder, upstream, engine, source, **replaced)
        async with running(configuration.load(made.config)) as sidecar, ClientSession() as session:
            yield Product(sidecar, made, session, newsroom)


def rulings(folder: Path) -> list[dict[str, Any]]:
    """Every entry of the audit log, in order."""
    return [jsonlib.loads(line) for path in sorted((folder / "audit").glob("*.jsonl")) for line in path.read_bytes().splitlines()]


async def until(check: Callable[[], Any], seconds: float = 60) -> Any:
    """What `check` gives once it is true; TimeoutError when it never is. Polls: it looks at what others write."""
    async with asyncio.timeout(seconds):
        while not (found := check()):  # noqa: ASYNC110 - files and other processes set no event
            await asyncio.sleep(0.02)
        return found
