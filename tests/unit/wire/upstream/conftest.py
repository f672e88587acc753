"""A pool for each test, and a certificate authority of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from stagewarden.clock import SystemClock
from stagewarden.wire.upstream import Upstreams
from tests.authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both loops: their transports differ."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def pool() -> AsyncIterator[Upstreams]:
    """A pool with the system's authorities, closed at the end."""
    made = Upstreams(SystemClock())
    yield made
    await made.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority nobody else trusts."""
    return Authority.make(tmp_path)
