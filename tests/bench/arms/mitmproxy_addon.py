"""The add-on mitmproxy runs: every request is a question to the product's policy. Runs in mitmproxy's environment, never in the product's."""

import importlib
import os
import tarfile
import time
from pathlib import Path

import orjson

from stagewarden.decision.wasm.instance import Instance
from stagewarden.decision.wasm.program import Abilities, Program

http = importlib.import_module("mitmproxy.http")  # no requirement of the tests: only mitmproxy itself runs this file
FUEL, MEMORY = 2_000_000_000, 64 << 20
REFUSED = 403


class Policy:
    """Asks before anything is passed on; any failure is a no."""

    def __init__(self) -> None:
        data = orjson.loads(Path(os.environ["BENCH_DATA"]).read_bytes())
        with tarfile.open(os.environ["BENCH_BUNDLE"]) as bundle:
            wasm = bundle.extractfile("/policy.wasm").read()
        program = Program(wasm, MEMORY)
        abilities = Abilities.read(*Instance(program, Abilities(-1, {}), {}, FUEL).describe())
        self.policy = Instance(program, abilities, {"registry": data["registry"]}, FUEL)
        self.template, self.actions = data["bench"]["template"], data["bench"]["actions"]

    def request(self, flow) -> None:
        """Judge one request."""
        now = time.time_ns()
        asked = flow.request
        question = {
            **self.template,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now // 10**9)),
            "time_ns": now,
            "request": {
                **self.template["request"], "method": asked.method, "path": asked.path.strip("/").split("/"),
                "body": orjson.loads(asked.content) if asked.content else None,
            },
            "action": {**self.template["action"], **self.actions[asked.method]},
        }  # fmt: skip
        verdict = orjson.loads(self.policy.evaluate(orjson.dumps(question)))[0]["result"]
        if verdict["effect"] != "allow":
            flow.response = http.Response.make(REFUSED, b"refused")


addons = [Policy()]
