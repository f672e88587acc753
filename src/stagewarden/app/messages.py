"""What the house and its workers say to each other. Both are the same build: a message that does not decode ends the conversation.

It travels over one inherited socket a worker, which has no name that anybody could connect to.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from stagewarden.audit.remote import Acknowledged, Entries
from stagewarden.decision.bundle import Bundle  # noqa: TC001 - msgspec reads the annotations
from stagewarden.gate.remote_locks import Granted, Returned, Wanted
from stagewarden.metrics.rows import Rows  # noqa: TC001
from stagewarden.modes import Change  # noqa: TC001
from stagewarden.registry import RegistryData  # noqa: TC001


class InForce(msgspec.Struct, frozen=True, array_like=True):
    """A registry, its revision, and each agent's column in the table of requests under way."""

    registry: RegistryData
    revision: str
    columns: dict[str, int]


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To a new worker: everything it judges by, as it is in force; of its own it reads secrets and keys only."""

    version: str
    worker: int
    workers: int
    file: str
    base: str
    configuration: bytes  # its JSON
    bundle: Bundle
    in_force: InForce
    addresses: list[tuple[str, int]]  # of the agents' listener
    own: list[tuple[str, int]]  # every listener of ours: no upstream


class Ready(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From a worker: it listens, judging by this registry."""

    registry: str


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From a worker that cannot start: why."""

    why: str


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """First step of a reload: make ready, change nothing."""

    number: int
    in_force: InForce


class Prepared(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The answer: ready, or why not."""

    number: int
    why: str | None


class Settle(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Second step of a reload: take what was prepared under this number, or drop it."""

    number: int
    prepared: int
    take: bool


class Settled(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The answer to `Settle` or `Obey`: done."""

    number: int


class Obey(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To a worker: stops are in force, these among them in memory only. Its answer says that whatever it had let go before is on its way."""

    number: int
    unwritten: list[Change]


class Moved(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Either way: these holds have moved, and the log knows it."""

    holds: list[str]


class Count(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To a worker: say what you have counted."""

    number: int


class Counted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From a worker, when asked and once a second (0): everything it has counted, and refusals since the last time."""

    number: int
    rows: Rows
    refusals: list[tuple[str, str, str, int]]


class Drain(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To a worker: finish what runs inside so many seconds, take nothing more, and end."""

    grace: float


ToWorker: TypeAlias = Hello | Acknowledged | Granted | Moved | Count | Prepare | Settle | Obey | Drain
ToHouse: TypeAlias = Ready | Failed | Entries | Wanted | Returned | Moved | Counted | Prepared | Settled
