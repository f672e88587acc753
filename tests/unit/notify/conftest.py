"""The bench of holds, and a ledger over its database."""

from __future__ import annotations

import pytest

from stagewarden.notify import Ledger
from stagewarden.store.postgresql import Postgresql
from tests.databases import prepared
from tests.needs import needs
from tests.unit.holds.bench import open_bench


@pytest.fixture
def database(request, tmp_path):
    """Which database the bench opens: SQLite, unless a test asks for each."""
    name = getattr(request, "param", "sqlite")
    if name == "postgresql":
        needs("postgresql")
    with prepared(name, tmp_path):
        yield name


@pytest.fixture
async def bench(database, tmp_path, monkeypatch):
    """A real store; the clock its replicas share is turned by hand like everybody's own."""
    async with open_bench(tmp_path) as made:

        async def shared(_backend, _connection, _ours):
            return made.clock.now_ns()

        monkeypatch.setattr(Postgresql, "now_ns", shared)
        yield made


@pytest.fixture
def ledger(bench):
    """Its deliveries."""
    return Ledger(bench.store, bench.clock)
