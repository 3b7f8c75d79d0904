"""Admission: nothing that was read is left out in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkers import History, MalformedHistory, Model, Op, Pair, check, check_file, importers
from checkers.admission import NOTHING_JUDGED
from checkers.consistency import CONDITIONS
from checkers.op import encode_op
from checkers.operation import INF
from checkers.streaming import StreamingChecker
from checkers.verdict import Verdict


def edn(*lines: str) -> Any:
    return importers.load("\n".join(lines).encode(), format="edn", source="h.edn")


def judged(name: str, *lines: str, model: Model | None = None, **options: Any) -> Verdict:
    return check(edn(*lines), model or name, **options)


WRITE_3 = ("{:process 0 :type :invoke :f :write :value 3}", "{:process 0 :type :ok :f :write :value 3}")


@pytest.mark.parametrize(("seen", "expected"), [("3", "valid"), ("4", "invalid")])
def test_a_read_whose_invoke_repeats_its_answer_is_judged(seen: str, expected: str) -> None:
    read = (f"{{:process 0 :type :invoke :f :read :value {seen}}}", f"{{:process 0 :type :ok :f :read :value {seen}}}")

    verdict = judged("register", *WRITE_3, *read)

    assert verdict.validity == expected
    assert "1 x read whose invoke carries a value: judged by its answer" in verdict.notes


@pytest.mark.parametrize(
    ("model", "invoke", "ok"),
    [
        ("set", ":read :value nil", ':read :value "1 2 3"'),
        ("list", ":read :value nil", ":read :value 7"),
        ("counter", ":read :value nil", ':read :value "1"'),
        ("register", ":read :value 3", ":read :value 4"),
    ],
)
def test_an_answer_of_another_shape_is_refused_with_its_line(model: str, invoke: str, ok: str) -> None:
    with pytest.raises(MalformedHistory, match=r"h\.edn:2"):
        judged(model, f"{{:process 0 :type :invoke :f {invoke}}}", f"{{:process 0 :type :ok :f {ok}}}")


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("register", ":write :value 1", ":write :value 2"),
        ("cas-register", ":cas :value [1 2]", ":cas :value [1 3]"),
        ("set", ":add :value 1", ":add :value 2"),
        ("queue", ":enqueue :value 1", ":enqueue :value 2"),
        ("list", ":append :value 1", ":append :value 2"),
        ("counter", ":add :value 1", ":add :value 2"),
        ("counter", ":add-and-get :value 1", ":add-and-get :value [2 3]"),
        ("list-append", ":txn :value [[:append 6 1]]", ":txn :value [[:append 6 2]]"),
        ("list-append", ":txn :value [[:append 6 1] [:r 6 nil]]", ":txn :value [[:append 6 1]]"),
        ("list-append", ":txn :value [[:r 6 nil]]", ":txn :value [[:r 7 [1]]]"),
        ("rw-register", ":txn :value [[:w 6 1]]", ":txn :value [[:w 6 2]]"),
        ("multi-register", ":txn :value [[:w 6 1]]", ":txn :value [[:r 6 1]]"),
    ],
)
def test_a_completion_that_does_not_answer_its_invoke_is_refused(model: str, asked: str, told: str) -> None:
    lines = (f"{{:process 0 :type :invoke :f {asked}}}", f"{{:process 0 :type :ok :f {told}}}")

    with pytest.raises(MalformedHistory, match=r"h\.edn:2.* answered as "):
        judged(model, *lines)


def test_a_mismatched_completion_is_an_anomaly_where_that_is_asked_for() -> None:
    lines = ("{:process 0 :type :invoke :f :write :value 1}", "{:process 0 :type :ok :f :write :value 2}")

    verdict = judged("register", *lines, mismatched="anomaly")

    assert [anomaly.signature for anomaly in verdict.anomalies] == [
        "linearizability/mismatched-completion/register/write"
    ]
    assert verdict.anomalies[0].index == 1


@pytest.mark.parametrize("model", ["register", "counter", "set", "list-append", "rw-register", "map"])
def test_an_empty_history_is_unknown(model: str) -> None:
    verdict = check(importers.load(b"", format="jsonl"), model)

    assert (verdict.validity, verdict.reason) == ("unknown", NOTHING_JUDGED)


@pytest.mark.parametrize("consistency", [*CONDITIONS, "linearizable"])
@pytest.mark.parametrize("text", [b"", b'{"process":"nemesis","type":"info","f":"kill"}\n'], ids=["empty", "nemesis"])
def test_an_empty_history_is_unknown_whatever_is_asked_of_it(consistency: str, text: bytes) -> None:
    verdict = check(importers.load(text, format="jsonl"), consistency=consistency)

    assert (verdict.validity, bool(verdict.reason)) == ("unknown", True)


def test_an_empty_stream_is_unknown() -> None:
    verdict = StreamingChecker("register").finish()

    assert (verdict.validity, verdict.reason) == ("unknown", NOTHING_JUDGED)


@pytest.mark.parametrize("type", ["fail", "info"])
def test_a_history_without_any_known_outcome_is_unknown(type: str) -> None:
    invoke = "{:process 0 :type :invoke :f :write :value 1}"

    assert judged("register", invoke, f"{{:process 0 :type :{type} :f :write :value 1}}").validity == "unknown"


MISMATCHES = {
    "register": (":write :value 1", ":write :value 2"),
    "list-append": (":txn :value [[:append 6 1]]", ":txn :value [[:append 6 2]]"),
    "rw-register": (":txn :value [[:w 6 1]]", ":txn :value [[:w 6 2]]"),
    "multi-register": (":txn :value [[:w 6 1]]", ":txn :value [[:w 6 2]]"),
}


@pytest.mark.parametrize("model", MISMATCHES)
def test_every_judge_makes_an_anomaly_of_a_mismatched_completion_on_demand(model: str) -> None:
    asked, told = MISMATCHES[model]
    history = edn(f"{{:process 0 :type :invoke :f {asked}}}", f"{{:process 0 :type :ok :f {told}}}")

    verdict = check(history, model, mismatched="anomaly")

    assert verdict.validity == "invalid"
    kinds = [(anomaly.kind, anomaly.detail, anomaly.index) for anomaly in verdict.anomalies]
    assert kinds == [("mismatched-completion", f"{model}/{history[0].f}", 1)]


@pytest.mark.parametrize(
    ("consistency", "asked", "told"),
    [
        ("sequential", ":write :value 1", ":write :value 2"),
        ("staleness", ":write :value 1", ":write :value 2"),
        ("set-full", ":add :value 1", ":add :value 2"),
        ("counter-bounds", ":add :value 1", ":add :value 2"),
    ],
)
def test_other_conditions_admit_as_linearizability_does(consistency: str, asked: str, told: str) -> None:
    history = edn(f"{{:process 0 :type :invoke :f {asked}}}", f"{{:process 0 :type :ok :f {told}}}")

    with pytest.raises(MalformedHistory, match=r"h\.edn:2.* answered as "):
        check(history, consistency=consistency)
    verdict = check(history, consistency=consistency, mismatched="anomaly")

    assert [anomaly.kind for anomaly in verdict.anomalies] == ["mismatched-completion"]


def test_other_conditions_count_what_they_leave_out() -> None:
    read = ("{:process 0 :type :invoke :f :read :value nil}", "{:process 0 :type :ok :f :read :value nil}")

    verdict = check(edn(*WRITE_3, *read), consistency="staleness")

    assert "1 x read that saw null, which says nothing in this source: not judged" in verdict.notes


def stream(*rows: tuple[int, str, str, Any], key: Any = None, **options: Any) -> Verdict:
    checker = StreamingChecker("register", **options)
    for index, (process, kind, f, value) in enumerate(rows):
        checker.feed(Op(index=index, time=0, process=process, type=kind, f=f, value=value), f"s:{index + 1}")  # type: ignore[arg-type]
    return checker.finish()


def test_a_stream_admits_as_a_whole_history_does() -> None:
    rows = ((0, "invoke", "write", 1), (0, "ok", "write", 2))

    with pytest.raises(MalformedHistory, match=r"s:2.*answered as"):
        stream(*rows)
    assert [anomaly.kind for anomaly in stream(*rows, mismatched="anomaly").anomalies] == ["mismatched-completion"]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (((0, "invoke", "write", 1), (0, "ok", "read", 1)), "s:2: found a completion of read for an invoke of write"),
        (((0, "invoke", "write", 1), (0, "info", "write", 1), (0, "invoke", "read", None)), "s:3: .* after its info"),
        ((("x", "invoke", "write", 1),), "s:1: found process 'x'"),
        (((0, "invoke", "fly", None),), "s:1: found f 'fly'"),
    ],
)
def test_a_stream_refuses_what_a_whole_history_refuses(rows: Any, found: str) -> None:
    with pytest.raises(MalformedHistory, match=found):
        stream(*rows)


def test_a_stream_compares_the_key_of_a_completion() -> None:
    checker = StreamingChecker("register")
    checker.feed(Op(index=0, time=0, process=0, type="invoke", f="read", key="x"))

    with pytest.raises(MalformedHistory, match='read of key "y" for an invoke of read of key "x"'):
        checker.feed(Op(index=1, time=0, process=0, type="ok", f="read", key="y", value=1))


@pytest.mark.parametrize("answer", [None, False])
@pytest.mark.parametrize("algorithm", ["auto", "jit", "wgl"])
def test_a_users_step_that_returns_no_state_is_refused_and_not_legal(answer: Any, algorithm: str) -> None:
    model = Model(name="mine", init=0, step=lambda state, operation: state if operation.f == "write" else answer)
    read = ("{:process 0 :type :invoke :f :read :value nil}", "{:process 0 :type :ok :f :read :value 4}")

    with pytest.raises(MalformedHistory, match=rf"step of model mine: found {answer} as the state after read -> 4"):
        judged("mine", *WRITE_3, *read, model=model, algorithm=algorithm)


def test_a_model_may_say_that_none_is_a_state() -> None:
    model = Model(name="mine", init=0, step=lambda state, operation: None, any_state=True)

    assert judged("mine", *WRITE_3, model=model).validity == "valid"


def test_fields_that_are_none_of_a_historys_are_counted() -> None:
    verdict = judged("register", *(line.replace(":value", ":valeu") for line in WRITE_3))

    assert "2 x field 'valeu', which is none of a history's: not judged" in verdict.notes


def test_reads_of_nil_that_say_nothing_are_counted_and_alone_judge_nothing() -> None:
    read = ("{:process 0 :type :invoke :f :read :value nil}", "{:process 0 :type :ok :f :read :value nil}")

    alone, beside = judged("register", *read), judged("register", *WRITE_3, *read)

    assert (alone.validity, beside.validity) == ("unknown", "valid")
    assert "1 x read that saw null, which says nothing in this source: not judged" in beside.notes


INTEGER_KEY = b"""{"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["r",1,null]]}
{"index":1,"time":0,"process":0,"type":"ok","f":"txn","value":[["r",1,2]]}
"""


@pytest.mark.parametrize(("initial", "expected"), [([[1, 2]], "valid"), ([[1, 3]], "invalid"), ([["1", 3]], None)])
def test_keys_of_an_initial_state_keep_their_type(initial: Any, expected: str | None) -> None:
    history = importers.load(INTEGER_KEY, format="jsonl")

    if expected is None:
        with pytest.raises(MalformedHistory, match="which is no text"):
            check(history, "multi-register", initial=initial)
    else:
        assert check(history, "multi-register", initial=initial).validity == expected


def test_an_object_as_initial_state_cannot_mean_an_integer_key() -> None:
    with pytest.raises(MalformedHistory, match=r"pairs, such as \[\[1, 2\]\]"):
        check(importers.load(INTEGER_KEY, format="jsonl"), "rw-register", initial={"1": 2})


@pytest.mark.parametrize(
    ("model", "calls", "right", "wrong"),
    [
        ("counter", [Pair("read", result=5, call=0, ret=1)], 5, ["a", 1.5, True, [5], {"1": 5}]),
        ("kv", [Pair("read", result="a", key=1, call=0, ret=1)], "a", [5, ["a"], [[1, "a"]], {"1": "a"}]),
        ("queue", [Pair("dequeue", result=5, call=0, ret=1)], [5], [5, "5", {"5": 5}]),
        ("list", [Pair("read", result=(5,), call=0, ret=1)], [5], [5, "5", {"5": 5}]),
        ("set", [Pair("read", result=(5,), call=0, ret=1)], [5], [5, "5", {"5": 5}]),
        ("mutex", [Pair("release", call=0, ret=1)], "held", [0, True, "free", ["held"]]),
        ("owned-mutex", [Pair("release", process=3, call=0, ret=1)], 3, ["held", True, "3"]),
        ("map", [Pair("read", result=5, key=1, call=0, ret=1)], [[1, 5]], [5, [1, 5], "1"]),
        (
            "list-append",
            [Pair("txn", (("r", 1, None),), result=(("r", 1, (5,)),), call=0, ret=1)],
            [[1, [5]]],
            [[[1, 5]]],
        ),
        (
            "list-append",
            [Pair("txn", (("r", 1, None),), result=(("r", 1, (5,)),), call=0, ret=1)],
            [[1, [5]]],
            [{"1": [5]}],
        ),
    ],
)
def test_an_initial_state_that_the_model_cannot_have_is_refused(
    model: str, calls: list[Pair], right: Any, wrong: list[Any]
) -> None:
    history = History.from_pairs(calls)

    assert check(history, model, initial=right).validity == "valid"
    for initial in wrong:
        with pytest.raises(MalformedHistory, match="--initial: found"):
            check(history, model, initial=initial)


def test_an_index_that_stands_for_never_is_refused() -> None:
    """An operation that returned there would count as one that did not, and its wrong answer for none."""
    lines = ((INF - 2, "invoke", None), (INF - 1, "ok", 0), (INF, "invoke", None), (INF + 1, "ok", 7))
    ops = [Op(index=index, time=0, process=0, type=kind, f="read", value=told) for index, kind, told in lines]
    stream = StreamingChecker("counter")
    stream.feed(ops[0])
    stream.feed(ops[1])

    assert check(History(ops[:2]), "counter").validity == "valid"
    with pytest.raises(MalformedHistory, match=f"index {INF}"):
        History(ops)
    with pytest.raises(MalformedHistory, match=f"index {INF}"):
        stream.feed(ops[2])
    with pytest.raises(MalformedHistory, match=f"index {INF}"):
        check_file(b"\n".join(map(encode_op, ops)), "counter")


@pytest.mark.parametrize("answer", [None, True])
@pytest.mark.parametrize(
    ("model", "f"), [("list", "append"), ("register", "write"), ("set", "add"), ("queue", "enqueue")]
)
def test_a_completion_without_invoke_that_does_not_say_what_was_asked_is_refused_even_leniently(
    model: str, f: str, answer: object
) -> None:
    """Taken as an append of null, it would make a right history invalid."""
    line = json.dumps({"process": 0, "type": "ok", "f": f, "value": answer}).encode()

    with pytest.raises(MalformedHistory, match=f"{f} without invoke, which does not say what was asked") as refused:
        check(History.from_jsonl(line, source="h", lenient=True), model)
    assert refused.value.where == "h:1"
    said = line.replace(json.dumps(answer).encode(), b"7")
    assert check(History.from_jsonl(said, lenient=True), model).validity == "valid"
