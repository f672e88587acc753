from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from stagewarden.config import People
from stagewarden.config.shapes import StepUp as Terms
from stagewarden.errors import Invalid, NotAllowed, StepUp
from stagewarden.gate.callers import Callers
from stagewarden.gate.views import Views
from stagewarden.identity.oidc import Proven
from stagewarden.identity.people import Caller, ProgramToken
from stagewarden.model import Tier
from stagewarden.registry import Agent, AgentIdentity, AgentOwners, Person, Registry, RegistryData
from tests.unit.identity.people_and_agents import StillClock

INES = Person(functions=("reviewer",))
OLGA = Person(functions=("technical",))
AIKO = Person(functions=("security",))
GROUPED = Person(functions=("security",), group="sec")
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


@pytest.mark.parametrize(
    ("decision", "tier", "refused"), [("approve", Tier.HIGH, True), ("reject", Tier.HIGH, False), ("approve", Tier.MEDIUM, False)]
)
def test_a_yes_of_high_tier_is_grave(decision, tier, refused):
    """To a request and to a grant, which says it in advance; a no waits for nobody."""
    with pytest.raises(StepUp) if refused else nullcontext():
        callers("production", None)._prove_vote(Caller("ines", None, frozenset(), "session"), decision, tier)


@pytest.mark.parametrize(
    ("person", "reason", "age", "refused"),
    [
        ("olga", "over", 10, None),
        ("olga", "over", 301, StepUp),
        ("olga", " ", 10, Invalid),
        ("ines", "over", 10, NotAllowed),
        (None, "over", 10, NotAllowed),
    ],
    ids=["fresh", "stale", "no reason", "another function", "a program"],
)
def test_loosening_takes_a_function_a_reason_and_a_fresh_sign_in(person, reason, age, refused):
    """Modes and kills alike (lifecycles.md, "Who may do what"): any of the three missing is a no."""
    acts = callers("production", None)
    acts._rooms.registry = Registry.of(RegistryData(people={"ines": INES, "olga": OLGA}))
    caller = Caller(person, None if person else "robot", frozenset({"stop"}), "session", Proven("i", "s", auth_time=NOW - age))
    with pytest.raises(refused) if refused else nullcontext():
        acts._loosens(caller, reason)


@pytest.mark.parametrize("tier", ["fresh", "stale"])
def test_a_terminal_never_meets_step_up(tier):
    """Contract section 2: whatever was proven, and however lately; in a sandbox there is nothing to meet."""
    caller = Caller("ines", None, frozenset(), "terminal", Proven("i", "s", auth_time=NOW if tier == "fresh" else 0))
    with pytest.raises(StepUp, match="never meets it"):
        callers("production", None)._prove_anew(caller)
    assert "never meets it" in callers("production", None).owed_proof(caller)
    callers("sandbox", None)._prove_anew(caller)


@pytest.mark.parametrize(
    ("caller", "says"),
    [
        (Caller(None, "reader", frozenset({"read"}), "token"), "by a person"),
        (Caller("ines", None, frozenset(), "token"), "by a person"),
        (Caller("ines", None, frozenset(), "terminal", Proven("i", "s", auth_time=NOW)), "by a person"),
        (Caller("ines", None, frozenset(), "session", Proven("i", "s", auth_time=NOW - 301)), "not older than"),
        (Caller("ines", None, frozenset(), "session"), "not older than"),
        (Caller("ines", None, frozenset(), "session", Proven("i", "s", auth_time=NOW)), None),
    ],
    ids=["program", "token", "terminal", "stale", "not-proven", "fresh"],
)
def test_who_may_lend_a_terminal_a_sign_in(caller, says):
    """A person at the console who has just proven who they are; neither a token nor a terminal makes another."""
    if says is None:
        callers("production", None).may_lend(caller)
        return
    with pytest.raises(NotAllowed, match=says):
        callers("production", None).may_lend(caller)


def views(**people: Person) -> Views:
    """A newsroom of these people, where olga owns the agent that asks."""
    agent = Agent(identity=AgentIdentity(key="k"), owners=AgentOwners(human="olga"), stages=("export",), workflows=("newsletter",))
    known = {"ines": INES, "olga": OLGA, "aiko": AIKO, "grouped": GROUPED, **people}
    return Views(SimpleNamespace(registry=Registry.of(RegistryData(people=known, agents={"drafter": agent})), store=None))


@pytest.mark.parametrize(
    ("scopes", "creator", "shown"),
    [
        ({"read"}, "aiko", False),
        ({"payloads"}, None, True),
        ({"payloads"}, "ines", True),
        ({"payloads"}, "olga", True),
        ({"payloads"}, "aiko", True),
        ({"payloads"}, "jonas", False),
        ({"payloads"}, "grouped", False),
        ({"payloads"}, "mallory", False),
    ],
    ids=["not its scope", "sandbox", "a seat's", "the owner's", "security's", "another function's", "not confirmed", "not listed"],
)
def test_a_program_is_shown_no_more_than_its_creator_would_be(a_hold, scopes, creator, shown):
    """`payloads` of whoever created the token, as the registry says now; a function that needs a directory group counts for nothing."""
    caller = Caller(None, "auditor", frozenset(scopes), "token", creator=creator)
    assert views(jonas=Person(functions=("legal",)))._payload(caller, a_hold) is shown


def test_a_program_loses_what_its_creator_loses(a_hold):
    """With the next request."""
    caller = Caller(None, "auditor", frozenset({"payloads"}), "token", creator="aiko")
    assert views()._payload(caller, a_hold)
    assert not views(aiko=Person(functions=("legal",)))._payload(caller, a_hold)
    assert not views(aiko=Person(functions=("security",), active=False))._payload(caller, a_hold)


@pytest.mark.parametrize(("who", "shown"), [("ines", ["mine"]), ("aiko", ["mine", "theirs"]), ("olga", ["mine", "theirs"])])
async def test_whose_tokens_are_shown(who, shown):
    """One's own to whoever created them; all to security and technical; none to a program."""

    async def programs(_):
        return [ProgramToken("0", name, ("read",), creator, 1, 0, "good") for name, creator in (("mine", "ines"), ("theirs", "zoe"))]

    people = SimpleNamespace(programs=programs)
    assert [one.program for one in await views().program_tokens(Caller(who, None, frozenset(), "session"), people)] == shown
    with pytest.raises(NotAllowed):
        await views().program_tokens(Caller(None, "reader", frozenset({"read"}), "token"), people)
