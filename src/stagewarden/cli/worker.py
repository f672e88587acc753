"""`python -m stagewarden.cli.worker CONVERSATION TABLE`: what the house starts. Nothing for people: the two are inherited descriptors."""

from __future__ import annotations

import sys

import structlog
import uvloop

from stagewarden.app import work
from stagewarden.cli.logs import configure_logs
from stagewarden.errors import StagewardenError

# Nothing is imported from the folder we happen to stand in, nor from elsewhere where the house was told not to.
COMMAND = (sys.executable, "-I" if sys.flags.isolated else "-P", "-m", "stagewarden.cli.worker")


def main() -> None:
    """Serve, until the house says so."""
    configure_logs()
    conversation, table = map(int, sys.argv[1:])
    try:
        uvloop.run(work(conversation, table))
    except (StagewardenError, OSError) as failure:
        structlog.get_logger("stagewarden.worker").error("worker_failed", cause=str(failure))
        sys.exit(1)


if __name__ == "__main__":
    main()
