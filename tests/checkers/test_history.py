"""Histories: pairing, order, what is malformed and how it is said, and the way to a file and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, Op
from checkers.json_lines import read_lines
from checkers.operation import INF
from checkers.values import freeze, show
from tests.checkers.mini import history

LINE = '{"index":%d,"time":%d,"process":%s,"type":"%s","f":"read"}'


def jsonl(*rows: tuple[int, int, str, str]) -> bytes:
    return "\n".join(LINE % row for row in rows).encode()


def test_an_operation_is_an_invoke_with_its_completion_in_the_order_of_calls() -> None:
    operations = history("0:w1 1:r 1'1 0'").operations()

    assert [(o.process, o.f, o.value, o.result, o.call, o.ret) for o in operations] == [
        (0, "write", 1, 1, 0, 3),
        (1, "read", None, 1, 1, 2),
    ]


@pytest.mark.parametrize("text", ["0:w1", "0:w1 0?"])
def test_an_operation_of_unknown_outcome_never_returns(text: str) -> None:
    operation = history(text).operations()[0]

    assert (operation.type, operation.ret, operation.is_crashed) == ("info", INF, True)


def test_a_negative_answer_is_an_observation_and_any_other_failure_never_happened() -> None:
    paired = history("0:c1,2 0! 0:w1 0~")

    assert [o.is_negative for o in paired.operations(with_void=True)] == [True, False]
    assert [o.f for o in paired.operations()] == ["cas"]


def test_lines_need_neither_index_nor_time() -> None:
    rows = [
        b'{"process":0,"type":"invoke","f":"write","value":1}',
        b"",
        b'{"process":0,"type":"ok","f":"write","value":1,"time":7}',
        b'{"index":9,"process":1,"type":"invoke","f":"read","node":"n1"}',
        b'{"process":1,"type":"info","f":"read"}',
    ]

    found = History.from_jsonl(b"\n".join(rows))

    assert [(op.index, op.time) for op in found] == [(0, 0), (1, 7), (9, 7), (10, 7)]
    assert found[2].extra == {"node": "n1"}


def test_lines_are_decoded_as_they_come() -> None:
    def arriving() -> Iterator[bytes]:
        yield b'{"process":0,"type":"invoke","f":"read"}\n'
        pytest.fail("read on before the first line was used")

    assert next(read_lines(arriving(), source="pipe"))[1].f == "read"


def test_lines_of_the_nemesis_are_kept_and_constrain_nothing() -> None:
    lines = [
        Op(index=0, time=0, process="nemesis", type="info", f="partition", value=["n1"]),
        Op(index=1, time=5, process="nemesis", type="info", f="partition", value=["n1"]),
        Op(index=2, time=6, process=0, type="invoke", f="read"),
    ]

    found = History(lines)

    assert (len(found), len(found.operations())) == (3, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (jsonl((0, 0, "1", "invoke"), (1, 1, "1", "invoke")), "f:2: found an invoke of process 1 whose invoke at f:1"),
        (jsonl((0, 0, "1", "ok")), "f:1: found a completion (ok) of process 1 without invoke"),
        (
            jsonl((0, 0, "1", "invoke"), (1, 1, "1", "info"), (2, 2, "1", "invoke")),
            "f:3: found an op of process 1 after",
        ),
        (jsonl((1, 0, "1", "invoke"), (1, 0, "1", "ok")), "f:2: found index 1 after 1; expected indexes that increase"),
        (jsonl((0, 5, "1", "invoke"), (1, 4, "1", "ok")), "f:2: found time 4 after 5; expected times that never"),
        (jsonl((0, 0, '"n1"', "invoke")), "f:1: found process 'n1'; expected an integer or \"nemesis\""),
        (jsonl((0, 0, "1", "done")), "f:1: found Invalid enum value 'done'"),
        (b'{"index":0,"time":0,"process":1,"type":"invoke"}', "f:1: found no field 'f'; expected process, type and f"),
        (jsonl((0, 0, "1", "invoke"))[:-9] + b"\n\n", "f:1: found a line that is cut off"),
        (b"\n[1]\n", "f:2: found JSON list; expected one JSON object a line"),
        (b"nonsense\n" + jsonl((0, 0, "1", "invoke")), "f:1: found a line that is not JSON"),
        (b'{"index":0,"time":0,"process":true,"type":"invoke","f":"read"}', "f:1: found "),
    ],
)
def test_a_malformed_history_is_one_line_with_what_was_found_what_was_expected_and_where(
    data: bytes, message: str
) -> None:
    with pytest.raises(MalformedHistory) as caught:
        History.from_jsonl(data, source="f")

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert str(caught.value) == f"{caught.value.where}: found {caught.value.found}; expected {caught.value.expected}"


def test_a_completion_of_another_function_or_key_is_malformed() -> None:
    invoke = Op(index=0, time=0, process=0, type="invoke", f="read", key="x")

    with pytest.raises(MalformedHistory, match='a completion of write of key "x" for an invoke of read of key "x"'):
        History([invoke, Op(index=1, time=0, process=0, type="ok", f="write", key="x")])
    with pytest.raises(MalformedHistory, match='a completion of read of key "y"'):
        History([invoke, Op(index=1, time=0, process=0, type="ok", f="read", key="y")])


def test_lenient_reads_what_strictness_refuses_in_the_widest_sense() -> None:
    """A second invoke makes the first crash; a completion without invoke may have been called at any time before."""
    lines = [
        Op(index=0, time=9, process=1, type="ok", f="read", value=3),
        Op(index=1, time=8, process=0, type="invoke", f="write", value=3),
        Op(index=2, time=8, process=0, type="invoke", f="write", value=4),
        Op(index=3, time=8, process=0, type="info", f="write", value=4),
        Op(index=4, time=8, process=0, type="invoke", f="write", value=5),
    ]

    found = History(lines, lenient=True).operations()

    assert [(o.value, o.type, o.call, o.ret) for o in found] == [
        (3, "ok", -1, 0),
        (3, "info", 1, INF),
        (4, "info", 2, INF),
        (5, "info", 4, INF),
    ]


def test_lenient_forgives_a_last_line_that_is_cut_off_and_no_other() -> None:
    torn = jsonl((0, 0, "1", "invoke"), (1, 1, "1", "ok"))[:-3]

    assert len(History.from_jsonl(torn, lenient=True)) == 1
    with pytest.raises(MalformedHistory):
        History.from_jsonl(torn + b"\n" + jsonl((2, 2, "2", "invoke")), lenient=True)


def test_fields_of_other_tools_are_kept_and_written_back() -> None:
    line = (
        b'{"index":0,"time":1,"process":2,"type":"invoke","f":"read","key":"x","extra":{"a":[2],"b":1},"node":"n1"}\n'
    )

    assert History.from_jsonl(line).to_jsonl() == line


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_history_survives_the_way_to_bytes_and_back(value: object) -> None:
    lines = [
        Op(index=0, time=0, process=0, type="invoke", f="write", key=freeze(value), value=value),
        Op(index=7, time=3, process=0, type="ok", f="write", key=freeze(value), value=value, error=None),
    ]

    written = History(lines).to_jsonl()

    assert History.from_jsonl(written).to_jsonl() == written
    assert History.from_jsonl(written).operations() == History(lines).operations()
    hash(History(lines).operations()[0])


def test_a_history_is_read_from_a_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(jsonl((0, 0, "1", "ok")))

    with pytest.raises(MalformedHistory) as caught:
        History.from_jsonl(path)

    assert caught.value.where == f"{path}:1"


def test_outcomes_are_counted_and_operations_are_grouped_by_key() -> None:
    found = history("0:x.w1 0' 1:y.w2 1? 0:x.r 0'1 2:y.c1,2 2! 3:x.w3 3~")

    assert found.counts() == {"ok": 2, "fail": 2, "info": 1}
    assert {key: len(group) for key, group in found.by_key().items()} == {"x": 2, "y": 2}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), ((1, "a"), '[1, "a"]'), (frozenset({2, 1}), "{1, 2}"), ({"a": 1}, '{"a": 1}')],
)
def test_values_are_shown_as_people_write_them(value: object, text: str) -> None:
    assert show(value) == text


def test_what_is_nested_without_end_is_shown_as_far_as_it_says_something() -> None:
    value: tuple[Any, ...] = ()
    for _ in range(5_000):
        value = (value,)

    assert show(value) == "[" * 201 + "..." + "]" * 201


def test_an_object_is_no_list_of_its_pairs() -> None:
    """A read of {"a": 1} does not answer a write of [["a", 1]]."""
    frozen, pairs = freeze({"a": [1]}), freeze([["a", [1]]])

    assert frozen != pairs
    assert pairs != frozen
    assert frozen == freeze({"a": [1]})
    assert hash(frozen) == hash(freeze({"a": [1]}))
    assert show(frozen) == '{"a": [1]}'


def test_a_text_that_is_no_utf_8_is_refused_with_its_line() -> None:
    line = b'{"index":%d,"time":0,"process":0,"type":"invoke","f":"%s"}\n'

    with pytest.raises(MalformedHistory, match="history:2"):
        History.from_jsonl(line % (0, b"read") + line % (1, b"re\xff\xfed"))
