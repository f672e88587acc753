"""Agents' identities as configured: order, finality, reload; and the fetch of key sets over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from stagewarden.config import JwtIdentity, KeyIdentity, Secret, Secrets
from stagewarden.errors import BadCredential, CannotTell, ConfigError
from stagewarden.identity.agents import AgentIdentities
from stagewarden.identity.fetch import MAX_REPLY, fetch, url_problem
from stagewarden.identity.keys import new_key
from stagewarden.registry import Registry, RegistryData
from tests.unit.identity.people_and_agents import ISSUER, StillClock, head, registry
from tests.unit.identity.tokens_made_here import EC, EC_NEXT, claims, key_set, token

if TYPE_CHECKING:
    from pathlib import Path

KEYS = KeyIdentity(keys=Secret("file:agent-keys.yaml"))
JWT = JwtIdentity(issuer=ISSUER, audience="stagewarden", keys="file:jwks.json")


def write(path: Path, text: str | bytes) -> None:
    """A file only we can read."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)


async def identities(folder: Path, clock: StillClock, *settings: Any) -> AgentIdentities:
    """Opened, with files in `folder`."""
    door = AgentIdentities(settings, Secrets(folder, {}), registry(), clock, fetch)
    await door.open()
    return door


async def test_key_and_token_side_by_side(tmp_path: Path) -> None:
    """Each authenticator takes its own, in whatever order they stand."""
    clock = StillClock()
    key, stored = new_key("drafter-key")
    write(tmp_path / "agent-keys.yaml", f"drafter-key: '{stored}'\n")
    write(tmp_path / "jwks.json", key_set(EC))
    for settings in ((KEYS, JWT), (JWT, KEYS)):
        door = await identities(tmp_path, clock, *settings)
        assert (await door.authenticate(head(f"Bearer {key}"))).agent == "drafter-7"
        assert (await door.authenticate(head(f"Bearer {token(claims(clock))}"))).agent == "publisher-1"


@pytest.mark.parametrize("value", [None, "Basic YTpi", "Bearer opaque", "Bearer swp_x", "bearer", "Bearer a.b.c"], ids=repr)
async def test_nobodys_credential_is_a_bad_one(tmp_path: Path, value: str | None) -> None:
    """Nothing goes in unclaimed."""
    write(tmp_path / "jwks.json", key_set(EC))
    door = await identities(tmp_path, StillClock(), JWT)
    with pytest.raises(BadCredential):
        await door.authenticate(head(value))


async def test_without_authenticators_nobody_is_known(tmp_path: Path) -> None:
    """An empty list is a no."""
    with pytest.raises(BadCredential):
        await (await identities(tmp_path, StillClock())).authenticate(head("Bearer x"))


async def test_a_bad_token_is_not_tried_elsewhere(tmp_path: Path) -> None:
    """What is "mine and bad" is final: the next authenticator is not asked."""
    clock = StillClock()
    write(tmp_path / "jwks.json", key_set(EC))
    write(tmp_path / "agent-keys.yaml", f"a: '{'0' * 64}'\n")
    door = await identities(tmp_path, clock, JWT, KEYS)
    with pytest.raises(BadCredential, match="expired"):
        await door.authenticate(head(f"Bearer {token(claims(clock, exp=1))}"))


async def test_reload_reads_keys_and_registry_again(tmp_path: Path) -> None:
    """A key taken out of the file, and an agent taken out of the registry, are gone with the next request."""
    clock = StillClock()
    key, stored = new_key("drafter-key")
    write(tmp_path / "agent-keys.yaml", f"drafter-key: '{stored}'\n")
    write(tmp_path / "jwks.json", key_set(EC))
    door = await identities(tmp_path, clock, KEYS, JWT)
    bearer = f"Bearer {token(claims(clock))}"
    assert (await door.authenticate(head(bearer))).agent == "publisher-1"
    write(tmp_path / "agent-keys.yaml", f"other: '{'0' * 64}'\n")
    write(tmp_path / "jwks.json", key_set(EC, EC_NEXT))
    await door.reload(Registry.of(RegistryData()))
    with pytest.raises(BadCredential):
        await door.authenticate(head(f"Bearer {key}"))
    assert (await door.authenticate(head(bearer))).agent != "publisher-1"
    assert await door.authenticate(head(f"Bearer {token(claims(clock), EC_NEXT)}"))


@pytest.mark.parametrize(("file", "text"), [("agent-keys.yaml", "a: canary-secret"), ("jwks.json", "canary-secret"), ("jwks.json", '{"keys": []}')])
async def test_a_broken_reload_changes_nothing(tmp_path: Path, file: str, text: str) -> None:
    """The last good keys and registry stay; the error names the file and repeats nothing of it."""
    clock = StillClock()
    key, stored = new_key("drafter-key")
    write(tmp_path / "agent-keys.yaml", f"drafter-key: '{stored}'\n")
    write(tmp_path / "jwks.json", key_set(EC))
    door = await identities(tmp_path, clock, KEYS, JWT)
    write(tmp_path / file, text)
    with pytest.raises(ConfigError, match=file) as caught:
        await door.reload(Registry.of(RegistryData()))
    assert "canary-secret" not in str(caught.value)
    assert (await door.authenticate(head(f"Bearer {key}"))).agent == "drafter-7"
    assert (await door.authenticate(head(f"Bearer {token(claims(clock))}"))).agent == "publisher-1"


async def test_a_missing_file_refuses_to_start(tmp_path: Path) -> None:
    """Named, before anything listens."""
    for settings in (KEYS, JWT):
        with pytest.raises(ConfigError, match=r"agent-keys\.yaml|jwks\.json"):
            await identities(tmp_path, StillClock(), settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "http://127.0.0.1.issuer.example/keys",
        "http://10.0.0.1/keys",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://issuer.example/keys",
        "https://",
        "https://user@issuer.example/keys",
        "https://issuer.example:99999/keys",
        "https://[::1/keys",
        "issuer.example/keys",
        "",
    ],
)
async def test_an_address_that_may_not_be_fetched(url: str) -> None:
    """https, or http on loopback; nothing is asked of anything else."""
    assert url_problem(url) is not None
    with pytest.raises(CannotTell):
        await fetch(url)


@pytest.mark.parametrize("url", ["https://issuer.example/keys", "http://127.0.0.1:8/keys", "http://[::1]/keys", "http://localhost/keys"])
def test_an_address_that_may_be_fetched(url: str) -> None:
    """The other half of the rule."""
    assert url_problem(url) is None


async def test_keys_come_over_http_from_loopback(tmp_path: Path, aiohttp_server: Any) -> None:
    """The whole way: a URL, a fetch, a rotation."""
    clock = StillClock()
    replies = [key_set(EC)]

    async def keys(request: web.Request) -> web.Response:
        assert "Cookie" not in request.headers
        return web.Response(body=replies[-1], headers={"Set-Cookie": "a=b"})

    app = web.Application()
    app.router.add_get("/keys", keys)
    server = await aiohttp_server(app)
    door = await identities(tmp_path, clock, JwtIdentity(issuer=ISSUER, audience="stagewarden", keys=str(server.make_url("/keys"))))
    assert await door.authenticate(head(f"Bearer {token(claims(clock))}"))
    replies.append(key_set(EC_NEXT))
    clock.pass_(31)
    assert await door.authenticate(head(f"Bearer {token(claims(clock), EC_NEXT)}"))


@pytest.mark.parametrize("path", ["/elsewhere", "/error", "/endless"])
async def test_a_redirect_an_error_and_an_endless_reply_are_refused(path: str, aiohttp_server: Any) -> None:
    """Followed nowhere, read no further than the bound."""
    followed = []

    async def target(request: web.Request) -> web.Response:
        followed.append(request.path)
        return web.Response(body=key_set(EC))

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("/keys")

    async def error(_: web.Request) -> web.Response:
        return web.Response(status=500, body=key_set(EC))

    async def endless(_: web.Request) -> web.Response:
        return web.Response(body=b" " * (MAX_REPLY + 1))

    app = web.Application()
    app.router.add_get("/keys", target)
    app.router.add_get("/elsewhere", elsewhere)
    app.router.add_get("/error", error)
    app.router.add_get("/endless", endless)
    server = await aiohttp_server(app)
    with pytest.raises(CannotTell):
        await fetch(str(server.make_url(path)))
    assert followed == []
