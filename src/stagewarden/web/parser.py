"""Which parser aiohttp runs on, for the people's and the operators' listeners. Must never let a start go on with the lenient one."""

from __future__ import annotations

from aiohttp import http_parser

from stagewarden.errors import ConfigError, Problem


def require_native() -> None:
    """Raise ConfigError unless requests are parsed by llhttp: the pure-Python fallback accepts what llhttp refuses (CVE-2023-47627 and kin)."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        message = "would be read by aiohttp's pure-Python parser, which accepts what the other refuses"
        remedy = "unset AIOHTTP_NO_EXTENSIONS, or install a wheel of aiohttp that has its extensions"
        raise ConfigError((Problem("", 0, "listen", message, remedy),))
