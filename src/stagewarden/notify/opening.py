"""Configuration → channels: secrets read, certificates loaded, once at start. Every problem with its place, and no secret in any of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagewarden.config import EmailChannel, SlackChannel, WebhookChannel
from stagewarden.config.certificates import authorities
from stagewarden.config.rules.notify import server_of, url_problem
from stagewarden.errors import ConfigError
from stagewarden.notify.channels import Channel, Slack, Webhook
from stagewarden.notify.mailing import Mail, Server
from stagewarden.notify.posting import Poster
from stagewarden.notify.signing import key_of
from stagewarden.wire.tls import client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from stagewarden.clock import Clock
    from stagewarden.config import Config, File, NotifyChannel, Secret, Secrets
    from stagewarden.config.yaml_source import Place
    from stagewarden.errors import Problem


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel that can be used. `address`: a digest of where it leads, which changes with it."""

    channel: Channel
    kind: str
    address: str
    settings: NotifyChannel


def open_channels(config: Config, secrets: Secrets, clock: Clock, address_of: Callable[[str], str | None]) -> dict[str, Opened]:
    """By name; `address_of`: where mail to a person goes. Raises ConfigError with every problem."""
    found = tuple(problems(config, secrets))
    if found:
        raise ConfigError(found)
    return {each.name: _opened(each, secrets, clock, address_of) for each in config.notify}


def problems(config: Config, secrets: Secrets) -> Iterator[Problem]:
    """Secrets that are not there, or are none of their kind; authorities that cannot be read."""
    for index, each in enumerate(config.notify):
        place = ("notify", index)
        try:
            _context(secrets, each.ca, needed=True)
        except ConfigError as error:
            yield from (config.source.problem((*place, "ca"), problem.message, problem.remedy) for problem in error.problems)
        except (OSError, ValueError) as error:
            yield config.source.problem(
                (*place, "ca"), f"cannot be used: {getattr(error, 'reason', None) or error}", "name a file of PEM certificates"
            )
        match each:
            case WebhookChannel(secrets=references):
                for number, secret in enumerate(references):
                    yield from _unfit(config, secrets, (*place, "secrets", number), secret, key_of)
            case SlackChannel(url=secret):
                yield from _unfit(config, secrets, (*place, "url"), secret, _slack_url)
            case EmailChannel(password=secret) if secret is not None:
                yield from _unfit(config, secrets, (*place, "password"), secret, str)


def _unfit(config: Config, secrets: Secrets, place: Place, secret: Secret, read: Callable[[str], object]) -> Iterator[Problem]:
    try:
        read(secrets.text(secret))
    except ConfigError as error:
        yield from (config.source.problem(place, f"{secret.reference} {problem.message}", problem.remedy) for problem in error.problems)
    except ValueError as error:
        yield config.source.problem(place, f"{secret.reference} {error}", "write what the receiver gave you, one line")


def _slack_url(text: str) -> str:
    if (problem := url_problem(text)) is not None:
        raise ValueError(problem)
    return text


def _opened(settings: NotifyChannel, secrets: Secrets, clock: Clock, address_of: Callable[[str], str | None]) -> Opened:
    channel: Channel
    match settings:
        case WebhookChannel():
            keys = [key_of(secrets.text(secret)) for secret in settings.secrets]
            where = settings.url
            channel = Webhook(_poster(where, settings, secrets), keys, clock)
        case SlackChannel():
            where = secrets.text(settings.url)
            channel = Slack(_poster(where, settings, secrets), clock)
        case EmailChannel():
            where = settings.server
            host, port = server_of(where)
            password = None if settings.password is None else secrets.text(settings.password)
            context = _context(secrets, settings.ca, needed=settings.tls != "none")
            server = Server(host, port, settings.tls, context, float(settings.timeout), settings.user, password)
            channel = Mail(server, settings.sender, address_of, clock)
    kind = str(settings.__struct_config__.tag)
    return Opened(channel, kind, hashlib.sha256(where.encode()).hexdigest(), settings)


def _poster(url: str, settings: WebhookChannel | SlackChannel, secrets: Secrets) -> Poster:
    return Poster(url, _context(secrets, settings.ca, needed=urlsplit(url).scheme == "https"), float(settings.timeout))


def _context(secrets: Secrets, ca: File | None, *, needed: bool) -> ssl.SSLContext | None:
    return client_context(None if ca is None else authorities(secrets, ca)) if needed else None
