"""How votes came about: numbers of a person's own, and of workflows without names."""

from __future__ import annotations

from stagewarden.web.people.answers.shape import Cursor, Shape


class Measures(Shape, frozen=True, kw_only=True):
    """Reviews in numbers: medians from first view to decision, and the longest `run` and after-hours `burst` of any one person."""

    count: int
    approved: int
    seconds: float | None
    words_per_minute: float | None
    unread: int
    run: int
    burst: int


class OwnReviews(Shape, frozen=True, kw_only=True):
    """The caller's own; signals from the registry's `signals.minimum` on."""

    measures: Measures
    signals: list[str]


class WorkflowReviews(Shape, frozen=True, kw_only=True):
    """Those of a workflow; `measures` null where there are too few. `second_person`: on which signals its holds ask one person more."""

    workflow: str
    measures: Measures | None
    signals: list[str]
    second_person: list[str]


class Reviews(Shape, frozen=True, kw_only=True):
    """The caller's own (null for a program), and those of workflows the caller answers for, by name."""

    you: OwnReviews | None
    items: list[WorkflowReviews]
    next: Cursor
