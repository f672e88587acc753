"""What widens rights, and who gains: one change at a time against a small registry, and every key there is."""

import msgspec
import pytest
from msgspec import inspect

from stagewarden.registry import RegistryData, widenings
from stagewarden.registry.widening import _RULES
from tests.unit.registry.parts import REMOVED, SMALL, changed, loaded

W, A, D = "workflows/newsletter", "agents/drafter", "destinations/site"


def read(tmp_path, document):
    """As loaded."""
    return loaded(tmp_path, document).data


WIDENS = {
    "a function more": (("people/carol/functions", ["reviewer", "legal"]), "people.carol.functions", {"carol"}),
    "somebody new with a function": (("people/zoe", {"functions": ["reviewer"]}), "people.zoe.functions", {"zoe"}),
    "somebody back": (("people/gone/active", True), "people.gone.active", {"gone"}),
    "another sign-in": (("people/carol/identity", {"issuer": "https://idp.example", "subject": "x"}), "people.carol.identity", {"carol"}),
    "an alias less": (("people/dave/aliases", []), "people.dave.aliases", {"dave"}),
    "a conflict less": (("people/dave/conflicts", []), "people.dave.conflicts", {"dave"}),
    "whose alias is gone": (("people/dave", REMOVED), "people.dave.aliases", {"dave"}),
    "a stage more": ((f"{A}/stages", ["generate", "edit", "queue"]), "agents.drafter.stages", {"alice"}),
    "a workflow more": ((f"{A}/workflows", ["newsletter", "social"]), "agents.drafter.workflows", {"alice"}),
    "another owner": ((f"{A}/owners/human", "bob"), "agents.drafter.owners.human", {"alice", "bob"}),
    "another identity": ((f"{A}/identity/key", "other"), "agents.drafter.identity.key", {"alice"}),
    "a new agent": (("agents/second", SMALL["agents"]["drafter"] | {"identity": {"key": "second"}}), "agents.second", {"alice", "erin"}),
    "a looser mode": (("agents/sleeper/mode", "recommend_only"), "agents.sleeper.mode", {"alice", "erin"}),
    "a kind allowed": ((f"{W}/actions/allowed", ["post.draft", "post.more"]), "workflows.newsletter.actions", {"alice"}),
    "a kind no longer restricted": (
        (f"{W}/actions", {"allowed": ["post.draft", "post.publish"], "prohibited": ["post.delete"]}), "workflows.newsletter.actions", {"alice"},
    ),
    "a kind no longer prohibited": (
        (f"{W}/actions", {"allowed": ["post.draft"], "restricted": ["post.publish"]}), "workflows.newsletter.actions", {"alice"},
    ),
    "somebody may begin": ((f"{W}/initiators", ["alice", "bob"]), "workflows.newsletter.initiators", {"alice", "bob"}),
    "anybody may begin": ((f"{W}/initiators", []), "workflows.newsletter.initiators", {"alice"}),
    "a lower approval": ((f"{W}/risk/approval_level", "low"), "workflows.newsletter.risk.approval_level", {"alice"}),
    "a field more is read": ((f"{W}/scope/fields/read", ["title", "email"]), "workflows.newsletter.scope.fields.read", {"alice"}),
    "every field is read": ((f"{W}/scope/fields/read", []), "workflows.newsletter.scope.fields.read", {"alice"}),
    "another delegation": ((f"{W}/delegation", "jit"), "workflows.newsletter.delegation", {"alice"}),
    "a capability": ((f"{D}/capabilities/rollback", True), "destinations.site.capabilities.rollback", set()),
    "another attestation": ((f"{D}/attested/at", "2026-11-30"), "destinations.site.attested", set()),
    "another channel": ((f"{D}/channel", "internal"), "destinations.site.channel", set()),
    "a new destination": (("destinations/other", {"channel": "public"}), "destinations.other", set()),
    "a tier that asks fewer": (("tiers/high/seats", [{"functions": ["legal"], "count": 2}]), "tiers.high.seats", set()),
    "a tier that asks more functions": (
        ("tiers/medium/seats", [{"functions": ["reviewer", "marketing"]}]), "tiers.medium.seats", set(),
    ),
    "a trigger less": (("triggers/legal_or_price/patterns", ["price"]), "triggers.legal_or_price.patterns", set()),
    "a signal less asks a second person": ((f"{W}/second_person", ["run"]), "workflows.newsletter.second_person", {"alice"}),
    "a later signal": (("signals/run", 21), "signals.run", set()),
    "a faster pace passes": (("signals/words_per_minute", 900), "signals.words_per_minute", set()),
    "another window": (("signals/window", "7d"), "signals.window", set()),
    "a lower trigger": (("triggers/legal_or_price/tier", "medium"), "triggers.legal_or_price.tier", set()),
}  # fmt: skip
NARROWS = {
    "nothing": (),
    "names and texts": (("people/carol/name", "C"), (f"{W}/summary", "Another."), ("processes/editorial/summary", "Another.")),
    "a function less": (("people/carol/functions", []),),
    "somebody new who holds nothing": (("people/zoe", {"functions": []}),),
    "somebody gone": (("people/carol", REMOVED),),
    "somebody left": (("people/carol/active", False),),
    "an alias and a conflict more": (("people/carol/aliases", ["c2"]), ("people/carol/conflicts", ["agent:drafter"])),
    "fewer stages": ((f"{A}/stages", ["generate"]),),
    "an agent gone": (("agents/sleeper", REMOVED),),
    "a stricter mode": ((f"{A}/mode", "paused"),),
    "from allowed to restricted": ((f"{W}/actions", {"restricted": ["post.publish", "post.draft"], "prohibited": ["post.delete"]}),),
    "more prohibited": ((f"{W}/actions/prohibited", ["post.delete", "post.x"]),),
    "a higher approval": ((f"{W}/risk/data_sensitivity", "high"),),
    "a workflow nobody lists": (("workflows/third", SMALL["workflows"]["newsletter"]),),
    "an attestation withdrawn": ((f"{D}/attested", REMOVED),),
    "a capability less": ((f"{D}/capabilities/revoke", False),),
    "a tier that asks more": (("tiers/medium/seats", [{"functions": ["reviewer"], "count": 2}, {"functions": ["legal"]}]),),
    "a signal more asks a second person": ((f"{W}/second_person", ["run", "fast", "always"]),),
    "earlier signals": (("signals", {"run": 10, "unread": 0, "words_per_minute": 400, "burst": 5, "window": "30d"}),),
    "a trigger more": (("triggers/legal_or_price/patterns", ["price", "free", "win"]),),
}
BEFORE = (
    ("people/carol", {"functions": ["reviewer"]}),
    ("people/dave", {"functions": ["reviewer"], "aliases": ["carol"], "conflicts": ["agent:drafter"]}),
    ("people/gone", {"functions": ["reviewer"], "active": False}),
    ("workflows/social", SMALL["workflows"]["newsletter"]),
    ("agents/sleeper", SMALL["agents"]["drafter"] | {"identity": {"key": "sleeper"}, "mode": "paused"}),
    (f"{A}/stages", ["generate", "edit"]),
    (f"{A}/owners", {"human": "alice"}),
    (f"{W}/owners/business", "alice"),
    (f"{W}/actions", {"allowed": ["post.draft"], "restricted": ["post.publish"], "prohibited": ["post.delete"]}),
    (f"{W}/initiators", ["alice"]),
    (f"{W}/scope", {"fields": {"read": ["title"]}}),
    (f"{W}/risk/approval_level", "medium"),
    (f"{D}/capabilities", {"revoke": True, "retention": True, "approval": True, "rollback": False}),
    (f"{D}/attested", {"at": "2026-11-01", "by": "alice"}),
    (f"{D}/channel", "public"),
    (f"{W}/second_person", ["run", "fast"]),
    ("signals", {"run": 20, "unread": 10, "words_per_minute": 600, "burst": 10, "window": "30d"}),
    ("triggers", {"legal_or_price": {"patterns": ["price", "free"], "tier": "high"}}),
)


@pytest.mark.parametrize(("change", "place", "gains"), WIDENS.values(), ids=WIDENS)
def test_what_widens(tmp_path, change, place, gains):
    """It is found at its place and nowhere else, with whoever gains."""
    before = read(tmp_path, changed(*BEFORE))
    found = widenings(before, read(tmp_path, changed(*BEFORE, change)))
    section, _, rest = place.partition(".")
    assert place in [one.place for one in found]
    assert {".".join(one.place.split(".")[:2]) for one in found} == {f"{section}.{rest.partition('.')[0]}"}
    assert {person for one in found for person in one.gains} == gains
    assert all(one.text for one in found)


@pytest.mark.parametrize("changes", NARROWS.values(), ids=NARROWS)
def test_what_does_not_widen(tmp_path, changes):
    """It passes without anybody's word."""
    before = read(tmp_path, changed(*BEFORE))
    assert widenings(before, read(tmp_path, changed(*BEFORE, *changes))) == ()


def leaves(shape, path=""):
    """Every key of every section, names as `x`."""
    for field in shape.fields:
        kind, at = field.type, f"{path}{field.encode_name}"
        if isinstance(kind, inspect.UnionType):
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
        if isinstance(kind, inspect.DictType):
            kind, at = kind.value_type, f"{at}/x"
        if isinstance(kind, inspect.StructType):
            yield from leaves(kind, f"{at}/")
        else:
            yield at


def test_every_rule_is_about_a_key_there_is():
    """A misspelt rule would leave its key at the strict default, unseen."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - one use

    keys = [*leaves(inspect.type_info(RegistryData))]
    prefixes = {"/".join(key.split("/")[:length]) for key in keys for length in range(1, key.count("/") + 2)}
    assert [rule for rule in _RULES if not any(fnmatchcase(prefix, rule) for prefix in prefixes)] == []


def test_a_key_no_rule_knows_widens_by_any_change(tmp_path):
    """The strict default: what a later release adds is confirmed until somebody says what it means."""
    before = read(tmp_path, changed(*BEFORE))
    people = {**before.people, "carol": msgspec.structs.replace(before.people["carol"], group="g")}
    (found,) = widenings(before, msgspec.structs.replace(before, people=people))
    assert found.place == "people.carol.group"
