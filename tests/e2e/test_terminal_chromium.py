"""A terminal is lent a sign-in in a real browser: under the page's policy, with script and without, the answer reaches the loopback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from stagewarden.cli.login import _Loopback
from stagewarden.identity.bearer import new_secret
from stagewarden.identity.terminals import Asking, challenge_of
from tests.e2e.chromium import chromium, enter, page_of
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without"])
async def test_the_answer_reaches_the_loopback(tmp_path: Path, *, script: bool) -> None:
    """The link, the door, the letters, one button: `form-action 'self'` lets no form lead there, and a refresh does."""
    verifier = new_secret()
    async with people_listener(tmp_path) as served, chromium() as browser, page_of(browser, script=script) as page:
        with _Loopback() as waiting:
            asked = Asking(challenge_of(verifier), waiting.state, waiting.port, "ines@desk")
            arrival = asyncio.create_task(asyncio.to_thread(waiting.code, 30.0))
            await enter(page, f"{served.url}/terminal?ask={asked}", "ines", PASSWORD)
            await expect(page.get_by_text(asked.letters)).to_be_visible()
            await page.get_by_role("button", name="let it act as me").click()
            await expect(page.get_by_role("heading", name="The terminal has it")).to_be_visible()
            code = await arrival
        assert code is not None
        session = await served.people.open_terminal(code, verifier)
        assert session.person == "ines"
