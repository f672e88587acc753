"""What the tests of everything that is kept share: a database with our tables, of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import DATABASES, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=DATABASES)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As a configuration names it."""
    with prepared(request.param, tmp_path) as made:
        yield made
