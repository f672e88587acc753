"""Path confusion: rows 1 to 17. Refused, or judged with every segment and sent as judged."""

import pytest

from tests.attacks.cases import Family, Sound, check, params
from tests.ground import chunked, get, request

JSON = b"Content-Type: application/json"
OPAQUE = b"Content-Type: application/octet-stream"


def posted(target: bytes) -> bytes:
    """The target in a POST with a body in chunks."""
    return request(b"POST", target, OPAQUE, b"Transfer-Encoding: chunked") + chunked(b"x" * 10)


def paths(*targets: bytes) -> dict[str, bytes]:
    """A GET for each target, named after it."""
    return {target.decode("latin-1").replace("/", "|"): get(target) for target in targets}


REFUSED = (
    Family(1, "CVE-2026-26205", {
        "double-slash": get(b"//admin/x"), "triple-slash": get(b"///admin"), "userinfo": get(b"//h@admin/x"), "host-like": get(b"//app.test/admin"),
        "inner": get(b"/a//admin"), "at-the-end": get(b"/a//"), "alone": get(b"//"), "with-query": get(b"//x/y?q=1"), "ipv6": get(b"//[::1]/x"),
        "chunked": posted(b"//admin/x"), "lower-stage-route": request(b"POST", b"//items", JSON, body=b"{}"), "scheme-like": get(b"/http://evil/admin"),
    }),
    Family(2, "CVE-2026-33494", {
        **paths(b"/public/../admin", b"/public/%2e%2e/admin", b"/public/.%2E/admin", b"/public/%2E./admin", b"/../admin", b"/a/b/c/../../../admin",
                b"/public/..", b"/./admin", b"/public/%2e/admin", b"/public/.", b"/..", b"/public/../admin?q=1"),
        "chunked": posted(b"/public/../admin"), "onto-a-route": request(b"POST", b"/x/../items", JSON, body=b"{}"),
    }),
    Family(4, "CVE-2021-29492", {
        **paths(b"/a%2fadmin", b"/a%2Fadmin", b"/a%5cadmin", b"/a%5Cadmin", b"/a\\admin", b"/\\admin", b"/a%2f..%2fadmin", b"/admin%2f", b"/%2fadmin",
                b"/articles/1%2fpublish"),
        "chunked": posted(b"/a%2fadmin"),
    }),
    Family(5, "CVE-2021-32779", paths(b"/admin#/public.css", b"/#", b"/admin#?q=1", b"/a##b", b"/search?q=1#x") | {"chunked": posted(b"/admin#x")}),
    Family(6, "CVE-2023-47106", paths(b"/admin#/static", b"/admin#")),
    Family(6, "CVE-2026-41059", paths(b"/admin#/ping", b"/admin/#x")),
    Family(7, "CVE-2025-54576", paths(b"/private?/public", b"/private?x=/healthz", b"/private?a=1&b=/static/x.css", b"/private?next=%2Fpublic"),
           code="denied", reason="query_not_listed"),
    Family(7, "CVE-2025-54576-in-parameters", {"twice": get(b"/search?q=1&q=2"), "encoded-twice": get(b"/search?q=1&%71=2")}),
    Family(8, "CVE-2026-73553", paths(
        b"/admin;x=1", b"/admin;x=1/users", b"/;x/admin", b"/admin;.css", b"/public/..;/admin", b"/public/..;x=1/admin")),
    Family(8, "CVE-2026-73511", paths(b"/admin;jsessionid=1", b"/admin%3bx=1", b"/admin%3Bx") | {"chunked": posted(b"/admin;x=1")}),
    Family(10, "CVE-2025-66490", paths(b"/%252e%252e%252fadmin", b"/a%252fb", b"/a%252Fb")),
    Family(10, "CVE-2025-47952", paths(b"/%2e%2e%2fadmin", b"/a%2500b", b"/a%255cb")),
    Family(10, "CVE-2025-32431", paths(b"/a/%252e%252e/admin", b"/a%25252fb", b"/%2561dmin")),
    Family(11, "CVE-2026-40912", paths(b"/strip//admin", b"/strip/../admin", b"/strip/%2e%2e/admin", b"/strip/public/..%2fadmin")),
    Family(11, "CVE-2026-65600", paths(b"/strip%2fpublic/a", b"/strip/public%2fa", b"/strip\\public")),
    Family(11, "CVE-2026-48020", paths(b"/strip/admin", b"/strip/public/a/b", b"/strip/"), code="denied", reason="route_not_listed"),
    Family(12, "CVE-2026-27587", paths(b"/Search?q=1", b"/%53earch?q=1", b"/SEARCH?q=1"), code="denied", reason="query_not_listed"),
    Family(12, "CVE-2026-27588", {
        "upper": get(b"/secrets").replace(b"app.test", b"VAULT.TEST"), "mixed": get(b"/secrets").replace(b"app.test", b"Vault.test"),
        "with-port": get(b"/secrets").replace(b"app.test", b"VAULT.test:80"), "encoded-path": get(b"/%73ecrets").replace(b"app.test", b"VAULT.test"),
    }, code="denied", reason="prohibited"),
    Family(12, "CVE-2026-27588-encoded", {"host": get(b"/secrets").replace(b"app.test", b"vault%2etest")}),
    Family(13, "GHSA-gx7w-56w6-g48x", paths(
        b"/.stagewarden/", b"/.stagewarden/holds", b"/.stagewarden/holds/", b"/.stagewarden/holdsX", b"/.stagewarden/holds/01/",
        b"/.stagewarden/config",
        b"/.stagewarden/holds/h_1/withdraw/", b"/.stagewarden/holds/h_1/withdraw", b"/.stagewarden/metrics", b"/.stagewarden/holds/h_1?x=1",
        b"/.stagewarden/HOLDS/h_1"), code="not_found"),
    Family(13, "CVE-2026-45692", paths(
        b"/.stagewarden/holds/../config", b"/.stagewarden//holds", b"/.stagewarden/holds%2fh_1", b"/.stagewarden/./holds")),
    Family(14, "CVE-2026-33186", {
        **paths(b"admin", b"admin/x", b"?x=1", b"@evil.test/", b"%2fadmin", b"a:b", b".", b"..", b"*"), "chunked": posted(b"items"),
        "absolute": get(b"http://app.test/admin"), "absolute-other": get(b"http://evil.test/admin"),
    }),
    Family(17, "nginx-proxy-pass-with-uri", paths(b"/withuri/a%2f..%2fadmin", b"/withuri/a/..%2fadmin", b"/withuri/..%2f")),
)  # fmt: skip
SOUND = (
    Sound(1, "CVE-2026-26205-legitimate", {"one-slash": get(b"/admin/x"), "colon": get(b"/a:b/c"), "at": get(b"/h@admin/x")}),
    Sound(2, "CVE-2026-33494-legitimate", {"dots-in-names": get(b"/a/..b/c"), "hidden": get(b"/.well-known/x"), "three": get(b"/a/.../b")}),
    Sound(3, "CVE-2023-33189", {"other-case": request(b"POST", b"/Items", JSON, body=b"{}")}, body=b"{}", route="POST /{rest...}"),
    Sound(3, "CVE-2023-33189", {"encoded": request(b"POST", b"/%69tems", JSON, body=b"{}")}, body=b"{}", route="POST /items"),
    Sound(3, "CVE-2023-33189", {"longer": request(b"POST", b"/items/1", JSON, body=b"{}")}, body=b"{}", route="POST /{rest...}"),
    Sound(6, "CVE-2023-47106-encoded", {"hash": get(b"/admin%23/static"), "suffix": get(b"/admin%23.css")}),
    Sound(7, "CVE-2025-54576-listed", {"slash": get(b"/search?q=/healthz"), "encoded": get(b"/search?q=%2Fpublic")}, route="GET /search"),
    Sound(9, "CVE-2025-46821", {f"pchar-{char}": get(f"/g{char}x/{char}y".encode()) for char in "-._~!$&'()*+,=:@"}, route="GET /{rest...}"),
    Sound(9, "CVE-2025-46821", {"triples": get(b"/%20%61%C3%A4%7e%5b")}, route="GET /{rest...}"),
    Sound(11, "CVE-2026-67309", {"cut": get(b"/strip/public/a")}, target="/public/a", upstream="stripped", route="GET /public/{name}"),
    Sound(11, "CVE-2026-67309", {"encoded-kept": get(b"/strip/public/%61%20")}, target="/public/%61%20", upstream="stripped"),
    Sound(11, "CVE-2026-67309", {"no-boundary": get(b"/stripped/a"), "encoded-mount": get(b"/%73trip/admin"), "case": get(b"/Strip/admin")}),
    Sound(12, "CVE-2026-27587-legitimate", {"encoded-letter": get(b"/%73earch?q=1"), "lower-hex": get(b"/sear%63h?%71=1")}, route="GET /search"),
    Sound(12, "CVE-2026-27588-legitimate", {
        "upper": get(b"/x").replace(b"app.test", b"APP.TEST"), "port": get(b"/x").replace(b"app.test", b"App.test:81"),
    }),
    Sound(13, "CVE-2026-45692-elsewhere", {
        "no-slash": get(b"/.stagewarden"), "case": get(b"/.Stagewarden/holds"), "suffix": get(b"/.stagewardenX/y"),
    }),
)  # fmt: skip
CONNECT = {
    "CVE-2026-73547-authority": b"app.test:443", "CVE-2026-73547-origin": b"/", "CVE-2026-73547-star": b"*",
    "CVE-2026-73547-absolute": b"http://app.test/",
    "CVE-2026-73547-loopback": b"127.0.0.1:22", "CVE-2026-73547-empty": b"",
}  # fmt: skip


@pytest.mark.parametrize(("family", "raw"), params((*REFUSED, *SOUND)))
def test_target(ground, family, raw):
    """Refused with nothing sent, or sent under the route that was judged."""
    check(ground, family, raw)


@pytest.mark.parametrize("name", CONNECT)
def test_connect_has_no_path(ground, name):
    """A request without a path is a no, whatever stands in its place."""
    seen = ground.attack(request(b"CONNECT", CONNECT[name]))
    assert seen.reached == seen.strayed == ()
    assert seen.only.code in {"ambiguous_request", "denied"}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(request(b"DELETE", b"/articles/1"), "prohibited", id="CVE-2026-48794-the-first-match"),
        pytest.param(request(b"DELETE", b"/articles/%31"), "prohibited", id="CVE-2026-48794-encoded"),
        pytest.param(request(b"DELETE", b"/articles/"), "prohibited", id="CVE-2026-48794-empty-name"),
        pytest.param(request(b"DELETE", b"/articles/1/"), "route_not_listed", id="CVE-2026-48794-trailing-slash"),
    ],
)
def test_the_strict_rule_is_the_one_that_matches(ground, raw, reason):
    """An edge of a path template never falls through to a looser route."""
    seen = ground.attack(raw)
    assert (seen.only.code, seen.reached, seen.strayed) == ("denied", (), ())
    assert seen.only.reason in {reason, "route_not_listed"}


ROWS = frozenset({family.row for family in (*REFUSED, *SOUND)} | {15, 16})
