"""A pool for each test, and a certificate authority of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.clock import SystemClock
from stagewarden.wire.upstream import Upstreams
from tests.authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
