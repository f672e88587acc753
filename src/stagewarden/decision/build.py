"""Rego → bundle: checked, tested, compiled to Wasm, packed so that the same rules give the same bytes.

Rules are compiled apart from any data and never with `-O`: an optimised module keeps allowing an agent whose stages were
later taken out of the registry. Tests and data never get into a bundle.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path

from stagewarden.decision import toolchain
from stagewarden.decision.bundle import ENTRYPOINT, Bundle
from stagewarden.errors import ConfigError, Problem

SCHEMAS = "schemas"
TESTING = "testing"  # a folder of this name holds what only tests use
_TEST = "_test.rego"


def build(directory: Path, opa: Path) -> Bundle:
    """The bundle of a directory of Rego; raises ConfigError with what OPA said, or NoOpa.

    1. `opa check --strict`, against the schemas where there are any.
    2. `opa test`.
    3. `opa build -t wasm` of the rules alone, for the one question we ask.
    """
    rego = sources(directory)
    check(directory, opa)
    test(directory, opa)
    return Bundle(rego, compile_rules(rego, opa))


def sources(directory: Path) -> tuple[tuple[str, bytes], ...]:
    """The rules (name, content) that go into a bundle, sorted by name; raises ConfigError."""
    if not directory.is_dir():
        raise _refused(directory, "is no directory of Rego", "name the folder that holds package stagewarden")
    found = []
    for path in sorted(directory.rglob("*")):
        place = path.relative_to(directory)
        if not path.is_file() or path.name.endswith(_TEST) or {SCHEMAS, TESTING} & set(place.parts):
            continue
        if path.suffix == ".rego":
            found.append((place.as_posix(), path.read_bytes()))
        elif path.suffix in {".json", ".yaml", ".yml"}:
            raise _refused(path, "is data beside the rules", "numbers, names and lists belong into the registry")
    if not found:
        raise _refused(directory, "holds no Rego", "name the folder that holds package stagewarden")
    return tuple(found)


def check(directory: Path, opa: Path) -> None:
    """`opa check --strict --schema`; raises ConfigError."""
    schemas = directory / SCHEMAS
    _opa(opa, directory, "check", "--strict", *(("--schema", str(schemas)) if schemas.is_dir() else ()), str(directory))


def test(directory: Path, opa: Path) -> str:
    """`opa test`: what it printed; raises ConfigError when a test fails. A directory without tests passes."""
    return _opa(opa, directory, "test", str(directory))


def coverage(directory: Path, opa: Path) -> tuple[float, tuple[str, ...]]:
    """Per cent of lines the tests run, and `file:line` of those they do not; raises ConfigError when a test fails."""
    report = json.loads(_opa(opa, directory, "test", "--coverage", "--format", "json", str(directory)))
    missed = [
        f"{name}:{span['start']['row']}"
        for name, entry in sorted(report.get("files", {}).items())
        for span in entry.get("not_covered", ())
    ]  # fmt: skip
    return float(report.get("coverage", 0.0)), tuple(missed)


def compile_rules(rego: tuple[tuple[str, bytes], ...], opa: Path) -> bytes:
    """The Wasm of these rules; raises ConfigError."""
    with tempfile.TemporaryDirectory() as scratch:
        rules = Path(scratch) / "rules"
        for name, content in rego:
            (rules / name).parent.mkdir(parents=True, exist_ok=True)
            (rules / name).write_bytes(content)
        made = Path(scratch) / "bundle.tar.gz"
        _opa(opa, rules, "build", "-t", "wasm", "-e", ENTRYPOINT, "-o", str(made), "rules", cwd=Path(scratch))
        with tarfile.open(made) as archive:
            wasm = archive.extractfile("/policy.wasm")
            assert wasm is not None  # OPA has just written it
            return wasm.read()


def _opa(opa: Path, directory: Path, *arguments: str, cwd: Path | None = None) -> str:
    try:
        return toolchain.run(opa, *arguments, cwd=cwd)
    except toolchain.Failed as error:
        raise _refused(directory, f"opa {arguments[0]} says: {error}", "mend the rules") from None


def _refused(path: Path, message: str, remedy: str) -> ConfigError:
    return ConfigError((Problem(str(path), 0, "policy.bundle", message, remedy),))
