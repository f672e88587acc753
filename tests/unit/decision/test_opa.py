"""The OPA engine's behaviour around a reply: deadlines, the breaker, no pile-up, control, configuration."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.clock import SystemClock
from stagewarden.config import Config, OpaServer, Places, Policy, Secret, Secrets
from stagewarden.decision import load_bundle, make
from stagewarden.decision.opa import Address, OpaDecider
from stagewarden.decision.opa.breaker import FAILURES, REST, Breaker
from stagewarden.decision.opa.connection import MAX_OPEN
from stagewarden.decision.opa.control import Overtaken
from stagewarden.decision.opa.reply import BadReply, Reader
from stagewarden.errors import ConfigError, PolicyUnavailable
from stagewarden.model import Question
from tests.unit.decision.scripted import Reply, Scripted, listening
from tests.unit.decision.test_opa_replies import CASES, HASTE, PATIENCE, engine_for, own_reply, reply_of

ASK = Question({"version": 1})


class HandClock(SystemClock):
    """Monotonic time moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds, as set."""
        return self.now


async def cause(engine: OpaDecider) -> str:
    """Why there is no verdict."""
    with pytest.raises(PolicyUnavailable) as caught:
        await engine.decide(ASK)
    return caught.value.cause


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    """The whole table: closed, open, half-open, closed again; half-open, open again."""
    clock = HandClock()
    breaker = Breaker(clock)
    for _ in range(FAILURES - 1):
        assert breaker.may_ask()
        breaker.failed()
    breaker.succeeded()
    for _ in range(FAILURES):
        assert breaker.may_ask()
        breaker.failed()
    assert not breaker.may_ask()
    clock.now += REST
    assert breaker.may_ask()
    assert not breaker.may_ask()  # one probe
    breaker.failed()
    assert not breaker.may_ask()
    clock.now += REST
    assert breaker.may_ask()
    breaker.abandoned()
    assert breaker.may_ask()
    assert breaker.succeeded()
    assert breaker.may_ask()
    assert not breaker.succeeded()


async def test_a_dead_opa_is_a_no_at_once_and_then_is_not_asked(tmp_path: Path) -> None:
    """Refused connections do not wait for the deadline; then the breaker answers; one probe finds OPA again."""
    path = tmp_path / "opa.sock"
    clock = HandClock()
    engine = OpaDecider(Address(str(path), "localhost", 0, tls=False), "r1", PATIENCE, clock)
    assert [await cause(engine) for _ in range(FAILURES)] == ["error"] * FAILURES
    assert await cause(engine) == "breaker_open"
    async with listening(Scripted([own_reply()]), path):
        assert await cause(engine) == "breaker_open"
        clock.now += REST
        assert (await engine.decide(ASK)).effect == "deny"
        await engine.close()


async def test_a_silent_opa_costs_one_deadline_whoever_waits(tmp_path: Path) -> None:
    """A hundred questions at once are all before OPA, none is queued behind another, and each is answered at its deadline."""
    path = tmp_path / "opa.sock"
    script = Scripted([Reply(b"", {"then": "hang"})])
    async with listening(script, path):
        patient, hasty = engine_for(path), engine_for(path, HASTE)
        asking = [asyncio.create_task(patient.decide(ASK)) for _ in range(100)]
        while len(script.requests) < len(asking):  # noqa: ASYNC110 - sockets set no event
            await asyncio.sleep(0.01)
        assert not [task for task in asking if task.done()]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert set(await asyncio.gather(*(cause(hasty) for _ in range(100)))) <= {"timeout", "breaker_open"}
        await patient.close()
        await hasty.close()


async def test_beyond_the_bound_a_question_is_refused_not_queued(tmp_path: Path) -> None:
    """No more connections than MAX_OPEN, and no queue behind them."""
    path = tmp_path / "opa.sock"
    script = Scripted([Reply(b"", {"then": "hang"})])
    async with listening(script, path):
        engine = engine_for(path, HASTE)
        await asyncio.gather(*(cause(engine) for _ in range(MAX_OPEN + 50)))
        assert script.connections <= MAX_OPEN
        assert not engine._pool._open
        await engine.close()


async def test_a_cancelled_question_takes_its_connection_along(tmp_path: Path) -> None:
    """The reply that is still on its way must not meet the next question; a cancelled question says nothing about OPA."""
    path = tmp_path / "opa.sock"
    slow = reply_of(CASES["control/allow"])
    slow.timing["delay_ms"] = 1000  # well within the second question's deadline: on a connection that was kept it would come
    script = Scripted([own_reply(), slow, own_reply()])
    async with listening(script, path):
        engine = OpaDecider(Address(str(path), "localhost", 0, tls=False), "r1", 5.0, SystemClock())
        await engine.decide(ASK)
        task = asyncio.create_task(engine.decide(ASK))
        while len(script.requests) < 2:  # noqa: ASYNC110 - a turn of the loop at a time
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await engine.decide(ASK)).effect == "deny"
        assert script.connections == 2
        await engine.close()


async def test_the_question_goes_out_as_the_contract_says(tmp_path: Path) -> None:
    """Query, provenance, token, and the question as `input`, framed by its length."""
    path = tmp_path / "opa.sock"
    script = Scripted([own_reply()])
    async with listening(script, path):
        engine = OpaDecider(Address(str(path), "localhost", 0, tls=False), "r1", 5.0, SystemClock(), token="s3")
        await engine.decide(Question({"version": 1, "text": "né"}))
        await engine.close()
    head, _, body = script.requests[0].partition(b"\r\n\r\n")
    assert body == '{"input":{"version":1,"text":"né"}}'.encode()
    assert head.split(b"\r\n") == [
        b"POST /v1/data/stagewarden/main/verdict?provenance=true HTTP/1.1", b"Host: localhost", b"Authorization: Bearer s3",
        b"Content-Type: application/json", b"Content-Length: %d" % len(body),
    ]  # fmt: skip


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for `localhost`, and the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context, path


async def test_tls_is_verified_against_the_systems_authorities_and_the_name(
    tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown authority and a name that is not in the certificate are a no; a trusted one is asked, on one connection again and again."""
    context, certificate = tls
    script = Scripted([own_reply()])
    async with listening(script, None, context) as port:
        engine = OpaDecider(Address.parse(f"https://localhost:{port}", Path()), "r1", 5.0, SystemClock())
        assert await cause(engine) == "error"
        await engine.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        engine = OpaDecider(Address.parse(f"https://127.0.0.1:{port}", Path()), "r1", 5.0, SystemClock())
        assert await cause(engine) == "error"
        await engine.close()
        assert script.requests == []
        before = script.connections
        engine = OpaDecider(Address.parse(f"https://localhost:{port}", Path()), "r1", 5.0, SystemClock())
        for _ in range(3):
            assert (await engine.decide(ASK)).effect == "deny"
        assert script.connections == before + 1
        await engine.close()


async def test_control_of_a_dead_opa_fails_plainly(tmp_path: Path) -> None:
    """Loading and the self-test say that OPA is not there."""
    engine = engine_for(tmp_path / "opa.sock")
    with pytest.raises(PolicyUnavailable):
        await engine.load({"revision": "x"})
    with pytest.raises(PolicyUnavailable):
        await engine.self_test()
    await engine.close()


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(1, 40), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"]))
def test_any_bytes_in_any_pieces_are_a_reply_or_not(data: bytes, size: int, prefix: bytes) -> None:
    """The reader gives a Reply, waits, or raises BadReply, and is not swayed by where the pieces end."""
    assert _read(prefix + data, size) == _read(prefix + data, 10_000)


@pytest.mark.parametrize("name", ["control/allow", "control/allow-chunked", "framing/chunk-ext-huge", "size/over-64k", "head-syntax/fold"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_trickled_reply_is_the_same_reply(name: str, size: int) -> None:
    """One byte at a time is read as all at once."""
    data = reply_of(CASES[name]).data
    assert _read(data, size) == _read(data, 1 << 20)


def _read(data: bytes, size: int) -> object:
    reader = Reader()
    try:
        for at in range(0, len(data), size):
            reply = reader.feed(data[at : at + size])
            if reply is not None:
                return reply.status, reply.body
    except BadReply:
        return "bad"
    return None


ADDRESSES = {
    "unix": ("unix:run/opa.sock", Address("/etc/sw/run/opa.sock", "localhost", 0, tls=False), "localhost"),
    "unix absolute": ("unix:/run/opa.sock", Address("/run/opa.sock", "localhost", 0, tls=False), "localhost"),
    "loopback": ("http://127.0.0.1:8181", Address(None, "127.0.0.1", 8181, tls=False), "127.0.0.1:8181"),
    "loopback by name": ("http://localhost", Address(None, "localhost", 8181, tls=False), "localhost:8181"),
    "loopback v6": ("http://[::1]:9000/", Address(None, "::1", 9000, tls=False), "[::1]:9000"),
    "tls": ("https://opa.internal", Address(None, "opa.internal", 443, tls=True), "opa.internal:443"),
}


@pytest.mark.parametrize(("url", "address", "authority"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_is_read(url: str, address: Address, authority: str) -> None:
    """A unix socket beside the configuration, loopback, or TLS."""
    assert Address.parse(url, Path("/etc/sw")) == address
    assert address.authority == authority


REFUSED = [
    "http://opa.internal:8181",
    "ftp://127.0.0.1",
    "127.0.0.1:8181",
    "http://127.0.0.1/v1",
    "http://u:p@127.0.0.1",
    "http://127.0.0.1?x=1",
    "",
    "http://:1",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_safe_is_refused(url: str) -> None:
    """Plain HTTP to another machine, a path, credentials, or no address at all."""
    with pytest.raises(ValueError, match="is "):
        Address.parse(url, Path())


def configured(tmp_path: Path, environment: str, **opa: Any) -> Config:
    """As much of a configuration as `make` looks at."""
    policy = Policy(engine="opa", opa=OpaServer(**opa) if opa else None)
    return SimpleNamespace(policy=policy, base=tmp_path, environment=environment)  # type: ignore[return-value]


def made(config: Config, tmp_path: Path) -> object:
    """`make` with the parts it is given by app.py."""
    return make(config, Secrets(tmp_path, {"OPA": "s3"}), SystemClock(), load_bundle(config.policy.bundle, tmp_path, Places("", tmp_path)))


def test_production_wants_a_token_on_tcp(tmp_path: Path) -> None:
    """Over TCP any local program could answer or be asked."""
    with pytest.raises(ConfigError, match=r"policy\.opa\.token"):
        made(configured(tmp_path, "production", url="http://127.0.0.1:8181"), tmp_path)
    assert isinstance(made(configured(tmp_path, "production", url="http://127.0.0.1:8181", token=Secret("env:OPA")), tmp_path), OpaDecider)
    assert isinstance(made(configured(tmp_path, "production", url="unix:opa.sock"), tmp_path), OpaDecider)
    assert isinstance(made(configured(tmp_path, "sandbox", url="http://127.0.0.1:8181"), tmp_path), OpaDecider)


def test_an_engine_without_an_address_is_refused(tmp_path: Path) -> None:
    """The problem names the key."""
    with pytest.raises(ConfigError, match=r"policy\.opa: is missing"):
        made(configured(tmp_path, "production"), tmp_path)
    with pytest.raises(ConfigError, match=r"policy\.opa\.url"):
        made(configured(tmp_path, "production", url="http://opa.example"), tmp_path)


async def test_a_registry_that_was_overtaken_is_pushed_again():
    """A worker may mend OPA with the earlier registry while the house pushes the next: the house has the last word, and gives up in the end."""

    class Contested:
        def __init__(self, others: int) -> None:
            self.others = others

        async def push(self, document):
            self.others -= 1
            if self.others >= 0:
                raise Overtaken("another")

    decider = object.__new__(OpaDecider)
    decider._document, decider._control = None, Contested(3)
    await decider.load({"revision": "b"})
    assert (decider._document, decider._control.others) == ({"revision": "b"}, -1)
    decider._control = Contested(1_000)
    with pytest.raises(Overtaken):
        await decider.load({"revision": "c"})
    assert decider._document == {"revision": "b"}
