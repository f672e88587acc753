"""Clocks, disks and rulings for the log's tests. Real files; only the system calls that fail in the field are stood in for."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from stagewarden.audit.log import AuditLog
from stagewarden.clock import NANOSECONDS
from stagewarden.config import Audit
from stagewarden.model import (
    Action,
    Allow,
    Ask,
    Asset,
    Credential,
    Deny,
    Head,
    Link,
    Principal,
    Question,
    Reason,
    Ruling,
    Seat,
    Stage,
    Target,
    Tier,
    Verdict,
)

if TYPE_CHECKING:
    from pathlib import Path

NOON = 1_795_251_600 * NANOSECONDS
DIGEST = "sha256:" + "ab" * 32


@dataclass
class ManualClock:
    """Stands still until it is moved."""

    ns: int = NOON
    seconds: float = 100.0

    def now_ns(self) -> int:
        """Where it stands."""
        return self.ns

    def monotonic(self) -> float:
        """Where it stands."""
        return self.seconds

    def move(self, seconds: float) -> None:
        """Both clocks forward."""
        self.seconds += seconds
        self.ns += int(seconds * NANOSECONDS)


@dataclass
class TroubledDisk:
    """The machine's disk until told otherwise: `write_error` and `sync_error` are errno values, `takes` bytes at most a call."""

    write_error: int = 0
    sync_error: int = 0
    takes: int = 0
    room: int = 1 << 40
    syncs: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    stuck: threading.Event = field(default_factory=threading.Event)  # somebody waits at the gate

    def __post_init__(self) -> None:
        self.gate.set()

    def write(self, handle: int, data: bytes) -> int:
        """The system call, or part of it, or an error."""
        if self.write_error:
            if self.takes:
                os.write(handle, data[: self.takes])
            raise OSError(self.write_error, os.strerror(self.write_error))
        return os.write(handle, data[: self.takes] if self.takes else data)

    def sync(self, handle: int) -> None:
        """The system call, once `gate` is set."""
        if not self.gate.is_set():
            self.stuck.set()
            self.gate.wait(60)
        self.syncs += 1
        if self.sync_error:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        os.fdatasync(handle)

    def free(self, directory: Path) -> int:
        """What the test says."""
        if self.room < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.room


def audit_log(
    directory: Path, *, clock: ManualClock | None = None, disk: TroubledDisk | None = None, segment: int = 1 << 20, observe=lambda _: None
) -> AuditLog:
    """A log with a small reserve, not opened."""
    return AuditLog(
        Audit(directory=str(directory), reserve=1000, segment=segment),
        clock or ManualClock(),
        disk=disk or TroubledDisk(),
        observe=observe,
        retry=0.02,
    )


def segments_of(directory: Path) -> list[Path]:
    """The segment files in order."""
    return sorted(directory.glob("*.jsonl"))


def entries_of(directory: Path) -> list[dict]:
    """All entries, oldest first."""
    return [orjson.loads(line) for path in segments_of(directory) for line in path.read_bytes().splitlines()]


_numbers = itertools.count()


def ruling(effect: str = "allow", *, agent: str = "drafter-7", asserted: dict | None = None, known: bool = True, code: str | None = None) -> Ruling:
    """A ruling as the gate makes them; `known` false: refused before anything but the agent was known."""
    number = next(_numbers)
    target = Target(
        "/cms/wp-json/wp/v2/posts/42?token=hunter2",
        "/cms/wp-json/wp/v2/posts/42",
        ("cms", "wp-json", "wp", "v2", "posts", "42"),
        (("token", "hunter2"),),
    )
    shown = ("Authorization", "Bearer sw_drafter-7_SECRET")
    head = Head(f"r_{number:026d}", "POST", target, "cms.internal", (shown,), {"authorization": shown[1]}, "127.0.0.1", NOON)
    reasons = (Reason(code or {"allow": "stage_granted"}.get(effect, "publish_not_granted"), "stagewarden.rules.stages", "As the rule says"),)
    verdicts: dict[str, Verdict] = {
        "allow": Allow(Tier.LOW, reasons),
        "hold": Ask(Tier.HIGH, reasons, (Seat(("legal", "compliance"), 1),)),
        "deny": Deny(reasons),
    }
    principal = Principal(agent, Credential("key", "", 0), (Link("agent", agent, verified=True),), "newsletter")
    action = Action(
        "cms", "POST /wp-json/wp/v2/posts/{id}", Stage.EXPORT, "post.publish", Asset("42", DIGEST, "draft"), ("status",), ("internal",), "site",
        external=True, reversible="none",
    )  # fmt: skip
    question = Question({"request": {"digest": DIGEST}, "asserted": asserted or {}})
    phases = {"authn": 0.0001, "context": 0.0002, "policy": 0.0003}
    if not known:
        return Ruling(head.id, NOON, head, verdicts[effect], principal)
    return Ruling(
        head.id, NOON, head, verdicts[effect], principal, action, None, question, None, DIGEST, phases, "policy-1", "registry-1", body_read=True
    )
