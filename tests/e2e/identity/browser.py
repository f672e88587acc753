"""A certified OpenID provider as a process of its own, a production house that lets people in by it, and a browser that can follow them all."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp
import yaml

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.newsroom import Newsroom
from stagewarden.clock import SystemClock
from tests.authority import Authority
from tests.e2e.processes import until
from tests.needs import needs
from tests.ports import free_ports
from tests.product import DRAFTER, PUBLISHER, Product, house, serving

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator, Mapping

SCRIPT = Path(__file__).with_name("provider.mjs")
CLIENT, SECRET = "stagewarden", "a secret, with: signs"
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_REFRESH = re.compile(r'http-equiv="refresh" content="0; url=([^"]+)"')


class Shifted(SystemClock):
    """The system's clock, and how far the wall clock is off."""

    def __init__(self) -> None:
        super().__init__()
        self.off_ns = 0

    def now_ns(self) -> int:
        """The wall clock, as it is set."""
        return super().now_ns() + self.off_ns


@contextmanager
def provider(folder: Path, console: str, groups: Mapping[str, list[str]], authority: Path) -> Iterator[str]:
    """The provider, and its issuer; it trusts our authority for its back channel."""
    modules = needs("oidc-provider").parents[1]
    (port,) = free_ports(1)
    environ = {**os.environ, "GROUPS": json.dumps(groups), "NODE_EXTRA_CA_CERTS": str(authority)}
    words = ["node", str(SCRIPT), str(modules), str(port), f"{console}/sign-in/callback", f"{console}/sign-in/logout"]
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environ)
    try:
        until(lambda: b"listening" in (folder / "provider.log").read_bytes(), "the provider")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@dataclass
class Page:
    """What a browser shows, and what its address bar says."""

    url: str
    status: int
    text: str
    seen: list[str]  # every address on the way
    place: str | None = None  # where it leads, where that was not followed

    def fields(self) -> dict[str, str]:
        """Hidden fields of its forms."""
        return {name: html.unescape(value) for name, value in _HIDDEN.findall(self.text)}

    def action(self) -> str:
        """Where its form leads."""
        found = _FORM.search(self.text)
        assert found, self.text
        return urljoin(self.url, html.unescape(found[1]))


class Browser:
    """Cookies, redirects and meta refreshes; says where it comes from as a browser does."""

    def __init__(self, session: aiohttp.ClientSession, console: str) -> None:
        self._session = session
        self.console = console

    async def go(self, url: str, fields: Mapping[str, str] | None = None, *, follow: bool = True) -> Page:
        """To an address, or with a form; on to wherever it leads."""
        url, seen = urljoin(self.console, url), []
        while True:
            seen.append(url)
            assert len(seen) < 20, seen
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
            headers = {} if fields is None else {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
            method = "GET" if fields is None else "POST"
            async with self._session.request(method, url, data=fields, headers=headers, allow_redirects=False) as answer:
                text, fields = await answer.text(), None
                place = answer.headers.get("Location") or ((found := _REFRESH.search(text)) and html.unescape(found[1]))
                if not follow or not place:
                    return Page(url, answer.status, text, seen, urljoin(url, place) if place else None)
                url = urljoin(url, place)

    async def sign_in(self, account: str, start: str = "/sign-in/away", *, follow: bool = True) -> Page:
        """To the provider, its login and consent forms, and back."""
        page = await self.go(start)
        for _ in range(3):
            if page.url.startswith(self.console):
                break
            fields = {**page.fields(), **({"login": account, "password": "any"} if 'name="login"' in page.text else {})}
            page = await self.go(page.action(), fields, follow=follow)
        return page


@dataclass
class Office:
    """The product in production, its provider, and browsers for people."""

    product: Product
    console: str
    issuer: str
    clock: Shifted
    authority: Path
    _trusted: ssl.SSLContext

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """One with no cookies yet."""
        connector, jar = aiohttp.TCPConnector(ssl=self._trusted), aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            yield Browser(session, self.console)


@asynccontextmanager
async def office(folder: Path, groups: Mapping[str, list[str]], **people: object) -> AsyncIterator[Office]:
    """Subjects are `NAME-subject`; `people` changes the section of that name in the configuration."""
    authority = Authority.make(folder)
    authority.server_certificate("localhost").save(folder / "people.pem", folder / "people.key")
    (port,) = free_ports(1)
    console = f"https://localhost:{port}"
    newsroom = Newsroom(DRAFTER, PUBLISHER)
    shifted = Shifted()
    with provider(folder, console, groups, authority.file) as issuer:
        async with serving(newsroom.application()) as upstream:
            made = house(folder, upstream)
            _production(made.config, issuer, console, people)
            _subjects(folder / "registry.yaml", issuer)
            (folder / "secrets" / "provider").write_text(SECRET + "\n")
            (folder / "secrets" / "provider").chmod(0o600)
            async with running(configuration.load(made.config), clock=shifted) as sidecar, aiohttp.ClientSession() as session:
                yield Office(Product(sidecar, made, session, newsroom), console, issuer, shifted, authority.file, authority.client())


def _production(path: Path, issuer: str, console: str, people: Mapping[str, object]) -> None:
    config = yaml.safe_load(path.read_text())
    config["environment"] = "production"
    config["holds"]["settle"] = "0s"
    config["listen"]["people"] = {
        "bind": console.replace("https://localhost", "127.0.0.1"),
        "hosts": ["localhost"],
        "tls": {"certificate": "file:people.pem", "key": "file:people.key"},
    }
    client = {"client_id": CLIENT, "client_secret": "file:secrets/provider", "groups": "groups", "scopes": ["openid", "groups"]}
    config["identity"]["people"] = [{"kind": "oidc", "issuer": issuer, **client}]
    config["people"] = {"url": console, **people}
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def _subjects(path: Path, issuer: str) -> None:
    registry = yaml.safe_load(path.read_text())
    for name, person in registry["people"].items():
        person["identity"] = {"issuer": issuer, "subject": f"{name}-subject"}
    registry["people"]["ines"]["group"] = "editors"
    path.write_text(yaml.safe_dump(registry, sort_keys=False))
