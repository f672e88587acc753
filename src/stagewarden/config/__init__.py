"""YAML → frozen Config (contract section 2), and the only place that reads the environment.

Strict: unknown and duplicate keys, wrong units, in-line secrets and keys of later releases are errors with file, line, key and
remedy; all of them are reported, not the first. Importers see one module, however many files it takes.
"""

from stagewarden.config.catalogue import expand_routes
from stagewarden.config.load import load, of
from stagewarden.config.places import Places, spool_path, stops_path
from stagewarden.config.secrets import Secrets
from stagewarden.config.shapes import (
    Audit,
    Cache,
    Case,
    Config,
    Holds,
    Identity,
    JwtIdentity,
    KeyIdentity,
    Limits,
    Listener,
    Listeners,
    Lookup,
    MtlsIdentity,
    OpaServer,
    PasswordPeople,
    People,
    Policy,
    Route,
    Session,
    StageCredential,
    Stops,
    Struct,
    Tls,
    TokenPeople,
    Upstream,
)
from stagewarden.config.units import Bind, Bytes, File, Seconds, Secret

__all__ = [
    "Audit",
    "Bind",
    "Bytes",
    "Cache",
    "Case",
    "Config",
    "File",
    "Holds",
    "Identity",
    "JwtIdentity",
    "KeyIdentity",
    "Limits",
    "Listener",
    "Listeners",
    "Lookup",
    "MtlsIdentity",
    "OpaServer",
    "PasswordPeople",
    "People",
    "Places",
    "Policy",
    "Route",
    "Seconds",
    "Secret",
    "Secrets",
    "Session",
    "StageCredential",
    "Stops",
    "Struct",
    "Tls",
    "TokenPeople",
    "Upstream",
    "expand_routes",
    "load",
    "of",
    "spool_path",
    "stops_path",
]
