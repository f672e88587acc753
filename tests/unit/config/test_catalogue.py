"""The shipped catalogues: each row, asked as a request, is what it says; anything near it is stricter."""

from __future__ import annotations

import json

import pytest

from stagewarden.classify import RouteTable, classify
from stagewarden.classify.lookup import Looked
from stagewarden.config import Bytes, Upstream, catalogue
from stagewarden.config.rules import routes as route_rules
from stagewarden.config.rules.routes import ASSET_STATES
from stagewarden.model import Deny, Head, Stage
from stagewarden.wire.target import parse_target
from tests.unit.config.parts import changed, refusals

WORDPRESS = catalogue.load("wordpress")
TABLE = RouteTable(
    {"cms": Upstream(url="http://127.0.0.1:1", destination="site", mount="/wp", catalogue="wordpress")}, catalogue.expand_routes, lambda _: True
)
ROWS = [(row, method, path) for row in WORDPRESS.rows for path in (row.path, *row.also) for method in (row.method, *row.aliases)]


def ask(method: str, target: str, body: object = None, state: str | None = None):
    """The action of a request below the mount, or the gate's no."""
    head = Head("r_1", method, parse_target(f"/wp{target}".encode(), Bytes(8192)), "localhost", (), {}, "127.0.0.1", 0)
    match = TABLE.find(head)
    if isinstance(match, Deny):
        return match.reasons[0].code
    looked = None
    if match.route.settings.lookup is not None:
        words = match.route.settings.lookup.states
        word = state or next(iter(words), "")
        looked = Looked({"status": word}, b"{}", words.get(word, "untracked"), "sha256:0")
    return classify(match, body, looked, external=True)


def sample(row: catalogue.Row) -> tuple[str, dict[str, object]]:
    """A query and body that meet a row's `when`: the first literal of each list; an absent member is left out."""
    body: dict[str, object] = {}
    query = ""
    for key, value in row.when.items():
        literal = value[0] if isinstance(value, list) else value
        if literal is None or literal == {"absent": True}:
            continue
        if key.startswith("query:"):
            query = f"?{key.removeprefix('query:')}={literal}"
        else:
            body[key.removeprefix("/")] = "x" if literal == {"exists": True} else literal
    return query, body


@pytest.mark.parametrize(("row", "method", "path"), ROWS, ids=[f"{row.id}-{method}-{path.rpartition('v2')[2]}" for row, method, path in ROWS])
def test_a_row_asked_as_a_request_has_its_stage_and_kind(row, method, path):
    """Built from method, path and `when` (catalogue README)."""
    query, body = sample(row)
    action = ask(method, f"/wp-json{path.replace('{id}', '7').replace('{plugin}', 'akismet')}{query}", body, row.while_[0] if row.while_ else None)
    assert (action.stage, action.kind) == (row.stage, row.kind)


@pytest.mark.parametrize("row", [row for row in WORDPRESS.rows if row.while_], ids=lambda row: row.id)
@pytest.mark.parametrize("state", ["publish", "future", "private", "trash", "approved", "spam"])
def test_a_change_of_something_live_is_an_export(row, state):
    """A row that depends on the state holds in no other state."""
    _, body = sample(row)
    assert ask(row.method, f"/wp-json{row.path.replace('{id}', '7')}", body, state).stage is Stage.EXPORT


@pytest.mark.parametrize(
    "status",
    ["publish", "future", "private", "Publish", "PUBLISH", "trash", "inherit", "publish ", "", 1, True, ["draft"], {"raw": "draft"}],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/posts", "/pages", "/posts/7", "/pages/7", "/posts/7/autosaves"])
def test_every_status_but_the_listed_ones_is_an_export(path, status):
    """The strict answer stands where no row matches."""
    assert ask("POST", f"/wp-json/wp/v2{path}", {"status": status}, "draft").stage is Stage.EXPORT


@pytest.mark.parametrize("path", ["/posts/7", "/pages/7", "/posts/7/autosaves", "/media/7", "/comments/7"])
def test_a_body_that_names_another_item_is_of_a_kind_nobody_lists(path):
    """WordPress lets a JSON `id` win over the path's (tried on 6.1.9): what was looked up would not be what is changed."""
    action = ask("POST", f"/wp-json/wp/v2{path}", {"id": 8, "title": "x", "status": "publish"}, "draft")
    assert (action.stage, action.kind) == (Stage.EXPORT, "misdirected")


DOORS = {
    "status_in_query": ("POST", "/wp-json/wp/v2/posts?status=publish", "query_not_listed"),
    "method_in_query": ("POST", "/wp-json/wp/v2/posts/7?_method=DELETE", "query_not_listed"),
    "method_on_get": ("GET", "/wp-json/wp/v2/posts/7?_method=DELETE", "query_not_listed"),
    "envelope": ("GET", "/wp-json/wp/v2/posts?_envelope=1", "query_not_listed"),
    "rest_route": ("POST", "/?rest_route=/wp/v2/posts", "route_not_listed"),
    "rest_route_on_listed": ("POST", "/wp-json/wp/v2/posts?rest_route=/wp/v2/posts/7", "query_not_listed"),
    "index_php": ("POST", "/index.php/wp-json/wp/v2/posts", "route_not_listed"),
    "batch": ("POST", "/wp-json/batch/v1", "route_not_listed"),
    "xmlrpc": ("POST", "/xmlrpc.php", "route_not_listed"),
    "ajax": ("POST", "/wp-admin/admin-ajax.php", "route_not_listed"),
    "other_case": ("POST", "/wp-json/wp/v2/Posts/7", "route_not_listed"),
    "trailing_slash": ("POST", "/wp-json/wp/v2/posts/7/", "route_not_listed"),
    "custom_type": ("POST", "/wp-json/wp/v2/product", "route_not_listed"),
    "unlisted_method": ("DELETE", "/wp-json/wp/v2/users/7", "route_not_listed"),
}


@pytest.mark.parametrize(("method", "target", "code"), DOORS.values(), ids=DOORS)
def test_the_other_doors_to_the_same_act_are_not_listed(method, target, code):
    """`watch_out` of the catalogue, one by one."""
    assert ask(method, target, {"status": "draft"}) == code


@pytest.mark.parametrize("target", ["/posts?context=edit&status=draft&per_page=5", "/posts/7", "/pages", "/users/me", "/tags?search=a"])
def test_reads_are_of_the_lowest_stage(target):
    """With the query parameters that only read."""
    assert (ask("GET", f"/wp-json/wp/v2{target}").stage, ask("GET", f"/wp-json/wp/v2{target}").kind) == (Stage.GENERATE, "read")


def test_deleting_for_good_cannot_be_undone():
    """`force` skips the trash, whatever its value."""
    assert ask("DELETE", "/wp-json/wp/v2/posts/7").reversible == "restore"
    assert [ask("DELETE", f"/wp-json/wp/v2/posts/7?force={value}").reversible for value in ("true", "1", "0", "")] == ["none"] * 4


@pytest.mark.parametrize("route", catalogue.expand(WORDPRESS), ids=lambda route: route.match)
def test_a_shipped_route_is_sound(route):
    """The rules for written routes; a write by id is bound by the look-up's digest, with the credential that can read what is live."""
    assert list(route_rules.findings(route)) == []
    if route.lookup is not None:
        assert route.lookup.digest
        assert route.lookup.as_ is Stage.EXPORT
        assert "/_links" in route.lookup.ignore
        assert set(route.lookup.states.values()) <= set(ASSET_STATES)


def test_forms_are_not_taken():
    """WordPress merges form, query and JSON parameters; only JSON is judged, so only JSON is let through."""
    assert {route.body for route in catalogue.expand(WORDPRESS)} == {"json", "opaque", "none"}


@pytest.mark.parametrize("name", catalogue.LATER)
def test_catalogues_of_later_releases_are_refused_by_name(tmp_path, name):
    """Not called unknown."""
    assert any("not in this release" in found.message for found in refusals(tmp_path, changed("upstreams.cms.catalogue", name)))


def test_a_catalogue_says_what_it_rests_on():
    """Sources, date, and what is left out on purpose."""
    assert WORDPRESS.sources
    assert "2026" in WORDPRESS.read
    assert json.dumps(WORDPRESS.not_listed)
    with pytest.raises(KeyError):
        catalogue.load("../secrets")
