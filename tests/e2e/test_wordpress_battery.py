"""Every other way to publish in WordPress that we know of ends in a hold or a no; WordPress itself is asked what is public.

Most rows are also sent past the sidecar with the publisher's credential, and there they do change what is public: the battery is not about
requests that WordPress would refuse anyway. The others are there because another version or plugin may read them otherwise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.e2e.desk import MOUNT
from tests.e2e.processes import basic_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.wordpress_site import Site

API = "/wp-json/wp/v2"
HELD, PROHIBITED, NO_ROUTE, NO_QUERY = "held", "denied: prohibited", "denied: route_not_listed", "denied: query_not_listed"
AMBIGUOUS, NOT_THIS_TYPE = "ambiguous_request", "unsupported_body"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "text/xml"}
OUT = '{"status": "publish", "title": "Out"}'
MULTIPART = '--cut\r\nContent-Disposition: form-data; name="status"\r\n\r\npublish\r\n--cut--\r\n'
BATCH = json.dumps({"requests": [{"method": "POST", "path": "/wp/v2/posts", "body": {"status": "publish", "title": "Out"}}]})
RPC = (
    "<?xml version='1.0'?><methodCall><methodName>wp.newPost</methodName><params><param><value><int>1</int></value></param>"
    "<param><value>{user}</value></param><param><value>{password}</value></param><param><value><struct><member><name>post_status</name>"
    "<value>publish</value></member><member><name>post_title</name><value>Out</value></member></struct></value></param></params></methodCall>"
)


@dataclass(frozen=True)
class Row:
    """One try: what the sidecar says (a problem's code, and for a denial its first reason's) to which request.

    `{id}` is a draft, `{live}` a public post.
    """

    name: str
    code: str
    request: str
    body: str | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


PUBLISHES = (  # in WordPress, asked directly, these change what is public
    # The plain ways
    Row("create as published", HELD, f"POST {API}/posts", OUT),
    Row("publish a draft", HELD, f"POST {API}/posts/{{id}}", OUT),
    Row("by PUT", HELD, f"PUT {API}/posts/{{id}}", OUT),
    Row("by PATCH", HELD, f"PATCH {API}/posts/{{id}}", OUT),
    Row("schedule by status", HELD, f"POST {API}/posts/{{id}}", '{"status": "future", "date": "2035-01-01T00:00:00"}'),
    Row("schedule by date", HELD, f"POST {API}/posts/{{id}}", '{"status": "publish", "date": "2035-01-01T00:00:00"}'),
    Row("privately", PROHIBITED, f"POST {API}/posts/{{id}}", '{"status": "private"}'),
    Row("create privately", PROHIBITED, f"POST {API}/posts", '{"status": "private", "title": "x"}'),
    Row("by an autosave", HELD, f"POST {API}/posts/{{id}}/autosaves", OUT),
    Row("a page", HELD, f"POST {API}/pages", OUT),
    Row("change what is public", HELD, f"POST {API}/posts/{{live}}", '{"content": "Changed"}'),
    Row("take down what is public", HELD, f"POST {API}/posts/{{live}}", '{"status": "draft"}'),
    Row("delete what is public", PROHIBITED, f"DELETE {API}/posts/{{live}}", headers={}),
    Row("for another post than the path's", PROHIBITED, f"POST {API}/posts/{{id}}", '{"id": {live}, "content": "Changed"}'),
    # Parameters elsewhere
    Row("status in the query of a create", NO_QUERY, f"POST {API}/posts?status=publish", '{"title": "Out"}'),
    Row("status in the query of an edit", NO_QUERY, f"POST {API}/posts/{{id}}?status=publish", '{"title": "Out"}'),
    Row("status in the query, no body", NO_QUERY, f"POST {API}/posts/{{id}}?status=publish", headers={}),
    Row("status in the query, name encoded", NO_QUERY, f"POST {API}/posts/{{id}}?%73tatus=publish", '{"title": "Out"}'),
    Row("a form", NOT_THIS_TYPE, f"POST {API}/posts/{{id}}", "status=publish", FORM),
    Row("a form that creates", NOT_THIS_TYPE, f"POST {API}/posts", "title=Out&status=publish", FORM),
    Row("a form of parts", NOT_THIS_TYPE, f"POST {API}/posts/{{id}}", MULTIPART, {"Content-Type": "multipart/form-data; boundary=cut"}),
    Row("JSON by another name", HELD, f"POST {API}/posts/{{id}}", OUT, {"Content-Type": "application/merge-patch+json"}),
    Row(
        "two content types in one",
        NOT_THIS_TYPE,
        f"POST {API}/posts/{{id}}",
        OUT,
        {"Content-Type": "application/json, application/x-www-form-urlencoded"},
    ),
    Row("compressed", NOT_THIS_TYPE, f"POST {API}/posts/{{id}}", OUT, {**JSON, "Content-Encoding": "identity"}),
    # Another method than the request line's
    Row("_method on a GET", NO_QUERY, f"GET {API}/posts/{{id}}?_method=POST&status=publish", headers={}),
    Row("_method on a POST", NO_QUERY, f"POST {API}/posts/{{id}}?_method=PUT", OUT),
    Row("override header on a GET", AMBIGUOUS, f"GET {API}/posts/{{id}}?status=publish", headers={"X-HTTP-Method-Override": "POST"}),
    Row("override header on a POST", AMBIGUOUS, f"POST {API}/posts/{{id}}", OUT, {**JSON, "X-HTTP-Method-Override": "PUT"}),
    # Other spellings of the path
    Row("rest_route", NO_ROUTE, "POST /?rest_route=/wp/v2/posts", OUT),
    Row("rest_route of the post", NO_ROUTE, "POST /?rest_route=/wp/v2/posts/{id}&status=publish", headers={}),
    Row("rest_route, encoded", NO_ROUTE, "POST /index.php?rest_route=%2Fwp%2Fv2%2Fposts", OUT),
    Row("rest_route beside a listed route", NO_QUERY, f"POST {API}/posts?rest_route=/wp/v2/pages", OUT),
    Row("through index.php", NO_ROUTE, f"POST /index.php{API}/posts", OUT),
    Row("double slash", AMBIGUOUS, "POST /wp-json//wp/v2/posts", OUT),
    Row("double slash first", AMBIGUOUS, f"POST /{API}/posts", OUT),
    Row("trailing slash", NO_ROUTE, f"POST {API}/posts/", OUT),
    Row("trailing slash on the post", NO_ROUTE, f"POST {API}/posts/{{id}}/", OUT),
    Row("upper case at the end", NO_ROUTE, f"POST {API}/POSTS", OUT),
    Row("an encoded letter", HELD, f"POST {API}/%70osts", OUT),
    Row("an encoded digit", HELD, f"POST {API}/posts/{{id, first digit encoded}}", OUT),
    Row("an encoded slash", AMBIGUOUS, "POST /wp-json/wp%2Fv2/posts", OUT),
    Row("an encoded slash before the post", AMBIGUOUS, f"POST {API}/posts%2F{{id}}", OUT),
    Row("a dot segment", AMBIGUOUS, "POST /wp-json/./wp/v2/posts", OUT),
    Row("dot segments up", AMBIGUOUS, "POST /wp-json/x/../wp/v2/posts", OUT),
    Row("encoded dot segments", AMBIGUOUS, "POST /wp-json/x/%2e%2e/wp/v2/posts", OUT),
    Row("an absolute target", AMBIGUOUS, f"POST http://127.0.0.1{API}/posts", OUT),
    # Other doors
    Row("the batch route", NO_ROUTE, "POST /wp-json/batch/v1", BATCH),
    Row("XML-RPC", NO_ROUTE, "POST /xmlrpc.php", RPC, XML),
    # What two parsers read differently
    Row("duplicate keys", AMBIGUOUS, f"POST {API}/posts/{{id}}", '{"status": "draft", "status": "publish"}'),
    Row("duplicate keys, escaped", AMBIGUOUS, f"POST {API}/posts/{{id}}", '{"status": "draft", "st\\u0061tus": "publish"}'),
    Row("an escaped key", HELD, f"POST {API}/posts/{{id}}", '{"st\\u0061tus": "publish"}'),
)
REFUSED_THERE_TOO = (
    # Parameters elsewhere
    Row("no content type", NOT_THIS_TYPE, f"POST {API}/posts/{{id}}", OUT, {}),
    Row("JSON as text", NOT_THIS_TYPE, f"POST {API}/posts/{{id}}", OUT, {"Content-Type": "text/plain"}),
    # Other spellings of the path
    Row("upper case at the beginning", NO_ROUTE, "POST /WP-JSON/wp/v2/posts", OUT),
    Row("a parameter in a segment", AMBIGUOUS, f"POST {API}/posts;x=1", OUT),
    # Other doors
    Row("the admin's AJAX", NO_ROUTE, "POST /wp-admin/admin-ajax.php", "action=inline-save&post_ID={id}&_status=publish", FORM),
    Row("the admin's form", NO_ROUTE, "POST /wp-admin/post.php", "action=editpost&post_ID={id}&post_status=publish", FORM),
    # What two parsers read differently
    Row("a key in another case", AMBIGUOUS, f"POST {API}/posts/{{id}}", '{"Status": "publish"}'),
    Row("a value in another case", HELD, f"POST {API}/posts/{{id}}", '{"status": "PUBLISH"}'),
    Row("a value with a space", HELD, f"POST {API}/posts/{{id}}", '{"status": "publish "}'),
    Row("a list", HELD, f"POST {API}/posts/{{id}}", '{"status": ["publish"]}'),
    Row("an object", HELD, f"POST {API}/posts/{{id}}", '{"status": {"0": "publish"}}'),
    Row("true", HELD, f"POST {API}/posts/{{id}}", '{"status": true}'),
    Row("an unknown status", HELD, f"POST {API}/posts/{{id}}", '{"status": "auto-draft"}'),
    Row("a byte order mark", AMBIGUOUS, f"POST {API}/posts/{{id}}", b"\xef\xbb\xbf" + OUT.encode()),
    Row("two documents", AMBIGUOUS, f"POST {API}/posts/{{id}}", '{"status": "draft"}' + OUT),
    Row("not a number", AMBIGUOUS, f"POST {API}/posts/{{id}}", '{"status": "publish", "sticky": NaN}'),
    Row("a list of bodies", HELD, f"POST {API}/posts/{{id}}", f"[{OUT}]"),
    Row(
        "Latin-1",
        NOT_THIS_TYPE,
        f"POST {API}/posts/{{id}}",
        '{"status": "publish", "title": "\xe9"}'.encode("latin-1"),
        {"Content-Type": "application/json; charset=latin-1"},
    ),
)


@pytest.mark.parametrize("row", PUBLISHES + REFUSED_THERE_TOO, ids=lambda row: row.name)
def test_no_way_to_publish_but_by_people(wordpress_desk, row):
    """The sidecar holds or refuses it, nothing but look-ups reaches WordPress, and what is public stays what it was."""
    desk, site = wordpress_desk, wordpress_desk.site
    method, path, body = fill(row, desk.site)
    before, writes = site.public(), len(desk.recorder.writes())

    reply = desk.sidecar.ask(method, path if path.startswith("http") else MOUNT + path, headers=row.headers, data=body)
    code = reply.json["type"].removeprefix("urn:stagewarden:problem:")
    assert (f"denied: {reply.json['reasons'][0]['code']}" if code == "denied" else code) == row.code
    assert site.public() == before
    assert len(desk.recorder.writes()) == writes
    if code == "held":
        assert desk.sidecar.ask("POST", f"/.stagewarden/holds/{reply.json['hold']['id']}/withdraw").status == 200

    if row in PUBLISHES:
        site.ask(method, path, headers=row.headers, data=body)
        after = site.public()
        assert after != before
        for kind, number, *_ in set(after) - set(before):
            assert site.ask("DELETE", f"{API}/{kind}/{number}?force=true").status == 200


def fill(row: Row, site: Site) -> tuple[str, str, bytes | None]:
    """Method, path and body with a draft of its own, a public post of its own, and the publisher's account put in."""
    text = row.request + (row.body if isinstance(row.body, str) else "")
    user, password = basic_parts(site.publisher)
    words = {"user": user, "password": password}
    if "{id" in text:
        words["id"] = str(site.create(site.publisher, title="Draft"))
        words["id, first digit encoded"] = f"%3{words['id']}"
    if "{live}" in text:
        words["live"] = str(site.create(site.publisher, title="Live", status="publish"))
    method, path = filled(row.request, words).split(" ", 1)
    return method, path, filled(row.body, words).encode() if isinstance(row.body, str) else row.body


def filled(text: str, words: Mapping[str, str]) -> str:
    """`{word}` replaced."""
    for word, said in words.items():
        text = text.replace(f"{{{word}}}", said)
    return text
