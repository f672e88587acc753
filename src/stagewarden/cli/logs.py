"""What the process says of itself: JSON lines on standard error, no secrets, no bodies (contract section 6)."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(*, quiet: bool = False) -> None:
    """Everything from `info` on; `quiet` keeps to errors (the demo speaks for itself)."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR if quiet else logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),  # a line is one write: house and workers share the stream
        cache_logger_on_first_use=True,
    )
