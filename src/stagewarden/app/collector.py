"""The garbage collector of a process that serves: called once, when everything stands. Must never be called in a process of tests."""

from __future__ import annotations

import gc

_COLLECT_AT = 20_000  # objects made and not freed; the default is 700


def settle() -> None:
    """What stands now stands to the end, and nothing of a request is in a cycle: the collector need not look at either (4 % of a request's CPU)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AT)
