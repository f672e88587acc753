"""The grammar of `match`: METHOD and a path of segments, `{name}` for one segment, `{name...}` last for the rest (contract section 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stagewarden.config.units import Misfit

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
WRITE_METHODS = ("POST", "PUT", "PATCH")
_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]+", re.ASCII)  # RFC 3986 pchar, without percent triples and `;`
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}", re.ASCII)
_REMEDY = "write METHOD and a path, as in POST /posts/{id}"


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed `match`; a parameter is kept as written."""

    method: str
    segments: tuple[str, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names in the path, in order."""
        return tuple([found[1] for segment in self.segments if (found := _PARAMETER.fullmatch(segment))])

    def covers(self, other: Template) -> bool:
        """Whether every request that `other` matches is matched here first."""
        if self.method != other.method:
            return False
        for index, part in enumerate(self.segments):
            if part.endswith("...}"):
                return len(other.segments) > index
            if index >= len(other.segments) or other.segments[index].endswith("...}"):
                return False
            if not part.startswith("{") and part != other.segments[index]:
                return False
        return len(self.segments) == len(other.segments)


def parse(match: str) -> Template:
    """`POST /posts/{id}`; raises Misfit."""
    method, space, path = match.partition(" ")
    if method not in METHODS:
        raise Misfit("does not begin with a method that can be listed", f"one of {', '.join(METHODS)}, then a path")
    if not space or not path.startswith("/"):
        raise Misfit("has no path after the method", _REMEDY)
    segments = tuple(path.split("/")[1:])
    names: list[str] = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        found = _PARAMETER.fullmatch(segment)
        if found is not None:
            if found[2] and not last:
                raise Misfit(f"has `{segment}` before its end", "`{name...}` stands for the rest, so it comes last")
            names.append(found[1])
        elif segment in {".", ".."} or not (_LITERAL.fullmatch(segment) or (last and not segment)):
            raise Misfit(f"has the segment `{segment}`, which no target can have", "write segments as they are sent, without %, ?, ; or {} inside")
    if len(set(names)) < len(names):
        raise Misfit("names a parameter twice", "give each parameter a name of its own")
    return Template(method, segments)
