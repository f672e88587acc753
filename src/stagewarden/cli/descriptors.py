"""File descriptors: `serve` sees to it that there are as many as its limits promise, and does not start with too few.

Running out of them later is silent: clients wait in the kernel's queue, and neither log nor upstream can be opened.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from stagewarden.config import Config

_OTHERS = 640  # idle upstream connections, the policy engine's, people, operations, log, state, the interpreter's own


def make_room(config: Config) -> None:
    """Raise our soft limit to what `limits` needs; raises ConfigError where the hard one is below."""
    limits = config.limits
    besides = limits.inflight + _OTHERS  # each request under way may have a connection to its upstream
    needed = limits.connections + besides
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        message = f"needs {needed} file descriptors with all that is beside it, and this process may have {hard}"
        remedy = f"raise the limit (`ulimit -Hn`, `LimitNOFILE=`, `ulimits:`), or write at most {max(1, hard - besides)}"
        raise ConfigError((config.source.problem(("limits", "connections"), message, remedy),))
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
