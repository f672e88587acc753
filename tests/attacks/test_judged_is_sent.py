"""Must-pass 1: what was judged is what was shown, logged and sent, byte for byte.

Ten thousand generated requests here; a million by `python -m tests.attacks --full`.
"""

import asyncio

import pytest
import uvloop

from tests.attacks.__main__ import CI, SEED, run
from tests.attacks.generated import BLOCK, block
from tests.attacks.spoiled import SPOILERS

BLOCKS = CI // BLOCK


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """One run over a sidecar process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(tmp_path_factory.mktemp("judged") / "house", SEED, 0, BLOCKS))


def test_judged_is_sent(result):
    """At no place does any request differ, and none that was refused arrived."""
    assert result.failures == []


def test_both_ways_were_taken(result):
    """As many as were to be sent arrived and were compared with ruling and outcome; holds were shown, and some approved and sent."""
    assert result.total == CI
    assert min(result.fates["sent"], result.fates["refused"]) > CI // 3
    assert result.compared["arrived"] == result.fates["sent"] + result.compared["approved"]
    assert result.compared["outcome"] == result.fates["sent"]
    assert result.compared["ruling"] > result.fates["sent"] + result.fates["held"]
    assert result.compared["shown"] > result.fates["held"] > 0
    assert result.compared["approved"] > 0
    assert result.fates["cannot tell"] <= result.fates["held"]


def test_every_way_of_spoiling_was_tried(result):
    """No spoiler is forgotten by the generator."""
    assert {spoiler.name for spoiler in SPOILERS} <= set(result.names)


def test_a_block_is_always_the_same():
    """A failure is made again from its seed and block."""
    assert list(block(7, 3)) == list(block(7, 3))
    assert next(block(7, 3)) != next(block(8, 3))
