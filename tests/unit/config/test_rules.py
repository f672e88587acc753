"""What may stand together: one change to a sound configuration, and the rule that finds it."""

from __future__ import annotations

import copy

import pytest

from stagewarden.config import expand_routes
from stagewarden.config.rules.routes import findings
from tests.unit.config.parts import REMOVED, SMALL, changed, loaded, refusals, warnings

R = "upstreams.cms.routes"
OTHER = {**SMALL["upstreams"]["cms"], "url": "http://127.0.0.1:9001"}
JWT = {"kind": "jwt", "issuer": "https://issuer.example", "audience": "stagewarden", "keys": "file:jwks.json"}
HOSTED = {**{key: value for key, value in OTHER.items() if key != "mount"}, "hosts": ["cms.internal"]}
TLS = {"certificate": "file:svid.pem", "key": "file:svid_key.pem", "client_ca": "file:bundle.pem"}
MTLS = {"kind": "mtls", "trust_domain": "example.org"}
FORM = {"match": "POST /forms", "stage": "export", "kind": "x", "body": "multipart"}
EXPORT_BY_ID = {"match": "POST /posts/{id}/publish", "stage": "export", "kind": "post.publish"}
OIDC = {"kind": "oidc", "issuer": "https://idp.example", "client_id": "stagewarden"}
POSTS_LOOKUP = {"get": "/posts/{id}", "state": "/status", "states": {"draft": "draft"}, "digest": True}


def production(place: str, value: object) -> dict[str, object]:
    """A change, in production."""
    return changed(place, value) | {"environment": "production"}


def with_provider(url: str | None = "https://approve.example", **said: object) -> dict[str, object]:
    """People by one provider."""
    return changed("identity.people", [OIDC | said]) | {"people": {"url": url}}


def with_tls(changes: dict[str, object], *agents: dict[str, object]) -> dict[str, object]:
    """A listener over TLS, and these agents beside those with keys."""
    document = changed("listen.agents.tls", TLS | changes)
    document["identity"]["agents"] += agents
    return document


def notified(*channels: dict[str, object], url: str | None = "https://approve.example") -> dict[str, object]:
    """These channels, and a console to lead to."""
    return changed("notify", [*channels]) | {"people": {"url": url}}


HOOK = {"name": "desk", "kind": "webhook", "url": "https://receiver.example/hook", "secrets": ["file:secrets/hook"]}
MAIL = {"name": "mail", "kind": "email", "server": "mail.example:587", "from": "warden@example.org"}
CHAT = {"name": "chat", "kind": "slack", "url": "file:secrets/chat"}
NOTIFY_ERRORS = {
    "without_a_console": (notified(HOOK, url=None), "notify", "needs `people.url`"),
    "a_name_that_is_none": (notified(HOOK | {"name": "The Desk"}), "notify[0].name", "not a name"),
    "a_name_twice": (notified(HOOK, CHAT | {"name": "desk"}), "notify[1].name", "is there twice"),
    "no_time": (notified(HOOK | {"timeout": "0s"}), "notify[0].timeout", "not between"),
    "too_much_time": (notified(HOOK | {"timeout": "61s"}), "notify[0].timeout", "not between"),
    "too_many": (notified(*(copy.deepcopy(HOOK) | {"name": f"desk{number}"} for number in range(21))), "notify", "more than 20"),
    "plain_http": (notified(HOOK | {"url": "http://receiver.example/"}), "notify[0].url", "plain http"),
    "another_scheme": (notified(HOOK | {"url": "ftp://receiver.example/"}), "notify[0].url", "not an https URL"),
    "no_url": (notified(HOOK | {"url": "receiver"}), "notify[0].url", "not an https URL"),
    "a_broken_url": (notified(HOOK | {"url": "https://[::1/"}), "notify[0].url", "not a URL"),
    "a_line_break": (notified(HOOK | {"url": "https://receiver.example/\r\nX: y"}), "notify[0].url", "not an https URL"),
    "a_credential": (notified(HOOK | {"url": "https://u:hunter2@receiver.example/"}), "notify[0].url", "carries a credential"),
    "metadata": (notified(HOOK | {"url": "https://169.254.169.254/"}), "notify[0].url", "no receiver has"),
    "metadata_six": (notified(HOOK | {"url": "https://[fe80::1]/"}), "notify[0].url", "no receiver has"),
    "everywhere": (notified(HOOK | {"url": "https://0.0.0.0/"}), "notify[0].url", "no receiver has"),
    "no_secret": (notified(HOOK | {"secrets": []}), "notify[0].secrets", "not 1 to 5"),
    "many_secrets": (notified(HOOK | {"secrets": ["file:s"] * 6}), "notify[0].secrets", "not 1 to 5"),
    "a_secret_in_line": (notified(HOOK | {"secrets": ["whsec_hunter2"]}), "notify[0].secrets[0]", "not a reference to a secret"),
    "a_chat_url_in_line": (notified(CHAT | {"url": "https://hooks.example/hunter2"}), "notify[0].url", "not a reference to a secret"),
    "an_event_nobody_knows": (notified(HOOK | {"events": ["closed"]}), "notify[0].events[0]", "not a value known here"),
    "a_tier_nobody_knows": (notified(HOOK | {"tiers": ["severe"]}), "notify[0].tiers[0]", "not a value known here"),
    "a_kind_nobody_knows": (notified(HOOK | {"kind": "pager"}), "notify[0].kind", "not a kind known here"),
    "a_key_nobody_knows": (notified(HOOK | {"retries": 3}), "notify[0].retries", "unknown key"),
    "no_port": (notified(MAIL | {"server": "mail.example"}), "notify[0].server", "not HOST:PORT"),
    "mail_in_clear": (notified(MAIL | {"tls": "none"}), "notify[0].tls", "to another machine"),
    "half_a_login": (notified(MAIL | {"user": "warden"}), "notify[0]", "one of `user` and `password`"),
    "a_sender_with_a_name": (notified(MAIL | {"from": "Warden <warden@example.org>"}), "notify[0].from", "not an e-mail address"),
    "a_list_of_words": (notified(MAIL | {"to": {"legal": ["everybody"]}}), "notify[0].to.legal[0]", "not an e-mail address"),
    "a_recipient_with_a_header": (notified(MAIL | {"to": {"legal": ["a@b.example\nBcc: c@d.example"]}}), "notify[0].to.legal[0]", "not an e-mail"),
    "a_function_nobody_knows": (notified(MAIL | {"to": {"janitor": []}}), "notify[0].to.janitor", "not a value known here"),
    "nobody": (notified(MAIL | {"people": False}), "notify[0]", "sent to nobody"),
}  # fmt: skip

QUEUE = {"issuer": "https://idp.example", "audience": "votes", "keys": "https://idp.example/jwks"}


def adapted(name: str = "queue", **changes: object) -> dict[str, object]:
    """One adapter, beside a provider and an agents' issuer."""
    document = with_provider()
    document["people"]["adapters"] = {name: QUEUE | changes}
    document["identity"]["agents"] = [*document["identity"]["agents"], JWT]
    return document


A = "people.adapters.queue"
ADAPTER_ERRORS = {
    "adapter_name": (adapted("The Queue"), 'people.adapters["The Queue"]', "not a name"),
    "adapter_issuer": (adapted(issuer=" "), f"{A}.issuer", "blank"),
    "adapter_audience": (adapted(audience=""), f"{A}.audience", "blank"),
    "adapter_of_sign_in": (adapted(audience="stagewarden"), f"{A}.audience", "used for something else"),
    "adapter_of_agents": (adapted(issuer="https://issuer.example", audience="stagewarden"), f"{A}.audience", "used for something else"),
    "adapter_keys": (adapted(keys="jwks.json"), f"{A}.keys", "neither a key set"),
    "adapter_plain_http": (adapted(keys="http://idp.example/jwks"), f"{A}.keys", "plain http"),
    "adapter_algorithm": (adapted(algorithms=["HS256"]), f"{A}.algorithms[0]", "not accepted"),
    "adapter_no_algorithm": (adapted(algorithms=[]), f"{A}.algorithms", "empty"),
    "adapter_old_votes": (adapted(max_age="6m"), f"{A}.max_age", "not between"),
    "adapter_no_time": (adapted(max_age="0s"), f"{A}.max_age", "not between"),
}

ERRORS = {
    **NOTIFY_ERRORS,
    **ADAPTER_ERRORS,
    # names and values
    "name": (changed("name", "News room"), "name", "not a name"),
    "upstream_name": (changed("upstreams.CMS", OTHER | {"mount": "/b"}), "upstreams.CMS", "not a name"),
    "decide_within_zero": (changed("holds.decide_within", "0s"), "holds.decide_within", "zero"),
    "use_within_zero": (changed("holds.use_within", "0s"), "holds.use_within", "zero"),
    "settle_for_ever": (changed("holds.settle", "8d"), "holds.settle", "longer than 7d"),
    "escalate_never": (changed("holds.escalate_at", 0), "holds.escalate_at", "not a share"),
    "remind_never": (changed("holds.remind_at", 0), "holds.remind_at", "not a share"),
    "remind_too_late": (changed("holds.remind_at", 1.5), "holds.remind_at", "not a share"),
    "escalate_too_late": (changed("holds.escalate_at", 1.0), "holds.escalate_at", "not a share"),
    "hours_nowhere": (changed("holds.hours", {"zone": "Europe/Atlantis"}), "holds.hours.zone", "not a time zone"),
    "hours_outside": (changed("holds.hours", {"zone": "../etc/passwd"}), "holds.hours.zone", "not a time zone"),
    "hours_of_nothing": (changed("holds.hours", {"zone": "UTC", "from": "18:00", "to": "09:00"}), "holds.hours", "no time to work"),
    "hours_without_days": (changed("holds.hours", {"zone": "UTC", "days": []}), "holds.hours", "no time to work"),
    "hours_for_ever": (
        changed("holds", {"decide_within": "60d", "hours": {"zone": "UTC", "days": ["mon"], "from": "09:00", "to": "09:30"}}),
        "holds.decide_within",
        "26 weeks",
    ),
    "idempotency_of_a_read": (
        changed(f"{R}.2", {"match": "GET /x", "stage": "generate", "kind": "x", "idempotency": True}),
        f"{R}[2].idempotency",
        "GET",
    ),
    "idempotency_beside_digest": (changed(f"{R}.1.idempotency", value=True), f"{R}[1].idempotency", "lookup.digest"),
    "wait_too_long": (changed("holds.wait", "56s"), "holds.wait", "longer than 55s"),
    "session_reversed": (changed("people.session", {"idle": "9h"}), "people.session", "ends by the clock"),
    "connect_deadline": (changed("upstreams.cms.connect_deadline", "0s"), "upstreams.cms.connect_deadline", "zero"),
    "limit_zero": (changed("limits.headers", 0), "limits.headers", "not above zero"),
    "limit_negative": (changed("limits.json_depth", -1), "limits.json_depth", "not above zero"),
    "inflight_zero": (changed("limits.inflight", 0), "limits.inflight", "not above zero"),
    "connections_zero": (changed("limits.connections", 0), "limits.connections", "not above zero"),
    "depth_huge": (changed("limits.json_depth", 5000), "limits.json_depth", "above"),
    "body_huge": (changed("limits.body", "1GiB"), "limits.body", "above"),
    "reserve_zero": (changed("audit.reserve", "0B"), "audit.reserve", "zero"),
    "people_url_path": (changed("people.url", "https://a.example/x"), "people.url", "not an origin"),
    "people_url_script": (changed("people.url", "javascript:alert(1)"), "people.url", "not an origin"),
    "state_kind": (changed("state", "mysql://x"), "state", "not a state database"),
    "state_empty": (changed("state", "sqlite:"), "state", "not a state database"),
    # people
    "provider_without_url": (with_provider(None), "identity.people[0]", "needs `people.url`"),
    "provider_http": (with_provider(issuer="http://idp.example"), "identity.people[0].issuer", "plain http"),
    "provider_query": (with_provider(issuer="https://idp.example?x=1"), "identity.people[0].issuer", "not an issuer"),
    "provider_user": (with_provider(issuer="https://a@idp.example"), "identity.people[0].issuer", "not an issuer"),
    "provider_blank": (with_provider(client_id=" "), "identity.people[0].client_id", "blank"),
    "provider_scopes": (with_provider(scopes=["groups"]), "identity.people[0].scopes", "lack `openid`"),
    "two_providers": (
        changed("identity.people", [OIDC | {}, OIDC | {}]) | {"people": {"url": "https://a.example"}},
        "identity.people[1]",
        "second provider",
    ),
    "console_http": (with_provider("http://127.0.0.1:8081") | {"environment": "production"}, "people.url", "not https"),
    "state_nobody": (changed("state", "postgresql://db.example/state"), "state", "lacks a host, a user or a database"),
    "state_unverified": (changed("state", "postgresql://sw@db.example/state?sslmode=require"), "state", "does not check whom it talks to"),
    "state_plain": (production("state", "postgresql://sw@db.example/state?sslmode=disable"), "state", "without TLS"),
    "state_password": (production("state", "postgresql://sw:hunter2@db.example/state"), "state", "holds a password"),
    # policy
    "opa_missing": (changed("policy.engine", "opa"), "policy.engine", "no OPA is named"),
    "opa_relative_socket": (changed("policy.opa", {"url": "unix:opa.sock"}), "policy.opa.url", "absolute"),
    "opa_http_far": (changed("policy.opa", {"url": "http://opa.example:8181"}), "policy.opa.url", "plain http"),
    "opa_with_path": (changed("policy.opa", {"url": "https://opa.example/v1"}), "policy.opa.url", "not an OPA address"),
    "deadline_zero": (changed("policy.deadline", "0s"), "policy.deadline", "between"),
    "deadline_long": (changed("policy.deadline", "1m"), "policy.deadline", "between"),
    "memory_small": (changed("policy.memory", "1MiB"), "policy.memory", "4MiB"),
    "cache_of_nothing": (changed("policy.cache", {"entries": 0}), "policy.cache.entries", "between 1 and"),
    "cache_of_everything": (changed("policy.cache", {"entries": 100_000}), "policy.cache.entries", "between 1 and"),
    "cache_for_no_time": (changed("policy.cache", {"age": "0s"}), "policy.cache.age", "between"),
    "cache_for_long": (changed("policy.cache", {"age": "1m"}), "policy.cache.age", "between"),
    "bundle_blank": (changed("policy.bundle", " "), "policy.bundle", "blank"),
    # listeners
    "public_bind": (changed("listen.agents.bind", "192.0.2.7:8080"), "listen.agents.bind", "reachable from other machines"),
    "public_name": (changed("listen.people.bind", "sidecar.internal:8081"), "listen.people.bind", "reachable from other machines"),
    "wildcard_without_hosts": (changed("listen.agents", {"bind": "0.0.0.0:8080", "insecure": True}), "listen.agents.bind", "names no hosts"),
    "wildcard_6": (changed("listen.agents", {"bind": "[::]:8080", "insecure": True}), "listen.agents.bind", "names no hosts"),
    "same_bind": (changed("listen.people.bind", "127.0.0.1:8080"), "listen.people.bind", "listen.agents too"),
    "no_listener": (changed("listen", {}), "listen", "starts nothing"),
    "tls_key_in_the_environment": (changed("listen.agents.tls", TLS | {"key": "env:KEY"}), "listen.agents.tls.key", "not a file"),
    "tls_certificate_in_line": (changed("listen.agents.tls", TLS | {"certificate": "hunter2"}), "listen.agents.tls.certificate", "not a reference"),
    "tls_half": (changed("listen.agents.tls", {"certificate": "file:svid.pem"}), "listen.agents.tls", "lacks the key `key`"),
    "people_tls_without_url": (changed("listen.people.tls", TLS), "listen.people.tls", "`people.url` is not https"),
    "people_tls_with_http": (
        changed("listen.people.tls", TLS) | {"people": {"url": "http://approve.example"}},
        "listen.people.tls",
        "`people.url` is not https",
    ),
    "host_with_port": (changed("listen.agents.hosts", ["a.example:80"]), "listen.agents.hosts[0]", "not a Host"),
    "host_upper": (changed("listen.agents.hosts", ["ok", "A.example"]), "listen.agents.hosts[1]", "not a Host"),
    "no_agents": (changed("identity.agents", []), "listen.agents", "authenticate nobody"),
    "no_people": (changed("identity.people", []), "listen.people", "authenticate nobody"),
    "no_upstreams": (changed("upstreams", {}), "upstreams", "empty"),
    # identity
    "jwt_no_audience": (changed("identity.agents.1", JWT | {"audience": " "}), "identity.agents[1].audience", "blank"),
    "jwt_no_issuer": (changed("identity.agents.1", JWT | {"issuer": ""}), "identity.agents[1].issuer", "blank"),
    "jwt_http_keys": (changed("identity.agents.1", JWT | {"keys": "http://issuer.example/jwks"}), "identity.agents[1].keys", "plain http"),
    "jwt_inline_keys": (changed("identity.agents.1", JWT | {"keys": "{}"}), "identity.agents[1].keys", "neither"),
    "jwt_none": (changed("identity.agents.1", JWT | {"algorithms": ["none"]}), "identity.agents[1].algorithms[0]", "not accepted"),
    "jwt_hs256": (changed("identity.agents.1", JWT | {"algorithms": ["RS256", "HS256"]}), "identity.agents[1].algorithms[1]", "not accepted"),
    "jwt_no_algorithms": (changed("identity.agents.1", JWT | {"algorithms": []}), "identity.agents[1].algorithms", "empty"),
    "jwt_leeway": (changed("identity.agents.1", JWT | {"leeway": "1h"}), "identity.agents[1].leeway", "longer"),
    "mtls_without_tls": (changed("identity.agents.1", MTLS), "identity.agents[1]", "has no `tls`"),
    "mtls_without_authorities": (with_tls({"client_ca": None}, MTLS), "identity.agents[1]", "has no `tls.client_ca`"),
    "mtls_twice": (with_tls({}, MTLS, MTLS | {"trust_domain": "b.example"}), "identity.agents[2]", "second trust domain"),
    "mtls_uri": (with_tls({}, MTLS | {"trust_domain": "spiffe://example.org"}), "identity.agents[1].trust_domain", "not a trust domain"),
    "mtls_upper": (with_tls({}, MTLS | {"trust_domain": "Example.org"}), "identity.agents[1].trust_domain", "not a trust domain"),
    "mtls_blank": (with_tls({}, MTLS | {"trust_domain": ""}), "identity.agents[1].trust_domain", "not a trust domain"),
    # production
    "production_passwords": (production("name", "x"), "identity.people[0]", "by password in production"),
    "production_people_http": (production("people.url", "http://approve.example"), "people.url", "plain http"),
    "production_opa_token": (production("policy.opa", {"url": "http://127.0.0.1:8181"}), "policy.opa", "lacks a token"),
    # upstreams
    "url_scheme": (changed("upstreams.cms.url", "ftp://x"), "upstreams.cms.url", "neither an https nor an http"),
    "url_port": (changed("upstreams.cms.url", "http://x:99999"), "upstreams.cms.url", "not a URL"),
    "url_path": (changed("upstreams.cms.url", "https://x/wp-json"), "upstreams.cms.url", "more than an origin"),
    "url_credential": (changed("upstreams.cms.url", "https://u:hunter2@x"), "upstreams.cms.url", "carries a credential"),
    "own_listener": (changed("upstreams.cms.url", "http://127.0.0.1:8081"), "upstreams.cms.url", "our own listeners"),
    "own_listener_by_name": (changed("upstreams.cms.url", "http://localhost:8080"), "upstreams.cms.url", "our own listeners"),
    "ca_without_tls": (changed("upstreams.cms.ca", "file:ca.pem"), "upstreams.cms.ca", "without TLS"),
    "ca_in_line": (changed("upstreams.cms.ca", "hunter2"), "upstreams.cms.ca", "not a reference"),
    "no_mount_no_hosts": (changed("upstreams.cms.mount", REMOVED), "upstreams.cms", "exactly one"),
    "mount_and_hosts": (changed("upstreams.cms.hosts", ["cms.internal"]), "upstreams.cms", "exactly one"),
    "mount_relative": (changed("upstreams.cms.mount", "cms"), "upstreams.cms.mount", "not a mount"),
    "mount_trailing": (changed("upstreams.cms.mount", "/cms/"), "upstreams.cms.mount", "not a mount"),
    "mount_dots": (changed("upstreams.cms.mount", "/a/../b"), "upstreams.cms.mount", "not a mount"),
    "mount_percent": (changed("upstreams.cms.mount", "/a%2f"), "upstreams.cms.mount", "not a mount"),
    "mount_reserved": (changed("upstreams.cms.mount", "/.stagewarden"), "upstreams.cms.mount", "reserved"),
    "mount_reserved_below": (changed("upstreams.cms.mount", "/.stagewarden/holds"), "upstreams.cms.mount", "reserved"),
    "mount_twice": (changed("upstreams.other", OTHER), "upstreams.other.mount", "`cms` too"),
    "host_twice": (
        changed("upstreams.a", HOSTED) | {"upstreams": {"a": copy.deepcopy(HOSTED), "b": copy.deepcopy(HOSTED)}},
        "upstreams.b.hosts[0]",
        "`a` too",
    ),
    "catalogue": (changed("upstreams.cms.catalogue", "wordpres"), "upstreams.cms.catalogue", "not a built-in"),
    "no_routes": (changed("upstreams.cms.routes", []), "upstreams.cms", "lists no route"),
    "no_credentials": (changed("upstreams.cms.credentials", {}), "upstreams.cms", "no credential for generate, edit, export"),
    "only_higher_credential": (
        changed("upstreams.cms.credentials", {"export": {"header": "Authorization", "value": "env:T"}}),
        "upstreams.cms.credentials",
        "no credential for generate, edit",
    ),
    "credential_header": (changed("upstreams.cms.credentials.generate.header", "Host"), "upstreams.cms.credentials.generate.header", "not a header"),
    "credential_header_grammar": (
        changed("upstreams.cms.credentials.generate.header", "X Key"),
        "upstreams.cms.credentials.generate.header",
        "not a header",
    ),
    "repeat_ignores": (changed("upstreams.cms.repeat_ignores", ["a b"]), "upstreams.cms.repeat_ignores[0]", "not a header name"),
    # routes
    "method": (changed(f"{R}.0.match", "post /posts"), f"{R}[0].match", "method"),
    "path": (changed(f"{R}.0.match", "POST posts"), f"{R}[0].match", "no path"),
    "kind": (changed(f"{R}.0.kind", "Post Publish"), f"{R}[0].kind", "not a kind"),
    "case_kind": (changed(f"{R}.0.cases.0.kind", ""), f"{R}[0].cases[0].kind", "not a kind"),
    "query_twice": (changed(f"{R}.0.query", ["a", "a"]), f"{R}[0].query[1]", "twice"),
    "query_encoded": (changed(f"{R}.0.query", ["a%20"]), f"{R}[0].query[0]", "not a query parameter"),
    "body_on_get": (changed(f"{R}.2", {"match": "GET /x", "stage": "generate", "kind": "read", "body": "json"}), f"{R}[2].body", "takes no body"),
    "opaque_without_types": (changed(f"{R}.2", {"match": "POST /x", "stage": "export", "kind": "x", "body": "opaque"}), f"{R}[2].types", "empty"),
    "types_without_opaque": (changed(f"{R}.0.types", ["image/png"]), f"{R}[0].types", "opaque"),
    "several_without_multipart": (changed(f"{R}.0.several", ["file"]), f"{R}[0].several", "multipart"),
    "multipart_case_elsewhere": (
        changed(f"{R}.2", FORM | {"cases": [{"when": {"/status": "draft"}, "stage": "generate", "kind": "x"}]}),
        f'{R}[2].cases[0].when["/status"]',
        "never has",
    ),
    "multipart_case_below_a_field": (
        changed(f"{R}.2", FORM | {"cases": [{"when": {"/fields/meta/status": "draft"}, "stage": "generate", "kind": "x"}]}),
        f'{R}[2].cases[0].when["/fields/meta/status"]',
        "never has",
    ),
    "multipart_case_with_a_number": (
        changed(f"{R}.2", FORM | {"cases": [{"when": {"/fields/count": 1}, "stage": "generate", "kind": "x"}]}),
        f'{R}[2].cases[0].when["/fields/count"]',
        "not text",
    ),
    "multipart_fact_elsewhere": (changed(f"{R}.2", FORM | {"facts": {"claims": "/claims"}}), f"{R}[2].facts.claims", "never has"),
    "opaque_case": (
        changed(f"{R}.2", FORM | {"body": "opaque", "types": ["image/png"], "cases": [{"when": {"/fields/a": "b"}, "stage": "edit", "kind": "x"}]}),
        f'{R}[2].cases[0].when["/fields/a"]',
        "does not read",
    ),
    "spool_zero": (changed("limits", {"spool": "0B"}), "limits.spool", "not above zero"),
    "spool_endless": (changed("limits", {"spool": "2GiB"}), "limits.spool", "above 1GiB"),
    "media_type": (
        changed(f"{R}.2", {"match": "POST /x", "stage": "export", "kind": "x", "body": "opaque", "types": ["image/*"]}),
        f"{R}[2].types[0]",
        "not a media type",
    ),
    "fact_pointer": (changed(f"{R}.0.facts", {"claims": "claims"}), f"{R}[0].facts.claims", "not a JSON pointer"),
    "fact_taken": (changed(f"{R}.0.facts", {"content": "/x"}), f"{R}[0].facts.content", "not a name"),
    "facts_without_body": (
        changed(f"{R}.2", {"match": "POST /x", "stage": "export", "kind": "x", "facts": {"claims": "/c"}}),
        f"{R}[2].facts",
        "does not read",
    ),
    "when_empty": (changed(f"{R}.0.cases.0.when", {}), f"{R}[0].cases[0].when", "always holds"),
    "when_word": (changed(f"{R}.0.cases.0.when", {"status": "draft"}), f"{R}[0].cases[0].when.status", "not a condition"),
    "when_pointer": (changed(f"{R}.0.cases.0.when", {"/a~2": 1}), f'{R}[0].cases[0].when["/a~2"]', "not a JSON pointer"),
    "when_value": (changed(f"{R}.0.cases.0.when", {"/a": {"in": ["x"]}}), f'{R}[0].cases[0].when["/a"]', "not a value"),
    "when_exists_false": (changed(f"{R}.0.cases.0.when", {"/a": {"exists": False}}), f'{R}[0].cases[0].when["/a"]', "not a value"),
    "when_empty_list": (changed(f"{R}.0.cases.0.when", {"/a": []}), f'{R}[0].cases[0].when["/a"]', "not a value"),
    "when_lookup_without_lookup": (
        changed(f"{R}.0.cases.0.when", {"lookup:/status": "x"}),
        f'{R}[0].cases[0].when["lookup:/status"]',
        "does not make",
    ),
    "when_query_unlisted": (changed(f"{R}.0.cases.0.when", {"query:a": "x"}), f'{R}[0].cases[0].when["query:a"]', "not listed"),
    "when_query_number": (
        changed(
            f"{R}.2",
            {"match": "POST /x", "stage": "export", "kind": "x", "query": ["n"], "cases": [{"when": {"query:n": 1}, "stage": "edit", "kind": "y"}]},
        ),
        f'{R}[2].cases[0].when["query:n"]',
        "not text",
    ),
    "when_body_without_body": (
        changed(f"{R}.2", {"match": "POST /x", "stage": "export", "kind": "x", "cases": [{"when": {"/a": 1}, "stage": "edit", "kind": "y"}]}),
        f'{R}[2].cases[0].when["/a"]',
        "does not read",
    ),
    # look-ups
    "lookup_name": (changed(f"{R}.1.lookup.get", "/posts/{post}"), f"{R}[1].lookup.get", "does not have"),
    "lookup_relative": (changed(f"{R}.1.lookup.get", "posts/{id}"), f"{R}[1].lookup.get", "not a target"),
    "lookup_elsewhere": (changed(f"{R}.1.lookup.get", "//evil.example/{id}"), f"{R}[1].lookup.get", "not a target"),
    "lookup_states_missing": (changed(f"{R}.1.lookup.states", {}), f"{R}[1].lookup.states", "missing"),
    "lookup_state_missing": (changed(f"{R}.1.lookup.state", None), f"{R}[1].lookup.state", "missing"),
    "lookup_state_unknown": (changed(f"{R}.1.lookup.states", {"draft": "drafted"}), f"{R}[1].lookup.states.draft", "not a state"),
    "lookup_state_untracked": (changed(f"{R}.1.lookup.states", {"draft": "untracked"}), f"{R}[1].lookup.states.draft", "not a state"),
    "lookup_ignore": (changed(f"{R}.1.lookup.ignore", ["_links"]), f"{R}[1].lookup.ignore", "not a JSON pointer"),
    # what an approval must cover
    "content_upstream": (changed(f"{R}.2", EXPORT_BY_ID), f"{R}[2].match", "nothing ties an approval"),
    "content_upstream_no_digest": (changed(f"{R}.2", EXPORT_BY_ID | {"lookup": POSTS_LOOKUP | {"digest": False}}), f"{R}[2].match", "nothing ties"),
    "content_upstream_by_case": (
        changed(f"{R}.2", EXPORT_BY_ID | {"stage": "edit", "query": ["go"], "cases": [{"when": {"query:go": "1"}, "stage": "export", "kind": "x"}]}),
        f"{R}[2].match",
        "nothing ties",
    ),
    "content_said_upstream": (
        changed(f"{R}.2", {"match": "DELETE /all", "stage": "export", "kind": "x", "content": "upstream"}),
        f"{R}[2].match",
        "nothing ties",
    ),
}


@pytest.mark.parametrize(("document", "key", "message"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_run_or_would_be_unsafe_is_refused(tmp_path, document, key, message):
    """The finding is at the key a person has to change, and says how."""
    found = refusals(tmp_path, document)
    assert any(each.key == key and message in each.message and each.remedy for each in found), list(map(str, found))
    assert "hunter2" not in str(found)


SOUND = {
    "public_insecure": changed("listen.agents", {"bind": "0.0.0.0:8080", "hosts": ["stagewarden"], "insecure": True}),
    "public_tls": changed("listen.agents", {"bind": "0.0.0.0:8443", "hosts": ["stagewarden"], "tls": TLS | {"client_ca": None}}),
    "people_tls": changed("listen.people.tls", TLS) | {"people": {"url": "https://approve.example"}},
    "mtls": with_tls({}, MTLS),
    "mtls_elsewhere": changed("identity.agents.1", MTLS) | {"listen": {"people": {"bind": "127.0.0.1:8081"}}},
    "upstream_ca": changed("upstreams.cms", OTHER | {"url": "https://cms.internal", "ca": "file:ca.pem"}),
    "port_zero_twice": changed("listen.agents.bind", "127.0.0.1:0")
    | {"listen": {"agents": {"bind": "127.0.0.1:0"}, "people": {"bind": "127.0.0.1:0"}}},
    "jwt": changed("identity.agents.1", JWT),
    "jwt_url": changed("identity.agents.1", JWT | {"keys": "https://issuer.example/jwks"}),
    "jwt_loopback": changed("identity.agents.1", JWT | {"keys": "http://127.0.0.1:9/jwks"}),
    "cache": changed("policy.cache", {"entries": 10, "age": "5s"}),
    "opa_socket": changed("policy", {"engine": "opa", "opa": {"url": "unix:/run/opa.sock"}}),
    "opa_loopback": changed("policy", {"engine": "opa", "opa": {"url": "http://127.0.0.1:8181"}}),
    "root_mount": changed("upstreams.cms.mount", "/"),
    "by_host": changed("upstreams.cms", HOSTED),
    "nested_mounts": changed("upstreams.other", OTHER | {"mount": "/cms/media"}),
    "catalogue": changed("upstreams.cms.catalogue", "wordpress"),
    "content_body": changed(f"{R}.2", EXPORT_BY_ID | {"content": "body"}),
    "content_lookup": changed(f"{R}.2", EXPORT_BY_ID | {"lookup": POSTS_LOOKUP}),
    "delete_by_id": changed(f"{R}.2", {"match": "DELETE /posts/{id}", "stage": "export", "kind": "post.delete", "reversible": "none"}),
    "facts_of_the_looked_up": changed(f"{R}.2", EXPORT_BY_ID | {"lookup": POSTS_LOOKUP, "facts": {"claims": "/claims"}}),
    "opaque": changed(f"{R}.2", {"match": "POST /media", "stage": "export", "kind": "upload", "body": "opaque", "types": ["image/png"]}),
    "multipart": changed(
        f"{R}.2",
        FORM
        | {
            "types": ["image/png"],
            "several": ["files"],
            "facts": {"claims": "/fields/claim"},
            "cases": [{"when": {"/fields/status": ["draft", None], "/parts/*/filename": {"absent": True}}, "stage": "generate", "kind": "x"}],
        },
    ),
    "spool": changed("limits", {"spool": "1GiB"}),
    "agents_only": changed("listen", {"agents": {"bind": "[::1]:8080"}}) | {"identity": {"agents": [JWT]}, "environment": "production"},
}


@pytest.mark.parametrize("document", SOUND.values(), ids=SOUND)
def test_what_is_sound_loads_without_a_finding(tmp_path, document):
    """The other side of each rule."""
    assert warnings(tmp_path, document) == ()


GAPS = {
    "never_reached": (changed(f"{R}.2", {"match": "PATCH /posts/batch", "stage": "export", "kind": "x"}), f"{R}[2].match", "never reached"),
    "same_route_twice": (changed(f"{R}.2", {"match": "POST /posts", "stage": "export", "kind": "x"}), f"{R}[2].match", "never reached"),
    "plain_http": (changed("upstreams.cms.url", "http://cms.internal"), "upstreams.cms.url", "plain http"),
}


@pytest.mark.parametrize(("document", "key", "message"), GAPS.values(), ids=GAPS)
def test_gaps_are_warnings(tmp_path, document, key, message):
    """It runs, and should be read."""
    (found,) = warnings(tmp_path, document)
    assert (found.severity, found.key) == ("warning", key)
    assert message in found.message


def test_own_routes_come_before_the_catalogues(tmp_path):
    """First match wins, so an own route overrules the shipped one."""
    routes = expand_routes(loaded(tmp_path, changed("upstreams.cms.catalogue", "wordpress")).upstreams["cms"])
    assert [route.match for route in routes[:3]] == ["POST /posts", "PATCH /posts/{id}", "POST /wp-json/wp/v2/posts"]


def test_the_shipped_catalogue_keeps_the_rules_of_written_routes(tmp_path):
    """What a person would be refused is not shipped either."""
    routes = expand_routes(loaded(tmp_path, changed("upstreams.cms.catalogue", "wordpress")).upstreams["cms"])
    assert [(route.match, found) for route in routes for found in findings(route)] == []
