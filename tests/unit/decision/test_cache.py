"""The decision cache gives a yes again to exactly the same question and nobody else's, and forgets it when anything it rests on changes."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stagewarden.config import Cache, Places, Seconds
from stagewarden.decision import load_bundle, require_timeless
from stagewarden.decision.bundle import Bundle
from stagewarden.decision.cache import CachingDecider, key
from stagewarden.errors import CannotTell, ConfigError, PolicyUnavailable
from stagewarden.model import Allow, Ask, Deny, Question, Reason, Seat, Tier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stagewarden.model import Document, Verdict

QUESTION: Document = {
    "version": 1, "time": "2026-11-21T09:00:00Z", "time_ns": 1795251600000000000,
    "request": {
        "method": "POST", "upstream": "cms", "host": "cms.internal", "path": ["posts"], "raw_path": "/posts", "query": {},
        "headers": {"content-type": ["application/json"]}, "body": {"title": "x", "n": 1}, "size": 20, "digest": "sha256:00",
    },
    "principal": {
        "agent": "drafter-7", "workflow": "newsletter", "credential": {"kind": "key", "issuer": "drafter-7", "expires_ns": 0},
        "chain": [{"kind": "agent", "id": "drafter-7", "verified": True}], "trigger": None,
    },
    "action": {
        "upstream": "cms", "route": "POST /posts", "stage": "generate", "kind": "post.draft", "asset": {"id": None, "digest": None, "state": "none"},
        "fields": ["n", "title"], "data_classes": [], "destination": "intranet", "external": False, "reversible": "compensate", "loopback": False,
    },
    "facts": {"claims": [], "offers": [], "content": None}, "asserted": {"confidence": 0.5}, "grants": [], "approval": None,
    "state": {
        "registry": "rev-1", "environment": "production", "mode": "active", "sample": False, "thresholds": [],
        "release": {"fingerprint": None, "validated": True},
    },
}  # fmt: skip
YES = Allow(Tier.LOW, (Reason("stage_granted", "stagewarden.rules.stages", "It may"),), cacheable=True)
CLOCK = {("time",), ("time_ns",)}
UNKEPT = {("grants",), ("approval",)}


@dataclass
class Hand:
    """A clock moved by hand."""

    now: float = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def now_ns(self) -> int:
        """Nanoseconds."""
        return int(self.now * 1e9)


@dataclass
class Policy:
    """A decider that says what it is told, when it is told, and counts."""

    verdict: Verdict = YES
    revision: str = "policy-1"
    gate: asyncio.Event | None = None
    failure: Exception | None = None
    asked: list[Question] = field(default_factory=list)
    closed: bool = False

    async def decide(self, question: Question) -> Verdict:
        """The verdict, after the gate has opened."""
        self.asked.append(question)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.verdict

    async def load(self, document: Document) -> None:
        """Refuses a registry that says so."""
        if document.get("broken"):
            raise PolicyUnavailable("no")

    async def self_test(self) -> None:
        """Asks as the engines do."""
        await self.decide(Question({"version": 1}))

    async def close(self) -> None:
        """Closed."""
        self.closed = True


@dataclass
class House:
    """A cache with everything it rests on in reach."""

    policy: Policy = field(default_factory=Policy)
    clock: Hand = field(default_factory=Hand)
    epoch: int = 0
    seen: list[str] = field(default_factory=list)
    entries: int = 4

    def __post_init__(self) -> None:
        self.cache = CachingDecider(self.policy, Cache(entries=self.entries, age=Seconds(2)), self.clock, lambda: self.epoch, self.seen.append)

    async def ask(self, path: tuple[str, ...] = (), value: Any = None) -> Verdict:
        """The usual question with one thing changed."""
        return await self.cache.decide(Question(changed(QUESTION, path, value)))


def changed(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with one value replaced."""
    made = copy.deepcopy(document)
    node = made
    for step in path[:-1]:
        node = node[step]
    if path:
        node[path[-1]] = value
    return made


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for step, inner in below for path in ((*at, step), *places(inner, (*at, step)))]


def shuffled(value: Any, order: Callable[[list[str]], list[str]]) -> Any:
    """The same document with every object's members in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name], order) for name in order(list(value))}
    return [shuffled(each, order) for each in value] if isinstance(value, list) else value


def named(document: Any, policy: str = "p", registry: str = "r", epoch: int = 0) -> bytes | None:
    """The key."""
    return key(Question(document), policy, registry, epoch)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_a_question_that_differs_anywhere_has_a_key_of_its_own(data: Any) -> None:
    """Any one value replaced, removed or of another type (1, 1.0, true, "1") is another key; only the clock is not looked at."""
    path = data.draw(st.sampled_from(places(QUESTION)))
    value = data.draw(PLAIN | st.sampled_from([1, 1.0, True, "1", 0, False, None, "", [], {}]))
    other = changed(QUESTION, path, value)
    assume(json.dumps(other, sort_keys=True) != json.dumps(QUESTION, sort_keys=True))
    if path in CLOCK:
        sound = isinstance(value, str) if path == ("time",) else type(value) is int
        assert named(other) == (named(QUESTION) if sound else None)
    elif path in UNKEPT:
        assert named(other) is None
    else:
        assert named(other) not in {named(QUESTION), None}


@settings(max_examples=300, deadline=None)
@given(PLAIN, PLAIN, st.randoms(use_true_random=False))
def test_two_questions_share_a_key_only_if_they_are_equal(one: Any, other: Any, random: Any) -> None:
    """Equal ones always do, whatever the order of their members; unequal ones never."""
    first, second = changed(QUESTION, ("request", "body"), one), changed(QUESTION, ("request", "body"), other)
    assert (named(first) == named(second)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))

    def order(names: list[str]) -> list[str]:
        return random.sample(names, len(names))

    assert named(shuffled(first, order)) == named(first)


@pytest.mark.parametrize(("one", "other"), [
    pytest.param(("ab", "c", 1), ("a", "bc", 1), id="policy and registry"),
    pytest.param(("a", "1", 11), ("a", "11", 1), id="registry and epoch"),
    pytest.param(("a\n1", "", 1), ("a", "\n1", 1), id="a separator"),
])  # fmt: skip
def test_cve_2026_33729_and_48096_no_separator_can_be_written_into_a_key(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    """OpenFGA: parts joined by a character that may stand in a part made two requests share an entry. Ours are length-prefixed."""
    assert named(QUESTION, *one) != named(QUESTION, *other)


@pytest.mark.parametrize("member", [name for name in QUESTION if name not in {"time", "time_ns", "grants", "approval"}])
def test_cve_2025_46331_no_part_of_the_question_is_left_out_of_the_key(member: str) -> None:
    """OpenFGA: an answer was given again although the contextual part of the question differed. Ours is made of the whole question."""
    assert named(changed(QUESTION, (member,), "another")) != named(QUESTION)
    assert named({name: value for name, value in QUESTION.items() if name != member}) != named(QUESTION)


async def test_cve_2026_34972_and_71326_questions_that_differ_are_not_asked_as_one() -> None:
    """OpenFGA's batches and Traefik's single flight merged requests that differed. Ours wait for exactly their own question."""
    house = House(Policy(gate=asyncio.Event()))
    bodies = [{"n": 1}, {"n": 1.0}, {"n": True}, {"n": "1"}, {"m": 1}]
    asking = [asyncio.create_task(house.ask(("request", "body"), body)) for body in bodies for _ in range(3)]
    await asyncio.sleep(0)
    assert [question.document["request"]["body"] for question in house.policy.asked] == bodies  # type: ignore[index, call-overload]
    assert house.policy.gate is not None
    house.policy.gate.set()
    assert await asyncio.gather(*asking) == [YES] * len(asking)


async def test_cve_2026_33496_two_caches_share_nothing() -> None:
    """Oathkeeper: an answer of one authenticator was given for another. Entries belong to one decider, under its own revision."""
    one, other = House(), House(Policy(verdict=Deny.by_gate("no", "no"), revision="policy-2"))
    assert await one.ask() is YES
    assert (await other.ask()).effect == "deny"


async def test_an_equal_question_is_answered_without_the_policy_at_another_time() -> None:
    """The clock alone is not part of the question; each answer is counted."""
    house = House()
    assert await house.ask() is YES
    assert await house.ask(("time_ns",), 1) is YES
    assert (len(house.policy.asked), house.seen) == (1, ["miss", "hit"])


@pytest.mark.parametrize("verdict", [
    pytest.param(replace(YES, cacheable=False), id="a yes that is not cacheable"),
    pytest.param(Ask(Tier.MEDIUM, (), (Seat(("reviewer",), 1),)), id="a hold"),
    pytest.param(Deny.by_gate("no", "no"), id="a denial"),
])  # fmt: skip
async def test_what_is_no_cacheable_yes_is_asked_every_time(verdict: Verdict) -> None:
    """A hold and a denial are never kept, so that no denial can outlive a yes."""
    house = House(Policy(verdict))
    for _ in range(2):
        assert await house.ask() is verdict
    assert (len(house.policy.asked), house.seen) == (2, ["miss", "miss"])


@pytest.mark.parametrize(("path", "value"), [
    pytest.param(("approval",), {"hold": "h_1"}, id="an approval"),
    pytest.param(("grants",), [{"id": "g_1"}], id="a grant"),
    pytest.param(("grants",), None, id="no list of grants"),
    pytest.param(("time",), None, id="no time"),
    pytest.param(("time_ns",), "1", id="a time that is text"),
    pytest.param(("time_ns",), True, id="a time that is true"),
    pytest.param(("request", "body"), {1: "x"}, id="no JSON"),
])  # fmt: skip
async def test_a_question_with_approval_grants_or_a_malformed_clock_is_asked_every_time(path: tuple[str, ...], value: Any) -> None:
    """Even where the policy calls its yes cacheable."""
    house = House()
    for _ in range(2):
        await house.ask(path, value)
    assert (len(house.policy.asked), house.seen) == (2, [])


async def test_a_yes_ends_with_its_age_and_not_with_its_use() -> None:
    """Two seconds after it was given by the policy it is asked for again, however often it was used."""
    house = House()
    for later, asked in ((0.0, 1), (1.0, 1), (0.9, 1), (0.1, 2), (1.9, 2)):
        house.clock.now += later
        await house.ask()
        assert len(house.policy.asked) == asked


async def test_the_oldest_goes_when_it_is_full() -> None:
    """The number of entries is bounded, whatever an agent asks."""
    house = House(entries=2)
    for number in (1, 2, 3, 3, 2, 1):
        await house.ask(("request", "body"), number)
        assert len(house.cache._kept) <= 2
    assert house.seen == ["miss", "miss", "miss", "hit", "hit", "miss"]


async def test_ghsa_x883_2vmg_xwf7_and_cve_2021_41230_a_stop_voids_every_yes() -> None:
    """Authelia and Pomerium: a revoked session was let through from a cache. Every act of stopping makes every key another."""
    house = House()
    await house.ask()
    house.epoch += 1
    house.policy.verdict = Deny.by_gate("paused", "no")
    assert (await house.ask()).effect == "deny"


async def test_stops_that_cannot_be_read_are_no_yes() -> None:
    """The stop file is looked at before a kept verdict is."""
    house = House()
    await house.ask()

    def unreadable() -> int:
        raise CannotTell("the stop file is gone")

    house.cache._epoch = unreadable
    with pytest.raises(CannotTell):
        await house.ask()


@pytest.mark.parametrize("document", [pytest.param({"revision": "rev-2"}, id="another"), pytest.param({"revision": "rev-1"}, id="the same")])
async def test_a_registry_that_is_loaded_voids_every_yes(document: Document) -> None:
    """Also where its revision is the old one."""
    house = House()
    await house.cache.load({"revision": "rev-1"})
    await house.ask()
    await house.cache.load(document)
    await house.ask()
    assert house.seen == ["miss", "miss"]


async def test_a_registry_that_is_refused_voids_every_yes_too() -> None:
    """Which registry the engine then judges by is the engine's to say: nothing of before is trusted."""
    house = House()
    await house.ask()
    with pytest.raises(PolicyUnavailable):
        await house.cache.load({"broken": True})
    await house.ask()
    assert house.seen == ["miss", "miss"]


async def test_another_policy_is_asked() -> None:
    """The revision in force is part of every key."""
    house = House()
    await house.ask()
    house.policy.revision = "policy-2"
    await house.ask()
    assert house.seen == ["miss", "miss"]


async def test_what_was_under_way_when_the_registry_changed_is_not_kept() -> None:
    """A yes by the old registry answers whoever asked before, and nobody after."""
    house = House(Policy(gate=asyncio.Event()))
    before = asyncio.create_task(house.ask())
    waiting = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    await house.cache.load({"revision": "rev-1"})
    after = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    assert house.policy.gate is not None
    house.policy.gate.set()
    await asyncio.gather(before, waiting, after)
    assert (len(house.policy.asked), house.seen) == (3, ["miss", "miss", "miss"])


async def test_equal_questions_under_way_are_asked_once() -> None:
    """Ten agents' worth of the same question cost one answer."""
    house = House(Policy(gate=asyncio.Event()))
    asking = [asyncio.create_task(house.ask()) for _ in range(10)]
    await asyncio.sleep(0)
    assert house.policy.gate is not None
    house.policy.gate.set()
    assert await asyncio.gather(*asking) == [YES] * 10
    assert (len(house.policy.asked), sorted(house.seen)) == (1, ["hit"] * 9 + ["miss"])


@pytest.mark.parametrize("ending", ["cancelled", "failed", "not cacheable"])
async def test_who_waited_for_another_asks_for_themselves_where_that_brings_nothing(ending: str) -> None:
    """A client that goes, an engine that fails and a verdict that may not be shared are nobody else's answer."""
    house = House(Policy(gate=asyncio.Event()))
    first, *others = [asyncio.create_task(house.ask()) for _ in range(4)]
    await asyncio.sleep(0)
    assert house.policy.gate is not None
    if ending == "cancelled":
        first.cancel()
        await asyncio.sleep(0)
    elif ending == "failed":
        house.policy.failure = PolicyUnavailable("gone")
    else:
        house.policy.verdict = replace(YES, cacheable=False)
    house.policy.gate.set()
    await asyncio.wait([first])
    house.policy.failure = None
    results = await asyncio.gather(*others, return_exceptions=True)
    assert len(house.policy.asked) > 1
    assert not any(isinstance(each, asyncio.CancelledError) for each in results)
    if ending == "not cacheable":
        assert (len(house.policy.asked), house.seen) == (4, ["miss"] * 4)
    assert house.cache._flights == {}


async def test_a_waiting_client_that_goes_takes_nobody_along() -> None:
    """Cancelling one who waits leaves the one who asks, and the others, as they were."""
    house = House(Policy(gate=asyncio.Event()))
    first, second, third = [asyncio.create_task(house.ask()) for _ in range(3)]
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    assert house.policy.gate is not None
    house.policy.gate.set()
    assert await asyncio.gather(first, third) == [YES, YES]
    assert len(house.policy.asked) == 1


async def test_self_test_and_close_are_the_engines() -> None:
    """Passed on; nothing is kept after the end."""
    house = House()
    await house.cache.self_test()
    await house.ask()
    await house.cache.close()
    assert (house.policy.closed, house.cache._kept, len(house.policy.asked)) == (True, {}, 2)


VOUCHED = b"# METADATA\n# title: Hours\n# custom:\n#   timeless: true\npackage stagewarden.rules.hours\n\nallow contains 1\n"


def test_the_shipped_topics_vouch_for_the_clock(tmp_path: Path) -> None:
    """The built-in bundle may be cached."""
    require_timeless(load_bundle("builtin", tmp_path, Places.of()))


@pytest.mark.parametrize(("files", "named"), [
    pytest.param({"a.rego": VOUCHED.replace(b"timeless: true", b"timeless: false")}, "stagewarden.rules.hours", id="says no"),
    pytest.param({"a.rego": b"package stagewarden.rules.hours\n\n# timeless: true\n"}, "stagewarden.rules.hours", id="says it elsewhere"),
    pytest.param({"a.rego": b"package stagewarden.rules.hours\n"}, "stagewarden.rules.hours", id="says nothing"),
    pytest.param({"a.rego": b'# timeless: true\npackage stagewarden["rules"].hours\n'}, "a.rego", id="spelt otherwise"),
    pytest.param({"a.rego": b"# nothing\n"}, "a.rego", id="no package"),
    pytest.param({"a.rego": VOUCHED, "b.rego": b"package stagewarden.rules.other\n"}, "stagewarden.rules.other", id="one of two"),
    pytest.param({"main.rego": b"package stagewarden.main\n"}, "all", id="no topic"),
])  # fmt: skip
def test_a_topic_that_does_not_vouch_keeps_the_cache_off(files: dict[str, bytes], named: str) -> None:
    """Whether a rule reads the clock cannot be seen from its verdicts, so its author says it, where it can be found."""
    with pytest.raises(ConfigError, match=f"the clock: {named}"):
        require_timeless(Bundle(tuple(files.items()), b""))


def test_a_topic_of_two_files_vouches_once() -> None:
    """OPA allows a package's metadata in one of its files only."""
    require_timeless(Bundle((("a.rego", VOUCHED), ("b.rego", b"# more\n\npackage stagewarden.rules.hours\n")), b""))
