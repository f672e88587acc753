"""Arms that ask OPA beside them: Envoy with ext_authz, nginx with auth_request. OPA judges by the product's own policy and registry.

Their OPA runs on the measured core and its processor time counts: deciding is part of what is compared.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from stagewarden import config as configuration
from stagewarden import registry as registries
from tests.bench import machine
from tests.bench.arms.arm import CACHE, Arm, Ground, Missing, program
from tests.bench.arms.passthrough import cluster, run_envoy, run_nginx
from tests.needs import NEEDS
from tests.product import house

if TYPE_CHECKING:
    import subprocess

HERE = Path(__file__).parent
BUNDLE = machine.ROOT / "src" / "stagewarden" / "bundle" / "stagewarden.tar.gz"
PLUGIN = (
    "go install github.com/open-policy-agent/opa-envoy-plugin/cmd/opa-envoy-plugin@latest where the Go module proxy serves it; "
    f"from a checkout of its source: go build -o {CACHE}/opa-envoy-plugin ./cmd/opa-envoy-plugin"
)
STAND_IN = f"go build -C tests/bench/arms/ext_authz -o {CACHE}/ext-authz ."
# The last is OPA's own advice for speed (its manual, "Policy Performance", "Storage Optimization"): data is kept as the evaluator reads it.
_OPA = ["--log-level", "error", "--skip-version-check", "--optimize-store-for-read-speed"]
BARE = b'package bench\n\ndefault allow := false\n\nallow if input.attributes.request.http.method in {"GET", "POST"}\n'
_LACKS = "no identity (who asks is given), no holds, no refusal of ambiguous requests"


def data(ground: Ground) -> dict[str, object]:
    """What OPA needs besides the policy: the registry every arm has, the template of a question, what each method is."""
    made = house(ground.folder / "registry", f"http://127.0.0.1:{ground.upstream}")
    registry = registries.load(configuration.load(made.config).base / "registry.yaml").document()
    bench = json.loads((HERE / "question.json").read_text())
    bench["template"]["state"]["registry"] = registry["revision"]  # a question about another registry is refused
    return {"registry": registry, "bench": bench}


def bundle(ground: Ground) -> Path:
    """The bench's own bundle, loaded beside the shipped one."""
    path = ground.folder / "bench.tar.gz"
    if not path.exists():
        _pack(path, ["bench", "registry"], {"data.json": json.dumps(data(ground)).encode(), "bench.rego": (HERE / "bench.rego").read_bytes()})
    return path


def _pack(path: Path, roots: list[str], files: dict[str, bytes]) -> None:
    manifest = json.dumps({"roots": roots, "rego_version": 1}).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {".manifest": manifest, **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def opa_server(ground: Ground, port: int) -> subprocess.Popen:
    """An OPA server with both bundles; raises Missing."""
    opa = NEEDS["opa"].find()
    if opa is None:
        raise Missing(NEEDS["opa"].install)
    command = [str(opa), "run", "--server", "--addr", f"127.0.0.1:{port}", *_OPA]
    return ground.start([*command, "--bundle", str(BUNDLE), "--bundle", str(bundle(ground))], port)


def nginx_auth_request(ground: Ground) -> Arm:
    """auth_request to the OPA server's data API."""
    program("nginx", install="apt-get install nginx-light")
    opa, port = machine.free_port(), machine.free_port()
    server = opa_server(ground, opa)
    # auth_request knows statuses only: the v0 API answers 404 to what is undefined, and bench.granted is undefined unless allowed.
    authorize = """location = /authorize {
        internal; proxy_method POST; proxy_pass http://opa/v0/data/bench/granted;
        proxy_set_header Content-Type application/json; proxy_set_header Connection "";
        proxy_set_body '{"attributes": {"request": {"http": {"method": "$request_method"}}}, "parsed_path": ["articles"],
                         "parsed_body": {"title": "", "body": ""}}';
        proxy_intercept_errors on; error_page 404 =403 /refused; } location = /refused { internal; return 403; }"""
    upstreams = f"upstream opa {{ server 127.0.0.1:{opa}; keepalive 128; keepalive_requests 100000000; }}"
    process = run_nginx(ground, "nginx-auth", port, authorize, upstreams)
    return Arm("nginx auth_request + OPA server", [process, server], port, f"the policy never sees the body; {_LACKS}; no record")


def envoy_plugin(ground: Ground, *, log: bool) -> Arm:
    """Envoy and opa-envoy-plugin itself, at its best: its defaults (no metrics, no reflection, no log unless asked) over a unix socket."""
    kept = "log" if log else "no-log"
    return _envoy(ground, "Envoy + opa-envoy-plugin", *_plugin(ground, kept, [BUNDLE, bundle(ground)], log=log), log=log)


def envoy_plugin_bare(ground: Ground) -> Arm:
    """The same with a rule of one line in place of our policy: what of its cost is the policy's, and what is its own."""
    path = ground.folder / "bare.tar.gz"
    _pack(path, ["bench"], {"bench.rego": BARE})
    arm = _envoy(ground, "Envoy + plugin, one rule", *_plugin(ground, "bare", [path], log=False), log=False)
    arm.lacks = f"not our policy but one rule about the method; {arm.lacks}"
    return arm


def _plugin(ground: Ground, name: str, bundles: list[Path], *, log: bool) -> tuple[subprocess.Popen, Path]:
    """The plugin with these bundles, and the socket it is asked at; raises Missing."""
    found = program("opa-envoy-plugin", f"{CACHE}/opa-envoy-plugin", "~/go/bin/opa-envoy-plugin", install=PLUGIN)
    sock = ground.folder / f"plugin-{name}.sock"
    command = [found, "run", "--server", "--addr", f"127.0.0.1:{machine.free_port()}", *_OPA]
    settings = [f"plugins.envoy_ext_authz_grpc.addr=unix://{sock}", "plugins.envoy_ext_authz_grpc.path=bench/allow"]
    settings += ["decision_logs.console=true"] if log else []
    command += [word for setting in settings for word in ("--set", setting)]
    command += [word for path in bundles for word in ("--bundle", str(path))]
    return ground.start(command, sock, ground.folder / f"plugin-{name}.log"), sock


def envoy_stand_in(ground: Ground, *, log: bool) -> Arm:
    """Envoy and OPA as a library behind gRPC ext_authz, the same input as the plugin's: arms/ext_authz."""
    found = program("ext-authz", f"{CACHE}/ext-authz", install=STAND_IN)
    sock = ground.folder / f"ext-authz-{log}.sock"
    config = {"bundles": {"stagewarden": {"resource": f"file://{BUNDLE}"}, "bench": {"resource": f"file://{bundle(ground)}"}}}
    path = ground.folder / f"ext-authz-{log}.json"
    path.write_text(json.dumps(config | ({"decision_logs": {"console": True}} if log else {})))
    process = ground.start([found, "-addr", str(sock), "-config-file", str(path)], sock, ground.folder / f"ext-authz-{log}.log")
    return _envoy(ground, "Envoy + ext_authz (OPA library)", process, sock, log=log)


def _envoy(ground: Ground, name: str, authorizer: subprocess.Popen, asked: Path, *, log: bool) -> Arm:
    ext_authz = {
        "name": "ext_authz",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "with_request_body": {"max_request_bytes": 65536},
            "grpc_service": {"envoy_grpc": {"cluster_name": "authz"}, "timeout": "5s"},
        },
    }
    port = machine.free_port()
    process = run_envoy(ground, f"envoy-{asked.stem}", port, [ext_authz], [cluster("authz", asked, http2=True)])
    kept, recorded = ("with log", "its log is written, not synced") if log else ("no log", "no record")
    return Arm(f"{name}, {kept}", [process, authorizer], port, f"{_LACKS}; {recorded}")
