"""Answers of a shape that no object gives: refused, or invalid, by every way to a verdict; never an error of ours."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers import MalformedHistory, check, check_file
from checkers.admission import MISMATCHED
from checkers.models import MODELS
from checkers.streaming import StreamingChecker
from tests.checkers import shapes
from tests.checkers.test_kinds import feed_all, lines, ops

FALSE = (None, 0, False, 0.0, "", [], {})
"""What Python takes for false, and so for nothing."""

TRUE = (1, True, "a", "ab", [1], {"a": 1}, [[]], [None])


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_and_a_whole_history_say_the_same_of_any_values(name: str) -> None:
    """`python -m tests.checkers.agreement --path shapes` does so at length."""
    for number in range(200):
        rng = random.Random(f"{name}/{number}")
        made = shapes.history(rng, name)

        streamed, whole = shapes.judge(made, name, rng.choice(MISMATCHED))

        assert shapes.agree(made, name, streamed, whole), (number, streamed, whole)


@pytest.mark.parametrize(
    ("model", "f", "seen"),
    [
        ("register", "read", (None,)),
        ("cas-register", "read", (None,)),
        ("counter", "read", (0,)),
        ("map", "read", (None,)),
        ("map", "size", (0,)),
        ("kv", "read", (None, "")),
        ("set", "read", ([],)),
        ("list", "read", ([],)),
    ],
)
def test_of_an_object_to_which_nothing_happened_one_thing_is_seen(model: str, f: str, seen: tuple[Any, ...]) -> None:
    def is_valid(answer: Any) -> bool:
        try:
            return check_file(lines((f, None, None, answer)), model).validity == "valid"
        except MalformedHistory:
            return False

    assert [repr(answer) for answer in (*FALSE, *TRUE) if is_valid(answer)] == [repr(answer) for answer in seen]


@pytest.mark.parametrize("answer", [answer for answer in (*FALSE, *TRUE) if not isinstance(answer, list | None)])
def test_a_transaction_reads_no_list_in_what_is_none(answer: Any) -> None:
    """The text "ab" was taken for a list of "a" and "b", and 0 for an empty one."""
    appends = [("txn", None, [["append", "x", element]], [["append", "x", element]]) for element in "ab"]
    text = lines(*(appends if answer else []), ("txn", None, [["r", "x", None]], [["r", "x", answer]]))
    last = text.count(b"\n")

    for judge in (
        lambda: check_file(text, "list-append", source="h"),
        lambda: check_file(text, "list-append", source="h", expect=("read-committed",)),
        lambda: check_file(text, "list-append", source="h", witness=True),
        lambda: feed_all(StreamingChecker("list-append"), text),
    ):
        with pytest.raises(MalformedHistory, match="a list or null") as refused:
            judge()
        assert refused.value.where == f"h:{last}"


@pytest.mark.parametrize("algorithm", ["auto", "wgl", "jit"])
def test_a_replace_that_replaced_null_is_impossible(algorithm: Any) -> None:
    """What it needs was told in two ways: `step` called it illegal, and `access` legal where nothing was."""
    history = ops(lines(("replace", "x", "a", None), ("read", "x", None, "a")))

    assert check(history, "map", algorithm=algorithm).validity == "invalid"


def test_reads_of_null_do_not_hinder_a_sentence_about_texts() -> None:
    text = lines(("read", "x", None, None), ("append", "x", "a", "a"), ("read", "x", None, "a"))
    assert check_file(text, "kv").validity == "valid"

    verdict = check_file(text + lines(("read", "x", None, None)), "kv")

    assert "process 0 read null after process 2 had read" in verdict.anomalies[0].message


@pytest.mark.parametrize("seen", ["a", None])
def test_the_first_null_of_a_text_is_the_empty_one(seen: str | None) -> None:
    verdict = check_file(lines(("read", "x", None, None), ("read", "x", None, "a"), ("read", "x", None, seen)), "kv")

    assert verdict.validity == "invalid"
