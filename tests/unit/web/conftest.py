from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, CookieJar

from tests.people_listener import people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.people_listener import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener on loopback."""
    async with people_listener(tmp_path) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    """A client that keeps no cookies."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield session
