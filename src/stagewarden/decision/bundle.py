"""The policy bundle: one gzipped tar that both engines load; read bounded and path-safe, packed byte for byte the same.

It holds the original Rego, `/policy.wasm` and a manifest with `revision` and `roots: ["stagewarden"]` but no `wasm` key, so
that a plain `opa run --bundle` accepts it, and accepts `data.registry` beside it. Never unpacks to disk; never trusts a
revision it has not computed itself.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

ENTRYPOINT = "stagewarden/main/verdict"
ROOTS = ["stagewarden"]
MAX_PACKED = 16 << 20
MAX_UNPACKED = 64 << 20
MAX_FILES = 2000

_MANIFEST = ".manifest"
_WASM = "policy.wasm"
_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*\.rego\Z")
_FORMAT = b"stagewarden/bundle/1"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rego (sorted by name), and its Wasm. `wasm` may be absent only where no Wasm engine will run."""

    rego: tuple[tuple[str, bytes], ...]
    wasm: bytes

    @property
    def revision(self) -> str:
        """SHA-256 (hex) over the length-prefixed names and contents: other rules or another compiler, another revision."""
        digest = hashlib.sha256(_FORMAT)
        for name, content in (*self.rego, (_WASM, self.wasm)):
            for part in (name.encode(), content):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
        return digest.hexdigest()


def pack(bundle: Bundle) -> bytes:
    """The bundle file. The same bundle gives the same bytes: sorted names, no times, owners or host names."""
    manifest = {"revision": bundle.revision, "roots": ROOTS, "rego_version": 1}
    members = [(_MANIFEST, json.dumps(manifest, separators=(",", ":")).encode()), (_WASM, bundle.wasm), *bundle.rego]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(members):
            entry = tarfile.TarInfo(f"/{name}")
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


def read(path: Path) -> Bundle:
    """The bundle in a file; raises ConfigError."""
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_PACKED + 1)
    except OSError as error:
        raise _refused(path.name, f"cannot be read: {error.strerror}", "name a bundle made by `stagewarden policy build`") from None
    return unpack(data, path.name)


def unpack(data: bytes, name: str) -> Bundle:
    """The bundle in these bytes; `name` stands in the problem. Raises ConfigError.

    1. Bounded: packed size, unpacked size, number of files; nothing is written to disk.
    2. Only regular files with plain names, each once: Rego, `policy.wasm`, the manifest. Data is the registry's, not the bundle's.
    3. The manifest's roots are ours, and its revision is the hash of what is there.
    """
    files = _members(_inflate(data, name), name)
    try:
        manifest = json.loads(files.pop(_MANIFEST))
        wasm = files.pop(_WASM)
    except KeyError as error:
        raise _refused(name, f"has no /{error.args[0]}", "build it with `stagewarden policy build`") from None
    except (ValueError, RecursionError):
        raise _refused(name, "has a manifest that is not JSON", "build it with `stagewarden policy build`") from None
    bundle = Bundle(tuple(sorted(files.items())), wasm)
    if type(manifest) is not dict or manifest.keys() != {"revision", "roots", "rego_version"} or manifest["roots"] != ROOTS:
        raise _refused(name, f"has a manifest other than revision, rego_version and roots {ROOTS}", "build it with `stagewarden policy build`")
    if manifest["revision"] != bundle.revision:
        raise _refused(name, "was changed after it was built: its revision is not the hash of its content", "build it again")
    return bundle


def _inflate(data: bytes, name: str) -> bytes:
    if len(data) > MAX_PACKED:
        raise _refused(name, f"is larger than {MAX_PACKED >> 20} MiB", "check that it is a policy bundle")
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, MAX_UNPACKED + 1)
    except zlib.error:
        raise _refused(name, "is not a gzipped tar", "name a bundle made by `stagewarden policy build`") from None
    if len(plain) > MAX_UNPACKED:
        raise _refused(name, f"unpacks to more than {MAX_UNPACKED >> 20} MiB", "check that it is a policy bundle")
    if not inflater.eof or inflater.unused_data:
        raise _refused(name, "is cut off or carries trailing bytes", "copy or build it again")
    return plain


def _members(plain: bytes, name: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for entry in archive:
                member = entry.name.removeprefix("/")
                if not entry.isreg() or entry.sparse is not None or not (member in {_MANIFEST, _WASM} or _NAME.match(member)):
                    raise _refused(name, f"holds {entry.name!r}, which is no Rego file, /policy.wasm or manifest", "remove it and build again")
                if member in files:
                    raise _refused(name, f"holds {entry.name!r} twice", "build it again")
                content = archive.extractfile(entry)
                assert content is not None  # a regular file has content
                files[member] = content.read()
                if len(files) > MAX_FILES:
                    raise _refused(name, f"holds more than {MAX_FILES} files", "check that it is a policy bundle")
    except (tarfile.TarError, ValueError, OverflowError):
        raise _refused(name, "is not a readable tar", "build it with `stagewarden policy build`") from None
    return files


def _refused(name: str, message: str, remedy: str) -> ConfigError:
    return ConfigError((Problem(name, 0, "policy.bundle", message, remedy),))
