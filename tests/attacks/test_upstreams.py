"""Where a request may go, and from which name we may be asked: rows 48 to 50 and 89. Only the configuration says where."""

import pytest

from stagewarden.errors import ConfigError
from tests.attacks.cases import Family, check, params, told
from tests.ground import HOUSE, get, request, standing
from tests.ports import free_ports

SPELLINGS = (
    b"127.0.0.1", b"127.1", b"127.0.1", b"2130706433", b"0x7f000001", b"0x7f.0.0.1", b"0177.0.0.1", b"017700000001", b"[::1]", b"[0:0:0:0:0:0:0:1]",
    b"0.0.0.0", b"localhost", b"LOCALHOST", b"localhost.", b"vault.test.", b"app.test.", b"x.app.test", b"app.test.evil.test", b"evil.test",
    b"169.254.169.254", b"metadata.google.internal", b"[fd00:ec2::254]", b"[fe80::1%25eth0]", b"[fe80::1%eth0]", b"user@vault.test",
    b"vault.test@app.test",
    b"xn--vlt-qla.test", b"va\xc3\xbalt.test", b"vault%2etest", b"vault\xe3\x80\x82test", b"[vault.test]", b"vault.test]", b"vault.test:0x50", b"*",
)  # fmt: skip
MAPPED = (
    b"[::ffff:127.0.0.1]", b"[::ffff:7f00:1]", b"[::ffff:169.254.169.254]", b"[::ffff:a9fe:a9fe]", b"[64:ff9b::a9fe:a9fe]", b"[2002:7f00:1::]",
    b"[::127.0.0.1]",
)  # fmt: skip


def hosts(*values: bytes) -> dict[str, bytes]:
    """A GET under each Host, named after it."""
    return {value.decode("latin-1"): request(b"GET", b"/secrets", host=value) for value in values}


REFUSED = (
    Family(48, "CVE-2022-24825", hosts(*SPELLINGS[:17])),
    Family(48, "CVE-2022-29188", hosts(*SPELLINGS[17:])),
    Family(49, "GHSA-7jmw-8259-q9jx", hosts(*MAPPED)),
    Family(50, "CVE-2018-14505", hosts(b"rebound.evil.test", b"rebound.evil.test:8080", b"127.0.0.1.evil.test")),
)
REBOUND = ("evil.test", "evil.test:80", "127.0.0.1.evil.test", "localhost.evil.test", "app.test")


@pytest.mark.parametrize(("family", "raw"), params(REFUSED))
def test_host(ground, family, raw):
    """A Host is one we answer to, letter by letter, or the request is nobody's."""
    check(ground, family, raw)


@pytest.mark.parametrize("host", [pytest.param(host, id=f"CVE-2025-66414-{host}") for host in REBOUND])
@pytest.mark.parametrize("path", ["/", "/api/v1/holds", "/api/v1/me"])
def test_dns_rebinding_of_the_people_s_listener(ground, path, host):
    """Also with a good credential: the name is looked at first."""
    token = ground.house.tokens["lena"]
    raw = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    assert ground.elsewhere(ground.sidecar.people_address, raw).status in {400, 421}


@pytest.mark.parametrize(
    "origin", ["http://evil.test", "null", "http://127.0.0.1:1", "http://localhost.evil.test", "http://evil.test http://127.0.0.1"]
)
def test_cve_2026_34742_another_origin_writes_nothing(ground, origin):
    """A browser that says where from is refused, whatever credential it carries."""
    token = ground.house.tokens["lena"]
    body = b'{"mode":"active","reason":"drill"}'
    head = f"PUT /api/v1/agents/carol/mode HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\nAuthorization: Bearer {token}\r\n"
    raw = head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert ground.elsewhere(ground.sidecar.people_address, raw).status == 403
    own = raw.replace(f"Origin: {origin}".encode(), b"Origin: http://127.0.0.1")
    assert ground.elsewhere(ground.sidecar.people_address, own).status == 200


def test_dns_rebinding_of_the_operators_listener(ground):
    """What a page under another name could read: metrics and revisions."""
    raw = b"GET /metrics HTTP/1.1\r\nHost: evil.test\r\n\r\n"
    assert ground.elsewhere(ground.sidecar.operations_address, raw).status in {400, 403, 421}


PLANES = {
    "CVE-2020-11710-people": b"/api/v1/holds", "CVE-2020-11710-console": b"/login", "CVE-2026-27589-configuration": b"/config/",
    "CVE-2026-27589-load": b"/load", "CVE-2023-37918-metrics": b"/metrics", "CVE-2021-32783-health": b"/readyz",
}  # fmt: skip


@pytest.mark.parametrize("name", PLANES)
def test_the_agents_listener_serves_no_other_plane(ground, name):
    """What is an administrator's elsewhere is a path like any other here: it goes to the upstream or nowhere."""
    seen = ground.attack(get(PLANES[name]))
    assert [received.target.encode() for received in seen.reached] == ([PLANES[name]] if seen.only.status == 200 else [])
    assert seen.only.status in {200, 403}


def test_cve_2020_11710_our_own_listeners_are_no_upstream(tmp_path):
    """An upstream that is a listener of ours does not start: an agent never talks to its own gatekeeper. By address at connecting, too: `pool`."""
    people, operations = free_ports(2)
    source = tmp_path / "source"
    source.mkdir()
    for file in HOUSE.iterdir():
        text = file.read_text().replace('people: {bind: "127.0.0.1:0"}', f'people: {{bind: "127.0.0.1:{people}"}}')
        text = text.replace('operations: {bind: "127.0.0.1:0"}', f'operations: {{bind: "127.0.0.1:{operations}"}}')
        (source / file.name).write_text(text.replace("@NEWSROOM@", f"http://127.0.0.1:{people}"))
    with pytest.raises(ConfigError, match="is one of our own listeners"), standing(tmp_path / "house", source=source):
        pytest.fail("it started")


def test_cve_2022_38580_no_answer_comes_from_where_the_agent_points(ground):
    """Each way to name another upstream at once; the configured one answers."""
    fields = (b"X-Upstream: http://vault.test", b"X-Skipper-Proxy: http://vault.test", b"mcp-init-host: vault.test", b"X-Forwarded-Host: vault.test")
    seen = ground.attack(get(b"/secrets", *fields))
    assert (len(seen.reached), seen.strayed) == (1, ())


def test_what_the_vault_lists_is_prohibited_by_its_own_name(ground):
    """The control for every test that nothing strayed: the vault is there, and its route is judged by its own rules."""
    seen = ground.attack(request(b"GET", b"/secrets", host=b"vault.test"))
    told(seen.only, "denied", "prohibited")
    assert (seen.reached, seen.strayed) == ((), ())


ROWS = frozenset({family.row for family in REFUSED} | {34, 89})
