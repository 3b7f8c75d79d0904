"""Machines against the most obvious thing that could be meant by them, over arbitrary commands.

Three more claims hold for every machine: commands that make no sense change nothing; a snapshot restored elsewhere
gives the same state and goes on the same way; and equal states have equal digests, whatever led to them, unequal ones
not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.machines import CATALOG, Machine
from raft_impl.machines.base import MALFORMED, OK, READS, pack, pack_list

KEYS = ("x", "y", 1, True, None)
VALUES = (None, 0, 1, 2, -3, True, 1.5, "a", [1], {"k": 1})

State = dict[Any, Any]
Answer = tuple[str, Any]


def named(key: Any) -> Any:
    """1 and True are one key to a Python dict, and two to a machine."""
    return (type(key).__name__, key)


def register(state: State, f: str, key: Any, value: Any) -> Answer:
    key = named(key)
    match f:
        case "read":
            return OK, state.get(key)
        case "write":
            state[key] = value
            return OK, value
        case "cas":
            if repr(state.get(key)) != repr(value[0]):
                return "precondition-failed", None
            state[key] = value[1]
            return OK, value
    raise AssertionError(f)


def counter(state: State, f: str, key: Any, value: Any, initial: int | None = 0) -> Answer:
    key = named(key)
    if f == "create":
        if key in state:
            return "exists", None
        state[key] = value
        return OK, value
    number = state.get(key, initial)
    if number is None:
        return "absent", None
    match f:
        case "read":
            return OK, number
        case "set":
            state[key] = value
            return OK, value
        case "add":
            state[key] = number + value
            return OK, value
        case "add-and-get":
            state[key] = number + value
            return OK, [value, number + value]
        case "cas":
            if number != value[0]:
                return "precondition-failed", None
            state[key] = value[1]
            return OK, value
    raise AssertionError(f)


def explicit_counter(state: State, f: str, key: Any, value: Any) -> Answer:
    return counter(state, f, key, value, initial=None)


def mapping(state: State, f: str, key: Any, value: Any) -> Answer:
    if f == "size":
        return OK, len(state)
    key = named(key)
    old = state.get(key)
    new = value
    match f:
        case "read":
            return OK, old
        case "put-if-absent" if old is not None:
            return "exists", None
        case "replace" if old is None:
            return "absent", None
        case "cas":
            if repr(old) != repr(value[0]):
                return "precondition-failed", None
            new = value[1]
    state.pop(key, None)
    if new is not None and f != "remove":
        state[key] = new
    return OK, old if f in ("replace", "remove") else value


def members(state: State, f: str, key: Any, value: Any) -> Answer:
    inside = state.setdefault(named(key), [])
    match f:
        case "read":
            return OK, inside
        case "size":
            return OK, len(inside)
        case "add":
            if not any(repr(value) == repr(other) for other in inside):
                inside.append(value)
            return OK, value
        case "remove":
            for position, other in enumerate(inside):
                if repr(value) == repr(other):
                    del inside[position]
                    return OK, value
            return "absent", None
    raise AssertionError(f)


def sequence(state: State, f: str, key: Any, value: Any) -> Answer:
    elements = state.setdefault(named(key), [])
    match f:
        case "read":
            return OK, list(elements)
        case "size":
            return OK, len(elements)
        case "append" | "enqueue":
            elements.append(value)
            return OK, value
        case "dequeue":
            return (OK, elements.pop(0)) if elements else ("empty", None)
    raise AssertionError(f)


def lock(state: State, f: str, key: Any, value: Any) -> Answer:
    key = named(key)
    match f:
        case "read":
            return OK, [state[key]] if key in state else []
        case "acquire":
            if key in state:
                return "held", None
            state[key] = value
            return OK, value
        case "release":
            if key not in state or repr(state[key]) != repr(value):
                return "absent", None
            del state[key]
            return OK, value
    raise AssertionError(f)


def participant(state: State, f: str, key: Any, value: Any) -> Answer:
    """Transactions as the textbook has them: one table of states, one of locks, one of lists."""
    transactions, lists = state.setdefault("transactions", {}), state.setdefault("lists", {})
    name = named(key)
    known, branch = transactions.get(name, ("unknown", None))
    holders = {
        named(what[2]): [of[1], what[0], what[1]] for of, (now, what) in transactions.items() if now == "prepared"
    }
    match f:
        case "read":
            return OK, list(lists.get(name, []))
        case "look":
            return OK, [list(lists.get(name, [])), holders.get(name)]
        case "outcome":
            return OK, known
        case "prepare" if known != "unknown":
            return OK, [known, None]
        case "prepare" if named(value[2]) in holders:
            return OK, ["held-by", holders[named(value[2])]]
        case "prepare":
            transactions[name] = ("prepared", value)
            return OK, ["prepared", None]
        case "commit":
            if known == "prepared":
                lists.setdefault(named(branch[2]), []).append(branch[3])
                transactions[name] = ("committed", None)
            return OK, transactions.get(name, ("unknown", None))[0]
        case "abort":
            if known != "committed":
                transactions[name] = ("aborted", None)
            return OK, transactions[name][0]
    raise AssertionError(f)


anything = st.sampled_from(VALUES)
nothing = st.none()
number = st.integers(-5, 5)
pairs = st.lists(anything, min_size=2, max_size=2)
number_pairs = st.lists(number, min_size=2, max_size=2)
counters = {
    "read": nothing,
    "set": number,
    "add": number,
    "add-and-get": number,
    "cas": number_pairs,
    "create": number,
}

Case = tuple[Callable[[State, str, Any, Any], Answer], dict[str, st.SearchStrategy[Any]]]
CASES: dict[str, Case] = {
    "register": (register, {"read": nothing, "write": anything, "cas": pairs}),
    "counter": (counter, counters),
    "counter-explicit": (explicit_counter, counters),
    "map": (
        mapping,
        {
            "read": nothing,
            "write": anything,
            "cas": pairs,
            "put-if-absent": anything,
            "replace": anything,
            "remove": nothing,
            "size": nothing,
        },
    ),
    "set": (members, {"add": anything, "remove": anything, "read": nothing, "size": nothing}),
    "list": (sequence, {"append": anything, "read": nothing, "size": nothing}),
    "queue": (sequence, {"enqueue": anything, "dequeue": nothing, "read": nothing, "size": nothing}),
    "participant": (
        participant,
        {
            "prepare": st.tuples(st.just("g1"), st.just(["g0", "g1"]), st.sampled_from(KEYS), anything).map(list),
            "commit": nothing,
            "abort": nothing,
            "outcome": nothing,
            "look": nothing,
            "read": nothing,
        },
    ),
    "lock": (lock, {"acquire": anything, "release": anything, "read": nothing}),
}


def commands(name: str) -> st.SearchStrategy[list[tuple[str, Any, Any]]]:
    functions = CASES[name][1]
    one = st.sampled_from(sorted(functions)).flatmap(
        lambda f: st.tuples(st.just(f), st.sampled_from(KEYS), functions[f])
    )
    return st.lists(one, max_size=40)


def comparable(name: str, f: str, answer: Answer) -> Any:
    """A set is read in an order of its own."""
    word, value = answer
    return word, sorted(map(repr, value)) if (name, f) == ("set", "read") else repr(value)


def test_every_machine_has_a_model_here() -> None:
    assert set(CASES) == set(CATALOG)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_machine_does_what_its_model_does(name: str, data: st.DataObject) -> None:
    machine, model, state = CATALOG[name](), CASES[name][0], State()

    for f, key, value in data.draw(commands(name)):
        found = machine.read(f, key, value) if f in READS else machine.apply(f, key, value)

        assert comparable(name, f, found) == comparable(name, f, model(state, f, key, value))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_restored_machine_is_the_same_and_goes_on_the_same(name: str, data: st.DataObject) -> None:
    original, copy = CATALOG[name](), CATALOG[name]()
    copy.apply(*garbage_for(name))
    for command in data.draw(commands(name)):
        original.apply(*command)

    copy.restore(original.image()())

    assert (copy.digest, copy.image()()) == (original.digest, original.image()())
    for command in data.draw(commands(name)):
        assert repr(copy.apply(*command)) == repr(original.apply(*command))
        assert copy.digest == original.digest
    assert copy.image()() == original.image()()


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30)
@given(data=st.data())
def test_an_image_is_of_the_moment_at_which_it_was_taken(name: str, data: st.DataObject) -> None:
    machine = CATALOG[name]()
    for command in data.draw(commands(name)):
        machine.apply(*command)
    before = machine.image()()

    image = machine.image()
    for command in data.draw(commands(name)):
        machine.apply(*command)

    assert image() == before


@pytest.mark.parametrize("size", [0, 15, 16, 1024, 1025, 65_535, 65_536])
def test_a_list_that_is_packed_in_pieces_is_packed_alike(size: int) -> None:
    items = [[b"key", number] for number in range(size)]

    assert pack_list(items) == pack(items)


def garbage_for(name: str) -> tuple[str, Any, Any]:
    """A command that leaves something for `restore` to sweep out."""
    first = {"counter": "set", "counter-explicit": "create", "set": "add", "list": "append", "queue": "enqueue"}
    if name == "participant":
        return "prepare", "left over", ["g0", ["g0"], "x", 1]
    return first.get(name, "acquire" if name == "lock" else "write"), "left over", 1


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30)
@given(data=st.data())
def test_digests_are_equal_exactly_for_equal_states(name: str, data: st.DataObject) -> None:
    machines: list[Machine] = [CATALOG[name](), CATALOG[name]()]
    for machine in machines:
        for command in data.draw(commands(name)):
            machine.apply(*command)
    one, other = machines

    assert (one.digest == other.digest) == (one.image()() == other.image()())


@pytest.mark.parametrize("name", CASES)
@given(
    st.sampled_from(["cas", "add", "txn", "create", "set", "prepare", "fly", "read"]), st.sampled_from(KEYS), anything
)
def test_nonsense_changes_nothing_and_never_raises(name: str, f: str, key: Any, value: Any) -> None:
    machine = CATALOG[name]()
    machine.apply(*garbage_for(name))
    before = machine.digest, machine.image()()

    word, _ = machine.apply(f, key, value)

    assert word == OK or (machine.digest, machine.image()()) == before
    assert machine.read("fly", key, value) == (MALFORMED, None)


def test_a_counter_stays_within_64_bits() -> None:
    machine = CATALOG["counter"]()
    machine.apply("set", "c", (1 << 63) - 1)

    assert machine.apply("add", "c", 1) == (MALFORMED, None)
    assert machine.read("read", "c", None) == (OK, (1 << 63) - 1)


@pytest.mark.parametrize(
    ("name", "given_txn", "expected"),
    [
        (
            "register",
            [["w", "x", 1], ["r", "x", None], ["r", "y", None]],
            [["w", "x", 1], ["r", "x", 1], ["r", "y", None]],
        ),
        (
            "list",
            [["append", "x", 1], ["r", "x", None], ["append", "x", 2]],
            [["append", "x", 1], ["r", "x", [1]], ["append", "x", 2]],
        ),
    ],
)
def test_a_transaction_sees_its_own_writes(name: str, given_txn: Any, expected: Any) -> None:
    machine = CATALOG[name]()

    assert machine.apply("txn", None, given_txn) == (OK, expected)
    assert machine.apply("txn", None, [["q", "x", 1]]) == (MALFORMED, None)
