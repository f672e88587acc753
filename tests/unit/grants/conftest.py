from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.grants.bench import Bench, open_bench
from tests.unit.holds.conftest import database, pytest_generate_tests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["bench", "database", "pytest_generate_tests"]  # whatever opens a bench runs on every database, as holds do


@pytest.fixture
async def bench(database: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """Grants over a real database in a temporary folder."""
    async with open_bench(tmp_path) as made:
        yield made
