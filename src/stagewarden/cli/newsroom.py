"""An example newsroom API, the demo's upstream: articles that are drafted, edited, published and deleted.

A small but honest target: it has its own two credentials (the drafter's cannot publish) and counts what arrives.
`python -m stagewarden.cli.newsroom --bind HOST:PORT` serves it alone. Never part of the sidecar.
"""

from __future__ import annotations

import hmac
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stagewarden.model import JSON, Document

_ROLE = web.RequestKey("role", str)
_WRITABLE = frozenset({"title", "body", "offers", "claims"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as the newsroom saw it."""

    method: str
    path: str
    role: str
    ruling: str | None
    body: bytes


@dataclass(slots=True)
class Newsroom:
    """Articles by id and everything that arrived, in order."""

    drafter: str
    publisher: str
    articles: dict[str, Document] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def application(self) -> web.Application:
        """The API as an aiohttp application."""
        application = web.Application(middlewares=[self._arrived])
        application.router.add_get("/articles", self._list)
        application.router.add_post("/articles", self._create)
        application.router.add_get("/articles/{id}", self._show)
        application.router.add_patch("/articles/{id}", self._edit)
        application.router.add_post("/articles/{id}/publish", self._publish)
        application.router.add_delete("/articles/{id}", self._delete)
        return application

    @property
    def published(self) -> list[Document]:
        """What is public."""
        return [article for article in self.articles.values() if article["status"] == "published"]

    @web.middleware
    async def _arrived(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        role = next((name for name, secret in (("drafter", self.drafter), ("publisher", self.publisher)) if hmac.compare_digest(token, secret)), "")
        if not role:
            return web.json_response({"error": "no acceptable credential"}, status=401)
        request[_ROLE] = role
        if request.method != "GET":
            ruling = request.headers.get("Stagewarden-Ruling")
            self.arrivals.append(Arrival(request.method, request.path, role, ruling, await request.read()))
        return await handler(request)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.articles.values()))

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(self._article(request))

    async def _create(self, request: web.Request) -> web.Response:
        article: Document = {"id": str(next(self._ids)), "status": "draft", "title": "", "body": "", "offers": [], "claims": []}
        article.update(await _members(request))
        self.articles[str(article["id"])] = article
        return web.json_response(article, status=201)

    async def _edit(self, request: web.Request) -> web.Response:
        article = self._article(request)
        if article["status"] == "published" and request[_ROLE] != "publisher":
            return web.json_response({"error": "a published article takes the publisher's credential"}, status=403)
        article.update(await _members(request))
        return web.json_response(article)

    async def _publish(self, request: web.Request) -> web.Response:
        article = self._article(request)
        if request[_ROLE] != "publisher":
            return web.json_response({"error": "publishing takes the publisher's credential"}, status=403)
        article["status"] = "published"
        return web.json_response(article)

    async def _delete(self, request: web.Request) -> web.Response:
        article = self._article(request)
        if request[_ROLE] != "publisher":
            return web.json_response({"error": "deleting takes the publisher's credential"}, status=403)
        del self.articles[str(article["id"])]
        return web.json_response({"deleted": article["id"]})

    def _article(self, request: web.Request) -> Document:
        article = self.articles.get(request.match_info["id"])
        if article is None:
            raise web.HTTPNotFound(text='{"error": "no such article"}', content_type="application/json")
        return article


async def _members(request: web.Request) -> Document:
    body: JSON = await request.json()
    if not isinstance(body, dict) or not set(body) <= _WRITABLE:
        raise web.HTTPUnprocessableEntity(text='{"error": "members: title, body, offers, claims"}', content_type="application/json")
    return body


@click.command()
@click.option("--bind", default="127.0.0.1:9000", show_default=True, help="Where to listen.")
@click.option("--drafter", required=True, help="The drafter's token.")
@click.option("--publisher", required=True, help="The publisher's token.")
def main(bind: str, drafter: str, publisher: str) -> None:
    """Serve the example newsroom alone."""
    host, _, port = bind.rpartition(":")
    web.run_app(Newsroom(drafter, publisher).application(), host=host, port=int(port), access_log=None, print=None)


if __name__ == "__main__":
    main()
