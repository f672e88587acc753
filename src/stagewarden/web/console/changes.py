"""What a held request would change: its fields against the asset as it stood when asked (C2.3).

Changed fields come first, unchanged ones fold with their names. Everything is computed from the stored bytes, never from what
the agent says about them. A page takes so much and no more (`exact.Room`): what finds no room is counted, and stands in the exact bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.web.console import fields, found, lines
from stagewarden.web.console.exact import Room, Run, reveal, short

if TYPE_CHECKING:
    from stagewarden.model import JSON, Request
    from stagewarden.web.console.fields import Pair

_LONG = 160  # characters from which a text is compared line by line
FIELDS = 300  # fields in one table
TEXTS = 40  # texts compared line by line
_ROOM = 640 << 10  # bytes of markup for what changes
_ASIDE = 160 << 10  # for what folds: fields of the asset that the request leaves alone


@dataclass(frozen=True, slots=True)
class Field:
    """One field before and after; `before` None: it was not there, or nothing before is known."""

    name: tuple[Run, ...]
    before: tuple[Run, ...] | None
    after: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A long text of one field. `place` names it to the preview; `markup`: there is something to preview, before and now."""

    name: tuple[Run, ...]
    lines: lines.Comparison
    found: found.Found
    place: str = ""
    markup: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class Changes:
    """All of it. `known`: an earlier version is known; `asset`: what stands at the upstream and the request does not name.

    Where the request carries no content (publish by id), `asset` is the content it is about. `more`: fields that found no room.
    """

    known: bool
    changed: tuple[Field, ...]
    same: tuple[Field, ...]
    asset: tuple[Text, ...]
    texts: tuple[Text, ...]
    more: int
    found: found.Found

    @property
    def empty(self) -> bool:
        """The request itself carries no field and no text."""
        return not (self.changed or self.same or self.texts)

    @property
    def previews(self) -> bool:
        """Whether any text has markup to preview."""
        return any(any(text.markup) for text in (*self.texts, *self.asset))


def changes(request: Request, before: bytes | None, said: JSON = None, *, body_only: bool = False) -> Changes:
    """Compare the request's fields with what was before: the asset, or with `body_only` another body; `said`: as described to the policy."""
    read = fields.compared(request, before, said, body_only=body_only)
    long = [pair for pair in read.pairs if pair.differs and _is_long(pair)]
    short_ = [pair for pair in read.pairs if pair.differs and not _is_long(pair)]
    same = [pair for pair in read.pairs if not pair.differs]
    room, aside = Room(_ROOM), Room(_ASIDE)
    changed = tuple(_field(pair, room) for pair in short_[:FIELDS])
    texts = tuple(_text(pair, room) for pair in long[:TEXTS])
    return Changes(
        known=read.known, changed=changed, texts=texts,
        same=tuple(Field(reveal(short(pair.name)), None, aside.take(pair.after)) for pair in same[:FIELDS]),
        asset=tuple(_text(pair, aside) for pair in read.rest[:FIELDS]),
        more=sum(max(0, len(each) - most) for each, most in ((short_, FIELDS), (long, TEXTS), (same, FIELDS), (read.rest, FIELDS))),
        found=found.look(pair.after for pair in read.pairs),
    )  # fmt: skip


def _is_long(pair: Pair) -> bool:
    return len(pair.after) > _LONG or len(pair.before or "") > _LONG or "\n" in pair.after


def _field(pair: Pair, room: Room) -> Field:
    if pair.before is None:
        return Field(reveal(short(pair.name)), None, room.take(pair.after))
    left, right = lines.words(pair.before, pair.after, room)
    return Field(reveal(short(pair.name)), left, right)


def _text(pair: Pair, room: Room) -> Text:
    compared = lines.compare(pair.before, pair.after, room)
    return Text(
        reveal(short(pair.name)), compared, found.look([pair.after]), pair.place, (found.renders(pair.before or ""), found.renders(pair.after))
    )
