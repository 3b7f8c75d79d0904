"""When a comparison says worse, undecided or nothing against B; and which pairs it refuses to count."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import msgspec
import pytest

from checkers.op import Op, OpType
from checkers.verdict import Validity
from harness.archive.documents import run_record
from harness.errors import Exit
from harness.options import OptionSpec
from harness.record import Provenance
from harness.run.drawing import Abilities, Drawing, together
from harness.search import compare, fitting
from harness.search.compare import Answer, Comparison, Incomparable, Pair
from harness.search.measures import Change, Measures, changes, measure
from harness.search.sequential import Sequential
from harness.systems.binding import Binding, Code
from tests.harness.outcomes import make_outcome, make_plan

STALE, ELECTION = "linearizability/nonlinearizable/register/read", "raft/election-safety"
HERE = Provenance(harness="a", python="b", trio="c")


def answer(seed: int, what: str) -> Answer:
    """An answer: `valid`, `unknown`, `error`, or a signature; `~` before it: allowed."""
    if what == "error":
        return Answer(error="killed")
    signatures = [what.lstrip("~")] if "/" in what else []
    validity: Validity = "invalid" if signatures else what  # type: ignore[assignment]  # the tests write these words
    outcome = make_outcome(seed, validity, *signatures, allowed=what.startswith("~"))
    return Answer(record=run_record(outcome, made_by=HERE), measures=measure(outcome))


def comparison(*verdicts: tuple[str, str]) -> Comparison:
    codes = [Code(spec=spec, directory="", digest=spec) for spec in ("raft_impl@a", "raft_impl@b")]
    compared = Comparison(*(Binding(codes={"default": code}) for code in codes))
    for seed, (a, b) in enumerate(verdicts, 1):
        answers: dict[compare.Side, Answer] = {"a": answer(seed, a), "b": answer(seed, b)}
        compared.pairs.append(Pair(seed=seed, drawing=Drawing(), plan=make_plan(seed), answers=answers))
    return compared


GOOD = [("valid", "valid")] * 20


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (GOOD, Exit.VALID),
        ([*GOOD, ("valid", ELECTION)], Exit.INVALID),
        ([*GOOD, (STALE, STALE)], Exit.VALID),
        ([*GOOD, (STALE, "valid")], Exit.VALID),
        ([*GOOD, (STALE, STALE), ("valid", STALE)], Exit.UNKNOWN),
        ([*GOOD, (STALE, STALE), *[("valid", STALE)] * 6], Exit.INVALID),
        ([*GOOD, (STALE, STALE), *[("valid", STALE)] * 5], Exit.UNKNOWN),
        ([*GOOD, ("valid", "~" + STALE)], Exit.VALID),
        ([("valid", "unknown")] * 3 + [("valid", "valid")] * 2, Exit.UNKNOWN),
        ([("error", "valid")] * 3 + [("valid", "valid")] * 2, Exit.UNKNOWN),
        ([], Exit.UNKNOWN),
    ],
    ids=str,
)
def test_the_exit_code_says_worse_undecided_or_nothing_against_b(verdicts: list[tuple[str, str]], code: Exit) -> None:
    assert comparison(*verdicts).exit_code() == code


def test_incomparable_pairs_count_against_a_decision() -> None:
    compared = comparison(("valid", "valid"), ("valid", "valid"))
    compared.incomparable = [Incomparable(seed=seed, side="a", options={}) for seed in range(3)]

    assert compared.exit_code() == Exit.UNKNOWN


def test_a_new_signature_comes_with_a_line_that_reproduces_it() -> None:
    summary = comparison(*GOOD, (STALE, STALE), ("valid", ELECTION)).summary()

    (new,) = summary.new_signatures
    assert new.signature == ELECTION
    assert new.reproduce == "foreshock run --seed 22 --workload register --profile swarm --system raft_impl@b"
    assert new.message == f"what is wrong: {ELECTION}"
    assert summary.gone_signatures == ()


def test_the_summary_has_the_promised_keys_and_counts() -> None:
    summary = comparison(*GOOD, ("valid", STALE), (STALE, "valid"), ("unknown", "valid")).summary()

    assert {"a", "b", "pairs", "verdicts", "new_signatures", "incomparable", "p_value", "metrics"} <= set(
        summary.__struct_fields__
    )
    assert summary.verdicts.pairs == {
        "invalid/valid": 1,
        "unknown/valid": 1,
        "valid/invalid": 1,
        "valid/valid": 20,
    }
    assert (summary.worse, summary.better, summary.p_value) == (1, 1, 1.0)
    assert set(summary.pairs[0].__struct_fields__) >= {"seed", "a", "b", "identical", "first_divergence"}
    assert all(pair.identical for pair in summary.pairs)


def measured(**values: float) -> Measures:
    usual = {"availability": 1.0, "latency_p50_ms": 4.0, "latency_p99_ms": 9.0, "recovery_ms": 0.0}
    return {**usual, "throughput": 80.0, "elections": 1.0, "messages_per_op": 6.0, "fsyncs_per_op": 3.0, **values}


@pytest.mark.parametrize(
    ("pairs", "regressed"),
    [
        ([({}, {})] * 40, ()),
        ([({}, {"latency_p50_ms": 6.7})] * 37 + [({}, {"latency_p50_ms": 3.0})] * 3, ("latency_p50_ms",)),
        ([({}, {"latency_p50_ms": 4.2})] * 40, ()),  # significant, and only 5 %
        ([({}, {"latency_p50_ms": 6.7})] * 6, ()),  # relevant; 6 coins fall alike once in 32, and there are 5 metrics
        ([({}, {"latency_p50_ms": 2.0})] * 40, ()),
        ([({}, {"availability": 0.8})] * 12 + [({}, {})] * 28, ("availability",)),
        ([({}, {"availability": 0.999})] * 40, ()),
        ([({}, {"recovery_ms": 20.0})] * 40, ("recovery_ms",)),  # of nothing, anything is an infinite share
        ([({}, {"recovery_ms": 20.0})] * 19 + [({}, {})] * 21, ()),
    ],
    ids=["equal", "latency", "too little", "too few", "better", "availability", "a thousandth", "from 0", "half"],
)
def test_a_metric_regresses_when_it_is_significantly_and_relevantly_worse(
    pairs: list[tuple[dict[str, float], dict[str, float]]], regressed: tuple[str, ...]
) -> None:
    found = changes([measured(**a) for a, _ in pairs], [measured(**b) for _, b in pairs])

    assert tuple(name for name, change in found.items() if change.regressed) == regressed


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([*GOOD], (0, 0.0, 0.0, True)),
        ([*GOOD, ("valid", "unknown")], (1, 0.0, 1 / 21, True)),
        ([*GOOD, ("unknown", "valid")], (1, -1 / 21, 0.0, True)),
        ([*GOOD, ("unknown", "error")], (1, -1 / 21, 1 / 21, True)),
        ([*GOOD, (STALE, "unknown")], (1, -1 / 21, 0.0, True)),  # A failed: B can only be as bad
        ([*GOOD, *[("valid", "unknown")] * 6], (6, 0.0, 6 / 26, False)),  # six failures would be significant
        ([*GOOD, *[("valid", STALE)] * 8, ("unknown", "valid")], (1, 7 / 29, 8 / 29, True)),
        ([*GOOD, *[("valid", STALE)] * 6, ("unknown", "valid")], (1, 5 / 27, 6 / 27, False)),
    ],
    ids=str,
)
def test_pairs_without_two_verdicts_bound_what_can_be_said(
    verdicts: list[tuple[str, str]], expected: tuple[int, float, float, bool]
) -> None:
    bounds = comparison(*verdicts).summary().bounds

    assert bounds is not msgspec.UNSET
    assert (bounds.undecided, bounds.least, bounds.most, bounds.holds) == (
        expected[0],
        pytest.approx(expected[1], abs=1e-4),
        pytest.approx(expected[2], abs=1e-4),
        expected[3],
    )


def test_an_incomparable_plan_may_have_been_anything() -> None:
    compared = comparison(*GOOD)
    compared.incomparable = [Incomparable(seed=30, side="a", options={})]

    bounds = compared.summary().bounds

    assert bounds is not msgspec.UNSET
    assert (bounds.least, bounds.most) == (pytest.approx(-1 / 21, abs=1e-4), pytest.approx(1 / 21, abs=1e-4))


def test_what_was_not_measured_bounds_the_effect() -> None:
    """Of five pairs that are worse by 0 to 40 %, the median is 20 %; with two more it is one of its neighbours."""
    a = [measured() for _ in range(5)] + [measured(), {}]
    b = [measured(latency_p50_ms=4.0 * (1 + share)) for share in (0.0, 0.1, 0.2, 0.3, 0.4)] + [{}, measured()]

    found = changes(a, b)
    nothing_known = changes(a[:1], b[:1], unrun=1)

    latency = found["latency_p50_ms"]
    assert (latency.worse_by, latency.unmeasured, latency.least, latency.most) == (0.2, 2, 0.1, 0.3)
    assert (found["availability"].least, found["availability"].most) == (round(-2 / 7, 4), round(2 / 7, 4))
    assert (nothing_known["latency_p50_ms"].least, nothing_known["latency_p50_ms"].most) == (None, None)


def test_a_sequential_comparison_stops_at_the_pair_that_suffices_in_the_order_of_seeds() -> None:
    compared = comparison(*GOOD)
    compared._sequential = tests = Sequential(compared._max_regression, 0.05)
    for pair in compared.pairs:
        worse = {**pair.answers["b"].measures, "messages_per_op": 24.0}
        pair.answers["b"] = msgspec.structs.replace(pair.answers["b"], measures=worse)
    late = compared.pairs[2].answers.pop("b")

    compared._look()
    waited = tests.pairs
    compared.pairs[2].answers["b"] = late
    compared._look()

    assert waited == 2  # the third has no answer yet, whatever came after it
    assert (tests.pairs, tests.accuses) == (10, ("messages_per_op",))
    assert compared.exit_code() == Exit.INVALID
    summary = compared.summary()
    assert summary.sequential is not msgspec.UNSET
    assert summary.sequential.accuses == ("messages_per_op",)


def test_a_summary_resamples_its_metrics_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(a: Sequence[Measures], *others: Any, **named: Any) -> dict[str, Change]:
        asked.append(len(a))
        return changes(a, *others, **named)

    monkeypatch.setattr(compare, "changes", counted)
    compared = comparison(*GOOD)
    summary = compared.summary()

    assert asked == [len(GOOD)]
    assert summary.exit == compared.exit_code() == Exit.VALID


def test_only_pairs_that_part_have_a_command_that_shows_where() -> None:
    compared = comparison(*GOOD)
    there = compared.pairs[-1].answers["b"]
    assert there.record is not None
    other = msgspec.structs.replace(there.record, fingerprint="f" * 64)
    compared.pairs[-1].answers["b"] = msgspec.structs.replace(there, record=other)

    *same, parted = compared.summary().pairs

    assert {pair.why for pair in same} == {""}
    assert parted.why.startswith("foreshock replay ")


def test_a_regressed_metric_decides_against_b_and_the_threshold_is_the_callers() -> None:
    compared = comparison(*GOOD)
    for pair in compared.pairs:
        answer_of_b = pair.answers["b"]
        latency = (answer_of_b.measures["latency_p50_ms"] or 0) * 1.5
        pair.answers["b"] = msgspec.structs.replace(
            answer_of_b, measures={**answer_of_b.measures, "latency_p50_ms": latency}
        )

    summary = compared.summary()
    compared._max_regression["latency_p50_ms"] = 0.6

    assert (summary.exit, summary.regressed) == (Exit.INVALID, ("latency_p50_ms",))
    assert summary.metrics["latency_p50_ms"].worse_by == 0.5
    assert (compared.exit_code(), compared.summary().regressed) == (Exit.VALID, ())


def option(name: str, default: Any, neutral: Any) -> OptionSpec:
    return OptionSpec(name=name, type="word", default=default, neutral=neutral)


def able(*options: OptionSpec) -> Abilities:
    return Abilities(workloads=("register",), fault_kinds=("crash",), options=options)


@pytest.mark.parametrize(
    ("value", "default", "missing", "options_a", "options_b"),
    [
        ("off", "off", [], {}, {}),
        ("off", "on", [], {"cache": "off"}, {}),
        ("on", "off", ["cache"], None, None),
    ],
)
def test_code_that_lacks_an_option_runs_its_neutral_value_only(
    value: str, default: str, missing: list[str], options_a: dict[str, str] | None, options_b: dict[str, str] | None
) -> None:
    """Where the neutral value is also the default, both sides run the very same plan and may be identical."""
    sides: dict[compare.Side, Abilities] = {"a": able(option("cache", default, "off")), "b": able()}
    plan = make_plan(1, options={"cache": value})

    both = together(sides.values())
    assert fitting.missing(plan, sides["b"], both) == missing
    assert fitting.missing(plan, sides["a"], both) == []
    if not missing:
        assert compare._without_absent(plan, sides, "a").options == options_a
        assert compare._without_absent(plan, sides, "b").options == options_b


def test_latency_counts_from_when_an_op_was_due() -> None:
    measured = measure(make_outcome(1))

    assert measured["latency_p50_ms"] == 9 / 1e6
    assert measured["availability"] == 1.0
    assert measured["messages_per_op"] == 12


def test_an_op_without_an_answer_is_censored_where_it_was_given_up() -> None:
    """One ok op after 9 ns, and one that was never begun: the median is known, the 99th percentile is not."""
    answered = make_outcome(1)
    program = answered.plan.programs[0]
    unanswered = msgspec.structs.replace(program.ops[0], id=99)
    plan = msgspec.structs.replace(
        answered.plan, programs=(msgspec.structs.replace(program, ops=(*program.ops, unanswered)),)
    )

    measured = measure(msgspec.structs.replace(answered, plan=plan))

    assert (measured["availability"], measured["latency_p50_ms"]) == (0.5, 9 / 1e6)
    assert measured["latency_p99_ms"] == inf


def test_a_pair_tells_something_when_a_quantile_is_out_of_sight_on_one_side_only() -> None:
    pairs = [({"latency_p99_ms": inf}, {"latency_p99_ms": inf})] * 3
    pairs += [({}, {"latency_p99_ms": inf})] * 12 + [({"latency_p99_ms": inf}, {})]

    found = changes([measured(**a) for a, _ in pairs], [measured(**b) for _, b in pairs])["latency_p99_ms"]

    assert (found.pairs, found.better, found.worse, found.unmeasured) == (13, 1, 12, 3)
    assert (found.worse_by, found.regressed) == (inf, True)


@pytest.mark.parametrize(
    ("type", "error", "available", "is_known"),
    [
        ("ok", None, 1.0, True),
        ("fail", "precondition-failed", 1.0, True),
        ("fail", "no-leader", 0.5, False),
        ("info", "timeout", 0.5, False),
    ],
)
def test_the_objects_own_no_is_an_answer(type: OpType, error: str | None, available: float, is_known: bool) -> None:
    outcome = make_outcome(1)
    program = outcome.plan.programs[0]
    second = msgspec.structs.replace(program.ops[0], id=99)
    plan = msgspec.structs.replace(
        outcome.plan, programs=(msgspec.structs.replace(program, ops=(program.ops[0], second)),)
    )
    last = outcome.history[-1]
    invoke = Op(index=90, time=last.time + 1, process=last.process, type="invoke", f="cas", value=(1, 2))
    ended = Op(index=91, time=last.time + 8, process=last.process, type=type, f="cas", value=(1, 2), error=error)
    outcome = msgspec.structs.replace(
        outcome, plan=plan, history=(*outcome.history, invoke, ended), resolved_options={"client_timeout_ms": 500}
    )

    measured = measure(outcome)

    assert measured["availability"] == available
    assert (measured["latency_p99_ms"] != inf) == is_known


def test_what_the_first_version_made_of_a_plan_is_asked_once() -> None:
    """A second comparison with it, over the same plans, leaves its workers nothing to do."""
    answers = {make_plan(1).to_json(): answer(1, "valid")}
    compared = Comparison(
        *(Binding(codes={"default": Code(spec=s, directory="", digest=s)}) for s in "ab"), answers_of_a=answers
    )
    compared.pairs = [Pair(seed=seed, drawing=Drawing(), plan=make_plan(seed), answers={}) for seed in (1, 2)]
    abilities: dict[compare.Side, Abilities] = {"a": able(), "b": able()}

    asked = {side: [task.seed for task in compared._tasks(side, abilities)] for side in compare.SIDES}

    assert asked == {"a": [2], "b": [1, 2]}
    assert compared.pairs[0].answers == {"a": answers[make_plan(1).to_json()]}


def test_what_is_significant_for_one_version_may_not_be_for_several() -> None:
    verdicts = [*GOOD, (STALE, STALE), *[("valid", STALE)] * 6]
    alone, among_several = comparison(*verdicts), comparison(*verdicts)
    among_several._significant = 0.05 / 4

    assert (alone.exit_code(), among_several.exit_code()) == (Exit.INVALID, Exit.UNKNOWN)
