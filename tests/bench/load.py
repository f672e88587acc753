"""The load: raw keep-alive connections in a closed loop, one request under way on each. Checks every answer's status and length."""

import asyncio
import time


async def drive(port, request, connections, total):
    """Send `total` requests over so many connections; seconds each took, in order of completion. Any answer but a 200 is an error."""
    left = total
    took = []

    async def one():
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while left > 0:
                left -= 1
                started = time.perf_counter()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                lowered = head.lower()
                at = lowered.index(b"content-length:") + 15
                await reader.readexactly(int(head[at : head.index(b"\r", at)]))
                took.append(time.perf_counter() - started)
        finally:
            writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return took
