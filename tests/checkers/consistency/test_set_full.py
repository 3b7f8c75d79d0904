"""The fate of each element of a set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checkers.consistency import set_full
from checkers.history import History

Make = Callable[[str], History]


@pytest.mark.parametrize(
    ("text", "fates"),
    [
        ("a1 s1", {"stable": 1}),
        ("a1 a2 s12 s12", {"stable": 2}),
        ("(p a1 p? s s1", {"stable": 1}),
        ("s a1 s1", {"stable": 1}),
        ("(p a1 s s1 p)", {"stable": 1}),
        ("(p s a1 p) s1", {"stable": 1}),
        ("a1 s1 (p a2 p! s1", {"stable": 1}),
        ("a1 s1 a2", {"stable": 1, "never-read": 1}),
    ],
)
def test_sets_that_keep_what_they_were_given(history: Make, text: str, fates: dict[str, int]) -> None:
    verdict = set_full.check(history(text))

    assert verdict.validity == "valid"
    assert {fate: verdict.details[fate] for fate in set_full.FATES if verdict.details[fate]} == fates


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a1 s", ["lost"]),
        ("a1 s1 s", ["lost"]),
        ("a1 a2 s12 s2", ["lost"]),
        ("(p a1 p? s1 s", ["lost"]),
        ("a1 s s1", ["stale"]),
        ("a1 s12", ["phantom"]),
        ("a1 (p a2 p! s12", ["revived"]),
        ("a1 s11", ["duplicate"]),
        ("a1 a2 s2 s21 s1", ["stale", "lost"]),
    ],
)
def test_what_is_wrong_is_named(history: Make, text: str, kinds: list[str]) -> None:
    verdict = set_full.check(history(text))

    assert verdict.validity == "invalid"
    assert [anomaly.kind for anomaly in verdict.anomalies] == kinds


def test_late_elements_may_be_forgiven_and_their_latency_is_measured(history: Make) -> None:
    """Known at line 1, missed by the read of lines 2 and 3, there from the read invoked at line 4 on."""
    verdict = set_full.check(history("a1 s s1 s1"), linearizable=False)

    assert verdict.validity == "valid"
    assert (verdict.details["stale"], verdict.details["stable_latency_ms"]["max"]) == (1, 3.0)


def test_a_loss_is_explained_by_the_lines_that_prove_it(history: Make) -> None:
    (anomaly,) = set_full.check(history("a1 a2 s12 s2")).anomalies

    assert anomaly.message == (
        "lost: 1. 1 was known to be in the set at index 1; the read of indexes 6 to 7 has not got it"
    )
    assert (anomaly.index, anomaly.evidence["elements"]) == (7, [1])


def test_nothing_read_proves_nothing(history: Make) -> None:
    assert set_full.check(history("a1 a2")).validity == "unknown"
