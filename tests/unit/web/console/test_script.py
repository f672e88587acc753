"""The one script and the one sheet: served as files of ours, named by their digests; keys are those the list names, classes those of the pages."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from stagewarden.model import Tier
from stagewarden.modes import MODES
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

CONSOLE = files("stagewarden.web.console")
SCRIPT = CONSOLE.joinpath("static/console.js").read_text()
SHEET = CONSOLE.joinpath("static/console.css").read_text()


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


def test_the_sheet_dresses_what_stands_on_a_page() -> None:
    """No class without a page: each is a word of a template, or of what fills its gaps (a tone, a state, a mode, a tier)."""
    rules = re.sub(r"/\*.*?\*/|\{[^{}]*\}|\"[^\"]*\"", " ", SHEET, flags=re.DOTALL)
    dressed = {name.removeprefix("tone-") for name in re.findall(r"\.([a-z][\w-]*)", rules)}
    pages = [one.read_text() for one in CONSOLE.joinpath("templates").iterdir()]
    filled = [one.read_text() for one in CONSOLE.iterdir() if one.name.endswith(".py")]
    states = {*map(str, (*Tier, *MODES))}
    assert dressed
    assert dressed - states - {word for text in (*pages, *filled) for word in re.findall(r"[a-z][\w-]*", text)} == set()


async def test_keys_lead_to_pages(served: Served, http: ClientSession) -> None:
    """A key that follows a link of the side bar has one to follow."""
    await sign_in(http, served)
    async with http.get(f"{served.url}/") as answer:
        page = await answer.text()
    wanted = re.findall(r"""follow\("\.nav a\[href='([^']+)'\]"\)""", SCRIPT)
    assert wanted
    assert [path for path in wanted if f'<a href="{path}"' not in page] == []
