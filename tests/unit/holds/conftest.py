from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import DATABASES, prepared
from tests.needs import needs
from tests.unit.holds.bench import Bench, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever opens a bench runs on every database."""
    if "bench" in metafunc.fixturenames or "open_bench" in metafunc.function.__code__.co_names:
        metafunc.parametrize("database", DATABASES, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Which database a bench in this folder opens."""
    name = getattr(request, "param", "sqlite")
    if name == "postgresql":
        needs("postgresql")
    with prepared(name, tmp_path):
        yield name


@pytest.fixture
async def bench(database: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """Holds over a real database in a temporary folder."""
    async with open_bench(tmp_path) as made:
        yield made
