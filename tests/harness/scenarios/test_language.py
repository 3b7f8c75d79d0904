"""The language of scenario files: what is read, what is refused, and that writing is the inverse of reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.scenarios.language import duration_ns, parse, read_terms, render, write_terms

TEXT = """\
# The title.
# More.
> nodes A B machine=counter

> c2 add n 1 at A
A appends 2 [1]

# Then:
> quietly c10 read n
> expect raft/log-matching
what is wrong
# The end.
"""


def test_rendering_the_expected_transcripts_gives_the_file_back() -> None:
    script = parse(TEXT, "t.txt")

    assert render(script, [step.expected for step in script.steps]) == TEXT


def test_a_script_knows_its_title_its_clients_and_what_it_means_to_show() -> None:
    script = parse(TEXT, "t.txt")

    assert (script.title, script.clients, script.violations) == ("The title.", ("c10", "c2"), ("raft/log-matching",))
    assert [step.line for step in script.steps] == [3, 5, 9, 10]
    assert script.steps[1].expected == ("A appends 2 [1]",)


@pytest.mark.parametrize("text", ["", "# only words\n", "> show\n", "> \n> show\n"])
def test_a_scenario_begins_with_its_nodes(text: str) -> None:
    with pytest.raises(BadInput, match="nodes"):
        parse(text, "t.txt")


@given(st.lists(st.integers(1, 9), max_size=40))
def test_terms_are_read_as_they_are_written(terms: list[int]) -> None:
    terms.sort()

    assert read_terms(write_terms(terms), "") == terms


def test_only_long_runs_of_a_term_are_counted() -> None:
    assert write_terms([1, 1, 1, 2, 2, 2, 2, 2, 2, 3]) == "1,1,1,2*6,3"
    assert write_terms([]) == ""


@pytest.mark.parametrize("text", ["2,1", "0,1", "a", "1*", "1*x", "-1"])
def test_logs_that_no_server_could_hold_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_terms(text, "here")


@pytest.mark.parametrize(("text", "expected"), [("3ns", 3), ("2us", 2_000), ("150ms", 150_000_000), ("1s", 10**9)])
def test_durations_have_units(text: str, expected: int) -> None:
    assert duration_ns(text, "") == expected


@pytest.mark.parametrize("text", ["3", "ms", "1.5s", "-1s", "1 s"])
def test_durations_without_units_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="duration"):
        duration_ns(text, "here")
