"""Fast paths on histories of thousands of operations, from columns and from operations, and the search for prefixes."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.histories import Counter, Recording, Registers, make_stale, record
from checkers.linearizability.failing_prefix import GUESSES, Bounds, first_certain
from checkers.linearizability.fast import counters, registers
from checkers.models import CAS_REGISTER, COUNTER, MAP

SIZE = 4_000


def register(**options: Any) -> Recording:
    """Record clients of unique-value registers, a quarter of whose operations are refused cas."""
    return record(Registers((4, 3, 3), **options), SIZE, concurrency=10, crashed=0.02)


def test_the_same_arguments_give_the_same_history() -> None:
    assert register().history().to_jsonl() == register().history().to_jsonl()


def test_a_long_register_history_is_linearizable_from_columns_and_from_operations() -> None:
    made = register()

    _, columns = made.registers()

    assert registers.REGISTERS.decide_rows(columns).validity == "valid"
    assert registers.REGISTERS.decide(made.operations(), CAS_REGISTER).validity == "valid"


def test_one_stale_read_in_a_long_history_is_found_and_placed() -> None:
    made = register()
    make_stale(made)
    operations = made.operations()

    result = registers.REGISTERS.decide(operations, CAS_REGISTER)

    assert result.validity == "invalid"
    assert result.certain is not None
    _, columns = made.registers()
    assert registers.REGISTERS.decide_rows(columns.prefix(result.certain)).validity == "invalid"
    assert registers.REGISTERS.decide_rows(columns.prefix(result.certain - 1)).validity == "valid"


def test_columns_of_a_map_are_split_by_key() -> None:
    made = register(keys=7)

    keys, columns = made.registers()
    parts = columns.by_key(keys)

    assert set(parts) == {f"k{number}" for number in range(7)}
    assert sum(len(part.calls) for part in parts.values()) == len(columns.calls)
    assert {registers.REGISTERS.decide_rows(part).validity for part in parts.values()} == {"valid"}
    one = [operation for operation in made.operations() if operation.key == "k3"]
    assert registers.REGISTERS.decide(one, MAP).validity == "valid"


@pytest.mark.parametrize("encoding", [(1,), (-2,), (1, -1), (-3, -2, -1, 1, 2, 3)], ids=str)
def test_a_long_counter_history_is_linearizable_until_a_read_is_spoiled(encoding: tuple[int, ...]) -> None:
    def draw(rng: random.Random) -> int:
        return rng.choice(encoding)

    functions = {"read": 3, "add": 4, "add-and-get": 3}
    made = record(Counter(functions, draw), SIZE // 2, concurrency=5, crashed=0.01)
    assert counters.COUNTERS.decide_rows(made.counter()).validity == "valid"

    row = next(
        row for row, f in enumerate(made.functions) if row > SIZE // 4 and f == "read" and made.outcomes[row] == "ok"
    )
    made.told[row] += 1_000
    operations = made.operations()
    result = counters.COUNTERS.decide(operations, COUNTER)

    assert result.validity == "invalid"
    assert result.blocked == operations[row]


@given(
    truth=st.integers(0, 10_000),
    above=st.integers(0, 10_000),
    below=st.integers(0, 10_000),
    hints=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1),
)
def test_the_first_certain_event_is_found_whatever_the_hints(
    truth: int, above: int, below: int, hints: list[tuple[int, int]]
) -> None:
    """Bounds that hold and guesses that need not: the answer is exact, in few more probes than a bisection takes."""
    probes = 0

    def bounds(end: int) -> Bounds:
        over, guess = hints[probes % len(hints)]
        return Bounds(max(0, truth - below), min(end, truth + over), max(0, truth + guess - 150))

    def check(end: int) -> Bounds | None:
        nonlocal probes
        probes += 1
        return bounds(end) if end >= truth else None

    found = first_certain(check, Bounds(max(0, truth - below), truth + above, truth))

    assert found == truth
    assert probes <= GUESSES + 16
