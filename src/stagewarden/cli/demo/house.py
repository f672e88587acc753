"""The demo's house: what `init --template newsletter` writes, with free ports where the usual ones are taken."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.cli.init import write as write_template

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.clock import Clock

_PORTS = (8080, 8081, 8082)


@dataclass(frozen=True, slots=True)
class House:
    """A sandbox in a folder, and its secrets, read from where `init` keeps them."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "stagewarden.yaml"

    @property
    def key(self) -> str:
        """The agent's key."""
        return self._secret("agents/drafter.key")

    def password(self, person: str) -> str:
        """A person's password."""
        return self._secret(f"people/{person}.password")

    def upstream_token(self, name: str) -> str:
        """What the newsroom expects of the drafter or the publisher."""
        return self._secret(name).removeprefix("Bearer ")

    def place(self, newsroom: str) -> None:
        """Point the upstream at the newsroom and every taken port at a free one."""
        text = self.config.read_text(encoding="utf-8").replace("http://127.0.0.1:9000", newsroom)
        for port in _PORTS:
            if not _is_free(port):
                text = text.replace(f'bind: "127.0.0.1:{port}"', 'bind: "127.0.0.1:0"')
        self.config.write_text(text, encoding="utf-8")

    def _secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text(encoding="utf-8").strip()


def write(folder: Path, clock: Clock) -> House:
    """Write it into a new folder."""
    write_template(folder, "newsletter", clock)
    return House(folder)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
