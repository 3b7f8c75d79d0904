"""Reading EDN: text in, Python values out, each top-level form with the line it begins on.

EDN is what Clojure writes. `edn_format` reads it too, at ten thousand operations a second and without saying where a
form stood; a damaged history needs a line number, and long ones need speed, so the little that histories use is read
here: nil, booleans, numbers, strings, characters, symbols, keywords, lists, vectors, maps, sets, tags, `#_` and `;`.

Keywords become their names as strings (`:read` is "read"), lists and vectors become lists, maps dicts, sets sorted
lists. Ratios and big decimals become the integers or floats that they are, else fractions; a number that is too long
for all of these stays its text. A tag is dropped and its value kept, for that is what `#jepsen.history.Op{...}` means
here.

A keyword, a string, a character, a symbol and a number as the key of a map may thus become one and the same text,
although the system kept them apart: who read `"x"` would have seen what another wrote as `:x`. So what values and keys
of one source hold is noted with its kind (`Kinds`), and a name of two kinds is refused. The words of operations and
micro-operations (`:read`, `:append`) are no values.

Reference: the EDN format, github.com/edn-format/edn.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple, NoReturn

from checkers.malformed import MalformedHistory
from checkers.values import freeze, show

_TOKEN: Final = re.compile(
    r"""
    (?:[\s,]+ | ;[^\n]*)*                             # blanks, commas and comments before a token
    (?:
      (?P<open>[\[({]) | (?P<close>[\])}])
    | (?P<set>\#\{) | (?P<discard>\#_) | (?P<special>\#\#(?:-?Inf|NaN)) | (?P<tag>\#[A-Za-z][^\s,;()\[\]{}"]*)
    | "(?P<string>(?:[^"\\]|\\.)*)"
    | (?P<number>[-+]?(?:0|[1-9][0-9]*)(?:/[0-9]+|(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)[NM]?(?=[\s,;()\[\]{}"]|\Z))
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


Kinds = dict[str, str]
"""What names in values were, of one source: a text -> how it stood there, by the name of its token."""

_OPERATIONS: Final = frozenset(("r", "w", "append", "read", "write"))
_MICRO_SIZE: Final = 3
_VALUES: Final = ("value", "key")
_AS_WRITTEN: Final = {
    "keyword": ":{}",
    "string": '"{}"',
    "char": "\\{}",
    "symbol": "{}",
    "number": "{} (a number)",
    "tag": "{}",
}
_SYMBOL: Final = re.compile(r"(?![-+.]?[0-9])[A-Za-z.*+!\-_?$%&=<>/|\u0080-\U0010ffff]")
"""The beginning of a symbol; what begins otherwise is syntax of Clojure, or no number of EDN."""

DIGITS_MAX: Final = 4_000
EXPONENT_DIGITS_MAX: Final = 4
"""Of a number that is read as one; Python reads no integer of more than 4,300 digits."""


class Form(NamedTuple):
    """A top-level form, and the line it begins on."""

    value: Any
    line: int


def read(text: str, source: str) -> Iterator[Form]:
    """Yield the top-level forms of a text; of one vector or list that holds all other forms, its elements."""
    reader = _Reader(text, source, {})
    first = reader.peek()
    if first in ("[", "(") and reader.holds_forms():
        yield from reader.elements(first)
        reader.expect_end()
        return
    while reader.peek() is not None:
        yield Form(reader.top_form(), reader.began)


def forms(text: str, where: str, kinds: Kinds, *, are_values: bool) -> list[Any]:
    """Read the forms of one line. `where` names it in an error; `kinds` is that of its source.

    `are_values` says whether the first of them is a value, and not an operation that has some.
    """
    reader = _Reader(text, where, kinds, in_value=are_values)
    reader.is_line = True
    found = []
    while reader.peek() is not None:
        found.append(reader.form() if are_values else reader.top_form())
        reader.in_value = False
    return found


class _Reader:
    def __init__(self, text: str, source: str, kinds: Kinds, *, in_value: bool = False) -> None:
        self.text = text
        self.source = source
        self.kinds = kinds
        self.is_line = False  # whether the source is named with its line
        self.in_value = in_value  # whether what is read now belongs to a value
        self.at_operation = False  # whether the next collection is an operation
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
            yield Form(self.top_form(), self.began)

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

    def top_form(self) -> Any:
        """Read a form that may be an operation."""
        self.at_operation = True
        return self.form()

    def form(self, depth: int = 0) -> Any:
        """Read one form."""
        if depth > _DEPTH:
            self.refuse(f"forms nested deeper than {_DEPTH}", "a history")
        match = self.token()
        kind = match.lastgroup
        if kind == "keyword":
            return self.named(match.group(kind), kind)
        if kind == "number":
            return _number(match.group(kind))
        if kind == "symbol":
            return self.symbol(match.group(kind))
        if kind == "open":
            return self.collection(match.group(kind), depth)
        if kind == "string":
            return self.named(self.string(match.group(kind)), kind)
        if kind == "set":
            return sorted(self.items("}", depth), key=repr)
        if kind == "tag":
            return self.tagged(match.group(kind), depth)
        if kind == "discard":
            self.form(depth + 1)
            return self.form(depth + 1)
        if kind == "char":
            name = match.group(kind)[1:]
            is_code = len(name) == 5 and name[0] == "u"
            return self.named(self.whole(chr(int(name[1:], 16)) if is_code else _CHARACTERS.get(name, name)), kind)
        if kind == "special":
            word = match.group(kind)
            if self.in_value:
                self.refuse(f"{word} in a value", "a number that is equal to itself and finite")
            return _SPECIAL[word]
        self.position = match.start()
        return self.refuse("the end of the file" if kind == "end" else repr(match.group(kind or 0)), "a form")

    def named(self, name: str, kind: str) -> str:
        """Note what a name in a value was; refuse one that was something else before."""
        if self.in_value and (before := self.kinds.setdefault(name, kind)) != kind:
            now, then = _AS_WRITTEN[kind].format(name), _AS_WRITTEN[before].format(name)
            self.refuse(f"{now} in a value, and {then} in another", "values that differ in more than their kind")
        return name

    def symbol(self, word: str) -> Any:
        if word in _WORDS:
            return _WORDS[word]
        if self.in_value and not _SYMBOL.match(word):
            self.refuse(f"{word[:30]!r} in a value", "a number, a text or a symbol of EDN")
        return self.named(word, "symbol")

    def tagged(self, tag: str, depth: int) -> Any:
        """Read what a tag stands before. In a value `#a 1`, `#b 1` and `1` are three, and so with maps; of lists and
        sets, which models look into, two that differ in their tags alone are refused, but one with a tag is the same as
        one without: tuples of independent keys are printed both ways."""
        in_value = self.in_value
        value = self.form(depth + 1)
        if not in_value:
            return value
        if isinstance(value, dict):
            return {tag: value}
        if isinstance(value, list):
            before = self.kinds.setdefault(f"#{show(freeze(value))}", tag)
            if before != tag:
                self.refuse(
                    f"{tag} before a value, and {before} before another", "values that differ in more than that"
                )
            return value
        return self.named(f"{tag} {show(value)}", "tag")

    def collection(self, opening: str, depth: int) -> Any:
        is_operation, self.at_operation = self.at_operation, False
        items = self.items(_CLOSING[opening], depth, is_operation=is_operation)
        if opening != "{":
            return items
        if len(items) % 2:
            self.refuse("a map with a key that has no value", "pairs of keys and values")
        names = [item if isinstance(item, str) else self.named(show(freeze(item)), "number") for item in items[::2]]
        found = dict(zip(names, items[1::2], strict=True))
        if len(found) < len(names):
            self.refuse(f"a map with the key {next(n for n in names if names.count(n) > 1)} twice", "each key once")
        return found

    def items(self, closing: str, depth: int, *, is_operation: bool = False) -> list[Any]:
        """Read up to a closing bracket; of an operation, which is a map or a tuple, know where its value stands."""
        found: list[Any] = []
        has_word = False  # whether it begins like a micro-operation
        while True:
            if is_operation:
                is_map = closing == "}"
                self.in_value = (len(found) % 2 == 1 and found[-1] in _VALUES) if is_map else len(found) == 3
            before = self.position
            match = self.token()
            kind = match.lastgroup
            if kind == "close":
                if match.group(kind) != closing:
                    self.refuse(repr(match.group(kind)), repr(closing))
                if has_word and len(found) != _MICRO_SIZE:
                    self.named(found[0], "keyword")
                self.in_value = self.in_value and not is_operation
                return found
            if kind == "end":
                self.refuse("the end of the file", repr(closing))
            if kind == "discard":
                self.form(depth + 1)
                continue
            if kind == "keyword" and not found and closing in "])" and match.group(kind) in _OPERATIONS:
                has_word = True
                found.append(match.group(kind))
                continue
            self.position = before
            found.append(self.form(depth + 1))

    def string(self, raw: str) -> str:
        if "\\" not in raw:
            return raw
        return self.whole(re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescape, raw, flags=re.DOTALL))

    def whole(self, text: str) -> str:
        """Join the two halves in which Java writes a character beyond 16 bits; refuse half a one."""
        if text.isascii():
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self.refuse("half of a character (a surrogate without the other one)", "a text")

    def line_at(self, position: int) -> int:
        if position < self.counted:
            return self.text.count("\n", 0, position) + 1
        self.line += self.text.count("\n", self.counted, position)
        self.counted = position
        return self.line

    def refuse(self, found: str, expected: str) -> NoReturn:
        line = self.text.count("\n", 0, min(self.position, max(len(self.text.rstrip()), 0))) + 1
        raise MalformedHistory(found, expected, self.source if self.is_line else f"{self.source}:{line}")


def _number(text: str) -> Any:
    """Read a number; what would take more digits than anybody writes is as good as a text."""
    digits = text.rstrip("NM")
    mantissa, _, exponent = digits.lower().partition("e")
    if len(mantissa) > DIGITS_MAX or len(exponent) > EXPONENT_DIGITS_MAX:
        return text
    if "/" in digits:
        top, _, bottom = digits.partition("/")
        return _exact(Fraction(int(top), int(bottom))) if int(bottom) else text
    if digits.lstrip("+-").isdigit():
        return int(digits)
    return _exact(Fraction(digits)) if text.endswith("M") else float(digits)


def _exact(number: Fraction) -> Any:
    """Return the integer or float that is this number, or the fraction itself: rounded, two numbers could be one."""
    if number.denominator == 1:
        return number.numerator
    with contextlib.suppress(OverflowError):
        if float(number) == number:
            return float(number)
    return number


def _unescape(match: re.Match[str]) -> str:
    name = match.group(1)
    return chr(int(name[1:], 16)) if len(name) == 5 else _ESCAPES.get(name, name)
