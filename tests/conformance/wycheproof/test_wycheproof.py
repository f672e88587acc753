"""Wycheproof's JWS, JWK and Ed25519 vectors against the code that checks agents' tokens; every deviation is argued here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64encode

from stagewarden.errors import BadCredential
from stagewarden.identity.jws import ALGORITHMS, BadKeySet, parse_key_set, take_apart, verify

HERE = Path(__file__).parent


def cases(part: str) -> list[Any]:
    """The cases of one file, each with its key."""
    suite = json.loads((HERE / f"{part}.json").read_text())
    return [pytest.param(case, suite["keys"][case["key"]]["jwk"], id=case["id"]) for case in suite["cases"]]


def accepted(token: object, jwk: dict[str, Any]) -> bool:
    """Whether the token passes with this key or key set, by the steps of identity/jwt.py before any claim is read."""
    unverified = take_apart(token) if isinstance(token, str) else None
    if unverified is None or unverified.algorithm not in ALGORITHMS:
        return False
    try:
        key = parse_key_set(json.dumps(jwk if "keys" in jwk else {"keys": [jwk]}).encode()).pick(unverified.kid, unverified.algorithm)
        if key is None:
            return False
        verify(unverified, key)
    except (BadCredential, BadKeySet):
        return False
    return True


# Valid by the vector, refused by us:
DEVIATIONS = {
    "symmetric": "a key that verifies could also sign: no agent's token is accepted on a shared secret",
    "empty": "a token without claims names nobody",
    "alg": "the key set says for which algorithm the key is (RFC 7517 section 4.4), and the token uses another",
}


def deviation(case: dict[str, Any], jwk: dict[str, Any]) -> str | None:
    """Which of our rules refuses a token that a vector calls valid."""
    keys = jwk.get("keys", [jwk])
    if all(key["kty"] == "oct" for key in keys):
        return "symmetric"
    if case["jws"].split(".")[1] == "":
        return "empty"
    unverified = take_apart(case["jws"])
    return "alg" if unverified is not None and unverified.algorithm not in {key["alg"] for key in keys} else None


@pytest.mark.parametrize(("case", "jwk"), [*cases("jws"), *cases("jwk"), *cases("jwc")])
def test_jws(case: dict[str, Any], jwk: dict[str, Any]) -> None:
    """Invalid is refused; valid is accepted, or refused by one of three rules of ours."""
    if accepted(case["jws"], jwk):
        assert case["result"] == "valid"
    elif case["result"] == "valid":
        assert deviation(case, jwk) in DEVIATIONS


def test_the_vectors_are_not_all_refused() -> None:
    """The asymmetric valid vectors do pass: the suite proves more than a closed door."""
    valid = [param.values for part in ("jws", "jwk", "jwc") for param in cases(part) if param.values[0]["result"] == "valid"]
    passing = [case["id"] for case, jwk in valid if accepted(case["jws"], jwk)]
    assert len(passing) + len([1 for case, jwk in valid if deviation(case, jwk)]) == len(valid)
    assert len(passing) >= 20


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in json.loads((HERE / "ed25519.json").read_text())["cases"]])
@pytest.mark.parametrize("algorithm", ["Ed25519", pytest.param("EdDSA", marks=pytest.mark.filterwarnings("ignore:EdDSA is deprecated"))])
def test_ed25519(case: dict[str, Any], algorithm: str) -> None:
    """The algorithm our tokens are verified with answers as the vector says, over its raw message."""
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(bytes.fromhex(case["pk"])).decode()})
    verifier = jws.JWSRegistry.algorithms[algorithm]
    assert verifier.verify(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]), key) is (case["result"] == "valid")
