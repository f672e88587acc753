"""Plain values → frozen Structs by their types, collecting every problem with its exact place.

One walk over the type tree (msgspec.inspect): unknown keys get the nearest known name, keys of later releases are refused by name,
missing keys are named at their parent. Never echoes a value whose type is Secret. Used for the configuration and the registry.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, TypeVar, cast

from msgspec import inspect

from stagewarden.config.later import LATER_WORDS
from stagewarden.config.units import PARSERS, Misfit
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.config.later import Later
    from stagewarden.config.yaml_source import Place, Source
    from stagewarden.errors import Problem

T = TypeVar("T")

_LEAVES: Mapping[type[inspect.Type], type] = {
    inspect.StrType: str,
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.FloatType: float,
}
_FAILED: Final = object()
_WORDS: Mapping[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "nothing",
}


def build(source: Source, shape: type[T], later: Mapping[tuple[type, str], Later], *, internal: frozenset[str] = frozenset()) -> T:
    """The document as a value of `shape`; raises ConfigError with all problems. `internal` fields cannot be written in the file."""
    reader = Reader(source, later, internal)
    value = reader.value(source.document, inspect.type_info(shape), ())
    if reader.problems:
        raise ConfigError(tuple(sorted(reader.problems, key=lambda problem: problem.line)))
    return cast("T", value)  # built as `shape` by the walk over its own type


class Reader:
    """The walk; `problems` grows, and a failed part is left out of its parent."""

    def __init__(self, source: Source, later: Mapping[tuple[type, str], Later], internal: frozenset[str]) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._later = later
        self._internal = internal

    def value(self, raw: object, shape: inspect.Type, place: Place) -> object:
        """`raw` as `shape`, or `_FAILED` after noting why."""
        if isinstance(shape, inspect.StructType | inspect.CustomType) and shape.cls in PARSERS:
            return self._scalar(raw, shape.cls, place)
        match shape:
            case inspect.CustomType():  # `object`: judged where it is used (rules)
                found = raw
            case inspect.StructType():
                found = self._struct(raw, shape, place)
            case inspect.DictType():
                found = self._mapping(raw, shape, place)
            case inspect.VarTupleType():
                found = self._tuple(raw, shape, place)
            case inspect.UnionType():
                found = self._union(raw, shape, place)
            case _:
                found = self._leaf(raw, shape, place)
        return found

    def _refuse(self, place: Place, message: str, remedy: str) -> object:
        self.problems.append(self._source.problem(place, message, remedy))
        return _FAILED

    def _wrong(self, raw: object, wanted: str, place: Place) -> object:
        return self._refuse(place, f"is {_WORDS.get(type(raw), 'something else')}, not {wanted}", f"write {wanted}")

    def _scalar(self, raw: object, cls: type, place: Place) -> object:
        try:
            return PARSERS[cls](raw)
        except Misfit as misfit:
            return self._refuse(place, misfit.message, misfit.remedy)

    def _struct(self, raw: object, shape: inspect.StructType, place: Place) -> object:
        if not isinstance(raw, dict):
            return self._wrong(raw, "a mapping", place)
        fields = {field.encode_name: field for field in shape.fields if field.encode_name not in self._internal or place}
        sound = True
        found: dict[str, object] = {}
        for key, inner in raw.items():
            if key == shape.tag_field:
                continue
            field = fields.get(key)
            if field is None:
                sound = self._stranger(key, inner, shape, (*place, key), sorted(fields)) and sound
                continue
            value = self.value(inner, field.type, (*place, key))
            sound = sound and value is not _FAILED
            found[field.name] = value
        for name, field in fields.items():
            if field.required and name not in raw:
                self._refuse(place, f"lacks the key `{name}`", f"add `{name}:`")
                sound = False
        return shape.cls(**found) if sound else _FAILED

    def _stranger(self, key: str, raw: object, shape: inspect.StructType, place: Place, known: list[str]) -> bool:
        later = self._later.get((shape.cls, key))
        if later is None:
            near = difflib.get_close_matches(key, known, n=1)
            self._refuse(place, "is an unknown key", f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known) or 'no key at all'}")
            return False
        if any(type(raw) is type(value) and raw == value for value in later.harmless):
            return True
        self._refuse(place, later.message(), later.meanwhile)
        return False

    def _mapping(self, raw: object, shape: inspect.DictType, place: Place) -> object:
        if not isinstance(raw, dict):
            return self._wrong(raw, "a mapping", place)
        found: dict[object, object] = {}
        for key, inner in raw.items():
            name = self.value(key, shape.key_type, (*place, key))
            value = self.value(inner, shape.value_type, (*place, key))
            found[name] = value
        return _FAILED if _FAILED in found or any(value is _FAILED for value in found.values()) else found

    def _tuple(self, raw: object, shape: inspect.VarTupleType, place: Place) -> object:
        if not isinstance(raw, list):
            return self._wrong(raw, "a list", place)
        found = tuple([self.value(inner, shape.item_type, (*place, number)) for number, inner in enumerate(raw)])
        return _FAILED if any(value is _FAILED for value in found) else found

    def _union(self, raw: object, shape: inspect.UnionType, place: Place) -> object:
        options = [option for option in shape.types if not isinstance(option, inspect.NoneType)]
        if raw is None and len(options) < len(shape.types):
            return None
        return self.value(raw, options[0], place) if len(options) == 1 else self._tagged(raw, options, place)

    def _tagged(self, raw: object, options: list[inspect.Type], place: Place) -> object:
        """One of several Structs, told apart by the key that names its kind."""
        if not isinstance(raw, dict):
            return self._wrong(raw, "a mapping", place)
        kinds = {option.tag: option for option in options if isinstance(option, inspect.StructType)}
        field = next(iter(kinds.values())).tag_field or "kind"
        tag = raw.get(field)
        if isinstance(tag, str) and tag in kinds:
            return self._struct(raw, kinds[tag], place)
        if isinstance(tag, str) and tag in LATER_WORDS:
            return self._refuse((*place, field), f"`{tag}` {LATER_WORDS[tag].message()}", LATER_WORDS[tag].meanwhile)
        names = f"one of {', '.join(sorted(map(str, kinds)))}"
        if field not in raw:
            return self._refuse(place, f"lacks the key `{field}`", names)
        return self._refuse((*place, field), "is not a kind known here", names)

    def _leaf(self, raw: object, shape: inspect.Type, place: Place) -> object:
        if isinstance(shape, inspect.LiteralType):
            return self._choice(raw, shape.values, place)
        if isinstance(shape, inspect.EnumType):
            chosen = self._choice(raw, tuple([str(member.value) for member in shape.cls]), place)
            return chosen if chosen is _FAILED else shape.cls(chosen)
        wanted = next(kind for leaf, kind in _LEAVES.items() if isinstance(shape, leaf))  # a shape of ours beyond these fails any test that loads
        if wanted is float and type(raw) is int:
            return float(raw)
        return raw if type(raw) is wanted else self._wrong(raw, _WORDS[wanted], place)

    def _choice(self, raw: object, values: tuple[object, ...], place: Place) -> object:
        for value in values:
            if type(raw) is type(value) and raw == value:
                return value
        if isinstance(raw, str) and raw in LATER_WORDS:
            return self._refuse(place, f"`{raw}` {LATER_WORDS[raw].message()}", LATER_WORDS[raw].meanwhile)
        known = ", ".join(str(value) for value in values)
        near = difflib.get_close_matches(str(raw), [str(value) for value in values], n=1)
        return self._refuse(place, "is not a value known here", f"one of {known}" + (f"; did you mean `{near[0]}`?" if near else ""))
