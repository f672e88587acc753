"""Durations, sizes, addresses and references to secrets: one way to write each."""

from __future__ import annotations

import pytest

from stagewarden.config import units
from stagewarden.config.units import Misfit


@pytest.mark.parametrize(("text", "value"), [("200ms", 0.2), ("0s", 0.0), ("30s", 30.0), ("5m", 300.0), ("4h", 14400.0), ("60d", 5184000.0)])
def test_a_duration_has_a_unit(text, value):
    """Milliseconds to days."""
    assert units.seconds(text) == value


@pytest.mark.parametrize("value", [30, 0.5, "30", "1.5s", "-1s", "5 m", "5M", "1h30m", "", "s", None, True, [], "٣s", "1" * 20 + "s"], ids=repr)
def test_a_duration_without_its_unit_is_refused(value):
    """A bare number could be anything."""
    with pytest.raises(Misfit):
        units.seconds(value)


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("09:05", 545), ("23:59", 1439), ("24:00", 1440)])
def test_a_time_of_the_day(text, minutes):
    """As a clock on the wall shows it."""
    assert (units.time_of_day(text).minutes, str(units.time_of_day(text))) == (minutes, text)


@pytest.mark.parametrize("value", ["9:00", "24:01", "25:00", "09:60", "09:00:00", "9am", 540, None, ""], ids=repr)
def test_what_is_no_time_of_the_day_is_refused(value):
    """YAML reads a bare 09:00 as a number in some readers: it is written as text."""
    with pytest.raises(Misfit):
        units.time_of_day(value)


@pytest.mark.parametrize(("text", "value"), [("0B", 0), ("512B", 512), ("32KiB", 32768), ("1MiB", 1 << 20), ("2GiB", 2 << 30)])
def test_a_size_has_a_binary_unit(text, value):
    """B, KiB, MiB, GiB."""
    assert units.size(text) == value


@pytest.mark.parametrize("value", [1024, "1024", "1MB", "1kb", "1 MiB", "1.5MiB", None], ids=repr)
def test_a_size_in_other_units_is_refused(value):
    """1MB would leave a doubt of five percent."""
    with pytest.raises(Misfit):
        units.size(value)


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback", "wildcard"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True, False),
        ("[::1]:0", "::1", 0, True, False),
        ("localhost:80", "localhost", 80, True, False),
        ("0.0.0.0:1", "0.0.0.0", 1, False, True),
        ("[::]:65535", "::", 65535, False, True),
        ("sidecar.internal:8080", "sidecar.internal", 8080, False, False),
        ("192.0.2.7:8080", "192.0.2.7", 8080, False, False),
    ],
)
def test_a_bind_is_host_and_port(text, host, port, loopback, wildcard):
    """And knows who can reach it."""
    bind = units.bind(text)
    assert (bind.host, bind.port, bind.loopback, bind.wildcard, str(bind)) == (host, port, loopback, wildcard, text)


@pytest.mark.parametrize(
    "value",
    [
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "::1:80",
        "[127.0.0.1]:80",
        "UPPER:80",
        "a_b:80",
        "1.2.3:80",
        "-a:80",
        "*:80",
        8080,
        None,
    ],
    ids=repr,
)
def test_what_is_no_bind_is_refused(value):
    """No guessing of missing halves."""
    with pytest.raises(Misfit):
        units.bind(value)


@pytest.mark.parametrize("value", ["ca.pem", "file:", "file: ", "env:CA", "https://ca.example", "-----BEGIN", None, 7, ["a"], "file:a\0b"], ids=repr)
def test_what_is_no_reference_to_a_file_is_refused(value):
    """A certificate is a file: neither text in this one, nor the environment's, nor the network's."""
    assert units.file("file:/run/a b").reference == "file:/run/a b"
    with pytest.raises(Misfit):
        units.file(value)


@pytest.mark.parametrize("text", ["file:a", "file:/run/secrets/a b", "env:TOKEN", "env:_T1"])
def test_a_secret_is_a_reference(text):
    """To a file or an environment variable."""
    assert units.secret(text).reference == text


@pytest.mark.parametrize(
    "value", ["hunter2", "file:", "file: ", "env:", "env:A B", "env:1A", "FILE:a", "vault:a", "", None, 7, ["hunter2"], "file:a\0b"], ids=repr
)
def test_an_in_line_secret_is_refused_and_never_repeated(value):
    """What was written may be the secret itself."""
    with pytest.raises(Misfit) as caught:
        units.secret(value)
    assert "hunter2" not in f"{caught.value.message}{caught.value.remedy}"
