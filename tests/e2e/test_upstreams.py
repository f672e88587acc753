"""Upstreams as configured, through the whole product: https with its checks, and routing by Host."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

from stagewarden import config as configuration
from stagewarden.app import running
from tests.authority import Authority
from tests.e2e.houses import NOWHERE
from tests.e2e.processes import SidecarProcess, exchange
from tests.product import House, house
from tests.upstreams import RecordingUpstream

if TYPE_CHECKING:
    from pathlib import Path


def with_upstreams(folder: Path, **upstreams: str) -> House:
    """The house, and upstreams at these addresses: each is mounted at its own name."""
    made = house(folder, NOWHERE)
    made.config.write_text(made.config.read_text().rstrip("\n") + "".join(_upstream(name, url, f"mount: /{name}") for name, url in upstreams.items()))
    return made


def _upstream(name: str, url: str, place: str) -> str:
    return f"""
  {name}:
    url: {url}
    {place}
    destination: newsroom-site
    connect_deadline: 4s
    credentials: {{generate: {{header: Authorization, value: "file:secrets/drafter"}}}}
    routes: [{{match: POST /articles, stage: generate, kind: article.draft, body: json}}]"""


async def test_https_upstreams_are_verified(tmp_path):
    """By the system's authorities (here SSL_CERT_FILE), by name, from TLS 1.2 on; whoever does not pass sees nothing of the request."""
    for part in ("ours", "theirs"):
        (tmp_path / part).mkdir()
    ours, theirs = Authority.make(tmp_path / "ours"), Authority.make(tmp_path / "theirs")
    old = ours.server("localhost")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    good, misnamed, stranger = ours.server("localhost"), ours.server("elsewhere.test"), theirs.server("localhost")
    contexts = {"secure": good, "misnamed": misnamed, "stranger": stranger, "old": old, "plain": None}
    servers = {name: RecordingUpstream(tls=context) for name, context in contexts.items()}
    for server in servers.values():
        await server.__aenter__()
    try:
        urls = {name: f"https://localhost:{server.port}" for name, server in servers.items()}
        sidecar = SidecarProcess(with_upstreams(tmp_path / "house", **urls), {"SSL_CERT_FILE": str(ours.file)})
        try:
            await asyncio.to_thread(sidecar.start)
            replies = {name: await asyncio.to_thread(sidecar.ask, "POST", f"/{name}/articles", json={"title": "x"}) for name in servers}
        finally:
            sidecar.close()
    finally:
        for server in servers.values():
            await server.__aexit__()
    assert (replies.pop("secure").status, len(servers.pop("secure").requests)) == (200, 1)
    for name, reply in replies.items():
        assert (reply.status, reply.json["type"]) == (502, "urn:stagewarden:problem:upstream_unavailable"), name
        assert servers[name].requests == [], name


async def test_an_upstreams_own_authority(tmp_path):
    """`ca` counts for its upstream alone, and instead of the system's. Another authority, name or time, and nothing of the request arrives."""
    for part in ("ours", "theirs"):
        (tmp_path / part).mkdir()
    ours, theirs = Authority.make(tmp_path / "ours"), Authority.make(tmp_path / "theirs")
    contexts = {
        "secure": ours.server("localhost"),
        "stranger": theirs.server("localhost"),
        "misnamed": ours.server("elsewhere.test"),
        "expired": ours.server("localhost", days=(-3, -1)),
        "selfsigned": ours.server("localhost", self_signed=True),
        "without": ours.server("localhost"),
    }
    async with contextlib.AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(RecordingUpstream(tls=context)) for name, context in contexts.items()}
        made = with_upstreams(tmp_path / "house", **{name: f"https://localhost:{server.port}" for name, server in servers.items()})
        (made.folder / "ours.pem").write_text(ours.pem)
        text = made.config.read_text()
        for name in servers.keys() - {"without"}:
            text = text.replace(f"mount: /{name}\n", f'mount: /{name}\n    ca: "file:ours.pem"\n')
        made.config.write_text(text)
        async with running(configuration.load(made.config)) as sidecar:
            assert sidecar.agents_address
            headers = {"Authorization": f"Bearer {made.keys['drafter']}", "Content-Type": "application/json"}
            for name, server in servers.items():
                reply = await asyncio.to_thread(exchange, sidecar.agents_address[1], "POST", f"/{name}/articles", headers, b'{"title": "x"}')
                if name == "secure":
                    assert (reply.status, len(server.requests)) == (200, 1)
                else:
                    assert (reply.status, reply.json["type"]) == (502, "urn:stagewarden:problem:upstream_unavailable"), name
                    assert server.requests == [], name


async def test_an_upstream_by_host(tmp_path):
    """A Host of an upstream leads there with the target unchanged, whatever its case and port; one that nobody answers to leads nowhere."""
    async with RecordingUpstream() as upstream:
        authority = upstream.url.removeprefix("http://")
        made = house(tmp_path, NOWHERE)
        made.config.write_text(made.config.read_text().rstrip("\n") + _upstream("named", upstream.url, "hosts: [cms.internal]"))
        async with running(configuration.load(made.config)) as sidecar:
            assert sidecar.agents_address
            port = sidecar.agents_address[1]

            async def ask(name: str, path: str = "/articles") -> int:
                headers = {"Authorization": f"Bearer {made.keys['drafter']}", "Content-Type": "application/json", "Host": name}
                return (await asyncio.to_thread(exchange, port, "POST", path, headers, b'{"title": "x"}')).status

            for name in ("cms.internal", "CMS.Internal", f"cms.internal:{port}", "cms.internal:80"):
                assert await ask(name) == 200, name
            for name in ("cms.internal.", "other.internal", "cms.internal.other.test", "a@cms.internal", "cms.internal:x", ""):
                assert await ask(name) == 400, name
            assert await ask("cms.internal", "/newsroom/articles") == 403  # on that name, the mounts of other upstreams are not there
            assert await ask(f"127.0.0.1:{port}", "/articles") == 403
            assert await ask("cms.internal", "/.stagewarden/holds/h_none/withdraw") == 404
    assert {(request.target, request.header("Host")) for request in upstream.requests} == {("/articles", authority)}
    assert len(upstream.requests) == 4
