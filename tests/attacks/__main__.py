"""`python -m tests.attacks [--full] [--requests N] [--seed S] [--start BLOCK]`: generated requests, compared wherever they are seen.

10,000 requests, or 1,000,000 with `--full`. A run that was stopped goes on with the block it names. Ends with 1 where anything differed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from tests.attacks.generated import BLOCK
from tests.attacks.judged import Lab, drive
from tests.e2e.processes import serving
from tests.ground import HOUSE
from tests.product import WASM, house

SEED, CI, FULL = 1, 10_000, 1_000_000


@asynccontextmanager
async def attacked(folder):
    """A sidecar process and the upstream behind it."""
    received = {}
    server = await asyncio.get_running_loop().create_server(lambda: Lab(received), "127.0.0.1", 0)
    lab = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made = house(folder, lab, WASM, HOUSE, **{"@VAULT@": lab})
    text = made.config.read_text().replace("holds_per_agent: 500", "holds_per_agent: 1000000")
    made.config.write_text(text)
    with serving(made) as sidecar:
        yield sidecar, received
    server.close()


async def run(folder, seed, first, count, progress=lambda *_: None):
    """The result of `count` blocks from `first` on."""
    async with attacked(folder) as (sidecar, received):
        return await drive(sidecar, received, ((seed, index) for index in range(first, first + count)), progress)


def main():
    """Run and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"{FULL} requests")
    parser.add_argument("--requests", type=int, default=None)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--start", type=int, default=0, help=f"the block of {BLOCK} to begin with")
    options = parser.parse_args()
    wanted = options.requests or (FULL if options.full else CI)
    blocks = max(1, wanted // BLOCK - options.start)
    began = time.perf_counter()

    finished = options.start

    def progress(result, index):
        nonlocal finished
        finished = options.start + result.total // BLOCK
        rate = result.total / (time.perf_counter() - began)
        print(f"\rblock {index}: {result.total} requests, {rate:.0f}/s, {len(result.failures)} differ", end="", flush=True)

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            result = runner.run(run(Path(folder) / "house", options.seed, options.start, blocks, progress))
        except KeyboardInterrupt:
            sys.exit(f"\nstopped; --seed {options.seed} --start {max(options.start, finished - 1)} goes on")
    rate = result.total / result.seconds
    print(f"\n{result.total} requests, {result.seconds:.1f} s, {rate:.0f}/s, seed {options.seed}, from block {options.start}")
    print("became: " + ", ".join(f"{count} {fate}" for fate, count in sorted(result.fates.items())))
    print("compared: " + ", ".join(f"{count} {place}" for place, count in sorted(result.compared.items())))
    print("spoiled: " + ", ".join(f"{count} {name}" for name, count in sorted(result.names.items())))
    for failure in result.failures:
        print(failure)
    print("every one as judged" if not result.failures else f"{len(result.failures)} differ (the first 50 are shown)")
    sys.exit(bool(result.failures))


if __name__ == "__main__":
    main()
