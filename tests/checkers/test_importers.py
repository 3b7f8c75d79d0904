"""Histories from elsewhere: shapes, conventions, order, and damage."""

from __future__ import annotations

import gzip
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import edn_format
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, check, check_file
from checkers.importers import FORMATS, detect, edn, edn_lines, jepsen, load

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
    """At one instant calls come before returns, so an operation that returns at 10 overlaps one called at 10, unless
    one client did both."""
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
        (10, 0, "ok"),
        (10, 0, "invoke"),
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
        (b"[1 2]", "h:1: found a list; expected a map"),
        (b"[{:process 0 :type :invoke :f :read} 2]", "h:1: found a int; expected a map"),
        (b"what is this", "h:1: found 'what is this'; expected a history as one of jsonl"),
        (b'{"src": 1, "dest": 2, "body": {}}', "h:1: found Expected `str`, got `int`"),
        (b"0 :invoke :read nil\n1 :ok :read 3\n", "h:2: found a completion (ok) of process 1"),
        (b'[\n{"process":0,\n"type":}', "h:3: found JSON that cannot be read"),
        (b'[{"process":0,\n"type":"ok"', "h:2: found JSON that cannot be read"),
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


def told(text: bytes, model: str = "auto", **options: Any) -> Any:
    return check(load(text, source="h"), model, **options)


PREFIXES = (
    b"",
    b"INFO  jepsen.util - ",
    b"INFO [2019-03-01 10:00:00,000] jepsen worker 0 - jepsen.util ",
    b"2018-12-13 15:42:57{GMT}\tINFO\t[jepsen worker 0] jepsen.util: ",
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("blank", [b"\t", b" "])
def test_a_text_log_is_read_whatever_its_logger_puts_before_the_columns(prefix: bytes, blank: bytes) -> None:
    columns = [(b"0", b":invoke", b":write", b"[0 3]"), (b"0", b":ok", b":write", b"[0 3]")]

    history = load(b"\n".join(prefix + blank.join(row) for row in columns))

    assert rows(history) == [(0, 0, "invoke", "write", 0, 3, None), (1, 0, "ok", "write", 0, 3, None)]


@pytest.mark.parametrize("prefix", PREFIXES[1:])
@pytest.mark.parametrize("cut", [b"1", b"1\t", b"1\t:", b"1\t:o", b"1\t:ok", b"1\t:ok\t:", b":nemesis\t:inf\r"])
def test_a_line_of_a_log_that_ends_before_its_function_is_refused(prefix: bytes, cut: bytes) -> None:
    """It was counted as a line that is no operation, and what it would have told was left out."""
    whole = [b"0\t:invoke\t:write\t1", b"0\t:ok\t:write\t1", b"1\t:invoke\t:read\tnil"]

    with pytest.raises(MalformedHistory, match=r"history:4: .* expected process, :type, :f and value"):
        load(b"\n".join(prefix + row for row in (*whole, cut)))


def test_a_value_that_looks_like_another_line_stays_a_value() -> None:
    assert load(b'0 :invoke :write "a - 3 :ok :read 1"')[0].value == "a - 3 :ok :read 1"


def test_lines_of_a_log_that_are_no_operations_are_counted() -> None:
    assert load(LOG).notes == ("1 x line of the log that is no operation",)


@pytest.mark.parametrize("line", [b"1 :ok read 3", b"1 :ok", b"1 :ok :read 3 4 5", b"INFO x - 1 :invoke read"])
def test_a_line_that_may_be_an_operation_is_never_passed_over(line: bytes) -> None:
    with pytest.raises(MalformedHistory, match="h:2"):
        load(b"1 :invoke :read nil\n" + line, source="h")


def test_transactions_may_leave_out_their_name_their_process_and_their_invokes() -> None:
    text = b"{:type :ok :value [[:append :x 1]]} {:type :ok :value [[:r :x [1]]]} {:type :ok :value [[:r :x [2]]]}"

    history = load(text)

    assert [(op.process, op.type, op.f) for op in history][:3] == [
        (0, "invoke", "txn"),
        (1, "invoke", "txn"),
        (2, "invoke", "txn"),
    ]
    assert "3 x operation without process: one of its own" in history.notes
    assert check(history, "list-append").validity == "invalid"
    assert told(text.replace(b"[2]", b"[]"), "list-append").validity == "valid"


def test_transactions_without_invokes_keep_the_order_of_their_processes() -> None:
    """Process 0 appends 1 and then reads nothing, which no order explains; two processes may."""
    text = b"{:process 0 :type :ok :value [[:append :x 1]]} {:process %d :type :ok :value [[:r :x []]]}"

    assert told(text % 0, "list-append").validity == "invalid"
    assert told(text % 1, "list-append").validity == "valid"


def test_knossos_names_of_micro_operations_are_ours() -> None:
    text = b"{:process 0 :type :invoke :f :txn :value [[:write :x 1] [:read :y nil]]}"

    assert load(text)[0].value == [["w", "x", 1], ["r", "y", None]]


@pytest.mark.parametrize("wrap", [(b"", b"", b"\n"), (b"[", b"]", b" ")])
def test_knossos_tuples_are_operations(wrap: tuple[bytes, bytes, bytes]) -> None:
    tuples = [b"[0 :invoke :write 3]", b"[0 :ok :write 3]", b"[1 :invoke :read]", b"[1 :ok :read 4]"]

    history = load(wrap[0] + wrap[2].join(tuples) + wrap[1])

    assert rows(history)[-1] == (3, 1, "ok", "read", None, 4, None)
    assert check(history).validity == "invalid"


BARE = b"""{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
"""


@pytest.mark.parametrize("array", [False, True])
def test_own_lines_may_leave_out_index_and_time_and_stand_in_an_array(array: bool) -> None:
    text = b"[\n" + BARE.strip().replace(b"\n", b",\n") + b"]" if array else BARE

    history = load(text, source="h")

    assert [(op.index, op.time, op.value) for op in history] == [(0, 0, 1), (1, 0, 1)]
    assert history.where(1) == ("h:3" if array else "h:2")


def test_what_gzip_compressed_is_read_as_what_it_was() -> None:
    packed = gzip.compress(BARE)

    assert load(packed) == load(BARE)
    with pytest.raises(MalformedHistory, match="h: found compressed data that is damaged"):
        load(packed[:-9], source="h")


def test_a_byte_order_mark_is_no_part_of_a_history() -> None:
    assert load(b"\xef\xbb\xbf" + BARE) == load(BARE)


TABLE = b"""process,f,key,value,result,call,return,node
0,write,x,1,,0.0,0.7,n1
1,read,x,,1,0.7,0.9,
2,write,x,text,,0.8,,
"""


def test_a_table_of_intervals_is_ordered_by_its_instants() -> None:
    history = load(TABLE, source="h")

    assert [(op.process, op.type, op.f, op.key, op.value) for op in history] == [
        (0, "invoke", "write", "x", 1),
        (1, "invoke", "read", "x", None),
        (0, "ok", "write", "x", None),
        (2, "invoke", "write", "x", "text"),
        (1, "ok", "read", "x", 1),
    ]
    assert [history.where(place) for place in range(5)] == ["h:2", "h:3", "h:2", "h:4", "h:3"]
    assert history.notes == ("1 x column 'node', which is none of a table's: not judged",)
    assert check(history, "register").validity == "valid"
    assert told(TABLE.replace(b",1,0.7,", b",2,0.7,"), "register").validity == "invalid"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b"0,write,x,1,,0.7,0.1,", "a return at 0.1 of a call at 0.7"),
        (b"0,write,x,1,,soon,0.1,", "an instant 'soon'"),
        (b"0,write,x,1,,nan,0.1,", "an instant 'nan'"),
        (b"0,write,x,1,", "5 cells"),
        (b"0,,x,1,,0,1,", "no f"),
        (b"p,write,x,1,,0,1,", "process 'p'"),
        (b"1.5,write,x,1,,0,1,", "process 1.5"),
        (b'0,write,"x', "a row that cannot be read"),
        (b'0,write,x,"' + b"[" * 3_000 + b'",,0,1,', "a cell that cannot be read"),
        (b"\n0,write,x,1,,0,soon,", "an instant 'soon'"),
    ],
)
def test_a_damaged_row_of_a_table_is_refused_with_its_line(row: bytes, found: str) -> None:
    line = 5 + row.startswith(b"\n")
    with pytest.raises(MalformedHistory, match=f"h:{line}: found {found}"):
        load(TABLE + row, source="h")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"f,call,return,f\nread,0,1,read", "h:1: found a column twice"),
        (b"f,call\nread,0", "h:1: found no column 'return'"),
        (b"f,key,start,end\nread,x,0,1", "h:1: found no column 'call'"),
        (b"\n\nf,call,return,type\nread,0,,ok", "h:4: found type ok without return"),
        (b"f,call,return,type\nread,0,1,maybe", "h:2: found type 'maybe'"),
    ],
)
def test_a_table_that_says_too_little_or_too_much_is_refused(text: bytes, found: str) -> None:
    with pytest.raises(MalformedHistory, match=re.escape(found)):
        load(text, source="h")


def test_processes_of_a_table_may_have_names() -> None:
    history = load(b"process,f,call,return,value\nbob,write,0,3,1\nal,write,1,2,2\nbob,write,4,5,3\n")

    assert [op.process for op in history] == [0, 1, 1, 0, 0, 0]


def test_an_operation_of_a_table_may_return_in_the_instant_of_its_call() -> None:
    history = load(b"f,call,return,value,result\nwrite,1,1,2,\nread,1,1,,2\n")

    assert check(history, "register").validity == "valid"
    assert len(history.operations()) == 2


def test_errors_about_porcupines_operations_name_their_line() -> None:
    operation = b'{"ClientId": 0, "Input": {"op": "%s", "key": "x"}, "Call": 0, "Output": "", "Return": 1}'

    for text in (
        operation % b"get" + b"\n" + operation % b"fly",
        b"[" + operation % b"get" + b",\n" + operation % b"fly" + b"]",
    ):
        with pytest.raises(MalformedHistory, match="h:2: found f 'fly'"):
            told(text, "kv")


def operation(**fields: Any) -> bytes:
    """One of Porcupine's operations, a get that saw 1 unless something else is said."""
    usual = {"ClientId": 0, "Input": {"op": "get", "key": "x"}, "Call": 3, "Output": "1", "Return": 5}
    return msgspec.json.encode({name: item for name, item in (usual | fields).items() if item != "left out"})


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"Input": "left out"}, "an operation without Input or Call"),
        ({"Call": "left out"}, "an operation without Input or Call"),
        ({"Call": 1.5}, "an operation without Input or Call"),
        ({"Return": "5"}, "ClientId 0 and Return '5'"),
        ({"ClientId": "c"}, "ClientId 'c' and Return 5"),
        ({"Return": 2}, "a return at 2 of a call at 3"),
        ({"Return": 0}, "a return at 0 of a call at 3"),
        ({"Input": {"op": 3, "key": "x"}}, "op 3"),
        ({"Input": {"op": -1, "key": "x"}}, "op -1"),
        ({"Input": {"key": "x"}}, "op None"),
        ({"Output": {"val": "1"}}, "the output of a get without value"),
    ],
)
def test_what_is_none_of_porcupines_operations_is_refused_with_its_line(fields: dict[str, Any], found: str) -> None:
    with pytest.raises(MalformedHistory, match=re.escape(f"h:2: found {found};")):
        load(operation() + b"\n" + operation(**fields), source="h")


def test_porcupines_operations_may_name_functions_by_number_and_leave_out_clients_and_returns() -> None:
    rows = [
        operation(Input={"op": 1, "key": "x", "value": "a"}, ClientId="left out", Call=0, Return=0),
        operation(Input={"op": 2, "key": "x", "value": "b"}, ClientId=None, Call=1, Return=-1),
        operation(Input={"op": 0, "key": "x"}, Call=2, Return="left out", Output=None),
        operation(
            Input={"Op": "Get", "Key": "x", "ttl": 3}, Call=4, Return=4, Output={"value": "ab", "found": True}, n=1
        ),
    ]
    history = load(b"\n".join(rows))

    assert [(op.process, op.type, op.f, op.value) for op in history] == [
        (1, "invoke", "write", "a"),
        (1, "ok", "write", "a"),
        (2, "invoke", "append", "b"),
        (0, "invoke", "read", None),
        (3, "invoke", "read", None),
        (3, "ok", "read", "ab"),
    ]
    assert history.notes == (
        "1 x field 'n', which is none of an operation's: not judged",
        "1 x field 'ttl', which is none of an operation's: not judged",
        "1 x field 'found' of an output: not judged",
    )
    assert check(history, "kv").validity == "valid"


DEEP = "[" * 3_000 + "]" * 3_000
"""A value that no recursion gets to the bottom of."""


@pytest.mark.parametrize(
    "line",
    [
        f'{{"process":0,"type":"invoke","f":"write","value":{DEEP}}}',
        f'[{{"process":0,"type":"invoke","f":"write","value":{DEEP}}}]',
        DEEP,
        f"{{:process 0, :type :invoke, :f :write, :value {DEEP}}}",
        f"INFO jepsen.util - 0 :invoke :write {DEEP}",
        f'{{"ClientId":0,"Input":{{"op":"put","key":"x","value":{DEEP}}},"Call":0,"Output":null,"Return":7}}',
        f'{{"src":"c1","dest":"n1","body":{{"type":"write","key":"x","value":{DEEP},"msg_id":1}}}}',
        f'f,call,return,value\nwrite,0,1,"{DEEP}"',
    ],
)
@pytest.mark.parametrize("plain", [b"", b'{"process":1,"type":"invoke","f":"read"}\n'])
def test_values_nested_without_end_are_refused_with_their_line(line: str, plain: bytes) -> None:
    with pytest.raises(MalformedHistory, match=r"h:\d+"):
        told(plain + line.encode(), "register")


def message(src: str, dest: str, **body: Any) -> bytes:
    return msgspec.json.encode({"src": src, "dest": dest, "body": body})


READ = (message("c1", "n1", type="read", key=1, msg_id=1), message("n1", "c1", type="read_ok", value=2, in_reply_to=1))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (message("n1", "c1", type="read_ok", value=2, in_reply_to=7), "a reply to message 7 of c1"),
        (READ[1], "a second reply to message 1 of c1"),
        (READ[0], "a second request of c1 with msg_id 1"),
        (message("c1", "n1", type="cas", key=1, create_if_not_exists=True, msg_id=2), "a cas that creates its key"),
    ],
)
def test_no_message_of_a_client_is_passed_over(line: bytes, found: str) -> None:
    with pytest.raises(MalformedHistory, match=f"h:3: found {found}"):
        load(b"\n".join((*READ, line)), source="h")


@pytest.mark.parametrize(
    ("body", "found"), [({"type": "write_ok"}, "a reply of type 'write_ok'"), ({"type": "read_ok"}, "says nothing")]
)
def test_a_reply_that_does_not_answer_its_request_is_refused(body: dict[str, Any], found: str) -> None:
    with pytest.raises(MalformedHistory, match=found):
        load(READ[0] + b"\n" + message("n1", "c1", in_reply_to=1, **body), source="h")


def test_messages_that_are_no_operations_are_counted_and_late_replies_leave_an_outcome_unknown() -> None:
    text = b"\n".join(
        (
            message("c1", "n1", type="init", msg_id=0),
            message("n1", "c1", type="init_ok", in_reply_to=0),
            message("n1", "n2", type="gossip"),
            message("c1", "n1", type="broadcast", message=3, msg_id=1),
            message("c1", "n1", type="read", msg_id=2),
            message("n1", "c1", type="broadcast_ok", in_reply_to=1),
            message("n1", "c1", type="read_ok", messages=[3], in_reply_to=2),
        )
    )

    verdict = told(text)

    assert (verdict.model, verdict.validity) == ("set", "valid")
    assert set(verdict.notes) >= {
        "2 x message that sets a node up: no operation",
        "1 x message between nodes: no operation",
        "1 x reply after its client had gone on: the outcome of its request stays unknown",
    }


def test_a_lenient_reading_that_left_out_an_answer_is_never_valid() -> None:
    history = load(b"\n".join((*READ, READ[1])), lenient=True)

    assert check(history, "register", initial=2).validity == "unknown"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv"])
def test_every_format_is_recognised_by_its_example(name: str) -> None:
    assert detect(FORMATS[name].example.encode()) == name
    assert len(load(FORMATS[name].example.encode(), format=name)) >= 1


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=6)
)


@given(st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner), max_leaves=10))
def test_edn_is_read_as_the_library_reads_it(value: object) -> None:
    text = edn_format.dumps(value)

    found = edn.forms(text, "line", {}, are_values=False)

    assert found == [_plain(edn_format.loads(text))]


_edn_words = st.sampled_from(
    [
        *("nil", "1", "-3", "0", "007", "4N", "1.5", "1/2", "true", ":x", "null", '"a"', '"a, :index 9}"', r'"\n"'),
        *("[1 2]", "[1, 2]", "[ 1]", "[nil nil]", "[7 nil]", "[7 [1 2]]", "()", "{:a 1}", "#{1}"),
        *("[[:append 6 1] [:r 6 nil]]", "[[:w 1 2]]", "[[:read 1 nil]]", "[[:r 1 [1 2 3]]]"),
        *("1 2", "3, :value 4", "[1] [2]", "[", "99999999999999999999", "[99999999999999999999]"),
    ]
)
_edn_line = st.tuples(
    st.sampled_from(["0", "1", ":nemesis", "x"]),
    st.sampled_from(["invoke", "invoke", "ok", "info", "done"]),
    st.sampled_from(["read", "write", "cas", "txn"]),
    _edn_words,
    st.sampled_from(["", ", :error :timeout", ', :error ["x" 1]', " :node :n1", " ; comment", ", :key 3"]),
    st.sampled_from(["", " ", "\r", "\n", "\n{:process 5, :type :invoke, :f :read, :value nil}"]),
)
_edn_shapes = st.sampled_from(
    [
        "{{:process {0}, :type :{1}, :f :{2}, :value {3}{4}}}{5}",
        "{{:type :{1}, :f :{2}, :value {3}, :process {0}, :time {6}, :index {6}{4}}}{5}",
        "#jepsen.history.Op{{:index {6}, :time {7}, :type :{1}, :process {0}, :f :{2}, :value {3}{4}}}{5}",
    ]
)


@given(_edn_shapes, _edn_shapes, st.lists(_edn_line, min_size=1, max_size=8), st.booleans())
def test_lines_read_at_once_are_what_reading_form_by_form_says(
    shape: str, other: str, words: list[tuple[str, ...]], lenient: bool
) -> None:
    rows = [(shape if number % 5 else other).format(*word, number, number % 3) for number, word in enumerate(words)]
    text = "\n".join(rows)

    assert _read(text, lenient) == _slowly(text, lenient)


def _read(text: str, lenient: bool) -> Any:
    try:
        history = jepsen.load_edn(text, source="h", lenient=lenient)
    except MalformedHistory as error:
        return str(error)
    return list(history), [history.where(place) for place in range(len(history))], history.notes


def _slowly(text: str, lenient: bool) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edn_lines, "read_lines", lambda text, op_of: None)
        return _read(text, lenient)


def test_a_plain_history_in_edn_is_read_line_by_line() -> None:
    text = "".join(
        f"{{:process {number % 4}, :type :{kind}, :f :txn, :value [[:append 6 {number}] [:r 7 nil]], :index {index}}}\n"
        for number in range(20_000)
        for index, kind in ((2 * number, "invoke"), (2 * number + 1, "ok"))
    )

    assert edn_lines.read_lines(text, jepsen.lone_op) is not None
    assert len(load(text.encode())) == 40_000


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | edn_format.ImmutableList):
        return [_plain(item) for item in value]
    return value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 -2 +3 4N 1.5 2.5M 1e3 1/2 4/2", [1, -2, 3, 4, 1.5, 2.5, 1000.0, 0.5, 2]),
        ("1/3 -3/9 0.1M 1e3M 1/0", [Fraction(1, 3), Fraction(-1, 3), Fraction(1, 10), 1000, "1/0"]),
        ("9" * 5_000 + " 1e99999M 1/" + "3" * 5_000, ["9" * 5_000, "1e99999M", "1/" + "3" * 5_000]),
        (r'"a\n\"b\\" \a \newline \u0041', ['a\n"b\\', "a", "\n", "A"]),
        ('#{3 1 2} (1 2) {:a 1, "b" 2, 3 4}', [[1, 2, 3], [1, 2], {"a": 1, "b": 2, "3": 4}]),
        ('#inst "2020" #_ 1 #_ #_ 2 3 4 :a/b c ; x\n5', ["2020", 4, "a/b", "c", 5]),
        ("##Inf ##-Inf", [float("inf"), float("-inf")]),
    ],
)
def test_edn_forms_become_plain_values(text: str, values: list[Any]) -> None:
    assert edn.forms(text, "line", {}, are_values=False) == values


@pytest.mark.parametrize(
    ("wrote", "read"),
    [
        (":x", '"x"'),
        ('"x"', ":x"),
        ("x", ":x"),
        (r"\x", '"x"'),
        ("[:x 1]", '["x" 1]'),
        ("{:a 1}", '{"a" 1}'),
        ("{1 2}", '{"1" 2}'),
        ("[:read]", '["read"]'),
        ("#{:read}", '#{"read"}'),
    ],
)
def test_values_that_differ_in_their_kind_only_are_refused(wrote: str, read: str) -> None:
    """Read as one text they would be equal, and a register that mixed them up would be called valid."""
    text = (
        f"{{:process 0, :type :invoke, :f :write, :value {wrote}}}\n"
        f"{{:process 0, :type :ok, :f :write, :value {wrote}}}\n"
        "{:process 0, :type :invoke, :f :read, :value nil}\n"
        f"{{:process 0, :type :ok, :f :read, :value {read}}}\n"
    )

    for form in (text, f"[{text}]", text.replace("\n", "\n\n"), text.replace(", :f", ",  :f")):
        with pytest.raises(MalformedHistory, match=r"in a value, and .* in another; expected values that differ"):
            jepsen.load_edn(form, source="h.edn")
    log = f"0 :invoke :write {wrote}\n0 :ok :write {wrote}\n0 :invoke :read nil\n0 :ok :read {read}\n"
    with pytest.raises(MalformedHistory, match=r"h.log:4.* found .* in a value, and .* in another"):
        jepsen.load_log(log, source="h.log")


def test_the_place_of_the_second_kind_is_told() -> None:
    text = '[[0 :invoke :txn [[:append :k 1] [:r :k nil]]]\n [0 :ok :txn [[:append :k 1] [:r "k" [1]]]]]'

    with pytest.raises(MalformedHistory, match=re.escape('h.edn:2: found "k" in a value, and :k in another')):
        jepsen.load_edn(text, source="h.edn")


def test_words_of_operations_are_no_values() -> None:
    text = (
        '{:process 0, :type :invoke, :f :write, :value "write"}\n'
        '{:process 0, :type :ok, :f :write, :value "write", :error :write}\n'
        '{:process 0, :type :invoke, :f :txn, :value [[:append "append" 1] [:r "r" nil]]}\n'
    )

    history = jepsen.load_edn(text, source="h.edn")

    assert [op.value for op in history][::2] == ["write", [["append", "append", 1], ["r", "r", None]]]


def test_a_map_that_names_a_key_twice_is_refused() -> None:
    with pytest.raises(MalformedHistory, match="a map with the key a twice"):
        jepsen.load_edn("{:process 0 :type :ok :f :write :value {:a 1 :a 2}}", source="h.edn")


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("1.0000000000000000001M", "1.0000000000000000002M"),
        ("1/3", "3333333333333333333/9999999999999999998"),
        ("123456789012345678901", "123456789012345678902N"),
        ("9" * 5_000, "9" * 5_001),
        ("1e999999999M", "1e999999998M"),
    ],
)
def test_numbers_of_edn_that_differ_are_not_rounded_to_one(written: str, seen: str) -> None:
    text = (
        "{:process 0, :type :invoke, :f :write, :value WRITTEN}\n{:process 0, :type :ok, :f :write, :value WRITTEN}\n"
        "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value SEEN}\n"
    ).replace("WRITTEN", written)

    assert check_file(text.replace("SEEN", written).encode()).validity == "valid"
    assert check_file(text.replace("SEEN", seen).encode()).validity == "invalid"


def log(*lines: str) -> bytes:
    return "".join(f"INFO  jepsen.util - {line}\n" for line in lines).encode()


@pytest.mark.parametrize("value", ['"x"', ":x", "x"])
@pytest.mark.parametrize(("model", "put", "take"), [("register", "write", "read"), ("queue", "enqueue", "dequeue")])
def test_a_log_that_repeats_a_text_that_failed_does_not_say_that_it_timed_out(
    value: str, model: str, put: str, take: str
) -> None:
    """`:fail :write "x"` of a write of "x" names its value; `:fail :write :timed-out` says that nobody knows."""
    asked, seen = f"0 :invoke :{put} {value}", (f"1 :invoke :{take} nil", f"1 :ok :{take} {value}")

    assert told(log(asked, f"0 :fail :{put} {value}", *seen), model).validity == "invalid"
    assert told(log(asked, f"0 :info :{put} {value}", *seen), model).validity == "valid"
    assert told(log(asked, f"0 :fail :{put} :timed-out", *seen), model).validity == "valid"


@pytest.mark.parametrize("number", ["[1]", '{"a": 1}', "null", '"1"', "1.5"])
def test_messages_may_be_numbered_by_anything(number: str) -> None:
    text = (
        f'{{"src":"c1","dest":"n1","body":{{"type":"write","key":"x","value":1,"msg_id":{number}}}}}\n'
        f'{{"src":"n1","dest":"c1","body":{{"type":"write_ok","in_reply_to":{number}}}}}\n'
    )
    assert told(text.encode(), "register").validity == "valid"


@pytest.mark.parametrize("code", ["[1]", '{"a": 1}', "true", "22.0", '"22"', "null"])
def test_a_code_that_is_no_number_leaves_the_outcome_unknown(code: str) -> None:
    text = (
        '{"src":"c1","dest":"n1","body":{"type":"write","key":"x","value":1,"msg_id":1}}\n'
        f'{{"src":"n1","dest":"c1","body":{{"type":"error","code":{code},"in_reply_to":1}}}}\n'
    )
    assert [operation.type for operation in load(text.encode()).operations()] == ["info"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{:process [1], :type :ok, :value [[:append 1 1]]}", "process"),
        (b"{:process {:a 1}, :type :ok, :value [[:append 1 1]]}", "process"),
        (b"{:process 0, :type :invoke, :f :read, :value nil, :time ##NaN}", "time"),
        (b"{:process 0, :type :invoke, :f :read, :value nil, :time ##Inf}", "time"),
    ],
)
def test_fields_of_the_wrong_shape_are_refused(text: bytes, found: str) -> None:
    with pytest.raises(MalformedHistory, match=f"found {found}"):
        load(text, source="h")


@pytest.mark.parametrize("around", ["[{}]", "{}"], ids=["one vector", "one a line"])
def test_a_time_that_no_float_holds_is_read(around: str) -> None:
    time = 10**400
    rows = (f"{{:process 0, :type :{kind}, :f :write, :value 1, :time {time}}}\n" for kind in ("invoke", "ok"))

    assert [op.time for op in load(around.format("".join(rows)).encode())] == [time, time]


@pytest.mark.parametrize("f", ["put-if-absent", "append", "put"])
def test_a_history_in_edn_with_keys_is_no_key_value_log_because_of_one_word(f: str) -> None:
    """The two differ in what a failed cas and a read of nil say."""
    text = "".join(f"{{:process 0, :type :{kind}, :f :{f}, :key 1, :value 1}}\n" for kind in ("invoke", "ok"))
    assert detect((text + text.replace(f":{f}", ":read")).encode()) == "edn"
    assert detect(text.encode()) == ("edn" if f == "put-if-absent" else "porcupine")


def test_a_table_whose_cells_are_all_in_quotes_is_a_table() -> None:
    text = (
        b'"process","f","value","result","call","return"\r\n"0","write","1","","0","1"\r\n"1","read","","2","2","3"\r\n'
    )

    assert detect(text) == "csv"
    assert told(text, "register").validity == "invalid"


@pytest.mark.parametrize("process", ["-1", "w3", "nil"])
def test_a_line_of_a_log_whose_process_is_no_number_is_refused_and_not_left_out(process: str) -> None:
    with pytest.raises(MalformedHistory, match="expected process, :type, :f and value"):
        load(log(f"{process} :invoke :write 1", f"{process} :ok :write 1", "0 :invoke :read nil", "0 :ok :read 1"))


def test_a_line_of_a_log_is_named_once() -> None:
    with pytest.raises(MalformedHistory, match='"a" in a value') as refused:
        load(b'0 :invoke :write :a\n0 :ok :write :a\n1 :invoke :read nil\n1 :ok :read "a"\n', source="h")

    assert refused.value.where == "h:4"


def test_only_ends_of_lines_end_rows_of_a_table() -> None:
    text = "f,value,result,call,return\nwrite,a\u2028b,,0,1\nread,,a\u2028b,2,3\nread,,c,4,5\n"
    history = load(text.encode(), source="h")

    assert [history.where(place) for place in range(6)] == ["h:2", "h:2", "h:3", "h:3", "h:4", "h:4"]
    assert history[3].value == "a\u2028b"
