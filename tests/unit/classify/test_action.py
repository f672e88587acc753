"""Classification: body, query and looked-up value choose the case; the strict answer stands where none does."""

import pytest

from stagewarden.classify import Looked, RouteTable, classify, read_lookup
from stagewarden.classify.action import check_type, facts, parse_body, parse_parts
from stagewarden.config import Case, Lookup, Route, Upstream
from stagewarden.errors import Ambiguous, Refused
from stagewarden.model import Stage
from tests.unit.classify.test_routes import head

LOOKUP = Lookup(get="/posts/{id}", state="/status", states={"draft": "draft", "publish": "exported"}, digest=True, ignore=("/views", "/meta/seen"))
ROUTE = Route(
    match="PATCH /posts/{id}", stage="export", kind="change_live", body="json", query=("notify",), lookup=LOOKUP,
    facts={"claims": "/meta/claims", "offers": "/meta/offers", "recipients": "/to"},
    cases=(
        Case(when={"/status": ["draft", None], "lookup:/status": "draft"}, stage="edit", kind="edit", reversible="restore"),
        Case(when={"/status": "pending"}, stage="queue", kind="queue"),
        Case(when={"/status": ["draft", None], "query:notify": "all"}, stage="approve", kind="notify"),
    ),
)  # fmt: skip


def match(route=ROUTE, target="/cms/posts/7"):
    """The route as matched."""
    upstreams = {"cms": Upstream(url="http://127.0.0.1:1", destination="site", mount="/cms", routes=(route,))}
    return RouteTable(upstreams, lambda upstream: upstream.routes, lambda url: True).find(head(target, "PATCH"))


def looked(status):
    """The looked-up asset in this state."""
    return Looked({"status": status, "meta": {"offers": ["o1"]}}, b"{}", {"draft": "draft"}.get(status, "exported"), "sha256:1")


@pytest.mark.parametrize(
    ("body", "status", "target", "stage", "kind"),
    [
        ({"title": "x"}, "draft", "/cms/posts/7", "edit", "edit"),
        ({"status": "draft"}, "draft", "/cms/posts/7", "edit", "edit"),
        ({"status": "draft"}, "publish", "/cms/posts/7", "export", "change_live"),
        ({"title": "x"}, None, "/cms/posts/7", "export", "change_live"),
        ({"status": "pending"}, "draft", "/cms/posts/7", "queue", "queue"),
        ({"status": "publish"}, "draft", "/cms/posts/7", "export", "change_live"),
        ({"status": ["draft"]}, "draft", "/cms/posts/7", "export", "change_live"),
        ({"status": True}, "draft", "/cms/posts/7", "export", "change_live"),
        ({"title": "x"}, "draft", "/cms/posts/7?notify=all", "approve", "notify"),
        ({"title": "x"}, "draft", "/cms/posts/7?notify=none", "edit", "edit"),
    ],
)
def test_the_highest_matching_stage_wins_and_none_is_the_routes_own(body, status, target, stage, kind):
    """Among matching cases the highest stage wins; a look-up that is missing matches nothing."""
    action = classify(match(target=target), body, looked(status) if status else None, external=True)
    assert (action.stage, action.kind) == (Stage(stage), kind)


def test_the_action_says_what_is_touched():
    """Fields are the body's member names, sorted; asset, destination and loopback are named."""
    action = classify(match(), {"title": "x", "body": "y"}, looked("draft"), external=True)
    assert (action.fields, action.asset.id, action.asset.state, action.destination, action.external, action.loopback, action.reversible) == (
        ("body", "title"), "7", "draft", "site", True, True, "restore",
    )  # fmt: skip


def test_facts_count_claims_of_the_body_and_of_what_would_go_out():
    """What is published by its id is judged by its content, and a lone value is a list of one."""
    going_out = classify(match(), {"status": "publish"}, looked("draft"), external=True)
    assert facts(match(), going_out, {"status": "publish", "meta": {"claims": "best"}, "to": 3}, looked("draft")) == {
        "claims": ["best"], "offers": ["o1"], "recipients": 3, "content": {"status": "draft", "meta": {"offers": ["o1"]}},
    }  # fmt: skip


def test_a_draft_edit_is_not_judged_by_what_already_stands_there():
    """An edit lets nothing out, so only its own words count."""
    edit = classify(match(), {"title": "x"}, looked("draft"), external=True)
    assert facts(match(), edit, {"title": "x"}, looked("draft")) == {"claims": [], "offers": [], "recipients": None, "content": None}


@pytest.mark.parametrize(
    ("route", "content_type", "body", "error"),
    [
        (ROUTE, "text/plain", b"{}", Refused),
        (ROUTE, None, b"{}", Refused),
        (ROUTE, "application/json; charset=utf-7", b"{}", Refused),
        (ROUTE, "application/json; charset=utf-8; charset=utf-16", b"{}", Refused),
        (ROUTE, "application/json", b"", Ambiguous),
        (ROUTE, "application/json", b'{"a":1,"a":2}', Ambiguous),
        (ROUTE, "application/json", b'{"meta":{"Claims":[]}}', Ambiguous),
        (Route(match="PATCH /posts/{id}", stage="edit", kind="k"), None, b"x", Refused),
        (Route(match="PATCH /posts/{id}", stage="edit", kind="k", body="form"), "application/json", b"{}", Refused),
        (Route(match="PATCH /posts/{id}", stage="edit", kind="k", body="form"), "application/x-www-form-urlencoded", b"a=1&a=2", Ambiguous),
        (Route(match="PATCH /posts/{id}", stage="edit", kind="k", body="opaque", types=("image/png",)), "image/gif", b"x", Refused),
    ],
    ids=[
        "text",
        "no-type",
        "charset",
        "charset-twice",
        "empty-json",
        "duplicate",
        "case-variant",
        "body-on-none",
        "json-on-form",
        "form-twice",
        "opaque-other-type",
    ],
)
def test_a_body_the_route_does_not_take_is_refused(route, content_type, body, error):
    """A body is what the route lists, read strictly, or it is refused."""
    with pytest.raises(error):
        parse_body(match(route), content_type, body, 64)


FORM = Route(
    match="PATCH /posts/{id}", stage="export", kind="publish", body="multipart", types=("image/png",), facts={"offers": "/fields/offer"},
    cases=(
        Case(when={"/fields/status": ["draft", None]}, stage="generate", kind="draft"),
        Case(when={"/parts/*/type": "image/png"}, stage="edit", kind="illustrate"),
    ),
)  # fmt: skip
PNG = '; filename="a.png"\r\nContent-Type: image/png'


def form(*parts):
    """A form of (name and what follows it, text)."""
    lines = [f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{text}\r\n' for name, more, text in parts]
    return ["".join([*lines, "--B--\r\n"]).encode()]


@pytest.mark.parametrize(
    ("parts", "stage", "kind", "offers"),
    [
        ([], "generate", "draft", []),
        ([("status", "", "draft"), ("offer", "", "summer")], "generate", "draft", ["summer"]),
        ([("status", "", "publish")], "export", "publish", []),
        ([("image", PNG, "x")], "edit", "illustrate", []),
        ([("status", "", "publish"), ("image", PNG, "x")], "edit", "illustrate", []),
    ],
    ids=["absent", "draft", "strict", "a-file-raises-it", "a-case-of-the-file"],
)
def test_fields_and_parts_of_a_form_choose_the_case(parts, stage, kind, offers):
    """`/fields/NAME` is text, `/parts/*/…` what is known of each part; facts are found the same way."""
    matched = match(FORM)
    document = parse_parts(matched, "multipart/form-data; boundary=B", form(*parts), 100)
    action = classify(matched, document, None, external=True)
    assert (action.stage, action.kind, action.fields) == (stage, kind, ("fields", "parts"))
    assert facts(matched, action, document, None)["offers"] == offers


@pytest.mark.parametrize("parts", [[("Status", "", "x")], [("STATUS", PNG, "x")], [("status", PNG, "publish")]], ids=["case", "file-case", "file"])
def test_ghsa_4gph_2hhr_5mwg_a_part_that_passes_for_a_field_is_refused(parts):
    """Another case of a field that is looked at, or a file of its name: some readers take it for the field."""
    with pytest.raises(Ambiguous):
        parse_parts(match(FORM), "multipart/form-data; boundary=B", form(*parts), 100)


@pytest.mark.parametrize("content_type", [None, "image/png", "multipart/mixed; boundary=B", "multipart/form-data; boundary=A; boundary=B"])
def test_a_forms_type_is_judged_before_its_body(content_type):
    """By the head alone."""
    with pytest.raises(Refused):
        check_type(match(FORM), content_type)


def test_lookup_reads_state_and_digest():
    """The state is mapped, the digest leaves out what the route ignores and nothing else."""
    one = read_lookup(LOOKUP, None, b'{"status":"draft","views":1,"meta":{"seen":1,"claims":[]}}', 64)
    same = read_lookup(LOOKUP, None, b'{"meta":{"claims":[],"seen":2},"views":2,"status":"draft"}', 64)
    other = read_lookup(LOOKUP, None, b'{"status":"draft","views":1,"meta":{"seen":1,"claims":["x"]}}', 64)
    assert (one.state, one.digest) == ("draft", same.digest)
    assert one.digest != other.digest


def test_lookup_names_who_wrote_it():
    """Texts and numbers at the pointers, each once; what names nobody is left out."""
    lookup = Lookup(get="/posts/{id}", authors=("/author", "/editors/*/login"))
    body = b'{"author": 17, "editors": [{"login": "rita"}, {"login": ""}, {"login": null}, {"login": true}, {"login": "17"}]}'
    assert read_lookup(lookup, None, body, 64).authors == ("17", "rita")
    assert read_lookup(lookup, None, b"{}", 64).authors == ()


@pytest.mark.parametrize("body", [b'{"status":"trash"}', b"{}", b"[]", b'{"status":["draft"]}', b'{"status":null}'])
def test_lookup_of_an_unmapped_state_is_a_no(body):
    """A state the route does not map cannot be used."""
    assert isinstance(read_lookup(LOOKUP, None, body, 64), str)


@pytest.mark.parametrize(("asset", "usable"), [("11", True), ("011", False), ("12", False), (None, False)])
def test_lookup_of_an_asset_under_another_name_is_a_no(asset, usable):
    """An upstream that reads `/posts/011` as post 11 would let one asset stand under two names."""
    lookup = Lookup(get="/posts/{id}", id="/id")
    assert isinstance(read_lookup(lookup, asset, b'{"id": 11}', 64), Looked) is usable
