"""The one script: served as a file of ours, named by its digest, and its keys are the keys the list names."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

SCRIPT = files("stagewarden.web.console").joinpath("static/console.js").read_text()


async def test_the_script_is_served(served: Served, http: ClientSession) -> None:
    """Every page names it by its digest; it is script, and kept."""
    async with http.get(f"{served.url}/sign-in") as answer:
        path = re.search(r'<script src="(/static/console\.js\?[0-9a-f]{16})" defer></script>', await answer.text())[1]
    async with http.get(served.url + path) as answer:
        assert (answer.content_type, "immutable" in answer.headers["Cache-Control"], await answer.text()) == ("text/javascript", True, SCRIPT)


async def test_the_list_names_the_keys(served: Served, http: ClientSession) -> None:
    """Whatever key the script knows stands in the list, and the other way about; Enter and Esc are the browser's own."""
    await sign_in(http, served)
    async with http.get(f"{served.url}/keys") as answer:
        listed = set(re.findall(r"<kbd>([^<]+)</kbd>", await answer.text()))
    table = SCRIPT.partition("const keys = {")[2].partition("\n  };")[0]
    known = set(re.findall(r'^    "?([a-z?/]|g [a-z])"?:', table, re.MULTILINE))
    assert listed - {"Enter", "Esc", "1\u20139"} == known


def test_no_markup_from_text() -> None:
    """What an agent wrote never becomes markup or code by way of the script."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.srcdoc|setAttribute\(.on", SCRIPT)
