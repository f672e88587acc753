"""What an edit changed, by JSON pointer (RFC 6901). Pure; computed from the two stored bodies, never from what anybody says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.model import JSON

MOST = 1000  # changes listed; both bodies are there whole beside them


def difference(before: bytes, after: bytes) -> list[JSON] | None:
    """`{pointer, from?, to?}` for each place that differs, in order: no `from`, it was added; no `to`, removed. None: not JSON."""
    try:
        old, new = orjson.loads(before), orjson.loads(after)
    except orjson.JSONDecodeError:
        return None
    found: list[JSON] = []
    for change in _changes("", old, new):
        if len(found) == MOST:
            break
        found.append(change)
    return found


def _changes(pointer: str, old: JSON, new: JSON) -> Iterator[dict[str, JSON]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            at = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in new:
                yield {"pointer": at, "from": old[name]}
            elif name not in old:
                yield {"pointer": at, "to": new[name]}
            else:
                yield from _changes(at, old[name], new[name])
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            at = f"{pointer}/{index}"
            if index >= len(new):
                yield {"pointer": at, "from": old[index]}
            elif index >= len(old):
                yield {"pointer": at, "to": new[index]}
            else:
                yield from _changes(at, old[index], new[index])
    elif type(old) is not type(new) or old != new:  # 1 and true are equal in Python, and no two JSON values of different types are
        yield {"pointer": pointer, "from": old, "to": new}
