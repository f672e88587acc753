"""What the open loop offers to whom."""

from __future__ import annotations

from tests.bench.latency import offers


def test_each_arm_is_offered_shares_of_its_own_and_one_rate_of_all() -> None:
    """The common rate is one that the slowest can bear."""
    assert offers({"fast": 1000.0, "slow": 100.0}) == {
        ("fast", "30%"): 300.0, ("fast", "50%"): 500.0, ("fast", "80%"): 800.0, ("fast", "common"): 50.0,
        ("slow", "30%"): 30.0, ("slow", "50%"): 50.0, ("slow", "80%"): 80.0, ("slow", "common"): 50.0,
    }  # fmt: skip
