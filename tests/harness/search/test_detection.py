"""What a search for planted bugs amounts to, from the answers of its runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.errors import BadInput, Exit
from harness.run.drawing import Drawing
from harness.search.detection import (
    FOUND,
    NEVER_REACHED,
    NOT_JUDGED,
    ONLY_SLOWER,
    Answer,
    Ledger,
    Search,
    Unmutated,
    exit_code,
    report,
    search_one,
)
from harness.search.mutants import Mutant
from harness.search.statistics import wilson
from harness.systems.binding import Binding, Code

SEEDS = range(1, 11)


def binding(digest: str) -> Binding:
    return Binding(codes={"default": Code(spec="raft_impl", directory="", digest=digest)})


def answer(seed: int, signature: str | None = None, fingerprint: str = "plain") -> Answer:
    return Answer(
        seed=seed,
        workload="counter",
        signature=signature,
        fingerprint=fingerprint,
        simulated_seconds=2.0,
        wall_seconds=0.5,
    )


def searched(*answers: Answer, harmless: str = "", missed: str = "") -> Search:
    patch = Path("m.patch")
    mutant = Mutant(name="m", source="here", expect="raft/", patch=patch, harmless=harmless, missed=missed)
    search = Search(mutant=mutant, binding=binding("mutated"), answers={}, errors={})
    for one in answers:
        search.add(one)
    return search


@pytest.fixture(name="unmutated")
def _unmutated() -> Unmutated:
    plain = Unmutated(binding("plain"))
    plain.answers = {("counter", seed): answer(seed) for seed in SEEDS}
    return plain


def test_over_all_seeds_runs_are_counted_by_whether_the_bug_acted_and_whether_it_was_judged(
    unmutated: Unmutated,
) -> None:
    wrong = [answer(4, "raft/x", "a"), answer(6, "liveness/y", "b"), answer(9, "raft/x", "c")]
    silent = [answer(2, fingerprint="d"), answer(7, fingerprint="e")]
    search = searched(*wrong, *silent, *(answer(seed) for seed in (1, 3, 5, 8, 10)))

    told = report(search, SEEDS, unmutated, all_seeds=True)

    assert (told.seeds_tried, told.acted, told.wrong) == (10, 5, 3)
    assert (told.rate_low, told.rate_high) == (0.1078, 0.6032)
    assert (told.seed, told.signature, told.oracle, told.as_expected) == (4, "raft/x", "raft", True)
    assert told.signatures == {"raft/x": 2, "liveness/y": 1}
    assert (told.simulated_seconds, told.wall_seconds) == (8.0, 2.0)  # of the four runs to the first failing one
    assert told.state == FOUND


def test_until_the_first_failure_later_runs_do_not_count(unmutated: Unmutated) -> None:
    """Other workers may have made them, and how many depends on their number."""
    search = searched(answer(1), answer(2, "raft/x"), answer(3, "raft/x"), answer(4))

    told = report(search, SEEDS, unmutated)

    assert (told.seeds_tried, told.wrong, told.seed) == (2, 1, 2)


@pytest.mark.parametrize(("fingerprint", "state"), [("plain", NEVER_REACHED), ("other", NOT_JUDGED)])
def test_a_bug_that_is_not_found_was_never_reached_or_not_judged(
    unmutated: Unmutated, fingerprint: str, state: str
) -> None:
    search = searched(*(answer(seed, fingerprint=fingerprint if seed == 3 else "plain") for seed in SEEDS))

    assert report(search, SEEDS, unmutated).state == state


@pytest.mark.parametrize(
    ("headers", "signature", "code"),
    [
        ({}, "raft/x", Exit.VALID),
        ({}, None, Exit.INVALID),
        ({"harmless": "nobody asks"}, None, Exit.VALID),
        ({"missed": "a longer queue"}, None, Exit.VALID),
        ({"missed": "a longer queue"}, "raft/x", Exit.VALID),
    ],
    ids=["found", "missed", "harmless", "a known gap", "a gap that is closed"],
)
def test_a_search_fails_by_what_is_missed_and_is_no_known_gap(
    headers: dict[str, str], signature: str | None, code: Exit
) -> None:
    other = report(searched(answer(1, "raft/x")), range(1, 2))

    assert exit_code([report(searched(answer(1, signature), **headers), range(1, 2)), other]) == code


def timed(seed: int, elections: float, latency: float, fingerprint: str = "plain") -> Answer:
    measures = {"elections": elections, "latency": latency}
    return msgspec.structs.replace(answer(seed, fingerprint=fingerprint), measures=measures)


@pytest.mark.parametrize(
    ("elections", "latency", "expected"),
    [
        ((3.0, 3.0), 10.0, {"elections": 0.5}),
        ((2.0, 2.0), 10.1, {}),
        ((9.0, 1.0), 10.0, {}),
    ],
    ids=["always and much", "always, by a hundredth", "much, as often better as worse"],
)
def test_what_is_only_slower_is_named_by_what_grew(
    unmutated: Unmutated, elections: tuple[float, float], latency: float, expected: dict[str, float]
) -> None:
    seeds = range(1, 41)
    unmutated.answers = {("counter", seed): timed(seed, 2.0, 10.0) for seed in seeds}
    search = searched(*(timed(seed, elections[seed % 2], latency, "other") for seed in seeds))

    told = report(search, seeds, unmutated)

    assert told.slower == expected
    assert told.state == (ONLY_SLOWER if expected else NOT_JUDGED)


def test_nothing_is_called_slower_by_a_few_runs_or_where_a_run_failed(unmutated: Unmutated) -> None:
    unmutated.answers = {("counter", seed): timed(seed, 2.0, 10.0) for seed in range(1, 41)}
    few = searched(*(timed(seed, 9.0, 90.0, "other") for seed in range(1, 9)))
    found = searched(*(timed(seed, 9.0, 90.0, "other") for seed in range(1, 40)), answer(40, "raft/x", "other"))

    assert report(few, range(1, 9), unmutated).slower == {}
    assert report(found, range(1, 41), unmutated).slower == {}


def test_a_ledger_answers_for_the_same_code_and_plan_only(tmp_path: Path) -> None:
    path = tmp_path / "mutants.jsonl"
    mutated, other, drawing = binding("mutated"), binding("other"), Drawing(workload="counter", system="patch:m.patch")
    with Ledger(path) as ledger:
        ledger.add(mutated, drawing, answer(3, "raft/x"))

    with Ledger(path, resume=True) as ledger:
        assert ledger.get(mutated, Drawing(workload="counter", system="patch:moved.patch"), 3) == answer(3, "raft/x")
        assert ledger.get(mutated, drawing, 4) is None
        assert ledger.get(other, drawing, 3) is None
        assert ledger.get(mutated, Drawing(workload="register"), 3) is None
    with Ledger(path) as ledger:
        assert ledger.get(mutated, drawing, 3) is None


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_the_interval_of_a_share_stays_within_0_and_1(hits: int, runs: int, low: float, high: float) -> None:
    """Figures of Newcombe 1998 and of statsmodels' `proportion_confint(method="wilson")`."""
    assert wilson(hits, runs) == pytest.approx((low, high), abs=5e-5)


def test_a_memory_budget_holds_for_a_canary_too() -> None:
    mutant = Mutant(name="m", source="here", expect="raft/", patch=Path("m.patch"))

    with pytest.raises(BadInput, match="a memory budget of 1 MiB"):
        search_one(mutant, binding("mutated"), [Drawing()], 1, jobs=1, memory_bytes_max=1 << 20)
