"""Destinations and dates: what a system can enforce is vouched for, on a day that can be compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stagewarden.registry.lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.registry import Registry

NEEDED = ("retention", "approval", "revoke")  # the rule destination_cannot_enforce
_DAY = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T[0-9:.]+(Z|[+-]\d\d:\d\d))?", re.ASCII)


def destinations(registry: Registry) -> Iterator[Finding]:
    """Outside the house, what is not attested or cannot be enforced is denied: better said before the first publish."""
    for name, destination in registry.data.destinations.items():
        if destination.channel == "internal":
            continue
        if destination.attested is None:
            remedy = "add `attested: {at: YYYY-MM-DD, by: PERSON}`"
            yield Finding(("destinations", name), "has nobody who vouches for it: every export is denied (attestation_stale)", remedy, "warning")
        lacking = [each for each in NEEDED if not getattr(destination.capabilities, each)]
        if lacking:
            message = f"cannot enforce {', '.join(lacking)}: every export is denied (destination_cannot_enforce)"
            yield Finding(("destinations", name, "capabilities"), message, "set what the system can do, once somebody made sure", "warning")


def dates(registry: Registry) -> Iterator[Finding]:
    """Days are YYYY-MM-DD, with or without a time of RFC 3339: the policy compares them as they stand."""
    days: list[tuple[Place, str | None]] = []
    for name, workflow in registry.data.workflows.items():
        days.append((("workflows", name, "rollback", "tested_at"), workflow.rollback.tested_at))
        days += [(("workflows", name, "approved", index, "at"), approval.at) for index, approval in enumerate(workflow.approved)]
    for name, destination in registry.data.destinations.items():
        days.append((("destinations", name, "attested", "at"), destination.attested.at if destination.attested else None))
    for place, day in days:
        if day is not None and not _DAY.fullmatch(day):
            yield Finding(place, "is not a day", "write YYYY-MM-DD")
