"""Mail to a real server in a process of its own: TLS with the right name before any password, one recipient, and every refusal told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.notify.mailing import Mail, Server
from stagewarden.wire.tls import client_context
from tests.authority import Authority
from tests.unit.holds.bench import HandClock
from tests.unit.notify.bench import NOTICE
from tests.unit.notify.smtp_server import smtp
from tests.upstreams import ScriptedUpstream

if TYPE_CHECKING:
    import ssl

ADDRESSES = {"rita": "rita@example.org"}


def mail(port: int, tls: str = "none", context: ssl.SSLContext | None = None, host: str = "localhost", **changes: object) -> Mail:
    """A channel to this server."""
    server = Server(host, port, tls, context, **{"seconds": 5.0, **changes})
    return Mail(server, "stagewarden@example.org", lambda target: target if "@" in target else ADDRESSES.get(target), HandClock())


@pytest.fixture
def tls(tmp_path):
    """A server's certificate for `localhost`, as settings; and whose word counts for it."""
    authority = Authority.make(tmp_path)
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    authority.server_certificate("localhost").save(certificate, key)
    return {"certificate": str(certificate), "key": str(key)}, client_context(authority.pem)


async def sent(channel: Mail, target: str = "rita") -> str:
    """What came of one message."""
    outcome = await channel.deliver("n_1", target, NOTICE.document())
    return f"{outcome.result} {outcome.code}"


async def test_a_message(tmp_path):
    """Plain text to one recipient, its subject and its id ours; nobody's machine answers it."""
    with smtp(tmp_path) as server:
        assert await sent(mail(server.port)) == "delivered smtp_250"
        assert await sent(mail(server.port), "desk@example.org") == "delivered smtp_250"
    (message, how), (_, other) = server.messages()
    assert (how["to"], how["from"], other["to"]) == (["rita@example.org"], "stagewarden@example.org", ["desk@example.org"])
    headers = {name: message[name] for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted")}
    assert headers == {
        "From": "stagewarden@example.org", "To": "rita@example.org", "Message-ID": "<n_1@example.org>", "Auto-Submitted": "auto-generated",
        "Subject": "[stagewarden] A request waits for people: high, post.publish, newsletter",
    }  # fmt: skip
    assert message.get_content_type() == "text/plain"
    assert message.get_content().rstrip().splitlines()[-1] == NOTICE.link


@pytest.mark.parametrize("how", ["starttls", "implicit"])
async def test_tls_before_the_password(tmp_path, tls, how):
    """The login goes over TLS, to the server whose certificate names it."""
    settings, context = tls
    with smtp(tmp_path, **settings, starttls=how == "starttls", login=True) as server:
        assert await sent(mail(server.port, how, context, user="stagewarden", password="hunter2")) == "delivered smtp_250"
        assert await sent(mail(server.port, how, context, user="stagewarden", password="wrong")) == "again smtp_login"
    ((_, how_it_came),) = server.messages()
    assert (how_it_came["tls"], how_it_came["login"]) == (True, True)


@pytest.mark.parametrize("how", ["starttls", "implicit"])
async def test_a_server_of_another_name_gets_nothing(tmp_path, tls, how):
    """The name in the certificate is the configured one, or there is no message and no password (CVE-class: STARTTLS without a check)."""
    settings, context = tls
    with smtp(tmp_path, **settings, starttls=how == "starttls") as server:
        assert (await sent(mail(server.port, how, context, host="127.0.0.1"))).startswith("again ")
        assert (await sent(mail(server.port, how, client_context(None)))).startswith("again ")  # an authority nobody knows
    assert server.messages() == []


async def test_starttls_that_was_taken_away(tmp_path):
    """A server, or somebody on the way, that offers no STARTTLS is not spoken to in clear."""
    with smtp(tmp_path) as server:
        assert await sent(mail(server.port, "starttls", client_context(None))) == "again smtp"
    assert server.messages() == []


@pytest.mark.parametrize(("refuses", "came"), [
    ({"rcpt": "550 no such user"}, "never smtp_550"), ({"rcpt": "450 greylisted"}, "again smtp_450"), ({"data": "554 spam"}, "never smtp_554"),
    ({"data": "451 later"}, "again smtp_451"),
], ids=["unknown recipient", "greylisted", "refused message", "later"])  # fmt: skip
async def test_refusals(tmp_path, refuses, came):
    """A permanent no ends it, a temporary one does not (RFC 5321 section 4.2.1)."""
    with smtp(tmp_path, refuses=refuses) as server:
        assert await sent(mail(server.port)) == came
    assert server.messages() == []


async def silent(peer):
    """Connected, and never a word."""
    await peer.reader.read()


async def garbage(peer):
    """Not SMTP."""
    await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def drops(peer):
    """Gone at once."""
    peer.drop()


@pytest.mark.parametrize(("script", "code"), [(silent, "timeout"), (garbage, "smtp"), (drops, "smtp")], ids=["silent", "garbage", "drops"])
async def test_servers_that_are_none(script, code):
    """Bounded in time, whatever it says."""
    async with ScriptedUpstream(script) as server:
        assert await sent(mail(server.port, seconds=0.5, host="127.0.0.1")) == f"again {code}"


async def test_nobody_there():
    """A port nobody listens at; a name nobody has; an address that hands out credentials."""
    async with ScriptedUpstream(silent) as server:
        port = server.port
    assert await sent(mail(port, host="127.0.0.1")) == "again no_connection"
    assert await sent(mail(25, host="nowhere.invalid")) == "again no_server"
    assert await sent(mail(25, host="169.254.169.254")) == "again no_server"


async def test_a_person_without_an_address_any_more():
    """Left, or taken out of the registry: there is nobody to write to."""
    assert await sent(mail(25), "gone") == "never no_address"


def test_the_password_is_not_shown():
    """Not in a representation, so not in a log."""
    assert "hunter2" not in repr(Server("localhost", 25, "none", None, 5.0, "stagewarden", "hunter2"))


async def test_a_line_break_makes_no_header(tmp_path):
    """Header injection: what is no name is left out, so that no recipient can be smuggled in (CWE-93)."""
    with smtp(tmp_path) as server:
        document = replace(NOTICE, kind="a\r\nBcc: all@example.org", workflow="b\nX: y").document()
        assert (await mail(server.port).deliver("n_1", "rita", document)).result == "delivered"
    ((message, how),) = server.messages()
    assert how["to"] == ["rita@example.org"]
    assert "Bcc" not in message.as_string()
