"""The terminal: one file per command group, loaded when it is called, so that `kill` starts at once and needs nothing it does not use.

Exit codes: 0 fine, 1 finding or refusal, 2 usage, 3 not reachable.
"""

from __future__ import annotations

from importlib import import_module

import click

from stagewarden import __version__
from stagewarden.cli.examples import EXITS

# Command → the file under `cli/` that holds it.
_COMMANDS = {
    "demo": "demo",
    "serve": "serve",
    "check": "check",
    "init": "init",
    "opa": "opa",
    "policy": "policy",
    "login": "login",
    "logout": "login",
    "access": "access",
    "holds": "people",
    "agents": "stopping",
    "grants": "grants",
    "deliveries": "deliveries",
    "kill": "stopping",
    "unkill": "stopping",
    "reviews": "reviews",
    "registry": "registry",
    "audit": "audit",
}


class _Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"stagewarden.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="stagewarden")
def main() -> None:
    """An Open Policy Agent-backed authorization sidecar for AI agents.

    Each command's help ends with lines to type.
    """
