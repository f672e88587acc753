"""A PostgreSQL that cannot write, does not answer, or is not there: what needs people is 503 and nothing arrives; reads and drafts go on.

How a fleet meets it is tests/e2e/test_fleet.py. A database without room is not played: no limit of the system takes room from its tables alone.
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.databases import Cluster
from tests.e2e.articles import draft
from tests.faults.doors import becomes, code_of, impatient, started
from tests.needs import needs
from tests.product import house
from tests.toxics import Poisoned

NOBODY_ELSE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


@pytest.fixture(scope="module")
def server():
    """A cluster of its own: it is stopped and frozen here."""
    needs("postgresql")
    own = Cluster(auth="trust")
    yield own
    own.close()


@asynccontextmanager
async def gone(server, name):
    """Its machine fails; it starts again."""
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def refusing(server, name):
    """It lets nobody in."""
    await run(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", NOBODY_ELSE.format(name=name))
    yield
    await run(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@asynccontextmanager
async def read_only(server, name):
    """A standby, or made read-only by its administrator."""
    await run(server, f"ALTER DATABASE {name} SET default_transaction_read_only = on", NOBODY_ELSE.format(name=name))
    yield
    await run(server, f"ALTER DATABASE {name} RESET default_transaction_read_only", NOBODY_ELSE.format(name=name))


@asynccontextmanager
async def locked(server, name):
    """Somebody else has the table, as a migration by hand would."""
    other = await server.connect(name)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("LOCK TABLE holds IN ACCESS EXCLUSIVE MODE")
    yield
    await transaction.rollback()
    await other.close()


@asynccontextmanager
async def changed(server, name):
    """A table is not there any more."""
    await run(server, "ALTER TABLE holds RENAME TO elsewhere", database=name)
    yield
    await run(server, "ALTER TABLE elsewhere RENAME TO holds", database=name)


@asynccontextmanager
async def frozen(server, name):
    """It keeps its connections, and answers nothing."""
    pids = processes(server)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def processes(server):
    """The server and everything it has started."""
    found = [server.pid()]
    for pid in found:
        found += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found


async def run(server, *statements, database="postgres"):
    """Beside the product."""
    await asyncio.to_thread(server.run, database, *statements)


FAULTS = {"gone": gone, "refusing": refusing, "read-only": read_only, "locked": locked, "changed": changed, "frozen": frozen}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_postgresql_that_fails_holds_nothing_and_drafting_goes_on(server, tmp_path, fault):
    """Told 503 in time, nothing arrives, no vote is told to have counted; it comes back by itself, and what people approve is sent once."""
    name = server.database()
    async with Poisoned(draft) as upstream:
        made = house(tmp_path / "house", upstream.url, **{"state: sqlite:state.db": f"state: {server.state(name)}"})
        impatient(made.config, 10)
        async with started(made, upstream) as there:
            article, hold = await there.held()
            shown = (await there.product.person("GET", f"/holds/{hold}", "ines")).json
            yes = {
                "decision": "approve", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"],
                "answers": dict.fromkeys(shown["questions"], True),
            }  # fmt: skip
            upstream.requests.clear()
            async with fault(server, name):
                refused, drafted, read = await asyncio.gather(there.publish("other"), there.write(), there.read())
                assert (refused.status, code_of(refused)) == (503, "cannot_tell")
                assert (drafted.status, read.status) == (200, 200)
                assert (await there.product.person("POST", f"/holds/{hold}/votes", "ines", yes)).status == 503
                ready = await there.product.operations("/readyz")
                if fault not in {locked, changed}:  # of the whole database, not of one table
                    assert ready.status == 503
                    assert server.state(name) not in ready.body.decode()
                assert [each.method for each in upstream.requests if each.target.endswith("/publish")] == []

            async def publishing():
                return code_of(await there.publish("other"))

            await becomes(publishing, "held")
            reply = await there.product.person("GET", f"/holds/{hold}", "ines")
            assert reply.status == 200, reply
            stands = reply.json
            assert (stands["state"], stands["votes"]) == ("pending", [])
            assert (await there.product.vote(hold, "ines", "reviewer")).status == 200
            assert await there.product.ended(hold) == "done"
            assert there.publishes(article) == 1
    server.drop(name)
