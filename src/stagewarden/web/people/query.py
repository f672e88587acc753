"""The query of an API call, read strictly: what a route does not know is refused, never passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid

if TYPE_CHECKING:
    from aiohttp import web

LONGEST = 200  # characters of a value


def check_query(request: web.Request, known: tuple[str, ...]) -> None:
    """Raise Invalid for a parameter that is unknown, given twice, or too long."""
    for name, value in request.query.items():
        if name not in known:
            raise Invalid(f"{name}: not a parameter here")
        if len(request.query.getall(name)) > 1:
            raise Invalid(f"{name}: given more than once")
        if len(value) > LONGEST:
            raise Invalid(f"{name}: longer than {LONGEST} characters")


def flag(request: web.Request, name: str) -> bool:
    """A parameter that is true or false, and false where it is not given; raises Invalid."""
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise Invalid(f"{name}: expected true or false")
    return text == "true"
