"""Long files read into columns: the same verdict as from objects, or none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, Op, Verdict, check, check_file, columns
from checkers.linearizability.result import Limits

LIMITS = Limits()


def timeless(verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, seconds=0.0)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Lines of a few processes on a few keys: reads of written values, unique writes, cas, and any outcome."""
    ops: list[Op] = []
    running: dict[int, Op] = {}
    fresh, written = 3, [None, 0]
    processes = [0, 1, 2]
    for index in range(draw(st.integers(0, 14))):
        process = draw(st.sampled_from(processes))
        if process not in running:
            f = draw(st.sampled_from(["read", "write", "cas"]))
            new = len(written)
            value: Any = {"read": None, "write": new, "cas": [draw(st.sampled_from(written)), new]}[f]
            if f != "read":
                written.append(new)
            key = draw(st.sampled_from([None, None, "x", 1]))
            op = Op(index=index, time=index // 2, process=process, type="invoke", f=f, key=key, value=value)
            running[process] = op
        else:
            asked = running.pop(process)
            kind: Any = draw(st.sampled_from(["ok", "ok", "ok", "fail", "info"]))
            told = asked.value
            if asked.f == "read" and kind == "ok":
                told = draw(st.sampled_from(written))
            error = None if kind == "ok" else draw(st.sampled_from(["timeout", "precondition-failed", "refused"]))
            op = msgspec.structs.replace(asked, index=index, time=index // 2, type=kind, value=told, error=error)
            if kind == "info":
                processes[processes.index(process)] = fresh
                fresh += 1
        ops.append(op)
    return b"".join(msgspec.json.encode(op) + b"\n" for op in ops)


@given(lines(), st.sampled_from(["auto", "register", "cas-register"]))
def test_columns_say_what_objects_say_or_nothing(text: bytes, model: str) -> None:
    found = columns.judge(text, model, LIMITS)

    assert found is None or timeless(found) == timeless(check(History.from_jsonl(text), model))


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
