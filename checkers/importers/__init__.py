"""Histories from elsewhere: Jepsen's EDN and text logs, Porcupine's and Maelstrom's shapes, and our own JSON lines.

`load` finds the format out by looking at the beginning, or is told. Whatever the source, the history that comes out
obeys the same rules of order, keeps the source's conventions (`History.conventions`), and names file and line where it
is damaged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from checkers.history import History, MalformedHistory

from . import jepsen, maelstrom, porcupine

FORMATS: Final = {
    "jsonl": "one JSON object a line, our own",
    "edn": "Jepsen's history.edn",
    "jepsen-log": "Jepsen's history.txt, and its logs",
    "porcupine": "key-value logs, or operations as JSON",
    "maelstrom": "messages, one JSON object a line",
}
"""Name -> what it is."""


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
    found = detect(data, source) if format == "auto" else format
    if found not in _LOADERS:
        raise MalformedHistory(f"format {found!r}", f"auto or one of {', '.join(FORMATS)}", "--format")
    return _LOADERS[found](data, source, lenient)


def detect(data: bytes, source: str = "history") -> str:
    """Tell the format by the first line that is not blank (of EDN, not a comment)."""
    lines = (line.strip() for line in data.split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b";")), b"")
    if not first:
        return "jsonl"
    if first.startswith(b"{") and (kind := _detect_object(first)):
        return kind
    if re.match(rb"\[\s*(\{\s*\"|$)", first) and _is_json(data):
        return "porcupine"
    if re.match(rb"[\[({#]", first):
        return "porcupine" if re.search(rb":f\s+:(get|put|append)\b", data[:4096]) and b":key" in data[:4096] else "edn"
    if any(jepsen.LINE.fullmatch(line.decode(errors="replace").rstrip()) for line in data.split(b"\n")[:2000]):
        return "jepsen-log"
    found = f"{first[:30].decode(errors='replace')!r}"
    raise MalformedHistory(found, f"a history as one of {', '.join(FORMATS)}", f"{source}:1")


def _detect_object(first: bytes) -> str | None:
    """Tell apart what may begin with a brace; None: it is no JSON."""
    if re.match(rb"\{\s*:", first):
        return None
    try:
        row = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return "jsonl"  # damaged, most likely; its reader says how
    names = {str(name).lower() for name in row}
    if {"src", "dest", "body"} <= names:
        return "maelstrom"
    return "porcupine" if {"input", "call"} <= names else "jsonl"


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        return b'"Input"' in data or b'"input"' in data
    return True


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedHistory("bytes that are not UTF-8", "text", f"{source}:{line}") from None


def _load_porcupine(data: bytes, source: str, lenient: bool) -> History:
    if re.match(rb"\s*[\[{]\s*(\[|\{)?\s*\"", data):
        return porcupine.load_operations(data, source=source, lenient=lenient)
    return porcupine.load_kv(_text(data, source), source=source, lenient=lenient)


_LOADERS: Final[dict[str, Callable[[bytes, str, bool], History]]] = {
    "jsonl": lambda data, source, lenient: History.from_jsonl(data, source=source, lenient=lenient),
    "edn": lambda data, source, lenient: jepsen.load_edn(_text(data, source), source=source, lenient=lenient),
    "jepsen-log": lambda data, source, lenient: jepsen.load_log(_text(data, source), source=source, lenient=lenient),
    "porcupine": _load_porcupine,
    "maelstrom": lambda data, source, lenient: maelstrom.load(data, source=source, lenient=lenient),
}

__all__ = ["FORMATS", "detect", "load"]
