"""One running product for every case that is a request: a case leaves nothing behind that the next would see."""

import pytest

from tests.ground import standing


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """The product, its upstreams and a raw socket."""
    with standing(tmp_path_factory.mktemp("ground") / "house") as running:
        yield running
