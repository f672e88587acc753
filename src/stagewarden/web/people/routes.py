"""A route of the people's API: what it needs, takes and gives. The table in api.py is made of these; router, document and tests read it.

A route without the shape of its answer or without a sentence is not done: a test says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from stagewarden.web.people.answers import Shape

PREFIX = "/api/v1"
DOCUMENT, EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True, slots=True)
class Route:
    """One act. `needs` nobody, a caller, or a person whose own token another queue passes on.

    `query`: the parameters it knows; `gives`: the shape of its answer; `says`: what it is for.

    `stops`: it makes things stricter, or ends a session, and therefore waits for no memory of repeats. `grave`: in production it can take
    a person who has just signed in.
    """

    method: str
    path: str
    act: Callable[..., Awaitable[object]]
    needs: Literal["nobody", "caller", "person"] = "caller"
    body: type[msgspec.Struct] | None = None
    query: tuple[str, ...] = ()
    gives: type[Shape] | None = None
    says: str = ""
    media: str = DOCUMENT
    stops: bool = False
    grave: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method not in {"GET", "HEAD"}

    @property
    def once(self) -> bool:
        """Whether it takes an `Idempotency-Key`. A password's answer is kept for nobody."""
        return self.writes and self.needs == "caller"

    def codes(self) -> tuple[str, ...]:
        """The problems it can answer with. `render` knows the status of each."""
        found = ["misdirected", "invalid", "not_allowed", "internal", "cannot_tell", "audit_unavailable", "unauthenticated"]
        found += ["step_up"] if self.grave else []
        found += ["not_found"] if "{" in self.path or self.writes else []
        found += ["conflict"] if self.once or self.needs == "person" else []
        found += ["ambiguous_request", "body_too_large", "unsupported_body"] if self.writes else []
        found += ["overloaded"] if self.needs == "nobody" or self.media == EVENTS else []
        found += ["draining"] if self.media == EVENTS else []
        return tuple(found)
