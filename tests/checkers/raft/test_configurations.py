"""The configuration in force is the latest in a node's own log, whatever the node says of itself."""

from __future__ import annotations

import pytest

from .conftest import Trace


@pytest.fixture(name="trace")
def _trace() -> Trace:
    """Three voters with one committed entry; `a` leads term 1 and has put a configuration without `c` at index 2."""
    trace = Trace("a", "b", "c")
    for actor in "abc":
        trace.follows(actor, 1)
    trace.leads("a", 1).replicate("abc", 1, "1x", term=1)
    trace.commit("a", 1).append("a", 2, "1y").config("a", 2, "ab").configured("a", 2, 1, "ab")
    assert trace.found == []
    return trace


def test_a_node_that_uses_the_latest_in_its_log_is_right(trace: Trace) -> None:
    trace.append("b", 2, "1y").config("b", 2, "ab").note("role", "b", "candidate", 2)

    assert trace.found == []


def test_a_node_that_keeps_an_older_one_is_found_when_it_campaigns(trace: Trace) -> None:
    trace.append("b", 2, "1y").note("role", "b", "candidate", 2)

    assert trace.found == ["in-force"]


def test_a_node_that_never_takes_it_is_found_when_it_applies_the_entry(trace: Trace) -> None:
    trace.append("b", 2, "1y").sync("b", 2, 1).commit("a", 2).commit("b", 2)
    trace.apply("b", 1, "x", "s1").apply("b", 2, "y", "s2")

    assert trace.found == ["in-force"]


def test_a_node_that_reads_another_one_from_the_entry_is_found(trace: Trace) -> None:
    trace.append("b", 2, "1y").config("b", 2, "abc")

    assert trace.found == ["in-force"]


def test_a_leader_that_uses_another_one_than_it_wrote_is_found_by_the_disk() -> None:
    trace = Trace("a", "b", "c").follows("a", 1).leads("a", 1).append("a", 1, "1x").config("a", 1, "a", "abc")
    assert trace.found == []  # nobody has seen the entry yet

    trace.configured("a", 1, 1, "abcd")

    assert trace.found == ["in-force"]


@pytest.mark.parametrize(("voters", "expected"), [("abc", []), ("ab", ["in-force"])])
def test_after_a_truncation_the_one_before_is_in_force(trace: Trace, voters: str, expected: list[str]) -> None:
    trace.append("b", 2, "1y").config("b", 2, "ab").note("term", "b", 2).truncate("b", 2).config("b", 0, voters)

    assert trace.found == expected


@pytest.mark.parametrize(("voters", "expected"), [("abc", []), ("ab", ["in-force"])])
def test_a_snapshot_brings_the_one_of_its_index(trace: Trace, voters: str, expected: list[str]) -> None:
    """`c` gets an image of index 1, of a leader that had a later configuration in its log."""
    trace.snapshot("c", "installed", 1, 1).config("c", 1, voters)

    assert trace.found == expected


def test_a_leader_may_lead_until_its_removal_is_committed() -> None:
    trace = Trace("a", "b", "c")
    for actor in "abc":
        trace.follows(actor, 1)
    trace.leads("a", 1).replicate("abc", 1, "1x", term=1).commit("a", 1)
    trace.append("a", 2, "1y").config("a", 2, "bc").configured("a", 2, 1, "bc")
    trace.append("a", 3, "1z")
    assert trace.found == []

    trace.append("b", 2, "1y 1z").config("b", 2, "bc").sync("b", 3, 1)
    trace.append("c", 2, "1y 1z").config("c", 2, "bc").sync("c", 3, 1)
    trace.commit("a", 3)
    assert trace.found == []

    trace.append("a", 4, "1w")
    assert trace.found == ["in-force/leads-outside"]


@pytest.mark.parametrize(("committed", "expected"), [(1, []), (2, ["in-force/elected-outside"])])
def test_who_was_removed_may_win_only_while_that_is_uncommitted(
    trace: Trace, committed: int, expected: list[str]
) -> None:
    trace.append("b", 2, "1y").config("b", 2, "ab").sync("b", 2, 1)
    trace.append("c", 2, "1y").config("c", 2, "ab").sync("c", 2, 1)
    trace.commit("a", 2).commit("c", committed)

    trace.leads("c", 2)

    assert trace.found == expected


def test_a_configuration_that_only_older_logs_hold_says_nothing_of_another(trace: Trace) -> None:
    """`b` leads term 2 without the entry of `a`, and puts another configuration in its place."""
    trace.leads("b", 2).append("b", 2, "2z").config("b", 2, "bc").configured("b", 2, 2, "bc")

    assert trace.found == []


def test_a_configuration_that_a_snapshot_replaced_is_not_in_the_log(trace: Trace) -> None:
    """`c` has an uncommitted configuration, then takes an image of a history in which another entry stands there."""
    trace.append("c", 2, "1y").config("c", 2, "ab").note("term", "c", 2)
    trace.leads("b", 2).append("b", 2, "2z 2z").sync("b", 3, 2)
    trace.note("term", "a", 2).follows("a", 2).truncate("a", 2).config("a", 0, "abc").append("a", 2, "2z 2z")
    trace.sync("a", 3, 2).commit("b", 3)

    trace.snapshot("c", "installed", 3, 2).config("c", 3, "abc").note("role", "c", "candidate", 3)

    assert trace.found == []


@pytest.mark.parametrize(
    ("voters", "expected"),
    [("ab", []), ("abcd", []), ("abd", ["one-config/disjoint"]), ("a", ["one-config/disjoint"])],
)
def test_voters_change_at_once_only_where_all_majorities_overlap(voters: str, expected: list[str]) -> None:
    """Dissertation 4.1: one server at a time, or through a joint configuration."""
    trace = Trace("a", "b", "c").leads("a", 1).replicate("abc", 1, "1x", term=1).commit("a", 1)

    trace.append("a", 2, "1y").config("a", 2, voters)

    assert trace.found == expected


def test_a_new_leader_changes_voters_at_once_only_behind_an_entry_of_its_own_term() -> None:
    """The bug of single-server changes (Ongaro, raft-dev 2015): the leader before may have begun another change."""
    early = Trace("a", "b", "c").leads("a", 1).replicate("abc", 1, "1x", term=1).commit("a", 1).commit("b", 1)
    early.follows("a", 2).leads("b", 2).append("b", 2, "2y 2z").config("b", 3, "abcd")
    later = Trace("a", "b", "c").leads("a", 1).replicate("abc", 1, "1x", term=1).commit("a", 1).commit("b", 1)
    later.follows("a", 2).leads("b", 2).replicate("bc", 2, "2y", term=2).commit("b", 2)
    later.append("b", 3, "2z").config("b", 3, "abcd")

    assert early.found == ["one-config/before-own-entry"]
    assert later.found == []


@pytest.mark.parametrize(("goes_back", "expected"), [(True, []), (False, ["in-force/cut-off"])])
def test_a_configuration_that_is_cut_off_is_not_used_any_more(
    trace: Trace, goes_back: bool, expected: list[str]
) -> None:
    trace.append("b", 2, "1y").config("b", 2, "ab").note("term", "b", 2).truncate("b", 2)
    if goes_back:
        trace.config("b", 0, "abc")

    trace.append("b", 2, "2z")

    assert trace.found == expected
