"""Who asks: rows 37, 38, 67, 69 and 70. One strict grammar, compared whole; nothing is an agent that is not exactly its key."""

import json

import pytest

from tests.attacks.cases import told
from tests.ground import get, request


def spelled(key: str) -> dict[str, str]:
    """Credentials that are nearly the key."""
    _, name, secret = key.split("_", 2)
    return {
        "CVE-2026-27840-cut-by-one": key[:-1], "CVE-2026-27840-half": key[: len(key) // 2], "CVE-2026-27840-suffix": key[1:],
        "CVE-2026-27840-prefix-alone": f"sw_{name}_", "CVE-2026-27840-no-secret": f"sw_{name}", "CVE-2026-27840-longer": f"{key}A",
        "CVE-2026-27840-padded": f"{key}=", "CVE-2026-27840-twice": f"{key}{key}", "CVE-2026-27840-word-more": f"{key} x",
        "CVE-2026-27840-comma": f"{key}, Bearer {key}", "CVE-2026-27840-first-flipped": f"sw_{name}_{secret.swapcase()}",
        "CVE-2026-40574-two-ats": f"sw_{name}@evil.test@app.test_{secret}", "CVE-2026-40574-other-name": f"sw_carol_{secret}",
        "CVE-2026-40574-unknown-name": f"sw_nobody_{secret}", "CVE-2026-40574-empty-name": f"sw__{secret}",
        "CVE-2026-47203-upper-name": f"sw_{name.upper()}_{secret}", "CVE-2026-47203-upper-prefix": f"SW_{name}_{secret}",
        "CVE-2026-47203-space-in-name": f"sw_{name} _{secret}", "CVE-2026-47203-dot": f"sw_{name}._{secret}",
            "CVE-2026-47203-path": f"sw_../{name}_{secret}",
        "CVE-2026-42208-quote": f"sw_{name}' OR '1'='1_{secret}", "CVE-2026-42208-union": f"sw_x' UNION SELECT * FROM holds--_{secret}",
        "CVE-2026-42208-comment": f"sw_{name}--_{secret}", "CVE-2026-42208-wildcard": f"sw_%_{secret}", "CVE-2026-42208-like": f"sw_mallor__{secret}",
    }  # fmt: skip


NAMES = [*spelled("sw_mallory_secret")]
SCHEMES = (
    "Basic {key}",
    "bearer{key}",
    "Token {key}",
    "Digest {key}",
    "{key}",
    "Bearer",
    "Bearer ",
    "Bearer  {key} ",
    '"Bearer {key}"',
    "Bearer\u0020\u0020{key}x",
)


def as_credential(value: str) -> bytes:
    """A GET with this Authorization."""
    return get(b"/x").replace(b"Bearer sw_battery", value.encode())


@pytest.mark.parametrize("name", NAMES)
def test_nearly_a_key_is_no_key(ground, name):
    """401, the same to everybody, and the upstream sees nothing."""
    seen = ground.attack(as_credential(f"Bearer {spelled(ground.house.keys['mallory'])[name]}"))
    told(seen.only, "unauthenticated")
    assert seen.only.header("www-authenticate")
    assert seen.reached == seen.strayed == ()


@pytest.mark.parametrize(
    "value", [b"sw_m\xc3\xa1llory_x", b"sw_mallory\xc2\xad_x", b"sw_mall\xd0\xberY_x", b"sw_mallory\xe2\x80\x8b_x", b"sw_mallory\x00_x"]
)
def test_cve_2026_47203_a_homoglyph_is_no_name(ground, value):
    """No byte beyond ASCII and no control is in any credential: the head itself is refused."""
    seen = ground.attack(get(b"/x").replace(b"sw_battery", value))
    told(seen.only, "ambiguous_request")
    assert seen.reached == ()


@pytest.mark.parametrize("scheme", SCHEMES[:6])
def test_another_scheme_is_nobody(ground, scheme):
    """Only Bearer carries a key."""
    seen = ground.attack(as_credential(scheme.format(key=ground.house.keys["mallory"])))
    told(seen.only, "unauthenticated")
    assert seen.reached == ()


@pytest.mark.parametrize("place", [b"/x?access_token=sw_battery", b"/x?key=sw_battery"])
def test_a_key_elsewhere_is_no_credential(ground, place):
    """A credential in the query is nobody's; it is not even judged."""
    seen = ground.attack(get(place).replace(b"Authorization: Bearer sw_battery\r\n", b""))
    told(seen.only, "unauthenticated")
    assert seen.reached == ()


@pytest.mark.parametrize(
    "line", [b"X-Api-Key: sw_battery", b"Proxy-Authorization: Bearer sw_battery", b"Cookie: token=sw_battery", b"X-Authorization: Bearer sw_battery"]
)
def test_a_key_in_another_header_is_no_credential(ground, line):
    """Only Authorization."""
    seen = ground.attack(get(b"/x", line).replace(b"Authorization: Bearer sw_battery\r\n", b"", 1))
    told(seen.only, "unauthenticated")
    assert seen.reached == ()


def test_cve_2021_41230_a_revoked_agent_is_refused(ground):
    """Its key is still the right one."""
    seen = ground.attack(get(b"/x"), agent="ended")
    told(seen.only, "revoked")
    assert seen.reached == ()


def test_ghsa_x883_2vmg_xwf7_a_pause_is_felt_by_the_next_request(ground):
    """Nothing about an agent is remembered past its pause, and its resumption is as quick."""

    def put(mode: str) -> int:
        body = json.dumps({"mode": mode, "reason": "drill"}).encode()
        token = b"Authorization: Bearer " + ground.house.tokens["lena"].encode()
        raw = b"PUT /api/v1/agents/carol/mode HTTP/1.1\r\nHost: 127.0.0.1\r\n" + token
        raw += b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        return ground.elsewhere(ground.sidecar.people_address, raw).status

    for _ in range(20):
        assert ground.attack(get(b"/x"), agent="carol").only.status == 200
        assert put("paused") == 200
        seen = ground.attack(get(b"/x"), agent="carol")
        assert (seen.answers[0].code, seen.reached) == ("paused", ())
        assert put("active") == 200


def test_the_body_of_nobody_is_not_read(ground):
    """401 before a byte of the body is asked for: no `100 Continue` for a stranger, and the connection is not used on."""
    raw = request(b"POST", b"/items", b"Content-Type: application/json", b"Expect: 100-continue", b"Content-Length: 500")
    with ground.connect() as connection:
        connection.sendall(raw.replace(b"sw_battery", b"sw_nobody_x"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


ROWS = frozenset({37, 38, 67, 69, 70})
