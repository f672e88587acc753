"""`python -m tests.bench.keystrokes`: what a careful reviewer's hands do for three prepared holds, low, medium and high, in a real Chromium.

The reviewer is a script: it opens the hold, pages through it to the end, answers every question, types what is to be typed, and casts, by keys alone.
It measures the console, never a person: reading and thinking take what they take and are not in these seconds. Asserts nothing of time.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.model import Seat, Tier
from tests.e2e.chromium import chromium, page_of
from tests.fakes import FOUR, TEN, held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from playwright.async_api import Page

    from stagewarden.model import Document, Hold
    from tests.people_listener import Served

_BEFORE: Document = {
    "title": {"raw": "Winter opening hours"},
    "content": {"raw": "\n".join(f"<p>Shop {number}: 10 to 18</p>" for number in range(20))},
}
_BODY: Document = {"title": "Spring opening hours", "content": "\n".join(f"<p>Shop {number}: 9 to 19</p>" for number in range(20))}
_COUNT = 4212
_SCROLLED = """async at => {
    for (let frame = 0; frame < 60; frame += 1) {
        await new Promise(drawn => requestAnimationFrame(drawn));
        if (scrollY > at) return new Promise(seen => setTimeout(() => seen(true), 50));
    }
    return false;
}"""
_MOST = 200  # Tabs to the next control; more is a page that cannot be used by keys


@dataclass(slots=True)
class Hands:
    """A keyboard that counts."""

    page: Page
    pressed: int = 0

    async def press(self, *keys: str) -> None:
        """One stroke each."""
        for key in keys:
            await self.page.keyboard.press(key)
            self.pressed += 1

    async def type(self, text: str) -> None:
        """One stroke each."""
        await self.page.keyboard.type(text)
        self.pressed += len(text)


def prepared(now_ns: int) -> dict[str, Hold]:
    """A small change nobody is asked about; a post; a mailing of many."""
    low = held(now_ns, _BODY, before=_BEFORE, tier=Tier.LOW, questions=(), kind="post.update")
    medium = held(now_ns + 1, _BODY, before=_BEFORE, tier=Tier.MEDIUM, questions=FOUR)
    high = held(now_ns + 2, _BODY, before=_BEFORE, tier=Tier.HIGH, questions=TEN, kind="email.send", seats=(Seat(("reviewer",), 1),))
    facts: Document = {"recipients": {"count": _COUNT, "tier": None}}
    return {"low": low, "medium": medium, "high": replace(high, question={**high.question, "facts": facts})}


async def approve(page: Page, hold: Hold) -> int:
    """From the inbox with the row in focus to the vote recorded; how many keys that took."""
    hands = Hands(page)
    await hands.press("o")
    await page.wait_for_url(f"**/holds/{hold.id}**")
    await _read(page, hands)
    if hold.questions:
        await _answer(page, hands, len(hold.questions))
    if hold.tier is Tier.HIGH:
        await _to(page, hands, "document.activeElement.id === 'typed'")
        await hands.type(str(_COUNT))
        await hands.press("Escape")  # out of the field, where letters are keys again
    await hands.press("a", "Enter")
    await page.get_by_text("Your approval is recorded").wait_for()
    return hands.pressed


async def reject(page: Page, hold: Hold) -> int:
    """The same for a no: the choice, its reason by number, cast."""
    hands = Hands(page)
    await hands.press("o")
    await page.wait_for_url(f"**/holds/{hold.id}**")
    await hands.press("r", "3", "Enter")
    await page.get_by_text("Your rejection is recorded").wait_for()
    return hands.pressed


async def _read(page: Page, hands: Hands) -> None:
    """Page by page to the end, as fast as a browser draws; each part of what changes has then been in view."""
    while True:
        at = await page.evaluate("scrollY")
        await hands.press("PageDown")
        if not await page.evaluate(_SCROLLED, at):
            return


async def _answer(page: Page, hands: Hands, questions: int) -> None:
    """Yes to each: Tab to its pair, Space."""
    for number in range(questions):
        await _to(page, hands, "document.activeElement.matches('.ask [value=yes]') && !document.activeElement.checked")
        await hands.press("Space")
        assert await page.locator(".ask [value=yes]:checked").count() == number + 1


async def _to(page: Page, hands: Hands, where: str) -> None:
    for _ in range(_MOST):
        if await page.evaluate(where):
            return
        await hands.press("Tab")
    raise AssertionError(f"no way by keys to: {where}")


async def _once(served: Served, page: Page, hold: Hold, act: str) -> tuple[int, float]:
    served.gate.holds.clear()
    served.gate.add(hold)
    await page.goto(f"{served.url}/")
    await page.keyboard.press("j")
    begun = time.perf_counter()
    pressed = await (approve if act == "approve" else reject)(page, hold)
    return pressed, time.perf_counter() - begun


async def measure() -> list[tuple[str, str, int, float]]:
    """Tier, decision, keys, seconds."""
    with tempfile.TemporaryDirectory() as folder:
        async with people_listener(Path(folder)) as served, chromium() as browser, page_of(browser) as page:
            await page.goto(f"{served.url}/")
            await page.get_by_label("Person").fill("ines")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(f"{served.url}/")
            rows = []
            for act in ("approve", "reject"):
                for tier, hold in prepared(time.time_ns()).items():
                    rows.append((tier, act, *await _once(served, page, hold, act)))
            return rows


def main() -> None:
    """Print the table."""
    print(f"{'hold':8}{'decision':10}{'keys':>6}{'seconds':>9}")
    for tier, act, pressed, seconds in asyncio.run(measure()):
        print(f"{tier:8}{act:10}{pressed:6}{seconds:9.1f}")


if __name__ == "__main__":
    main()
