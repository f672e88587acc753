"""Spoofed headers, hosts and methods: rows 18 to 36. Refused, or withheld: neither read by us nor sent on."""

import json

import pytest

from tests.attacks.cases import Family, Sound, check, ours_once, params, told
from tests.ground import exact, get, request

JSON = b"Content-Type: application/json"
FORM = b"Content-Type: application/x-www-form-urlencoded"


def lines(*fields: bytes) -> dict[str, bytes]:
    """A GET with each of the lines, named after it."""
    return {field.decode("latin-1").partition("\r")[0].replace(": ", "=").replace(" ", "_")[:48]: get(b"/admin", field) for field in fields}


def hosts(*values: bytes) -> dict[str, bytes]:
    """A GET under each Host, named after it."""
    return {value.decode("latin-1") or "empty": request(b"GET", b"/x", host=value) for value in values}


REFUSED = (
    Family(19, "CVE-2025-64484", lines(b"X_Forwarded_User: admin", b"X-Forwarded_User: admin", b"x_forwarded-user: admin", b"_X-User: a",
        b"X-User_: a")),
    Family(19, "CVE-2026-54763", lines(b"X_Forwarded_For: 127.0.0.1", b"Transfer_Encoding: chunked", b"Content_Length: 5",
        b"Stagewarden_Agent: root")),
    Family(21, "CVE-2024-45410", lines(b"Connection: Stagewarden-Ruling", b"Connection: stagewarden-AGENT", b"Connection: X-Forwarded-User")),
    Family(21, "CVE-2026-29054", lines(b"Connection: close, X-Forwarded-For", b"Connection: keep-alive\r\nConnection: X-Real-IP",
        b"CONNECTION: x-real-ip")),
    Family(21, "CVE-2025-48865", lines(b"Connection: Host", b"Connection: Authorization", b"Connection: Content-Length",
        b"Connection: Content-Type")),
    Family(21, "GHSA-w9mr-28mw-j8hg", lines(b"Connection: Transfer-Encoding", b"Connection: Cookie", b"Connection: a b", b"Connection: ,",
        b"Connection: ")),
    Family(24, "CVE-2024-45806", lines(b"X-Original-URL: /public", b"X-Original-URI: /public", b"X-Rewrite-URL: /public", b"x-original-METHOD: GET")),
    Family(26, "CVE-2026-34457", {
        agent: get(b"/admin", b"User-Agent: " + agent.encode()).replace(b"Authorization: Bearer sw_battery\r\n", b"")
        for agent in ("GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0", "Envoy/HC")
    }, code="unauthenticated"),
    Family(26, "CVE-2026-34457-path", {
        path: get(path.encode()).replace(b"Authorization: Bearer sw_battery\r\n", b"") for path in ("/livez", "/readyz", "/healthz", "/ping",
            "/metrics")
    }, code="unauthenticated"),
    Family(27, "CVE-2021-39206", {
        "content-type": request(b"POST", b"/items", JSON, b"Content-Type: text/plain", body=b"{}"),
        "content-type-equal": request(b"POST", b"/items", JSON, JSON, body=b"{}"), **lines(
            b"Authorization: Bearer sw_battery", b"authorization: Bearer x", b"Stagewarden-Asserts: {}\r\nstagewarden-asserts: {}",
            b"User-Agent: a\r\nUser-Agent: b", b"If-Match: 1\r\nIf-Match: 2", b"Range: bytes=0-1\r\nRange: bytes=2-3")}),
    Family(29, "CVE-2026-73552", lines(b"X-Role: \x80", b"X-Role: admin\xff", b"X-Role: \xc3\xa4", b"X-Role: a\x85b", b"X-R\xe9le: a",
        b"User-Agent: \xa0")),
    Family(30, "CVE-2023-27488", lines(b"X-A: caf\xe9", b"X-A: \xc3", b"X-A: \xed\xa0\x80", b"X-A: \xff\xfe", b"Authorization: Bearer \xe9")),
    Family(31, "GHSA-qc2q-p7wx-3px3", {
        "twice-in-two-cases": request(b"POST", b"/items", b"CONTENT-type: application/json", b"content-TYPE: application/json", body=b"{}"),
        **lines(b"x-HTTP-method-OVERRIDE: DELETE", b"X-REWRITE-url: /x", b"UPGRADE: h2c", b"hOST: app.test", b"TRAILER: x")}),
    Family(31, "GHSA-qc2q-p7wx-3px3", {"encoding": request(b"POST", b"/items", JSON, b"cONTENT-eNCODING: GZIP", body=b"{}")},
        code="unsupported_body"),
    Family(32, "CVE-2026-49468", hosts(
        b"a/../../x?y#z", b"app.test/x", b"app.test?x", b"app.test#x", b"a@app.test", b"app.test@evil.test", b"app .test", b"", b"app.test:99999",
        b"app.test:80x", b"app.test:-1", b"app.test:80:80", b"http://app.test", b"app.test, evil.test", b"app%2etest", b"app.test\\x", b"evil.test",
        b"[::1", b"app.t\xc3\xabst", b"app.test.", b"app.test:")),
    Family(33, "CVE-2026-34525", {
        **lines(b"Host: app.test", b"Host: evil.test", b"host: app.test", b"HOST: vault.test", b"Host: evil.test\r\nHost: app.test"),
        "missing": request(b"GET", b"/x", host=None), "missing-1.0": request(b"GET", b"/x", host=None, version=b"HTTP/1.0"),
        "missing-with-body": request(b"POST", b"/items", JSON, body=b"{}", host=None),
        "absolute": get(b"http://app.test/x"), "absolute-other": get(b"http://vault.test/secrets"), "absolute-upper": get(b"HTTP://app.test/x"),
        "absolute-userinfo": get(b"http://app.test@vault.test/"), "authority": get(b"app.test:443"), "scheme-only": get(b"http:///x"),
    }),
    Family(34, "CVE-2022-38580-original", lines(b"X-Original-Host: vault.test", b"X-Rewrite-Host: vault.test")),
    Family(35, "method-override", {
        **lines(b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method: DELETE", b"X-Method-Override: DELETE", b"x-http-method-override: GET"),
        "post": request(b"POST", b"/items", JSON, b"X-HTTP-Method-Override: DELETE", body=b"{}"),
        "form": request(b"POST", b"/wp-json/wp/v2/posts", FORM, body=b"_method=DELETE&title=x"),
        "form-encoded": request(b"POST", b"/wp-json/wp/v2/posts", FORM, body=b"%5fmethod=DELETE"),
    }),
    Family(35, "method-override-query", {
        "plain": get(b"/x?_method=DELETE"), "upper": get(b"/x?_METHOD=DELETE"), "encoded": get(b"/x?%5Fmethod=DELETE"),
        "post": request(b"POST", b"/items?_method=DELETE", JSON, body=b"{}"),
    }, code="denied", reason="query_not_listed"),
    Family(36, "aiohttp-lower-case-method", {
        method.decode("latin-1"): request(method, b"/x") for method in (b"get", b"GeT", b"Get", b"gET", b"G\xc3\x8bT", b"GE/T", b"GET:", b"GE\x00T",
            b"", b"(GET)")
    }),
)  # fmt: skip
FORWARDING = (
    "X-Forwarded-Uri: /public", "X-Forwarded-Method: GET", "X-Forwarded-Prefix: /public", "X-Forwarded-Port: 443", "X-Forwarded-Proto: https",
    "X-Forwarded-Scheme: https", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: vault.test", "X-Forwarded-Server: vault.test",
    "X-Forwarded-User: admin", "X-Forwarded-Email: root@app.test", "X-Forwarded-Groups: admin", "X-Forwarded-Access-Token: x",
    "X-Forwarded-Client-Cert: URI=spiffe://app.test/root", "X-Forwarded: for=127.0.0.1", "Forwarded: for=127.0.0.1;host=vault.test",
        "X-Real-IP: 127.0.0.1",
    "X-Client-IP: 10.0.0.1", "True-Client-IP: 10.0.0.1", "CF-Connecting-IP: 10.0.0.1", "X-Cluster-Client-IP: 10.0.0.1", "Via: 1.1 proxy",
    "X-Remote-User: admin", "Remote-User: admin", "Remote-Groups: admin", "X-Auth-Request-User: admin", "X-Auth-Request-Redirect: /public",
    "X-Authenticated-User: admin", "X-Client-Cert: MII", "SSL-Client-Cert: MII", "X-SSL-Client-Verify: SUCCESS",
)  # fmt: skip


OURS = {"stagewarden-ruling", "stagewarden-review"}  # arrive once, and are ours: `ours_once`


def withheld(*fields: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Each line alone, in another case and twice; and the names that must not arrive."""
    variants = {}
    for field in fields:
        name = field.partition(":")[0]
        variants |= {name: get(b"/admin", field.encode()), f"{name}-upper": get(b"/admin", field.upper().encode())}
        variants[f"{name}-twice"] = get(b"/admin", field.encode(), field.lower().encode())
    return variants, tuple(field.partition(":")[0].lower() for field in fields)


def kept_out(row: int, advisory: str, *fields: str) -> Sound:
    """The request is judged by its own line and sent without these."""
    variants, absent = withheld(*fields)
    return Sound(row, advisory, variants, absent=tuple(name for name in absent if name not in OURS))


SOUND = (
    kept_out(18, "CVE-2026-40575", "X-Forwarded-Uri: /public", "X-Forwarded-Method: GET"),
    kept_out(20, "CVE-2026-30851", "Stagewarden-Agent: root", "Stagewarden-Ruling: r_1", "Stagewarden-Review: human",
        "Stagewarden-Approval: granted"),
    kept_out(20, "CVE-2026-52845", "Remote-User: admin", "X-Auth-Request-User: admin", "X-Authenticated-User: admin"),
    Sound(21, "CVE-2026-29054-legitimate", {
        "own-hop": get(b"/x", b"Connection: X-Hop", b"X-Hop: 1", b"X-Kept: 2"), "case": get(b"/x", b"Connection: x-HOP", b"X-Hop: 1", b"X-Kept: 2"),
        "list": get(b"/x", b"Connection: keep-alive , X-Hop", b"X-Hop: 1", b"X-Kept: 2"),
    }, absent=("x-hop", "connection"), present=(("X-Kept", "2"),)),
    *(kept_out(22, advisory, *FORWARDING[number::4]) for number, advisory in
      enumerate(("CVE-2026-35051", "CVE-2026-39858", "CVE-2026-54764", "CVE-2026-33433"))),
    kept_out(23, "CVE-2026-33495", "X-Forwarded-Proto: https", "X-Forwarded-Scheme: https"),
    kept_out(24, "CVE-2023-27487", "X-Envoy-Original-Path: /public", "X-Envoy-Internal: true", "X-Envoy-External-Address: 127.0.0.1"),
    kept_out(24, "CVE-2024-45806", "X-Envoy-Original-Dst-Host: 127.0.0.1:1", "X-Envoy-Decorator-Operation: x"),
    kept_out(25, "CVE-2025-29927", "X-Middleware-Subrequest: src/middleware:src/middleware", "X-Middleware-Prefetch: 1", "Cookie: skip_policy=1"),
    Sound(27, "CVE-2021-32777", {"two-lines": get(b"/x", b"Role: user", b"Role: admin")}, present=(("Role", "user"), ("Role", "admin"))),
    Sound(27, "CVE-2021-32777", {"two-cases": get(b"/x", b"Role: user", b"ROLE: admin")}, present=(("Role", "user"), ("ROLE", "admin"))),
    Sound(28, "CVE-2026-26308", {"list": get(b"/x", b"Role: user,admin")}, present=(("Role", "user,admin"),)),
    Sound(28, "CVE-2026-31838", {"list-and-line": get(b"/x", b"Role: user, admin", b"Role: x")}, present=(("Role", "user, admin"), ("Role", "x"))),
    kept_out(34, "CVE-2022-38580", "X-Skipper-Proxy: http://vault.test", "X-Upstream: http://vault.test", "X-Host: vault.test"),
    kept_out(34, "GHSA-g53w-w6mj-hrpp", "mcp-init-host: vault.test", "X-Forwarded-Host: vault.test"),
)  # fmt: skip
NO_EXEMPTION = (
    "X-Middleware-Subrequest: src/middleware", "X-Skip-Auth: true", "X-Internal: 1", "X-Approved: true", "X-Approved-By: rita", "X-Dry-Run: true",
    "X-Debug: 1", "Cookie: skip_policy=1", "Stagewarden-Approval: granted", "Stagewarden-Grant: g_1", "User-Agent: kube-probe/1.30",
    "X-Forwarded-For: 127.0.0.1", "Origin: http://localhost", "Prefer: allow",
)  # fmt: skip


@pytest.mark.parametrize(("family", "raw"), params((*REFUSED, *SOUND)))
def test_header(ground, family, raw):
    """Refused with nothing sent, or sent without what was spoofed."""
    check(ground, family, raw)


@pytest.mark.parametrize("line", [pytest.param(line, id=f"CVE-2025-29927-{line.partition(':')[0]}") for line in NO_EXEMPTION])
def test_no_header_skips_judgement(ground, line):
    """What is prohibited stays prohibited, and what is held stays held, whatever the agent says beside it."""
    seen = ground.attack(request(b"DELETE", b"/articles/1", line.encode()))
    told(seen.only, "denied", "prohibited")
    assert seen.reached == ()
    body = json.dumps({"status": "publish", "line": line}).encode()
    seen = ground.attack(request(b"POST", b"/articles", JSON, line.encode(), body=body))
    assert (seen.only.code, seen.reached) == ("held", ())


@pytest.mark.parametrize(
    "method", [pytest.param(method, id=f"unknown-method-{method.decode()}") for method in (b"FOO", b"TRACE", b"TRACK", b"DEBUG", b"PROPFIND")]
)
def test_an_unlisted_method_is_a_no(ground, method):
    """No route can list it; a reader that knows its methods may say 400."""
    seen = ground.attack(request(method, b"/x"))
    assert seen.reached == ()
    assert seen.only.code in {"denied", "ambiguous_request"}


AROUND = {
    "tab-first": b"Role:\tadmin", "tab-last": b"Role: admin\t", "both": b"Role: \t admin \t ", "spaces": b"Role:   admin   ", "none": b"Role:admin",
}  # fmt: skip


@pytest.mark.parametrize("line", [pytest.param(line, id=f"GHSA-qc2q-p7wx-3px3-{name}") for name, line in AROUND.items()])
def test_white_space_around_a_value_is_no_part_of_it(ground, line):
    """RFC 9110 section 5.5: whoever receives it reads `admin`, so a rule about `admin` must hear no other word: cut off, or refused."""
    seen = ground.attack(get(b"/x", line))
    if seen.only.status == 400:
        told(seen.only, "ambiguous_request")
        return
    assert [value for name, value in exact(seen.reached[0]) if name == "Role"] == ["admin"]


def test_what_is_ours_is_said_once(ground):
    """The upstream's credential, Host and ruling are ours however often the agent said them."""
    said = [b"Stagewarden-Ruling: r_%d" % number for number in range(5)]
    seen = ground.attack(get(b"/x", *said, b"STAGEWARDEN-review: human"))
    assert seen.only.status == 200
    ours_once(seen.reached[0])
    assert seen.reached[0].header("stagewarden-ruling") == seen.only.header("stagewarden-ruling")
    assert seen.reached[0].header("stagewarden-review") == "auto"


ROWS = frozenset({family.row for family in (*REFUSED, *SOUND)})
