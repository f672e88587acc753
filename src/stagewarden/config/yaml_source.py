"""Strict YAML → plain values plus the line of every key, so that each finding can say where.

Refused with its line: a duplicate key, an anchor, an alias, a merge key, a tag, a second document, a key that is not plain text,
nesting or size beyond the limits. Plain scalars follow YAML 1.2 (`yes` and `2026-11-21` are text). Never quotes the file in a message.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeAlias

import yaml

from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stagewarden.model import JSON

Place: TypeAlias = "tuple[str | int, ...]"

MAX_BYTES = 8 << 20
MAX_DEPTH = 32
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
# With a point or an exponent, and short: a hexadecimal digest that holds one `e` is no number
_FLOAT = re.compile(r"[-+]?(?=[0-9]*[.eE])(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_MAX_FLOAT = 24
_WORDS: dict[str, JSON] = {"": None, "~": None, "null": None, "true": True, "false": False}
# libyaml's parser gives the same events as PyYAML's own, and a large registry loads twenty times faster
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def dotted(place: Place) -> str:
    """`("upstreams", "cms", "routes", 2)` → `upstreams.cms.routes[2]`; an unusual key stands in `["…"]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


class Source:
    """One file as read: its name, its values, and the line of each key or element. Never changed after it was built.

    A plain class, since it stands in a Struct and msgspec would read the annotations of anything else.
    """

    __slots__ = ("document", "file", "lines")

    def __init__(self, file: str, document: JSON, lines: Mapping[Place, int]) -> None:
        self.file = file
        self.document = document
        self.lines = lines

    def line(self, place: Place) -> int:
        """The line of the nearest written ancestor; 0 when the file has none."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def problem(self, place: Place, message: str, remedy: str, *, severity: str = "error") -> Problem:
        """A finding about this place."""
        return Problem(self.file, self.line(place), dotted(place), message, remedy, severity)


def read(path: Path) -> Source:
    """Read one file; raises ConfigError naming it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError((Problem(str(path), 0, "", f"cannot be read: {error.strerror}", "give the path of a readable file"),)) from None
    return parse(data, str(path))


def parse(data: bytes, file: str) -> Source:
    """Parse bytes that came from `file`; raises ConfigError with every structural problem found."""
    if len(data) > MAX_BYTES:
        raise ConfigError((Problem(file, 0, "", f"is larger than {MAX_BYTES >> 20} MiB", "split it, or check that it is the right file"),))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError((Problem(file, line, "", "is not UTF-8", "save the file as UTF-8"),)) from None
    builder = _Builder(file)
    try:
        document = builder.build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or "it cannot be parsed"
        raise ConfigError(
            (Problem(file, mark.line + 1 if mark else 0, "", f"is not YAML: {what}", "mend the syntax on or before this line"),)
        ) from None
    except yaml.YAMLError:
        raise ConfigError(
            (Problem(file, 0, "", "is not YAML: it holds a character that may not stand in YAML", "remove control characters"),)
        ) from None
    if builder.problems:
        raise ConfigError(tuple(builder.problems))
    return Source(file, document, builder.lines)


class _Builder:
    """Values from parser events; a scalar's style tells text from number, and every problem is collected."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._events: Iterator[yaml.Event] = iter(())

    def build(self, events: Iterator[yaml.Event]) -> JSON:
        self._events = (event for event in events if not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent))
        document: JSON = None
        for number, start in enumerate(self._events):
            if number:
                self._refuse(start, (), "has a second document (`---`)", "keep one document a file")
                break
            document = self._value(next(self._events), ())
            next(self._events)  # the end of the document
        return document

    def _refuse(self, event: yaml.Event, place: Place, message: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, _line(event), dotted(place), message, remedy))

    def _value(self, event: yaml.Event, place: Place) -> JSON:
        self.lines.setdefault(place, _line(event))
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, place, "is an alias", "write the value out: what is judged must stand where it is read")
            return None
        self._plain(event, place)
        if len(place) > MAX_DEPTH:
            raise ConfigError((Problem(self.file, _line(event), "", f"is nested deeper than {MAX_DEPTH} levels", "check the indentation"),))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place)
        assert isinstance(event, yaml.ScalarEvent)  # the parser's grammar: a node is one of the four
        return _scalar(event.value) if event.implicit[0] else str(event.value)

    def _plain(self, event: yaml.Event, place: Place) -> None:
        """Neither anchor nor tag: what stands here is what is meant."""
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._refuse(event, place, "has an anchor", "remove it: aliases are not read")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            self._refuse(event, place, "has a tag", "remove it: quote the value if it is text")

    def _mapping(self, place: Place) -> JSON:
        found: dict[str, JSON] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, place, "has a key that is not plain text", "write every key as text")
                self._value(event, place)
                self._value(next(self._events), place)
                continue
            key, inner = str(event.value), (*place, str(event.value))
            self._plain(event, inner)
            if key == "<<" and event.implicit[0]:
                self._refuse(event, inner, "is a merge key", "write the keys out: merging is not read")
            elif key in found:
                self._refuse(event, inner, f"is written twice (first on line {self.lines[inner]})", "keep one of the two")
            self.lines.setdefault(inner, _line(event))
            value = self._value(next(self._events), inner)
            found.setdefault(key, value)
        return found

    def _sequence(self, place: Place) -> JSON:
        found: list[JSON] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._value(event, (*place, len(found))))
        return found


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _scalar(text: str) -> JSON:
    """A plain scalar by YAML 1.2's core schema, without its infinities, octals and hexadecimals."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if len(text) <= _MAX_FLOAT and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
