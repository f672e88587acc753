"""The route table: which upstream, which route, which parameters; nothing is normalised."""

import pytest

from stagewarden.classify import CompiledRoute, Match, RouteTable
from stagewarden.config import Case, Route, Upstream
from stagewarden.model import Deny, Head
from stagewarden.wire.target import parse_target

ROUTES = (
    Route(match="GET /articles", stage="generate", kind="read", query=("page",)),
    Route(match="GET /articles/mine", stage="generate", kind="read-mine"),
    Route(match="GET /articles/{id}", stage="generate", kind="read-one"),
    Route(match="POST /articles/{id}/parts/{part}", stage="edit", kind="part"),
    Route(match="GET /files/{path...}", stage="generate", kind="file"),
)


def table(**upstreams):
    """Three upstreams."""
    made = {
        "cms": Upstream(url="http://127.0.0.1:1", destination="d", mount="/cms", routes=ROUTES),
        "media": Upstream(url="https://media.example", destination="d", mount="/cms/media", routes=ROUTES),
        "hosted": Upstream(url="https://hosted.example", destination="d", hosts=("Hosted.example",), routes=ROUTES),
    } | upstreams
    return RouteTable(made, lambda upstream: upstream.routes, lambda url: "127.0.0.1" in url)


def head(target, method="GET", host="localhost"):
    """A head with this target."""
    return Head("r_1", method, parse_target(target.encode(), 8192), host, (), {}, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("request_head", "upstream", "kind", "sent", "parameters"),
    [
        (head("/cms/articles"), "cms", "read", "/articles", {}),
        (head("/cms/articles?page=2"), "cms", "read", "/articles?page=2", {}),
        (head("/cms/articles/mine"), "cms", "read-mine", "/articles/mine", {}),
        (head("/cms/articles/7"), "cms", "read-one", "/articles/7", {"id": "7"}),
        (head("/cms/articles/%37"), "cms", "read-one", "/articles/%37", {"id": "7"}),
        (head("/cms/articles/7/parts/a%20b", "POST"), "cms", "part", "/articles/7/parts/a%20b", {"id": "7", "part": "a b"}),
        (head("/cms/media/articles"), "media", "read", "/articles", {}),
        (head("/cms/files/a/b/c"), "cms", "file", "/files/a/b/c", {}),
        (head("/articles/7", host="hosted.example"), "hosted", "read-one", "/articles/7", {"id": "7"}),
    ],
    ids=lambda value: value.target.raw if isinstance(value, Head) else "",
)
def test_a_listed_request_is_found(request_head, upstream, kind, sent, parameters):
    """A listed request belongs to one route, and what is sent is the rest of the target, byte for byte."""
    match = table().find(request_head)
    assert isinstance(match, Match)
    assert (match.upstream.name, match.route.settings.kind, match.target.raw, dict(match.parameters)) == (upstream, kind, sent, parameters)


@pytest.mark.parametrize(
    ("request_head", "code"),
    [
        (head("/other/articles"), "route_not_listed"),
        (head("/cms"), "route_not_listed"),
        (head("/cmsx/articles"), "route_not_listed"),
        (head("/CMS/articles"), "route_not_listed"),
        (head("/%63ms/articles"), "route_not_listed"),
        (head("/cms/articles/"), "route_not_listed"),
        (head("/cms/articles/7/parts/1"), "route_not_listed"),
        (head("/cms/articles/7", "DELETE"), "route_not_listed"),
        (head("/cms/articles", "HEAD"), "route_not_listed"),
        (head("/cms/files"), "route_not_listed"),
        (head("/cms/articles?q=1"), "query_not_listed"),
        (head("/cms/articles/7?page=1"), "query_not_listed"),
        (head("/cms/articles?PAGE=1"), "query_not_listed"),
        (head("/cms/articles", host="hosted.example"), "route_not_listed"),
    ],
    ids=lambda value: f"{value.method}-{value.target.raw}" if isinstance(value, Head) else "",
)
def test_what_is_not_listed_is_denied_by_the_gate(request_head, code):
    """No policy can allow what has no stage."""
    found = table().find(request_head)
    assert isinstance(found, Deny)
    assert found.reasons[0].code == code


def test_the_raw_parameter_is_what_a_look_up_repeats():
    """A look-up asks for the asset in the agent's own spelling."""
    match = table().find(head("/cms/articles/%37"))
    assert match.raw_parameters == {"id": "%37"}
    assert match.asset_id == "7"


def test_kinds_of_a_route_are_its_own_and_its_cases():
    """A look-up is made for an agent whose workflow lists any of them."""
    route = Route(match="PATCH /a/{id}", stage="export", kind="live", cases=(Case(when={"/x": 1}, stage="edit", kind="edit"),))
    assert CompiledRoute.compile(route).kinds == {"live", "edit"}


@pytest.mark.parametrize("when", [{"lookup:status": "draft"}, {"status": 1}, {"/status": {"not": 1}}])
def test_a_case_that_cannot_be_read_refuses_to_compile(when):
    """A condition nobody understands is an error at start, never ignored."""
    route = Route(match="PATCH /a", stage="export", kind="k", cases=(Case(when=when, stage="edit", kind="e"),))
    with pytest.raises(ValueError, match=r"pointer|expected"):
        CompiledRoute.compile(route)
