"""A fleet: sidecars with agents' and operations listeners, one instance with people's and operations listeners, one PostgreSQL.

Each has its own folder: configuration, audit log, stop file. Registry, people and `holds.key` are the same in all.
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import SidecarProcess, until
from tests.ports import free_ports
from tests.product import House, house, rulings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.product import Reply

SIDECARS = ("a", "b", "c")


@dataclass
class Instance(SidecarProcess):
    """One of a fleet; listeners it does not have are taken out of its configuration."""

    listeners: tuple[str, ...] = ("agents", "operations")

    def __post_init__(self) -> None:
        text = self.house.config.read_text()
        for name in ("agents", "people", "operations"):
            if name not in self.listeners:
                text = re.sub(rf"^  {name}: .*\n", "", text, count=1, flags=re.MULTILINE)
        for name, port in zip(self.listeners, free_ports(len(self.listeners)), strict=True):
            text, found = re.subn(rf'( {name}: {{bind: "127\.0\.0\.1:)\d+"', rf'\g<1>{port}"', text)
            assert found == 1
            self.ports[name] = port
        self.house.config.write_text(text)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Of its own audit log."""
        return [entry for entry in rulings(self.house.folder) if entry["kind"] == kind]


@dataclass
class Fleet:
    """Three sidecars and the people's instance."""

    sidecars: dict[str, Instance] = field(default_factory=dict)
    people: Instance | None = None

    def __getitem__(self, name: str) -> Instance:
        return self.sidecars[name]

    def every(self) -> list[Instance]:
        """All of them."""
        assert self.people is not None
        return [*self.sidecars.values(), self.people]

    def vote(self, hold: str, person: str = "ines", function: str = "reviewer") -> Reply:
        """At the people's instance."""
        assert self.people is not None
        return self.people.vote(hold, person, function)

    def settled(self, hold: str) -> str:
        """The state in which it ended, as the people's instance shows it."""
        assert self.people is not None
        return str(self.people.settled(hold, "ines")["state"])

    def claimer(self, hold: str) -> str:
        """Who claimed it last, by the logs."""

        def found() -> str | None:
            claims = {
                name: [entry for entry in each.entries("hold") if (entry["hold"], entry["event"]) == (hold, "claimed")]
                for name, each in self.sidecars.items()
            }  # fmt: skip
            return next((name for name, each in claims.items() if each), None)

        return str(until(found, f"a claim of {hold}"))


def member(made: House, folder: Path, name: str, state: str, listeners: tuple[str, ...], **changed: str) -> Instance:
    """One instance in a folder of its own."""
    shutil.copytree(made.folder, folder / name)
    its = House(folder / name, made.keys, made.tokens)
    text = its.config.read_text().replace("name: scenarios", f"name: {name}").replace("state: sqlite:state.db", f"state: {state}")
    for before, after in changed.items():
        text = text.replace(before, after)
    its.config.write_text(text)
    return Instance(its, listeners=listeners)


@contextmanager
def fleet(folder: Path, upstream: str, state: str, names: tuple[str, ...] = SIDECARS, workers: int = 1) -> Iterator[Fleet]:
    """Running, and gone at the end however the test ends. `workers` are each sidecar's."""
    made = house(folder / "made", upstream)
    running = Fleet({name: member(made, folder, name, state, ("agents", "operations")) for name in names})
    for each in running.sidecars.values():
        each.workers = workers
    running.people = member(made, folder, "people", state, ("people", "operations"))
    try:
        for each in running.every():
            each.launch()
        for each in running.every():
            until(each._ready, f"a ready {each.house.folder.name}")
        yield running
    finally:
        for each in running.every():
            each.close()
