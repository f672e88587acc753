"""A terminal's sign-in: what a link may ask, and who gets a token by a code and by what else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.config import People as PeopleSettings
from stagewarden.config import Secrets
from stagewarden.errors import BadCredential
from stagewarden.identity.bearer import new_secret
from stagewarden.identity.passwords import hash_password
from stagewarden.identity.people import UNTOLD, People
from stagewarden.identity.terminals import LIVES, MOST, Asking, Codes, asking, challenge_of
from stagewarden.registry import Person, PersonIdentity
from tests.unit.identity.people_and_agents import StillClock, registry
from tests.unit.identity.test_people import PASSWORD, SETTINGS, TOKENS, Elsewhere, write

if TYPE_CHECKING:
    from pathlib import Path

VERIFIER, STATE = new_secret(), new_secret()
ASKED = Asking(challenge_of(VERIFIER), STATE, 43121, "alice@desk")


@pytest.fixture
def clock() -> StillClock:
    """2026-11-21, standing still."""
    return StillClock()


@pytest.fixture
def people(tmp_path: Path, clock: StillClock) -> People:
    """Alice has a password; with a provider she is also `a-1` there."""
    write(tmp_path / "users.yaml", f"alice: {hash_password(PASSWORD)}\n")
    write(tmp_path / "tokens.yaml", TOKENS)
    alice = Person(functions=("business",), identity=PersonIdentity(issuer="https://idp.example", subject="a-1"))
    return People(SETTINGS, Secrets(tmp_path, {}), registry(alice=alice), clock, PeopleSettings(), sandbox=True)


def test_pkce_is_the_rfcs() -> None:
    """RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_what_a_link_asks_is_read_as_it_was_written() -> None:
    """There and back; the letters depend on the challenge alone; the code goes to the loopback or nowhere."""
    assert asking(str(ASKED)) == ASKED
    assert ASKED.letters == Asking(ASKED.challenge, "x" * 22, 0, "y").letters
    assert ASKED.letters != Asking(challenge_of("another"), STATE, 0, "y").letters
    assert ASKED.place("swc_x") == f"http://127.0.0.1:43121/?state={STATE}&code=swc_x"
    assert Asking(ASKED.challenge, STATE, 0, "y").place("swc_x") is None


@pytest.mark.parametrize(
    "text",
    [
        None, "", "h_01JRS8AAAAAAAAAAAAAAAAAAAA", f"{ASKED}\n", f"{ASKED.challenge}.{STATE}.43121", f"{ASKED.challenge}.{STATE}.80.a",
        f"{ASKED.challenge}.{STATE}.65536.a", f"{ASKED.challenge}.{STATE}.43121.", f"{ASKED.challenge}.{STATE}.43121.a b",
        f"{ASKED.challenge}.{STATE}.43121.<b>", f"{ASKED.challenge}.{STATE}.43121.{'a' * 65}", f"{ASKED.challenge}.short.43121.a",
        f"{ASKED.challenge[1:]}.{STATE}.43121.a", f"{ASKED.challenge}.{STATE}.evil.example:80.a", f"{ASKED.challenge}.{STATE}.04312.a",
        f"{ASKED.challenge}.{STATE}.٤٣١٢١.a",
    ],
)  # fmt: skip
def test_anything_else_asks_nothing(text: str | None) -> None:
    """No other host, no low port, no markup, nothing cut or longer."""
    assert asking(text) is None


async def test_a_terminal_gets_the_sign_in_it_was_lent(people: People) -> None:
    """Code and verifier give a token of the same person, for a terminal, for twelve hours."""
    browser = await people.sign_in("alice", PASSWORD)
    session = await people.open_terminal(people.lend(browser.token, ASKED), VERIFIER)
    caller = people.by_bearer(session.token)
    assert caller is not None
    assert (caller.person, caller.via) == ("alice", "terminal")
    assert people.by_session(session.token) is None
    assert session.expires_at_ns - people._clock.now_ns() == 12 * 3600 * 10**9
    assert {(seen.place, seen.label) for seen in people.sessions("alice", session.token)} == {("browser", ""), ("terminal", "alice@desk")}


async def test_a_code_is_good_once(people: People) -> None:
    """RFC 6749 section 4.1.2: the second time is refused, and the first one's token stands."""
    browser = await people.sign_in("alice", PASSWORD)
    code = people.lend(browser.token, ASKED)
    session = await people.open_terminal(code, VERIFIER)
    with pytest.raises(BadCredential):
        await people.open_terminal(code, VERIFIER)
    assert people.by_bearer(session.token) is not None


@pytest.mark.parametrize("verifier", ["", "x", new_secret(), ASKED.challenge, "\ud800"], ids=["none", "short", "another", "the-challenge", "no-text"])
async def test_a_code_caught_by_another_is_worth_nothing_rfc7636(people: People, verifier: str) -> None:
    """Without the verifier no token; and the code is used up, so that nobody tries a second one."""
    browser = await people.sign_in("alice", PASSWORD)
    code = people.lend(browser.token, ASKED)
    for tried in (verifier, VERIFIER):
        with pytest.raises(BadCredential):
            await people.open_terminal(code, tried)
    assert len(people._sessions._kept) == 1


@pytest.mark.parametrize("code", ["", "swc_", "swc_" + "A" * 43, "sws_" + "A" * 43, "\ud800"])
async def test_a_code_nobody_gave(people: People, code: str) -> None:
    """Refused, whatever it looks like."""
    with pytest.raises(BadCredential):
        await people.open_terminal(code, VERIFIER)


async def test_a_code_is_over_after_two_minutes(people: People, clock: StillClock) -> None:
    """By the monotonic clock: setting the other one back lengthens nothing."""
    browser = await people.sign_in("alice", PASSWORD)
    code = people.lend(browser.token, ASKED)
    clock.pass_(LIVES)
    clock.jump(-LIVES)
    with pytest.raises(BadCredential):
        await people.open_terminal(code, VERIFIER)


@pytest.mark.parametrize("how", ["sign-out", "everywhere", "left", "password"])
async def test_a_code_and_a_token_end_with_the_sign_in(people: People, tmp_path: Path, how: str) -> None:
    """Signing out takes the code back that was not used; everywhere, leaving and another password end the terminal's token too."""
    browser = await people.sign_in("alice", PASSWORD)
    standing = await people.open_terminal(people.lend(browser.token, ASKED), VERIFIER)
    code = people.lend(browser.token, ASKED)
    match how:
        case "sign-out":
            people.sign_out(browser.token)
        case "everywhere":
            people.sign_out_everywhere("alice")
        case "left":
            people.reload(registry(alice=Person(functions=("business",), active=False)))
        case _:
            write(tmp_path / "users.yaml", f"alice: {hash_password('another password')}\n")
            people.reload(registry())
    with pytest.raises(BadCredential):
        await people.open_terminal(code, VERIFIER)
    assert (people.by_bearer(standing.token) is None) == (how != "sign-out")


@pytest.mark.parametrize("cookie", ["", "sws_" + "A" * 43])
def test_nobody_lends_nothing(people: People, cookie: str) -> None:
    """Who is not signed in to the console has nothing to lend."""
    with pytest.raises(BadCredential):
        people.lend(cookie, ASKED)


async def test_a_terminal_lends_nothing_on(people: People) -> None:
    """Its token is no browser's session: twelve hours are not made twenty-four."""
    browser = await people.sign_in("alice", PASSWORD)
    terminal = await people.open_terminal(people.lend(browser.token, ASKED), VERIFIER)
    with pytest.raises(BadCredential):
        people.lend(terminal.token, ASKED)


@pytest.mark.parametrize("tells", [True, False], ids=["back-channel", "none"])
async def test_a_terminal_nobody_would_end_is_short(people: People, clock: StillClock, *, tells: bool) -> None:
    """Where the provider does not tell of a sign-out, a terminal's token lives no longer than a browser's session; and it keeps what was proven."""
    people.provider = Elsewhere(tells=tells)  # type: ignore[assignment]  # its answers alone are of interest
    browser, _ = await people.sign_in_proven("browser", {})
    caller = people.by_session(browser.token)
    assert caller is not None
    lives = await people.terminal_lives(caller)
    terminal = await people.open_terminal(people.lend(browser.token, ASKED), VERIFIER)
    assert terminal.expires_at_ns - clock.now_ns() == lives * 10**9
    assert lives == (12 * 3600 if tells else UNTOLD)
    bearer = people.by_bearer(terminal.token)
    assert bearer is not None
    assert bearer.proven == caller.proven


def test_codes_are_bounded_and_kept_as_hashes(clock: StillClock) -> None:
    """The oldest goes first; the memory holds none that could be used."""
    codes = Codes(clock)
    first = codes.lend("alice", "s_1", None, ASKED)
    given = [codes.lend("alice", "s_1", None, ASKED) for _ in range(MOST)]
    assert len(codes._lent) == MOST
    assert codes.take(first, VERIFIER) is None
    assert codes.take(given[-1], VERIFIER) is not None
    assert not codes._lent.keys() & {*given}
    assert not any(code in repr(codes._lent) for code in given)
