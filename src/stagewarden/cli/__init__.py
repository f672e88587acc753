"""The terminal: one file per command group. Exit codes: 0 fine, 1 finding or refusal, 2 usage, 3 not reachable."""

from __future__ import annotations

import click

from stagewarden import __version__
from stagewarden.cli.audit import audit
from stagewarden.cli.check import check
from stagewarden.cli.demo import demo
from stagewarden.cli.init import init
from stagewarden.cli.opa import opa
from stagewarden.cli.people import agents, holds, kill, unkill
from stagewarden.cli.policy import policy
from stagewarden.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="stagewarden")
def main() -> None:
    """An Open Policy Agent-backed authorization sidecar for AI agents."""


for command in (demo, serve, check, init, opa, policy, holds, agents, kill, unkill, audit):
    main.add_command(command)
