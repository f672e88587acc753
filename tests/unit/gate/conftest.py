"""A hold as the gate meets it."""

import pytest

from stagewarden.model import Hold, HoldState, Reason, Request, Seat, Stage, Tier, Vote


@pytest.fixture
def a_hold():
    """An approved hold with one vote."""
    request = Request("cms", "POST", "https", "cms.internal", "/a", (), b"")
    digest = request.digest("drafter", "export")
    vote = Vote("v_1", "ines", "reviewer", "approve", None, None, digest, "sha256:v", 2)
    return Hold(
        id="h_1", state=HoldState.APPROVED, ruling="r_1", digest=digest, view_digest="sha256:v", repeat_digest="sha256:r", agent="drafter",
        workflow="newsletter", initiator="", upstream="cms", stage=Stage.EXPORT, kind="k", asset="7", lookup_digest=None, tier=Tier.MEDIUM,
        reasons=(Reason("restricted", "stagewarden.rules.stages", "why"),), seats=(Seat(("reviewer",), 1),), questions=("factual",), votes=(vote,),
        asked_at_ns=1, expires_at_ns=10, approved_at_ns=3, use_by_ns=9, ended_at_ns=0, attempt=None, successor=None, ended_by=None,
        request=request, question={},
    )  # fmt: skip
