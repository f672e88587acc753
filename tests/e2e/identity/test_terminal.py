"""`stagewarden login` with a certified OpenID provider, in production: whose token it is, what it never meets, and what ends it."""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.e2e.identity.browser import office
from tests.e2e.identity.test_oidc import GROUPS, held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.identity.browser import Browser, Office, Page

WORDS = [sys.executable, "-m", "stagewarden"]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Office]:
    """Production, where only the provider lets people in."""
    async with office(tmp_path, GROUPS) as running:
        yield running


class Terminal:
    """A terminal of its own: what it keeps, and the authority it trusts."""

    def __init__(self, desk: Office, folder: Path) -> None:
        self._desk = desk
        self._environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "SSL_CERT_FILE": str(desk.authority)}
        self._environ.pop("STAGEWARDEN_TOKEN", None)

    @asynccontextmanager
    async def logging_in(self, *, browser: str | None = None) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
        """The process and its link, when it has printed it; `browser` as webbrowser takes it, else the code is carried."""
        words = [*WORDS, "login", "--url", self._desk.console, *([] if browser else ["--carry"])]
        environ = {**self._environ, **({"BROWSER": browser} if browser else {})}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=environ)
        try:
            async with asyncio.timeout(60):
                assert process.stdout is not None
                while not (line := (await process.stdout.readline()).decode()).startswith("https://"):
                    assert line, "it ended without a link"
            yield process, line.strip()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def run(self, *words: str) -> tuple[int, str]:
        """One command: how it ended, and what it said."""
        process = await asyncio.create_subprocess_exec(
            *WORDS, *words, "--url", self._desk.console, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=self._environ
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def signed_in(self, browser: Browser, account: str = "ines-subject") -> None:
        """Carried: the person opens the link, signs in, says yes, and types the code."""
        async with self.logging_in() as (process, link):
            page = await asked(browser, link, account)
            code = re.search(r"swc_[\w-]{43}", (await say_yes(browser, page)).text)
            assert code, page.text
            said, _ = await process.communicate(code[0].encode() + b"\n")
            assert process.returncode == 0, said


async def asked(browser: Browser, link: str, account: str) -> Page:
    """The page with the question, by way of the door and the provider."""
    door = await browser.go(link)
    onward = re.search(r'href="(/sign-in/away\?then=[^"]+)"', door.text)
    return await browser.sign_in(account, html.unescape(onward[1])) if onward else door


async def say_yes(browser: Browser, page: Page, *, follow: bool = True) -> Page:
    """Its form, as it stands there."""
    fields = {name: value for name, value in page.fields().items() if name in {"csrf", "ask"}}
    return await browser.go("/terminal", fields, follow=follow)


async def test_a_terminal_acts_as_the_person_who_signed_in(desk, tmp_path):
    """Their functions with their groups: a medium-tier approval counts; of high tier it never does, however fresh the sign-in was."""
    medium = await held(desk)
    high = await held(desk, **{"Stagewarden-Asserts": '{"claims": ["cheapest"]}'})
    terminal = Terminal(desk, tmp_path)
    async with desk.browser() as browser:
        await terminal.signed_in(browser)
    code, said = await terminal.run("holds", "approve", high, *_yes(await desk.product.sidecar.rooms.holds.get(high)))
    assert (code, "never meets it" in said) == (1, True), said
    assert await desk.product.ended(high, 0.2) == "pending"
    code, said = await terminal.run("holds", "approve", medium, *_yes(await desk.product.sidecar.rooms.holds.get(medium)))
    assert code == 0, said
    assert await desk.product.ended(medium) == "done"


def _yes(hold):
    return [word for name in hold.questions for word in ("--answer", f"{name}=yes")]


async def test_the_browser_brings_the_code(desk, tmp_path):
    """RFC 8252: to the loopback of the machine both are on."""
    terminal = Terminal(desk, tmp_path)
    async with desk.browser() as browser, terminal.logging_in(browser="true %s") as (process, link):
        page = await asked(browser, link, "ines-subject")
        answer = await say_yes(browser, page, follow=False)
        assert urlsplit(answer.place).hostname == "127.0.0.1"
        assert "The terminal has it" in (await browser.go(answer.place)).text
        await process.wait()
        assert process.returncode == 0
    assert (await terminal.run("agents", "list"))[0] == 0


async def test_a_sign_in_of_long_ago_lends_nothing(desk, tmp_path):
    """Ten minutes later the page leads to the provider, which asks again, and back to the same question."""
    terminal = Terminal(desk, tmp_path)
    async with desk.browser() as browser, terminal.logging_in() as (_, link):
        await browser.sign_in("ines-subject")
        desk.clock.off_ns = 600 * 10**9
        refused = await browser.go(link)
        assert (refused.status, 'action="/terminal"' in refused.text) == (403, False)
        csrf = (await browser.go("/")).fields()["csrf"]
        forced = await browser.go("/terminal", {"csrf": csrf, "ask": unquote(link.partition("ask=")[2])})
        assert (forced.status, "swc_" in forced.text) == (403, False)
        again = html.unescape(re.search(r'href="(/sign-in/away\?again=yes[^"]+)"', refused.text)[1])
        desk.clock.off_ns = 0
        page = await browser.sign_in("ines-subject", again)
        assert urlsplit(page.url).path == "/terminal"
        assert "swc_" in (await say_yes(browser, page)).text


@pytest.mark.parametrize("how", ["at the provider", "everywhere", "logout"])
async def test_what_ends_it(desk, tmp_path, how):
    """Back-channel logout, signing out everywhere in the console, `logout`: the terminal's next request is refused."""
    terminal = Terminal(desk, tmp_path)
    async with desk.browser() as browser:
        await terminal.signed_in(browser)
        assert (await terminal.run("agents", "list"))[0] == 0
        match how:
            case "at the provider":
                out = await browser.go(f"{desk.issuer}/session/end")
                await browser.go(out.action(), {**out.fields(), "logout": "yes"})
            case "everywhere":
                await browser.go("/sign-out", {"csrf": (await browser.go("/")).fields()["csrf"], "everywhere": "yes"})
            case _:
                assert (await terminal.run("logout"))[0] == 0
        code, said = await terminal.run("agents", "list")
        assert (code, "stagewarden login" in said) == (2 if how == "logout" else 1, True), said
    assert not any(kept.place == "terminal" for kept in desk.product.sidecar.people._sessions._kept.values())
