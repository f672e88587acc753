"""Tiers, triggers and grants: a tier asks for the people it means, a pattern is one the policy engine can read, a grant has an end."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from stagewarden.config import units
from stagewarden.config.rules.values import MAX_SETTLE
from stagewarden.model import Tier
from stagewarden.registry.lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.registry import Registry
    from stagewarden.registry.shapes import TierSeat

PEOPLE = {Tier.LOW: 0, Tier.MEDIUM: 1, Tier.HIGH: 2}  # governance section 3
MAX_SEATS = 10
MAX_PATTERN = 2000
DAY = 86400  # seconds
MAX_WINDOW = 90 * DAY  # as long as reviews are kept (holds/reviewing.py)
LEAST_REVIEWS = 30  # reference/governance.md C2.15: judge only on aggregated data
MAX_GRANT, MAX_USES = 30 * 86400, 100_000  # seconds, uses
# Python reads these, RE2 does not (github.com/google/re2/wiki/Syntax): look-around, back-references, atomic groups, possessive repeats, conditionals
_NOT_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|>|\(|P=|#)|\\[1-9ZGXR]|[*+?}]\+|\\[pP](?!\{|[A-Z])")
_REPEAT = re.compile(r"\{(\d+)?(?:,(\d+)?)?\}")
_MAX_REPEAT = 1000  # RE2's own limit


def seats(registry: Registry) -> Iterator[Finding]:
    """A tier asks for at least the people it means, in seats somebody could hold."""
    for tier, rule in registry.data.tiers.items():
        place: Place = ("tiers", tier.value, "seats")
        yield from _seats(rule.seats, place)
        if sum(seat.count for seat in rule.seats) < PEOPLE[tier]:
            yield Finding(
                place, f"asks for fewer than {PEOPLE[tier]} people, which tier {tier} means", "add a seat, or remove the tier for the shipped one"
            )


def grants(registry: Registry) -> Iterator[Finding]:
    """A grant ends by itself, within a month, and two people at least have said yes to it."""
    rule = registry.data.grants
    try:
        longest = units.seconds(rule.max_ttl)
    except units.Misfit as misfit:
        yield Finding(("grants", "max_ttl"), misfit.message, misfit.remedy)
    else:
        if not 1 <= longest <= MAX_GRANT:
            yield Finding(("grants", "max_ttl"), "is under a second or over 30 days", "a grant is for a task: 8h, or what the longest one takes")
    if not 1 <= rule.max_uses <= MAX_USES:
        yield Finding(("grants", "max_uses"), f"is not between 1 and {MAX_USES}", "say how often one grant may be used at most")
    yield from _seats(rule.seats, ("grants", "seats"))
    if sum(seat.count for seat in rule.seats) < PEOPLE[Tier.HIGH]:
        yield Finding(("grants", "seats"), "asks for fewer than 2 people", "add a seat, or remove the key for business and security")


def _seats(seats: tuple[TierSeat, ...], place: Place) -> Iterator[Finding]:
    for index, seat in enumerate(seats):
        if not seat.functions or len(set(seat.functions)) < len(seat.functions):
            yield Finding((*place, index, "functions"), "is blank or names a function twice", "list the functions that may fill the seat")
        if not 1 <= seat.count <= MAX_SEATS:
            yield Finding((*place, index, "count"), f"is not between 1 and {MAX_SEATS}", "say how many different people")


def settling(registry: Registry) -> Iterator[Finding]:
    """A time to settle is written like every other duration; one that is not understood would deny what people approve."""
    for tier, rule in registry.data.tiers.items():
        if rule.settle is None:
            continue
        try:
            too_long = units.seconds(rule.settle) > MAX_SETTLE
        except units.Misfit as misfit:
            yield Finding(("tiers", tier.value, "settle"), misfit.message, misfit.remedy)
            continue
        if too_long:
            yield Finding(("tiers", tier.value, "settle"), f"is longer than {MAX_SETTLE / 86_400:.0f}d", "5m is the configuration's default")


def triggers(registry: Registry) -> Iterator[Finding]:
    """Patterns that the policy engine reads as they are meant; a pattern it cannot read holds everything."""
    trigger, place = registry.data.triggers.legal_or_price, ("triggers", "legal_or_price")
    if trigger.tier == Tier.LOW:
        yield Finding((*place, "tier"), "is low, where nobody is asked", "write medium or high")
    if not trigger.patterns:
        yield Finding((*place, "patterns"), "is empty: prices and promises are not looked for", "remove the key for the shipped patterns", "warning")
    for index, pattern in enumerate(trigger.patterns):
        why = _why_not_re2(pattern)
        if why is not None:
            yield Finding((*place, "patterns", index), why, "write syntax that RE2 and Python both read: no look-around, no back-references, no \\p")


def signals(registry: Registry) -> Iterator[Finding]:
    """Signals speak of enough reviews to mean something and to point at nobody, and of no more than is kept."""
    rule, place = registry.data.signals, ("signals",)
    try:
        window = units.seconds(rule.window)
    except units.Misfit as misfit:
        yield Finding((*place, "window"), misfit.message, misfit.remedy)
    else:
        if not DAY <= window <= MAX_WINDOW:
            yield Finding((*place, "window"), "is under a day or over 90 days, which is how long reviews are kept", "30d is the default")
    if rule.minimum < LEAST_REVIEWS:
        yield Finding((*place, "minimum"), f"is under {LEAST_REVIEWS}, from which on numbers say something", "remove the key")
    if not 0 <= rule.unread <= 100:  # noqa: PLR2004  # percent
        yield Finding((*place, "unread"), "is not between 0 and 100 percent", "10 is the default")
    for name in ("words_per_minute", "run", "burst"):
        if getattr(rule, name) < 1:
            yield Finding((*place, name), "is under 1, and so always passed", "remove the key for the shipped limit")


def _why_not_re2(pattern: str) -> str | None:
    if not pattern or len(pattern) > MAX_PATTERN:
        return f"is empty or longer than {MAX_PATTERN} characters"
    bare = re.sub(r"\\\\", "", pattern)
    if _NOT_RE2.search(bare):
        return "uses what RE2 does not have"
    if any(int(bound) > _MAX_REPEAT for found in _REPEAT.finditer(bare) for bound in found.groups() if bound):
        return f"repeats more than {_MAX_REPEAT} times"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns where a set could be read in two ways
            compiled = re.compile(pattern)
    except (re.error, FutureWarning, DeprecationWarning, OverflowError):
        return "is not a regular expression"
    return "matches the empty text, and so everything" if compiled.search("") else None
