"""Histories from elsewhere: shapes, conventions, order, and damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edn_format
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, check
from checkers.importers import edn, load

EDN_LINES = b"""; a comment
{:process 0, :type :invoke, :f :write, :value 1, :index 0, :time 10}
#jepsen.history.Op{:index 1, :time 12, :type :ok, :process 0, :f :write, :value 1 :node "n1"}
{:type :info :f :kill :process :nemesis :value nil :time 13 :index 2} #_{:process 9}
{:f :cas, :value [1 2], :process 1, :type :invoke, :time 14, :index 3},
{:f :cas, :value [1 2], :process 1, :type :fail, :error [:precondition-failed "1, not 1"], :time 15, :index 4}
{:f :read, :value nil, :process 0, :type :invoke, :time 16, :index 5}
{:f :read, :value 1, :process 0, :type :ok, :time 17, :index 6}
"""


def rows(history: History) -> list[tuple[Any, ...]]:
    return [(op.index, op.process, op.type, op.f, op.key, op.value, op.error) for op in history]


@pytest.mark.parametrize("wrap", [(b"", b""), (b"[", b"]"), (b"(", b")\n\n")])
def test_edn_is_read_as_lines_or_as_one_vector_with_any_order_of_keys(wrap: tuple[bytes, bytes]) -> None:
    history = load(wrap[0] + EDN_LINES + wrap[1])

    assert rows(history) == [
        (0, 0, "invoke", "write", None, 1, None),
        (1, 0, "ok", "write", None, 1, None),
        (2, "nemesis", "info", "kill", None, None, None),
        (3, 1, "invoke", "cas", None, [1, 2], None),
        (4, 1, "fail", "cas", None, [1, 2], "precondition-failed"),
        (5, 0, "invoke", "read", None, None, None),
        (6, 0, "ok", "read", None, 1, None),
    ]
    assert history[1].extra == {"node": "n1"}


def test_independent_tuples_become_key_and_value() -> None:
    history = load(
        b"{:process 0 :type :invoke :f :read :value [7 nil]} {:process 1 :type :invoke :f :cas :value [8 [1 2]]}"
        b"{:process 0 :type :ok :f :read :value [7 3]} {:process 1 :type :fail :f :cas :value [8 [1 2]]}"
    )

    assert [(op.key, op.value) for op in history] == [(7, None), (8, [1, 2]), (7, 3), (8, [1, 2])]


@pytest.mark.parametrize(
    "text",
    [
        b"{:process 0 :type :invoke :f :cas :value [1 2]} {:process 0 :type :ok :f :cas :value [1 2]}",
        b"{:process 0 :type :invoke :f :txn :value [[:r 1 nil] [:append 1 2]]}",
        b"{:process 0 :type :invoke :f :write :value [1 2]} {:process 1 :type :invoke :f :read :value nil}",
    ],
)
def test_pairs_that_are_no_tuples_of_independent_keys_stay_values(text: bytes) -> None:
    assert all(op.key is None for op in load(text))


LOG = b"""INFO  jepsen.core - Running test
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:invoke\t:write\t3
INFO  jepsen.util - 0\t:ok\t:read\tnil
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 1\t:info\t:write\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - 2\t:fail\t:cas\t[1 2]
3\t:invoke\t:read\tnil
3\t:fail\t:read\t:timed-out
"""


def test_a_text_log_is_read_by_its_columns_and_other_lines_are_skipped() -> None:
    assert rows(load(LOG)) == [
        (0, 0, "invoke", "read", None, None, None),
        (1, 1, "invoke", "write", None, 3, None),
        (2, 0, "ok", "read", None, None, None),
        (3, "nemesis", "info", "start", None, None, None),
        (4, 1, "info", "write", None, None, "timed-out"),
        (5, 2, "invoke", "cas", None, [1, 2], None),
        (6, 2, "fail", "cas", None, [1, 2], None),
        (7, 3, "invoke", "read", None, None, None),
        (8, 3, "fail", "read", None, None, "timed-out"),
    ]


FAILED_CAS = {
    "edn": b"{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value 1}"
    b"{:process 0 :type :invoke :f :cas :value [1 2]} {:process 0 :type :fail :f :cas :value [1 2]}",
    "jepsen-log": b"0 :invoke :write 1\n0 :ok :write 1\n0 :invoke :cas [1 2]\n0 :fail :cas [1 2]\n",
}
NIL_READ = {
    "edn": b"{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value 1}"
    b"{:process 0 :type :invoke :f :read :value nil} {:process 0 :type :ok :f :read :value nil}",
    "jepsen-log": b"0 :invoke :write 1\n0 :ok :write 1\n0 :invoke :read nil\n0 :ok :read nil\n",
}


@pytest.mark.parametrize(
    ("histories", "option", "words"),
    [(FAILED_CAS, "failed_cas", ("nothing", "constraint")), (NIL_READ, "nil_read", ("anything", "absent"))],
)
def test_conventions_are_those_of_the_source_unless_told_otherwise_and_are_told(
    histories: dict[str, bytes], option: str, words: tuple[str, str]
) -> None:
    """Knossos lets a failed cas and a read of nil say nothing; the etcd logs mean what they say."""
    for source, expected in (("edn", "valid"), ("jepsen-log", "invalid")):
        found = check(load(histories[source]), "cas-register")
        assert (found.validity, found.details["conventions"]["source"]) == (expected, source)
    for word, expected in zip(words, ("valid", "invalid"), strict=True):
        for source in histories:
            assert check(load(histories[source]), "cas-register", **{option: word}).validity == expected  # type: ignore[arg-type]


def test_porcupines_key_value_logs_are_checked_by_the_model_kv() -> None:
    text = b"""{:process 0, :type :invoke, :f :put, :key "a", :value "x"}
{:process 1, :type :invoke, :f :append, :key "a", :value "y"}
{:process 0, :type :ok, :f :put, :key "a", :value "x"}
{:process 1, :type :ok, :f :append, :key "a", :value "y"}
{:process 0, :type :invoke, :f :get, :key "a", :value nil}
{:process 0, :type :ok, :f :get, :key "a", :value "%s"}
{:process 0, :type :invoke, :f :get, :key "b", :value nil}
{:process 0, :type :ok, :f :get, :key "b", :value ""}
"""

    assert load(text).conventions.source == "porcupine"
    assert check(load(text % b"xy"), "kv").validity == "valid"
    assert check(load(text % b"yx"), "kv").validity == "invalid"


@pytest.mark.parametrize("array", [True, False])
def test_porcupines_operations_are_closed_intervals_between_timestamps(array: bool) -> None:
    """At one instant calls come before returns, so an operation that returns at 10 overlaps one called at 10."""
    operations = [
        '{"ClientId": 0, "Input": {"op": 1, "key": "x", "value": 1}, "Call": 0, "Output": {}, "Return": 10}',
        '{"ClientId": 1, "Input": {"op": "get", "key": "x"}, "Call": 10, "Output": null, "Return": 20}',
        '{"ClientId": 0, "Input": {"op": "put", "key": "x", "value": 2}, "Call": 10, "Output": null, "Return": -1}',
    ]
    text = f"[{', '.join(operations)}]" if array else "\n".join(operations)

    history = load(text.encode())

    assert [(op.time, op.process, op.type) for op in history] == [
        (0, 0, "invoke"),
        (10, 1, "invoke"),
        (10, 2, "invoke"),
        (10, 0, "ok"),
        (20, 1, "ok"),
    ]
    assert check(history, "register").validity == "valid"


def test_maelstroms_errors_are_definite_or_not_by_their_code() -> None:
    text = b"""{"src": "c1", "dest": "n1", "body": {"type": "init", "msg_id": 0}}
{"src": "c1", "dest": "n1", "body": {"type": "write", "key": 7, "value": 1, "msg_id": 1}}
{"src": "n1", "dest": "n2", "body": {"type": "forward", "msg_id": 5}}
{"src": "n1", "dest": "c1", "body": {"type": "write_ok", "in_reply_to": 1}}
{"src": "c1", "dest": "n1", "body": {"type": "cas", "key": 7, "from": 3, "to": 4, "msg_id": 2}}
{"src": "n1", "dest": "c1", "body": {"type": "error", "code": 22, "in_reply_to": 2}}
{"src": "c1", "dest": "n1", "body": {"type": "read", "key": 8, "msg_id": 3}}
{"src": "n1", "dest": "c1", "body": {"type": "error", "code": 20, "in_reply_to": 3}}
{"src": "c1", "dest": "n1", "body": {"type": "write", "key": 8, "value": 2, "msg_id": 4}}
{"src": "n1", "dest": "c1", "body": {"type": "error", "code": 0, "in_reply_to": 4}}
{"src": "c1", "dest": "n1", "body": {"type": "write", "key": 8, "value": 3, "msg_id": 5}}
{"src": "n1", "dest": "c1", "body": {"type": "error", "code": 11, "in_reply_to": 5}}
{"src": "c1", "dest": "n1", "body": {"type": "read", "key": 7, "msg_id": 6}}
{"src": "n1", "dest": "c1", "body": {"type": "read_ok", "value": 1, "in_reply_to": 6}}
"""

    history = load(text)

    assert [(op.process, op.type, op.f, op.error) for op in history if op.type != "invoke"] == [
        (0, "ok", "write", None),
        (0, "fail", "cas", "precondition-failed"),
        (0, "fail", "read", "absent"),
        (0, "info", "write", "timeout"),
        (1, "fail", "write", "temporarily-unavailable"),
        (1, "ok", "read", None),
    ]
    assert check(history, "cas-register").validity == "valid"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"{:process 0 :type :invoke :f :read}\n{:process 0 :type :ok :f",
            "h:2: found the end of the file; expected '}'",
        ),
        (b"{:process 0 :type :invoke :f :read}\n\n{:process 0 :type", "h:3: found the end of the file; expected '}'"),
        (b"[{:process 0 :type :invoke :f :read}\n", "h:1: found the end of the file; expected ']'"),
        (b"{:process 0 :type :ok :f :read}", "h:1: found a completion (ok) of process 0 without invoke"),
        (b"{:process 0 :f :read}", "h:1: found an op without :type"),
        (b"\n{:process :x :type :ok :f :read}", "h:2: found process 'x'"),
        (b"{:process 0 :type :done :f :read}", "h:1: found type 'done'"),
        (b"{:process 0 :type :ok :f :read\n :value 1]}", "h:2: found ']'"),
        (b"[1 2]", "h:1: found a int; expected a map"),
        (b"what is this", "h:1: found 'what is this'; expected a history as one of jsonl"),
        (b'{"src": 1, "dest": 2, "body": {}}', "h:1: found Expected `str`, got `int`"),
        (b"0 :invoke :read nil\n1 :ok :read 3\n", "h:2: found a completion (ok) of process 1"),
        (b"\xff\xfe{:process", "h:1: found bytes that are not UTF-8"),
    ],
)
def test_a_damaged_history_gives_one_line_with_file_and_line(text: bytes, message: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        load(text, source="h", format="edn" if text.startswith(b"\xff") else "auto")

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedHistory, match="No such file"):
        load(tmp_path / "nothing.edn")
    with pytest.raises(MalformedHistory, match="format 'xml'; expected auto or one of jsonl, edn"):
        load(b"", format="xml")


def test_our_own_lines_are_recognised_and_an_empty_file_is_an_empty_history() -> None:
    line = b'{"index":0,"time":0,"process":0,"type":"invoke","f":"read"}\n'

    assert load(line).to_jsonl() == line
    assert len(load(b"\n")) == 0


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=6)
)


@given(st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner), max_leaves=10))
def test_edn_is_read_as_the_library_reads_it(value: object) -> None:
    text = edn_format.dumps(value)

    found = edn.forms(text, "line")

    assert found == [_plain(edn_format.loads(text))]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | edn_format.ImmutableList):
        return [_plain(item) for item in value]
    return value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 -2 +3 4N 1.5 2.5M 1e3 1/2 4/2", [1, -2, 3, 4, 1.5, 2.5, 1000.0, 0.5, 2]),
        (r'"a\n\"b\\" \a \newline \u0041', ['a\n"b\\', "a", "\n", "A"]),
        ('#{3 1 2} (1 2) {:a 1, "b" 2, 3 4}', [[1, 2, 3], [1, 2], {"a": 1, "b": 2, "3": 4}]),
        ('#inst "2020" #_ 1 #_ #_ 2 3 4 :a/b c ; x\n5', ["2020", 4, "a/b", "c", 5]),
        ("##Inf ##-Inf", [float("inf"), float("-inf")]),
    ],
)
def test_edn_forms_become_plain_values(text: str, values: list[Any]) -> None:
    assert edn.forms(text, "line") == values
