"""Long files read into columns: the same verdict as from objects, or none."""

from __future__ import annotations

import gzip
import json
import random
import re
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.histories import Registers, record
from checkers import History, MalformedHistory, Op, Verdict, api, check, check_file, columns
from checkers.importers import load
from checkers.json_lines import stand_one_a_line
from checkers.linearizability.result import Limits
from checkers.lines import Lines
from tests.checkers import files
from tests.checkers.test_lines import lines_of

LIMITS = Limits()


def timeless(verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, seconds=0.0)


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_columns_say_what_objects_say_or_nothing(rng: random.Random) -> None:
    """`python -m tests.checkers.agreement --path columns` does so for a hundred thousand files."""
    text, model = files.text(rng), rng.choice(files.MODELS)

    found = columns.judge(text, model, LIMITS)

    assert found is None or timeless(found) == timeless(check(load(text), model))


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_columns_of_a_history_say_what_its_objects_say_or_nothing(rng: random.Random) -> None:
    history, model = History(files.history(rng), lenient=rng.random() < 0.1), rng.choice(files.MODELS)

    found = columns.judge_history(history, model, LIMITS)

    assert found is None or timeless(found) == timeless(check(history, model))


def test_a_long_plain_history_needs_no_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    history = record(Registers((5, 5, 0), keys=3), 1_000, concurrency=4, crashed=0.01).history()
    expected = check(history, "map")
    decided: list[str] = []
    monkeypatch.setattr("checkers.api._check_objects", None)

    verdict = check(history, "map", on_decided=decided.append)

    assert timeless(verdict) == timeless(expected)
    assert (verdict.validity, verdict.ops, decided) == ("valid", 1_000, ["valid"])


def test_lines_in_columns_are_judged_without_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run's history is: under the limits of its plan."""
    history = record(Registers((5, 4, 1), keys=3), 1_000, concurrency=4, crashed=0.01).history()
    expected = check(history, "map")
    monkeypatch.setattr("checkers.api._check_objects", None)

    verdict = check(lines_of(list(history)), "map", step_limit=20_000_000, state_limit=2_000_000)

    assert timeless(verdict) == timeless(expected)


@pytest.mark.parametrize("limit", [1, 300, 600, 900, 1_000, 5_000])
def test_limits_in_steps_stop_columns_where_they_stop_objects(limit: int) -> None:
    history = record(Registers((5, 5, 0), keys=3), 1_000, concurrency=4, crashed=0.01).history()

    verdict = check(history, "map", step_limit=limit)

    assert timeless(verdict) == timeless(api._check_objects(history, "map", step_limit=limit))


def test_lines_that_are_no_history_are_refused_as_objects_are() -> None:
    ops = list(record(Registers((5, 5, 0)), 1_000, concurrency=4, crashed=0.0).history())

    with pytest.raises(MalformedHistory, match="without invoke"):
        check(lines_of(ops[-1:] + ops[:0]), "map")
    with pytest.raises(MalformedHistory, match="indexes that increase"):
        check(lines_of(ops + ops), "map")


def test_a_history_that_no_model_has_is_refused_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkers.api.LONG_LINES", 0)
    lines = VALID + b'{"index":5,"time":2,"process":1,"type":"invoke","f":"add","value":1}'

    with pytest.raises(MalformedHistory, match=r"^h:\d: found a history of write, read, add"):
        check(History.from_jsonl(lines, source="h"))


@pytest.mark.parametrize("value", [(1, [2]), [1], {"a": 1}, {1}, 1j])
def test_values_that_are_no_scalars_are_left_to_operations(value: Any) -> None:
    kinds: tuple[Any, ...] = ("invoke", "ok")
    ops = [Op(index=n, time=n, process=0, type=kind, f="write", value=value) for n, kind in enumerate(kinds)]

    assert columns.judge_history(History(ops), "register", LIMITS) is None


def test_a_history_with_notes_of_its_own_is_judged_by_its_operations() -> None:
    lines = VALID.replace(b'"index":0', b'"node":"n1","index":0')

    assert columns.judge_history(History.from_jsonl(lines), "register", LIMITS) is None
    assert columns.judge_history(History.from_jsonl(VALID), "register", LIMITS) is not None


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
    monkeypatch.setattr("checkers.importers.load", None)
    monkeypatch.setattr("checkers.api.LONG_BYTES", 0)

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
    monkeypatch.setattr("checkers.importers.load", None)
    monkeypatch.setattr("checkers.api.LONG_BYTES", 0)

    assert timeless(check_file(text, model)) == expected
    assert expected.validity == "valid"


@pytest.mark.parametrize("written", ["jsonl", "without index", "edn"])
def test_lines_may_end_as_on_windows(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were read one by one, and never into columns."""
    ops = [op for n in range(50) for op in (("invoke", n), ("ok", n))]
    bare = [f'{{"process":0,"type":"{kind}","f":"write","value":{n}}}' for kind, n in ops]
    rows = {
        "jsonl": [f'{{"index":{i},"time":{i},{row[1:]}' for i, row in enumerate(bare)],
        "without index": bare,
        "edn": [f"{{:process 0, :type :{kind}, :f :write, :value {n}}}" for kind, n in ops],
    }[written]
    for end in ("", "\r\n"):
        expected = load(("\n".join(rows) + end.replace("\r", "")).encode())
        text = ("\r\n".join(rows) + end).encode()
        with monkeypatch.context() as patched:
            patched.setattr("checkers.json_lines.read_lines", None)
            patched.setattr("checkers.importers.edn_lines.LineReader.match", None)
            found = load(text)
            judged = columns.judge(text, "register", LIMITS)

        assert list(found) == list(expected)
        if written != "without index":
            assert judged is not None
            assert timeless(judged) == timeless(check(expected, "register"))


@pytest.mark.parametrize(
    "text",
    [
        b"{}\r\n{}{}\r\n",
        b"{}{}\r\n{\r\n}\r\n",
        b"{}\r\n\r\n{}\r\n",
        b"\r\n{}\r\n{}",
        b"{}\r{}\r\n",
        b'{"a":{}\r\n}{}',
    ],
)
def test_objects_that_stand_otherwise_are_not_taken_for_one_a_line(text: bytes) -> None:
    count = len(msgspec.json.Decoder(dict[str, Any]).decode_lines(text))

    assert not stand_one_a_line(text, count)
    assert stand_one_a_line(b"\r\n".join([b"{}"] * count), count)


def test_a_short_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkers.columns.judge", None)

    assert check_file(VALID, "register").validity == "valid"
    with pytest.raises(TypeError):
        check_file(VALID * 300, "register")


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


def test_columns_of_an_operation_take_little_memory() -> None:
    """An hour at 50 ops/s is judged beside the run in 150 MB: instants stand in columns, not as objects."""
    lines = Lines()
    for number in range(0, 20_000, 2):
        index = 1_000_000 + 2 * number
        lines.add((index, index, 0, "invoke", "write", None, number + 1_000, None))
        lines.add((index + 1, index, 0, "ok", "write", None, number + 1_000, None))
        lines.add((index + 2, index, 0, "invoke", "read", None, None, None))
        lines.add((index + 3, index, 0, "ok", "read", None, number + 1_000, None))
    lines.settle()
    assert check(lines, "cas-register").validity == "valid"  # whatever is imported is there now

    tracemalloc.start()
    check(lines, "cas-register")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak / 20_000 < 225  # with instants as objects: 253
