"""Pages of lists: every list takes `cursor` and `limit` and answers `{items, next}`, by the one reading of both that stands here.

A cursor names a place in the order of the list, not a number of items to skip: what is added or taken away meanwhile neither repeats nor
hides an item. It is opaque, sealed with a key that replicas share, and good only for the list and the filters it came from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from stagewarden.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aiohttp import web

PARAMETERS = ("cursor", "limit")
MOST, USUAL = 200, 50
_SEAL_BYTES = 12  # no secret lies behind a cursor: a forged one would be read as the place it names
_FOREIGN = "cursor: not a cursor of this list"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One page as it was asked for: after which place, at most how many."""

    place: str | None
    limit: int


class Cursors:
    """Seals and opens cursors."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def asked(self, request: web.Request) -> Asked:
        """The page this request asks for; Invalid for a cursor that is not of this list, or a limit out of bounds."""
        text = request.query.get("limit", str(USUAL))
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
            raise Invalid(f"limit: a number from 1 to {MOST}")
        cursor = request.query.get("cursor")
        return Asked(None if cursor is None else self.open(_list(request), cursor), int(text))

    def answer(self, request: web.Request, items: Iterable[object], place: str | None) -> dict[str, object]:
        """One page: what is on it, and the cursor of the next one, unless nothing follows."""
        return {"items": list(items), "next": None if place is None else self.seal(_list(request), place)}

    def seal(self, of: str, place: str) -> str:
        """A place in this list, as clients get it."""
        return base64.urlsafe_b64encode(self._tag(of, place) + place.encode()).decode().rstrip("=")

    def open(self, of: str, cursor: str) -> str:
        """The place a cursor of this list names; Invalid for any other text."""
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            tag, place = data[:_SEAL_BYTES], data[_SEAL_BYTES:].decode()
        except (ValueError, binascii.Error):
            raise Invalid(_FOREIGN) from None
        if not hmac.compare_digest(tag, self._tag(of, place)):
            raise Invalid(_FOREIGN)
        return place

    def _tag(self, of: str, place: str) -> bytes:
        return hmac.new(self._key, f"{len(of.encode())}:{of}{place}".encode(), hashlib.sha256).digest()[:_SEAL_BYTES]


def page_of(items: Sequence[T], key: Callable[[T], str], asked: Asked) -> tuple[list[T], str | None]:
    """A page of a list that is whole in memory, in the order of `key`; the place it ends at, unless nothing follows."""
    following = [item for item in sorted(items, key=key) if asked.place is None or key(item) > asked.place]
    page = following[: asked.limit]
    return page, key(page[-1]) if len(following) > asked.limit else None


def _list(request: web.Request) -> str:
    """The list and its filters, however a client orders or spells them."""
    filters = sorted((name, value) for name, value in request.query.items() if name not in PARAMETERS)
    return repr((request.path, filters))
