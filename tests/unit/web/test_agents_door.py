"""The agents' door against an upstream that answers in every way there is: relayed as it came, or an honest error."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientSession

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.newsroom import Newsroom
from tests.ports import free_ports
from tests.product import DRAFTER, PUBLISHER, Product, house, product
from tests.upstreams import ScriptedUpstream

READ = ("GET", "/newsroom/articles")


@asynccontextmanager
async def behind(folder, upstream, *changes):
    """The product in front of any upstream; `changes` of its configuration are (old, new)."""
    made = house(folder, upstream)
    for old, new in changes:
        made.config.write_text(made.config.read_text().replace(old, new, 1))
    async with running(configuration.load(made.config)) as sidecar, ClientSession(auto_decompress=False) as session:
        yield Product(sidecar, made, session, Newsroom(DRAFTER, PUBLISHER))


def hanging_up(raw):
    """Answers with these bytes and closes the connection."""

    async def script(peer):
        await peer.request()
        await peer.send(raw)
        await peer.end()

    return script


@pytest.mark.parametrize(
    ("method", "raw", "status", "body", "headers"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nok", 200, b"ok", {"X-A": ["1", "2"]}),
        ("GET", b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 201, b"abc", {}),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", {"Content-Type": []}),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n', 304, b"", {"ETag": ['"1"']}),
        ("GET", b"HTTP/1.1 302 Found\r\nLocation: https://else.example/\r\nContent-Length: 0\r\n\r\n", 302, b"",
         {"Location": ["https://else.example/"]}),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", 200, b"\x1f\x8b", {"Content-Encoding": ["gzip"]}),
        ("GET", b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n", 200, b"", {"Set-Cookie": ["a=1", "b=2"]}),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", {}),
        ("GET", b"HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 4\r\n\r\nbusy", 503, b"busy", {"Retry-After": ["9"]}),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\nX-A: 1\r\n\r\n", 200, b"", {"Content-Length": ["77"], "X-A": ["1"]}),
        ("GET", b"HTTP/1.1 200 OK\r\nStagewarden-Review: human\r\nConnection: X-Gone\r\nX-Gone: 1\r\nContent-Length: 0\r\n\r\n", 200, b"",
         {"Stagewarden-Review": ["auto"], "X-Gone": []}),
    ],
    ids=["headers-twice", "chunked", "204", "304", "redirect", "encoded", "cookies", "1xx", "5xx", "head", "ours-and-hop-by-hop"],
)  # fmt: skip
async def test_an_answer_is_relayed_as_it_came(tmp_path, method, raw, status, body, headers):
    """Status, end-to-end headers and body are the upstream's; what speaks in our name or ends at the next hop is not."""
    async with ScriptedUpstream(raw) as upstream, behind(tmp_path / "house", upstream.url) as product:
        reply = await product.ask(method, "/newsroom/articles")
    assert (reply.status, reply.body) == (status, body)
    assert {name: reply.headers.getall(name, []) for name in headers} == headers
    assert reply.headers["Stagewarden-Ruling"].startswith("r_")


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 502, "outcome_unknown"),
        (b"HTTP/1.1 200", 502, "outcome_unknown"),
        (b"nonsense\r\n\r\n", 502, "outcome_unknown"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 502, "outcome_unknown"),
    ],
    ids=["closed", "cut-head", "garbage", "upgrade"],
)
async def test_no_whole_answer_is_outcome_unknown(tmp_path, raw, status, code):
    """Bytes left and no answer head came back whole: the agent is told that nobody knows."""
    async with ScriptedUpstream(hanging_up(raw)) as upstream, behind(tmp_path / "house", upstream.url) as product:
        reply = await product.ask(*READ)
        assert (reply.status, reply.json["type"]) == (status, f"urn:stagewarden:problem:{code}")
        assert len(upstream.requests) == 1, "never retried"


async def test_an_answer_cut_half_way_is_seen_as_cut(tmp_path):
    """A body shorter than announced never ends cleanly at the agent."""
    cut = hanging_up(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    async with ScriptedUpstream(cut) as upstream, behind(tmp_path / "house", upstream.url) as product:
        with pytest.raises(ClientError):
            await product.ask(*READ)


async def test_an_upstream_nobody_answers_at_is_unavailable(tmp_path):
    """Nothing was sent, and it is said so."""
    (port,) = free_ports(1)
    async with behind(tmp_path / "house", f"http://127.0.0.1:{port}") as product:
        reply = await product.ask(*READ)
    assert (reply.status, reply.json["type"]) == (502, "urn:stagewarden:problem:upstream_unavailable")


async def test_cve_2026_71324_agents_share_no_connection(tmp_path):
    """An answer meant for one agent can never reach another: each has connections of its own."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with ScriptedUpstream(raw) as upstream, behind(tmp_path / "house", upstream.url) as product:
        for agent in ("drafter", "briefer", "drafter"):
            await product.ask("POST", "/newsroom/articles" if agent == "drafter" else "/intranet/articles", agent, json={"title": "x"})
        assert upstream.connections >= 2


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"GET /newsroom/articles HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://127.0.0.1/newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
        (b"get /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
        (b"GET /newsroom/articles HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
        (b"GET /newsroom/articles#x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
        (b"POST /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
        (b"GET /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\nX_Under: 1\r\n\r\n", b"400"),
        (b"GET /newsroom/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"414"),
        (b"GET /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 40000 + b"\r\n\r\n", b"431"),
        (b"GET /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-A: 1\r\n" * 150 + b"\r\n", b"431"),
        (b"GET /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", b"400"),
    ],
    ids=["no-host", "absolute", "lower-case", "http2", "fragment", "cl-te", "two-hosts", "underscore",
         "long-target", "long-header", "many-headers", "upgrade"],
)  # fmt: skip
async def test_a_malformed_head_is_refused_before_anybody_is_asked(tmp_path, wire, status):
    """Raw bytes on the socket: refused with our problem, and nothing reaches the upstream."""
    async with ScriptedUpstream(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as upstream, behind(tmp_path / "house", upstream.url) as product:
        reader, writer = await asyncio.open_connection(*product.sidecar.agents_address)
        writer.write(wire)
        answer = await asyncio.wait_for(reader.read(2000), 60)
        writer.close()
        assert answer.split(b" ", 2)[1] == status
        assert b"urn:stagewarden:problem:" in answer
        assert not upstream.requests


@pytest.mark.parametrize("over", [0, 1, 100_000], ids=["at-the-limit", "one-over", "far-over"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_ghsa_8qqm_fp2q_v734_a_body_is_complete_or_refused(tmp_path, over, chunked):
    """At the limit it is judged whole; over it 413, however it is framed, and the upstream sees nothing."""
    limit = 64 << 10
    body = b'{"title": "' + b"x" * (limit + over - 13) + b'"}'

    async def pieces():
        for at in range(0, len(body), 10_000):
            yield body[at : at + 10_000]

    async with ScriptedUpstream(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n") as upstream, behind(tmp_path / "house", upstream.url) as product:
        reply = await product.ask("POST", "/newsroom/articles", headers={"Content-Type": "application/json"}, data=pieces() if chunked else body)
        assert (reply.status, len(upstream.requests)) == ((201, 1) if over == 0 else (413, 0))
        if over == 0:
            assert upstream.requests[0].body == body


async def test_expect_continue_is_answered_only_after_the_head_was_acceptable(tmp_path):
    """`100 Continue` for a known agent on a listed route; a stranger gets 401 and sends no body."""
    async with ScriptedUpstream(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n") as upstream, behind(tmp_path / "house", upstream.url) as product:
        for key, first in ((product.house.keys["drafter"], b"HTTP/1.1 100 Continue"), ("nobody", b"HTTP/1.1 401 Unauthorized")):
            reader, writer = await asyncio.open_connection(*product.sidecar.agents_address)
            head = (
                f"POST /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            )
            writer.write(head.encode())
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).startswith(first)
            if b"100" in first:
                writer.write(b"{}")
                assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).startswith(b"HTTP/1.1 201")
            writer.close()
        assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("preference", "status", "only"),
    [
        ({}, 403, {}),
        ({"Prefer": "wait=0"}, 403, {}),
        ({"Prefer": "respond-async"}, 202, {"Preference-Applied": "respond-async"}),
    ],
    ids=["plain", "wait", "respond-async"],
)
async def test_a_held_agent_is_told_where_to_look(tmp_path, preference, status, only):
    """The contract's members and headers, whatever was preferred; the status is there for this agent alone, and the answer once it was sent."""
    async with product(tmp_path / "house") as made:
        made.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        told = await made.ask("POST", "/newsroom/articles/1/publish", headers=preference)
        hold = told.json["hold"]
        url = f"/.stagewarden/holds/{hold['id']}"
        assert (told.status, told.json["status"], told.json["type"]) == (status, status, "urn:stagewarden:problem:held")
        assert (told.json["ruling"], [reason["code"] for reason in told.json["reasons"]]) == (
            told.headers["Stagewarden-Ruling"],
            ["publish_not_granted", "restricted"],
        )
        assert (told.headers["Link"], int(told.headers["Retry-After"]) > 0) == (f'<{url}>; rel="status"', True)
        asynchronous = {name: told.headers[name] for name in ("Location", "Preference-Applied") if name in told.headers}
        assert asynchronous == ({**only, "Location": url} if only else {})
        assert (hold["state"], hold["status_url"], hold["expires_at"] > hold["asked_at"]) == ("pending", url, True)
        assert hold["seats"] == [{"functions": ["reviewer"], "needed": 1, "filled": 0}]
        assert not {"votes", "view_digest", "questions", "initiator"} & hold.keys()
        assert (await made.ask("GET", url, "briefer")).status == 404
        assert (await made.ask("POST", f"{url}/withdraw", "briefer")).status == 404
        assert "response" not in (await made.ask("GET", url)).json
        assert (await made.vote(hold["id"], "ines", "reviewer")).status == 200
        assert await made.ended(hold["id"]) == "done"
        seen = (await made.ask("GET", url)).json
        answer = seen["response"]
        assert (seen["state"], answer["status"], "publish" in answer["body"], bool(answer["headers"])) == ("done", 200, True, True)
        assert (await made.ask("POST", f"{url}/withdraw")).status == 409
