"""The people's API against its own OpenAPI document: requests made from the document, to a real house with holds in it.

Schemathesis makes the requests and judges the answers: no 5xx, no status, content type or member that the document does not name, and
no request the document forbids is accepted. By a person, by a program and by nobody; the same requests in every run.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stagewarden.web.people.api import Api
from stagewarden.web.people.routes import DOCUMENT as ONE
from stagewarden.web.people.routes import PREFIX
from tests.product import product
from tests.scenarios.test_grants import FILL, GRANTED

if TYPE_CHECKING:
    from pathlib import Path

    from schemathesis.schemas import APIOperation

    from tests.product import Product

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
    negative_data_rejection,
]  # fmt: skip
EXAMPLES = 8  # of each operation, mode and caller
OPEN_SHAPES = {"Ruling", "Problem"}  # entries of the log and problems may have more members than are named
ROUTES = [route for route in Api.__new__(Api).table() if route.media == ONE]  # a stream has no end; its tests are beside its source


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with every answer's shape closed: a member nobody named is found."""
    closed = copy.deepcopy(document)
    for name, schema in closed["components"]["schemas"].items():
        if name not in OPEN_SHAPES and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return closed


async def held(running: Product, count: int) -> list[str]:
    """So many holds that wait for people, of different bytes."""
    ids = []
    for number in range(count):
        article = f"{900 + number}"
        running.newsroom.articles[article] = {"id": article, "status": "draft", "title": f"Title {number}", "body": "", "offers": [], "claims": []}
        answer = await running.ask("POST", f"/newsroom/articles/{article}/publish")
        ids.append(answer.json["hold"]["id"])
    return ids


class Caller:
    """One caller with its token, and what there is in the house to ask about."""

    def __init__(self, running: Product, who: str | None, known: list[str], shown: dict[str, dict[str, Any]]) -> None:
        host, port = running.sidecar.people_address or ("", 0)
        token = who and running.house.tokens[who]
        self.url = f"http://{host}:{port}{PREFIX}"
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.known = known
        self.shown = shown
        self.statuses: set[tuple[str, int]] = set()

    def ask(self, document: dict[str, Any], paths: set[str]) -> None:
        """Every operation of these paths, as the document wants it and as it forbids it."""
        asked = strict(document) | {"paths": {path: each for path, each in document["paths"].items() if path in paths}}
        for found in schemathesis.openapi.from_dict(asked).get_all_operations():
            for mode in GenerationMode:
                self._operation(found.ok(), mode)

    def _operation(self, operation: APIOperation, mode: GenerationMode) -> None:
        @settings(
            max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[*HealthCheck],
        )  # fmt: skip
        @given(st.data())
        def every(data: st.DataObject) -> None:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            if mode.is_positive and case.path_parameters and data.draw(st.booleans()):
                case.path_parameters["id"] = data.draw(st.sampled_from(self.known))
                self._as_shown(case)
            if mode.is_positive and operation.label == "POST /grants" and data.draw(st.booleans()):
                case.body |= FILL
            answer = case.call(base_url=self.url, headers=self.headers)
            self.statuses.add((operation.label, answer.status_code))
            case.validate_response(answer, checks=CHECKS)

        every()

    def _as_shown(self, case: schemathesis.Case) -> None:
        """A vote on what was shown gets past the digests."""
        shown = self.shown.get(str(case.path_parameters["id"]), {})
        if isinstance(case.body, dict):
            case.body |= {name: shown[name] for name in case.body.keys() & shown.keys() & {"digest", "view_digest"}}


@pytest.mark.parametrize("who", ["lena", "rita", "program", None], ids=["security", "reviewer", "program", "nobody"])
async def test_the_answers_are_as_the_document_says(tmp_path: Path, who: str | None) -> None:
    """Whoever asks whatever; afterwards the house is as able as before."""
    async with product(tmp_path) as running:
        ids = await held(running, 6)
        shown = {one: (await running.person("GET", f"/holds/{one}", "lena")).json for one in ids}
        ruling = (await running.person("GET", "/rulings?limit=1", "lena")).json["items"][0]["ruling"]
        document = (await running.person("GET", "/openapi.json", "program")).json
        caller = Caller(running, who, [*ids, ruling, "drafter", "reader"], shown)
        await asyncio.to_thread(caller.ask, document, {route.path for route in ROUTES})
        assert {label for label, _ in caller.statuses} == {f"{route.method} {route.path}" for route in ROUTES}
        told = {status for label, status in caller.statuses if label not in {"POST /sessions", "POST /terminals"}}
        assert told == {401} if who is None else {200, 404, 422} <= told
        assert (await running.person("GET", "/me", "lena")).status == 200


@pytest.mark.parametrize("who", ["tomas", "lena", "program"], ids=["who-asks", "security", "program"])
async def test_grants_are_as_the_document_says(tmp_path: Path, who: str) -> None:
    """Asked for, voted on, ended and listed, in a house whose people give some."""
    async with product(tmp_path, source=GRANTED) as running:
        made = [(await running.person("POST", "/grants", "tomas", FILL | {"evidence": f"CRM-{number}"})).json for number in range(6)]
        document = (await running.person("GET", "/openapi.json", "program")).json
        caller = Caller(running, who, [grant["id"] for grant in made], {grant["id"]: grant for grant in made})
        await asyncio.to_thread(caller.ask, document, {route.path for route in ROUTES if route.path.startswith("/grants")})
        told = {label: {status for each, status in caller.statuses if each == label} for label, _ in caller.statuses}
        assert 200 in told["GET /grants"] & told["GET /grants/{id}"]
        assert (200 in told["POST /grants"]) == (who == "tomas"), "lena's own would lack somebody for the seat of security"
        assert (200 in told["DELETE /grants/{id}"]) == (who != "program")
        assert (await running.person("GET", "/me", "lena")).status == 200
