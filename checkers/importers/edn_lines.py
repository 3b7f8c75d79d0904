"""Reading long EDN histories: lines of one shape at once, any other line by the reader of forms.

A history in EDN is nearly always one map a line, with the same keys in the same order. The order is taken from the
first line, and from it two ways to read such lines:

* Where a piece of the text has no texts, sets, tags and comments in it, its lines become JSON by replacing what stands
  between values: `{:process 0, :type :ok, ` by `{"process":0,"type":"ok",`. A piece without quotes gets none but by
  these replacements, so whatever was no line of the shape is no JSON of an op afterwards, and is left to the next way.
* An expression matches such a line as a whole: with the process a number, the type one of the four, and a value in
  which the reader of forms could see nothing else than what the expression sees.

A line that does not match is read by `edn.forms`. What is no line of its own, or no history, is left to the slow way
altogether (None), which says what is wrong and where.

Values are short and come again, so what a text of them means is kept. Vectors of numbers and of transactions are read
as JSON, which they become by changing separators; where that is not JSON, `edn.forms` reads them too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from checkers.malformed import MalformedHistory
from checkers.op import NEMESIS, Op, OpType

from . import edn

PIECE: Final = 1 << 15
"""Characters taken at a time: where one line of a piece is not plain, all of it takes the longer way."""

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
_WORDS: Final = ("type", "f")
_ERROR: Final = re.compile(rf",? :error :({_WORD})(?=[,}}])")
_NOT_PLAIN: Final = ('"', "\\", "#", ";", "\n\n", "null")
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
    reader = LineReader.of(text[: text.find("\n")] if "\n" in text else text, op_of)
    if reader is None:
        return None
    ops: list[Op] = []
    try:
        for piece in pieces(text):
            ops += reader.take(piece)
    except (MalformedHistory, ValueError):  # the latter of a number of thousands of digits
        return None
    if not reader.blank:
        return ops, range(1, reader.line + 1)
    blank = set(reader.blank)
    return ops, [line for line in range(1, reader.line + 1) if line not in blank]


def pieces(text: str) -> Iterator[str]:
    """Cut a text at ends of lines."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + PIECE)
        end = len(text) if end < 0 else end
        yield text[begin:end]
        begin = end + 1


class _Shape:
    """The shape of lines: what stands before the map, which fields it has in which order, and what is between them."""

    def __init__(self, line: str) -> None:
        opening = re.match(r"(?:#jepsen\.history\.Op)?\{", line)
        self.opening = opening[0] if opening else ""
        self.names = [name for name in dict.fromkeys(_NAME.findall(line)) if name in _FIELDS]
        self.separator = ", " if re.search(r", :[a-z]+ .*, :[a-z]+ ", line) else " "

    @property
    def is_one(self) -> bool:
        """Whether there is one, with all that an op needs."""
        return bool(self.opening) and set(_NEEDED) <= set(self.names)

    def expression(self) -> re.Pattern[str]:
        """Make the expression of such lines; what is no such line is in its group `odd`."""
        inner = r",? ".join(f":{name} {_FIELDS[name]}" for name in self.names)
        absent = "".join(f"(?P<{name}>)" for name in ("time", "index") if name not in self.names)
        error = rf"(?:,? :error :(?P<error>{_WORD}))?"
        whole = rf"^(?:{re.escape(self.opening)}{inner}{error}{absent}\}}[ \r]*|(?P<odd>.*))$"
        return re.compile(whole, re.MULTILINE)

    def replacements(self) -> list[tuple[str, str]] | None:
        """List what makes such lines JSON; None: that takes more than to replace what stands between values."""
        if self.names[-1] in _WORDS or ("index" in self.names and "time" not in self.names):
            return None
        found: list[tuple[str, str]] = []
        before, quote = "{", ""
        for name in self.names:
            begin = '"' if name in _WORDS else ""
            json = f'{quote},"{name}":{begin}' if found else f'{{"{name}":{begin}'
            found.append((f"{before}:{name} {':' if begin else ''}", json))
            before, quote = self.separator, begin
        return [*found, ('"process"::nemesis', f'"process":"{NEMESIS}"'), ('"value":nil', '"value":null')]


class _Untimed(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A line of a shape without index and time."""

    process: int | str
    type: OpType
    f: str
    value: Any
    time: int = 0
    error: str | None = None


class _Timed(_Untimed):
    """A line of a shape without index."""

    time: int


_indexed = msgspec.json.Decoder(Op)
_timed = msgspec.json.Decoder(_Timed)
_untimed = msgspec.json.Decoder(_Untimed)
_NULL: Final = '"value":null'
_NULL_AND_MORE: Final = re.compile(r'"value":null[^{]*"value":')


class LineReader:
    """Makes ops of lines of one shape, and of what `edn.forms` reads of other lines."""

    def __init__(self, shape: _Shape, op_of: OpOf) -> None:
        self.expression = shape.expression()
        self.replacements = shape.replacements()
        self.opening = shape.opening
        self.names = shape.names
        self.op_of = op_of
        self.is_indexed = "index" in shape.names
        self.decoder: msgspec.json.Decoder[Any] = (
            _indexed if self.is_indexed else _timed if "time" in shape.names else _untimed
        )
        self.values: dict[str, Any] = {"nil": None}
        self.kinds: edn.Kinds = {}
        self.functions: set[str] = set()
        self.blank: list[int] = []
        self.count = 0  # of ops
        self.line = 0
        self.time = 0

    @classmethod
    def of(cls, first: str, op_of: OpOf) -> LineReader | None:
        """Make the reader of a file with this first line; None: that is not one plain map."""
        shape = _Shape(first)
        if not shape.is_one:
            return None
        reader = cls(shape, op_of)
        match = reader.expression.match(first)
        return reader if match is not None and match["odd"] is None else None

    def take(self, piece: str) -> list[Op]:
        """Take some lines; raises `MalformedHistory` for what is better read, or refused, form by form."""
        ops = self.translate(piece)
        return self.match(piece) if ops is None else ops

    def translate(self, piece: str) -> list[Op] | None:
        """Make ops of lines that become JSON by replacements; None: some do not."""
        if self.replacements is None:
            return None
        count = piece.count("\n") + (not piece.endswith("\n"))
        plain = piece.replace(self.opening, "{") if "#" in self.opening else piece
        if plain.count("{") != count or plain.startswith("\n") or any(mark in plain for mark in _NOT_PLAIN):
            return None
        json = _ERROR.sub(r',"error":"\1"', plain) if ":error" in plain else plain
        for old, new in self.replacements:
            json = json.replace(old, new)
        if "[" in json:
            json = _json_of_vector(json)
        try:
            rows = self.decoder.decode_lines(json)
        except (msgspec.DecodeError, RecursionError):
            return None
        ends = json.count("}\n{") + json.count("}\r\n{")
        if len(rows) != count or ends != count - 1 or not self.knows({row.f for row in rows}):
            return None
        if not self.are_single(json, rows):
            return None
        times = [row.time for row in rows]
        if times[0] < self.time or times != sorted(times):
            return None
        if not all(type(row.process) is int or row.process == NEMESIS for row in rows):
            return None
        ops: list[Op] = rows if self.is_indexed else self.indexed(rows)
        self.count += len(ops)
        self.line += count
        self.time = times[-1]
        return ops

    def are_single(self, json: str, rows: Sequence[Any]) -> bool:
        """Whether no line has a field twice, of which JSON takes the last: see `checkers.members`.

        Each line has all fields of the shape, but for the value of an `Op`, which may be absent or null.
        """
        known = len(self.names) * len(rows) + len([1 for row in rows if row.error is not None])
        if self.is_indexed:
            if _NULL_AND_MORE.search(json):
                return False
            known += json.count(_NULL) - len([1 for row in rows if row.value is None])
        return known == json.count(":")

    def knows(self, functions: set[str]) -> bool:
        """Whether these are words: what was between two fields has gone into none of them."""
        fresh = functions - self.functions
        self.functions |= fresh
        return all(re.fullmatch(_WORD, f) for f in fresh)

    def indexed(self, rows: Iterable[Any]) -> list[Op]:
        """Make ops of lines whose index is their place."""
        return [
            Op(index=index, time=r.time, process=r.process, type=r.type, f=r.f, value=r.value, error=r.error)
            for index, r in enumerate(rows, self.count)
        ]

    def match(self, piece: str) -> list[Op]:
        """Make ops of lines that the expression matches, and of others."""
        places = self.expression.groupindex
        fields = ("process", "type", "f", "value", "time", "index", "error", "odd")
        a, b, c, d, e, g, h, odd = (places[name] - 1 for name in fields)
        values, is_indexed, latest, line = self.values, self.is_indexed, self.time, self.line
        ops: list[Op] = []
        for row in self.expression.findall(piece):
            line += 1
            process = row[a]
            if not process:
                if row[odd].strip():
                    ops.append(self.read_odd(row[odd], self.count + len(ops), latest))
                    latest = ops[-1].time
                else:
                    self.blank.append(line)
                continue
            text = row[d]
            if text.isdecimal() and text[0] != "0" and text.isascii():
                value = int(text)
            elif (value := values.get(text, values)) is values:
                value = _value(text, self.kinds)
                if len(values) < REMEMBERED:
                    values[text] = value
            time = row[e]
            if time and (instant := int(time)) > latest:
                latest = instant
            ops.append(
                Op(
                    index=int(row[g]) if is_indexed else self.count + len(ops),
                    time=latest,
                    process=NEMESIS if process == ":nemesis" else int(process),
                    type=row[b],
                    f=row[c],
                    value=value,
                    error=row[h] or None,
                )
            )
        self.count += len(ops)
        self.time, self.line = latest, line
        return ops

    def read_odd(self, line: str, place: int, latest: int) -> Op:
        """Read a line of another shape."""
        forms = edn.forms(line, "line", self.kinds, are_values=False)
        if len(forms) != 1 or not isinstance(forms[0], dict):
            raise MalformedHistory(f"{len(forms)} forms", "one map", "line")
        row = forms[0]
        if self.is_indexed and type(row.get("index")) is not int:
            raise MalformedHistory("no index", "one, as in the first line", "line")
        op = self.op_of(row, row["index"] if self.is_indexed else place)
        return op if op.time >= latest else msgspec.structs.replace(op, time=latest)


def _value(text: str, kinds: edn.Kinds) -> Any:
    """Read the text of one value."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if text[:1] == "[" and "null" not in text:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(_json_of_vector(text))
    forms = edn.forms(text, "line", kinds, are_values=True)
    if len(forms) != 1 or ":read" in text or ":write" in text:
        raise MalformedHistory(f"{len(forms)} forms", "one value", "line")
    return forms[0]


def _json_of_vector(text: str) -> str:
    """Make JSON of vectors of numbers, nil and micro-operations, by their separators."""
    json = text.replace(", ", ",").replace(" ", ",").replace(",nil]", ",null]")
    for edn_word, json_word in _MICRO:
        json = json.replace(edn_word, json_word)
    return json
