"""What the end-to-end tests share: one WordPress for all of them, one desk before it; for each test its own counting upstream and its own browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.articles import Articles
from tests.e2e.desk import Desk, desk
from tests.e2e.wordpress_site import Site, wordpress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A real WordPress."""
    with wordpress() as running:
        yield running


@pytest.fixture(scope="session")
def wordpress_desk(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A sidecar before it, with the Wasm engine."""
    with desk(tmp_path_factory.mktemp("desk"), site) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, for one test."""
    from tests.e2e.chromium import chromium  # noqa: PLC0415 - most tests here need no playwright

    async with chromium() as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Articles]:
    """The counting upstream."""
    async with Articles() as running:
        yield running
