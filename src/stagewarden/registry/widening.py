"""What one registry lets happen that another did not: each place, and the people who gain by it (governance section 1). Pure.

Strict by default: a change of a key that no rule here knows widens. Never says that nothing widened because it did not understand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from stagewarden.config.yaml_source import dotted
from stagewarden.registry.shapes import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.shapes import RegistryData

_LONGEST = 200  # characters of a value that is quoted
_LEVELS = ("low", "medium", "high")
_MODES = ("active", "recommend_only", "paused", "revoked")
_CLASSES = ("allowed", "restricted", "prohibited")


@dataclass(frozen=True, slots=True)
class Widening:
    """One place where more would be possible; `gains`: people this concerns, who may not confirm it."""

    place: str
    text: str
    gains: tuple[str, ...]


def widenings(before: RegistryData, after: RegistryData) -> tuple[Widening, ...]:
    """Every place where `after` allows what `before` did not, in the order of the sections."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    found: list[Widening] = []
    for section in new:
        for place in _entries(section, old[section], new[section]):
            found += [Widening(dotted(at), text, _gains(at, old, new)) for at, text in place]
    return tuple(found)


def _entries(section: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Iterator[tuple[Place, str]]]:
    """A section's names: those that are there twice are compared; what a name that comes or goes means depends on the section."""
    for name in [*old, *(name for name in new if name not in old)]:
        place: Place = (section, name)
        if name in old and name in new:
            yield _changes(place, old[name], new[name])
        elif name in new and section == "people":
            # Somebody new who holds nothing may read and stop, and nothing else.
            if new[name]["functions"]:
                yield _changes(place, msgspec.to_builtins(Person(functions=(), active=False)), {**new[name], "identity": None})
        elif name in new:
            # A workflow is nobody's until an agent lists it, a process judges nothing: the agent's own change is what widens.
            if section not in {"workflows", "processes"}:
                yield iter([(place, "is new")])
        elif section == "people":
            yield _changes(place, old[name], {**old[name], "aliases": [], "conflicts": []})
        elif section not in {"workflows", "processes", "agents", "destinations"}:
            yield iter([(place, "is gone")])


def _changes(place: Place, old: Any, new: Any) -> Iterator[tuple[Place, str]]:
    """Down to the first key that a rule knows, or to a value that differs and that none knows."""
    if old == new:
        return
    pattern = "/".join(map(str, place))
    rule = next((rule for known, rule in _RULES.items() if fnmatchcase(pattern, known)), None)
    if rule is not None:
        if not rule(old, new):
            yield place, f"{_quoted(old)} → {_quoted(new)}"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes((*place, key), old.get(key), new.get(key))
    else:
        yield place, f"{_quoted(old)} → {_quoted(new)}"


def _quoted(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _gains(place: Place, old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """A person by their own entry; an agent's owners by what it may do more; a workflow's business owner and who may newly begin it."""
    section, name = str(place[0]), str(place[1]) if len(place) > 1 else ""
    if section == "people":
        return (name,)
    entries = [document[section][name] for document in (old, new) if section in {"agents", "workflows"} and name in document[section]]
    roles = ("human", "business", "technical") if section == "agents" else ("business",)
    named = {entry["owners"].get(role) for entry in entries for role in roles}
    started = {person for entry in entries for person in entry.get("initiators", ())} if place[2:3] == ("initiators",) else set()
    owners = {owner for entry in entries for owner in entry["owners"].values()} if place[2:3] == ("owners",) else set()
    return tuple(sorted((named | started | owners) - {None}))


# -- rules: whether the new value allows no more than the old one ------------------------------------------------------------


def _any(_: Any, __: Any) -> bool:
    """Says nothing about what may happen."""
    return True


def _shrinks(old: Any, new: Any) -> bool:
    """Fewer of them, and never none: an empty list may mean that nothing is limited."""
    return set(new) <= set(old) and bool(new or not old)


def _empties(old: Any, new: Any) -> bool:
    return set(new) <= set(old)


def _grows(old: Any, new: Any) -> bool:
    return set(old) <= set(new)


def _limits(old: Any, new: Any) -> bool:
    """A list that limits where it is there."""
    return not old or (bool(new) and set(new) <= set(old))


def _falls(old: Any, new: Any) -> bool:
    return bool(old) or not new


def _no_greater(old: Any, new: Any) -> bool:
    """A limit that is passed no later."""
    return type(new) is int and new <= old


def _taken_away(_: Any, new: Any) -> bool:
    return new is None


def _rises(order: tuple[str, ...]) -> Callable[[Any, Any], bool]:
    return lambda old, new: old in order and new in order and order.index(old) <= order.index(new)


def _actions(old: Any, new: Any) -> bool:
    """No kind is in a looser class than before, and none that was prohibited by name is merely unlisted now."""
    return all(_class(new, kind) >= _class(old, kind) for kind in {kind for side in (old, new) for name in _CLASSES for kind in side[name]})


def _class(actions: Any, kind: str) -> int:
    """0 allowed, 1 restricted, 2 in none, 3 prohibited; the stricter where it is listed twice."""
    ranks = {"allowed": 0, "restricted": 1, "prohibited": 3}
    return max((ranks[name] for name in _CLASSES if kind in actions[name]), default=2)


def _seats(old: Any, new: Any) -> bool:
    """Every seat there was, with as many people or more."""
    asked: dict[frozenset[str], int] = {}
    for seat in new:
        functions = frozenset(seat["functions"])
        asked[functions] = asked.get(functions, 0) + seat["count"]
    had: dict[frozenset[str], int] = {}
    for seat in old:
        functions = frozenset(seat["functions"])
        had[functions] = had.get(functions, 0) + seat["count"]
    return all(asked.get(functions, 0) >= count for functions, count in had.items())


_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "processes/*": _any,
    "people/*/name": _any,
    "people/*/functions": _empties,
    "people/*/aliases": _grows,
    "people/*/conflicts": _grows,
    "people/*/active": _falls,
    "workflows/*/summary": _any,
    "workflows/*/process": _any,
    "workflows/*/approved": _any,
    "workflows/*/rollback": _any,
    "workflows/*/second_person": _grows,
    "workflows/*/risk/*": _rises(_LEVELS),
    "workflows/*/actions": _actions,
    "workflows/*/initiators": _limits,
    "workflows/*/scope/fields/read": _limits,
    "workflows/*/scope/fields/write": _shrinks,
    "workflows/*/scope/classes/*": _shrinks,
    "agents/*/stages": _empties,
    "agents/*/workflows": _empties,
    "agents/*/mode": _rises(_MODES),
    "destinations/*/capabilities/*": _falls,
    "destinations/*/attested": _taken_away,
    "tiers/*/seats": _seats,
    "triggers/*/patterns": _grows,
    "triggers/*/tier": _rises(_LEVELS),
    **dict.fromkeys((f"signals/{name}" for name in ("minimum", "words_per_minute", "unread", "run", "burst")), _no_greater),
}
