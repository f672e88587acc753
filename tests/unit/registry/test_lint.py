"""What a registry may not say: one change to a sound one, and the rule that finds it (governance section 1)."""

from __future__ import annotations

import pytest

from stagewarden.registry import lint
from tests.unit.registry.parts import REMOVED, RISK, SMALL, changed, loaded

W, A = "workflows/newsletter", "agents/drafter"
HIGH = (f"{W}/risk", RISK | {"approval_level": "high"})

ERRORS = {
    "blank_summary": (changed((f"{W}/summary", " ")), "workflows.newsletter.summary", "blank"),
    "blank_purpose": (changed((f"{W}/purpose", "")), "workflows.newsletter.purpose", "blank"),
    "blank_process_summary": (changed(("processes/editorial/summary", "")), "processes.editorial.summary", "blank"),
    "blank_kind": (changed((f"{W}/actions/allowed/0", "")), "workflows.newsletter.actions.allowed[0]", "blank"),
    "blank_service_account": (changed((f"{A}/owners/service_account", " ")), "agents.drafter.owners.service_account", "blank"),
    "blank_identity": (changed(("people/carol/identity/subject", "")), "people.carol.identity.subject", "blank"),
    "long_summary": (changed((f"{W}/summary", "x" * 601)), "workflows.newsletter.summary", "600"),
    "no_actions": (changed((f"{W}/actions", {"prohibited": ["x"]})), "workflows.newsletter.actions", "blank"),
    "no_stages": (changed((f"{A}/stages", [])), "agents.drafter.stages", "blank"),
    "no_workflows": (changed((f"{A}/workflows", [])), "agents.drafter.workflows", "blank"),
    "no_business_owner": (changed((f"{W}/owners/business", None)), "workflows.newsletter.owners", "business"),
    "high_without_privacy": (changed(HIGH, (f"{W}/owners/privacy", None)), "workflows.newsletter.owners", "privacy"),
    "unknown_owner": (changed((f"{W}/owners/security", "zed")), "workflows.newsletter.owners.security", "not among the people"),
    "owner_left": (changed((f"{W}/owners/privacy", "greta")), "workflows.newsletter.owners.privacy", "left"),
    "agent_owner_left": (changed((f"{A}/owners/human", "greta")), "agents.drafter.owners.human", "left"),
    "unknown_control_owner": (changed(("processes/editorial/control_owner", "zed")), "processes.editorial.control_owner", "not among"),
    "unknown_rollback_owner": (changed((f"{W}/rollback/owner", "zed")), "workflows.newsletter.rollback.owner", "not among"),
    "unknown_initiator": (changed((f"{W}/initiators", ["zed"])), "workflows.newsletter.initiators[0]", "not among"),
    "unknown_approver": (changed((f"{W}/approved/0/person", "zed")), "workflows.newsletter.approved[0].person", "not among"),
    "unknown_attester": (changed(("destinations/site/attested/by", "zed")), "destinations.site.attested.by", "not among"),
    "unknown_workflow": (changed((f"{A}/workflows/1", "nothing")), "agents.drafter.workflows[1]", "unknown workflow"),
    "unknown_process": (changed((f"{W}/process", "nothing")), "workflows.newsletter.process", "unknown process"),
    "star_field": (changed((f"{W}/scope", {"fields": {"write": ["*"]}})), "workflows.newsletter.scope.fields.write[0]", "wildcard"),
    "star_prefix": (changed((f"{W}/scope", {"fields": {"read": ["profile.*"]}})), "workflows.newsletter.scope.fields.read[0]", "wildcard"),
    "star_kind": (changed((f"{W}/actions/allowed/2", "post.*")), "workflows.newsletter.actions.allowed[2]", "wildcard"),
    "star_workflow": (changed((f"{A}/workflows/1", "*")), "agents.drafter.workflows[1]", "wildcard"),
    "generate_and_export": (changed((f"{A}/stages", ["generate", "export"])), "agents.drafter.stages", "both generate and export"),
    "kind_grammar": (changed((f"{W}/actions/allowed/2", "Post Draft")), "workflows.newsletter.actions.allowed[2]", "not a kind"),
    "half_a_pointer": (changed((f"{W}/scope", {"fields": {"read": ["a/b"]}})), "workflows.newsletter.scope.fields.read[0]", "JSON pointer"),
    "pointer_to_nothing": (changed((f"{W}/scope", {"fields": {"read": ["/"]}})), "workflows.newsletter.scope.fields.read[0]", "JSON pointer"),
    "kind_twice": (changed((f"{W}/actions/restricted/2", "post.draft")), "workflows.newsletter.actions.restricted[2]", "already allowed"),
    "inherit_writes": (
        changed((f"{W}/delegation", "inherit"), (f"{W}/scope", {"fields": {"write": ["a"]}})),
        "workflows.newsletter.delegation",
        "inherit",
    ),
    "inherit_writes_classes": (
        changed((f"{W}/delegation", "inherit"), (f"{W}/scope", {"classes": {"write": ["internal"]}})),
        "workflows.newsletter.delegation",
        "inherit",
    ),
    "no_way_back": (changed((f"{W}/rollback/kind", "none")), "workflows.newsletter.rollback.kind", "below tier high"),
    "connectors": (changed((f"{A}/connectors", ["cms"])), "agents.drafter.connectors", "not in this release"),
    "delegate_unknown": (changed(("people/bob/delegate", "zed")), "people.bob.delegate", "not among"),
    "delegate_left": (changed(("people/dave/delegate", "greta")), "people.dave.delegate", "left"),
    "delegate_is_oneself": (changed(("people/bob/delegate", "bob")), "people.bob.delegate", "same human being"),
    "delegate_without_the_function": (changed(("people/bob/delegate", "dave")), "people.bob.delegate", "none of these functions"),
    "settle_some_day": (changed(("tiers/high", {"settle": "soon"})), "tiers.high.settle", "not a quantity"),
    "settle_for_ever": (changed(("tiers/high", {"settle": "8d"})), "tiers.high.settle", "longer than 7d"),
    "seat_without_function": (changed(("tiers/medium", {"seats": [{"functions": []}]})), "tiers.medium.seats[0].functions", "blank"),
    "seat_function_twice": (changed(("tiers/medium", {"seats": [{"functions": ["legal", "legal"]}]})), "tiers.medium.seats[0].functions", "twice"),
    "seat_for_nobody": (changed(("tiers/medium", {"seats": [{"functions": ["legal"], "count": 11}]})), "tiers.medium.seats[0].count", "between 1"),
    "medium_asks_nobody": (changed(("tiers/medium", {"seats": []})), "tiers.medium.seats", "fewer than 1"),
    "grants_without_a_unit": (changed(("grants", {"max_ttl": "8"})), "grants.max_ttl", "no unit"),
    "grants_for_ever": (changed(("grants", {"max_ttl": "31d"})), "grants.max_ttl", "over 30 days"),
    "grants_for_no_time": (changed(("grants", {"max_ttl": "1ms"})), "grants.max_ttl", "under a second"),
    "grants_without_uses": (changed(("grants", {"max_uses": 0})), "grants.max_uses", "between 1"),
    "grants_by_one": (changed(("grants", {"seats": [{"functions": ["security"]}]})), "grants.seats", "fewer than 2"),
    "grants_by_nobody": (changed(("grants", {"seats": [{"functions": []}, {"functions": ["legal"]}]})), "grants.seats[0].functions", "blank"),
    "signals_of_few": (changed(("signals", {"minimum": 29})), "signals.minimum", "under 30"),
    "signals_for_ever": (changed(("signals", {"window": "91d"})), "signals.window", "over 90 days"),
    "signals_without_a_unit": (changed(("signals", {"window": "30"})), "signals.window", "no unit"),
    "signals_of_no_percent": (changed(("signals", {"unread": 101})), "signals.unread", "between 0 and 100"),
    "signals_always": (changed(("signals", {"run": 0})), "signals.run", "under 1"),
    "high_asks_one": (changed(("tiers/high", {"seats": [{"functions": ["legal"]}]})), "tiers.high.seats", "fewer than 2"),
    "trigger_low": (changed(("triggers/legal_or_price/tier", "low")), "triggers.legal_or_price.tier", "nobody is asked"),
    "pattern_broken": (changed(("triggers/legal_or_price/patterns", ["("])), "triggers.legal_or_price.patterns[0]", "not a regular expression"),
    "pattern_empty": (changed(("triggers/legal_or_price/patterns", ["a*"])), "triggers.legal_or_price.patterns[0]", "matches the empty text"),
    "pattern_blank": (changed(("triggers/legal_or_price/patterns", [""])), "triggers.legal_or_price.patterns[0]", "empty"),
    "conflict_with_nothing": (changed(("people/frank/conflicts", ["workflow:newslettr"])), "people.frank.conflicts[0]", "names nothing here"),
    "conflict_of_no_kind": (changed(("people/frank/conflicts", ["newsletter"])), "people.frank.conflicts[0]", "names nothing here"),
    "day": (changed(("destinations/site/attested/at", "1 November")), "destinations.site.attested.at", "not a day"),
    "day_of_month": (changed((f"{W}/approved/0/at", "2026-13-01")), "workflows.newsletter.approved[0].at", "not a day"),
    "day_tested": (changed((f"{W}/rollback/tested_at", "never")), "workflows.newsletter.rollback.tested_at", "not a day"),
}


@pytest.mark.parametrize(("document", "key", "message"), ERRORS.values(), ids=ERRORS)
def test_what_must_not_run_is_an_error(tmp_path, document, key, message):
    """At the key, with file, line and remedy."""
    found = lint(loaded(tmp_path, document))
    (hit,) = [each for each in found if each.severity == "error"]
    assert hit.key == key
    assert message in hit.message
    assert hit.remedy
    assert hit.line > 0
    assert hit.file.endswith("registry.yaml")


@pytest.mark.parametrize(
    "pattern",
    ["a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", "(?>a)", "a++", "a*+", "a{1001}", r"\Z", "(?(1)a|b)(c)", r"\p{Sc}"],
)
def test_a_pattern_that_only_python_reads_is_refused(tmp_path, pattern):
    """The policy engine reads RE2; what it cannot read would hold everything."""
    assert [each.key for each in lint(loaded(tmp_path, changed(("triggers/legal_or_price/patterns", [pattern]))))] == [
        "triggers.legal_or_price.patterns[0]"
    ]


@pytest.mark.parametrize("pattern", ["(?i)price", r"\bfree\b", "(?:a|b)c{1,5}", r"a\+b", "(?P<x>a)", r"[+*]+x", r"\\1a"])
def test_a_pattern_of_re2_passes(tmp_path, pattern):
    """Including what only looks like something else."""
    assert lint(loaded(tmp_path, changed(("triggers/legal_or_price/patterns", [pattern])))) == ()


WARNINGS = {
    "delegate_for_part": (changed(("people/carol/delegate", "bob")), "people.carol.delegate", "does not hold manager"),
    "two_functions_one_person": (changed(HIGH, (f"{W}/owners/privacy", "erin")), "workflows.newsletter.owners.privacy", "owners_not_distinct"),
    "two_functions_by_alias": (
        changed(HIGH, (f"{W}/owners/privacy", "frank"), ("people/frank/aliases", ["alice"])),
        "workflows.newsletter.owners.privacy",
        "owners_not_distinct",
    ),
    "no_security_owner": (changed((f"{W}/owners/security", None)), "workflows.newsletter.owners", "no security owner"),
    "not_approved": (changed((f"{W}/approved", [])), "workflows.newsletter", "not_recorded"),
    "rollback_without_steps": (changed((f"{W}/rollback/steps", "")), "workflows.newsletter.rollback", "no steps"),
    "rollback_without_owner": (changed((f"{W}/rollback/owner", None)), "workflows.newsletter.rollback", "no owner"),
    "no_patterns": (changed(("triggers/legal_or_price/patterns", [])), "triggers.legal_or_price.patterns", "not looked for"),
    "not_attested": (changed(("destinations/site/attested", REMOVED)), "destinations.site", "attestation_stale"),
    "cannot_revoke": (changed(("destinations/site/capabilities/revoke", False)), "destinations.site.capabilities", "cannot enforce revoke"),
}


@pytest.mark.parametrize(("document", "key", "message"), WARNINGS.values(), ids=WARNINGS)
def test_what_should_be_read_is_a_warning(tmp_path, document, key, message):
    """It runs: drafting goes on."""
    (found,) = lint(loaded(tmp_path, document))
    assert (found.severity, found.key) == ("warning", key)
    assert message in found.message


SOUND = {
    "inherit_reads": changed((f"{W}/delegation", "inherit"), (f"{W}/scope", {"fields": {"read": ["title"]}})),
    "no_way_back_at_high": changed(HIGH, (f"{W}/rollback", {"kind": "none"})),
    "no_way_back_inside": changed((f"{W}/risk", RISK | {"external_impact": "low"}), (f"{W}/rollback", {"kind": "none"})),
    "one_person_at_medium": changed((f"{W}/owners/privacy", "erin")),
    "internal_destination": changed(("destinations/wiki", {"channel": "internal"})),
    "date_time": changed((f"{W}/approved/0/at", "2026-01-31T10:00:00Z")),
    "conflicts": changed(("people/frank/conflicts", ["workflow:newsletter", "agent:drafter"])),
    "two_agents": changed(("agents/publisher", SMALL["agents"]["drafter"] | {"identity": {"key": "p"}, "stages": ["export"]})),
}


@pytest.mark.parametrize("document", SOUND.values(), ids=SOUND)
def test_what_is_sound_has_no_finding(tmp_path, document):
    """The other side of each rule."""
    assert lint(loaded(tmp_path, document)) == ()
