"""What does not work stands above the heading of every page, in people's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.web.console.health import troubles
from tests.product import product, until
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientSession

    from tests.people_listener import Served


@pytest.mark.parametrize("path", ["/", "/rulings", "/agents", "/stop"])
async def test_every_page_says_it_above_the_heading(served: Served, http: ClientSession, path: str) -> None:
    """The part and what follows; no detail of ours, such as a path; nothing once it works again."""
    await sign_in(http, served)
    served.troubles["audit"] = "/var/lib/audit: no space"
    async with http.get(served.url + path) as answer:
        page = await answer.text()
    assert "The log takes no entries." in page
    assert page.index("The log takes no entries.") < page.index("<h1")
    assert "/var/lib" not in page
    served.troubles.clear()
    async with http.get(served.url + path) as answer:
        assert "The log takes no entries." not in await answer.text()


def test_the_worst_first_and_an_unknown_part_is_named() -> None:
    """Audit and state before the rest; a part that nobody found words for is said all the same."""
    assert [one.part for one in troubles(["loop", "state", "audit"])] == ["audit", "state", "loop"]
    assert troubles(["loop"])[0].says == "Not ready: loop."


async def test_the_product_knows_within_seconds(tmp_path: Path) -> None:
    """What `/readyz` is told is what pages are told: a state that has gone, and that came back."""
    async with product(tmp_path) as running:
        readiness = running.sidecar.readiness
        await until(lambda: readiness.started, 20)
        assert dict(readiness.known) == {}
        readiness.draining = True
        await until(lambda: "process" in readiness.known, 20)
        readiness.draining = False
        await until(lambda: not readiness.known, 20)
