"""Comparisons to look at: two campaigns over the same seeds, and what `compare` would have kept of many pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness.archive.documents import run_record
from harness.archive.index import Index
from harness.outcome import Metrics
from harness.run.drawing import Drawing
from harness.search import comparisons
from harness.search.campaign import Settings
from harness.search.compare import Answer, Comparison, Divergence, Pair, Side
from harness.search.comparisons import StoredComparison
from harness.search.suites import load
from harness.systems.binding import Binding, Code, RecordedBinding, RecordedCode
from tests.harness.outcomes import make_outcome

from .conftest import STALE, VOTES

BASE, BRANCH = "raft_impl@main", "raft_impl@my-branch"


def campaign(
    index: Index, id: str, system: str, *, failing: dict[int, str], seeds: range, latency_ms: float, elections: int = 1
) -> None:
    """A campaign of a version; `failing` are the seeds that failed, with their signatures."""
    suite, digest = load("default"), system.ljust(64, "x")
    settings = Settings(suite=suite, system=system, code_digest=digest, first=seeds[0], last=seeds[-1])
    index.begin_campaign(id, "default", settings)
    binding = RecordedBinding(codes={"default": RecordedCode(spec=system, digest=digest, commit="c0ffee" * 6)})
    metrics = Metrics(
        events=9, passes=9, delivered=12, rows=2, elections=elections, messages_per_op=12.0, converged_ms=None,
        violations={}, latency_p50_ms=latency_ms, latency_p99_ms=20.0,
    )  # fmt: skip
    with index.batch():
        for seed in seeds:
            signatures = [failing[seed]] if seed in failing else []
            outcome = make_outcome(
                seed,
                "invalid" if signatures else "valid",
                *signatures,
                binding=binding,
                metrics=metrics,
                fingerprint=f"{seed}{system}",
            )
            index.add(run_record(outcome), campaign=id, cell=0)
    index.end_campaign(id, msgspec.defstruct("Nothing", [])(), is_finished=True)


def two_campaigns(results: Path) -> None:
    """`base` over seeds 1 to 40 and `branch` over 6 to 50, which is slower and fails in a new way."""
    with Index(results) as index:
        campaign(index, "base", BASE, failing={10: VOTES}, seeds=range(1, 41), latency_ms=4.0)
        failing = {10: VOTES, 20: STALE, 30: STALE}
        campaign(index, "branch", BRANCH, failing=failing, seeds=range(6, 51), latency_ms=6.0)


def kept(
    results: Path, pairs: int = 250, *versions: str, failure: str = STALE, text: str = "n1 votes"
) -> StoredComparison:
    """What `compare main VERSION` would keep: every tenth pair fails in B alone, every seventh differs otherwise."""
    summaries = []
    for version in versions or (BRANCH,):
        codes = [Code(spec=spec, directory="", digest=spec, commit="c0ffee" * 6) for spec in (BASE, version)]
        compared = Comparison(*(Binding(codes={"default": code}) for code in codes))
        for seed in range(1, pairs + 1):
            answers: dict[Side, Answer] = {"a": _answer(seed, 4.0), "b": _answer(seed, 4.0)}
            pair = Pair(seed=seed, drawing=Drawing(), plan=None, answers=answers)
            if seed % 7 == 0:
                answers["b"] = _answer(seed, 7.0, fingerprint="e" * 64)
                pair.first_divergence = Divergence(
                    index=9, time_ns=2_500_000, a=None, b=None, a_text=text, b_text="n2 votes", why="foreshock replay x"
                )
            if seed % 10 == 0:
                answers["b"] = _answer(seed, 4.0, failure, fingerprint="f" * 64)
            compared.pairs.append(pair)
        summaries.append(compared.summary())
    return comparisons.keep(
        results, summaries, seeds=range(1, pairs + 1), workloads=("register",), profile="swarm", exit=summaries[0].exit
    )


def _answer(seed: int, latency_ms: float, *signatures: str, **changes: Any) -> Answer:
    outcome = make_outcome(seed, "invalid" if signatures else "valid", *signatures, **changes)
    measures = {
        "availability": 1.0, "latency_p50_ms": latency_ms, "latency_p99_ms": 9.0, "recovery_ms": 0.0,
        "messages_per_op": 6.0,
    }  # fmt: skip
    return Answer(record=run_record(outcome), measures=measures)
