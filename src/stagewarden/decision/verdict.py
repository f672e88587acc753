"""The verdict document, read once and strictly into Allow, Ask or Deny (contract section 4).

What is not understood is no verdict: PolicyUnavailable, and the gate answers no. Never guesses a default for a member the
policy left out, and never drops a member it does not know: an obligation we cannot honour must not be lost on the way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from stagewarden.config import units
from stagewarden.config.rules.values import MAX_SETTLE
from stagewarden.errors import PolicyUnavailable
from stagewarden.model import Allow, Ask, Deny, Function, Obligations, Reason, Seat, Tier, Verdict
from stagewarden.wire.reduced import FIELD, MOST_FIELDS

if TYPE_CHECKING:
    from typing import Literal

FUNCTIONS: frozenset[str] = frozenset(get_args(Function))  # who may sit in a seat
MAX_SEAT = 20  # people in one seat; more is a mistake, and the matching of seats is not made for it
MAX_REASONS = 200

_MEMBERS = frozenset({"effect", "tier", "cacheable", "reasons", "seats", "obligations"})
_REASON = frozenset({"code", "rule", "text"})
_REASON_DETAIL = _REASON | {"detail"}
_SEAT = frozenset({"functions", "count"})
_OBLIGATIONS = frozenset({"response_fields", "review", "settle"})
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_TIERS: dict[object, Tier] = {str(tier): tier for tier in Tier}
_REVIEWS: dict[object, Literal["auto", "human", "sampled"]] = {"auto": "auto", "human": "human", "sampled": "sampled"}
_NO_OBLIGATIONS = Obligations()
_SILENT = Reason("denied", "policy", "The policy denied this and gave no reason")  # a Deny always says something


def parse(raw: object) -> Verdict:
    """The verdict, or PolicyUnavailable(cause="error") naming the member that is not understood.

    1. Exactly the six members, each of its exact type (a boolean is no number).
    2. Every tier, function and obligation known.
    3. Seats where, and only where, the effect is `hold`.
    """
    if type(raw) is not dict or raw.keys() != _MEMBERS:
        raise _not_understood("verdict", "is not an object of effect, tier, cacheable, reasons, seats, obligations")
    tier = _TIERS.get(raw["tier"]) if type(raw["tier"]) is str else None
    if tier is None:
        raise _not_understood("tier", "is not low, medium or high")
    cacheable = raw["cacheable"]
    if type(cacheable) is not bool:
        raise _not_understood("cacheable", "is not a boolean")
    reasons = _reasons(raw["reasons"])
    seats = _seats(raw["seats"])
    obligations = _obligations(raw["obligations"])
    effect = raw["effect"]
    if effect == "hold":
        if not seats:
            raise _not_understood("seats", "is empty although people are to decide")
        return Ask(tier, reasons, seats, obligations)
    if seats:
        raise _not_understood("seats", "asks for people although the effect is not hold")
    if effect == "deny":
        return Deny(reasons or (_SILENT,), tier)
    if effect == "allow":
        return Allow(tier, reasons, obligations, cacheable)
    raise _not_understood("effect", "is not allow, hold or deny")


def _reasons(raw: object) -> tuple[Reason, ...]:
    if type(raw) is not list or len(raw) > MAX_REASONS:
        raise _not_understood("reasons", f"is not a list of at most {MAX_REASONS}")
    return tuple([_reason(item) for item in raw])


def _reason(raw: object) -> Reason:
    if type(raw) is not dict or (raw.keys() != _REASON and raw.keys() != _REASON_DETAIL):
        raise _not_understood("reasons", "holds what is not an object of code, rule, text and perhaps detail")
    code, rule, text = raw["code"], raw["rule"], raw["text"]
    if type(code) is not str or type(rule) is not str or type(text) is not str:
        raise _not_understood("reasons", "holds a code, rule or text that is not a string")
    if not _CODE.match(code) or not rule or not text:
        raise _not_understood("reasons", "holds a code that is not lower_case, or an empty rule or text")
    detail = raw.get("detail")
    if detail is not None and type(detail) is not dict:
        raise _not_understood("reasons", "holds a detail that is not an object")
    return Reason(code, rule, text, detail)


def _seats(raw: object) -> tuple[Seat, ...]:
    if type(raw) is not list:
        raise _not_understood("seats", "is not a list")
    seats = tuple([_seat(item) for item in raw])
    if len({seat.functions for seat in seats}) != len(seats):
        raise _not_understood("seats", "names the same functions twice")
    return seats


def _seat(raw: object) -> Seat:
    if type(raw) is not dict or raw.keys() != _SEAT:
        raise _not_understood("seats", "holds what is not an object of functions and count")
    functions, count = raw["functions"], raw["count"]
    if type(functions) is not list or not functions:
        raise _not_understood("seats", "holds a seat that no function may fill")
    if any(type(name) is not str or name not in FUNCTIONS for name in functions):
        raise _not_understood("seats", "holds an unknown function")
    if len(set(functions)) != len(functions):
        raise _not_understood("seats", "names one function twice in a seat")
    if type(count) is not int or not 1 <= count <= MAX_SEAT:
        raise _not_understood("seats", f"holds a count that is not an integer from 1 to {MAX_SEAT}")
    return Seat(tuple(sorted(functions)), count)


def _obligations(raw: object) -> Obligations:
    if type(raw) is not dict or not raw.keys() <= _OBLIGATIONS:
        raise _not_understood("obligations", "holds an unknown obligation")
    if not raw:
        return _NO_OBLIGATIONS
    value = raw.get("review", "auto")
    review = _REVIEWS.get(value) if type(value) is str else None
    if review is None:
        raise _not_understood("obligations.review", "is not auto, human or sampled")
    fields = raw.get("response_fields")
    return Obligations(review, None if fields is None else _fields(fields), _settle(raw.get("settle")))


def _settle(raw: object) -> float:
    """Seconds between the last vote and the sending; null is none."""
    if raw is None:
        return 0.0
    try:
        found = units.seconds(raw)
    except units.Misfit:
        raise _not_understood("obligations.settle", "is not a duration, as in 5m") from None
    if found > MAX_SETTLE:
        raise _not_understood("obligations.settle", f"is longer than {MAX_SETTLE / 86_400:.0f}d")
    return float(found)


def _fields(raw: object) -> tuple[str, ...]:
    """All that the agent may see of the answer; an empty list is nothing of it, null is no bound."""
    if type(raw) is not list or len(raw) > MOST_FIELDS or any(type(field) is not str or not FIELD.fullmatch(field) for field in raw):
        raise _not_understood("obligations.response_fields", f"is not a list of at most {MOST_FIELDS} member names or JSON pointers")
    return tuple(raw)


def _not_understood(member: str, why: str) -> PolicyUnavailable:
    return PolicyUnavailable(f"the verdict is not understood: {member} {why}")
