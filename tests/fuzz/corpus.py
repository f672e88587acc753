"""The kept inputs: one file each, named after what became of it. Smallest of its behaviour class, so that all of them replay in a moment."""

from __future__ import annotations

import hashlib
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.harness import ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.harness import Harness, Judge

FOLDER = Path(__file__).parent / "corpus"
_LONGEST_NAME = 60


def files(harness: Harness) -> list[Path]:
    """In a fixed order."""
    return sorted((FOLDER / harness.name).glob("*"))


def known(harness: Harness) -> tuple[bytes, ...]:
    """What mutation starts from: the seeds and what was kept."""
    return (*harness.seeds, *(path.read_bytes() for path in files(harness)))


def keep(harness: Harness, data: bytes, behaviour: str) -> Path:
    """Store one input."""
    slug = re.sub(r"[^a-z0-9]+", "-", behaviour.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    path = FOLDER / harness.name / f"{slug}-{hashlib.sha256(data).hexdigest()[:8]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def expected(path: Path) -> bool:
    """Whether the product took this input when it was kept."""
    return path.name.startswith(ACCEPTED)


def behaviour_of(judge: Judge, data: bytes) -> str:
    """The class; of a failure, what failed."""
    try:
        return judge(data)
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is what fuzzing looks for
        place = traceback.extract_tb(failure.__traceback__)[-1]
        return f"failing {type(failure).__name__} at {Path(place.filename).name} {place.lineno}"


def smallest(data: bytes, still: Callable[[bytes], bool]) -> bytes:
    """Fewer bytes for which `still` holds: cut ever smaller slices (delta debugging)."""
    size = len(data)
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if still(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data
