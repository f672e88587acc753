from __future__ import annotations

import random
from itertools import product

import pytest

from tests.crash.matrix import ACTS, WHENS, forks, run_once, steps_of
from tests.databases import DATABASES
from tests.e2e.articles import Articles
from tests.needs import needs

SAMPLE = 3  # deaths for each act; `python -m tests.crash` plays all of them


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("act", ACTS)
async def test_kill_9_around_a_durable_step(tmp_path, act, database):
    """A sidecar dies before or after a durable step of this act: at most one send, no vote or entry lost or doubled, a state a person can read."""
    if database == "postgresql":
        needs("postgresql")
    seed = random.randrange(1 << 32)
    async with forks() as forked, Articles() as upstream:
        steps = await steps_of(forked, tmp_path / "steps", upstream, act, database)
        assert steps >= 3  # database, log, outbox
        deaths = list(product(range(1, steps + 1), WHENS))
        died = 0
        for number, (step, when) in enumerate(random.Random(seed).sample(deaths, SAMPLE)):
            where = f"{act}, {when} step {step} of {steps}, seed {seed}"
            try:
                died += await run_once(forked, tmp_path / str(number), upstream, (act, step, when), database) is None
            except AssertionError as breach:
                raise AssertionError(where) from breach
        assert died
