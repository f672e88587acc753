"""What a list leaves out, as it stands in its address: read strictly, written back in every link and form of the page.

Filters are links, so they work without script, can be kept and can be sent to somebody. Never repeats what it does not understand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stagewarden.errors import Invalid
from stagewarden.gate.inbox import FILTERS, TABS, Selection
from stagewarden.model import Tier
from stagewarden.web.console import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from stagewarden.gate.inbox import Shown

_LONGEST = 200
_NAMES = {"tier": "Tier", "workflow": "Workflow", "channel": "Channel", "why": "Why held"}
_HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter: its words, where it leads, how many it would leave (None: not counted)."""

    label: str
    href: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter. `set`: what it is set to, and `away` where it is not; else `choices`."""

    name: str
    set: str | None
    away: str
    choices: tuple[Choice, ...]


def read(request: web.Request) -> Selection:
    """The list an address asks for; Invalid for one there cannot be."""
    query = request.query
    tab = query.get("tab", "mine")
    if tab not in TABS:
        raise Invalid(f"tab: one of {', '.join(TABS)}")
    given = {name: query[name] for name in FILTERS if query.get(name)}
    text = " ".join(query.get("q", "").split())
    if any(len(value) > _LONGEST for value in (*given.values(), text)):
        raise Invalid(f"a filter is longer than {_LONGEST} characters")
    if given.get("tier", "low") not in set(Tier):
        raise Invalid(f"tier: one of {', '.join(Tier)}")
    if query.get("due") not in {None, "", _HOUR}:
        raise Invalid(f"due: {_HOUR}")
    soon = query.get("due") == _HOUR and tab != "done"
    return Selection(
        tab=tab, tier=given.get("tier"), workflow=given.get("workflow"), channel=given.get("channel"), why=given.get("why"),
        soon=soon, text=text, place=query.get("cursor") or None,
    )  # fmt: skip


def fields(selection: Selection) -> dict[str, str]:
    """As it stands in an address, without the place in the list."""
    named = {name: getattr(selection, name) for name in FILTERS}
    every = {"tab": None if selection.tab == "mine" else selection.tab, **named, "due": _HOUR if selection.soon else None, "q": selection.text}
    return {name: value for name, value in every.items() if value}


def link(selection: Selection, place: str | None = None, path: str = "/") -> str:
    """The address of a list."""
    found = fields(selection) | ({} if place is None else {"cursor": place})
    return f"{path}?{urlencode(found)}" if found else path


def bar(selection: Selection, shown: Shown) -> tuple[Filter, ...]:
    """Every filter as it stands."""
    return tuple(_filter(name, selection, shown.choices.get(name, {})) for name in FILTERS)


def said(selection: Selection) -> tuple[str, ...]:
    """What is left out, in words."""
    parts = [f"{_NAMES[name].lower()} {_words(name, value)}" for name in FILTERS if (value := getattr(selection, name)) is not None]
    parts += ["due within the hour"] if selection.soon else []
    return tuple(parts + ([f"“{selection.text}” in an id, asset, agent or workflow"] if selection.text else []))


def _filter(name: str, selection: Selection, counted: Mapping[str, int]) -> Filter:
    value = getattr(selection, name)
    uncounted = bool(selection.text) or selection.tab == "done"
    order = [str(tier) for tier in reversed(Tier) if tier in counted] if name == "tier" else list(counted)
    choices = tuple(Choice(_words(name, each), link(_with(selection, name, each)), None if uncounted else counted[each]) for each in order)
    return Filter(_NAMES[name], None if value is None else _words(name, value), link(_with(selection, name, None)), choices)


def _with(selection: Selection, name: str, value: str | None) -> Selection:
    match name:
        case "tier":
            return replace(selection, tier=value)
        case "workflow":
            return replace(selection, workflow=value)
        case "channel":
            return replace(selection, channel=value)
        case _:
            return replace(selection, why=value)


def _words(name: str, value: str) -> str:
    return words.code(value) if name == "why" else value
