"""How a command ends badly: 1 a finding or refusal, 3 not reachable (2, usage, is click's own)."""

from __future__ import annotations

import click


class Finding(click.ClickException):
    """Something is wrong with what was looked at, or was refused."""

    exit_code = 1


class Unreachable(click.ClickException):
    """Whatever had to be asked is not there."""

    exit_code = 3
