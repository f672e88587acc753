"""Configuration and registry held against each other: names that lead nowhere, kinds nobody may ask for, secrets that are not there.

Reads files, changes nothing, asks nothing of the network. Errors are what cannot run or would be unsafe; gaps are warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagewarden import config as configuration
from stagewarden.config import EmailChannel, JwtIdentity, KeyIdentity, MtlsIdentity, OidcPeople, PasswordPeople, Secret, Secrets, TokenPeople
from stagewarden.config import rules as config_rules
from stagewarden.config.rules.addresses import is_loopback
from stagewarden.config.spiffe import trust_domain_of
from stagewarden.errors import ConfigError, Problem
from stagewarden.registry.lint import lint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stagewarden.config import Config, Route, Upstream
    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.registry import Registry


def check(config: Config, registry: Registry, *, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """Every finding about the two: the configuration's own, the registry's lint, and what is between them."""
    secrets = Secrets(config.base, environ)
    between = [problem for rule in RULES for problem in rule(config, registry)]
    return (*config_rules.problems(config), *between, *_secrets(config, secrets), *_files(config, secrets), *lint(registry))


def destinations(config: Config, registry: Registry) -> Iterator[Problem]:
    """An upstream comes out somewhere that is registered."""
    for name, upstream in config.upstreams.items():
        place: Place = ("upstreams", name, "destination")
        if upstream.destination not in registry.data.destinations:
            yield config.source.problem(place, f"`{upstream.destination}` is not a destination of the registry", "add it to `destinations` there")
        elif _denied_in_sandbox(config, registry, upstream):
            message = "leads outside from a sandbox: drafts pass, every export is denied (sandbox_export)"
            yield config.source.problem(place, message, "use an upstream on this machine, or `environment: production`", severity="warning")


def _denied_in_sandbox(config: Config, registry: Registry, upstream: Upstream) -> bool:
    outside = registry.data.destinations[upstream.destination].channel != "internal"
    return config.environment == "sandbox" and outside and not is_loopback(urlsplit(upstream.url).hostname or "")


def kinds(config: Config, registry: Registry) -> Iterator[Problem]:
    """A kind in no workflow is prohibited for everybody; a workflow that a route names exists. Unused catalogue rows are no gap."""
    listed = {kind for workflow in registry.data.workflows.values() for kind in (*workflow.actions.allowed, *workflow.actions.restricted)}
    named = {kind for workflow in registry.data.workflows.values() for kind in workflow.actions.prohibited}
    for name, upstream in config.upstreams.items():
        for index, route in enumerate(upstream.routes):
            place: Place = ("upstreams", name, "routes", index)
            if route.workflow is not None and route.workflow not in registry.data.workflows:
                yield config.source.problem(
                    (*place, "workflow"), f"`{route.workflow}` is not a workflow of the registry", "add it to `workflows` there"
                )
            for kind in sorted(_kinds(route) - listed - named):
                remedy = "add it to a workflow's actions, or remove the route"
                yield config.source.problem(place, f"kind `{kind}` is in no workflow: it is prohibited for everybody", remedy, severity="warning")
    used = {kind for upstream in config.upstreams.values() for route in configuration.expand_routes(upstream) for kind in _kinds(route)}
    for name, workflow in registry.data.workflows.items():
        for key in ("allowed", "restricted"):
            for index, kind in enumerate(getattr(workflow.actions, key)):
                if kind not in used:
                    file, line = registry.line(("workflows", name, "actions", key, index))
                    where = f"workflows.{name}.actions.{key}[{index}]"
                    yield Problem(file, line, where, f"no route is of kind `{kind}`", "mend the spelling, or remove it", "warning")


def _kinds(route: Route) -> set[str]:
    return {route.kind, *(case.kind for case in route.cases)}


def workflows(config: Config, registry: Registry) -> Iterator[Problem]:
    """An agent with several workflows can use only routes that name theirs, as its credential does not (`shared_identity`)."""
    silent = sorted(
        {name for name, upstream in config.upstreams.items() for route in configuration.expand_routes(upstream) if route.workflow is None}
    )
    for name, agent in registry.data.agents.items():
        if len(agent.workflows) > 1 and agent.identity.issuer is None and silent:  # only a token can name one
            file, line = registry.line(("agents", name, "workflows"))
            message = f"are several, and routes of {', '.join(silent)} name none: there it is refused (shared_identity)"
            yield Problem(file, line, f"agents.{name}.workflows", message, "add `workflow:` to the routes, or give each workflow an agent", "warning")


def identities(config: Config, registry: Registry) -> Iterator[Problem]:
    """Every registered agent could sign in with something that is configured."""
    if config.listen.agents is None:
        return
    has_keys = any(isinstance(each, KeyIdentity) for each in config.identity.agents)
    issuers = {each.issuer for each in config.identity.agents if isinstance(each, JwtIdentity)}
    trusted = {each.trust_domain for each in config.identity.agents if isinstance(each, MtlsIdentity)}
    for name, agent in registry.data.agents.items():
        file, line = registry.line(("agents", name, "identity"))
        where = f"agents.{name}.identity"
        if agent.identity.key is not None and not has_keys:
            yield Problem(file, line, where, "is a key, and no key file is configured", "add `{kind: key, keys: file:agent-keys.yaml}`", "warning")
        if agent.identity.issuer is not None and agent.identity.issuer not in issuers:
            remedy = f"add `{{kind: jwt, issuer: {agent.identity.issuer}, audience: …, keys: …}}` to identity.agents"
            yield Problem(file, line, where, "names an issuer that is not configured", remedy, "warning")
        if agent.identity.spiffe is not None and (domain := trust_domain_of(agent.identity.spiffe)) not in trusted:
            remedy = f"add `{{kind: mtls, trust_domain: {domain}}}` to identity.agents"
            yield Problem(file, line, where, "is of a trust domain that is not configured", remedy, "warning")


def voters(config: Config, registry: Registry) -> Iterator[Problem]:
    """Passwords and persons' tokens are for sandboxes; and who is registered under another issuer never gets in."""
    providers = {each.issuer for each in config.identity.people if isinstance(each, OidcPeople)}
    if config.environment == "production" and config.listen.people is not None and not providers:
        message = "is production, where people sign in with OpenID Connect alone, and no provider is configured: holds wait, and expire as a no"
        remedy = "add `{kind: oidc, issuer: …, client_id: …}` to identity.people"
        yield config.source.problem(("environment",), message, remedy, severity="warning")
    for name, person in registry.data.people.items() if providers else ():
        if person.active and (person.identity is None or person.identity.issuer not in providers):
            file, line = registry.line(("people", name))
            why = "has no identity" if person.identity is None else "has an identity of an issuer that is not configured"
            yield Problem(file, line, f"people.{name}", f"{why}, and cannot sign in", "write `identity: {issuer: …, subject: …}`", "warning")


def groups(config: Config, registry: Registry) -> Iterator[Problem]:
    """A directory group narrows what a person holds; with nobody to say the groups it would narrow nothing."""
    if any(isinstance(each, OidcPeople) and each.groups for each in config.identity.people):
        return
    for name, person in registry.data.people.items():
        if person.group is not None:
            file, line = registry.line(("people", name, "group"))
            remedy = "write `groups: CLAIM` at the provider in identity.people, or remove the key"
            yield Problem(file, line, f"people.{name}.group", "is a directory group, and no provider says groups", remedy)


def notified(config: Config, registry: Registry) -> Iterator[Problem]:
    """A channel's workflows exist; mail to people's own addresses finds some."""
    for index, channel in enumerate(config.notify):
        for number, workflow in enumerate(channel.workflows):
            if workflow not in registry.data.workflows:
                place: Place = ("notify", index, "workflows", number)
                yield config.source.problem(place, f"`{workflow}` is not a workflow of the registry", "mend the spelling, or remove it")
        addressed = any(person.active and person.email for person in registry.data.people.values())
        if isinstance(channel, EmailChannel) and channel.people and not any(channel.to.values()) and not addressed:
            message = "is sent to people's own addresses, and nobody in the registry has one"
            yield config.source.problem(("notify", index), message, "write `email:` at people in the registry, or `to:` here", severity="warning")


RULES: tuple[Callable[[Config, Registry], Iterator[Problem]], ...] = (destinations, kinds, workflows, identities, voters, groups, notified)


def _references(config: Config) -> Iterator[tuple[Place, Secret]]:
    for index, each in enumerate(config.identity.agents):
        if isinstance(each, KeyIdentity):
            yield ("identity", "agents", index, "keys"), each.keys
    for index, person in enumerate(config.identity.people):
        match person:
            case TokenPeople(tokens=secret):
                yield ("identity", "people", index, "tokens"), secret
            case PasswordPeople(users=secret):
                yield ("identity", "people", index, "users"), secret
            case OidcPeople(client_secret=Secret() as secret):
                yield ("identity", "people", index, "client_secret"), secret
    for name, upstream in config.upstreams.items():
        for stage, credential in upstream.credentials.items():
            yield ("upstreams", name, "credentials", stage.value, "value"), credential.value
    if config.policy.opa is not None and config.policy.opa.token is not None:
        yield ("policy", "opa", "token"), config.policy.opa.token


def _secrets(config: Config, secrets: Secrets) -> Iterator[Problem]:
    """Every secret can be read, by us alone; a credential can stand in a header; the key is one."""
    for place, secret in _references(config):
        try:
            text = secrets.text(secret)
        except ConfigError as error:
            yield from _at(config, place, secret, error)
            continue
        if place[-1] in {"value", "token"} and not _is_header_value(text):
            yield config.source.problem(
                place, f"{secret.reference} does not fit into a header", "one line of printable ASCII, as in `Basic dXNlcjpwYXNz`"
            )
        if place[-1] == "value" and PLACEHOLDER in text:
            yield config.source.problem(place, f"{secret.reference} still holds its placeholder", "follow the instruction in that file")
    try:
        secrets.key(config.holds.key)
    except ConfigError as error:
        yield from _at(config, ("holds", "key"), config.holds.key, error)


PLACEHOLDER = "REPLACE-ME"


def _at(config: Config, place: Place, secret: Secret, error: ConfigError) -> Iterator[Problem]:
    for problem in error.problems:
        yield config.source.problem(place, f"{secret.reference} {problem.message}", problem.remedy)


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


def _files(config: Config, secrets: Secrets) -> Iterator[Problem]:
    """Files that are named and are no secrets: key sets, the policy."""
    for index, each in enumerate(config.identity.agents):
        if isinstance(each, JwtIdentity) and each.keys.startswith("file:") and not secrets.path(each.keys).is_file():
            yield config.source.problem(("identity", "agents", index, "keys"), f"{each.keys} is not a file", "save the issuer's key set there")
    bundle = config.policy.bundle
    if bundle != "builtin" and not secrets.path(bundle).exists():
        yield config.source.problem(("policy", "bundle"), f"`{bundle}` does not exist", "write builtin, a directory of Rego, or bundle.tar.gz")
