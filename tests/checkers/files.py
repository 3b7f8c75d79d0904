"""Files to be read into columns: runs of registers and counters, with hostile lines among them and some spoiled.

`text` draws a file of our own lines or of EDN from a random generator; most are plain, and all are small.
"""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec

from checkers import History, Op
from tests.checkers import formats

MODELS = ("auto", "auto", "register", "cas-register", "map", "counter")
"""What to judge such a file as."""


class _Register:
    """A register as it would be, of unique values."""

    def __init__(self) -> None:
        self.state: Any = None
        self.written: list[Any] = [None, 0]

    def call(self, rng: random.Random) -> tuple[str, Any]:
        f = rng.choice(["read", "write", "cas"])
        new = len(self.written)
        if f != "read":
            self.written.append(new)
        return f, {"read": None, "write": new, "cas": [rng.choice([self.state, *self.written]), new]}[f]

    def answer(self, rng: random.Random, f: str, value: Any) -> tuple[str, Any]:
        """Do it, and say what came of it."""
        if f == "read":
            return "ok", self.state if rng.randint(0, 9) else rng.choice(self.written)
        if f == "cas" and value[0] != self.state:
            return "fail", None
        self.state = value[1] if f == "cas" else value
        return "ok", rng.choice([value, value, None, True, self.state])


class _Counter:
    """A counter as it would be."""

    def __init__(self) -> None:
        self.state = 0

    def call(self, rng: random.Random) -> tuple[str, Any]:
        f = rng.choice(["read", "add", "add-and-get"])
        return f, None if f == "read" else rng.choice([1, 1, 1, 2, 0, -1])

    def answer(self, rng: random.Random, f: str, value: Any) -> tuple[str, Any]:
        self.state += value or 0
        told = self.state if rng.randint(0, 9) else rng.randint(-1, 3)
        if f == "add":
            return "ok", rng.choice([value, value, None, True])
        return "ok", told if f == "read" else [value, told]


def history(rng: random.Random, *, keys: tuple[Any, ...] = (None, None, "x", 1)) -> list[Op]:
    """Lines of a few processes on a few keys, mostly right: reads, unique writes, cas, adds, and any outcome."""
    ops: list[Op] = []
    running: dict[int, Op] = {}
    fresh, processes = 3, [0, 1, 2]
    kind_of = rng.choice([_Register, _Counter])
    objects: dict[Any, Any] = {}
    for index in range(rng.randint(0, 14)):
        process = rng.choice(processes)
        if process not in running:
            key = rng.choice(keys)
            f, value = objects.setdefault(key, kind_of()).call(rng)
            op = Op(index=index, time=index // 2, process=process, type="invoke", f=f, key=key, value=value)
            running[process] = op
        else:
            asked = running.pop(process)
            kind: Any = rng.choice(["ok", "ok", "ok", "ok", "fail", "info"])
            told, error = asked.value, None
            if kind == "ok":
                kind, told = objects[asked.key].answer(rng, asked.f, asked.value)
                error = "precondition-failed" if kind == "fail" else None
            else:
                error = rng.choice(["timeout", "precondition-failed", "refused"])
            op = msgspec.structs.replace(asked, index=index, time=index // 2, type=kind, value=told, error=error)
            if kind == "info":
                processes[processes.index(process)] = fresh
                fresh += 1
        ops.append(op)
    return ops


def jsonl(ops: list[Op]) -> list[bytes]:
    return [msgspec.json.encode(op) for op in ops]


def edn(ops: list[Op]) -> list[bytes]:
    return formats.edn(History(ops, lenient=True)).splitlines()


HOSTILE = (
    b"",
    b" ",
    b"{",
    b"null",
    b"[" * 2_000,
    b"; a comment",
    b"\xff",
    b'{"process":0,"type":"invoke","f":"read"}{"process":0,"type":"ok","f":"read"}',
    b"{:process 0, :type :invoke, :f :read, :value nil}{:process 0, :type :ok, :f :read, :value 1}",
    b'{"process":"nemesis","type":"info","f":"kill"}',
    b'{:process :nemesis, :type :info, :f :kill, :value {:n1 #{"n2"}}, :index 6}',
)
"""Lines to be put among others."""

SPOILED = (
    (rb"\d+", lambda number: str(int(number) + 1).encode()),
    (rb"\d+", lambda number: number + b"0" * 30),
    (rb"\d+", lambda number: number + b".0"),
    (rb"\d+", lambda number: b"-" + number),
    (rb"\d+", lambda number: b'"' + number + b'"'),
    (rb"\d+", lambda number: b"[" + number + b" 1]"),
    (rb"\d+", lambda number: b"true"),
    (rb"\d+", lambda number: b"1, :f :write, :value " + number),
    (rb"null|nil", lambda _: b"null"),
    (rb"null|nil", lambda _: b":x"),
    (rb"read|write|add", lambda _: b"\xc3\xa9"),
    (rb"read|write|add|cas", lambda _: b"write"),
    (rb"read|write|add|cas", lambda f: f + b" :f :read"),
    (rb"read|write|add|cas", lambda f: f[:1] + b"\\u0065" + f[2:]),
    (rb"invoke|ok|fail|info", lambda _: b"ok"),
    (rb"invoke|ok|fail|info", lambda _: b"fail"),
    (rb"[,}]", lambda mark: b' "' + mark),
    (rb"[,}]", lambda mark: mark + mark),
    (rb"[,}]", lambda mark: b", :key 1" + mark),
    (rb"[,}]", lambda mark: b',"key":"x"' + mark),
    (rb" ", lambda _: b"\t"),
)
"""What in a line may become something else."""


def text(rng: random.Random) -> bytes:
    """Files of our own lines or of EDN, with hostile lines among them, and some lines or bytes of them spoiled."""
    write, keys = rng.choice([(jsonl, (None, None, "x", 1)), (edn, (None,))])
    lines = write(history(rng, keys=keys))
    for _ in range(rng.choice([0, 0, 0, 1, 2]) if lines else 0):
        place = rng.randint(0, len(lines) - 1)
        way = rng.choice(["insert", "spoil", "spoil", "repeat", "drop", "swap", "cut"])
        line = lines[place]
        if way == "insert":
            lines.insert(place, rng.choice(HOSTILE))
        elif way == "spoil":
            pattern, change = rng.choice(SPOILED)
            if found := list(re.finditer(pattern, line)):
                match = rng.choice(found)
                lines[place] = line[: match.start()] + change(match[0]) + line[match.end() :]
        elif way == "repeat":
            lines.insert(place, line)
        elif way == "drop":
            del lines[place]
        elif way == "swap":
            lines[place], lines[-1] = lines[-1], line
        else:
            lines[place] = line[: rng.randint(0, len(line))]
        if not lines:
            break
    return rng.choice([b"\n", b"\n", b"\n", b"\r\n"]).join(lines) + rng.choice([b"\n", b""])
