"""The connection to an upstream: sends judged bytes once. Must never retry, redirect, keep a cookie or read a proxy variable."""

from stagewarden.wire.upstream.answer import Phase, UpstreamAnswer
from stagewarden.wire.upstream.connection import Connection
from stagewarden.wire.upstream.endpoint import Endpoint, endpoint, serialize
from stagewarden.wire.upstream.pool import Lease, Upstreams

__all__ = ["Connection", "Endpoint", "Lease", "Phase", "UpstreamAnswer", "Upstreams", "endpoint", "serialize"]
