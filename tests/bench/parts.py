"""The processes a measurement needs: an upstream that answers 1 KB, and the bare aiohttp pass-through we are compared with.

`python -m tests.bench.parts upstream|passthrough PORT [UPSTREAM]`. Never part of the product.
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from yarl import URL

ANSWER = b'{"id": "1", "status": "draft", "body": "' + b"x" * 980 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)


class Upstream(asyncio.Protocol):
    """Answers every request at once; as little work as can be, so that the arm is what is measured."""

    def connection_made(self, transport):
        """A client came."""
        self.transport = transport
        self.data = b""

    def data_received(self, data):
        """Count bodies by Content-Length and answer each."""
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 : (head.find(b"\r\n", at) + 1 or len(head) + 1) - 1]) if at >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length :]
            self.transport.write(HEAD + ANSWER)


async def upstream(port):
    """Serve the upstream."""
    await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await asyncio.Event().wait()


async def passthrough(port, target):
    """An aiohttp server that forwards with one shared ClientSession and relays the answer: no policy, no record."""
    async with ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False) as session:

        async def forward(request):
            body = await request.read()
            headers = [(name, value) for name, value in request.headers.items() if name not in {"Host", "Content-Length"}]
            url = URL(target + request.raw_path, encoded=True)
            async with session.request(request.method, url, headers=headers, data=body, allow_redirects=False) as answer:
                return web.Response(status=answer.status, body=await answer.read(), headers={"Content-Type": answer.headers["Content-Type"]})

        await asyncio.get_running_loop().create_server(web.Server(forward, access_log=None), "127.0.0.1", port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(upstream(int(sys.argv[2])) if sys.argv[1] == "upstream" else passthrough(int(sys.argv[2]), sys.argv[3]))
