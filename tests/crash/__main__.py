"""The whole matrix: python -m tests.crash [--runs 50] [--database sqlite|postgresql] [--acts approve,release,…]. Ends with 1 at the first breach."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.crash.matrix import ACTS, WHENS, forks, run_once, steps_of
from tests.e2e.articles import Articles


async def main(acts: list[str], database: str, runs: int) -> None:
    """Every act, step and side of the step, so many times each."""
    died: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as root:
        async with forks() as forked, Articles() as upstream:
            for act in acts:
                steps = await steps_of(forked, Path(root) / "steps", upstream, act, database)
                shutil.rmtree(Path(root) / "steps")
                for run in range(runs):
                    for step in range(1, steps + 1):
                        for when in WHENS:
                            folder = Path(root) / "run"
                            try:
                                died[act] += await run_once(forked, folder, upstream, (act, step, when), database) is None
                            except BaseException:
                                sys.stdout.write(f"{database} {act}: run {run}, {when} step {step} of {steps}\n")
                                raise
                            shutil.rmtree(folder)
                sys.stdout.write(
                    f"{database} {act}: {steps} durable steps, {died[act]} deaths in {runs * steps * 2} runs, nothing lost, doubled or sent twice\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--acts", default=",".join(ACTS))
    chosen = parser.parse_args()
    asyncio.run(main(chosen.acts.split(","), chosen.database, chosen.runs))
