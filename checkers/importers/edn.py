"""Reading EDN: text in, Python values out, each top-level form with the line it begins on.

EDN is what Clojure writes. `edn_format` reads it too, at ten thousand operations a second and without saying where a
form stood; a damaged history needs a line number, and long ones need speed, so the little that histories use is read
here: nil, booleans, numbers, strings, characters, symbols, keywords, lists, vectors, maps, sets, tags, `#_` and `;`.

Keywords become their names as strings (`:read` is "read"), lists and vectors become lists, maps dicts, sets sorted
lists, ratios and big decimals floats where they are no integers. A tag is dropped and its value kept, for that is what
`#jepsen.history.Op{...}` means here.

Reference: the EDN format, github.com/edn-format/edn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple, NoReturn

from checkers.history import MalformedHistory, freeze, show

_TOKEN: Final = re.compile(
    r"""
    (?:[\s,]+ | ;[^\n]*)*                             # blanks, commas and comments before a token
    (?:
      (?P<open>[\[({]) | (?P<close>[\])}])
    | (?P<set>\#\{) | (?P<discard>\#_) | (?P<special>\#\#(?:-?Inf|NaN)) | (?P<tag>\#[A-Za-z][^\s,;()\[\]{}"]*)
    | "(?P<string>(?:[^"\\]|\\.)*)"
    | (?P<number>[-+]?\d+(?:/\d+|(?:\.\d*)?(?:[eE][-+]?\d+)?)[NM]?(?=[\s,;()\[\]{}"]|\Z))
    | :(?P<keyword>[^\s,;()\[\]{}"]+)
    | (?P<char>\\(?:newline|return|space|tab|u[0-9a-fA-F]{4}|.))
    | (?P<symbol>[^\s,;()\[\]{}"\#:\\][^\s,;()\[\]{}"]*)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}
_WORDS: Final = {"nil": None, "true": True, "false": False}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_CHARACTERS: Final = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t"}
_SPECIAL: Final = {"##Inf": float("inf"), "##-Inf": float("-inf"), "##NaN": float("nan")}
_DEPTH: Final = 100
"""Forms nested deeper than this are no history; the reader would rather say so than exhaust the stack."""


class Form(NamedTuple):
    """A top-level form, and the line it begins on."""

    value: Any
    line: int


def read(text: str, source: str) -> Iterator[Form]:
    """Yield the top-level forms of a text; of one vector or list that holds all other forms, its elements."""
    reader = _Reader(text, source)
    first = reader.peek()
    if first in ("[", "(") and reader.holds_forms():
        yield from reader.elements(first)
        reader.expect_end()
        return
    while reader.peek() is not None:
        yield Form(reader.form(), reader.began)


def forms(text: str, where: str) -> list[Any]:
    """Read the forms of one line. `where` names it in an error."""
    reader = _Reader(text, where)
    found = []
    while reader.peek() is not None:
        found.append(reader.form())
    return found


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.position = 0
        self.line = 1  # of `counted`
        self.counted = 0
        self.began = 1  # line of the last top-level form

    def peek(self) -> str | None:
        """Return the next token's text, or None at the end; note the line it is on."""
        while True:
            match = self.token()
            if match.lastgroup == "discard":
                self.form()
                continue
            self.position = match.start(match.lastgroup) if match.lastgroup else match.start()
            if match.lastgroup in ("string", "keyword"):
                self.position -= 1
            self.began = self.line_at(self.position)
            return None if match.lastgroup == "end" else match.group(match.lastgroup or 0)

    def elements(self, opening: str) -> Iterator[Form]:
        """Yield the elements of a top-level vector or list one by one."""
        self.token()
        while True:
            token = self.peek()
            if token is None:
                self.refuse("the end of the file", f"{_CLOSING[opening]!r}")
            if token == _CLOSING[opening]:
                self.token()
                return
            yield Form(self.form(), self.began)

    def holds_forms(self) -> bool:
        """Whether the vector or list that begins here holds collections or nothing, and is no tuple of words."""
        before = self.position
        self.token()
        inner = self.peek()
        self.position = before
        return inner is None or inner in ("[", "(", "{", "]", ")") or inner.startswith("#")

    def expect_end(self) -> None:
        token = self.peek()
        if token is not None:
            self.refuse(repr(token), "the end of the file")

    def token(self) -> re.Match[str]:
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            snippet = self.text[self.position : self.position + 20].strip().split("\n")[0]
            self.refuse(repr(snippet), "EDN")
        self.position = match.end()
        return match

    def form(self, depth: int = 0) -> Any:
        """Read one form."""
        if depth > _DEPTH:
            self.refuse(f"forms nested deeper than {_DEPTH}", "a history")
        match = self.token()
        kind = match.lastgroup
        if kind == "keyword":
            return match.group(kind)
        if kind == "number":
            return _number(match.group(kind))
        if kind == "symbol":
            word = match.group(kind)
            return _WORDS.get(word, word)
        if kind == "open":
            return self.collection(match.group(kind), depth)
        if kind == "string":
            return self.string(match.group(kind))
        if kind == "set":
            return sorted(self.items("}", depth), key=repr)
        if kind == "tag":
            return self.form(depth + 1)
        if kind == "discard":
            self.form(depth + 1)
            return self.form(depth + 1)
        if kind == "char":
            name = match.group(kind)[1:]
            return chr(int(name[1:], 16)) if len(name) == 5 and name[0] == "u" else _CHARACTERS.get(name, name)
        if kind == "special":
            return _SPECIAL[match.group(kind)]
        self.position = match.start()
        return self.refuse("the end of the file" if kind == "end" else repr(match.group(kind or 0)), "a form")

    def collection(self, opening: str, depth: int) -> Any:
        items = self.items(_CLOSING[opening], depth)
        if opening != "{":
            return items
        if len(items) % 2:
            self.refuse("a map with a key that has no value", "pairs of keys and values")
        names = [item if isinstance(item, str) else show(freeze(item)) for item in items[::2]]
        return dict(zip(names, items[1::2], strict=True))

    def items(self, closing: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while True:
            before = self.position
            match = self.token()
            kind = match.lastgroup
            if kind == "close":
                if match.group(kind) != closing:
                    self.refuse(repr(match.group(kind)), repr(closing))
                return found
            if kind == "end":
                self.refuse("the end of the file", repr(closing))
            if kind == "discard":
                self.form(depth + 1)
                continue
            self.position = before
            found.append(self.form(depth + 1))

    def string(self, raw: str) -> str:
        if "\\" not in raw:
            return raw
        return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescape, raw, flags=re.DOTALL)

    def line_at(self, position: int) -> int:
        if position < self.counted:
            return self.text.count("\n", 0, position) + 1
        self.line += self.text.count("\n", self.counted, position)
        self.counted = position
        return self.line

    def refuse(self, found: str, expected: str) -> NoReturn:
        line = self.text.count("\n", 0, min(self.position, max(len(self.text.rstrip()), 0))) + 1
        raise MalformedHistory(found, expected, f"{self.source}:{line}")


def _number(text: str) -> Any:
    digits = text.rstrip("NM")
    if "/" in digits:
        ratio = Fraction(digits)
        return ratio.numerator if ratio.denominator == 1 else float(ratio)
    if digits.lstrip("+-").isdigit():
        return int(digits)
    return float(digits)


def _unescape(match: re.Match[str]) -> str:
    name = match.group(1)
    return chr(int(name[1:], 16)) if len(name) == 5 else _ESCAPES.get(name, name)
