"""A real WordPress on loopback, asked directly: what it says is public is what counts.

`wordpress/` holds the scripts that start it: the project's shared ones, here with the opcode cache on, and with a router that lets xmlrpc.php
and wp-admin through. Everything lies in a folder of its own and is gone afterwards.
"""

from __future__ import annotations

import json as jsonlib
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import basic, exchange, until
from tests.needs import needs
from tests.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.product import Reply

SCRIPTS = Path(__file__).parent / "wordpress"
_POSTS = "/wp-json/wp/v2/posts"
_OUT = "status=publish,future,private&context=edit&per_page=100"


@dataclass(frozen=True)
class Site:
    """Where it is, and the two accounts' credentials: the drafter cannot publish, the publisher can."""

    port: int
    drafter: str
    publisher: str

    def ask(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        account: str | None = None,
    ) -> Reply:
        """One request past the sidecar; as the publisher unless said otherwise."""
        sent = {"Authorization": account or self.publisher, **(headers or {})}
        if json is not None:
            data = jsonlib.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        return exchange(self.port, method, path, sent, data)

    def answers(self) -> bool:
        """Whether it lets its accounts in."""
        try:
            return all(self.ask("GET", "/wp-json/wp/v2/users/me", account=who).status == 200 for who in (self.drafter, self.publisher))
        except OSError:
            return False

    def post(self, number: int) -> dict[str, Any]:
        """The post as an editor sees it."""
        reply = self.ask("GET", f"{_POSTS}/{number}?context=edit")
        assert reply.status == 200, reply
        return reply.json

    def create(self, account: str, **members: object) -> int:
        """A post made past the sidecar; its number."""
        reply = self.ask("POST", _POSTS, members, account=account)
        assert reply.status == 201, reply
        return reply.json["id"]

    def change(self, number: int, **members: object) -> None:
        """A post changed past the sidecar, by the publisher."""
        reply = self.ask("POST", f"{_POSTS}/{number}", members)
        assert reply.status == 200, reply

    def public(self) -> list[tuple[str, int, str, str, str]]:
        """Everything that is or will be visible to somebody: kind, number, status, title and content of each post and page."""
        found = []
        for kind in ("posts", "pages"):
            reply = self.ask("GET", f"/wp-json/wp/v2/{kind}?{_OUT}&_fields=id,status,title,content")
            assert reply.status == 200, reply
            found += [(kind, each["id"], each["status"], each["title"]["raw"], each["content"]["raw"]) for each in reply.json]
        return sorted(found)


@contextmanager
def wordpress() -> Iterator[Site]:
    """Started, and stopped at the end with everything it wrote."""
    needs("wordpress")
    with tempfile.TemporaryDirectory(prefix="wordpress-") as folder:
        Path(folder).chmod(0o711)  # MariaDB runs as a user of its own and must get through
        site, database = free_ports(2)
        where = Path(folder) / "wp"
        try:
            done = subprocess.run(
                [SCRIPTS / "up", where, str(site), str(database)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            accounts = jsonlib.loads(done.stdout)
            running = Site(site, *(basic(accounts[name]["user"], accounts[name]["password"]) for name in ("drafter", "publisher")))
            until(running.answers, "a WordPress that answers")
            yield running
        finally:
            subprocess.run([SCRIPTS / "down", where], stdin=subprocess.DEVNULL, check=False)
            until(lambda: not (where / "run" / "db.pid").exists(), "the end of the database")
