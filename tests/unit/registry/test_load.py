"""`registry.yaml` or a folder → Registry: strict, whole, and what the policy sees of it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden import registry as registries
from stagewarden.errors import ConfigError
from stagewarden.registry import Person, Registry, RegistryData, lint
from stagewarden.registry.later import REGISTRY
from tests.unit.registry.parts import REMOVED, SMALL, changed, loaded, refusals

SECTION = {
    "RegistryData": "",
    "Person": "people/alice/",
    "Workflow": "workflows/newsletter/",
    "Agent": "agents/drafter/",
    "AgentIdentity": "agents/drafter/identity/",
}


def test_a_small_registry_loads_without_a_finding(tmp_path):
    """The base that the tables change one thing in."""
    assert lint(loaded(tmp_path)) == ()


def test_the_document_is_the_data_with_every_default(tmp_path):
    """What is not written is there: empty lists, nulls, the shipped tiers and triggers, and the revision."""
    registry = loaded(tmp_path)
    document = registry.document()
    assert document["people"]["alice"] == {
        "functions": ["business"],
        "name": "",
        "identity": None,
        "aliases": [],
        "group": None,
        "delegate": None,
        "active": True,
        "email": None,
        "conflicts": [],
    }
    assert document["agents"]["drafter"]["mode"] == "active"
    assert document["agents"]["drafter"]["identity"] == {"key": "drafter", "issuer": None, "subject": None, "spiffe": None}
    assert document["tiers"]["low"] == {"seats": [], "settle": None}
    assert document["tiers"]["medium"] == {"seats": [{"functions": ["reviewer"], "count": 1}], "settle": None}
    assert [seat["functions"] for seat in document["tiers"]["high"]["seats"]] == [["manager", "reviewer"], ["compliance", "legal", "reviewer"]]
    assert document["triggers"]["legal_or_price"]["tier"] == "high"
    assert document["triggers"]["legal_or_price"]["patterns"]
    assert document["revision"] == registry.revision


def test_a_tier_that_says_only_how_long_it_settles_keeps_its_seats(tmp_path):
    """`tiers: {high: {settle: 10m}}` takes nobody away; an empty list of seats says what it says, and is refused by lint."""
    registry = loaded(tmp_path, changed(("tiers/high", {"settle": "10m"})))
    assert (registry.data.tiers["high"].settle, len(registry.data.tiers["high"].seats), lint(registry)) == ("10m", 2, ())
    assert loaded(tmp_path, changed(("tiers/high", {"settle": "10m", "seats": []}))).data.tiers["high"].seats == ()


def test_the_document_is_a_copy(tmp_path):
    """Whoever changes it changes nothing here."""
    registry = loaded(tmp_path)
    registry.document()["people"].clear()
    assert registry.document()["people"]


def test_the_revision_is_the_contents(tmp_path):
    """Not the layout's, not the defaults' spelling; another content has another revision."""
    registry = loaded(tmp_path)
    spelled = changed(("people/alice/active", True), ("agents/drafter/mode", "active"))
    assert len(registry.revision) == 16
    assert loaded(tmp_path, spelled).revision == registry.revision
    assert loaded(tmp_path, dict(reversed(SMALL.items()))).revision == registry.revision
    assert loaded(tmp_path, changed(("agents/drafter/mode", "paused"))).revision != registry.revision


def test_a_written_tier_replaces_the_shipped_one(tmp_path):
    """And only that one."""
    registry = loaded(tmp_path, changed(("tiers/medium", {"seats": [{"functions": ["legal"]}, {"functions": ["reviewer"]}]})))
    assert len(registry.data.tiers["medium"].seats) == 2
    assert len(registry.data.tiers["high"].seats) == 2


def test_no_patterns_is_something_one_can_write(tmp_path):
    """An empty list is not "nothing said"."""
    registry = loaded(tmp_path, changed(("triggers/legal_or_price/patterns", [])))
    assert registry.data.triggers.legal_or_price.patterns == ()


def test_who_is_found_by_what(tmp_path):
    """Agents by key, by issuer and subject or by SPIFFE ID, people by identity; nobody by half of one."""
    document = changed(
        ("agents/researcher", SMALL["agents"]["drafter"] | {"identity": {"issuer": "https://i.example", "subject": "r"}}),
        ("agents/poster", SMALL["agents"]["drafter"] | {"identity": {"spiffe": "spiffe://example.org/poster"}}),
    )
    registry = loaded(tmp_path, document)
    assert (registry.agent_by_key("drafter"), registry.agent_by_key("x")) == ("drafter", None)
    assert registry.agent_by_subject("https://i.example", "r") == "researcher"
    assert registry.agent_by_subject("https://other.example", "r") is None
    assert registry.agent_by_spiffe("spiffe://example.org/poster") == "poster"
    assert [registry.agent_by_spiffe(each) for each in ("spiffe://example.org/Poster", "poster", "drafter", "")] == [None] * 4
    assert registry.person_by_identity("https://idp.example", "c-1") == "carol"
    assert registry.person_by_identity("https://idp.example", "carol") is None


REFUSED = {
    "blank": ({}, "", "blank"),
    "unknown_section": (changed(("persons", {})), "persons", "unknown key"),
    "unknown_key": (changed(("people/alice/function", [])), "people.alice.function", "unknown key"),
    "unknown_function": (changed(("people/alice/functions", ["boss"])), "people.alice.functions[0]", "not a value"),
    "unknown_stage": (changed(("agents/drafter/stages", ["publish"])), "agents.drafter.stages[0]", "not a value"),
    "unknown_class": (
        changed(("workflows/newsletter/scope", {"classes": {"read": ["secret"]}})),
        "workflows.newsletter.scope.classes.read[0]",
        "not a value",
    ),
    "star_class": (
        changed(("workflows/newsletter/scope", {"classes": {"read": ["*"]}})),
        "workflows.newsletter.scope.classes.read[0]",
        "not a value",
    ),
    "unknown_tier": (changed(("tiers/extreme", {})), "tiers.extreme", "not a value"),
    "missing_rollback": (changed(("workflows/newsletter/rollback", REMOVED)), "workflows.newsletter", "lacks the key `rollback`"),
    "missing_human": (changed(("agents/drafter/owners/human", REMOVED)), "agents.drafter.owners", "lacks the key `human`"),
    "id_upper": (changed(("people/Alice", {"functions": []})), "people.Alice", "not an id"),
    "id_slash": (changed(("agents", {"a/../b": SMALL["agents"]["drafter"]})), "", "not an id"),
    "id_dot": (changed(("agents", {".hidden": SMALL["agents"]["drafter"]})), "", "not an id"),
    "id_mail": (changed(("people/x@example.org", {"functions": []})), "", "not an id"),
    "identity_none": (changed(("agents/drafter/identity", {})), "agents.drafter.identity", "neither"),
    "identity_both": (changed(("agents/drafter/identity", {"key": "a", "issuer": "i", "subject": "s"})), "agents.drafter.identity", "neither"),
    "identity_half": (changed(("agents/drafter/identity", {"issuer": "i"})), "agents.drafter.identity", "neither"),
    "identity_key_and_spiffe": (
        changed(("agents/drafter/identity", {"key": "a", "spiffe": "spiffe://example.org/a"})),
        "agents.drafter.identity",
        "neither",
    ),
    "identity_subject_and_spiffe": (
        changed(("agents/drafter/identity", {"subject": "a", "spiffe": "spiffe://example.org/a"})),
        "agents.drafter.identity",
        "neither",
    ),
    "spiffe_no_path": (changed(("agents/drafter/identity", {"spiffe": "spiffe://example.org"})), "agents.drafter.identity.spiffe", "no path"),
    "spiffe_slash": (changed(("agents/drafter/identity", {"spiffe": "spiffe://example.org/a/"})), "agents.drafter.identity.spiffe", "slash"),
    "spiffe_web": (changed(("agents/drafter/identity", {"spiffe": "https://example.org/a"})), "agents.drafter.identity.spiffe", "not a SPIFFE ID"),
    "spiffe_shared": (
        changed(
            ("agents/drafter/identity", {"spiffe": "spiffe://example.org/a"}),
            ("agents/second", SMALL["agents"]["drafter"] | {"identity": {"spiffe": "spiffe://example.org/a"}}),
        ),
        "agents.second.identity",
        "`drafter` too",
    ),
    "identity_shared": (changed(("agents/second", SMALL["agents"]["drafter"])), "agents.second.identity", "`drafter` too"),
    "person_shared": (
        changed(("people/carla", {"functions": [], "identity": {"issuer": "https://idp.example", "subject": "c-1"}})),
        "people.carla.identity",
        "`carol` too",
    ),
}


@pytest.mark.parametrize(("document", "key", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_well_formed_does_not_load(tmp_path, document, key, message):
    """With its place and what to do."""
    found = refusals(tmp_path, document)
    assert any(key in each.key and message in each.message and each.remedy for each in found), list(map(str, found))


@pytest.mark.parametrize(("shape", "key"), REGISTRY, ids=[f"{shape.__name__}.{key}" for shape, key in REGISTRY])
def test_a_key_of_a_later_release_is_refused_by_name(tmp_path, shape, key):
    """Never ignored, never called unknown; what asks for nothing is fine."""
    assert any(
        "not in this release" in each.message and each.key.endswith(key)
        for each in refusals(tmp_path, changed((SECTION[shape.__name__] + key, {"a": 1})))
    )
    for value in REGISTRY[shape, key].harmless:
        assert refusals(tmp_path, changed((SECTION[shape.__name__] + key, value))) == ()


def test_a_folder_is_one_registry(tmp_path):
    """A section may be spread over files; other files are left alone."""
    for number, (section, entries) in enumerate(SMALL.items()):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump({section: entries}))
    (tmp_path / "more.yml").write_text("people: {zoe: {functions: [legal]}}")
    (tmp_path / "notes.txt").write_text("not: [yaml")
    registry = registries.load(tmp_path)
    assert {"alice", "zoe"} <= registry.data.people.keys()
    assert registry.line(("people", "zoe"))[0].endswith("more.yml")


@pytest.mark.parametrize("twice", ["people: {a: {functions: []}}", "triggers: {legal_or_price: {tier: medium}}", "grants: {max_uses: 5}",
                                   "signals: {run: 5}", "tiers: {low: {}}"])  # fmt: skip
def test_an_entry_in_two_files_is_refused(tmp_path, twice):
    """Which one counts would depend on a file's name."""
    (tmp_path / "a.yaml").write_text(f"{twice}\n")
    (tmp_path / "b.yaml").write_text(f"{twice}\n")
    with pytest.raises(ConfigError, match=r"already written in .*a\.yaml:1"):
        registries.load(tmp_path)


def test_all_files_problems_are_reported(tmp_path):
    """Not only the first file's."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("people: {x: {functions: [nothing]}}\n")
    with pytest.raises(ConfigError) as caught:
        registries.load(tmp_path)
    assert {problem.file.rpartition("/")[2] for problem in caught.value.problems} == {"a.yaml", "b.yaml"}


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: None], ids=["empty_folder", "missing"])
def test_an_unreadable_registry_refuses(tmp_path, make):
    """Nothing is guessed."""
    path = tmp_path / "registry"
    make(path)
    with pytest.raises(ConfigError):
        registries.load(path)


NAMES = st.sampled_from("abcdef")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=6))
def test_same_human_is_an_equivalence(aliases):
    """Reflexive, symmetric, transitive, and joined along every alias."""
    people = {name: Person(functions=(), aliases=tuple(others)) for name, others in aliases.items()}
    same = Registry.of(RegistryData(people=people)).same_human
    names = "abcdefg"
    assert all(same(name, name) for name in names)
    assert all(same(one, other) is same(other, one) for one in names for other in names)
    assert all(same(one, third) for one in names for other in names for third in names if same(one, other) and same(other, third))
    assert all(same(name, other) for name, others in aliases.items() for other in others)
    assert not same("a", "g")
