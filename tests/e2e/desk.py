"""An editorial desk with a real WordPress: `init --template wordpress`, the accounts' credentials put in, the sidecar running before it.

Between sidecar and WordPress stands a recorder, so that what arrived can be counted.
"""

from __future__ import annotations

import json as jsonlib
import re
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.cli.init import write
from stagewarden.clock import SystemClock
from tests.e2e.processes import PATIENCE, SidecarProcess, serving
from tests.e2e.recorder import Recorder, recording
from tests.product import House, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.e2e.wordpress_site import Site
    from tests.upstreams import Received

MOUNT = "/wordpress"
POSTS = f"{MOUNT}/wp-json/wp/v2/posts"
PATIENT = "{engine: wasm, bundle: builtin, deadline: 2s}"  # a loaded test machine is not what the 200 ms are about


@dataclass(frozen=True)
class Desk:
    """WordPress, the recorder before it, the sidecar before that."""

    site: Site
    recorder: Recorder
    sidecar: SidecarProcess

    @property
    def key(self) -> str:
        """The agent's own."""
        return self.sidecar.house.keys["drafter"]

    def agent(self, method: str, path: str, json: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """The drafting agent, with the client the Python standard library has: it knows a base URL and a key, and nothing of holds."""
        data = None if json is None else jsonlib.dumps(json).encode()
        sent = {"Authorization": f"Bearer {self.key}", **({} if data is None else {"Content-Type": "application/json"}), **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.sidecar.ports['agents']}{path}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Reply(refused.code, refused.headers, refused.read())

    def draft(self, title: str, content: str) -> int:
        """A draft made by the agent; its number."""
        reply = self.agent("POST", POSTS, {"title": title, "content": content})
        assert reply.status == 201, reply
        return reply.json["id"]

    def ask_to_publish(self, number: int, **members: object) -> Reply:
        """The agent asks for the draft to go out."""
        return self.agent("POST", f"{POSTS}/{number}", {"status": "publish", **members})

    def writes(self, number: int) -> list[Received]:
        """Everything but GETs that arrived for this post."""
        return [request for request in self.recorder.writes() if request.target.partition("?")[0] == f"/wp-json/wp/v2/posts/{number}"]


@contextmanager
def desk(folder: Path, site: Site, policy: str = PATIENT) -> Iterator[Desk]:
    """A desk of its own before this WordPress."""
    with ExitStack() as stack:
        recorder = stack.enter_context(recording(site.port))
        sidecar = stack.enter_context(serving(_house(folder / "house", site, recorder.url, policy)))
        yield Desk(site, recorder, sidecar)


def _house(folder: Path, site: Site, url: str, policy: str) -> House:
    """What `init` writes, with the three things an operator fills in: address and the two credentials."""
    write(folder, "wordpress", SystemClock())
    text = (folder / "stagewarden.yaml").read_text()
    for found, put in ((r"url: http://127\.0\.0\.1:8000", f"url: {url}"), (r"(?m)^policy: .*$", f"policy: {policy}")):
        text, count = re.subn(found, put, text)
        assert count == 1, found
    (folder / "stagewarden.yaml").write_text(text)
    (folder / "secrets" / "drafter").write_text(f"{site.drafter}\n")
    (folder / "secrets" / "publisher").write_text(f"{site.publisher}\n")
    return House(folder, _kept(folder / "secrets" / "agents", ".key"), _kept(folder / "secrets" / "people", ".token"))


def _kept(folder: Path, suffix: str) -> dict[str, str]:
    return {path.stem: path.read_text().strip() for path in folder.glob(f"*{suffix}")}
