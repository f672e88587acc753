"""A bundle is read bounded and path-safe, and the same rules give the same bytes."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.config import Places
from stagewarden.decision import load_bundle
from stagewarden.decision.bundle import MAX_FILES, MAX_PACKED, MAX_UNPACKED, Bundle, pack, unpack
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Bundle((("stagewarden/main/main.rego", b"package stagewarden.main\n"), ("stagewarden/other.rego", b"package stagewarden.other\n")), b"\0asm")
MANIFEST: dict[str, Any] = {"revision": GOOD.revision, "roots": ["stagewarden"], "rego_version": 1}
FILES = {"/.manifest": json.dumps(MANIFEST).encode(), "/policy.wasm": GOOD.wasm, **{f"/{name}": content for name, content in GOOD.rego}}


def archive(files: dict[str, bytes], *extra: tarfile.TarInfo, twice: str | None = None) -> bytes:
    """A gzipped tar of these files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as out:
        for name in (*files, *([twice] if twice else [])):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            out.addfile(entry, io.BytesIO(files[name]))
        for entry in extra:
            out.addfile(entry)
    return gzip.compress(plain.getvalue())


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    """A member that is no regular file."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = "/etc/passwd"
    return entry


def test_a_packed_bundle_is_read_back() -> None:
    """Nothing is lost, and packing again gives the same bytes."""
    data = pack(GOOD)
    assert unpack(data, "x") == GOOD
    assert pack(unpack(data, "x")) == data
    assert unpack(archive(FILES), "x") == GOOD


def test_a_bundle_says_what_a_plain_opa_needs() -> None:
    """Roots leave room for `data.registry`; there is no `wasm` key, which would strip the entry rule; no times or owners."""
    with tarfile.open(fileobj=io.BytesIO(pack(GOOD))) as read:
        members = read.getmembers()
        manifest = json.loads(read.extractfile("/.manifest").read())
    assert manifest == MANIFEST
    assert [member.name for member in members] == sorted(FILES)
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, 0, "", "")}


def test_the_revision_is_the_content() -> None:
    """Another rule, another name or another compiler's Wasm is another revision; cutting it elsewhere is too."""
    name, content = GOOD.rego[0]
    others = [
        Bundle(GOOD.rego, b"\0asn"), Bundle(GOOD.rego[:1], GOOD.wasm), Bundle(((name, content + b"#"), *GOOD.rego[1:]), GOOD.wasm),
        Bundle(((f"{name}p", content[1:]), *GOOD.rego[1:]), GOOD.wasm),
    ]  # fmt: skip
    assert len({GOOD.revision, *(other.revision for other in others)}) == 5


BAD = {
    "not gzip": b"plain",
    "empty": b"",
    "gzip of no tar": gzip.compress(b"x" * 2000),
    "cut off": pack(GOOD)[:-10],
    "trailing bytes": pack(GOOD) + b"x",
    "second gzip member": pack(GOOD) + gzip.compress(b"x"),
    "absolute path elsewhere": archive({**FILES, "/etc/x.conf": b""}),
    "path upwards": archive({**FILES, "/../x.rego": b""}),
    "path upwards inside": archive({**FILES, "/a/../../x.rego": b""}),
    "dot segment": archive({**FILES, "/./x.rego": b""}),
    "two slashes": archive({**FILES, "//x.rego": b""}),
    "hidden file": archive({**FILES, "/.x.rego": b""}),
    "data": archive({**FILES, "/data.json": b"{}"}),
    "symbolic link": archive(FILES, link("/x.rego", tarfile.SYMTYPE)),
    "hard link": archive(FILES, link("/x.rego", tarfile.LNKTYPE)),
    "device": archive(FILES, link("/x.rego", tarfile.CHRTYPE)),
    "folder": archive(FILES, link("/x", tarfile.DIRTYPE)),
    "twice": archive(FILES, twice="/policy.wasm"),
    "twice with and without slash": archive({**FILES, "policy.wasm": b"other"}),
    "no manifest": archive({name: data for name, data in FILES.items() if name != "/.manifest"}),
    "no wasm": archive({name: data for name, data in FILES.items() if name != "/policy.wasm"}),
    "manifest no json": archive({**FILES, "/.manifest": b"{"}),
    "manifest nested without end": archive({**FILES, "/.manifest": b"[" * 100_000}),
    "manifest list": archive({**FILES, "/.manifest": b"[]"}),
    "manifest with wasm": archive({**FILES, "/.manifest": json.dumps({**MANIFEST, "wasm": []}).encode()}),
    "manifest with all roots": archive({**FILES, "/.manifest": json.dumps({**MANIFEST, "roots": [""]}).encode()}),
    "manifest with the registry's root": archive({**FILES, "/.manifest": json.dumps({**MANIFEST, "roots": ["stagewarden", "registry"]}).encode()}),
    "changed rule": archive({**FILES, "/stagewarden/other.rego": b"package stagewarden.other # allow\n"}),
    "added rule": archive({**FILES, "/stagewarden/rules/more.rego": b"package stagewarden.rules.more\n"}),
    "changed wasm": archive({**FILES, "/policy.wasm": b"\0asm2"}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_bundle_is_refused(data: bytes) -> None:
    """Refused with the file's name, whatever is wrong with it."""
    with pytest.raises(ConfigError, match=r"bundle\.tar\.gz: policy\.bundle"):
        unpack(data, "bundle.tar.gz")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    """A small file that unpacks to more than the bound is not unpacked past it; neither are a huge file and a crowd of files read."""
    with pytest.raises(ConfigError, match="unpacks to more"):
        unpack(gzip.compress(b"\0" * (MAX_UNPACKED + 1), 1), "x")
    with pytest.raises(ConfigError, match="larger than"):
        unpack(b"\0" * (MAX_PACKED + 1), "x")
    with pytest.raises(ConfigError, match=f"more than {MAX_FILES} files"):
        unpack(archive({f"/r{number}.rego": b"" for number in range(MAX_FILES + 1)}), "x")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_bundle_is_refused_or_the_same(data: st.DataObject) -> None:
    """Whatever bytes are changed inside the tar, the answer is ConfigError or the very same rules."""
    plain = bytearray(gzip.decompress(pack(GOOD)))
    for _ in range(data.draw(st.integers(1, 3))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = unpack(gzip.compress(bytes(plain), 1), "x")
    except ConfigError:
        return
    assert read == GOOD


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The problem says which file."""
    with pytest.raises(ConfigError, match=r"nowhere\.tar\.gz"):
        load_bundle("nowhere.tar.gz", tmp_path, Places("", tmp_path))


def test_a_bundle_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    """Paths are relative to the configuration file."""
    (tmp_path / "b.tar.gz").write_bytes(pack(GOOD))
    assert load_bundle("b.tar.gz", tmp_path, Places("", tmp_path)) == GOOD


def test_the_builtin_bundle_is_in_the_package(tmp_path: Path) -> None:
    """It is there without OPA, and holds rules, no tests and no data."""
    loaded = load_bundle("builtin", tmp_path, Places("", tmp_path))
    names = [name for name, _ in loaded.rego]
    assert "stagewarden/main/main.rego" in names
    assert not [name for name in names if "_test" in name or "testing" in name]


def test_a_directory_needs_opa(tmp_path: Path) -> None:
    """Without OPA the remedy is the command that installs it."""
    with pytest.raises(ConfigError, match="stagewarden opa install"):
        load_bundle(".", tmp_path, Places("", tmp_path / "cache"))
