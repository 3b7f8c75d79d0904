"""Texts that are written and appended to: what reads tell of their order, and where the fast check does not apply."""

from __future__ import annotations

import pytest

from benchmarks import histories
from checkers import check
from checkers.linearizability.fast.texts import TEXTS
from checkers.models import KV
from checkers.operation import Operation
from tests.checkers import brute
from tests.checkers.campaign import show


def _appended(*texts: str) -> list[Operation]:
    return [Operation(n, "append", None, text, text, "ok", None, 2 * n, 2 * n + 1) for n, text in enumerate(texts)]


@pytest.mark.parametrize(("keys", "written"), [(1, 0.0), (1, 0.2), (10, 0.1)])
@pytest.mark.parametrize("misread", [False, True])
def test_fifty_clients_of_few_texts_are_decided(keys: int, written: float, misread: bool) -> None:
    machine = histories.Texts(keys=keys, written=written)
    made = histories.record(machine, 2_000, concurrency=50, crashed=0.01)
    if misread:
        histories.make_misread(made)

    verdict = check(made.history(), "kv", explain=False)

    assert (verdict.validity, verdict.engine) == ("invalid" if misread else "valid", "texts")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [(("a", "a"), "the beginning of another"), (("a", "ab"), "the beginning of another"), (("",), "the beginning")],
)
def test_texts_that_cannot_be_told_apart_are_for_another_engine(texts: tuple[str, ...], reason: str) -> None:
    operations = _appended(*texts)

    found = TEXTS.decide(operations, KV)

    assert found.validity == "unknown"
    assert reason in found.reason, "\n".join(map(show, operations))


def test_texts_of_many_lengths_are_for_another_engine() -> None:
    found = TEXTS.decide(_appended(*(chr(97 + number) * (number + 1) for number in range(25))), KV)

    assert found.reason == "the texts are of many lengths"


@pytest.mark.parametrize(
    "answers",
    [
        ("append x", "read xx"),
        ("write a", "append c", "write b", "read ac", "read bc"),
        ("write a", "append c", "append d", "read acd", "read adc"),
        ("write a", "write b", "read ab"),
        ("read z",),
        ("write a", "append c", "read az"),
        ("write ab", "append cd", "read abc"),
    ],
)
def test_a_text_that_no_operations_make_is_refused_by_both(answers: tuple[str, ...]) -> None:
    """All of them are concurrent, so that only what was read speaks against it."""
    operations = []
    for number, (f, text) in enumerate(answer.split() for answer in answers):
        value, ret = None if f == "read" else text, len(answers) + number
        operations.append(Operation(number, f, None, value, text, "ok", None, number, ret))

    assert not brute.is_linearizable(operations, KV)
    assert TEXTS.decide(operations, KV).validity == "invalid"


def test_a_text_that_does_not_begin_empty_is_for_another_engine() -> None:
    found = TEXTS.decide(_appended("a"), KV.starting_at("b"))

    assert found.reason == "model kv is no text that begins empty"
