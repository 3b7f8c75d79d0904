"""Workloads: what each variant promises of its calls."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from checkers.models import named
from harness.plans.rng import Stream
from raft_impl.machines import CATALOG
from raft_impl.runtime.two_phase import REQUESTS
from workloads.catalog import WORKLOADS
from workloads.generator import Call, evaluate, limit

CASES = [(workload.name, variant.name) for workload in WORKLOADS.values() for variant in workload.variants]


def drawn(workload: str, variant: str, seed: int, count: int = 600) -> list[Call]:
    """The first calls of a workload."""
    stream = Stream(seed, "program")
    made = WORKLOADS[workload].generator(variant, stream)
    return [call for event in evaluate(limit(count, made), threads=4, stream=stream) for call in event.calls]


@pytest.mark.parametrize("name", tuple(WORKLOADS))
def test_the_catalog_has_each_under_its_own_name(name: str) -> None:
    assert name == WORKLOADS[name].name


@pytest.mark.parametrize("name", tuple(WORKLOADS))
def test_the_model_knows_every_function(name: str) -> None:
    workload = WORKLOADS[name]

    assert set(workload.functions) <= set(named(workload.model).functions)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_only_declared_functions_are_called_and_all_of_them(name: str, variant: str) -> None:
    called = {call.f for seed in range(5) for call in drawn(name, variant, seed)}

    assert called <= set(WORKLOADS[name].functions)
    assert set(WORKLOADS[name].functions) - called <= ({"size"} if variant == "keys" else set())


@pytest.mark.parametrize(("name", "variant"), [case for case in CASES if case[1] != "sized"])
def test_the_history_of_a_key_stays_short(name: str, variant: str) -> None:
    """But for maps whose size is asked: that joins all keys, however many there are."""
    for seed in range(5):
        counts = Counter(key for call in drawn(name, variant, seed, 3_000) for key in keys(call))
        assert max(counts.values()) < 700
        assert len(counts) > 3


def keys(call: Call) -> list[str | None]:
    """The keys that a call names."""
    return [key for _, key, _ in call.value] if call.f == "txn" else [call.key]


def writes(calls: list[Call]) -> list[Any]:
    return [call.value if call.f == "write" else call.value[1] for call in calls if call.f in ("write", "cas")]


def test_unique_registers_never_write_a_value_twice() -> None:
    for seed in range(5):
        values = writes(drawn("register", "unique", seed))
        assert len(values) == len(set(values))


def test_unique_cas_asks_for_what_the_thread_last_read_mostly_at_once() -> None:
    calls = drawn("register", "unique", 2, 2_000)

    swaps = [(before, call) for before, call in itertools.pairwise(calls) if call.f == "cas"]

    assert all({"last-read": call.key} == call.value[0] for _, call in swaps)
    just_read = sum((before.f, before.key) == ("read", call.key) for before, call in swaps)
    assert 0.6 < just_read / len(swaps) < 0.95


def test_few_values_are_few_and_a_cas_always_changes_something() -> None:
    calls = drawn("register", "few-values", 3)

    assert set(range(5)) == set(writes(calls))
    assert all(call.value[0] != call.value[1] for call in calls if call.f == "cas")


@pytest.mark.parametrize(("variant", "allowed"), [("unit", {-1, 1}), ("small", {-3, -2, -1, 1, 2, 3})])
def test_deltas_of_counters(variant: str, allowed: set[int]) -> None:
    seen = {call.value for seed in range(8) for call in drawn("counter", variant, seed) if call.f != "read"}

    assert allowed == seen


def test_distinct_deltas_are_large_of_both_signs_and_never_alike() -> None:
    deltas = [call.value for call in drawn("counter", "distinct", 4, 2_000) if call.f != "read"]

    assert len(deltas) == len({abs(delta) for delta in deltas})
    assert 0.4 < sum(delta > 0 for delta in deltas) / len(deltas) < 0.6
    assert 2**40 > max(map(abs, deltas)) > 2**38


@pytest.mark.parametrize("name", tuple(WORKLOADS))
def test_recovery_ops_have_a_key_of_their_own(name: str) -> None:
    recovering = [key for thread in range(10) for key in keys(WORKLOADS[name].recovery(thread))]
    used = {key for variant in WORKLOADS[name].variants for call in drawn(name, variant.name, 1) for key in keys(call)}

    assert len(set(recovering)) == 10
    assert not used.intersection(recovering)


@pytest.mark.parametrize("name", ["map", "set", "queue", "list", "list-append"])
def test_what_is_written_is_unique(name: str) -> None:
    for variant in WORKLOADS[name].variants:
        calls = drawn(name, variant.name, 6)
        values = [call.value for call in calls if call.f != "txn" and call.value is not None]
        values += [value for call in calls if call.f == "txn" for f, _, value in call.value if f == "append"]
        assert values
        assert len(values) == len(set(values))


@pytest.mark.parametrize(("name", "variant"), [case for case in CASES if len(WORKLOADS[case[0]].groups) == 1])
def test_no_call_is_malformed_to_the_machine_that_the_workload_names(name: str, variant: str) -> None:
    machine = CATALOG[WORKLOADS[name].machine]()

    words = {machine.apply(call.f, call.key, resolved(call.value))[0] for call in drawn(name, variant, 2)}

    assert "ok" in words
    assert "malformed" not in words


def test_orders_have_numbers_of_their_own_and_each_shard_decides_many() -> None:
    for variant in ("few-customers", "one-customer"):
        orders = [call.value for call in drawn("orders", variant, 6) if call.f == "order"]
        homes = Counter(shards[0] for _, shards in orders)

        assert len(orders) == len({number for number, _ in orders})
        assert all(sorted(shards) == ["g0", "g1"] for _, shards in orders)
        assert min(homes["g0"], homes["g1"]) > len(orders) // 3


def resolved(value: Any) -> Any:
    """A value with null for what only a running thread knows."""
    if isinstance(value, dict):
        return None
    return [resolved(item) for item in value] if isinstance(value, list) else value


def test_a_plan_gives_an_order_as_much_time_as_its_coordinator_takes() -> None:
    assert WORKLOADS["orders"].requests == REQUESTS
