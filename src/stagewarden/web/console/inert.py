"""Markup as a browser might show it, with nothing left in it that could run, load, lead or submit.

The one place outside the templates that writes markup, and it writes only: text, escaped, and tags of one list, without any attribute.
So it is safe whatever the tokenizer makes of hostile input; what reads it wrongly looks wrong, and the text above it is the truth.
Linear in the text: everything is found by searching forward, once.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING, NamedTuple

from stagewarden.web.console.exact import reveal, short

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 256 << 10  # characters of markup looked at
_DEEPEST = 64  # tags inside each other; deeper ones are read through
_DRAWN = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "code", "div", "span", "center",
    "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "figure", "figcaption", "section", "article", "header", "footer", "main",
    "aside", "nav", "b", "strong", "i", "em", "u", "s", "small", "sub", "sup", "mark", "address", "abbr", "cite", "q", "kbd", "var", "del", "ins",
})  # fmt: skip
_ALONE = frozenset({"br", "hr", "wbr"})
# What a browser reads as no markup up to its end, or draws as something of its own: said in its place, never read.
_RAW = {
    name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII)
    for name in (
        "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "template", "svg", "math", "object",
    )
}  # fmt: skip
# Said in its place, because a reader of the page would have seen something there.
_NAMED = {
    "script": "script", "style": None, "title": None, "template": None, "noscript": None, "textarea": "field", "iframe": "frame", "frame": "frame",
    "object": "embedded object", "embed": "embedded object", "svg": "drawing", "math": "formula", "img": "picture", "picture": None, "source": None,
    "video": "video", "audio": "audio", "input": "field", "select": "field", "button": "button", "canvas": "drawing", "meter": "meter",
}  # fmt: skip
_OPENING = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_LEADING = ("href", "src", "data", "alt", "value", "placeholder")


class _Tag(NamedTuple):
    closing: bool
    name: str
    attributes: str
    end: int


def inert(markup: str) -> str:
    """The same, inert: allowed tags without attributes, everything else as escaped text or named in its place."""
    text = markup[:MOST]
    open_: list[str] = []
    drawn = [*_pieces(text, open_), *(f"</{name}>" for name in reversed(open_))]
    if len(markup) > MOST:
        drawn.append(_said(f"{len(markup) - MOST:,} more characters are not drawn here"))
    return "".join(drawn)


def _pieces(text: str, open_: list[str]) -> Iterator[str]:
    at = 0
    while at < len(text):
        start = text.find("<", at)
        yield _text(text[at : start if start >= 0 else len(text)])
        if start < 0:
            return
        if (end := _skipped(text, start)) is not None:
            at = end
        elif (tag := _tag(text, start)) is None:
            yield "&lt;"
            at = start + 1
        else:
            yield _drawn(tag, open_)
            at = tag.end
            if tag.name in _RAW and not tag.closing:
                closing = _RAW[tag.name].search(text, at)
                at = closing.start() if closing else len(text)


def _skipped(text: str, start: int) -> int | None:
    """Where a comment, declaration or instruction ends; None where none begins."""
    if text.startswith("<!--", start):
        end = text.find("-->", start + 4)
        return len(text) if end < 0 else end + 3
    if text.startswith(("<!", "<?"), start):
        end = text.find(">", start)
        return len(text) if end < 0 else end + 1
    return None


def _tag(text: str, start: int) -> _Tag | None:
    """The tag that begins here, up to the `>` outside of its quotes; one without an end runs to the end of the text, as in a browser."""
    found = _OPENING.match(text, start)
    if found is None:
        return None
    at = found.end()
    while at < len(text):
        mark = _QUOTE.search(text, at)
        if mark is None:
            break
        if mark.group() == ">":
            return _Tag(bool(found[1]), found[2].lower(), text[found.end() : mark.start()], mark.end())
        close = text.find(mark.group(), mark.end())
        if close < 0:
            break
        at = close + 1
    return _Tag(bool(found[1]), found[2].lower(), text[found.end() :], len(text))


_QUOTE = re.compile("[\"'>]")


def _drawn(tag: _Tag, open_: list[str]) -> str:
    name = tag.name
    if name in _ALONE:
        return f"<{name}>"
    if name == "a":
        return _closed("u", open_) if tag.closing else _link(tag, open_)
    if name in _DRAWN and tag.closing:
        return _closed(name, open_)
    if name in _DRAWN:
        if len(open_) >= _DEEPEST:
            return ""
        open_.append(name)
        return f"<{name}>"
    said = _NAMED.get(name)
    return _said(f"{said}: {_telling(tag)}".removesuffix(": ")) if said and not tag.closing else ""


def _link(tag: _Tag, open_: list[str]) -> str:
    """Underlined, and where it would lead said before it, for nothing here leads anywhere."""
    if len(open_) >= _DEEPEST:
        return ""
    open_.append("u")
    return f"{_said(f'link: {_telling(tag)}')}<u>"


def _closed(name: str, open_: list[str]) -> str:
    if name not in open_:
        return ""
    closed = ""
    while True:
        last = open_.pop()
        closed += f"</{last}>"
        if last == name:
            return closed


def _telling(tag: _Tag) -> str:
    """The attributes that say what it is and where it comes from."""
    told = {name.lower(): value.strip("\"'") for name, value in _ATTRIBUTE.findall(tag.attributes[:4096])}
    return ", ".join(short(_plain(told[name])) for name in _LEADING if told.get(name))


def _text(text: str) -> str:
    return "".join(_said(run.text) if run.hidden else escape(run.text) for run in reveal(_plain(text)))


def _said(text: str) -> str:
    """Our words, framed."""
    return f"<samp>{escape(text)}</samp>"


def _plain(text: str) -> str:
    """Character references resolved; as they stand where a number has more digits than Python converts."""
    try:
        return unescape(text)
    except ValueError:
        return text
