"""mitmproxy with an add-on that evaluates the product's own Wasm policy by the product's own engine: the fastest it can be given."""

from __future__ import annotations

import json
import os

from tests.bench import machine
from tests.bench.arms.arm import CACHE, Arm, Ground, program
from tests.bench.arms.authorizers import BUNDLE, HERE, data

INSTALL = f"python3 -m venv {CACHE}/mitmproxy && {CACHE}/mitmproxy/bin/pip install mitmproxy msgspec orjson 'wasmtime>=50,<51'"


def mitmproxy(ground: Ground) -> Arm:
    """A reverse proxy in an environment of its own."""
    found = program("mitmdump", f"{CACHE}/mitmproxy/bin/mitmdump", install=INSTALL)
    port = machine.free_port()
    given = ground.folder / "mitmproxy.json"
    given.write_text(json.dumps(data(ground)))
    command = [found, "--mode", f"reverse:http://127.0.0.1:{ground.upstream}", "--listen-host", "127.0.0.1", "--listen-port", str(port), "-q"]
    command += ["--set", f"confdir={ground.folder / 'mitmproxy'}", "--set", "connection_strategy=lazy", "-s", str(HERE / "mitmproxy_addon.py")]
    path = os.pathsep.join([str(machine.ROOT / "src")])
    process = ground.start(command, port, PYTHONPATH=path, BENCH_DATA=str(given), BENCH_BUNDLE=str(BUNDLE))
    return Arm("mitmproxy + same Wasm policy", [process], port, "no identity (who asks is given), no holds, no record")
