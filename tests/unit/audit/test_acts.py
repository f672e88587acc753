"""Acts on modes and stops, read back: by scope, page by page, and what one stop did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.audit import acts
from stagewarden.audit.entries import outcome_entry, ruling_entry
from stagewarden.audit.reader import Reader
from stagewarden.errors import Invalid
from stagewarden.model import Outcome
from tests.unit.audit.parts import audit_log, ruling

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.model import Document


def act(name: str, subject: str, scope: str, by: str = "lena", reason: str = "drill") -> Document:
    """An entry as the gate writes it."""
    return {"act": name, "subject": subject, "scope": scope, "mode": "", "by": by, "reason": reason, "epoch": 1}


def ended(hold: str, agent: str, by: str = "lena", event: str = "killed") -> Document:
    """A hold that a stop ended, as the log has it."""
    return {"hold": hold, "event": event, "agent": agent, "workflow": "w", "upstream": "cms", "stage": "export", "by": by, "reason": "drill"}


@pytest.mark.parametrize("looked_at", [200_000, 10], ids=["one look", "many looks"])
async def test_pages_cover_every_act_on_a_scope_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: int) -> None:
    """Newest first, others' acts left out; also where one look does not reach as far as the next act."""
    monkeypatch.setattr(acts, "_LOOKED_AT", looked_at)
    log = audit_log(tmp_path / "audit", segment=3000)
    await log.open()
    for n in range(9):
        await log.append("kill", act("kill", f"k_{n}", f"agent:{'ab'[n % 2]}"))
        for _ in range(12):
            await log.append("ruling", ruling_entry(ruling("deny")))
    await log.close()
    cursor, seen = None, []
    while True:
        page, cursor = acts.find_acts(Reader(tmp_path / "audit"), {"agent:a"}, cursor, 2)
        seen += [entry["subject"] for entry in page]
        if cursor is None:
            break
    assert seen == ["k_8", "k_6", "k_4", "k_2", "k_0"]
    with pytest.raises(Invalid):
        acts.find_acts(Reader(tmp_path / "audit"), {"agent:a"}, "x", 2)


@pytest.mark.parametrize(
    ("scope", "holds", "cut"),
    [("agent:drafter-7", ["h_1"], 1), ("all", ["h_2", "h_1"], 2), ("agent:nobody", [], 0), ("upstream:cms", ["h_2", "h_1"], 2)],
    ids=["an agent", "everything", "another agent", "an upstream"],
)
async def test_a_receipt_counts_what_was_in_scope(tmp_path: Path, scope: str, holds: list[str], cut: int) -> None:
    """Holds ended and answers cut off in its scope, by its hand, since; nothing of what another stop or person ended."""
    log = audit_log(tmp_path / "audit")
    await log.open()
    mine, theirs, whole = ruling(), ruling(agent="helper-4"), ruling()
    for one in (mine, theirs, whole):
        await log.append("ruling", ruling_entry(one))
    await log.append("hold", ended("h_0", "drafter-7"))
    await log.append("kill", act("kill", "k_1", "agent:other"))
    await log.append("outcome", outcome_entry(Outcome(mine.id, "done", 200, None, None, 0, 0.1, "killed")))  # cut before the stop is written
    await log.append("kill", act("kill", "k_2", scope))
    await log.append("outcome", outcome_entry(Outcome(theirs.id, "done", 200, None, None, 0, 0.1, "killed")))
    await log.append("outcome", outcome_entry(Outcome(whole.id, "done", 200, None, None, 0, 0.1)))
    await log.append("hold", ended("h_1", "drafter-7"))
    await log.append("hold", ended("h_2", "helper-4"))
    await log.append("hold", ended("h_3", "drafter-7", by="somebody"))
    await log.append("hold", ended("h_4", "drafter-7", event="stopped"))
    await log.close()
    receipt = acts.find_receipt(Reader(tmp_path / "audit"), "k_2")
    assert (receipt.holds, len(receipt.cut), receipt.refused, receipt.whole) == (holds, cut, 0, True)
    assert acts.find_receipt(Reader(tmp_path / "audit"), "k_3").acts == []
