"""A history written in any format and read back says the same; an importer that spoils one operation is caught."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.histories import Registers, record
from checkers import History, MalformedHistory, Op
from checkers.importers import FORMATS, detect, load
from tests.checkers.formats import WRITERS, lines, random_history, told


def test_every_format_is_written() -> None:
    assert {format for format, _ in WRITERS.values()} == FORMATS.keys()


@pytest.mark.parametrize("name", WRITERS)
@settings(deadline=None)
@given(rng=st.randoms(use_true_random=False), packed=st.booleans())
def test_what_is_written_in_a_format_and_read_back_says_the_same(name: str, rng: random.Random, packed: bool) -> None:
    """`python -m tests.checkers.agreement --path formats` does so for a hundred thousand histories."""
    format, write = WRITERS[name]
    history = random_history(rng, only_porcupine=format == "porcupine")
    text = write(history)

    found = load(gzip.compress(text) if packed else text)

    assert detect(text) == format
    assert lines(found) == lines(history)
    assert told(found) == told(history)


Sabotage = Callable[[list[Op], int], list[Op]]


def _drop(ops: list[Op], place: int) -> list[Op]:
    """Lose an operation: its invoke and its completion."""
    end = next((at for at in range(place + 1, len(ops)) if ops[at].process == ops[place].process), len(ops))
    return [op for at, op in enumerate(ops) if at not in (place, end)]


def _reorder(ops: list[Op], place: int) -> list[Op]:
    """Put a completion before the invoke that stands before it, which it then precedes."""
    at = next(at for at in range(place, len(ops)) if ops[at].type == "ok" and ops[at - 1].type == "invoke")
    return [*ops[: at - 1], ops[at], ops[at - 1], *ops[at + 1 :]]


def _misread(ops: list[Op], place: int) -> list[Op]:
    """Misread the answer of a read."""
    at = next(at for at in range(place, len(ops)) if ops[at].type == "ok" and ops[at].f == "read")
    return [*ops[:at], msgspec.structs.replace(ops[at], value=(ops[at].value or 0) + 1), *ops[at + 1 :]]


@pytest.mark.parametrize("sabotage", [_drop, _reorder, _misread])
@pytest.mark.parametrize("name", WRITERS)
def test_an_importer_that_spoils_one_operation_in_a_thousand_is_caught(
    name: str, sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above must notice each of these, wherever it happens."""
    history = record(Registers((5, 5, 0)), 1_000, concurrency=4, crashed=0.0).history()
    history = _with_few_processes(history)
    _, write = WRITERS[name]
    text = write(history)
    assert lines(load(text)) == lines(history)
    made = History.__init__

    def spoiled(self: History, ops: Any, **options: Any) -> None:
        listed = list(ops)
        place = rng.choice([at for at, op in enumerate(listed[:-20]) if op.type == "invoke"])
        kept = sabotage(listed, place)
        options["lines"] = None
        made(self, [msgspec.structs.replace(op, index=at, time=0) for at, op in enumerate(kept)], **options)

    rng = random.Random(name)
    monkeypatch.setattr(History, "__init__", spoiled)
    for _ in range(5):
        try:
            found = lines(load(text))
        except MalformedHistory:
            continue
        assert found != lines(history)


def _with_few_processes(history: History) -> History:
    """Give the operations, each of a process of its own, to processes that are free."""
    free: list[int] = []
    process: dict[Any, int] = {}
    ops = []
    for op in history:
        if op.type == "invoke":
            process[op.process] = free.pop() if free else len(process)
        else:
            free.append(process[op.process])
        ops.append(msgspec.structs.replace(op, process=process[op.process]))
    return History(ops)
