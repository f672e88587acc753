"""`stagewarden policy build|test`: rules become one bundle for both engines. Never judges a request."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding, Unreachable
from stagewarden.config import Places
from stagewarden.decision import WasmDecider, toolchain
from stagewarden.decision import build as building
from stagewarden.decision.bundle import pack
from stagewarden.errors import ConfigError

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_MEMORY = 64 << 20
_FULL = 100.0


@click.group()
def policy() -> None:
    """Build and test the policies."""


@policy.command(epilog=examples("policy build policies -o bundle.tar.gz"))
@click.argument("directory", type=_DIRECTORY)
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The bundle to write.")
def build(directory: Path, output: Path) -> None:
    """Check, test and compile DIRECTORY into one bundle."""
    opa = _opa()
    try:
        bundle = building.build(directory, opa)
        WasmDecider(bundle, 1.0, _MEMORY)  # what this engine would refuse at start is refused now
    except ConfigError as error:
        raise Finding(str(error)) from None
    except toolchain.NoOpa as error:
        raise Unreachable(str(error)) from None
    try:
        _write(output, pack(bundle))
    except OSError as error:
        raise Finding(f"{output} cannot be written: {error.strerror}") from None
    click.echo(f"{output}: {len(bundle.rego)} Rego files, revision {bundle.revision}, built with OPA {toolchain.version(opa)}")


@policy.command(epilog=examples("policy test policies", "policy test policies --no-coverage"))
@click.argument("directory", type=_DIRECTORY, default="rego")
@click.option("--coverage/--no-coverage", default=True, help="Also ask that the tests run every line.")
def test(directory: Path, coverage: bool) -> None:  # noqa: FBT001  # click passes options by keyword
    """Check DIRECTORY (default: rego) and run its tests."""
    opa = _opa()
    try:
        building.check(directory, opa)
        click.echo(building.test(directory, opa).rstrip())
        share, missed = building.coverage(directory, opa) if coverage else (_FULL, ())
    except ConfigError as error:
        raise Finding(str(error)) from None
    except toolchain.NoOpa as error:
        raise Unreachable(str(error)) from None
    if coverage:
        click.echo(f"coverage: {share:g} %")
    if share < _FULL:
        raise Finding("no test runs " + ", ".join(missed))


def _opa() -> Path:
    try:
        return toolchain.required(Places.of())
    except toolchain.NoOpa as error:
        raise Unreachable(str(error)) from None


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing: a half-written bundle must not be found by anybody."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
