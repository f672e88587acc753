"""Notifications: channels that lead somewhere, safely, and links that lead back."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagewarden.config.rules.addresses import is_loopback
from stagewarden.config.rules.values import ID, ID_REMEDY
from stagewarden.config.shapes import EmailChannel, WebhookChannel
from stagewarden.config.units import MAX_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.shapes import Config
    from stagewarden.config.yaml_source import Place
    from stagewarden.errors import Problem

LONGEST = 60.0  # seconds of one attempt: below the lease of a delivery
MOST_SECRETS = 5  # a receiver tries each
_MOST = 20  # channels
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", re.ASCII)


def names(config: Config) -> Iterator[Problem]:
    """Each channel by a name of its own, in time, and with a console to lead to."""
    seen: set[str] = set()
    for index, each in enumerate(config.notify):
        if not ID.fullmatch(each.name):
            yield config.source.problem(("notify", index, "name"), "is not a name", ID_REMEDY)
        if each.name in seen:
            yield config.source.problem(("notify", index, "name"), f"`{each.name}` is there twice", "give each channel a name of its own")
        seen.add(each.name)
        if not 0 < each.timeout <= LONGEST:
            yield config.source.problem(("notify", index, "timeout"), f"is not between 1ms and {LONGEST:.0f}s", "10s is the default")
    if config.notify and config.people.url is None:
        yield config.source.problem(("notify",), "needs `people.url`", "write where people reach the console: notifications lead there")
    if len(config.notify) > _MOST:
        yield config.source.problem(("notify",), f"has more than {_MOST} channels", "let a receiver of yours pass messages on")


def receivers(config: Config) -> Iterator[Problem]:
    """Webhooks: an address nobody else can answer at, and at least one secret."""
    for index, each in enumerate(config.notify):
        if not isinstance(each, WebhookChannel):
            continue
        place: Place = ("notify", index)
        if (problem := url_problem(each.url)) is not None:
            yield config.source.problem((*place, "url"), problem, "write https://HOST/PATH; http is for receivers on this machine alone")
        if not 1 <= len(each.secrets) <= MOST_SECRETS:
            remedy = 'write `secrets: ["file:secrets/hook"]`; a second one while you change it'
            yield config.source.problem((*place, "secrets"), f"are not 1 to {MOST_SECRETS}", remedy)


def url_problem(text: str) -> str | None:
    """Why no message is posted there; None where it may be. A name is judged when it is resolved."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        return "is not a URL"
    if url.scheme not in {"http", "https"} or not host or url.fragment or not text.isascii() or not text.isprintable() or " " in text:
        return "is not an https URL"
    if "@" in url.netloc:
        return "carries a credential (not repeated here)"
    if url.scheme == "http" and not is_loopback(host):
        return "is plain http to another machine"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return "is an address no receiver has" if address.is_link_local or address.is_multicast or address.is_unspecified else None


def mail(config: Config) -> Iterator[Problem]:
    """Mail servers: TLS before any password, and addresses that are some."""
    for index, each in enumerate(config.notify):
        if not isinstance(each, EmailChannel):
            continue
        place: Place = ("notify", index)
        host = ""
        try:
            host, _ = server_of(each.server)
        except ValueError:
            yield config.source.problem((*place, "server"), "is not HOST:PORT", "write mail.example:587 (starttls) or mail.example:465 (implicit)")
        if each.tls == "none" and host and not is_loopback(host):
            yield config.source.problem((*place, "tls"), "is none, to another machine", "write starttls or implicit")
        if (each.user is None) is not (each.password is None):
            yield config.source.problem(place, "has one of `user` and `password`", "write both, or neither")
        lists = [((*place, "to", function, number), address) for function, listed in each.to.items() for number, address in enumerate(listed)]
        for where, address in [((*place, "from"), each.sender), *lists]:
            if not ADDRESS.fullmatch(address):
                yield config.source.problem(where, "is not an e-mail address", "write the address alone, as in stagewarden@example.org")
        if not each.people and not any(each.to.values()):
            yield config.source.problem(place, "is sent to nobody", "write `to: {reviewer: [ADDRESS]}`, or leave `people` out")


def server_of(text: str) -> tuple[str, int]:
    """Host and port of a mail server; raises ValueError."""
    host, _, port = text.rpartition(":")
    if (
        not host
        or not port.isascii()
        or not port.isdigit()
        or not 0 < int(port) <= MAX_PORT
        or not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", host)
    ):
        raise ValueError(text)
    return host.strip("[]"), int(port)
