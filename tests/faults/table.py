"""The fault table: what each fault of an upstream and of OPA does at each door. Tests hold the product to it, README.md shows it.

An expectation is written once, here. Must never hold anything a test does not compare with the running product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests import toxics
from tests.toxics import Toxic

GONE = Toxic("nobody listens")  # played by leaving, not by a script


@dataclass(frozen=True, slots=True)
class Direct:
    """A request the policy allows, sent on at once. `status` and `code` are the agent's, `result` and `logged` the log's outcome entry."""

    status: int
    code: str | None
    result: str
    logged: str | None
    hits: int = 1
    cut: bool = False  # the agent sees that the answer broke off

    @property
    def told(self) -> str:
        """For the manual."""
        what = f"{self.status} `{self.code}`" if self.code else f"{self.status}"
        return f"{what}, cut off" if self.cut else what


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: a fault of the upstream, and what comes of it at each door.

    `looked`: whether a look-up with this fault is taken for an answer; if not, the agent is told 503 `cannot_tell` and nothing else is
    asked. `released`: the state a hold ends in when its approved send meets this fault. `kept`: the connection is used again.
    """

    toxic: Toxic
    direct: Direct
    looked: bool
    released: str
    released_hits: int = 1  # how often an approved request arrived in the end
    kept: bool = False


FINE = Direct(200, None, "done", None)
BROKEN = Direct(502, "outcome_unknown", "unknown", "outcome_unknown")
CUT = Direct(200, None, "unknown", "outcome_unknown", cut=True)
LATE = Direct(504, "upstream_timeout", "unknown", "upstream_timeout")
UNREACHED = Direct(502, "upstream_unavailable", "not_sent", "upstream_unavailable", hits=0)
RETRIED = "approved, then done"  # nothing left, so it is tried again, and arrives once

UPSTREAM = (
    Fault(toxics.NONE, FINE, looked=True, released="done", kept=True),
    Fault(toxics.LATENCY, FINE, looked=True, released="done", kept=True),
    Fault(toxics.SLICER, FINE, looked=True, released="done", kept=True),
    Fault(toxics.SLOW_CLOSE, FINE, looked=True, released="done"),
    Fault(toxics.HALF_CLOSE_AFTER, FINE, looked=True, released="done"),
    Fault(toxics.GARBAGE_AFTER, FINE, looked=True, released="done"),
    Fault(toxics.TWICE, FINE, looked=True, released="done"),
    Fault(toxics.MORE_THAN_SAID, FINE, looked=True, released="done"),
    Fault(toxics.SPEAKS_IDLE, FINE, looked=True, released="done"),
    Fault(toxics.CLOSES_IDLE, FINE, looked=True, released="done"),
    Fault(toxics.RESETS_IDLE, FINE, looked=True, released="done"),
    Fault(GONE, UNREACHED, looked=False, released=RETRIED),
    Fault(toxics.SPEAKS_FIRST, UNREACHED, looked=False, released="unknown", released_hits=0),
    Fault(toxics.SILENCE, LATE, looked=False, released="unknown"),
    Fault(toxics.TRICKLE, LATE, looked=False, released="unknown"),
    Fault(toxics.HANG_UP, BROKEN, looked=False, released="unknown"),
    Fault(toxics.RESET, BROKEN, looked=False, released="unknown"),
    Fault(toxics.RESET_IN_HEAD, BROKEN, looked=False, released="unknown"),
    Fault(toxics.HALF_CLOSE, BROKEN, looked=False, released="unknown"),
    Fault(toxics.GARBAGE_BEFORE, BROKEN, looked=False, released="unknown"),
    Fault(toxics.GARBAGE_IN_HEAD, BROKEN, looked=False, released="unknown"),
    Fault(toxics.ANOTHER_PROTOCOL, BROKEN, looked=False, released="unknown"),
    Fault(toxics.ANOTHER_VERSION, BROKEN, looked=False, released="unknown"),
    Fault(toxics.ENDLESS_HEAD, BROKEN, looked=False, released="unknown"),
    Fault(toxics.ENDLESS_INTERIM, BROKEN, looked=False, released="unknown"),
    Fault(toxics.RESET_IN_BODY, CUT, looked=False, released="unknown"),
    Fault(toxics.TRUNCATED, CUT, looked=False, released="unknown"),
    Fault(toxics.CHUNK_NO_NUMBER, CUT, looked=False, released="unknown"),
    Fault(toxics.CHUNK_TOO_LONG, CUT, looked=False, released="unknown"),
    Fault(toxics.CHUNK_TOO_SHORT, CUT, looked=False, released="unknown"),
    Fault(toxics.STALLED, replace(CUT, logged="upstream_timeout"), looked=False, released="unknown"),
)
# Without end is tested apart: at the direct door the agent decides when it has enough.
ENDLESS = Fault(toxics.ENDLESS_CHUNKS, Direct(200, None, "done", None), looked=False, released="unknown")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What OPA does, and whether its verdict counts; if not, the agent is told 503 `cannot_tell` within the deadline and nothing arrives."""

    toxic: Toxic
    counts: bool


OPA = (
    Opinion(toxics.NONE, counts=True),
    Opinion(toxics.LATENCY, counts=True),
    Opinion(toxics.SLICER, counts=True),
    Opinion(toxics.SLOW_CLOSE, counts=True),
    Opinion(toxics.HALF_CLOSE_AFTER, counts=True),
    Opinion(toxics.GARBAGE_AFTER, counts=True),
    Opinion(toxics.TWICE, counts=True),
    Opinion(toxics.MORE_THAN_SAID, counts=True),
    Opinion(toxics.SPEAKS_IDLE, counts=True),
    Opinion(toxics.CLOSES_IDLE, counts=True),
    Opinion(toxics.RESETS_IDLE, counts=True),
    *(
        Opinion(toxic, counts=False)
        for toxic in (
            GONE, toxics.SPEAKS_FIRST, toxics.SILENCE, toxics.TRICKLE, toxics.HANG_UP, toxics.RESET, toxics.RESET_IN_HEAD, toxics.RESET_IN_BODY,
            toxics.HALF_CLOSE, toxics.GARBAGE_BEFORE, toxics.GARBAGE_IN_HEAD, toxics.ENDLESS_HEAD, toxics.ENDLESS_INTERIM, toxics.ENDLESS_CHUNKS,
            toxics.ANOTHER_PROTOCOL, toxics.ANOTHER_VERSION,
            toxics.TRUNCATED, toxics.STALLED, toxics.CHUNK_NO_NUMBER, toxics.CHUNK_TOO_LONG, toxics.CHUNK_TOO_SHORT,
        )
    ),
)  # fmt: skip


def upstream_table() -> str:
    """As README.md shows it."""
    rows = [
        "| the upstream's fault | agent, sent on at once | outcome | arrived | look-up | approved send | arrived | connection |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fault in (*UPSTREAM, ENDLESS):
        direct = fault.direct
        outcome = f"`{direct.result}`" + (f" `{direct.logged}`" if direct.logged else "")
        looked = "is an answer" if fault.looked else "503 `cannot_tell`"
        connection = "kept" if fault.kept else "closed"
        columns = (fault.toxic.name, direct.told, outcome, direct.hits, looked, fault.released, fault.released_hits, connection)
        rows.append("| " + " | ".join(map(str, columns)) + " |")
    return "\n".join(rows)


def opa_table() -> str:
    """As README.md shows it."""
    rows = ["| what OPA does | agent | arrived upstream |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| {each.toxic.name} | {'200' if each.counts else '503 `cannot_tell`'} | {int(each.counts)} |" for each in OPA)])
