"""What each shape of partition cuts, and what it never cuts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.topologies import SHAPES, edges, shapes_for

NAMES = tuple("abcdefg")


def hears(shape: str, names: Sequence[str], clients: Sequence[str] | None = None) -> dict[str, str]:
    """Who still hears whom, as `{"a": "bc"}`; each node hears itself."""
    cut = edges(shape, names, clients, names, ())
    return {target: "".join(source for source in names if (source, target) not in cut) for target in names}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("one", {"a": "a", "b": "bcde", "c": "bcde", "d": "bcde", "e": "bcde"}),
        ("halves", {"a": "ab", "b": "ab", "c": "cde", "d": "cde", "e": "cde"}),
        ("majority-minority", {"a": "abc", "b": "abc", "c": "abc", "d": "de", "e": "de"}),
        ("majorities-ring", {"a": "abe", "b": "abc", "c": "bcd", "d": "cde", "e": "ade"}),
        ("bridge", {"a": "abcde", "b": "abc", "c": "abc", "d": "ade", "e": "ade"}),
        ("one-way-in", {"a": "a", "b": "abcde", "c": "abcde", "d": "abcde", "e": "abcde"}),
        ("one-way-out", {"a": "abcde", "b": "bcde", "c": "bcde", "d": "bcde", "e": "bcde"}),
    ],
)
def test_shapes_of_five(shape: str, expected: dict[str, str]) -> None:
    assert expected == hears(shape, "abcde")


def test_a_minority_third_is_less_than_a_third() -> None:
    assert {"a": "ab", "b": "ab"} | dict.fromkeys("cdefg", "cdefg") == hears("minority-third", NAMES)


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_on_a_ring_each_talks_with_a_majority_and_no_two_with_the_same(size: int) -> None:
    views = hears("majorities-ring", NAMES[:size])

    assert all(2 * len(view) > size for view in views.values())
    assert size == len(set(views.values()))
    assert all((a in views[b]) == (b in views[a]) for a in views for b in views)


@pytest.mark.parametrize("size", range(1, 8))
def test_the_shapes_offered_for_a_size_cut_something_and_differ(size: int) -> None:
    cuts = [edges(shape, NAMES[:size], None, NAMES[:size], ()) for shape in shapes_for(size)]

    assert all(cuts)
    assert len(cuts) == len(set(cuts)) or size == 2  # of two, one alone is the same as either


@pytest.mark.parametrize(
    ("shape", "beside", "expected"),
    [
        ("one", ("p",), {("p", "b"), ("p", "c"), ("b", "p"), ("c", "p"), ("q", "a"), ("a", "q")}),
        ("one", (), {("p", "a"), ("a", "p"), ("q", "a"), ("a", "q")}),
        ("one", None, set()),
        ("one-way-in", (), {("p", "a"), ("q", "a")}),
        ("one-way-out", (), {("a", "p"), ("a", "q")}),
        ("bridge", ("p",), {("p", "c"), ("c", "p"), ("q", "b"), ("b", "q")}),
    ],
)
def test_clients_sit_with_a_side(shape: str, beside: tuple[str, ...] | None, expected: set[tuple[str, str]]) -> None:
    cut = edges(shape, "abc", beside, "abc", ("p", "q"))

    assert expected == {edge for edge in cut if "p" in edge or "q" in edge}


def test_a_resolved_role_may_stand_twice_and_missing_nodes_follow() -> None:
    assert edges("one", ("c", "a", "c", "@leader"), (), "abc", ()) == edges("one", "cab", (), "abc", ())


@given(
    st.sampled_from(SHAPES),
    st.permutations(NAMES),
    st.integers(1, 7),
    st.one_of(st.none(), st.sets(st.sampled_from("pqr"))),
)
def test_edges_are_sorted_unique_and_never_between_clients(
    shape: str, order: list[str], size: int, beside: set[str] | None
) -> None:
    nodes = sorted(order[:size])

    cut = edges(shape, order, None if beside is None else sorted(beside), nodes, "pqr")

    assert sorted(set(cut)) == list(cut)
    assert all(source != target and {source, target} & set(nodes) for source, target in cut)
