"""Reading long EDN histories: lines of one shape by one expression, any other line by the reader of forms.

A history in EDN is nearly always one map a line, with the same keys in the same order. The order is taken from the
first line, and an expression made of it that matches such a line as a whole: with the process a number, the type one of
the four, and a value without texts inside, sets, maps, tags and comments, where the reader of forms could see anything
else than what the expression sees. A line that does not match is read by `edn.forms`. What is no line of its own, or no
history, is left to the slow way altogether (None), which says what is wrong and where.

Values are short and come again, so what a text of them means is kept. Vectors of numbers and of transactions are read
as JSON, which they become by changing separators; where that is not JSON, `edn.forms` reads them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from checkers.history import NEMESIS, MalformedHistory, Op

from . import edn

LINES: Final = 4_096
"""Lines taken at a time."""

REMEMBERED: Final = 65_536
"""Values whose texts are kept."""

_WORD: Final = r"""[^\s,;()\[\]{}"\#\\:]+"""
_FIELDS: Final = {
    "process": r"(?P<process>[0-9]+|:nemesis)",
    "type": r":(?P<type>invoke|ok|fail|info)",
    "f": rf":(?P<f>{_WORD})",
    "value": r"""(?P<value>[^"\#;\\{}\n]*[^"\#;\\{}\s,]|"[^"\\\n]*")""",
    "time": r"(?P<time>[0-9]+)",
    "index": r"(?P<index>[0-9]+)",
}
_NEEDED: Final = ("process", "type", "f", "value")
_NAME: Final = re.compile(r"[{,\s]\s*:([a-z]+)\s")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_MICRO: Final = (("[:append,", '["append",'), ("[:r,", '["r",'), ("[:w,", '["w",'))


OpOf = Callable[[dict[str, Any], int], Op]
"""Makes an op of a map and its index."""


def read_lines(text: str, op_of: OpOf) -> tuple[list[Op], Sequence[int]] | None:
    """Read one map a line into ops, with their lines; None: it is better read form by form, or refused so.

    Tuples of independent keys stay values, and `:read` and `:write` in transactions are left to the other way.
    """
    first = text[: text.find("\n")] if "\n" in text else text
    shape = _shape_of(first)
    if shape is None:
        return None
    reader = _Reader(shape, op_of)
    try:
        for piece in _pieces(text):
            reader.take(piece)
    except MalformedHistory:
        return None
    if not reader.blank:
        return reader.ops, range(1, reader.line + 1)
    blank = set(reader.blank)
    return reader.ops, [line for line in range(1, reader.line + 1) if line not in blank]


def _shape_of(line: str) -> re.Pattern[str] | None:
    """Make the expression of a line like this one; None: it is not one plain map."""
    opening = re.match(r"(?:#jepsen\.history\.Op)?\{", line)
    names = _NAME.findall(line)
    names = [name for name in dict.fromkeys(names) if name in _FIELDS]
    if opening is None or not set(_NEEDED) <= set(names):
        return None
    inner = r",? ".join(f":{name} {_FIELDS[name]}" for name in names)
    absent = "".join(f"(?P<{name}>)" for name in ("time", "index") if name not in names)
    error = rf"(?:,? :error :(?P<error>{_WORD}))?"
    whole = rf"^(?:{re.escape(opening[0])}{inner}{error}{absent}\}}[ \r]*|(?P<odd>.*))$"
    shape = re.compile(whole, re.MULTILINE)
    return shape if (match := shape.match(line)) and match["odd"] is None else None


def _pieces(text: str) -> Iterator[str]:
    """Cut a text at ends of lines."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + 64 * LINES)
        end = len(text) if end < 0 else end
        yield text[begin:end]
        begin = end + 1


class _Reader:
    """Makes ops of lines of one shape, and of what `edn.forms` reads of other lines."""

    def __init__(self, shape: re.Pattern[str], op_of: OpOf) -> None:
        self.shape = shape
        self.op_of = op_of
        self.is_indexed = "(?P<index>)" not in shape.pattern
        self.values: dict[str, Any] = {"nil": None}
        self.ops: list[Op] = []
        self.blank: list[int] = []
        self.line = 0
        self.time = 0

    def take(self, piece: str) -> None:
        """Take some lines."""
        places = self.shape.groupindex
        fields = ("process", "type", "f", "value", "time", "index", "error", "odd")
        a, b, c, d, e, g, h, odd = (places[name] - 1 for name in fields)
        ops, values, is_indexed, latest, line = self.ops, self.values, self.is_indexed, self.time, self.line
        for row in self.shape.findall(piece):
            line += 1
            process = row[a]
            if not process:
                if row[odd].strip():
                    ops.append(self.read_odd(row[odd], latest))
                    latest = ops[-1].time
                else:
                    self.blank.append(line)
                continue
            text = row[d]
            if text.isdecimal():
                value = int(text)
            elif (value := values.get(text, values)) is values:
                value = _value(text)
                if len(values) < REMEMBERED:
                    values[text] = value
            time = row[e]
            if time and (instant := int(time)) > latest:
                latest = instant
            ops.append(
                Op(
                    index=int(row[g]) if is_indexed else len(ops),
                    time=latest,
                    process=NEMESIS if process == ":nemesis" else int(process),
                    type=row[b],
                    f=row[c],
                    value=value,
                    error=row[h] or None,
                )
            )
        self.time, self.line = latest, line

    def read_odd(self, line: str, latest: int) -> Op:
        """Read a line of another shape."""
        forms = edn.forms(line, "line")
        if len(forms) != 1 or not isinstance(forms[0], dict):
            raise MalformedHistory(f"{len(forms)} forms", "one map", "line")
        row = forms[0]
        if self.is_indexed and type(row.get("index")) is not int:
            raise MalformedHistory("no index", "one, as in the first line", "line")
        op = self.op_of(row, row["index"] if self.is_indexed else len(self.ops))
        return op if op.time >= latest else msgspec.structs.replace(op, time=latest)


def _value(text: str) -> Any:
    """Read the text of one value."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if text[:1] == '"':
        return text[1:-1]
    if text[:1] == "[" and "null" not in text:
        json = text.replace(", ", ",").replace(" ", ",").replace(",nil]", ",null]")
        for edn_word, json_word in _MICRO:
            json = json.replace(edn_word, json_word)
        try:
            return msgspec.json.decode(json)
        except msgspec.DecodeError:
            pass
    forms = edn.forms(text, "line")
    if len(forms) != 1 or ":read" in text or ":write" in text:
        raise MalformedHistory(f"{len(forms)} forms", "one value", "line")
    return forms[0]
