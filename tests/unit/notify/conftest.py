"""The bench of holds, and a ledger over its database."""

from __future__ import annotations

import pytest

from stagewarden.notify import Ledger
from tests.unit.holds.bench import open_bench


@pytest.fixture
async def bench(tmp_path):
    """A real store on both databases."""
    async with open_bench(tmp_path) as made:
        yield made


@pytest.fixture
def ledger(bench):
    """Its deliveries."""
    return Ledger(bench.store, bench.clock)
