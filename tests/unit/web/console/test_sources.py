"""Prompt and sources: whole for some roles, without what points at people or carries a secret for the others."""

from __future__ import annotations

import pytest

from stagewarden.web.console.sources import sources

SAID = {
    "model": "m-1",
    "sources": ["https://u:pw@crm.example/list?token=s3cret#x", "shop sheet, row 4", "from bob@example.org"],
    "rationale": "elsewhere",
}


@pytest.mark.parametrize(
    ("held", "redacted"), [({"reviewer"}, 3), ({"security"}, 0), ({"privacy", "reviewer"}, 0), ({"technical"}, 0), (set(), 3)], ids=str
)
def test_by_role(held: set[str], redacted: int) -> None:
    """Credentials, query and address are left out and counted; the host and the plain words stay."""
    seen = sources(SAID, frozenset(held))
    assert seen is not None
    text = " ".join(run.text for each in seen.named for value in each.values for run in value)
    assert seen.redacted == redacted
    assert ("pw" in text, "s3cret" in text, "bob@example.org" in text) == ((redacted == 0),) * 3
    assert ("crm.example/list" in text, "shop sheet, row 4" in text, "m-1" in text, "elsewhere" in text) == (True, True, True, False)


def test_nothing_named() -> None:
    """No section."""
    assert sources({"rationale": "x"}, frozenset()) is None


def test_many_sources_are_counted() -> None:
    """A hundred are listed."""
    seen = sources({"sources": [f"s{number}" for number in range(250)]}, frozenset())
    assert seen is not None
    assert (len(seen.named[0].values), seen.named[0].more) == (100, 150)


def test_hidden_characters_and_anything_else() -> None:
    """Named in place and counted; what is no text is JSON."""
    seen = sources({"sources": {"a": "\u202eb"}, "prompt": ["\u200b", 1]}, frozenset())
    assert seen is not None
    assert seen.hidden == 2
