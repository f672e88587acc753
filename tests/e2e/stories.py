"""The whole product for stories in a browser: a sandbox of `init` with a few more rights, an upstream that keeps every byte, and people at its doors.

Three seats for high tier, each of another function; what is approved can settle, where a story says so. Nothing is mocked.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import yaml
from aiohttp import ClientSession
from joserfc.jwk import ECKey

from stagewarden import config as configuration
from stagewarden.app import Sidecar, running
from stagewarden.audit.verify import Report, verify
from stagewarden.cli.demo import house
from stagewarden.cli.newsroom import Arrival, Newsroom
from stagewarden.clock import SystemClock
from tests.e2e.chromium import enter
from tests.product import WASM, serving
from tests.unit.identity.tokens_made_here import key_set, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from playwright.async_api import Page, Response

    from stagewarden.model import Document, Hold

ISSUER = "https://issuer.test"
SEATS = [{"functions": ["reviewer"]}, {"functions": ["manager"]}, {"functions": ["compliance", "legal"]}]
READ = ("descent", "changes", "about", "text1", "text2", "evidence")  # the sections that these holds can have
# Of a form that nobody could fill in on the page: the page's own token, and any fields beside it.
FORGE = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action: path });
  for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  document.body.append(form);
  form.submit();
}"""


@dataclass(slots=True)
class Story:
    """Where everything is, and what arrived."""

    house: house.House
    newsroom: Newsroom
    sidecar: Sidecar
    session: ClientSession
    key: ECKey
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Of the console."""
        host, port = self.sidecar.people_address or ("", 0)
        return f"http://{host}:{port}"

    @property
    def sent(self) -> list[Arrival]:
        """Every write that reached the upstream, in order."""
        return self.newsroom.arrivals

    async def ask(self, method: str, path: str, body: bytes = b"", credential: str | None = None) -> tuple[int, Document]:
        """One request of the agent, of exactly these bytes."""
        host, port = self.sidecar.agents_address or ("", 0)
        headers = {"Authorization": f"Bearer {credential or self.house.key}", **({"Content-Type": "application/json"} if body else {})}
        async with self.session.request(method, f"http://{host}:{port}/newsroom{path}", data=body or None, headers=headers) as reply:
            answer = orjson.loads(await reply.read())
            return reply.status, answer

    async def hold(self, method: str, path: str, body: bytes = b"", credential: str | None = None) -> str:
        """The hold that a request of the agent opened."""
        status, answer = await self.ask(method, path, body, credential)
        assert status == 403, answer
        named = answer.get("hold")
        assert isinstance(named, dict), answer
        return str(named["id"])

    def acting_for(self, subject: str) -> str:
        """A token of the courier, who acts for this person."""
        seconds = int(time.time())
        claims = {"iss": ISSUER, "aud": "stagewarden", "sub": subject, "act": {"sub": "workload:courier"}, "iat": seconds, "exp": seconds + 600}
        return token(claims, self.key)

    async def stored(self, identifier: str) -> Hold:
        """A hold as the sidecar has it."""
        return await self.sidecar.rooms.holds.get(identifier)

    def registry(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Another registry in the file; it counts from the next reload on."""
        rewrite(self.house.folder / "registry.yaml", change)

    def log(self) -> Report:
        """What `audit verify` says."""
        return verify(self.house.folder / "audit")

    async def sign_in(self, page: Page, person: str, path: str = "/") -> None:
        """Through the door, whoever was there before."""
        await page.context.clear_cookies()
        await enter(page, f"{self.url}/sign-in", person, self.house.password(person))
        await page.goto(self.url + path)

    async def forge_vote(self, page: Page, identifier: str, function: str) -> Response:
        """An approval with everything right that a form can carry."""
        hold = await self.stored(identifier)
        yes = {f"answer-{name}": "yes" for name in hold.questions} | {f"read-{name}": "yes" for name in READ}
        given = {"decision": "approve", "function": function, "typed": "newsroom-site"}
        fields = {"digest": hold.digest, "view_digest": hold.view_digest, **given, **yes}
        return await self.forge(page, f"/holds/{identifier}/vote", fields)

    async def forge(self, page: Page, path: str, fields: dict[str, str]) -> Response:
        """A form no page of ours has, sent from one of ours by whoever is signed in, with the page's own token."""
        token = await page.locator("input[name=csrf]").first.input_value()
        async with page.expect_navigation() as moved:
            await page.evaluate(FORGE, [path, {"csrf": token, **fields}])
        response = await moved.value
        assert response is not None
        return response


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A YAML file, changed."""
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_bytes(orjson.dumps(document))  # JSON is YAML without its aliases, which no file of ours may have


def _rights(settle: str | None) -> Callable[[dict[str, Any]], None]:
    """The agent's owner can review too; carol is known to an issuer, and as carla; a second agent acts for people; three seats for high tier."""

    def change(registry: dict[str, Any]) -> None:
        registry["people"]["alice"]["functions"].append("reviewer")
        registry["people"]["carol"]["identity"] = {"issuer": ISSUER, "subject": "carol"}
        registry["people"]["carla"] = {"functions": ["legal"], "name": "Carol Adeyemi", "aliases": ["carol"]}
        drafter = registry["agents"]["drafter"]
        registry["agents"]["courier"] = {**drafter, "identity": {"issuer": ISSUER, "subject": "workload:courier"}}
        registry["tiers"] = {"high": {"seats": SEATS}, **({"medium": {"settle": settle}} if settle else {})}

    return change


def _settings(upstream: str) -> Callable[[dict[str, Any]], None]:
    """Ports of the system's choice; the upstream; who wrote an article stands in it; an issuer of tokens."""

    def change(config: dict[str, Any]) -> None:
        for listener in config["listen"].values():
            listener["bind"] = "127.0.0.1:0"
        config.pop("people")
        config["policy"] = yaml.safe_load(WASM)
        config["identity"]["agents"].append({"kind": "jwt", "issuer": ISSUER, "audience": "stagewarden", "keys": "file:jwks.json"})
        newsroom = config["upstreams"]["newsroom"]
        newsroom["url"] = upstream
        for route in newsroom["routes"]:
            if "lookup" in route:
                route["lookup"]["authors"] = ["/author"]

    return change


@asynccontextmanager
async def story(folder: Path, *, settle: str | None = None) -> AsyncIterator[Story]:
    """The newsroom with two public articles, the sandbox before it, everybody at home."""
    written = house.write(folder / "house", SystemClock())
    newsroom = Newsroom(written.upstream_token("drafter"), written.upstream_token("publisher"))
    for number, author in (("7", "frank"), ("8", "bob")):
        newsroom.articles[number] = {
            "id": number, "status": "published", "title": f"Article {number}", "body": "As it stands.", "offers": [], "claims": [], "author": author,
        }  # fmt: skip
    key = ECKey.generate_key("P-256", {"kid": "one"}, private=True)
    (written.folder / "jwks.json").write_bytes(key_set(key))
    rewrite(written.folder / "registry.yaml", _rights(settle))
    rewrite(written.folder / "people.yaml", lambda users: users.update(carla=users["carol"]))
    (written.folder / "secrets" / "people" / "carla.password").write_text(written.password("carol"))
    async with serving(newsroom.application()) as upstream, ClientSession() as session:
        rewrite(written.config, _settings(upstream))
        async with running(configuration.load(written.config)) as sidecar:
            yield Story(written, newsroom, sidecar, session, key)
