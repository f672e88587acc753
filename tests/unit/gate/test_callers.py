from __future__ import annotations

from types import SimpleNamespace

import pytest

from stagewarden.config import People
from stagewarden.config.shapes import StepUp as Terms
from stagewarden.errors import StepUp
from stagewarden.gate.callers import Callers
from stagewarden.identity.oidc import Proven
from stagewarden.identity.people import Caller
from tests.unit.identity.people_and_agents import StillClock

NOW = StillClock().now_ns() // 10**9


def callers(environment: str, acr: str | None) -> Callers:
    """What is asked of the configuration and the clock."""
    settings = SimpleNamespace(environment=environment, people=People(step_up=Terms(acr=acr)))
    return Callers(SimpleNamespace(config=settings, clock=StillClock()))


@pytest.mark.parametrize(
    ("environment", "acr", "proven", "holds"),
    [
        ("sandbox", "strong", None, True),
        ("production", None, None, False),
        ("production", None, Proven("i", "s"), False),
        ("production", None, Proven("i", "s", auth_time=NOW - 299), True),
        ("production", None, Proven("i", "s", auth_time=NOW - 301), False),
        ("production", "strong", Proven("i", "s", auth_time=NOW), False),
        ("production", "strong", Proven("i", "s", auth_time=NOW, acr="weak"), False),
        ("production", "strong", Proven("i", "s", auth_time=NOW, acr="strong"), True),
    ],
    ids=["sandbox", "no-provider", "moment-not-said", "fresh", "stale", "context-not-said", "weak", "strong"],
)
def test_what_is_grave_takes_a_fresh_and_strict_sign_in(environment, acr, proven, holds):
    """`people.step_up`: what the provider did not confirm is a no; a sandbox asks nobody."""
    caller = Caller("ines", None, frozenset(), "session", proven)
    if holds:
        callers(environment, acr)._prove_anew(caller)
        return
    with pytest.raises(StepUp):
        callers(environment, acr)._prove_anew(caller)
