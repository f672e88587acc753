"""A long run of one harness: python -m tests.fuzz NAME --seconds N [--coverage].

New behaviour and failures are kept in the corpus, each cut down to its smallest. With --coverage atheris guides the search
(`pip install atheris`, no requirement of ours). Exits 1 when anything failed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.corpus import behaviour_of, files, keep, known, smallest
from tests.fuzz.harness import mutated

if TYPE_CHECKING:
    from tests.fuzz.harness import Harness, Judge

NAMES = ("target", "headers", "strict_json", "form", "opa_reply", "upstream_answer", "jwt", "stream")
_BATCH = 500
_CUT = 200  # inputs longer than this many bytes are cut down with fewer tries


class Search:
    """What was met so far; `look` judges one input and keeps it when it is the first of its class."""

    def __init__(self, harness: Harness, judge: Judge) -> None:
        self.harness = harness
        self.judge = judge
        self.inputs = list(known(harness))
        self.met = {behaviour_of(judge, path.read_bytes()) for path in files(harness)}
        self.count = 0
        self.kept: list[Path] = []
        self.failed: list[Path] = []

    def look(self, data: bytes) -> None:
        """Judge, and keep what is new."""
        self.count += 1
        behaviour = behaviour_of(self.judge, data)
        if behaviour in self.met:
            return
        self.met.add(behaviour)
        small = smallest(data, lambda shorter: behaviour_of(self.judge, shorter) == behaviour) if len(data) < 10 * _CUT else data
        path = keep(self.harness, small, behaviour)
        self.inputs.append(small)
        (self.failed if behaviour.startswith("failing") else self.kept).append(path)
        sys.stdout.write(f"{behaviour}: {small[:_CUT]!r}\n")
        sys.stdout.flush()

    def run(self, seconds: float, chance: random.Random) -> None:
        """Seeds first; then mutation and grammar in turns until the time is over."""
        for data in self.harness.seeds:
            self.look(data)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(_BATCH):
                self.look(mutated(chance, self.inputs, self.harness.tokens))
                if time.monotonic() > end:
                    return
            self._grow()

    def _grow(self) -> None:
        @settings(max_examples=_BATCH // 5, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(self.harness.grown)
        def grown(data: bytes) -> None:
            self.look(data)

        grown()


def guided(name: str, folder: Path, seconds: int) -> None:
    """In a process of its own: atheris watches which branches the product takes, and writes what is new into the folder. Does not return."""
    atheris = import_module("atheris")  # no requirement of ours
    with atheris.instrument_imports(include=["stagewarden.wire", "stagewarden.decision", "stagewarden.identity"]):
        harness = import_module(f"tests.fuzz.{name}").HARNESS
    with harness.running() as judge:
        atheris.Setup([sys.argv[0], str(folder), f"-artifact_prefix={folder}/", f"-max_total_time={seconds}", "-max_len=2048"], judge)
        atheris.Fuzz()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--coverage", action="store_true", help="guided by atheris")
    parser.add_argument("--guided-into", type=Path, help=argparse.SUPPRESS)
    given_words = parser.parse_args()
    if given_words.guided_into is not None:
        guided(given_words.name, given_words.guided_into, given_words.seconds)
    harness: Harness = import_module(f"tests.fuzz.{given_words.name}").HARNESS
    with harness.running() as judge, tempfile.TemporaryDirectory() as folder:
        search = Search(harness, judge)
        if given_words.coverage:
            for number, data in enumerate(search.inputs):
                (Path(folder) / f"{number}").write_bytes(data)
            words = [sys.executable, "-m", "tests.fuzz", given_words.name, "--seconds", str(given_words.seconds), "--guided-into", folder]
            subprocess.run(words, check=False)
            for path in sorted(Path(folder).iterdir()):
                search.look(path.read_bytes())
        else:
            search.run(given_words.seconds, random.Random(time.time_ns()))
    sys.stdout.write(f"{harness.name}: {search.count} inputs, {len(search.met)} classes, {len(search.kept)} kept, {len(search.failed)} failing\n")
    return 1 if search.failed else 0


if __name__ == "__main__":
    sys.exit(main())
