"""Who may sign in by what: keys that can be checked, audiences that are ours, nothing from a sandbox in production."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagewarden.config.rules.addresses import is_loopback
from stagewarden.config.rules.values import ID, ID_REMEDY
from stagewarden.config.shapes import JwtIdentity, MtlsIdentity, OidcPeople, PasswordPeople
from stagewarden.config.spiffe import is_trust_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.shapes import Adapter, Config
    from stagewarden.config.yaml_source import Place
    from stagewarden.errors import Problem

# Asymmetric only: with a shared secret, whoever can check a token can make one (RFC 8725 section 3.1)
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
MAX_VOTE_AGE = 300.0  # seconds since a token was issued that is a vote
MAX_LEEWAY = 300.0


def agents(config: Config) -> Iterator[Problem]:
    """Every JWT issuer names its audience and where its public keys are."""
    issuers: set[str] = set()
    for index, each in enumerate(config.identity.agents):
        if not isinstance(each, JwtIdentity):
            continue
        place: Place = ("identity", "agents", index)
        for key in ("issuer", "audience"):
            if not getattr(each, key).strip():
                yield config.source.problem((*place, key), "is blank", "a token must say who issued it and that it is meant for us")
        if each.issuer in issuers:
            yield config.source.problem((*place, "issuer"), "is written twice", "keep one entry an issuer")
        issuers.add(each.issuer)
        yield from _keys(config, each, place)
        for number, algorithm in enumerate(each.algorithms):
            if algorithm not in ALGORITHMS:
                yield config.source.problem((*place, "algorithms", number), f"`{algorithm}` is not accepted", f"one of {', '.join(ALGORITHMS)}")
        if not each.algorithms:
            yield config.source.problem((*place, "algorithms"), "is empty", "remove the key: the default is a good list")
        if each.leeway > MAX_LEEWAY:
            yield config.source.problem((*place, "leeway"), "is longer than 5m", "keep the clocks right; 30s is the default")


def adapters(config: Config) -> Iterator[Problem]:
    """Votes through another queue: tokens of persons, made for this alone, short-lived, of an issuer whose keys are got safely."""
    used = {(each.issuer, each.client_id) for each in config.identity.people if isinstance(each, OidcPeople)}
    used |= {(each.issuer, each.audience) for each in config.identity.agents if isinstance(each, JwtIdentity)}
    for name, each in config.people.adapters.items():
        place: Place = ("people", "adapters", name)
        if not ID.fullmatch(name):
            yield config.source.problem(place, "is not a name", ID_REMEDY)
        for key in ("issuer", "audience"):
            if not getattr(each, key).strip():
                yield config.source.problem((*place, key), "is blank", "a token must say who issued it and that it is meant for votes")
        if (each.issuer, each.audience) in used:
            remedy = "let the issuer make tokens for votes under an audience of their own"
            yield config.source.problem((*place, "audience"), "is used for something else too: such a token would be a vote", remedy)
        used.add((each.issuer, each.audience))
        yield from _keys(config, each, place)
        for number, algorithm in enumerate(each.algorithms):
            if algorithm not in ALGORITHMS:
                yield config.source.problem((*place, "algorithms", number), f"`{algorithm}` is not accepted", f"one of {', '.join(ALGORITHMS)}")
        if not each.algorithms:
            yield config.source.problem((*place, "algorithms"), "is empty", "remove the key: the default is a good list")
        if not 0 < each.max_age <= MAX_VOTE_AGE:
            yield config.source.problem((*place, "max_age"), "is not between 1s and 5m", "5m is the default: a vote is said now")


def _keys(config: Config, jwt: JwtIdentity | Adapter, place: Place) -> Iterator[Problem]:
    if jwt.keys.startswith("file:") and jwt.keys.removeprefix("file:").strip():
        return
    url = urlsplit(jwt.keys)
    if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
        yield config.source.problem((*place, "keys"), "is neither a key set's file nor its URL", "write file:jwks.json or an https URL")
    elif url.scheme == "http" and not is_loopback(url.hostname):
        yield config.source.problem((*place, "keys"), "is plain http: whoever answers there makes agents, or votes", "use https")


def certificates(config: Config) -> Iterator[Problem]:
    """Agents by certificate: one trust domain, and a listener that asks for certificates of its authority."""
    known = [(index, each) for index, each in enumerate(config.identity.agents) if isinstance(each, MtlsIdentity)]
    for index, each in known:
        if not is_trust_domain(each.trust_domain):
            remedy = "write the name alone, in lower case, as in example.org"
            yield config.source.problem(("identity", "agents", index, "trust_domain"), "is not a trust domain", remedy)
    for index, _ in known[1:]:
        # `client_ca` is one list: an authority of one trust domain could sign for the other
        yield config.source.problem(("identity", "agents", index), "is a second trust domain", "keep one: run a sidecar for each")
    listener = config.listen.agents
    if known and listener is not None and (listener.tls is None or listener.tls.client_ca is None):
        lacking = "`tls`" if listener.tls is None else "`tls.client_ca`"
        remedy = "add `tls: {certificate: file:…, key: file:…, client_ca: file:…}` to listen.agents"
        yield config.source.problem(("identity", "agents", known[0][0]), f"needs certificates, and listen.agents has no {lacking}", remedy)


def people(config: Config) -> Iterator[Problem]:
    """Passwords are for sandboxes; a provider is one, reached safely, and knows where to send people back to."""
    yield from _providers(config)
    for index, each in enumerate(config.identity.people):
        if isinstance(each, PasswordPeople) and config.environment == "production":
            remedy = "use kind token, or set `environment: sandbox`"
            yield config.source.problem(("identity", "people", index), "signs people in by password in production", remedy)


def _providers(config: Config) -> Iterator[Problem]:
    known = [(index, each) for index, each in enumerate(config.identity.people) if isinstance(each, OidcPeople)]
    for index, _ in known[1:]:
        yield config.source.problem(("identity", "people", index), "is a second provider", "keep one: let it federate the others")
    for index, each in known:
        place: Place = ("identity", "people", index)
        url = urlsplit(each.issuer)
        if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc or url.query or url.fragment:
            yield config.source.problem((*place, "issuer"), "is not an issuer", "write its https URL, as its metadata says it")
        elif url.scheme == "http" and not is_loopback(url.hostname):
            yield config.source.problem((*place, "issuer"), "is plain http: whoever answers there makes people", "use https")
        if not each.client_id.strip():
            yield config.source.problem((*place, "client_id"), "is blank", "write the id this sidecar is registered with")
        if "openid" not in each.scopes:
            yield config.source.problem((*place, "scopes"), "lack `openid`", "add it: without it nobody is identified")
        if config.people.url is None:
            yield config.source.problem(place, "needs `people.url`", "write where people reach the console: the provider sends them back there")
        elif urlsplit(config.people.url).scheme != "https" and config.environment == "production":
            yield config.source.problem(("people", "url"), "is not https", "write https://HOST: a session cookie over plain http is anybody's")
