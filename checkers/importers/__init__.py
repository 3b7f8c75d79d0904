"""Histories from elsewhere: Jepsen's EDN and text logs, Porcupine's and Maelstrom's shapes, tables, and our own lines.

`load` finds the format out by looking at the beginning, or is told. Whatever the source, the history that comes out
obeys the same rules of order, keeps the source's conventions (`History.conventions`), names file and line where it is
damaged, and counts what was passed over (`History.notes`). What was compressed by gzip is read as what it was before.
Each reader is imported when a file of its format comes.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from checkers.history import History
from checkers.json_lines import UNREADABLE
from checkers.malformed import MalformedHistory
from checkers.pause import collection_paused


class Format(NamedTuple):
    """A way to write a history: what it is, and a line of it."""

    what: str
    example: str


FORMATS: Final = {
    "jsonl": Format(
        "our own, one JSON object a line or all in one array; index and time may be left out",
        '{"process":0,"type":"invoke","f":"write","key":"x","value":1}',
    ),
    "edn": Format(
        "Jepsen's history.edn, and what Knossos and Elle read: maps, or [process type f value]",
        "{:process 0, :type :invoke, :f :write, :value 1}",
    ),
    "jepsen-log": Format("Jepsen's history.txt and jepsen.log", "jepsen worker 0 - jepsen.util 0 :invoke :write 1"),
    "porcupine": Format(
        "its Operation values as JSON, one a line or in one array; or its key-value logs",
        '{"ClientId":0,"Input":{"op":"put","key":"x","value":"1"},"Call":0,"Output":null,"Return":7}',
    ),
    "maelstrom": Format(
        "messages of clients and nodes, one JSON object a line",
        '{"src":"c1","dest":"n1","body":{"type":"write","key":"x","value":1,"msg_id":1}}',
    ),
    "csv": Format("a table with one operation a row", "process,f,key,value,result,call,return"),
}
"""Name -> what it is, with an example."""


def load(
    data: bytes | str | Path, *, format: str = "auto", source: str | None = None, lenient: bool = False
) -> History:
    """Read a history in one of `FORMATS`: bytes are the text itself, a path or a str names a file."""
    if not isinstance(data, bytes):
        source = source or str(data)
        try:
            data = Path(data).read_bytes()
        except OSError as error:
            raise MalformedHistory(error.strerror or "an unreadable file", "a history", source) from None
    source = source or "history"
    data = _decompressed(data, source).removeprefix(codecs.BOM_UTF8)
    found = detect(data, source) if format == "auto" else format
    if found not in _LOADERS:
        raise MalformedHistory(f"format {found!r}", f"auto or one of {', '.join(FORMATS)}", "--format")
    with collection_paused():
        return _LOADERS[found](data, source, lenient)


GZIP: Final = b"\x1f\x8b"
"""What compressed data begins with."""


def _decompressed(data: bytes, source: str) -> bytes:
    if not data.startswith(GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedHistory(f"compressed data that is damaged ({error})", "a whole gzip file", source) from None


def detect(data: bytes, source: str = "history") -> str:
    """Tell the format by the first line that is not blank (of EDN, not a comment)."""
    lines = enumerate((line.strip() for line in data.split(b"\n")), 1)
    number, first = next(((n, line) for n, line in lines if line and not line.startswith(b";")), (1, b""))
    if not first:
        return "jsonl"
    if first.startswith(b"{") and (kind := _detect_object(first)):
        return kind
    if re.match(rb"\[\s*(\{\s*(\"|$)|$)", first) and (kind := _detect_array(data)):
        return kind
    if _MAP_OF_AN_OP.match(first):
        return _detect_edn(data)
    from . import jepsen, table

    if table.is_header(first.decode(errors="replace")):
        return "csv"
    if any(jepsen.LINE.fullmatch(line.decode(errors="replace").rstrip()) for line in data.split(b"\n")[:2000]):
        return "jepsen-log"
    if re.match(rb"[\[({#]", first):
        return _detect_edn(data)
    found = f"{first[:30].decode(errors='replace')!r}"
    raise MalformedHistory(found, f"a history as one of {', '.join(FORMATS)}", f"{source}:{number}")


_MAP_OF_AN_OP: Final = re.compile(rb"\{\s*:(?:.*\s)?(?:process|type|f)\s+[:\d].*\}")
"""A line that is a map of an op, and no line of a log before which there are others."""


def _detect_edn(data: bytes) -> str:
    """Tell Porcupine's key-value logs from Jepsen's histories."""
    head = data[:4096]
    functions = set(re.findall(rb":f\s+:([^\s,;()\[\]{}\"]+)(?=[\s,}])", head))
    return "porcupine" if functions and functions <= _OF_KV_LOGS and b":key" in head else "edn"


_OF_KV_LOGS: Final = {b"get", b"put", b"append"}


def _detect_object(first: bytes) -> str | None:
    """Tell apart what may begin with a brace; None: it is no JSON."""
    if re.match(rb"\{\s*:", first):
        return None
    try:
        row = msgspec.json.decode(first)
    except UNREADABLE:
        return "jsonl"  # damaged, most likely; its reader says how
    return _kind_of(row)


def _detect_array(data: bytes) -> str | None:
    """Tell whose operations are in an array of JSON; None: it is no JSON."""
    try:
        rows = msgspec.json.decode(data)
    except UNREADABLE:
        if b'"Input"' in data or b'"input"' in data:
            return "porcupine"
        return "jsonl" if b'"process"' in data else None
    return _kind_of(rows[0]) if rows else "jsonl"


def _kind_of(row: object) -> str:
    names = {str(name).lower() for name in row} if isinstance(row, dict) else set()
    if {"src", "dest", "body"} <= names:
        return "maelstrom"
    return "porcupine" if {"input", "call"} <= names else "jsonl"


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedHistory("bytes that are not UTF-8", "text", f"{source}:{line}") from None


def _load_jsonl(data: bytes, source: str, lenient: bool) -> History:
    if not data.lstrip().startswith(b"["):
        return History.from_jsonl(data, source=source, lenient=lenient)
    from . import elements

    rows = list(elements.elements(data, source))
    return History.from_json_rows(rows, source=source, lenient=lenient)


def _load_edn(data: bytes, source: str, lenient: bool) -> History:
    from . import jepsen

    return jepsen.load_edn(_text(data, source), source=source, lenient=lenient)


def _load_log(data: bytes, source: str, lenient: bool) -> History:
    from . import jepsen

    return jepsen.load_log(_text(data, source), source=source, lenient=lenient)


def _load_maelstrom(data: bytes, source: str, lenient: bool) -> History:
    from . import maelstrom

    return maelstrom.load(data, source=source, lenient=lenient)


def _load_table(data: bytes, source: str, lenient: bool) -> History:
    from . import table

    return table.load(_text(data, source), source=source, lenient=lenient)


def _load_porcupine(data: bytes, source: str, lenient: bool) -> History:
    from . import porcupine

    if re.match(rb"\s*[\[{]\s*(\[|\{)?\s*\"", data):
        return porcupine.load_operations(data, source=source, lenient=lenient)
    return porcupine.load_kv(_text(data, source), source=source, lenient=lenient)


_LOADERS: Final[dict[str, Callable[[bytes, str, bool], History]]] = {
    "jsonl": _load_jsonl,
    "edn": _load_edn,
    "jepsen-log": _load_log,
    "porcupine": _load_porcupine,
    "maelstrom": _load_maelstrom,
    "csv": _load_table,
}

__all__ = ["FORMATS", "Format", "detect", "load"]
