"""The model that fits what a history contains, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, Op, check
from checkers.conventions import Conventions
from checkers.models import MODELS, Model, choice
from checkers.models.choice import PREFERENCE, choose
from checkers.operation import Operation


def history(*operations: tuple[str, Any, Any], source: str = "jsonl", nil_read: Any = "absent") -> History:
    """Operations one after the other: (f, what was asked, what was told or the word with which it failed)."""
    ops = []
    for f, value, told in operations:
        failed = isinstance(told, str) and told.startswith("!")
        index = len(ops)
        ops.append(Op(index=index, time=0, process=0, type="invoke", f=f, value=value))
        error = told[1:] if failed else None
        kind: Any = "fail" if failed else "ok"
        ops.append(Op(index=index + 1, time=0, process=0, type=kind, f=f, value=value if failed else told, error=error))
    return History(ops, conventions=Conventions(source=source, nil_read=nil_read))


@pytest.mark.parametrize(
    ("operations", "model"),
    [
        ([("write", 1, 1), ("read", None, 1)], "register"),
        ([("write", 1, 1), ("cas", [1, 2], [1, 2])], "cas-register"),
        ([("add", 1, 1), ("read", None, 1)], "counter"),
        ([("add", 1, 1), ("read", None, [1])], "set"),
        ([("add", 1, 1), ("add", 1, "!exists")], "set"),
        ([("enqueue", 1, 1), ("dequeue", None, 1)], "queue"),
        ([("append", 1, 1), ("read", None, [1])], "list"),
        ([("append", "a", "a"), ("read", None, "a")], "kv"),
        ([("acquire", None, None), ("release", None, None)], "mutex"),
        ([("write", 1, 1), ("remove", None, 1)], "map"),
        ([("txn", [["w", "x", 1]], [["w", "x", 1]]), ("txn", [["r", "x", None]], [["r", "x", 1]])], "rw-register"),
        ([("txn", [["append", "x", 1]], [["append", "x", 1]])], "list-append"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_plainest_model_that_fits_is_chosen(operations: list[tuple[str, Any, Any]], model: str) -> None:
    found = choose(history(*operations))

    assert found.model is MODELS[model]
    assert f"model {model}, chosen because" in found.note


def test_key_value_texts_of_porcupine_are_no_registers() -> None:
    """There a missing key reads as empty, which a register never is."""
    seen = [("write", "a", "a"), ("read", None, "")]

    assert choose(history(*seen, source="porcupine")).model.name == "kv"
    assert choose(history(*seen)).model.name == "register"


def test_a_read_of_nil_that_says_nothing_rules_no_model_out() -> None:
    seen = [("add", 1, 1), ("read", None, None)]

    assert choose(history(*seen, nil_read="anything")).model.name == "counter"


def test_the_note_says_what_did_not_fit_and_what_would_fit_too() -> None:
    assert "not counter (read answered [1])" in choose(history(("add", 1, 1), ("read", None, [1]))).note
    assert "cas-register, map would fit too" in choose(history(("write", 1, 1), ("read", None, 1))).note


def test_a_history_that_no_model_fits_is_refused() -> None:
    with pytest.raises(MalformedHistory, match="a history of fly"):
        choose(history(("fly", None, None)))


def test_the_line_that_no_model_fits_is_named() -> None:
    """Of a function that no model has, or else of an answer that some model refuses."""
    text = b'{"process":0,"type":"invoke","f":"write","value":1}\n{"process":1,"type":"invoke","f":"%s"}\n'

    with pytest.raises(MalformedHistory, match="h:2: found a history of write, fly"):
        choose(History.from_jsonl(text % b"fly", source="h"))


def test_without_an_operation_there_is_nothing_to_choose_by() -> None:
    assert choose(history()) is None


def test_a_read_whose_invoke_repeats_its_answer_rules_no_model_out() -> None:
    """Completed histories do that; an invoke that says something else is no read of any model."""
    assert choose(history(("write", 1, 1), ("read", 1, 1))).model.name == "register"
    with pytest.raises(MalformedHistory, match="read of 2"):
        choose(history(("write", 1, 1), ("read", 2, 1)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["r", "w", "append", "x"]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(["read", "txn", "cas", "add", "add-and-get", "size"]), VALUES, VALUES)))
def test_operations_of_one_form_fit_the_same_models(asked: list[tuple[str, Any, Any]]) -> None:
    """The choice looks at one operation of each form, and must find what looking at all would."""
    operations = history(*asked).operations(with_void=True)
    some = choice._one_of_each_form(operations)
    for model in MODELS.values():
        known = all(operation.f in model.functions for operation in operations)
        found = [_fits(model, of) if known else None for of in (operations, some)]

        assert found[0] == found[1]


def _fits(model: Model, operations: list[Operation]) -> str | None:
    return choice._misfit(model, operations, lambda _: "")


def test_the_library_chooses_too_and_says_so() -> None:
    verdict = check(history(("write", 1, 1), ("read", None, 2)))

    assert (verdict.model, verdict.validity) == ("register", "invalid")
    assert verdict.notes[0].startswith("model register, chosen because")


def test_every_model_can_be_chosen() -> None:
    assert sorted(PREFERENCE) == sorted(MODELS)


def test_functions_that_no_model_has_are_named_beside_those_that_there_are() -> None:
    with pytest.raises(MalformedHistory, match="no model has put, get; there are read, write, cas, "):
        choose(history(("put", 1, 1), ("get", None, 1)))
