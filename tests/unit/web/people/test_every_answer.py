"""What every GET of the listener answers with, and to which Host, made from its own routes: a new page is in here without being named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served


def paths(served: Served) -> list[str]:
    """Each route once, with some value in its places."""
    return sorted(re.sub(r"\{\w+\}", "x", path) for path in served.gets)


async def test_no_page_can_be_framed_kept_or_sniffed(served: Served, http: ClientSession) -> None:
    """CWE-1021, CWE-525: each answer, refusals among them, says no frame, no store, no sniffing, no referrer, and no code but ours."""
    await sign_in(http, served)
    for path in paths(served):
        async with http.get(served.url + path, allow_redirects=False) as answer:
            policy, kept = answer.headers["Content-Security-Policy"], answer.headers["Cache-Control"]
            assert ("default-src 'none'" in policy, "unsafe" in policy) == (True, False), path
            assert "frame-ancestors 'none'" in policy or "sandbox" in policy, path
            assert kept == "no-store" or path.startswith("/static/"), path
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Referrer-Policy"] == "no-referrer", path
            assert "Access-Control-Allow-Origin" not in answer.headers, path


async def test_no_page_answers_to_another_host(served: Served, http: ClientSession) -> None:
    """DNS rebinding (CWE-350): a name that is not ours gets nothing, signed in or not, whatever the path."""
    await sign_in(http, served)
    for path in paths(served):
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80"):
            async with http.get(served.url + path, headers={"Host": host}, allow_redirects=False) as answer:
                assert answer.status == 421, (path, host)
                assert "evil.example" not in answer.headers.get("Location", ""), path
