"""Text as it is: characters a reader cannot see are named in place, so that what is read is what is sent.

Must never drop, reorder or normalize anything; a run is either the text itself or the name of one hidden character.
Sources: Trojan Source (CVE-2021-42574), Unicode TR 36; tag characters and variation selectors as carriers of hidden text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.model import Body


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text. `hidden`: `text` names a character that cannot be seen; `changed`: marked as different; `note`: our words, not theirs."""

    text: str
    hidden: bool = False
    changed: bool = False
    note: bool = False


# Blank although their category is a letter or a symbol; combining grapheme joiner; Mongolian and ideographic variation selectors.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef"
# Format characters and spaces other than the ordinary ones. Line feed and tab are layout; U+00A0 and U+202F look like what they are.
_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_FORMAT = "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_WIDE = "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
_SPACES = "\u1680\u2000-\u200a\u205f\u3000"
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U0010ffff"
# An emoji may carry U+FE0F; anywhere else it hides something.
_EMOJI_STYLE = "(?<![\u203c-\u3299\U0001f000-\U0001faff#*0-9\u00a9\u00ae])\ufe0f"
_HIDDEN = re.compile(f"[{_BLANK}{_CONTROL}{_FORMAT}{_WIDE}{_SPACES}{_PRIVATE}]|{_EMOJI_STYLE}")

_ESCAPED = 4  # bytes `&#34;` takes besides the one it stands for
_FRAMED = 90  # of a hidden character's frame and name
_WORK = 400_000  # sum of products of token counts that one page compares

_TAGS = range(0xE0000, 0xE0080)
_KIB, _MIB = 1 << 10, 1 << 20
_HEX = 16 << 10  # bytes shown in hexadecimal
_SHORT = 12  # ids up to this long are not shortened
_LONGEST_NAME = 120
_PLAIN_ID = re.compile("[0-9]{1,20}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMES = {
    0x0D: "carriage return",
    0x1B: "escape",
    0x00: "nul",
    0xAD: "soft hyphen",
    0x200B: "zero width",
    0x200C: "zero width non-joiner",
    0x200D: "zero width joiner",
    0x200E: "left-to-right mark",
    0x200F: "right-to-left mark",
    0x202A: "left-to-right embedding",
    0x202B: "right-to-left embedding",
    0x202C: "end of embedding",
    0x202D: "left-to-right override",
    0x202E: "right-to-left override",
    0x2066: "left-to-right isolate",
    0x2067: "right-to-left isolate",
    0x2068: "isolate",
    0x2069: "end of isolate",
    0xFEFF: "byte order mark",
}


def reveal(text: str, *, changed: bool = False) -> tuple[Run, ...]:
    """The text in runs, each hidden character by its name."""
    runs: list[Run] = []
    end = 0
    for found in _HIDDEN.finditer(text):
        if found.start() > end:
            runs.append(Run(text[end : found.start()], changed=changed))
        runs.append(Run(name(found.group()), hidden=True, changed=changed))
        end = found.end()
    if end < len(text):
        runs.append(Run(text[end:], changed=changed))
    return tuple(runs)


def count(text: str) -> int:
    """How many hidden characters there are."""
    return sum(1 for _ in _HIDDEN.finditer(text))


def cost(text: str) -> int:
    """Bytes of markup it takes, at most."""
    return len(text.encode(errors="surrogatepass")) + _ESCAPED * sum(text.count(each) for each in "&<>\"'") + _FRAMED * count(text)


class Room:
    """How much of what an agent wrote one page takes; what finds no room is counted in its place, never dropped unsaid.

    One for one part of a page, used up as it is built: bytes of markup, and the work of comparing words.
    """

    __slots__ = ("_left", "_work")

    def __init__(self, left: int = 1 << 20) -> None:
        self._left = left
        self._work = _WORK

    def spend(self, number: int) -> bool:
        """Whether so many bytes had room; they are taken if so."""
        if number > self._left:
            return False
        self._left -= number
        return True

    def work(self, number: int) -> bool:
        """Whether so much comparing may still be done; it is counted if so."""
        if number > self._work:
            return False
        self._work -= number
        return True

    def take(self, text: str, *, changed: bool = False) -> tuple[Run, ...]:
        """The text in runs, as far as there is room, and how much more of it there is."""
        if self.spend(cost(text)):
            return reveal(text, changed=changed)
        kept = self._fits(text)
        self._left -= cost(text[:kept])
        return (*reveal(text[:kept], changed=changed), Run(f"{len(text) - kept:,} more characters", changed=changed, note=True))

    def _fits(self, text: str) -> int:
        low, high = 0, min(len(text), self._left)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if cost(text[:middle]) <= self._left else (low, middle - 1)
        return low


def name(character: str) -> str:
    """`U+202E right-to-left override`."""
    point = ord(character)
    plain = _NAMES.get(point) or ("tag" if point in _TAGS else unicodedata.name(character, "control").lower())
    return f"U+{point:04X} {plain}"


def one_line(text: str) -> str:
    """A title fit for a sentence: hidden characters named, line ends as spaces, quotation marks that could end ours as apostrophes."""
    spoken = " ".join(_HIDDEN.sub(lambda found: f"[{name(found.group())}]", text).split())
    return re.sub('["\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02\u2033\u3003]', "\u2019", spoken)


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes as text where they are UTF-8, else as hexadecimal lines; `hidden` counts characters named in place."""

    runs: tuple[Run, ...]
    size: int
    hidden: int
    text: bool


def content(data: bytes, room: Room | None = None) -> Bytes:
    """All of `data` that has room, readable; the rest counted."""
    room = room or Room()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        shown = data[:_HEX]
        lines = "\n".join(shown[at : at + 16].hex(" ") for at in range(0, len(shown), 16))
        rest = (Run(f"{len(data) - _HEX:,} more bytes", note=True),) if len(data) > _HEX else ()
        return Bytes((Run(lines), *rest), len(data), 0, text=False)
    return Bytes(room.take(text), len(data), count(text), text=True)


def body(held: Body, room: Room | None = None) -> Bytes:
    """A request's body; a large one is named instead of shown."""
    if isinstance(held, bytes):
        return content(held, room)
    return Bytes((Run(f"a file of {size(held.size)}, {held.digest}"),), held.size, 0, text=True)


def asset(identifier: str) -> str:
    """An asset's id, which stands in a target and is whatever the agent wrote there: a number or UUID as it is, anything else quoted."""
    return identifier if _PLAIN_ID.fullmatch(identifier) else f"\u201c{short(one_line(identifier))}\u201d"


def short(text: str) -> str:
    """A name fit for a line: a long one by its beginning and how long it is."""
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}… ({len(text):,} characters)"


def size(count: int) -> str:
    """`12.0 MiB`."""
    return f"{count / _MIB:.1f} MiB" if count >= _MIB else f"{count / _KIB:.1f} KiB" if count >= _KIB else f"{count} bytes"


def digest_parts(digest: str) -> tuple[str, str]:
    """`sha256:9f2c41ab…` as first and last eight digits in fours."""
    digits = digest.removeprefix("sha256:")
    return f"{digits[:4]} {digits[4:8]}", f"{digits[-8:-4]} {digits[-4:]}"


def short_id(identifier: str) -> str:
    """Prefix, first six, last four; the link carries the whole."""
    prefix, _, rest = identifier.partition("_")
    return f"{prefix}_{rest[:6]}…{rest[-4:]}" if len(rest) > _SHORT else identifier
