"""Where a sign-in leads: to a page of ours that is known here by name, and nowhere else. Pure but for the request it reads.

Never follows or repeats anything else: no other host, no scheme, no act, nothing that a browser would read as another path (open redirect).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from stagewarden.identity import terminals
from stagewarden.web.console.exact import short_id

if TYPE_CHECKING:
    from aiohttp import web

UNDONE = "undone"  # in a page's query: a form was sent and not taken, or a fresh sign-in was fetched before it
_PLACES = {"h": "/holds", "g": "/grants", "k": "/stop", "c": "/registry"}
_WORDS = {"holds": "hold", "grants": "grant", "stop": "stop", "registry": "registry", "agents": "agent", "workflows": "workflow"}
_ID = re.compile(rf"[{''.join(_PLACES)}]_[0-9A-Z]{{26}}")
# One segment: a name as an address spells it; no dots alone, no slash, backslash or control character behind a percent sign.
_NAME = r"(?!\.{1,2}(?:[/?]|$))(?:[A-Za-z0-9._~@:+-]|%(?!2[EeFf]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])[0-9A-Fa-f]{2})+"
_PATH = re.compile(
    rf"/(?:holds/h_[0-9A-Z]{{26}}(?:/edit)?|grants(?:/ask|/g_[0-9A-Z]{{26}})?|stop(?:/k_[0-9A-Z]{{26}})?|registry(?:/c_[0-9A-Z]{{26}})?"
    rf"|agents(?:/{_NAME}(?:/history)?)?|workflows(?:/{_NAME})?|rulings(?:/r_[0-9A-Z]{{26}})?|timeline|insights|access|deliveries|keys)?"
    r"(?:\?[A-Za-z0-9._~@:+%=&-]*)?"
)
_HOLD = re.compile(r"/holds/(h_[0-9A-Z]{26})(?:\?.*)?")
_LONGEST = 1000  # characters
_SAID = ("said", "of", UNDONE)  # what a page told once


def known(text: str | None) -> str | None:
    """The text, where it is a page of ours, something that has one by its id, or what a terminal asks; None for all else."""
    if not text or len(text) > _LONGEST:
        return None
    return text if _ID.fullmatch(text) or _PATH.fullmatch(text) or terminals.asking(text) else None


def leads(then: str | None) -> str:
    """The page that `known` text opens; the inbox without any."""
    if then is None:
        return "/"
    if then.startswith("/"):
        return then
    if _ID.fullmatch(then):
        return f"{_PLACES[then[0]]}/{then}"
    return f"/terminal?ask={quote(then, safe='')}"


def hold_of(then: str | None) -> str | None:
    """The id of the hold it opens, if it is one's page."""
    found = _HOLD.fullmatch(leads(then))
    return None if found is None else found[1]


def undone(then: str | None) -> bool:
    """Whether it leads back to where something was wanted and not done."""
    return then is not None and then.startswith("/") and f"{UNDONE}=yes" in then.partition("?")[2].split("&")


def page_of(asked: web.Request) -> str:
    """The page that was asked for, or that the form stands on: an act's address is its page's with one word more."""
    if asked.method != "POST":
        return known(asked.rel_url.without_query_params(*_SAID).raw_path_qs) or known(asked.rel_url.raw_path) or "/"
    path = asked.rel_url.raw_path
    return known(path) or known(path.rpartition("/")[0]) or "/"


def back(page: str) -> str:
    """That page, told that nothing was done yet."""
    return f"{page}{'&' if '?' in page else '?'}{UNDONE}=yes"


def door(then: str | None, way: str = "/sign-in") -> str:
    """The address of a door that then leads to `known` text: a name may hold what means something in a query."""
    return f"{way}?then={quote(then, safe='')}" if then else way


def opens(then: str | None) -> tuple[str, str] | None:
    """What `known` text opens, as the door says it: a word, and the name of the thing; None for the inbox, and for what a terminal asks."""
    path = leads(then).partition("?")[0]
    if path in {"/", "/terminal"}:
        return None
    place, _, name = path[1:].partition("/")
    plain = unquote(name.partition("/")[0])
    if (
        place not in _WORDS or name in {"", "ask"} or not (plain.isascii() and plain.isprintable())
    ):  # nothing of a link may disguise itself at the door
        return "page", path
    return _WORDS[place], short_id(plain) if _ID.fullmatch(plain) else plain


def door_of(asked: web.Request) -> str:
    """Where somebody signs in, on their way to what they asked for; a form that comes without a session is not done, and that is said."""
    page = page_of(asked)
    if asked.path == "/terminal":
        then = known(asked.query.get("ask"))
    elif asked.method == "POST":
        then = back(page)
    else:
        named = known(asked.match_info.get("id"))  # the short form, where it says the same, or where the page has no address to come back to
        then = named if named and page in {"/", leads(named)} else None if page == "/" else page
    return door(then)
