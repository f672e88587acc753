"""A terminal's sign-in (`stagewarden login`): what it asks, as its link says it, and the code by which a person lends it their sign-in.

This is the authorization code with PKCE (RFC 7636), and not the device grant (RFC 8628): there one click of a person who was sent a link
gives whoever sent it a token. Here the code goes to the person's own machine (RFC 8252, loopback), or is shown to the person, who would
have to carry it to whoever asks; and without the verifier, which never leaves the terminal that asked, it opens nothing.

(1) The terminal makes a verifier, and prints a link with its digest and four letters to compare. Nothing is kept for it here.
(2) The person signs in, sees who asks, for how long, and the same letters, and says yes with a form of their session.
(3) The code is good once, for two minutes, while that session lasts. (4) Code and verifier give a token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.identity.bearer import fingerprint, is_secret, new_secret

if TYPE_CHECKING:
    from stagewarden.clock import Clock

PREFIX = "swc_"
LIVES = 120.0  # seconds of a code
MOST = 1000  # codes not yet used; the oldest goes first
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, so no words; nothing that looks like a figure
_LETTERS = 8
_HIGHEST_PORT = 65535
_ASKED = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22,43})\.(0|[1-9][0-9]{3,4})\.([A-Za-z0-9._@-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a terminal asks. `port`: where it waits on its own machine's loopback, 0 where the person carries the code; `label`: its own word."""

    challenge: str  # base64url of the verifier's SHA-256
    state: str = field(repr=False)
    port: int
    label: str

    def __str__(self) -> str:
        """As the link says it."""
        return f"{self.challenge}.{self.state}.{self.port}.{self.label}"

    @property
    def letters(self) -> str:
        """What a person compares: the terminal prints the same."""
        number = int.from_bytes(hashlib.sha256(f"letters/{self.challenge}".encode()).digest(), "big")
        drawn = ""
        for _ in range(_LETTERS):
            number, rest = divmod(number, len(_ALPHABET))
            drawn += _ALPHABET[rest]
        return f"{drawn[:4]}-{drawn[4:]}"

    def place(self, code: str) -> str | None:
        """Where the browser brings the code; never anywhere but to the loopback of its own machine. None where the person carries it."""
        return f"http://127.0.0.1:{self.port}/?state={self.state}&code={code}" if self.port else None


@dataclass(frozen=True, slots=True)
class Lent:
    """Whose sign-in a code lends: the session that lent it must still last."""

    person: str
    session: str
    proof: object = field(repr=False)
    label: str
    challenge: str
    since: float


def asking(text: str | None) -> Asking | None:
    """What a link asks, read strictly; None where it is none of ours."""
    found = _ASKED.fullmatch(text) if text else None
    if found is None or int(found[3]) > _HIGHEST_PORT:
        return None
    return Asking(found[1], found[2], int(found[3]), found[4])


def challenge_of(verifier: str) -> str:
    """RFC 7636 section 4.2, S256: the only one there is."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode(errors="surrogatepass")).digest()).rstrip(b"=").decode()


def is_code(text: str) -> bool:
    """Whether this is whole and of our form."""
    return text.startswith(PREFIX) and is_secret(text.removeprefix(PREFIX))


class Codes:
    """Codes that were given and not yet used; kept as their SHA-256."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lent: dict[str, Lent] = {}

    def lend(self, person: str, session: str, proof: object, asked: Asking) -> str:
        """A code for this terminal."""
        now = self._clock.monotonic()
        self._lent = {name: lent for name, lent in self._lent.items() if now - lent.since < LIVES}
        while len(self._lent) >= MOST:
            del self._lent[next(iter(self._lent))]
        code = PREFIX + new_secret()
        self._lent[fingerprint(code)] = Lent(person, session, proof, asked.label, asked.challenge, now)
        return code

    def take(self, code: str, verifier: str) -> Lent | None:
        """What the code lends, once: a wrong verifier uses it up too, so that nobody tries several (RFC 6749 section 4.1.2)."""
        lent = self._lent.pop(fingerprint(code), None) if is_code(code) else None
        if lent is None or self._clock.monotonic() - lent.since >= LIVES:
            return None
        return lent if hmac.compare_digest(challenge_of(verifier), lent.challenge) else None
