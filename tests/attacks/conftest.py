"""One running product for all attacks: what each leaves behind is none of the next one's business."""

import pytest

from tests.ground import standing


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """The product, its upstreams and a raw socket."""
    with standing(tmp_path_factory.mktemp("ground") / "house") as running:
        yield running
