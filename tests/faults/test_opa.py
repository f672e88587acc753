"""Every fault of an OPA server, over TCP and a unix socket: a whole verdict counts, all else is a no in time, and the next question passes.

Replies that are well-framed nonsense are tests/conformance/opa-replies; a real OPA that is killed or frozen under load is tests/e2e/test_opa_gone.py.
"""

import asyncio
import json
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.doors import becomes, code_of, doors
from tests.faults.table import GONE, OPA
from tests.toxics import SILENCE, Poisoned
from tests.upstreams import answer

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEADLINE = 0.5  # seconds, of the policy
CROWD = 40
ALLOW = {"effect": "allow", "tier": "low", "cacheable": False, "reasons": [], "seats": [], "obligations": {}}
JSON = "Content-Type: application/json"


class Opinions:
    """Says yes to every question, and takes a registry as OPA does."""

    def __init__(self):
        self.revision = ""

    def __call__(self, request):
        """The good answer to one request."""
        if request.method == "PUT":
            self.revision = json.loads(request.body)["revision"]
            return answer(b"", "204 No Content").replace(b"Content-Length: 0\r\n", b"")
        if request.target.startswith("/v1/data/registry"):
            return answer(json.dumps({"result": self.revision}).encode(), "200 OK", JSON)
        if request.target.startswith("/health"):
            return answer(b"{}", "200 OK", JSON)
        return answer(json.dumps({"result": ALLOW}).encode(), "200 OK", JSON)


def is_question(received):
    """Not health, not the registry."""
    return received.target.startswith("/v1/data/stagewarden")


@asynccontextmanager
async def judged_by(folder, path):
    """The product, and the OPA that judges."""
    async with Poisoned(Opinions(), path=path) as opa, doors(folder, engine_at(opa.url)) as there:
        yield there, opa


def engine_at(url):
    """The engine's settings."""
    return f"{{engine: opa, deadline: {DEADLINE * 1000:.0f}ms, opa: {{url: '{url}'}}}}"


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["TCP", "unix"])
async def house(request, tmp_path_factory):
    """One product for all rows of one way to reach OPA."""
    # A socket's path has at most some hundred bytes.
    short = Path(tempfile.mkdtemp())
    try:
        async with judged_by(tmp_path_factory.mktemp("opinions") / "house", short / "opa" if request.param == "unix" else None) as made:
            yield made
    finally:
        shutil.rmtree(short)


@pytest_asyncio.fixture(loop_scope="module")
async def there(house):
    """Both are well, and OPA has no connection of an earlier row."""
    made, opa = house
    opa.heal()
    await opa.leave()
    await opa.come_back()
    made.upstream.requests.clear()
    return made, opa


@pytest.mark.parametrize("opinion", OPA, ids=[each.toxic.name for each in OPA])
async def test_a_verdict_is_whole_or_a_no(there, opinion):
    """503 `cannot_tell`, a recorded deny, nothing at the upstream; then OPA is well, and the next request passes."""
    doors, opa = there
    assert (await doors.write()).status == 200  # a connection is there
    doors.upstream.requests.clear()
    opa.poison(opinion.toxic, is_question)
    if opinion.toxic is GONE or opinion.toxic.connected is not None:
        await opa.leave()  # and the old connection with it
    if opinion.toxic.connected is not None:
        await opa.come_back()
    told = await doors.write()
    if opinion.counts:
        await opa.rest()
    opa.heal()
    (entry,) = doors.entries("ruling", ruling=told.headers["Stagewarden-Ruling"])
    if opinion.counts:
        assert (told.status, entry["effect"], len(doors.upstream.requests)) == (200, "allow", 1)
    else:
        assert (told.status, code_of(told), entry["effect"]) == (503, "cannot_tell", "deny")
        assert [reason["detail"] for reason in entry["reasons"]] == [{"cause": "PolicyUnavailable"}]
        assert doors.upstream.requests == []
    if opinion.toxic is GONE:
        await opa.come_back()
    arrived = len(doors.upstream.requests)
    assert (await doors.write()).status == 200
    assert len(doors.upstream.requests) == arrived + 1


async def test_nobody_queues_behind_a_silent_opa(there):
    """A crowd that asks at once is answered as fast as one: each waits for its own deadline, not for another's. Nothing arrives upstream."""
    doors, opa = there
    opa.poison(SILENCE, is_question)
    async with asyncio.timeout(CROWD * DEADLINE / 4):
        told = await asyncio.gather(*(doors.write() for _ in range(CROWD)))
    assert {(each.status, code_of(each)) for each in told} == {(503, "cannot_tell")}
    assert {each.headers["Retry-After"] for each in told} == {"1"}
    assert doors.upstream.requests == []
    # The breaker is open: OPA is left in peace, whatever is asked.
    asked = len(opa.requests)
    assert code_of(await doors.write()) == "cannot_tell"
    assert len(opa.requests) == asked
    opa.heal()
    await becomes(lambda: status(doors), 200)
    assert len(doors.upstream.requests) == 1


async def status(doors):
    """Of the answer to a draft."""
    return (await doors.write()).status
