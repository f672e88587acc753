"""Used against granted: what of a grant was used, and how much wider it was (reference: NHI5). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.grants.known import ending
from stagewarden.grants.lifecycle import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.grants.grant import Grant, Use


@dataclass(frozen=True, slots=True)
class Report:
    """Counts of uses by state, the fields used, when; `wider` names what was granted and not used, of a grant that has ended."""

    sent: int
    reserved: int
    returned: int
    fields: tuple[str, ...]
    unused_fields: tuple[str, ...]
    first_at_ns: int
    last_at_ns: int
    wider: tuple[str, ...]


def report(grant: Grant, uses: Iterable[Use]) -> Report:
    """What this grant's uses say. A reserved use counts as used: nobody knows that it was not."""
    theirs = [use for use in uses if use.grant == grant.id]
    counted = [use for use in theirs if use.state != "returned"]
    fields = {name for use in counted for name in use.fields}
    unused = sorted(set(grant.terms.fields) - fields)
    moments = [use.at_ns for use in counted]
    states = [use.state for use in theirs]
    wider: list[str] = []
    if grant.state in ENDED and grant.approved_at_ns:
        wider += ["fields"] if unused else []
        wider += ["uses"] if len(counted) < grant.terms.uses else []
        # More than half of its time passed after its last use: a shorter one would have done.
        half = grant.approved_at_ns + (ending(grant) - grant.approved_at_ns) // 2
        wider += ["period"] if max(moments, default=0) < half <= grant.ended_at_ns else []
    return Report(
        states.count("sent"), states.count("reserved"), states.count("returned"), tuple(sorted(fields)), tuple(unused),
        min(moments, default=0), max(moments, default=0), tuple(wider),
    )  # fmt: skip
