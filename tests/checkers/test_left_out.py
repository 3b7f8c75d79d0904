"""Nothing is left out in silence: what admission and the reader of columns keep and count adds up, one by one.

Each law is also asked of a reader that drops, misplaces or misreads one operation in a thousand: it must notice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import msgspec
import pytest

from benchmarks.histories import Registers, record
from checkers import History, MalformedHistory, Operation, columns
from checkers.admission import Admission, admit
from checkers.conventions import Conventions
from checkers.importers import load
from checkers.linearizability.fast.registers import columns_of
from checkers.linearizability.fast.zones import Columns
from checkers.linearizability.result import Limits
from checkers.models import CAS_REGISTER, Model, named
from checkers.operation import INF
from checkers.rows import NotPlain, RowReader
from tests.checkers.objects import OBJECTS, damaged
from tests.checkers.objects import record as record_object

CONVENTIONS = [
    Conventions(failed_cas=failed_cas, nil_read=nil_read)
    for failed_cas, nil_read in product(("by-error", "constraint", "nothing"), ("absent", "anything"))
]


def unaccounted(given: Sequence[Operation], found: Admission, model: Model, conventions: Conventions) -> list[str]:
    """Say what admission did to operations beyond what it may do, by rules that are written down here again."""
    wrong = []
    kept = {operation.call: operation for operation in found.operations}
    left_out = Counter[str]()
    for operation in given:
        looks = model.functions[operation.f].only_looks
        if looks and operation.type == "info":
            left_out["unknown outcome"] += 1
        elif looks and operation.type == "ok" and operation.result is None and conventions.nil_read == "anything":
            left_out["saw null"] += 1
        elif kept.get(operation.call) not in _readings(operation, conventions):
            wrong.append(f"{operation} became {kept.get(operation.call)}")
    if len(found.operations) != len(given) - left_out.total() or [*kept] != [o.call for o in found.operations]:
        wrong.append(f"{len(found.operations)} of {len(given)} kept, {left_out} to be left out")
    for words, count in left_out.items():
        if sum(n for what, n in found.counted.items() if words in what) != count:
            wrong.append(f"{words}: {found.counted}, not {count}")
    return wrong


def _readings(operation: Operation, conventions: Conventions) -> list[Operation]:
    """How an operation may be read: as it is, or a refused cas by the conventions, or a refusal that is none."""
    replace = msgspec.structs.replace
    if operation.type != "fail":
        return [operation]
    if operation.f == "cas" and conventions.failed_cas != "by-error":
        word = {"nothing": None, "constraint": operation.error if operation.is_negative else "precondition-failed"}
        void = replace(operation, error=None) if operation.is_negative else operation
        return [void if conventions.failed_cas == "nothing" else replace(operation, error=word["constraint"])]
    return [operation, replace(operation, error=None)] if operation.is_negative else [operation]


@pytest.mark.parametrize("name", OBJECTS)
def test_each_operation_is_admitted_as_it_is_or_left_out_and_counted(name: str) -> None:
    model = named(OBJECTS[name][0])
    for seed in range(60):
        rng = random.Random(seed)
        lines = record_object(rng, name, count=25, processes=4, values=3, crash=0.1, void=0.1)
        history = History(damaged(rng, lines, 3) if seed % 2 else lines)
        given = history.operations(with_void=True)
        for conventions in CONVENTIONS:
            found = admit(given, model, conventions, history.where_index)

            assert unaccounted(given, found, model, conventions) == []


def _drop(rows: list[Any], place: int) -> list[Any]:
    return [*rows[:place], *rows[place + 1 :]]


def _exchange(rows: list[Any], place: int) -> list[Any]:
    return [*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]]


def _misread(rows: list[Any], place: int) -> list[Any]:
    changed = msgspec.structs.replace(rows[place], value=(rows[place].value or 0) + 1)
    return [*rows[:place], changed, *rows[place + 1 :]]


SABOTAGES: list[Callable[[list[Any], int], list[Any]]] = [_drop, _exchange, _misread]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_an_admission_that_spoils_one_operation_in_a_thousand_is_noticed(
    sabotage: Callable[[list[Any], int], list[Any]],
) -> None:
    history = record(Registers((5, 5, 0)), 1_000, concurrency=4, crashed=0.01).history()
    given, conventions = history.operations(with_void=True), Conventions()
    found = admit(given, CAS_REGISTER, conventions, history.where_index)
    assert unaccounted(given, found, CAS_REGISTER, conventions) == []

    for place in random.Random(1).sample(range(len(found.operations) - 1), 20):
        spoiled = Admission(operations=sabotage(found.operations, place), counted=found.counted)

        if sabotage is _exchange:
            assert [o.call for o in spoiled.operations] != sorted(o.call for o in given)
        else:
            assert unaccounted(given, spoiled, CAS_REGISTER, conventions) != []


def columns_of_lines(lines: Sequence[Any]) -> dict[Any, Columns]:
    """What the reader of long files makes of lines."""
    reader = RowReader(Conventions(), chooses=False)
    reader.take(lines)
    return {key: columns.without_ignored() for key, columns in reader.finish().items()}


def same_columns(one: dict[Any, Columns], other: dict[Any, Columns]) -> bool:
    def plain(columns: Columns) -> tuple[Any, ...]:
        return tuple(
            map(list, (columns.calls, columns.returns, columns.kinds, columns.olds, columns.news))  # type: ignore[arg-type]
        )

    return {key: plain(columns) for key, columns in one.items()} == {k: plain(c) for k, c in other.items()}


def columns_of_operations(history: History) -> dict[Any, Columns]:
    """The same from operations, one by one."""
    admitted = admit(history.operations(with_void=True), CAS_REGISTER, Conventions(), history.where_index).operations
    groups: dict[Any, list[Operation]] = {}
    for operation in admitted:
        if not operation.is_void:
            groups.setdefault(operation.key, []).append(operation)
    found = {key: columns_of(group, CAS_REGISTER) for key, group in groups.items()}
    assert not any(isinstance(columns, str) for columns in found.values())
    return {key: columns for key, columns in found.items() if isinstance(columns, Columns)}


@pytest.mark.parametrize("keys", [1, 5])
@pytest.mark.parametrize("weights", [(5, 5, 0), (4, 3, 3)])
def test_columns_of_lines_are_those_of_operations_row_by_row(keys: int, weights: tuple[int, int, int]) -> None:
    made = record(Registers(weights, keys=keys), 1_000, concurrency=6, crashed=0.02)
    history = made.history()
    expected = columns_of_operations(history)

    assert same_columns(columns_of_lines(list(history)), expected)
    assert sum(columns.size for columns in expected.values()) > 900
    assert any(ret == INF for columns in expected.values() for ret in columns.returns)


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_reader_of_columns_that_spoils_one_line_in_a_thousand_is_noticed(
    sabotage: Callable[[list[Any], int], list[Any]],
) -> None:
    history = record(Registers((5, 5, 0), keys=2), 1_000, concurrency=4, crashed=0.0).history()
    lines, expected = list(history), columns_of_operations(history)
    ends = [place for place, op in enumerate(lines[:-1]) if op.type == "ok" and op.f == "read"]

    for place in random.Random(2).sample(ends, 20):
        try:
            found = columns_of_lines(_numbered(sabotage(lines, place)))
        except NotPlain:
            continue  # it is left to the reader of objects
        assert not same_columns(found, expected)


def _numbered(lines: Sequence[Any]) -> list[Any]:
    return [msgspec.structs.replace(op, index=index, time=index) for index, op in enumerate(lines)]


TWO = '{"process":0,"type":"invoke","f":"read"}{"process":0,"type":"ok","f":"read","value":null}'
ONE = '{"process":1,"type":"invoke","f":"write","value":1}\n{"process":1,"type":"ok","f":"write","value":1}\n'


@pytest.mark.parametrize(
    "text",
    [
        ONE + TWO,
        TWO + "\n\n" + ONE,
        ONE + TWO.replace('"f":"read"}{', '"f":"read"} {') + "\n\n",
        ONE + TWO + "\n" + "\n",
    ],
)
def test_two_operations_on_one_line_are_refused_by_every_reader(text: str) -> None:
    """The fast decoder reads them without a word, and a blank line elsewhere makes the number of lines right again."""
    data = text.encode()

    assert columns.judge(data, "register", Limits()) is None, "objects are made, and say what is wrong"
    with pytest.raises(MalformedHistory, match="found a line that is not JSON"):
        load(data)
