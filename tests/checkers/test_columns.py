"""Long files read into columns: the same verdict as from objects, or none."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, Op, Verdict, check, check_file, columns
from checkers.importers import load
from checkers.linearizability.result import Limits
from tests.checkers import formats

LIMITS = Limits()


def timeless(verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, seconds=0.0)


class _Register:
    """A register as it would be, of unique values."""

    def __init__(self) -> None:
        self.state: Any = None
        self.written: list[Any] = [None, 0]

    def call(self, draw: st.DrawFn) -> tuple[str, Any]:
        f = draw(st.sampled_from(["read", "write", "cas"]))
        new = len(self.written)
        if f != "read":
            self.written.append(new)
        return f, {"read": None, "write": new, "cas": [draw(st.sampled_from([self.state, *self.written])), new]}[f]

    def answer(self, draw: st.DrawFn, f: str, value: Any) -> tuple[str, Any]:
        """Do it, and say what came of it."""
        if f == "read":
            return "ok", self.state if draw(st.integers(0, 9)) else draw(st.sampled_from(self.written))
        if f == "cas" and value[0] != self.state:
            return "fail", None
        self.state = value[1] if f == "cas" else value
        return "ok", draw(st.sampled_from([value, value, None, True, self.state]))


class _Counter:
    """A counter as it would be."""

    def __init__(self) -> None:
        self.state = 0

    def call(self, draw: st.DrawFn) -> tuple[str, Any]:
        f = draw(st.sampled_from(["read", "add", "add-and-get"]))
        return f, None if f == "read" else draw(st.sampled_from([1, 1, 1, 2, 0, -1]))

    def answer(self, draw: st.DrawFn, f: str, value: Any) -> tuple[str, Any]:
        self.state += value or 0
        told = self.state if draw(st.integers(0, 9)) else draw(st.integers(-1, 3))
        if f == "add":
            return "ok", draw(st.sampled_from([value, value, None, True]))
        return "ok", told if f == "read" else [value, told]


@st.composite
def histories(draw: st.DrawFn, *, keys: tuple[Any, ...] = (None, None, "x", 1)) -> list[Op]:
    """Lines of a few processes on a few keys, mostly right: reads, unique writes, cas, adds, and any outcome."""
    ops: list[Op] = []
    running: dict[int, Op] = {}
    fresh, processes = 3, [0, 1, 2]
    kind_of = draw(st.sampled_from([_Register, _Counter]))
    objects: dict[Any, Any] = {}
    for index in range(draw(st.integers(0, 14))):
        process = draw(st.sampled_from(processes))
        if process not in running:
            key = draw(st.sampled_from(keys))
            f, value = objects.setdefault(key, kind_of()).call(draw)
            op = Op(index=index, time=index // 2, process=process, type="invoke", f=f, key=key, value=value)
            running[process] = op
        else:
            asked = running.pop(process)
            kind: Any = draw(st.sampled_from(["ok", "ok", "ok", "ok", "fail", "info"]))
            told, error = asked.value, None
            if kind == "ok":
                kind, told = objects[asked.key].answer(draw, asked.f, asked.value)
                error = "precondition-failed" if kind == "fail" else None
            else:
                error = draw(st.sampled_from(["timeout", "precondition-failed", "refused"]))
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


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Files of our own lines or of EDN, with hostile lines among them, and some lines or bytes of them spoiled."""
    write, keys = draw(st.sampled_from([(jsonl, (None, None, "x", 1)), (edn, (None,))]))
    lines = write(draw(histories(keys=keys)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2])) if lines else 0):
        place = draw(st.integers(0, len(lines) - 1))
        way = draw(st.sampled_from(["insert", "spoil", "spoil", "repeat", "drop", "swap", "cut"]))
        line = lines[place]
        if way == "insert":
            lines.insert(place, draw(st.sampled_from(HOSTILE)))
        elif way == "spoil":
            pattern, change = draw(st.sampled_from(SPOILED))
            if found := list(re.finditer(pattern, line)):
                match = draw(st.sampled_from(found))
                lines[place] = line[: match.start()] + change(match[0]) + line[match.end() :]
        elif way == "repeat":
            lines.insert(place, line)
        elif way == "drop":
            del lines[place]
        elif way == "swap":
            lines[place], lines[-1] = lines[-1], line
        else:
            lines[place] = line[: draw(st.integers(0, len(line)))]
        if not lines:
            break
    return draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"])).join(lines) + draw(st.sampled_from([b"\n", b""]))


@given(texts(), st.sampled_from(["auto", "auto", "register", "cas-register", "counter"]))
def test_columns_say_what_objects_say_or_nothing(text: bytes, model: str) -> None:
    found = columns.judge(text, model, LIMITS)

    assert found is None or timeless(found) == timeless(check(load(text), model))


VALID = b"""{"index":0,"time":0,"process":0,"type":"invoke","f":"write","key":"x","value":1}
{"index":1,"time":0,"process":1,"type":"invoke","f":"read","key":"x"}
{"index":2,"time":1,"process":0,"type":"ok","f":"write","key":"x","value":1}
{"index":3,"time":1,"process":"nemesis","type":"info","f":"kill"}
{"index":4,"time":2,"process":1,"type":"ok","f":"read","key":"x","value":1}
"""


@pytest.mark.parametrize("model", ["auto", "register"])
def test_a_plain_valid_file_needs_no_objects(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, packed = tmp_path / "h.jsonl", tmp_path / "h.jsonl.gz"
    file.write_bytes(VALID)
    packed.write_bytes(gzip.compress(VALID))
    expected = timeless(check(History.from_jsonl(VALID), model))
    monkeypatch.setattr("checkers.api.load", None)

    for whole in (VALID, file, packed):
        assert timeless(check_file(whole, model)) == expected


EDN = b"""{:process 0, :type :invoke, :f :add, :value 2, :time 0, :index 0}
{:process 1, :type :invoke, :f :read, :value nil, :time 1, :index 1}
{:process :nemesis, :type :info, :f :kill, :value {"n1" #{:n2}}, :time 2, :index 2}
{:process 0, :type :ok, :f :add, :value 2, :time 3, :index 3}
{:process 1, :type :ok, :f :read, :value 2, :time 4, :index 4}
"""


@pytest.mark.parametrize("model", ["auto", "counter"])
@pytest.mark.parametrize("left_out", [rb", :time \d+", rb", :(time|index) \d+", rb"nothing"])
def test_a_counter_in_edn_needs_no_objects(left_out: bytes, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.sub(left_out, b"", EDN)
    expected = timeless(check(load(text), model))
    monkeypatch.setattr("checkers.api.load", None)

    assert timeless(check_file(text, model)) == expected
    assert expected.validity == "valid"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b'"value":1}\n{"index":3', b'"value":2}\n{"index":3'),  # another answer
        lambda text: text.replace(b'"index":4', b'"index":3'),
        lambda text: text.replace(b'"time":2', b'"time":0'),
        lambda text: text.replace(b'"process":1,"type":"ok"', b'"process":2,"type":"ok"'),
        lambda text: text.replace(b'"ok","f":"read","key":"x"', b'"ok","f":"read","key":"y"'),
        lambda text: text.replace(b'"ok","f":"read"', b'"ok","f":"write"'),
        lambda text: text.replace(b'"nemesis"', b'"janitor"'),
        lambda text: text.replace(b'"invoke","f":"read"', b'"invoke","f":"fly"'),
        lambda text: text.replace(b'"f":"read","key":"x"}', b'"f":"read","key":"x","value":7}'),
        lambda text: text[:-5],
        lambda text: text + VALID,
    ],
)
def test_what_is_not_plain_is_left_to_objects_and_refused_with_its_line(damage: Any) -> None:
    text = damage(VALID)

    assert columns.judge(text, "register", LIMITS) is None
    with pytest.raises(MalformedHistory, match=r"h:\d+: found"):
        check_file(text, "register", source="h")


@pytest.mark.parametrize("left_out", ["index", "time"])
def test_index_and_time_may_be_left_out(left_out: str) -> None:
    rows = [json.loads(line) for line in VALID.splitlines()]
    text = b"\n".join(msgspec.json.encode({k: v for k, v in row.items() if k != left_out}) for row in rows)

    found = columns.judge(text, "auto", LIMITS)

    assert found is not None
    assert timeless(found) == timeless(check(History.from_jsonl(text)))


def test_a_violation_is_explained_from_objects() -> None:
    text = VALID.replace(b'"read","key":"x","value":1', b'"read","key":"x","value":5')

    assert columns.judge(text, "register", LIMITS) is None
    assert check_file(text, "register").anomalies[0].index == 4


def test_lines_are_cut_into_pieces_nowhere_but_at_their_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = timeless(check(History.from_jsonl(VALID), "register"))
    file = tmp_path / "h.jsonl"
    file.write_bytes(VALID)

    for size in (1, 7, 80, 81, 150, len(VALID)):
        monkeypatch.setattr(columns, "PIECE", size)
        for whole in (VALID, file):
            found = columns.judge(whole, "register", LIMITS)
            assert found is not None
            assert timeless(found) == expected


def test_columns_are_none_for_functions_that_the_named_model_does_not_have() -> None:
    added = b'{"process":0,"type":"invoke","f":"add","value":1}\n{"process":0,"type":"ok","f":"add","value":1}\n'
    written = added.replace(b"add", b"write")

    assert columns.judge(added, "register", LIMITS) is columns.judge(written, "counter", LIMITS) is None
    assert columns.judge(added, "counter", LIMITS) is not None
    assert columns.judge(written, "register", LIMITS) is not None


def test_a_counter_whose_read_saw_no_integer_is_left_to_objects() -> None:
    row = b'{"process":0,"type":"%s","f":"%s","value":%s}\n'
    text = row % (b"invoke", b"add", b"1") + row % (b"ok", b"add", b"1") + row % (b"invoke", b"read", b"null")

    for seen in (b"null", b"true", b"1.0", b'"1"'):
        whole = text + row % (b"ok", b"read", seen)
        assert columns.judge(whole, "counter", LIMITS) is None
        with pytest.raises(MalformedHistory, match="an integer"):
            check_file(whole, "counter")
