"""How strict JSON could be read, on one 0.9 KB post: CPU microseconds, best of interleaved rounds. `python -m tests.bench.wire_json`.

Measures, asserts nothing. Its table is what the choice in `wire/strict_json.py` rests on.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import msgspec
import orjson

from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = {
    "title": "Spring sale starts on Monday",
    "content": "Lorem ipsum dolor sit amet, " * 14,
    "status": "draft",
    "categories": [1, 2, 3],
    "meta": {"seo": {"title": "x", "desc": 'some description "quoted" here'}, "n": 1.5},
    "author": {"id": 7, "name": "Ann \u00e4"},
    "tags": ["a", "b", "c"],
    "blocks": [{"t": "p", "v": "hello world", "i": number} for number in range(8)],
}
BODY = orjson.dumps(DOCUMENT)
ROUNDS, EACH = 40, 500


def hooks(body: bytes) -> object:
    """The standard library, every object seen by a hook; depth and numbers still to be checked."""

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(found)
        if len(made) != len(found):
            raise ValueError
        return made

    return json.loads(body, object_pairs_hook=pairs)


def members(body: bytes) -> object:
    """A quick reader, then a walk that counts members against the colons outside strings."""
    value = orjson.loads(body)
    count, level = 0, [value]
    for node in level:
        if isinstance(node, dict):
            count += len(node)
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    if outside.count(b":") != count:
        raise ValueError
    return value


ARMS: dict[str, Callable[[bytes], object]] = {
    "orjson alone (not strict)": orjson.loads,
    "msgspec alone (not strict)": msgspec.json.decode,
    "strict_json.loads": lambda body: strict_json.loads(body, 64),
    "strict_json, slow reading": strict_json._slowly,
    "standard library with a hook": hooks,
    "orjson and a count of members": members,
}


def main() -> None:
    """Print the table."""
    best = dict.fromkeys(ARMS, float("inf"))
    for _ in range(ROUNDS):
        for name, read in ARMS.items():
            start = time.process_time_ns()
            for _ in range(EACH):
                read(BODY)
            best[name] = min(best[name], (time.process_time_ns() - start) / EACH / 1000)
    print(f"{len(BODY)} bytes")
    for name, micros in best.items():
        print(f"{name:32} {micros:6.2f} us  {micros / best['orjson alone (not strict)']:5.2f} x")


if __name__ == "__main__":
    main()
