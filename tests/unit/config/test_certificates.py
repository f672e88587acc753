"""Certificates, keys and authorities that the configuration names: what no handshake could succeed with is found before there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from stagewarden.clock import SystemClock
from stagewarden.config import Secrets, certificates
from stagewarden.config.units import Misfit
from tests.authority import Authority
from tests.unit.config.parts import SMALL, changed, loaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stagewarden.errors import Problem

TLS = {"certificate": "file:svid.pem", "key": "file:svid_key.pem", "client_ca": "file:bundle.pem"}
SECURE = changed("listen.agents", {"bind": "127.0.0.1:8443", "tls": TLS}) | {
    "upstreams": {"cms": SMALL["upstreams"]["cms"] | {"url": "https://cms.internal", "ca": "file:cms-ca.pem"}}
}


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """An authority, with its files of a listener and of an upstream in place."""
    (tmp_path / "authority").mkdir()
    made = Authority.make(tmp_path / "authority")
    made.server_certificate("localhost").save(tmp_path / "svid.pem", tmp_path / "svid_key.pem")
    for name in ("bundle.pem", "cms-ca.pem"):
        (tmp_path / name).write_text(made.pem)
    return made


def found(folder: Path) -> tuple[Problem, ...]:
    """Everything, of listeners and upstreams."""
    config, secrets, now = loaded(folder, SECURE), Secrets(folder, {}), SystemClock().now_ns()
    return certificates.of_listeners(config, secrets, now) + certificates.of_upstreams(config, secrets, now)


def test_files_that_belong_together(tmp_path: Path, ours: Authority) -> None:
    """Nothing to say; also with an intermediate behind the first, and prose between certificates."""
    assert found(tmp_path) == ()
    with (tmp_path / "svid.pem").open("a") as chain:
        chain.write(f"# Prüfstelle\n{ours.pem}")
    assert found(tmp_path) == ()


def put(name: str, text: Callable[[Authority], str | bytes], mode: int = 0o600) -> Callable[[Path, Authority], None]:
    """One file with other content."""

    def change(folder: Path, ours: Authority) -> None:
        content = text(ours)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (folder / name).chmod(mode)

    return change


def missing(name: str) -> Callable[[Path, Authority], None]:
    """One file less."""
    return lambda folder, _: (folder / name).unlink()


def renewed(first: float, last: float) -> Callable[[Path, Authority], None]:
    """Another certificate with its key, valid between these days."""
    return lambda folder, ours: ours.server_certificate("localhost", days=(first, last)).save(folder / "svid.pem", folder / "svid_key.pem")


def authority_first(folder: Path, ours: Authority) -> None:
    """The chain in the wrong order."""
    (folder / "svid.pem").write_text(ours.pem + (folder / "svid.pem").read_text())


def encrypted(ours: Authority) -> bytes:
    """A key behind a passphrase."""
    sealed = serialization.BestAvailableEncryption(b"hunter2")
    return ours.svid().key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)


C, K, A, U = "listen.agents.tls.certificate", "listen.agents.tls.key", "listen.agents.tls.client_ca", "upstreams.cms.ca"
ERRORS = {
    "no_certificate": (missing("svid.pem"), C, "cannot be read"),
    "empty_certificate": (put("svid.pem", lambda _: "\n"), C, "is empty"),
    "nonsense": (put("svid.pem", lambda _: "hunter2"), C, "holds no certificate"),
    "a_key_for_a_certificate": (put("svid.pem", lambda ca: ca.svid().key_pem), C, "holds no certificate"),
    "half_a_certificate": (put("svid.pem", lambda ca: ca.pem[:200]), C, "holds no certificate"),
    "writable_certificate": (put("svid.pem", lambda ca: ca.pem, 0o646), C, "writable by every user"),
    "expired": (renewed(-3, -1), C, "expired at"),
    "not_yet": (renewed(1, 2), C, "is not valid before"),
    "no_key": (missing("svid_key.pem"), K, "cannot be read"),
    "open_key": (put("svid_key.pem", lambda ca: ca.svid().key_pem, 0o644), K, "is open to every user"),
    "encrypted_key": (put("svid_key.pem", encrypted), K, "is encrypted"),
    "a_certificate_for_a_key": (put("svid_key.pem", lambda ca: ca.pem), K, "holds no private key"),
    "another_key": (put("svid_key.pem", lambda ca: ca.svid().key_pem), K, "is not the key of the first certificate"),
    "the_authority_first": (authority_first, K, "is not the key of the first certificate"),
    "no_authorities": (missing("bundle.pem"), A, "cannot be read"),
    "empty_authorities": (put("bundle.pem", lambda _: ""), A, "is empty"),
    "authorities_in_prose": (put("bundle.pem", lambda _: "# none yet\n"), A, "holds no certificate"),
    "writable_authorities": (put("bundle.pem", lambda ca: ca.pem, 0o666), A, "writable by every user"),
    "a_leaf_among_authorities": (put("bundle.pem", lambda ca: ca.pem.encode() + ca.svid().pem), A, "no authority"),
    "all_authorities_expired": (put("bundle.pem", lambda ca: ca.svid(days=(-3, -1), ca=True).pem), A, "expired at"),
    "no_upstream_authorities": (missing("cms-ca.pem"), U, "cannot be read"),
    "upstream_authorities_in_prose": (put("cms-ca.pem", lambda _: "hunter2"), U, "holds no certificate"),
    "upstream_authorities_expired": (put("cms-ca.pem", lambda ca: ca.svid(days=(-3, -1)).pem), U, "expired at"),
}


@pytest.mark.parametrize(("change", "key", "message"), ERRORS.values(), ids=ERRORS)
def test_what_no_handshake_could_succeed_with(
    tmp_path: Path, ours: Authority, change: Callable[[Path, Authority], None], key: str, message: str
) -> None:
    """Row 52: an empty or unreadable list of authorities refuses to start. At the key that names the file, with a remedy, and nothing of it."""
    change(tmp_path, ours)
    problems = [problem for problem in found(tmp_path) if problem.severity == "error"]
    assert [problem.key for problem in problems] == [key]
    assert message in problems[0].message
    assert problems[0].line > 0
    assert problems[0].remedy
    assert "hunter2" not in str(problems)


def test_an_old_authority_beside_a_good_one_is_a_gap(tmp_path: Path, ours: Authority) -> None:
    """Bundles keep it while authorities rotate."""
    put("bundle.pem", lambda ca: ca.pem.encode() + ca.svid(days=(-3, -1), ca=True).pem)(tmp_path, ours)
    (problem,) = found(tmp_path)
    assert (problem.severity, problem.key) == ("warning", A)


def test_an_upstreams_own_certificate_will_do(tmp_path: Path, ours: Authority) -> None:
    """A self-signed upstream is trusted by naming exactly its certificate."""
    put("cms-ca.pem", lambda ca: ca.server_certificate("cms.internal", self_signed=True).pem)(tmp_path, ours)
    assert found(tmp_path) == ()


def test_only_certificates_of_the_file_are_handed_on(tmp_path: Path, ours: Authority) -> None:
    """Keys and prose in it are not; without a certificate there is nothing."""
    config = loaded(tmp_path, SECURE)
    file = config.upstreams["cms"].ca
    assert file is not None
    put("cms-ca.pem", lambda ca: f"# Prüfstelle\n{ca.pem}".encode() + ca.svid().key_pem)(tmp_path, ours)
    assert certificates.authorities(Secrets(tmp_path, {}), file) == ours.pem
    put("cms-ca.pem", lambda _: "# none")(tmp_path, ours)
    with pytest.raises(Misfit):
        certificates.authorities(Secrets(tmp_path, {}), file)
