"""A log or a state database that cannot be written: by limits of the system on a process of its own, and by a disk that fails where it is told.

What the log does by itself is tests/unit/audit/test_log.py; a locked database is tests/unit/gate/test_walks.py.
"""

import asyncio
import errno
import resource
import sqlite3
from contextlib import closing, contextmanager

import pytest

from tests.e2e.articles import Articles, draft
from tests.e2e.processes import serving, until
from tests.faults.doors import becomes, code_of, doors, started
from tests.product import house, rulings
from tests.product import until as eventually
from tests.toxics import Poisoned
from tests.unit.audit.parts import TroubledDisk

WRITE = {"json": {"title": "t"}}


@contextmanager
def files_end_at(process, size):
    """No file of that process grows beyond so many bytes, as on a full disk; then the limit is lifted."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


def ballot(shown):
    """A yes to what was shown. Showing is recorded too, so it has to be asked for while the log works."""
    questions = dict.fromkeys(shown["questions"], True)
    return {"decision": "approve", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"], "answers": questions}


def rename(database, old, new):
    """One table gets another name, behind the sidecar's back."""
    with closing(sqlite3.connect(database, timeout=30)) as other:
        other.execute(f"ALTER TABLE {old} RENAME TO {new}")
        other.commit()


async def refusal(there):
    """Why a draft is refused."""
    return code_of(await there.write())


def problem(reply):
    """The code of a problem."""
    return reply.json["type"].removeprefix("urn:stagewarden:problem:")


@pytest.fixture
async def upstream():
    """The counting upstream."""
    async with Articles() as running:
        yield running


async def test_a_full_disk_stops_everything_until_there_is_room(upstream, tmp_path):
    """Not one file may grow: reads and writes are 503 `audit_unavailable` and nothing arrives; the process lives, and comes back by itself."""

    def play(sidecar):
        assert sidecar.ask("POST", "/newsroom/articles", **WRITE).status == 200
        hold = sidecar.ask("POST", "/newsroom/articles/1/publish").json["hold"]["id"]
        yes = ballot(sidecar.hold(hold, "ines"))
        arrived = len(upstream.requests)
        with files_end_at(sidecar.process, 1):
            for method, path, content in (("GET", "/newsroom/articles", {}), ("POST", "/newsroom/articles", WRITE)):
                reply = sidecar.ask(method, path, **content)
                assert (reply.status, problem(reply), reply.headers["Retry-After"]) == (503, "audit_unavailable", "1")
            assert problem(sidecar.ask("POST", "/newsroom/articles/2/publish")) in {"cannot_tell", "audit_unavailable"}
            assert sidecar.person("POST", f"/holds/{hold}/votes", "ines", yes).status == 503
            assert sidecar.operations("/readyz").status == 503
            assert sidecar.operations("/livez").status == 200
            assert [each.method for each in upstream.requests[arrived:]] in ([], ["GET"])  # the look-up, which changes nothing
        until(lambda: sidecar.ask("POST", "/newsroom/articles", **WRITE).status == 200, "room on the disk")
        # Its vote was not counted, and now it is.
        assert sidecar.hold(hold, "ines")["votes"] == []
        assert sidecar.vote(hold, "ines", "reviewer").status == 200
        assert sidecar.settled(hold, "ines")["state"] == "done"

    made = house(tmp_path, upstream.url)
    with serving(made) as sidecar:
        await asyncio.to_thread(play, sidecar)
    assert upstream.publishes() == {"1": 1}
    refused = [entry for entry in rulings(tmp_path) if entry["kind"] == "ruling" and entry["effect"] == "allow"]
    assert len(refused) == len([each for each in upstream.writes() if not each.target.endswith("/publish")])


async def test_state_that_cannot_be_written_holds_nothing_and_drafting_goes_on(upstream, tmp_path):
    """The database's files may not grow while the log may: what needs people is 503, what needs nobody passes; then holds are opened again."""

    def play(sidecar):
        hold = sidecar.ask("POST", "/newsroom/articles/1/publish").json["hold"]["id"]
        # Write until the journal is far larger than the log's segment will be.
        for number in range(2, 12):
            sidecar.ask("POST", f"/newsroom/articles/{number}/publish")
        journal = (tmp_path / "state.db-wal").stat().st_size
        log = sum(path.stat().st_size for path in (tmp_path / "audit").glob("*.jsonl"))
        assert journal > 2 * log
        with files_end_at(sidecar.process, journal):
            reply = sidecar.ask("POST", "/newsroom/articles/98/publish")
            assert (reply.status, problem(reply)) == (503, "cannot_tell")
            assert sidecar.vote(hold, "ines", "reviewer").status == 503
            assert sidecar.ask("POST", "/newsroom/articles", **WRITE).status == 200
            assert sidecar.ask("GET", "/newsroom/articles").status == 200
        assert problem(sidecar.ask("POST", "/newsroom/articles/98/publish")) == "held"
        assert sidecar.hold(hold, "ines")["votes"] == []
        assert sidecar.vote(hold, "ines", "reviewer").status == 200
        assert sidecar.settled(hold, "ines")["state"] == "done"

    with serving(house(tmp_path, upstream.url)) as sidecar:
        await asyncio.to_thread(play, sidecar)
    assert upstream.publishes() == {"1": 1}


async def test_state_that_is_gone_holds_nothing_and_drafting_goes_on(tmp_path):
    """The tables are not there: held requests and votes are 503, reads and drafts pass; they are there again, and so are the holds."""
    async with doors(tmp_path / "house") as there:
        article, hold = await there.held()
        database = there.product.house.folder / "state.db"
        await asyncio.to_thread(rename, database, "holds", "away")
        told = await there.publish(article)
        assert (told.status, code_of(told)) == (503, "cannot_tell")
        assert (await there.product.person("GET", f"/holds/{hold}", "ines")).status == 503
        assert (await there.read()).status == 200
        assert (await there.write()).status == 200
        # Allowed, and a write: that nothing of it waits or was sent already has to be known.
        brief = await there.product.ask("POST", "/intranet/articles/5/publish", "poster")
        assert (brief.status, problem(brief), there.publishes("5")) == (503, "cannot_tell", 0)
        await asyncio.to_thread(rename, database, "away", "holds")
        assert ((await there.product.ask("POST", "/intranet/articles/5/publish", "poster")).status, there.publishes("5")) == (200, 1)
        assert code_of(await there.publish(article)) == "held"
        assert (await there.product.vote(hold, "ines", "reviewer")).status == 200
        assert await there.product.ended(hold) == "done"
        assert there.publishes(article) == 1


@pytest.mark.parametrize(
    "trouble", [{"write_error": errno.ENOSPC}, {"write_error": errno.ENOSPC, "takes": 7}, {"sync_error": errno.EIO}],
    ids=["ENOSPC", "ENOSPC in a line", "EIO at sync"],
)  # fmt: skip
async def test_no_log_no_act(tmp_path, trouble):
    """Nothing is sent and nobody is told yes while the log cannot be written; a stop holds all the same, and is recorded afterwards."""
    async with doors(tmp_path / "house") as there:
        article, hold = await there.held()
        _, other = await there.held()
        yes = ballot((await there.product.person("GET", f"/holds/{hold}", "ines")).json)
        await there.write()
        there.upstream.requests.clear()
        tail = there.product.sidecar.rooms.log._tail
        good, tail._disk = tail._disk, TroubledDisk(**trouble)
        for ask in (there.read, there.write, lambda: there.publish("new")):
            told = await ask()
            assert (told.status, code_of(told)) == (503, "audit_unavailable")
        assert (await there.product.person("POST", f"/holds/{hold}/votes", "ines", yes)).status == 503
        assert (await there.product.ask("POST", f"/.stagewarden/holds/{other}/withdraw")).status == 503
        stop = {"scope": "upstream:newsroom", "reason": "the log is down"}
        told = await there.product.person("PUT", "/kill", "lena", stop)
        assert (told.status, len(told.json["owed"])) == (200, 1)  # in force at once; what the log does not know yet is said
        assert [kill.scope for kill in there.product.sidecar.rooms.modes.kills()] == ["upstream:newsroom"]
        assert {each.method for each in there.upstream.requests} <= {"GET"}  # the look-up, which changes nothing
        tail._disk = good
        await becomes(lambda: refusal(there), "killed")
        (entry,) = await eventually(lambda: there.entries("kill", scope="upstream:newsroom"))
        assert (entry["act"], entry["by"]) == ("kill", "lena")
        assert there.publishes(article) == 0


async def test_a_vote_that_could_not_be_recorded_sends_nothing(tmp_path):
    """It stands in the database and not in the log: nothing is sent on it. Once it is in the log it counts, and its entry comes before the send."""
    async with Poisoned(draft) as upstream:
        made = house(tmp_path / "house", upstream.url)
        async with started(made, upstream) as there:
            article, hold = await there.held()
            yes = ballot((await there.product.person("GET", f"/holds/{hold}", "ines")).json)
            there.product.sidecar.rooms.log._tail._disk = TroubledDisk(sync_error=errno.EIO)
            assert (await there.product.person("POST", f"/holds/{hold}/votes", "ines", yes)).status == 503
            assert (await there.product.sidecar.rooms.holds.get(hold)).state == "approved"
            assert await there.product.sidecar.rooms.holds.due() == ()
        assert there.publishes(article) == 0
        async with started(made, upstream) as there:
            assert await there.product.ended(hold) == "done"
            assert there.publishes(article) == 1
            (vote,), (release,) = there.entries("vote", hold=hold), there.entries("release", hold=hold)
            assert vote["seq"] < release["seq"]
