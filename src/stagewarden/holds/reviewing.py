"""How votes come about: when somebody first saw a hold's content, and with each vote what it took (reference/governance.md C2.16).

Moves nothing and is no part of the log: a vote counts the same with or without it. What stands here is forgotten after `KEPT_DAYS`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import StateUnavailable
from stagewarden.holds import lifecycle, signals
from stagewarden.holds.desk import Desk
from stagewarden.holds.hours import at_work
from stagewarden.holds.signals import Review
from stagewarden.store.tables import holds, reviews, views

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stagewarden.config import Hours
    from stagewarden.holds.desk import Pen
    from stagewarden.model import Hold, Vote

KEPT_DAYS: Final = 90
_MOST = 10_000  # reviews read at once; the newest
_SHOWN = [column for column in reviews.c if column is not reviews.c.vote]


class Reviewing(Desk):
    """Reading, and the first look."""

    async def seen(self, hold: Hold, person: str) -> None:
        """The content of a hold that waits was shown to this person. The first time counts; any later one changes nothing."""
        if hold.state not in lifecycle.OPEN:
            return
        async with self._store.reading() as connection:
            known = await connection.scalar(select(views.c.first_at_ns).where(views.c.hold == hold.id, views.c.person == person))
        if known is None:
            # Shown twice at once, one of them was first; and where it cannot be written, people read on without.
            with suppress(StateUnavailable):
                async with self._store.writing() as connection:
                    await connection.execute(insert(views).values(hold=hold.id, person=person, first_at_ns=self._clock.now_ns()))

    async def reviews(self, seconds: float, person: str | None = None) -> tuple[Review, ...]:
        """Of the last so many seconds, newest first; of everybody, or of one person."""
        where: list[ColumnElement[bool]] = [reviews.c.at_ns > self._clock.now_ns() - int(seconds * NANOSECONDS)]
        where += [] if person is None else [reviews.c.person == person]
        query = select(*_SHOWN).where(*where).order_by(reviews.c.at_ns.desc()).limit(_MOST)
        async with self._store.reading() as connection:
            return tuple(Review(**row) for row in (await connection.execute(query)).mappings())

    async def forget_reviews(self) -> None:
        """What is too old to say anything, and who looked at holds that are decided."""
        before = self._clock.now_ns() - KEPT_DAYS * 86_400 * NANOSECONDS
        decided = select(holds.c.id).where(holds.c.state.not_in(sorted(lifecycle.OPEN)))
        async with self._store.writing() as connection:
            await connection.execute(delete(reviews).where(reviews.c.at_ns <= before))
            await connection.execute(delete(views).where(views.c.hold.in_(decided)))


async def note(pen: Pen, hold: Hold, vote: Vote, unread: frozenset[str] | None, hours: Hours | None) -> Review:
    """Write down how this vote came about, in its transaction. `unread`: parts of the page not marked as read; None: shown where none can be."""
    mine = (views.c.hold == hold.id, views.c.person == vote.person)
    viewed_at_ns = await pen.connection.scalar(select(views.c.first_at_ns).where(*mine)) or 0
    review = Review(
        person=vote.person, workflow=hold.workflow, tier=str(hold.tier), decision=vote.decision, viewed_at_ns=viewed_at_ns, at_ns=vote.at_ns,
        length=signals.length(hold.request.body, hold.before), in_view=viewed_at_ns > 0 and not unread,
        after_hours=hours is not None and not at_work(vote.at_ns, hours),
    )  # fmt: skip
    await pen.connection.execute(insert(reviews).values({"vote": vote.id, **{column.name: getattr(review, column.name) for column in _SHOWN}}))
    return review
