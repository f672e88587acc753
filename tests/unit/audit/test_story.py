"""What a hold or an asset went through is found in its order and whole, and a line's place in the chain is what the bytes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from stagewarden.audit import segments, story
from stagewarden.audit.chain import walk
from stagewarden.audit.entries import outcome_entry, ruling_entry
from stagewarden.audit.line import GENESIS, canonical, digest
from stagewarden.audit.reader import Reader
from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.model import Outcome
from tests.unit.audit.parts import NOON, ruling

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.model import Document

HOLD, OTHER = new_id("h", NOON + NANOSECONDS), new_id("h", NOON + 2 * NANOSECONDS)


def _moves(hold: str, asset: str) -> list[tuple[str, Document]]:
    about: Document = {"hold": hold, "upstream": "cms", "asset": asset, "ruling": "r_1"}
    outcome = {**outcome_entry(Outcome("r_1", "done", 200, None, None, 1, 0.01)), "hold": hold}
    return [
        ("hold", {**about, "event": "opened", "state": "pending"}), ("vote", {"hold": hold, "ruling": "r_1", "person": "ines"}),
        ("hold", {**about, "event": "filled", "state": "approved"}), ("release", {"hold": hold, "ruling": "r_1", "effect": "allow"}),
        ("outcome", outcome),
    ]  # fmt: skip


def _about(asset: str, effect: str = "allow") -> list[tuple[str, Document]]:
    made = orjson.loads(canonical(ruling_entry(ruling(effect))))
    made["ruling"] = new_id("r", NOON)
    made["proposed"]["asset"]["id"] = asset
    return [("ruling", made), *([("outcome", outcome_entry(Outcome(made["ruling"], "done", 200, None, None, 1, 0.01)))] if effect == "allow" else [])]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two assets, a hold of each, their entries mixed; segments of five lines."""
    mixed = zip(_moves(HOLD, "42"), _moves(OTHER, "43"), strict=True)
    bodies = [*_about("42"), *_about("43"), *(one for pair in mixed for one in pair), ("heartbeat", {}), *_about("42", "deny"), *_about("x\u202e")]
    prev, lines = GENESIS, []
    for kind, body in bodies:
        time = f"2026-11-21T12:00:{len(lines):02d}.000000Z"
        line = canonical({**body, "v": 1, "seq": len(lines), "time": time, "boot": "b_1", "kind": kind, "prev": prev})
        prev = digest(line)
        lines.append(line)
    (tmp_path / "audit").mkdir()
    for first in range(0, len(lines), 5):
        segments.path_of(tmp_path / "audit", first).write_bytes(b"\n".join(lines[first : first + 5]) + b"\n")
    assert walk(tmp_path / "audit").seq == len(lines)
    return tmp_path / "audit"


def test_a_hold_s_story_is_its_entries_in_their_order(log: Path) -> None:
    """Moves, vote, release and outcome of this hold, and nothing of the other; of an unknown one, nothing."""
    found = story.of_hold(Reader(log), HOLD)
    assert [(entry["kind"], entry.get("event")) for entry in found.entries] == [
        ("hold", "opened"), ("vote", None), ("hold", "filled"), ("release", None), ("outcome", None),
    ]  # fmt: skip
    assert ({entry["hold"] for entry in found.entries}, found.whole) == ({HOLD}, True)
    for nothing in (new_id("h", NOON), "h_1", "", "r_" + "Z" * 26):
        assert story.of_hold(Reader(log), nothing).entries == ()


def test_an_asset_s_story_has_its_rulings_holds_votes_and_answers(log: Path) -> None:
    """Of this asset at this upstream; what came of a direct send, and a vote, do not name the asset and are there all the same."""
    found = story.of_asset(Reader(log), "cms", "42")
    kinds = [(entry["kind"], entry.get("event") or entry.get("effect")) for entry in found.entries]
    assert kinds == [
        ("ruling", "allow"), ("outcome", None), ("hold", "opened"), ("vote", None), ("hold", "filled"), ("release", "allow"), ("outcome", None),
        ("ruling", "deny"),
    ]  # fmt: skip
    assert found.whole
    assert [entry["kind"] for entry in story.of_asset(Reader(log), "cms", "x\u202e").entries] == ["ruling", "outcome"]
    assert story.of_asset(Reader(log), "other", "42").entries == ()
    assert story.of_asset(Reader(log), "cms", "4").entries == ()


def test_a_story_is_bounded_and_says_so(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More entries than one look shows: not whole."""
    monkeypatch.setattr(story, "_ENTRIES", 3)
    found = story.of_hold(Reader(log), HOLD)
    assert (len(found.entries), found.whole) == (3, False)
    assert not story.of_asset(Reader(log), "cms", "42").whole


def test_the_place_of_an_untouched_line(log: Path) -> None:
    """Its number, its digest, and how many entries after it were followed, up to the newest or as far as one look goes."""
    entries = [*Reader(log).entries()]
    lines = [*Reader(log).lines()]
    for entry, line in zip(entries, lines, strict=True):
        found = story.place(Reader(log), entry)
        assert found == story.Place(entry["seq"], digest(line), len(entries) - 1 - entry["seq"], newest=True)


@pytest.mark.parametrize("touched", [0, 6, 7, 8, 12], ids=["before", "the one before", "itself", "the next", "later"])
def test_a_changed_line_shows_from_the_one_before_it_on(log: Path, touched: int) -> None:
    """Whatever was changed behind the line, in it or just before it breaks its place; what lies further back is `audit verify`'s to find."""
    entry = [*Reader(log).entries()][7]
    path = max(path for path in segments.listed(log) if segments.first_seq(path) <= touched)
    lines = path.read_bytes().split(b"\n")
    lines[touched - segments.first_seq(path)] = lines[touched - segments.first_seq(path)].replace(b'"boot":"b_1"', b'"boot":"b_2"')
    path.write_bytes(b"\n".join(lines))
    found = story.place(Reader(log), entry)
    assert (found.broken is None) == (touched == 0)
    assert touched == 0 or found.broken.startswith("edited")


def test_a_place_is_followed_so_far_and_no_further(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look follows so many; it says that it did not come to the newest."""
    monkeypatch.setattr(story, "_FOLLOWED", 2)
    found = story.place(Reader(log), [*Reader(log).entries()][3])
    assert (found.followed, found.newest, found.broken) == (2, False, None)
