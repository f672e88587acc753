"""The processes a measurement needs: an upstream that answers 1 KB, and the bare aiohttp pass-through we are compared with.

`python -m tests.bench.parts upstream|passthrough PORT [UPSTREAM]`. Never part of the product.
"""

import asyncio
import heapq
import select
import socket
import sys
import time

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from yarl import URL

ANSWER = b'{"id": "1", "status": "draft", "body": "' + b"x" * 980 + b'"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
EVENT = b"data: one\n\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(EVENT), EVENT)
REST = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT)
GAP = 0.1  # seconds between the two events of a stream: whoever waits for the end is seen
BIG = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % (8 << 20) + bytes(8 << 20)


class Upstream:
    """Answers every request at once on one epoll, so that the arm is what is measured.

    `/bench/count` tells how many other requests came; `/articles/stream` sends an event, and another one later; `/articles/big` 8 MB.
    """

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.poll = select.epoll()
        self.poll.register(self.listener, select.EPOLLIN)
        self.sockets, self.parts, self.unsent, self.waiting, self.later, self.count = {}, {}, {}, set(), [], 0

    def run(self):
        """Until the process is ended."""
        while True:
            pause = max(0.0, self.later[0][0] - time.monotonic()) if self.later else -1
            for number, event in self.poll.poll(pause):
                if number == self.listener.fileno():
                    self.accept()
                elif event & select.EPOLLOUT:
                    self.send(number, b"")
                else:
                    self.receive(number)
            while self.later and self.later[0][0] <= time.monotonic():
                self.send(heapq.heappop(self.later)[1], REST)

    def accept(self):
        """A client came."""
        sock, _ = self.listener.accept()
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets[sock.fileno()] = sock
        self.parts[sock.fileno()] = b""
        self.poll.register(sock, select.EPOLLIN)

    def receive(self, number):
        """Count bodies by Content-Length and answer each request."""
        try:
            more = self.sockets[number].recv(1 << 16)
        except BlockingIOError:
            return None
        except OSError:
            more = b""
        if not more:
            return self.drop(number)
        data = self.parts[number] + more
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].partition(b"\r")[0]) if at >= 0 else 0
            if len(data) < end + 4 + length:
                break
            data = data[end + 4 + length :]
            self.answer(number, head.split(b" ", 2)[1])
            if number not in self.sockets:
                return None
        self.parts[number] = data
        return None

    def answer(self, number, target):
        """One answer, by what was asked for."""
        if target == b"/bench/count":
            text = b"%d" % self.count
            return self.send(number, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        self.count += 1
        if target.endswith(b"/stream"):
            heapq.heappush(self.later, (time.monotonic() + GAP, number))
            return self.send(number, STREAM)
        return self.send(number, BIG if target.endswith(b"/big") else WHOLE)

    def send(self, number, data):
        """Send, and keep what does not fit until there is room."""
        if number not in self.sockets:
            return
        data = self.unsent.pop(number, b"") + data
        try:
            sent = self.sockets[number].send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(number)
            return
        waited, waits = number in self.waiting, sent < len(data)
        if waits:
            self.unsent[number] = data[sent:]
        if waits != waited:
            (self.waiting.add if waits else self.waiting.discard)(number)
            self.poll.modify(number, select.EPOLLIN | (select.EPOLLOUT if waits else 0))

    def drop(self, number):
        """The client went."""
        self.poll.unregister(number)
        self.sockets.pop(number).close()
        self.parts.pop(number)
        self.unsent.pop(number, None)
        self.waiting.discard(number)
        self.later = [entry for entry in self.later if entry[1] != number]
        heapq.heapify(self.later)


async def passthrough(port, target):
    """An aiohttp server that forwards with one shared ClientSession and relays the answer: no policy, no record."""
    async with ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False) as session:

        async def forward(request):
            body = await request.read()
            headers = [(name, value) for name, value in request.headers.items() if name not in {"Host", "Content-Length"}]
            url = URL(target + request.raw_path, encoded=True)
            async with session.request(request.method, url, headers=headers, data=body, allow_redirects=False) as answer:
                if answer.content_length is None:
                    return await relay(request, answer)
                return web.Response(status=answer.status, body=await answer.read(), headers={"Content-Type": answer.headers["Content-Type"]})

        await asyncio.get_running_loop().create_server(web.Server(forward, access_log=None), "127.0.0.1", port)
        await asyncio.Event().wait()


async def relay(request, answer):
    """A stream, piece by piece."""
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
    await response.prepare(request)
    async for piece in answer.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


if __name__ == "__main__":
    if sys.argv[1] == "upstream":
        Upstream(int(sys.argv[2])).run()
    else:
        uvloop.run(passthrough(int(sys.argv[2]), sys.argv[3]))
