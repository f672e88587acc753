"""The form that asks for a grant, read: what is wanted, or what is to be mended beside which field. What it means is the gate's to check. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import msgspec

from stagewarden.gate.grant_terms import Wanted
from stagewarden.model import DataClass
from stagewarden.web.console import bounding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.errors import Invalid
    from stagewarden.web.console.bounding import Faults

CLASSES: tuple[str, ...] = get_args(DataClass)
_SAID = re.compile(r"([a-z_]+(?:, [a-z_]+)*): (.*)", re.DOTALL)
_LABELS = {
    "what": "What it permits", "ttl": "For how long", "uses": "How often", "evidence": "On what evidence", "fields": "Fields it may write",
    "asset": "Only this asset", "classes": "Data it may write", "bounds": "Bounds", "template": "A template", "digest": "Exactly this request",
    "content": "Content at the upstream", "review_within": "Review within", "completes_on": "Done with the first success of",
}  # fmt: skip
_BESIDE = {name: name for name in _LABELS} | {"kind": "what", "stage": "what", "upstream": "what"}  # one field asks for the last three


def read(fields: Mapping[str, str]) -> tuple[Wanted | None, Faults]:
    """What the API takes, or every fault that is seen without knowing more than the form."""
    kind, stage, upstream = [*fields.get("what", "").split("|"), "", "", ""][:3]
    uses, faults = fields.get("uses", "").strip() or "1", {}
    if not kind:
        faults["what"] = "Choose what it permits."
    if re.fullmatch(r"[0-9]{1,9}", uses) is None:
        faults["uses"] = "A whole number, as in 3."
    if not fields.get("evidence", "").strip():
        faults["evidence"] = "On what it is asked: a ticket, a decision, a plan."
    bounds, wrong = bounding.read(bounding.filled(fields))
    faults |= wrong
    if faults:
        return None, faults
    return Wanted(
        agent=fields.get("agent", ""), workflow=fields.get("workflow", ""), kind=kind, stage=stage, upstream=upstream, uses=int(uses),
        ttl=fields.get("ttl", "").strip(), evidence=fields.get("evidence", ""), asset=_text(fields, "asset"),
        fields=tuple(name for name in re.split(r"[,\s]+", fields.get("fields", "")) if name),
        classes=tuple(one for one in _classes() if fields.get(f"class-{one}") == "yes"), digest=_text(fields, "digest"),
        content=_text(fields, "content"), template=fields.get("template") == "yes", bounds=bounds,
        review_within=_text(fields, "review_within"), completes_on=_text(fields, "completes_on"),
    ), {}  # fmt: skip


def faults_of(failure: Invalid) -> Faults:
    """What the gate refused, beside each field it names; nothing where it names none that can be mended here."""
    said = str(failure)
    matched = _SAID.fullmatch(said)
    if matched is None:
        return bounding.faults_of(said)
    places = dict.fromkeys(_BESIDE[name] for name in matched[1].split(", ") if name in _BESIDE)
    return dict.fromkeys(places, bounding.sentence(matched[2]))


def summary(faults: Faults) -> list[tuple[str, str]]:
    """Each fault with the control it leads to, under the control's own name."""
    names = {control: bounding.label(control) or _LABELS[control] for control in faults}
    return [(control, f"{names[control]}: {text[:1].lower()}{text[1:]}") for control, text in faults.items()]


def _classes() -> tuple[DataClass, ...]:
    return msgspec.convert(CLASSES, tuple[DataClass, ...])


def _text(fields: Mapping[str, str], name: str) -> str | None:
    return fields.get(name, "").strip() or None
