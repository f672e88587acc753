"""What a held request's thing is called: read strictly, kept sealed, given only when asked for by name, gone with the payload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select, update

from stagewarden.holds.paging import Filter
from stagewarden.holds.titles import LONGEST, title
from stagewarden.store.tables import holds as table
from stagewarden.store.tables import titles
from tests.unit.holds.bench import ballot, new_hold, request
from tests.unit.holds.test_at_rest import CANARY, found

if TYPE_CHECKING:
    from stagewarden.model import Document
    from tests.unit.holds.bench import Bench

FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
PARTS = (("Content-Type", "multipart/form-data; boundary=B"),)
DRAFT = b'{"title": {"raw": "Draft", "rendered": "<b>Draft</b>"}}'


def asked(body: object = None) -> Document:
    """A question that describes this body."""
    return {"request": {"body": body}}


@pytest.mark.parametrize(
    ("sent", "before", "question", "called"),
    [
        pytest.param(request(b'{"title": " Winter "}'), None, {}, "Winter", id="the request's own words"),
        pytest.param(request(b'{"text": "b", "subject": "a"}'), None, {}, "a", id="the better name first"),
        pytest.param(request(b'{"title": {"rendered": "B", "raw": "A"}}'), None, {}, "A", id="as it was written"),
        pytest.param(request(b'{"settings": {"subject_line": "A"}}'), None, {}, "A", id="inside an object"),
        pytest.param(request(b'{"title.raw": "A"}'), None, {}, None, id="a name with a dot is no path"),
        pytest.param(request(b'{"title": 5, "name": ["x"], "message": ""}'), None, {}, None, id="no text"),
        pytest.param(request(b'{"title": "A", "title": "B"}'), None, {}, None, id="a name twice"),
        pytest.param(request(b'{"title": "A", "title": "B"}'), DRAFT, {}, "Draft", id="a name twice, and an asset"),
        pytest.param(request(b"{}"), DRAFT, {}, "Draft", id="the asset's"),
        pytest.param(request(b""), DRAFT, {}, "Draft", id="the asset's, of a request without a body"),
        pytest.param(request(b'{"title": "New"}'), DRAFT, {}, "New", id="the request's before the asset's"),
        pytest.param(request(b""), b"\xff not JSON", {}, None, id="an asset that cannot be read"),
        pytest.param(request(b""), b'["title"]', {}, None, id="an asset that is a list"),
        pytest.param(request(b'"title"'), None, {}, None, id="a body that is a text"),
        pytest.param(request(b"title=Winter+hours", headers=FORM), None, {}, "Winter hours", id="a form"),
        pytest.param(request(b"title=A&title=B", headers=FORM), None, {}, None, id="a form that names it twice"),
        pytest.param(request(b"--B--", headers=PARTS), None, asked({"fields": {"title": "Winter"}, "parts": []}), "Winter", id="a form in parts"),
        pytest.param(request(b"--B--", headers=PARTS), None, asked({"title": "x", "fields": {}}), None, id="what is no field of it"),
        pytest.param(request(b'{"title": "sent"}'), None, asked({"title": "judged"}), "judged", id="as it was described to the policy"),
        pytest.param(request(b'{"title": "A", "x": "' + b"x" * (1 << 20) + b'"}'), None, {}, None, id="too large to be read for this"),
    ],
)  # fmt: skip
def test_the_usual_names(sent, before, question, called) -> None:
    """The first that holds a text, in the request, else in the asset; nothing where two readers could differ."""
    assert title(sent, before, question) == called


async def called(bench: Bench, *ids: str) -> dict[str, str]:
    """As a list asks for them."""
    async with bench.holds.glance() as glance:
        return await glance.titles(ids)


async def test_each_hold_has_its_own(bench) -> None:
    """Only of those that were named; none where there is none; at most so long."""
    long = json.dumps({"title": "é" * 1000}).encode()
    plain, cut, bare = [(await bench.pending(sent=request(body))).id for body in (b'{"title": "A"}', long, b'{"x": 1}')]
    assert await called(bench, plain, cut, bare) == {plain: "A", cut: "é" * (LONGEST - 1) + "…"}
    assert (await called(bench, cut)).keys() == {cut}
    assert await called(bench) == {}


async def test_no_list_reads_it_unasked(bench) -> None:
    """A hold read for a list, an entry of the log, and what another process is told have nothing of it."""
    await bench.pending(sent=request(b'{"title": "' + CANARY + b'"}'))
    page, _ = await bench.holds.list(Filter())
    assert CANARY.decode() not in repr((page, await bench.log()))


async def test_no_plain_byte_of_it_is_stored(bench, tmp_path) -> None:
    """It is sealed like the body it was read from."""
    hold = await bench.pending(sent=request(b'{"title": "' + CANARY + b'"}'))
    assert await called(bench, hold.id) == {hold.id: CANARY.decode()}
    assert found(tmp_path) == set()


async def test_an_edit_and_a_successor_have_their_own(bench) -> None:
    """What an edit calls the thing stands in its own hold's row, and the ended one keeps what was asked."""
    hold = await bench.pending(sent=request(b'{"title": "Before"}'))
    after = new_hold(request(b'{"title": "After"}'), predecessor=hold.id, editor="rita", original=b'{"title": "Before"}')
    edited = (await bench.holds.edit(hold.id, ballot(hold), after, bench.registry)).hold
    assert await called(bench, hold.id, edited.id) == {hold.id: "Before", edited.id: "After"}
    successor = (await bench.holds.supersede(edited.id, (), replace(after, predecessor=edited.id))).hold.successor
    assert await called(bench, successor) == {successor: "After"}


async def test_it_is_deleted_with_the_payload(bench) -> None:
    """After `holds.replay` there is no row of it, not even sealed."""
    hold = await bench.pending(sent=request(b'{"title": "A"}'))
    kept = await bench.pending(sent=request(b'{"title": "B"}'))
    await bench.holds.withdraw(hold.id, "drafter")
    bench.clock.advance(40 * 86400)
    await bench.force(kept, expires_at_ns=bench.clock.now_ns() + 1)
    assert await bench.holds.purge() == 1
    assert await called(bench, hold.id, kept.id) == {kept.id: "B"}
    async with bench.store.reading() as connection:
        assert (await connection.scalars(select(titles.c.hold))).all() == [kept.id]


@pytest.mark.parametrize("damage", ["changed", "another hold's", "without its key"])
async def test_a_damaged_one_is_left_out(bench, damage) -> None:
    """No title stands in for another, and the list goes on without it."""
    hold, other = [await bench.pending(sent=request(b'{"title": "%d"}' % number)) for number in (1, 2)]
    async with bench.store.writing() as connection:
        sealed = {row.hold: row.sealed for row in await connection.execute(select(titles))}
        wrong = sealed[other.id] if damage == "another hold's" else sealed[hold.id][:-1] + bytes([sealed[hold.id][-1] ^ 1])
        if damage == "without its key":
            await connection.execute(update(table).where(table.c.id == hold.id).values(data_key=None))
        else:
            await connection.execute(update(titles).where(titles.c.hold == hold.id).values(sealed=wrong))
    assert await called(bench, hold.id, other.id) == {other.id: "2"}


async def test_nothing_refused_leaves_one(bench) -> None:
    """A request that would be a second hold of the same stores no second title."""
    new = new_hold(request(b'{"title": "A"}'))
    first, second = (await bench.holds.open(new)).hold, (await bench.holds.open(new)).hold
    async with bench.store.reading() as connection:
        assert (first.id, await connection.scalar(select(func.count()).select_from(titles))) == (second.id, 1)
