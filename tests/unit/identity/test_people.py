"""People and programs: who calls, by what, until when; secrets are shown nowhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from stagewarden.config import PasswordPeople, Secret, Secrets, TokenPeople
from stagewarden.config import People as PeopleSettings
from stagewarden.errors import BadCredential, ConfigError, Refused
from stagewarden.identity.oidc import Proven, Wanted
from stagewarden.identity.passwords import hash_password
from stagewarden.identity.people import People
from stagewarden.identity.throttle import BURST
from stagewarden.identity.tokens import SCOPES, new_token, parse_tokens
from stagewarden.registry import Person, PersonIdentity, Registry
from stagewarden.store import Store, locate
from tests.unit.identity.people_and_agents import StillClock, registry

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "canary password one"
STORED = hash_password(PASSWORD)
SETTINGS = (TokenPeople(tokens=Secret("file:tokens.yaml")), PasswordPeople(users=Secret("file:users.yaml")))
ALICE, ALICE_STORED = new_token()
WATCHER, WATCHER_STORED = new_token()
TOKENS = f"""
- sha256: "{ALICE_STORED}"
  person: alice
  expires: 2027-01-01
- sha256: "{WATCHER_STORED}"
  program: watcher
  scopes: [read, stop]
  expires: 2026-11-22T09:00:00Z
"""


def write(path: Path, text: str) -> None:
    """A file only we can read."""
    path.write_text(text)
    path.chmod(0o600)


@pytest.fixture
def clock() -> StillClock:
    """2026-11-21, standing still."""
    return StillClock()


@pytest.fixture
def people(tmp_path: Path, clock: StillClock) -> People:
    """Alice and zoe (who left) with a password, alice and a program with a token."""
    write(tmp_path / "users.yaml", f"alice: {STORED}\nzoe: {STORED}\n")
    write(tmp_path / "tokens.yaml", TOKENS)
    return make(tmp_path, clock)


def make(folder: Path, clock: StillClock, settings: Any = SETTINGS, *, sandbox: bool = True) -> People:
    """People from the files of a folder."""
    return People(settings, Secrets(folder, {}), registry(), clock, PeopleSettings(), sandbox=sandbox)


def without(person: str) -> Registry:
    """The registry after this person left."""
    return registry(**{person: Person(functions=("business",), active=False)})


async def test_a_person_signs_in(people: People) -> None:
    """Password → session → caller, without functions: those are the registry's to say."""
    session = await people.sign_in("alice", PASSWORD)
    caller = people.by_session(session.token)
    assert caller is not None
    assert (caller.person, caller.program, caller.scopes, caller.via) == ("alice", None, frozenset(), "session")
    assert people.by_bearer(session.token) is None


@pytest.mark.parametrize(
    ("person", "password"),
    [("alice", "wrong password"), ("nobody", PASSWORD), ("zoe", PASSWORD), ("bob", PASSWORD), ("alice", ""), ("", ""), ("\ud800", PASSWORD)],
    ids=["wrong password", "unknown", "left", "without a password", "empty", "all empty", "no text"],
)
async def test_a_refused_sign_in_says_one_thing(people: People, person: str, password: str) -> None:
    """The same words whatever was wrong, and no session."""
    with pytest.raises(BadCredential, match="the person or the password is wrong"):
        await people.sign_in(person, password)
    assert people._sessions._kept == {}


async def test_an_unknown_person_costs_what_a_known_one_costs(people: People) -> None:
    """One check at the same cost, whoever is named."""
    costs = [people._decoy(name, people._read.users) for name in ("nobody", "somebody", "")]
    assert {(decoy.log_cost, decoy.parallel) for decoy in costs} == {(stored.log_cost, stored.parallel) for stored in people._read.users.values()}


async def test_failures_are_slowed_down_by_person(people: People, clock: StillClock) -> None:
    """After some failures nobody may try this person, even with the right password; later again."""
    for number in range(BURST):
        with pytest.raises(BadCredential):
            await people.sign_in("alice", "wrong password", peer=f"10.0.0.{number}")
    with pytest.raises(Refused) as caught:
        await people.sign_in("alice", PASSWORD, peer="10.0.1.1")
    assert caught.value.code == "overloaded"
    clock.pass_(31)
    assert await people.sign_in("alice", PASSWORD, peer="10.0.1.1")


async def test_failures_are_slowed_down_by_peer_also_in_parallel(people: People) -> None:
    """Forty guesses at once are forty guesses (CVE-2026-45720)."""
    tries = [people.sign_in(f"person-{number}", "wrong password", peer="10.0.0.1") for number in range(40)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, BadCredential) for answer in answers) <= BURST
    assert sum(isinstance(answer, Refused) and answer.code == "overloaded" for answer in answers) >= 40 - BURST


async def test_successes_are_not_counted(people: People) -> None:
    """Signing in often is no attack."""
    for _ in range(BURST + 2):
        await people.sign_in("alice", PASSWORD, peer="10.0.0.1")


async def test_the_session_shown_before_ends_at_sign_in(people: People) -> None:
    """Session fixation: a new id, and the old one is nobody's."""
    first = await people.sign_in("alice", PASSWORD)
    second = await people.sign_in("alice", PASSWORD, previous=first.token)
    assert first.token != second.token
    assert people.by_session(first.token) is None
    assert people.by_session(second.token) is not None


async def test_signing_out_ends_a_session_and_no_other(people: People) -> None:
    """The other browser stays signed in."""
    first, second = await people.sign_in("alice", PASSWORD), await people.sign_in("alice", PASSWORD)
    people.sign_out(first.token)
    people.sign_out("sws_unknown")
    assert people.by_session(first.token) is None
    assert people.by_session(second.token) is not None


async def test_a_person_who_left_is_nobody_at_once(people: People) -> None:
    """Session and token are worth nothing with the next request."""
    session = await people.sign_in("alice", PASSWORD)
    people.reload(without("alice"))
    assert people.by_session(session.token) is None
    assert people.by_bearer(ALICE) is None
    with pytest.raises(BadCredential):
        await people.sign_in("alice", PASSWORD)


async def test_a_changed_password_ends_sessions(people: People, tmp_path: Path) -> None:
    """Whoever had the old one is out."""
    session = await people.sign_in("alice", PASSWORD)
    write(tmp_path / "users.yaml", f"alice: {hash_password('another password')}\n")
    people.reload(registry())
    assert people.by_session(session.token) is None


async def test_a_form_token_belongs_to_one_session(people: People) -> None:
    """Neither none, nor another session's, nor a cut one."""
    first, second = await people.sign_in("alice", PASSWORD), await people.sign_in("alice", PASSWORD)
    assert people.csrf(first.token) == first.csrf
    assert people.csrf_holds(first.token, first.csrf)
    for given in ("", second.csrf, first.csrf[:-1], first.csrf + "A", "\ud800"):
        assert not people.csrf_holds(first.token, given)
    people.sign_out(first.token)
    assert not people.csrf_holds(first.token, first.csrf)
    assert people.csrf(first.token) is None


def test_tokens_are_their_owners(people: People) -> None:
    """A person's token is the person; a program's has scopes and no person."""
    alice, watcher = people.by_bearer(ALICE), people.by_bearer(WATCHER)
    assert alice is not None
    assert watcher is not None
    assert (alice.person, alice.program, alice.via) == ("alice", None, "token")
    assert (watcher.person, watcher.program, watcher.scopes) == (None, "watcher", frozenset({"read", "stop"}))


def test_every_truncation_of_a_token_is_refused_cve_2026_27840(people: People) -> None:
    """Whole or not at all; nor is its hash a token."""
    cuts = [WATCHER[:end] for end in range(len(WATCHER))] + [WATCHER[start:] for start in range(1, len(WATCHER))]
    assert not any(people.by_bearer(broken) for broken in [*cuts, WATCHER + "A", WATCHER_STORED, f"swp_{WATCHER_STORED}", new_token()[0], "\ud800"])


@pytest.mark.parametrize("how", ["pass_", "jump"])
def test_a_token_expires_by_either_clock(people: People, clock: StillClock, how: str) -> None:
    """At the moment written, neither later nor lengthened."""
    getattr(clock, how)(86_399)
    assert people.by_bearer(WATCHER) is not None
    getattr(clock, how)(1)
    assert people.by_bearer(WATCHER) is None
    assert people.by_bearer(ALICE) is not None


def test_a_programs_token_ends_with_its_creator(people: People, tmp_path: Path) -> None:
    """Whoever answers for it left, or was never listed: it is nobody's with the next request; and it says whose it is."""
    write(tmp_path / "tokens.yaml", TOKENS + "  creator: alice\n")
    people.reload(registry())
    caller = people.by_bearer(WATCHER)
    assert caller is not None
    assert (caller.program, caller.creator) == ("watcher", "alice")
    people.reload(without("alice"))
    assert people.by_bearer(WATCHER) is None
    write(tmp_path / "tokens.yaml", TOKENS + "  creator: mallory\n")
    people.reload(registry())
    assert people.by_bearer(WATCHER) is None


async def test_tokens_are_shown_with_their_last_use_and_state(people: People, tmp_path: Path, clock: StillClock) -> None:
    """What a refused request brought is no use; looking whether a token still holds is none either."""
    store = Store(locate("sqlite:state.db", tmp_path))
    await store.open()
    write(tmp_path / "tokens.yaml", TOKENS + "  creator: alice\n")
    people.reload(registry())
    people.by_bearer(WATCHER, used=False)
    people.by_bearer(WATCHER + "A")
    assert [(one.program, one.used_ns, one.state) for one in await people.programs(store)] == [("watcher", 0, "good")]
    people.by_bearer(WATCHER)
    (shown,) = await people.programs(store)
    assert (shown.used_ns, shown.creator, WATCHER_STORED.startswith(shown.id), len(shown.id)) == (clock.now_ns(), "alice", True, 12)
    people.reload(without("alice"))
    assert [one.state for one in await people.programs(store)] == ["creator_left"]
    clock.pass_(86_400)
    assert people.by_bearer(WATCHER) is None
    assert [(one.state, one.used_ns) for one in await people.programs(store)] == [("expired", shown.used_ns)]
    await store.close()


def test_a_wall_clock_set_back_does_not_lengthen_a_token(people: People, clock: StillClock) -> None:
    """The monotonic clock ends it."""
    clock.pass_(86_400)
    clock.jump(-86_400)
    assert people.by_bearer(WATCHER) is None


GOOD = {"sha256": f'"{"0" * 64}"', "program": "watcher", "scopes": "[read]", "expires": "2027-01-01"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"sha256": "swp_canary"}, "sha256: is not a SHA-256", id="the token itself"),
        pytest.param({"expires": None}, "lacks the key `expires`", id="no expiry"),
        pytest.param({"expires": "never"}, "expires: is not a moment", id="never"),
        pytest.param({"expires": "2027-02-30"}, "expires: is not a moment", id="no such day"),
        pytest.param({"expires": "2027-01-01T00:00:00+02:00"}, "expires: is not a moment", id="not UTC"),
        pytest.param({"program": None}, "does not say whose", id="nobody's"),
        pytest.param({"person": "alice"}, "does not say whose", id="two owners"),
        pytest.param({"program": '"Watcher 1"'}, "program: is not a program's name", id="name"),
        pytest.param({"scopes": "[vote]"}, "scopes: are not scopes", id="a program that votes"),
        pytest.param({"scopes": "[read, loosen]"}, "scopes: are not scopes", id="a program that loosens"),
        pytest.param({"scopes": "[]"}, "scopes: are not scopes", id="no scope"),
        pytest.param({"program": None, "person": "alice"}, "scopes: do not narrow", id="a person's scopes"),
        pytest.param(
            {"program": None, "person": "alice", "scopes": None, "creator": "bob"}, "creator: is of a program's token only", id="a person's creator"
        ),
        pytest.param({"scope": "[read]"}, "unknown key", id="unknown key"),
    ],
)
def test_a_broken_tokens_file_names_the_place_and_repeats_nothing(changes: dict[str, str | None], says: str) -> None:
    """File, line, key, remedy; never what stood there where it may be a token."""
    entry = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    text = "- " + "\n  ".join(f"{name}: {value}" for name, value in entry.items())
    with pytest.raises(ConfigError, match=says) as caught:
        parse_tokens(text, "tokens.yaml", sandbox=True)
    assert "tokens.yaml:" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_one_token_stands_once() -> None:
    """Two owners of one token are one too many."""
    entry = f'- {{sha256: "{"0" * 64}", program: a, scopes: [read], expires: 2027-01-01}}\n'
    with pytest.raises(ConfigError, match="stands twice"):
        parse_tokens(entry + entry, "tokens.yaml", sandbox=True)


def test_the_scopes_are_a_closed_list() -> None:
    """None of them votes, loosens or lifts."""
    assert set(SCOPES) == {"read", "payloads", "stop"}


def test_production_refuses_passwords_and_persons_tokens(tmp_path: Path, clock: StillClock) -> None:
    """Sandbox things refuse to load, each by name; a program's token is fine."""
    write(tmp_path / "users.yaml", f"alice: {STORED}\n")
    write(tmp_path / "tokens.yaml", TOKENS)
    with pytest.raises(ConfigError, match=r"tokens\.yaml:3.*person: has a token outside a sandbox"):
        make(tmp_path, clock, SETTINGS[:1], sandbox=False)
    with pytest.raises(ConfigError, match="password users in production"):
        make(tmp_path, clock, SETTINGS[1:], sandbox=False)
    only = TOKENS.split("- sha256", maxsplit=1)[0] + "- sha256" + TOKENS.split("- sha256")[2]
    write(tmp_path / "tokens.yaml", only)
    with pytest.raises(ConfigError, match=r"names no creator.*creator: PERSON"):
        make(tmp_path, clock, SETTINGS[:1], sandbox=False)
    write(tmp_path / "tokens.yaml", only + "  creator: alice\n")
    program = make(tmp_path, clock, SETTINGS[:1], sandbox=False)
    assert program.by_bearer(WATCHER) is not None
    assert not program.password_sign_in


@pytest.mark.parametrize(
    ("file", "text"), [("users.yaml", "alice: canary-password"), ("users.yaml", ""), ("tokens.yaml", "canary: token"), ("tokens.yaml", "- 7")]
)
async def test_a_broken_reload_changes_nothing(people: People, tmp_path: Path, file: str, text: str) -> None:
    """The last good files and registry stay."""
    session = await people.sign_in("alice", PASSWORD)
    write(tmp_path / file, text)
    with pytest.raises(ConfigError, match=file) as caught:
        people.reload(without("alice"))
    assert "canary-password" not in str(caught.value)
    assert people.by_session(session.token) is not None
    assert people.by_bearer(WATCHER) is not None


async def test_secrets_are_shown_nowhere_cve_2025_62705(people: People) -> None:
    """Neither password, token, session, form token nor hash in any repr or error."""
    session = await people.sign_in("alice", PASSWORD)
    shown = [repr(session), repr(people.by_session(session.token)), repr(people._read.users), repr(list(people._sessions._kept.values()))]
    with pytest.raises(BadCredential) as caught:
        await people.sign_in("alice", "canary wrong password")
    shown += [str(caught.value), repr(caught.value)]
    stored = people._read.users["alice"]
    for secret in (PASSWORD, "canary", session.token, session.csrf, STORED, repr(stored.digest), ALICE, WATCHER):
        assert not any(secret in text for text in shown)


async def test_without_password_users_nobody_signs_in(tmp_path: Path, clock: StillClock) -> None:
    """And nothing is computed for whoever asks."""
    write(tmp_path / "tokens.yaml", TOKENS)
    people = make(tmp_path, clock, SETTINGS[:1])
    with pytest.raises(BadCredential, match="nobody signs in"):
        await people.sign_in("alice", PASSWORD)


class Elsewhere:
    """A provider that has confirmed alice."""

    def __init__(self, *, tells: bool) -> None:
        self._tells = tells

    async def finish(self, *_: object) -> tuple[Proven, Wanted]:
        """Its word."""
        return Proven("https://idp.example", "a-1"), Wanted("h_1")

    async def tells_of_logout(self) -> bool:
        """Whether it would tell us of a sign-out."""
        return self._tells


@pytest.mark.parametrize(("tells", "hours"), [(True, 8), (False, 1)], ids=["back-channel", "none"])
async def test_a_session_nobody_would_end_is_short(tmp_path: Path, clock: StillClock, *, tells: bool, hours: int) -> None:
    """Where the provider does not tell us of a sign-out, its people sign in again after an hour."""
    write(tmp_path / "tokens.yaml", TOKENS)
    alice = Person(functions=("business",), identity=PersonIdentity(issuer="https://idp.example", subject="a-1"))
    known = registry(alice=alice)
    people = make(tmp_path, clock, SETTINGS[:1])
    people.reload(known)
    people.provider = Elsewhere(tells=tells)  # type: ignore[assignment]  # its answers alone are of interest
    session, then = await people.sign_in_proven("browser", {})
    assert (session.person, then) == ("alice", "h_1")
    assert session.expires_at_ns - clock.now_ns() == hours * 3600 * 10**9
