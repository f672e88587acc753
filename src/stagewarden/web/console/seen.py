"""What a vote binds, as its reader saw it, against what stands now: one row each, never left to the eye (C2.14).

What was seen comes back with the reader's own form and serves no other end than to be shown to them: no decision rests on it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stagewarden.web.console.exact import digest_parts
from stagewarden.web.console.weighing import Row, binding

if TYPE_CHECKING:
    from stagewarden.model import Hold

_LONGEST = 8 << 10  # characters; a page of ours writes far fewer
_VIEW = "All that was shown"


def seen(hold: Hold) -> str:
    """For the form."""
    return json.dumps(_facts(hold), ensure_ascii=False, separators=(",", ":"))


def differences(text: str, hold: Hold) -> tuple[Row, ...]:
    """Row by row; nothing where the form did not say what was seen."""
    if not text or len(text) > _LONGEST:
        return ()
    try:
        before = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(before, dict):
        return ()
    return tuple(Row(name, str(before.get(name, "not known")), now) for name, now in _facts(hold).items())


def _facts(hold: Hold) -> dict[str, str]:
    """`view_digest` covers digest, verdict, look-up and the evidence cited: where it alone differs, it is the evidence."""
    return {**dict(binding(hold)), _VIEW: " … ".join(digest_parts(hold.view_digest))}
