from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from stagewarden.config import Secrets
from stagewarden.config import state as states
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
        "SQLITE:a",
        "postgresql://u@h",
        "postgresql://u@h:port/d",
        "postgresql://h/d",
        "postgresql://u@/d",
        "postgresql://u:p@h/d?password=file:p",
        "postgresql://u@h/d?password=p",
        "postgresql://u@h/d?sslmode=require",
        "postgresql://u@h/d?sslmode=prefer",
        "postgresql://u@h/d?options=-c",
        "postgresql://u@h/d?pool=0",
        "postgresql://u@h/d?pool=1000",
        "postgresql://u@h/d?pool=1&pool=2",
        "postgresql://u@h/d#x",
        "postgresql+psycopg://u@h/d",
        "file:",
        "env:not a name",
        "file:a-secret-nobody-reads-here",
    ],
    ids=lambda state: state or "empty",
)
def test_what_is_not_understood_is_a_configuration_error_with_a_remedy(state):
    """No URL is guessed, none is repeated, and nothing that would talk to whoever answers is accepted."""
    with pytest.raises(ConfigError) as caught:
        locate(state, BASE)
    (problem,) = caught.value.problems
    assert problem.key == "state"
    assert problem.remedy
    assert "p@h" not in str(problem)


@pytest.fixture
def secrets(tmp_path) -> Secrets:
    """Files beside the configuration, and an environment."""
    for name, text in {"password": "s:e/c@ret\n", "url": "postgresql://sw:pw@db.internal/state\n", "sqlite": "sqlite:x.db"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return Secrets(tmp_path, {"URL": "postgresql://sw@127.0.0.1/state?pool=3", "PASSWORD": "from-env"})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("postgresql://sw@db:6432/state", ("sw", None, "db", 6432, "state", "yes", "10"), id="verified unless it says otherwise"),
        pytest.param("postgres://sw:p%40w@db/state", ("sw", "p@w", "db", 5432, "state", "yes", "10"), id="a password in the URL"),
        pytest.param("postgresql://sw@127.0.0.1/state", ("sw", None, "127.0.0.1", 5432, "state", "no", "10"), id="this machine"),
        pytest.param("postgresql://sw@/state?host=/run/pg&pool=4", ("sw", None, "/run/pg", 5432, "state", "no", "4"), id="a unix socket"),
        pytest.param("postgresql://sw@db/state?sslmode=disable", ("sw", None, "db", 5432, "state", "no", "10"), id="without TLS, as written"),
        pytest.param("postgresql://sw@db/s?password=file:password", ("sw", "s:e/c@ret", "db", 5432, "s", "yes", "10"), id="a password's file"),
        pytest.param("postgresql://sw@db/s?password=env:PASSWORD", ("sw", "from-env", "db", 5432, "s", "yes", "10"), id="a password's variable"),
        pytest.param("file:url", ("sw", "pw", "db.internal", 5432, "state", "yes", "10"), id="the whole in a file"),
        pytest.param("env:URL", ("sw", None, "127.0.0.1", 5432, "state", "no", "3"), id="the whole in a variable"),
    ],
)
def test_a_postgresql_is_named_whole_or_by_its_secrets(secrets, tmp_path, state, expected):
    """User, password, host, port, database, whether its certificate counts, and how many connections."""
    url = locate(state, tmp_path, secrets)
    found = (url.username, url.password, url.host, url.port, url.database, url.query["tls"], url.query["pool"])
    assert found == expected
    assert url.drivername == "postgresql+asyncpg"


def test_authorities_stand_beside_the_configuration(tmp_path):
    """With or without `file:`."""
    for written in ("file:tls/ca.pem", "tls/ca.pem"):
        url = locate(f"postgresql://sw@db/state?sslrootcert={written}", tmp_path)
        assert url.query["authorities"] == str(tmp_path / "tls/ca.pem")


def test_no_text_of_a_place_shows_the_password(secrets, tmp_path):
    """Neither the URL as text, nor what the configuration's reader makes of it, nor the refusal of a secret that is no such URL."""
    assert "s:e/c@ret" not in str(locate("postgresql://sw@db/s?password=file:password", tmp_path, secrets))
    assert "hunter2" not in str(locate("postgresql://sw:hunter2@db/s", tmp_path))
    assert "hunter2" not in repr(states.parse("postgresql://sw:hunter2@db/s"))
    with pytest.raises(ConfigError, match="no PostgreSQL URL") as caught:
        locate("file:sqlite", tmp_path, secrets)
    assert "x.db" not in str(caught.value)
