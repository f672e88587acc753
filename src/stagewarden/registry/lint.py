"""What a registry may not say, although it is well-formed (governance section 1): errors must not run, warnings should be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.errors import Problem
    from stagewarden.registry.registry import Registry


def lint(registry: Registry) -> tuple[Problem, ...]:
    """All findings, in the order of the file."""
    return ()
