"""`login` and `logout` against the people's listener: the code carried or brought, what is kept, and what is never believed."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, CookieJar
from click.testing import CliRunner

from stagewarden.cli import login, logins, main
from stagewarden.cli.exits import Finding
from stagewarden.identity.terminals import asking
from tests.people_listener import people_listener
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result

    from tests.people_listener import Served

CODE = "swc_" + "A" * 43


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener on loopback."""
    async with people_listener(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a terminal keeps what it was given; no token in the environment."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STAGEWARDEN_TOKEN", raising=False)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return tmp_path / "state" / "stagewarden" / "logins"


async def run(*words: str, typed: str | None = None) -> Result:
    """The command in a thread, and what is typed into it."""
    return await asyncio.to_thread(CliRunner().invoke, main, [*words], input=typed)


def files(folder: Path) -> list[Path]:
    """What a terminal keeps."""
    return [*folder.iterdir()] if folder.exists() else []


def mode(path: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


class Human:
    """Opens the link in a browser of their own, compares the letters, says yes, and types the code."""

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch, who: str = "ines") -> None:
        self.served, self.who = served, who
        self.shown: list[str] = []
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(login.click, "prompt", self._type)
        monkeypatch.setattr(login.webbrowser, "get", lambda: None)
        monkeypatch.setattr(login.webbrowser, "open", self._open)
        monkeypatch.setattr(login.click, "echo", lambda text, **_: self.shown.append(str(text)))

    async def say_yes(self, link: str) -> str:
        """The page after it."""
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
            csrf = await sign_in(http, self.served, self.who)
            async with http.get(link) as answer:
                page = await answer.text()
            letters = next(line.removeprefix("Letters to compare: ") for line in self.shown if line.startswith("Letters"))
            assert f">{letters}<" in page
            ask = re.search(r'name="ask" value="([^"]+)"', page)[1]
            async with http.post(f"{self.served.url}/terminal", data={"csrf": csrf, "ask": ask}, headers={"Origin": self.served.url}) as answer:
                return await answer.text()

    def _page(self, link: str) -> str:
        return asyncio.run_coroutine_threadsafe(self.say_yes(link), self._loop).result(20)

    def _type(self, _: str) -> str:
        link = self.shown[-1].rpartition("\n")[2]
        return re.search(r"swc_[\w-]{43}", self._page(link))[0]

    def _open(self, link: str) -> bool:
        place = re.search(r'content="0; url=([^"]+)"', self._page(link))[1].replace("&amp;", "&")
        threading.Thread(target=lambda: urllib.request.urlopen(place).read()).start()
        return True


@pytest.mark.parametrize("how", ["--carry", "over-ssh", "brought"])
async def test_a_terminal_is_signed_in(served: Served, home: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """By a code that is typed (asked for, or over ssh) or brought to the loopback; afterwards the commands act as that person; logout ends it."""
    human = Human(served, monkeypatch)
    if how == "over-ssh":
        monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")
    result = await run("login", "--url", served.url + "/", *(["--carry"] if how == "--carry" else []))
    assert result.exit_code == 0, result.output
    assert any(line.startswith("signed in as ines until 2") for line in human.shown)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(home.parents[1]))
    (kept,) = files(home)
    assert (mode(kept), mode(home)) == (0o600, 0o700)
    assert (await run("agents", "pause", "drafter-7", "--url", served.url)).exit_code == 0
    assert served.gate.modes["drafter-7"][:2] == ("paused", "ines")
    token = json.loads(kept.read_text())["token"]
    out = await run("logout", "--url", served.url)
    assert (out.exit_code, out.output, files(home)) == (0, "ines: signed out\n", [])
    assert served.people.by_bearer(token) is None


async def test_no_token_is_shown(served: Served, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither token nor verifier stands in what a terminal says: scrollback is read by others."""
    human = Human(served, monkeypatch)
    await run("login", "--url", served.url)
    (kept,) = files(home)
    login_kept = json.loads(kept.read_text())
    assert not any(login_kept["token"] in line or "swc_" in line for line in human.shown)
    assert "token" not in repr(logins.of(served.url))


async def test_what_is_kept_goes_to_its_own_listener_alone(served: Served, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another address gets nothing, and is not even asked; a file that was moved there neither."""
    Human(served, monkeypatch)
    await run("login", "--url", served.url)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(home.parents[1]))
    monkeypatch.delenv("STAGEWARDEN_TOKEN", raising=False)
    other = "http://127.0.0.1:1"
    assert "nobody is signed in" in (await run("agents", "list", "--url", other)).output
    logins._path(served.url).rename(logins._path(other))
    assert (await run("agents", "list", "--url", other)).exit_code == 2


@pytest.mark.parametrize("why", ["open to others", "torn", "another's words"])
async def test_a_file_that_is_not_ours_alone_is_not_used(served: Served, home: Path, why: str) -> None:
    """Said, and not read; logout forgets it."""
    logins.keep(served.url, "ines", "2099-01-01T00:00:00Z", "sws_" + "A" * 43)
    (kept,) = files(home)
    match why:
        case "open to others":
            kept.chmod(0o640)
        case "torn":
            kept.write_text(kept.read_text()[:20])
        case _:
            kept.write_text('{"person": "ines"}')
    with pytest.raises(Finding):
        logins.of(served.url)
    result = await run("agents", "list", "--url", served.url)
    assert (result.exit_code, "sws_" in result.output) == (1, False)
    assert (await run("logout", "--url", served.url)).exit_code == 1
    assert files(home) == []


async def test_a_login_that_is_over_says_what_helps(served: Served, home: Path) -> None:
    """The server decides; the command names the way back; logout cleans up and ends well."""
    logins.keep(served.url, "ines", "2099-01-01T00:00:00Z", "sws_" + "A" * 43)
    result = await run("agents", "list", "--url", served.url)
    assert (result.exit_code, "sign in again: `stagewarden login`" in result.output) == (1, True)
    out = await run("logout", "--url", served.url)
    assert (out.exit_code, out.output, files(home)) == (0, "ines: it was over already\n", [])
    assert (await run("logout", "--url", served.url)).exit_code == 1


async def test_a_token_of_the_environment_comes_first(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody set for this command is meant."""
    logins.keep(served.url, "ines", "2099-01-01T00:00:00Z", "sws_" + "A" * 43)
    monkeypatch.setenv("STAGEWARDEN_TOKEN", served.tokens["mara"])
    assert (await run("agents", "list", "--url", served.url)).exit_code == 0


async def test_logout_that_does_not_reach_the_server_keeps_the_means(home: Path) -> None:
    """The token is still good there: whoever asks again can still end it."""
    logins.keep("http://127.0.0.1:1", "ines", "2099-01-01T00:00:00Z", "sws_" + "A" * 43)
    assert (await run("logout", "--url", "http://127.0.0.1:1")).exit_code == 3
    assert len(files(home)) == 1


async def test_no_code_signs_nobody_in(served: Served, home: Path) -> None:
    """Three times something else, a code nobody gave, or the end of the input: a refusal, and nothing is kept."""
    for typed, code in (("x\ny\nz\n", 1), (f"{CODE}\n", 1), ("", 1)):
        assert (await run("login", "--carry", "--url", served.url, typed=typed)).exit_code == code
    assert files(home) == []


@pytest.mark.parametrize("url", ["http://approve.example", "ftp://127.0.0.1", "approve.example"])
async def test_a_login_goes_to_no_plain_address(url: str) -> None:
    """The token would cross the network in clear: usage."""
    assert (await run("login", "--url", url)).exit_code == 2


@pytest.mark.parametrize(
    ("host", "path"),
    [
        (None, f"/?state=wrong&code={CODE}"),
        (None, f"/?code={CODE}"),
        (None, f"/?state=STATE&code={CODE}&code={CODE}"),
        (None, "/?state=STATE&code=swc_x"),
        (None, f"/other?state=STATE&code={CODE}"),
        ("localhost", f"/?state=STATE&code={CODE}"),
        ("evil.example", f"/?state=STATE&code={CODE}"),
    ],
    ids=["wrong-state", "no-state", "two-codes", "no-code", "elsewhere", "another-name", "dns-rebinding"],
)
async def test_the_loopback_takes_nothing_else(host: str | None, path: str) -> None:
    """RFC 8252 section 8.9 and DNS rebinding: another page cannot sign this terminal in as somebody else; what fits still counts afterwards."""
    with login._Loopback() as waiting:
        at = f"http://127.0.0.1:{waiting.port}"
        waited = asyncio.create_task(asyncio.to_thread(waiting.code, 20.0))
        request = urllib.request.Request(at + path.replace("STATE", waiting.state), headers={"Host": host} if host else {})
        with pytest.raises(urllib.error.HTTPError):
            await asyncio.to_thread(urllib.request.urlopen, request)
        assert waiting.found is None
        good = await asyncio.to_thread(urllib.request.urlopen, f"{at}/?state={waiting.state}&code={CODE}")
        assert good.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert CODE.encode() not in good.read()
        good.close()
        assert await waited == CODE


def test_nobody_comes() -> None:
    """The wait ends."""
    with login._Loopback() as waiting:
        assert waiting.code(0.05) is None


def test_the_label_is_one_a_link_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine and its user are called."""
    monkeypatch.setattr(login.getpass, "getuser", lambda: "Zoë <b> ")
    monkeypatch.setattr(login.socket, "gethostname", lambda: "x" * 200)
    assert asking(f"{'A' * 43}.{'B' * 43}.0.{login._label()}") is not None
    monkeypatch.setattr(login.getpass, "getuser", _nameless)
    assert login._label().startswith("user@")


def _nameless() -> str:
    raise KeyError("getpwuid(): uid not found")


async def test_access_from_a_terminal(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions and tokens as tables and as JSON; one session ended, and another's refused."""
    token = (await served.people.sign_in("ines", "correct horse battery", place="bearer")).token
    monkeypatch.setenv("STAGEWARDEN_TOKEN", token)
    listed = json.loads((await run("access", "sessions", "--json", "--url", served.url)).output)
    assert [(one["place"], one["here"]) for one in listed] == [("bearer", True)]
    tokens = await run("access", "tokens", "--url", served.url)
    assert (tokens.exit_code, "reader" in tokens.output, "stopper" in tokens.output) == (0, True, False)
    assert (await run("access", "end", "s_none", "--url", served.url)).exit_code == 1
    assert (await run("access", "end", listed[0]["id"], "--url", served.url)).output == f"{listed[0]['id']} is ended\n"
    assert served.people.by_bearer(token) is None
