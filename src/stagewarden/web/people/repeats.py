"""`Idempotency-Key`: a write sent again with the same key gets the first answer and does nothing (draft-ietf-httpapi-idempotency-key-header).

Bounded and in memory: after a restart, or once a key is pushed out, the acts themselves still refuse to be done twice (a person's
second vote, a final state). Must never answer one caller with another's.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import TTLCache

from stagewarden.errors import Conflict, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.clock import Clock

_KEY = re.compile(r"[\x21-\x7e]{1,128}")
KEPT, KEPT_SECONDS = 4096, 24 * 3600


@dataclass(slots=True)
class Entry:
    """One key's request, and its answer once there is one."""

    request: str
    answer: object = None
    done: bool = False


class Repeats:
    """Answers by (caller, key)."""

    def __init__(self, clock: Clock) -> None:
        self._entries: TTLCache[tuple[str, str], Entry] = TTLCache(KEPT, KEPT_SECONDS, timer=clock.monotonic)

    @contextmanager
    def once(self, caller: str, key: str | None, request: bytes) -> Iterator[Entry]:
        """The entry to fill, or the filled one. An act that raised leaves no trace, so that it can be tried again.

        Conflict while the first is still running; Invalid for a malformed key or one used before with another request.
        """
        digest = hashlib.sha256(request).hexdigest()
        if key is None:
            yield Entry(digest)
            return
        if not _KEY.fullmatch(key):
            raise Invalid("Idempotency-Key: 1 to 128 visible ASCII characters")
        known = self._entries.get((caller, key))
        if known is not None:
            if known.request != digest:
                raise Invalid("Idempotency-Key: used before with another request")
            if not known.done:
                raise Conflict("Idempotency-Key: the first request with it is still running")
            yield known
            return
        entry = self._entries[caller, key] = Entry(digest)
        try:
            yield entry
        finally:
            if not entry.done:
                self._entries.pop((caller, key), None)
