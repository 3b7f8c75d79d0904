"""Admission: nothing that was read is left out in silence."""

from __future__ import annotations

from typing import Any

import pytest

from checkers import MalformedHistory, check, importers
from checkers.admission import NOTHING_JUDGED
from checkers.verdict import Verdict


def edn(*lines: str) -> Any:
    return importers.load("\n".join(lines).encode(), format="edn", source="h.edn")


def judged(model: str, *lines: str, **options: Any) -> Verdict:
    return check(edn(*lines), model, **options)


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


@pytest.mark.parametrize("type", ["fail", "info"])
def test_a_history_without_any_known_outcome_is_unknown(type: str) -> None:
    invoke = "{:process 0 :type :invoke :f :write :value 1}"

    assert judged("register", invoke, f"{{:process 0 :type :{type} :f :write :value 1}}").validity == "unknown"


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
