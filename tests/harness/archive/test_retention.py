"""Which folders a rule lets go: the old and the many, but never the last examples of a signature."""

from __future__ import annotations

import pytest

from harness.archive.retention import Kept, Rule, doomed, read_rule
from harness.errors import BadInput

DAY_NS = 86_400_000_000_000


def kept(day: int, signature: str | None = "s", *, size: int = 10, ops: int = 100) -> Kept:
    return Kept(run=f"r{day}", recorded=f"2026-11-{day:02}", signature=signature, size=size, ops=ops)


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        (Rule(age_ns=1, per_signature=0), [1, 2, 3]),
        (Rule(age_ns=1, per_signature=2), [1, 3]),  # the newest two are 4 and 5; 2 has the fewest ops
        (Rule(size_bytes=20, per_signature=0), [1, 2, 3]),
        (Rule(size_bytes=20, per_signature=1), [1, 3, 4]),
        (Rule(size_bytes=0, per_signature=9), []),
        (Rule(size_bytes=1000), []),
    ],
    ids=str,
)
def test_a_rule_lets_the_oldest_go_but_keeps_examples(rule: Rule, gone: list[int]) -> None:
    folders = [kept(day, ops=5 if day == 2 else 100) for day in (5, 3, 1, 4, 2)]

    going = doomed(folders, rule, "2026-11-04" if rule.age_ns else None)

    assert [one.run for one in going] == [f"r{day}" for day in gone]


def test_runs_without_a_signature_are_not_kept_as_examples() -> None:
    assert [one.run for one in doomed([kept(1, None), kept(2)], Rule(size_bytes=0), None)] == ["r1"]


def test_a_rule_is_read_as_it_is_typed() -> None:
    assert read_rule("age=30d, size=2GiB,per-signature=5") == Rule(
        age_ns=30 * DAY_NS, size_bytes=2 << 30, per_signature=5
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("age", "'' is no duration"),
        ("ages=3d", "rule 'ages'"),
        ("size=big", "'big' is no size"),
        ("per-signature=-1", "a rule that"),
        ("per-signature=3", "a rule that lets everything stay"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(text: str, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_rule(text)

    assert caught.value.found.startswith(found) or "no number of runs" in caught.value.found
