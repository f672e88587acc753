"""Secrets: read once, from files nobody else can read or from the environment; never repeated."""

from __future__ import annotations

import os

import pytest

from stagewarden.config import File, Secret, Secrets
from stagewarden.errors import ConfigError

HEX = "00112233445566778899aabbccddeeff" * 2


def put(folder, text: str | bytes, mode: int = 0o600) -> Secret:
    """A secret file of that mode."""
    path = folder / "secret"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return Secret("file:secret")


@pytest.mark.parametrize(("written", "read"), [("x", "x"), ("x\n", "x"), ("x\n\n", "x\n"), ("x\r\n", "x"), (" x ", " x ")], ids=repr)
def test_one_trailing_newline_is_stripped(tmp_path, written, read):
    """Editors add one; more is meant."""
    assert Secrets(tmp_path, {}).text(put(tmp_path, written)) == read


def test_the_environment_is_the_one_given(tmp_path):
    """A variable is read from the mapping handed in."""
    assert Secrets(tmp_path, {"TOKEN": "t"}).text(Secret("env:TOKEN")) == "t"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o644], ids=oct)
def test_a_file_open_to_everybody_is_refused(tmp_path, mode):
    """World-readable private files do not load, and the message names neither content nor a guess."""
    with pytest.raises(ConfigError, match="open to every user") as caught:
        Secrets(tmp_path, {}).text(put(tmp_path, "hunter2", mode))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640], ids=oct)
def test_owner_and_group_may_read(tmp_path, mode):
    """Orchestrators mount secrets for a group."""
    assert Secrets(tmp_path, {}).text(put(tmp_path, "s", mode)) == "s"


def test_a_file_that_is_no_secret_may_be_read_by_everybody(tmp_path):
    """But not written: whoever writes the list of authorities chooses who is let in."""
    put(tmp_path, "-----BEGIN CERTIFICATE-----\n", 0o644)
    assert Secrets(tmp_path, {}).public(File("file:secret")) == "-----BEGIN CERTIFICATE-----\n"
    for mode in (0o602, 0o646, 0o666):
        put(tmp_path, "-----BEGIN CERTIFICATE-----\n", mode)
        with pytest.raises(ConfigError, match="writable by every user"):
            Secrets(tmp_path, {}).public(File("file:secret"))
    put(tmp_path, " \n", 0o644)
    with pytest.raises(ConfigError, match="empty"):
        Secrets(tmp_path, {}).public(File("file:secret"))


@pytest.mark.parametrize("text", ["", "\n", "  \n", b"\xff"], ids=repr)
def test_what_holds_no_secret_is_refused(tmp_path, text):
    """Empty, blank, or no text at all."""
    with pytest.raises(ConfigError):
        Secrets(tmp_path, {}).text(put(tmp_path, text))


@pytest.mark.parametrize("reference", ["file:missing", "file:.", "env:UNSET"])
def test_what_is_not_there_is_refused(tmp_path, reference):
    """A missing file, a folder, an unset variable."""
    with pytest.raises(ConfigError) as caught:
        Secrets(tmp_path, {}).text(Secret(reference))
    assert reference in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path):
    """A named pipe would block the start: opening it would wait for a writer."""
    os.mkfifo(tmp_path / "secret", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        Secrets(tmp_path, {}).text(Secret("file:secret"))


@pytest.mark.parametrize("text", [HEX, HEX.upper(), "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8="], ids=["hex", "upper", "base64"])
def test_a_key_is_256_bits(tmp_path, text):
    """As hexadecimal or base64."""
    assert len(Secrets(tmp_path, {}).key(put(tmp_path, f"{text}\n"))) == 32


@pytest.mark.parametrize(
    "text",
    [HEX[:-2], HEX + "00", "x" * 64, "00" * 32, "ab" * 32, "password", "AAAA"],
    ids=["short", "long", "no_hex", "zeros", "one_byte", "words", "tiny"],
)
def test_a_key_that_is_short_or_not_random_is_refused(tmp_path, text):
    """A placeholder or demo key would encrypt for everybody."""
    with pytest.raises(ConfigError) as caught:
        Secrets(tmp_path, {}).key(put(tmp_path, text))
    assert text not in str(caught.value)


def test_paths_start_at_the_configuration(tmp_path):
    """Relative to its folder, with or without `file:`; absolute ones stay."""
    secrets = Secrets(tmp_path, {})
    assert [secrets.path(each) for each in ("file:a/b", "a/b", "/etc/x")] == [tmp_path / "a/b", tmp_path / "a/b", type(tmp_path)("/etc/x")]
