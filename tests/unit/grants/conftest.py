from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.grants.bench import Bench, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Grants over a real database in a temporary folder."""
    async with open_bench(tmp_path) as made:
        yield made
