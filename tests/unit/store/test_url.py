from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from stagewarden.errors import ConfigError
from stagewarden.store import locate

BASE = Path("/etc/stagewarden")


@pytest.mark.parametrize(
    ("state", "database"),
    [
        pytest.param("sqlite:state.db", "/etc/stagewarden/state.db", id="beside the configuration"),
        pytest.param("sqlite:var/state.db", "/etc/stagewarden/var/state.db", id="in a folder"),
        pytest.param("sqlite:/var/lib/sw/state.db", "/var/lib/sw/state.db", id="absolute"),
        pytest.param("sqlite:///state.db", "/etc/stagewarden/state.db", id="relative, as other tools write it"),
        pytest.param("sqlite:////var/lib/state.db", "/var/lib/state.db", id="absolute, as other tools write it"),
        pytest.param("sqlite:with space%20.db", "/etc/stagewarden/with space%20.db", id="a name is taken literally"),
    ],
)
def test_a_state_reference_becomes_an_absolute_database(state, database):
    """Relative paths start at the configuration file's directory."""
    assert make_url(locate(state, BASE)) == URL.create("sqlite+aiosqlite", database=database)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "state.db",
        "sqlite:",
        "sqlite::memory:",
        "sqlite://host/state.db",
        "sqlite:a.db?mode=ro",
        "sqlite:a.db#x",
        "mysql:x",
        "postgresql://h/d",
        "SQLITE:a",
    ],
    ids=lambda state: state or "empty",
)
def test_what_is_not_understood_is_a_configuration_error_with_a_remedy(state):
    """No URL is guessed, and a database of a later release is refused by name."""
    with pytest.raises(ConfigError) as caught:
        locate(state, BASE)
    (problem,) = caught.value.problems
    assert problem.key == "state"
    assert "sqlite:" in problem.remedy
