"""The bounds of a grant as a form has them: rows of labelled fields, read as the bounds they mean or as what is to be mended in which field.

Never guesses a type or an end: what is not said is asked for. What a bound may be is the grants' own rule (grants/bounds.py). Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from stagewarden.errors import Invalid
from stagewarden.grants import Bound, bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Scalar: TypeAlias = bool | int | float | str | None
Faults: TypeAlias = dict[str, str]  # what is to be mended, by the control that mends it

MOST = 30  # rows that the form offers; more than that is a program's work
RULES = (("text", "A text"), ("number", "A number"), ("values", "One of these values"))
KINDS = (("texts", "texts, as they stand"), ("numbers", "numbers"), ("json", "as JSON writes them"))
_NAME = re.compile(r"bound-([0-9]{1,4})-([a-z]+)")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_SAID = re.compile(r"bounds\[([0-9]+)\](?:\.([a-z_]+))?: (.*)", re.DOTALL)
_CONTROLS = {"pointer": "place", "max_length": "longest", "pattern": "pattern"}  # by the member that a check names
_FIRST = {"text": "longest", "number": "least", "values": "values"}  # where a rule begins
_LABELS = {
    "place": "place in the body", "rule": "what may stand there", "longest": "at most so many characters", "pattern": "the whole matches",
    "least": "at least", "most": "at most", "values": "values",
}  # fmt: skip
_SCALAR: Final = msgspec.json.Decoder(Scalar)
_TYPED: Final = ("place", "rule", "longest", "pattern", "least", "most", "values")


@dataclass(frozen=True, slots=True)
class Row:
    """One bound, as it was typed."""

    place: str = ""
    rule: str = ""
    longest: str = ""
    pattern: str = ""
    least: str = ""
    most: str = ""
    values: str = ""
    kind: str = "texts"
    absent: bool = False

    @property
    def blank(self) -> bool:
        """Whether nothing was typed."""
        return not any(getattr(self, name).strip() for name in _TYPED)


def rows(fields: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a form in their order."""
    found: dict[int, dict[str, str]] = {}
    for name, value in fields.items():
        if matched := _NAME.fullmatch(name):
            found.setdefault(int(matched[1]), {})[matched[2]] = value
    return tuple(_row(found[number]) for number in sorted(found))


def filled(fields: Mapping[str, str]) -> tuple[Row, ...]:
    """Those in which something was typed."""
    return tuple(row for row in rows(fields) if not row.blank)


def turned(given: tuple[Row, ...], wish: str) -> tuple[Row, ...]:
    """The rows after `add`, or after `remove-N` of the N-th."""
    if wish == "add":
        return (*given, Row()) if len(given) < MOST else given
    return tuple(row for at, row in enumerate(given, 1) if wish != f"remove-{at}")


def read(given: Iterable[Row]) -> tuple[tuple[Bound, ...], Faults]:
    """(1) Each row by itself, with every fault of every row. (2) Where each is a bound: all together, a place that stands twice."""
    made: list[Bound] = []
    faults: Faults = {}
    for number, row in enumerate(given, 1):
        bound, own = _bound(row)
        made.append(bound)
        faults |= {f"bound-{number}-{control}": text for control, text in own.items()}
    if not faults:
        try:
            bounds.check(tuple(made))
        except Invalid as failure:
            faults = faults_of(str(failure))
    return tuple(made), faults


def faults_of(said: str) -> Faults:
    """What a check said of `bounds[N].member`, by the control that mends it; nothing where it speaks of something else."""
    matched = _SAID.fullmatch(said)
    return {} if matched is None else {f"bound-{int(matched[1]) + 1}-{_CONTROLS.get(matched[2] or '', 'place')}": sentence(matched[3])}


def label(control: str) -> str | None:
    """What a row's control is called, with its row; None where it is no row's."""
    matched = _NAME.fullmatch(control)
    return None if matched is None else f"Bound {matched[1]}, {_LABELS.get(matched[2], matched[2])}"


def sentence(text: str) -> str:
    """As it stands beside a field."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _row(typed: Mapping[str, str]) -> Row:
    rule, kind = typed.get("rule", ""), typed.get("kind", "")
    return Row(
        typed.get("place", ""), rule if rule in dict(RULES) else "", typed.get("longest", ""), typed.get("pattern", ""), typed.get("least", ""),
        typed.get("most", ""), typed.get("values", ""), kind if kind in dict(KINDS) else "texts", typed.get("absent") == "yes",
    )  # fmt: skip


def _bound(row: Row) -> tuple[Bound, Faults]:
    """The bound it means, where there are no faults; else one that means nothing, and them."""
    place = row.place.strip()
    nothing = Bound(pointer=place, const=None)
    faults = _checked(nothing, row)
    match row.rule:
        case "text":
            made = _text(row, place, faults)
        case "number":
            made = _range(row, place, faults)
        case "values":
            made = _values(row, place, faults)
        case _:
            faults["rule"] = "Choose what may stand there."
    return (nothing, faults) if faults else (made, _checked(made, row))


def _checked(bound: Bound, row: Row) -> Faults:
    try:
        bounds.check((bound,))
    except Invalid as failure:
        matched = _SAID.fullmatch(str(failure))
        member, text = ("", str(failure)) if matched is None else (matched[2] or "", matched[3])
        return {_CONTROLS.get(member, _FIRST.get(row.rule, "place")): sentence(text)}
    return {}


def _text(row: Row, place: str, faults: Faults) -> Bound:
    if re.fullmatch(r"[0-9]{1,9}", row.longest.strip()) is None:
        faults["longest"] = "A whole number of characters, as in 80."
        return Bound(pointer=place)
    return Bound(pointer=place, max_length=int(row.longest), pattern=row.pattern or None, optional=row.absent)


def _range(row: Row, place: str, faults: Faults) -> Bound:
    least, most = _number(row.least), _number(row.most)
    faults |= {name: "A number, as in 5 or 0.5." for name, found in (("least", least), ("most", most)) if found is None}
    return Bound(pointer=place, minimum=least, maximum=most, optional=row.absent)


def _values(row: Row, place: str, faults: Faults) -> Bound:
    """One value is that value; several are any of them."""
    found: list[Scalar] = []
    for line in re.split(r"\r\n|\r|\n", row.values):
        if not line.strip():
            continue
        try:
            found.append(_value(line, row.kind))
        except ValueError as failure:
            faults["values"] = f"{failure}; this line is not: {line[:60]}"
            return Bound(pointer=place)
    if not found:
        faults["values"] = "At least one value, each on a line of its own."
    return Bound(pointer=place, const=found[0], optional=row.absent) if len(found) == 1 else Bound(pointer=place, enum=(*found,), optional=row.absent)


def _value(line: str, kind: str) -> Scalar:
    if kind == "texts":
        return line
    if kind == "numbers":
        number = _number(line)
        if number is None:
            raise ValueError("A number a line, as in 5 or 0.5")
        return number
    try:
        found: Scalar = _SCALAR.decode(line.encode(errors="surrogatepass"))
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError('A JSON value a line: "text", 5, true, false or null') from None
    return found


def _number(text: str) -> int | float | None:
    """Whole where it is written so: whole bounds ask for whole numbers."""
    matched = _NUMBER.fullmatch(text.strip())
    if matched is None:
        return None
    return float(matched[0]) if matched[1] else int(matched[0])
