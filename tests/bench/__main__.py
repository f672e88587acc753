"""`python -m tests.bench`: one command for everything that is measured; see tests/README.md. It asserts no absolute time."""

from __future__ import annotations

import argparse
import sys

from tests.bench import idle, instructions, latency, soak, stream, table
from tests.bench.arms import ARMS


def main() -> int:
    """Run what was asked for; 1 where a gate has not held."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--latency", action="store_true", help="open loop: percentiles at shares of each arm's capacity, and overload")
    what.add_argument("--instructions", action="store_true", help="instructions per request, by callgrind")
    what.add_argument("--soak", type=float, metavar="MINUTES", help="steady mixed load: does memory grow?")
    what.add_argument("--idle", type=int, metavar="N", help="memory per idle connection")
    what.add_argument("--stream", action="store_true", help="what is added to the first event of a stream")
    parser.add_argument("--arms", default=",".join(ARMS), help="comma-separated; the first is what others are divided by. Default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default %(default)s; fewer than 5 say little)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one run (default %(default)s)")
    parser.add_argument("--gate", action="store_true", help="with --instructions: exit 1 beyond 5 %% of the recorded figure")
    parser.add_argument("--record", action="store_true", help="with --instructions: keep the figure as the one of this interpreter")
    options = parser.parse_args()
    names = options.arms.split(",")
    if unknown := set(names) - ARMS.keys():
        parser.error(f"no such arm: {', '.join(sorted(unknown))}")
    if options.instructions:
        return instructions.run(gate=options.gate, record=options.record)
    if options.latency:
        latency.run(names, options.rounds, options.seconds)
    elif options.soak is not None:
        soak.run(options.soak)
    elif options.idle is not None:
        idle.run(options.idle)
    elif options.stream:
        stream.run(names, options.rounds)
    else:
        table.run(names, options.rounds, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
