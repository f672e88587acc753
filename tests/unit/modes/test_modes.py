"""Stopping: felt at once, by every process, and never answered "go on" for want of knowing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagewarden.clock import SystemClock
from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, NotFound
from stagewarden.model import Stage
from stagewarden.modes import LOOK_AGAIN, MODES, STOPPING, Modes, NotDurable, Terms, scopes

ASKED = {"agent": "drafter-7", "workflow": "newsletter", "upstream": "cms", "stage": Stage.EXPORT}


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the stop file is."""
    return tmp_path / "state" / "stops.json"


@pytest.fixture
def modes(path) -> Modes:
    """An open stop file with nothing stopped."""
    made = Modes(path, SystemClock(), look_again=0)
    made.open()
    return made


@pytest.mark.parametrize("scope", ["all", "agent:drafter-7", "workflow:newsletter", "upstream:cms", "stage:export"])
async def test_a_kill_stops_its_scope_until_lifted_by_its_id(modes, scope) -> None:
    """Everything in scope gets a no that names the kill; nothing else does."""
    kill = await modes.kill(scope, "alice", "looks wrong")
    denied = modes.stop(**ASKED)
    assert denied is not None
    assert denied.reasons[0].code == "killed"
    assert denied.reasons[0].detail == {"kill": kill.id, "scope": scope}
    elsewhere = modes.stop(agent="other", workflow="other", upstream="other", stage=Stage.GENERATE)
    assert (elsewhere is not None) == (scope == "all")
    assert await modes.unkill(kill.id, "bob", "checked") == kill
    assert modes.stop(**ASKED) is None


async def test_all_is_asked_whatever_is_asked(modes) -> None:
    """Even when no scope is named at all."""
    await modes.kill("all", "alice", "stop")
    assert modes.stop() is not None


async def test_two_kills_of_one_scope_both_have_to_be_lifted(modes) -> None:
    """Lifting names one id; the other stands."""
    first, second = await modes.kill("all", "alice", "one"), await modes.kill("all", "bob", "two")
    await modes.unkill(first.id, "carol", "fine")
    denied = modes.stop()
    assert denied is not None
    assert denied.reasons[0].detail == {"kill": second.id, "scope": "all"}


async def test_the_no_tells_the_agent_neither_who_nor_why(modes) -> None:
    """People's names and reasons stay on the people's plane."""
    await modes.kill("all", "alice", "she leaked it")
    assert "alice" not in repr(modes.stop())
    assert "leaked" not in repr(modes.stop())


@pytest.mark.parametrize(
    ("registry", "stored", "expected"),
    [(r, s, max(r, s or "active", key=MODES.index)) for r in MODES for s in (None, *MODES)],
)
async def test_the_stricter_of_registry_and_stored_mode_wins(modes, registry, stored, expected) -> None:
    """In all combinations; the code of the no is the mode's."""
    if stored:
        await modes.set_mode("drafter-7", stored, "alice", "why not")
    assert modes.mode_of("drafter-7", registry) == expected
    denied = modes.stop(agent="drafter-7", registry_mode=registry)
    assert (denied.reasons[0].code if denied else None) == (expected if expected in STOPPING else None)
    assert modes.stop(agent="other") is None


def test_a_mode_of_the_registry_we_do_not_know_is_the_strictest(modes) -> None:
    """A word from a later release does not mean active."""
    assert modes.mode_of("drafter-7", "resting") == "revoked"


@pytest.mark.parametrize("mode", ["active", "recommend_only", "paused"])
async def test_revoked_is_final(modes, path, mode) -> None:
    """Nobody loosens it, and the refusal changes nothing."""
    await modes.set_mode("drafter-7", "revoked", "alice", "gone")
    before = path.read_bytes()
    with pytest.raises(Conflict, match="final"):
        await modes.set_mode("drafter-7", mode, "bob", "please")
    assert path.read_bytes() == before
    assert modes.mode_of("drafter-7", "active") == "revoked"


NO_SCOPES = (
    "", "ALL", "all ", "all:x", "agent", "agent:", "agent:a b", "agent:a\n", "agent:../x\x00", "stage:publish", "stage:", "route:x",
    "agent:" + "a" * 300, "agent:\u202e",
)  # fmt: skip


@pytest.mark.parametrize("scope", NO_SCOPES)
async def test_a_scope_that_means_nothing_is_refused(modes, path, scope) -> None:
    """A typing error must not look like a stop; nothing changes."""
    before = path.read_bytes()
    with pytest.raises(Invalid):
        await modes.kill(scope, "alice", "x")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("act", "error"),
    [
        pytest.param(lambda modes: modes.unkill("k_none", "a", "b"), NotFound, id="lifting a kill that is not engaged"),
        pytest.param(lambda modes: modes.set_mode("a", "resting", "a", "b"), Invalid, id="a mode of a later release"),
        pytest.param(lambda modes: modes.set_mode("a b", "paused", "a", "b"), Invalid, id="an agent id that is none"),
    ],
)
async def test_an_illegal_act_is_refused_and_nothing_changed(modes, path, act, error) -> None:
    """The file and the epoch stay."""
    before = path.read_bytes()
    with pytest.raises(error):
        await act(modes)
    assert path.read_bytes() == before
    assert modes.epoch == 0


async def test_another_process_is_felt_by_the_next_question(modes, path) -> None:
    """`kill --config FILE` with the server up: no restart, no signal; and the other way round."""
    other = Modes(path, SystemClock())
    other.open()
    kill = await other.kill("agent:drafter-7", "alice", "x")
    assert modes.stop(agent="drafter-7") is not None
    await modes.unkill(kill.id, "bob", "y")
    assert other.stop(agent="drafter-7") is None


async def test_the_tick_alone_tells_of_another_process(path) -> None:
    """Felt by the next question, although the file itself is not looked at again for an hour."""
    reader, writer = Modes(path, SystemClock(), look_again=3600), Modes(path, SystemClock())
    reader.open()
    writer.open()
    for _ in range(300):
        assert reader.stop(agent="drafter-7") is None
        kill = await writer.kill("agent:drafter-7", "alice", "x")
        assert reader.stop(agent="drafter-7") is not None
        await writer.unkill(kill.id, "bob", "y")


async def test_what_is_done_by_hand_is_seen_at_the_next_look(path) -> None:
    """Whoever takes the file away moves no tick: the next look, some milliseconds later, finds nothing and stops everything."""
    modes = Modes(path, SystemClock())
    modes.open()
    assert modes.stop() is None
    path.unlink()
    await asyncio.sleep(LOOK_AGAIN)
    with pytest.raises(CannotTell):
        modes.stop()


async def test_acts_within_one_clock_tick_are_told_apart(path) -> None:
    """The kernel's file times are coarse and inode numbers come back: a reader that saw the first act sees the third."""
    clock = SystemClock()
    writer, reader = Modes(path, clock), Modes(path, clock)
    writer.open()
    for _ in range(100):
        kill = await writer.kill("all", "a", "b")
        assert reader.stop() is not None
        await writer.unkill(kill.id, "a", "b")
        assert reader.stop() is None


WHOLE = b'{"version":2,"epoch":0,"kills":[],"modes":{},"changes":[],"heard":0,"heard_id":"","pending":[]}'
FORMER = b'{"version":1,"epoch":0,"kills":[],"modes":{},"changes":[]}'
A_KILL = b'[{"id":"k","scope":"agnet:x","by":"","at_ns":0,"reason":""}]'
A_MODE = b'{"a":{"mode":"Paused","by":"","at_ns":0,"reason":""}}'


def _without(name: str) -> bytes:
    return orjson.dumps({member: value for member, value in orjson.loads(WHOLE).items() if member != name})


def _holds(data: bytes):
    return lambda path: path.write_bytes(data)


BROKEN = [
    *(pytest.param(_holds(_without(name)), id=f"no {name}") for name in orjson.loads(WHOLE)),
    pytest.param(_holds(b""), id="empty"),
    pytest.param(_holds(b"{"), id="half a file"),
    pytest.param(_holds(b"{}"), id="an empty object"),
    pytest.param(_holds(WHOLE.replace(b'"version":2', b'"version":3')), id="another version"),
    pytest.param(_holds(WHOLE.replace(b'"kills"', b'"kils"')), id="an unknown member"),
    pytest.param(_holds(WHOLE.replace(b"[]", A_KILL, 1)), id="a scope misspelt"),
    pytest.param(_holds(WHOLE.replace(b"{}", A_MODE)), id="a mode misspelt"),
    pytest.param(_holds(WHOLE.replace(b"[]", b"null", 1)), id="kills that are null"),
    pytest.param(lambda path: path.unlink(), id="deleted"),
    pytest.param(lambda path: shutil.rmtree(path.parent), id="its directory deleted"),
    pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a directory"),
    pytest.param(lambda path: (path.unlink(), path.symlink_to("/dev/null")), id="a link"),
]


@pytest.mark.parametrize("break_it", BROKEN)
async def test_a_file_that_does_not_read_stops_everything(modes, path, break_it) -> None:
    """Could not tell is a no: for every question, and for every act but none that would hide it."""
    break_it(path)
    for question in (
        modes.stop, lambda: modes.stop(**ASKED), lambda: modes.mode_of("a", "active"), modes.kills, lambda: modes.epoch,
        lambda: modes.stored("a"), lambda: modes.changes(0),
    ):  # fmt: skip
        with pytest.raises(CannotTell):
            question()
    with pytest.raises(CannotTell):
        await modes.kill("all", "alice", "x")


def test_the_whole_file_the_broken_ones_are_made_of_reads(modes, path) -> None:
    """So that each case above is broken by what its name says."""
    path.write_bytes(WHOLE)
    assert modes.stop() is None


async def test_the_file_of_the_release_before_reads(modes, path) -> None:
    """Version 1, which has no word for recommending: what it stopped is stopped, and the next act keeps it."""
    former = orjson.loads(FORMER) | {
        "epoch": 2,
        "kills": [{"id": "k_1", "scope": "upstream:cms", "by": "alice", "at_ns": 1, "reason": "x"}],
        "modes": {"a": {"mode": "paused", "by": "bob", "at_ns": 2, "reason": "y"}},
        "changes": [
            {"id": "e_1", "epoch": 1, "act": "kill", "subject": "k_1", "scope": "upstream:cms", "mode": "", "by": "alice", "at_ns": 1, "reason": "x"},
            {"id": "e_2", "epoch": 2, "act": "mode", "subject": "a", "scope": "agent:a", "mode": "paused", "by": "bob", "at_ns": 2, "reason": "y"},
        ],
    }  # fmt: skip
    path.write_bytes(orjson.dumps(former))
    assert modes.stop(upstream="cms") is not None
    assert modes.mode_of("a", "active") == "paused"
    assert modes.epoch == 2
    await modes.set_mode("b", "recommend_only", "alice", "z")
    assert modes.stop(upstream="cms") is not None
    assert [change.epoch for change in modes.changes(0)] == [1, 2, 3]
    assert orjson.loads(path.read_bytes())["version"] == 2


async def test_recommend_only_is_no_stop(modes) -> None:
    """Nothing is refused by the gate itself; the mode is told, and the policy answers for it."""
    await modes.set_mode("drafter-7", "recommend_only", "alice", "x")
    assert modes.stop(**ASKED) is None
    assert modes.mode_of("drafter-7", "active") == "recommend_only"


async def test_a_security_cause_stays_until_the_agent_is_active_again(modes) -> None:
    """Whoever confirms, tightens or half loosens it meanwhile; then it is over."""
    given = []
    for mode, security in (("recommend_only", True), ("recommend_only", False), ("paused", False), ("recommend_only", False), ("active", False)):
        given.append((await modes.set_mode("a", mode, "alice", "x", Terms(security=security))).security)
    assert given == [True, True, True, True, False]
    assert not (await modes.set_mode("a", "paused", "alice", "x")).security


async def test_who_may_loosen_is_asked_under_the_lock_with_what_stands(modes, path) -> None:
    """For a mode and for a kill; a refusal leaves the file as it was, and tightening asks nobody."""
    asked = []

    def permit(standing) -> None:
        asked.append(standing)
        raise NotAllowed("no")

    terms = Terms(permit=permit)
    await modes.set_mode("a", "paused", "alice", "x", terms)
    kill = await modes.kill("all", "alice", "x", terms)
    before = path.read_bytes()
    with pytest.raises(NotAllowed):
        await modes.set_mode("a", "active", "bob", "y", terms)
    with pytest.raises(NotAllowed):
        await modes.unkill(kill.id, "bob", "y", terms)
    assert (path.read_bytes(), asked) == (before, [modes.stored("a"), kill])


HOUR = 3_600_000_000_000


@pytest.mark.parametrize(
    ("window", "act", "relapse"),
    [
        pytest.param(HOUR, "security", True, id="tightened by security"),
        pytest.param(HOUR, "mode", False, id="tightened by somebody else"),
        pytest.param(HOUR, "kill", True, id="killed inside"),
        pytest.param(HOUR, "elsewhere", False, id="another agent"),
        pytest.param(HOUR, "all", False, id="everything killed says nothing of this agent"),
        pytest.param(0, "security", False, id="no window"),
        pytest.param(-HOUR, "kill", False, id="the window is over"),
    ],
)
async def test_a_stop_inside_the_observation_window_is_a_relapse(modes, window, act, relapse) -> None:
    """After a loosening the agent is observed; a kill of it meanwhile counts as a cause of security, whoever gave it."""
    await modes.set_mode("a", "paused", "alice", "x")
    stored = await modes.set_mode("a", "active", "bob", "y", Terms(observe_ns=window))
    assert (stored.observed_until_ns > 0) == (window != 0)
    match act:
        case "mode" | "security":
            security = act == "security"
            assert (await modes.set_mode("a", "recommend_only", "alice", "again", Terms(security=security))).security == security
        case "elsewhere":
            assert not (await modes.kill("agent:b", "alice", "again")).security
        case _:
            assert (await modes.kill("agent:a" if act == "kill" else "all", "alice", "again")).security == relapse
    assert modes.changes(2)[0].relapse == relapse


async def test_a_stop_since_is_found_lifted_or_not(modes) -> None:
    """What was approved before it does not go out, also when it is over by then; what came after it does."""
    before = SystemClock().now_ns()
    kill = await modes.kill("upstream:cms", "alice", "x")
    await modes.unkill(kill.id, "bob", "y")
    await modes.set_mode("a", "recommend_only", "alice", "x")
    after = SystemClock().now_ns() + 1
    covering = scopes("a", "newsletter", "cms", Stage.EXPORT)
    assert modes.stop(upstream="cms") is None
    found = modes.stopped_since(before, covering)
    assert found is not None
    assert found.subject == kill.id
    assert modes.stopped_since(before, scopes("a", "newsletter", "crm", Stage.EXPORT)) is None
    assert modes.stopped_since(after, covering) is None


async def test_a_stop_that_cannot_be_written_holds_in_memory_and_says_so(modes, path) -> None:
    """Kills and tighter modes; a looser one is refused and changes nothing; once there is room they are written, each once."""
    paused = await modes.set_mode("b", "paused", "alice", "x")
    before = path.read_bytes()
    beside = path.with_name("stops.json.new")
    beside.mkdir()  # the new file cannot be made, whoever asks: a test may run as root
    for act in (lambda: modes.kill("upstream:cms", "alice", "x"), lambda: modes.set_mode("a", "recommend_only", "alice", "x")):
        with pytest.raises(NotDurable, match="holds in this process"):
            await act()
    with pytest.raises(CannotTell, match="cannot be written"):
        await modes.set_mode("b", "active", "bob", "y")
    assert modes.stop(upstream="cms") is not None
    assert modes.mode_of("a", "active") == "recommend_only"
    assert modes.stored("b") == paused
    assert path.read_bytes() == before
    with pytest.raises(CannotTell):
        await modes.write_again()
    beside.rmdir()
    assert await modes.write_again()
    assert modes.unwritten == ()
    again = Modes(path, SystemClock())
    again.open()
    assert ([kill.scope for kill in again.kills()], again.mode_of("a", "active"), again.epoch) == (["upstream:cms"], "recommend_only", 3)
    assert not await modes.write_again()


def test_before_open_nothing_goes_on(path) -> None:
    """A stop file that was never begun is not an empty one."""
    with pytest.raises(CannotTell):
        Modes(path, SystemClock()).stop()


async def test_the_file_is_ours_alone(modes, path) -> None:
    """0600, in a directory 0700, nothing left beside it but lock and tick."""
    await modes.kill("all", "alice", "x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["stops.json", "stops.json.lock", "stops.json.tick"]


async def test_kills_survive_a_restart(modes, path) -> None:
    """What was durable is in force again."""
    kill = await modes.kill("upstream:cms", "alice", "x")
    await modes.set_mode("drafter-7", "paused", "bob", "y")
    again = Modes(path, SystemClock())
    again.open()
    assert again.kills() == (kill,)
    stored = again.stored("drafter-7")
    assert stored is not None
    assert (stored.mode, stored.by, stored.reason) == ("paused", "bob", "y")
    assert again.epoch == 2


async def test_a_left_over_half_written_file_does_no_harm(modes, path) -> None:
    """A crash between writing beside and renaming: the old file is in force, and the next act goes through."""
    path.with_name("stops.json.new").write_bytes(b'{"version":1,"ki')
    assert modes.stop() is None
    await modes.kill("all", "alice", "x")
    assert modes.stop() is not None


async def test_every_act_can_be_recorded_once_by_whoever_sees_it(modes) -> None:
    """Acts have entry ids and epochs: a server finds out what was done behind its back."""
    kill = await modes.kill("agent:a", "alice", "one")
    await modes.set_mode("b", "paused", "bob", "two")
    await modes.unkill(kill.id, "carol", "three")
    assert [(c.epoch, c.act, c.subject, c.scope, c.mode, c.by, c.reason) for c in modes.changes(0)] == [
        (1, "kill", kill.id, "agent:a", "", "alice", "one"),
        (2, "mode", "b", "agent:b", "paused", "bob", "two"),
        (3, "unkill", kill.id, "agent:a", "", "carol", "three"),
    ]
    assert [c.epoch for c in modes.changes(2)] == [3]
    assert len({c.id for c in modes.changes(0)}) == 3


async def test_the_acts_kept_are_bounded(modes) -> None:
    """The file does not grow for ever; kills in force are never dropped."""
    for _ in range(110):
        kill = await modes.kill("agent:a", "a", "b")
        await modes.unkill(kill.id, "a", "b")
    assert len(modes.changes(0)) == 200
    assert modes.epoch == 220


CHILD = """
import asyncio, sys
from pathlib import Path
from stagewarden.clock import SystemClock
from stagewarden.modes import Modes
modes = Modes(Path(sys.argv[1]), SystemClock())
modes.open()
async def main():
    for n in range(15):
        await modes.kill(f"agent:{sys.argv[2]}-{n}", "a", "b")
asyncio.run(main())
"""


async def test_writers_in_several_processes_lose_nothing(modes, path) -> None:
    """Three processes and this one, all at once: every kill is in force."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    children = [await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, str(path), f"child{n}", env=environment) for n in range(3)]
    await asyncio.gather(*(modes.kill(f"agent:here-{n}", "a", "b") for n in range(15)))
    for child in children:
        assert await child.wait() == 0
    assert len(modes.kills()) == 60
    assert modes.epoch == 60
    assert all(modes.stop(agent=f"{who}-{n}") for who in ("here", "child0", "child1", "child2") for n in range(15))


acts = st.lists(st.one_of(
    st.tuples(st.just("kill"), st.sampled_from(["all", "agent:a", "agent:b", "stage:export"])),
    st.tuples(st.just("unkill"), st.integers(0, 3)),
    st.tuples(st.just("mode"), st.tuples(st.sampled_from("ab"), st.sampled_from(MODES))),
), max_size=8)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(acts)
def test_any_sequence_of_acts_leaves_what_it_says(tmp_path_factory, sequence) -> None:
    """Against a model: kills stand until lifted, modes are the last given, revoked stays, and a fresh reader agrees."""
    path = tmp_path_factory.mktemp("stops") / "stops.json"
    modes = Modes(path, SystemClock())
    modes.open()
    kills: list[tuple[str, str]] = []
    given_modes: dict[str, str] = {}

    async def play() -> None:
        for act, what in sequence:
            if act == "kill":
                kills.append(((await modes.kill(what, "x", "y")).id, what))
            elif act == "unkill" and kills:
                await modes.unkill(kills.pop(what % len(kills))[0], "x", "y")
            elif act == "mode":
                agent, mode = what
                if given_modes.get(agent) == "revoked" and mode != "revoked":
                    with pytest.raises(Conflict):
                        await modes.set_mode(agent, mode, "x", "y")
                else:
                    given_modes[agent] = (await modes.set_mode(agent, mode, "x", "y")).mode

    asyncio.run(play())
    fresh = Modes(path, SystemClock())
    fresh.open()
    scopes = {scope for _, scope in kills}
    for agent in "ab":
        expected = bool({"all", f"agent:{agent}"} & scopes) or given_modes.get(agent, "active") in STOPPING
        assert (fresh.stop(agent=agent) is not None) == expected
        assert fresh.mode_of(agent, "active") == given_modes.get(agent, "active")
    assert msgspec.json.decode(path.read_bytes())["epoch"] == fresh.epoch


async def test_what_root_writes_belongs_to_the_folders_owner(modes, path) -> None:
    """`sudo stagewarden kill` must not leave a file that the sidecar's user cannot read."""
    owner = 12345 if os.geteuid() == 0 else os.geteuid()
    os.chown(path.parent, owner, -1)
    terminal = Modes(path, SystemClock())
    terminal.open()
    await terminal.kill("all", "root", "stop")
    assert {file.stat().st_uid for file in path.parent.iterdir()} == {owner}
