"""Every advisory of the list is attacked here, held by a test elsewhere, or argued; none is forgotten and none is deleted."""

import json
import re
from pathlib import Path

import pytest

from tests.attacks import (
    test_approvals,
    test_bodies,
    test_decisions,
    test_headers,
    test_identity,
    test_operations,
    test_responses,
    test_smuggling,
    test_targets,
    test_upstreams,
)
from tests.attacks.rows import ARGUED, ELSEWHERE, MEASURED, MUST_PASS

HERE = Path(__file__).parent
ADVISORIES = json.loads((HERE / "advisories.json").read_text())["rows"]
MODULES = (
    test_approvals,
    test_decisions,
    test_targets,
    test_headers,
    test_smuggling,
    test_bodies,
    test_responses,
    test_identity,
    test_upstreams,
    test_operations,
)
ATTACKED = frozenset().union(*(module.ROWS for module in MODULES))
_IDENTIFIER = re.compile(r"(?:CVE-\d{4}-\d+|GHSA(?:-[0-9a-z]{4}){3}|GO-\d{4}-\d+)")


def test_the_list_is_whole():
    """91 rows, each with an advisory or a measurement to its name."""
    assert [row["row"] for row in ADVISORIES] == [*range(1, 92)]
    assert all(row["advisories"] for row in ADVISORIES)


def exists(test: str) -> bool:
    """Whether FILE::NAME is a test below tests/."""
    name, _, function = test.partition("::")
    return re.search(rf"^(?:async )?(?:def {function}|{function} = )", (HERE.parent / name).read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row['row']}-{row['advisories'][:40]}") for row in ADVISORIES])
def test_row(row):
    """It has its tests here, or where the part lives, or one line that says why not."""
    number = row["row"]
    assert number in ATTACKED or number in ELSEWHERE or ARGUED.get(number)
    assert [test for test in ELSEWHERE.get(number, ()) if not exists(test)] == []


def test_the_must_pass_twenty():
    """Each has its tests; the one that is measured says so."""
    assert sorted([*MUST_PASS, *MEASURED]) == [*range(1, 21)]
    assert [test for tests in MUST_PASS.values() for test in tests if not exists(test)] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_row_that_is_claimed_is_named(module):
    """A module that claims a row names one of its advisories, or the row has none to name."""
    text = Path(module.__file__).read_text().lower().replace("_", "-")
    for row in ADVISORIES:
        identifiers = _IDENTIFIER.findall(row["advisories"])
        if row["row"] in module.ROWS and identifiers:
            assert any(identifier.lower() in text for identifier in identifiers), row


def test_there_are_at_least_150_regressions_named_after_an_advisory():
    """Counted by advisory, and with their variants."""
    named = {
        identifier.upper()
        for module in MODULES
        for identifier in _IDENTIFIER.findall(re.sub(r"cve_(\d{4})_(\d+)", r"CVE-\1-\2", Path(module.__file__).read_text()))
    }
    families = [family for module in MODULES for family in (*getattr(module, "REFUSED", ()), *getattr(module, "SOUND", ()))]
    assert len(named) >= 100
    assert sum(len(family.variants) for family in families) >= 150
