"""`foreshock compare`: the same plans on two versions of an implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final

import click
import msgspec

from harness import quantities
from harness.errors import BadInput, Exit, one_of
from harness.live.specs import runs_live
from harness.run.drawing import Drawing
from harness.search import compiling
from harness.search.compare import Answer, ComparedPair, Comparison, Summary
from harness.search.compare_page import interval_text, share_text
from harness.search.measures import MAX_REGRESSION, SIGNIFICANT, Change

from .arguments import assignment, compile_option, drawing_options, jobs_option, json_option, quantity, results_option
from .printing import coloured, print_json, print_message, print_table, progress, say, telling, wrapped

_SEEDS: Final = range(1, 101)
_MS: Final = "_ms"
_WORDS: Final = {
    Exit.VALID: "nothing speaks against B",
    Exit.INVALID: "B is worse",
    Exit.UNKNOWN: "undecided",
}


@click.command("compare")
@click.argument("ref_a", metavar="REF_A")
@click.argument("refs", metavar="REF_B...", nargs=-1, required=True)
@click.option("--seeds", type=quantity(quantities.seeds), metavar="A..B", help="Which plans.  [default: 1..100]")
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    default=("register", "counter"),
    show_default=True,
    help="What clients do; repeatable, in turn.",
)
@click.option(
    "--max-regression",
    "limits",
    type=assignment,
    multiple=True,
    metavar="METRIC=SHARE",
    help="B is worse when a metric is significantly worse by more than this: latency_p50=10%; repeatable.  "
    f"[default: {', '.join(f'{name.removesuffix(_MS)}={share:.0%}' for name, share in MAX_REGRESSION.items())}]",
)
@click.option(
    "--sequential",
    is_flag=True,
    help="Look after every pair, by tests that allow it, and stop as soon as B is worse; --seeds says the most.",
)
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a summary for a pull request.")
@drawing_options(workload=False, system=False)
@compile_option
@jobs_option
@results_option
@json_option
def command(
    ref_a: str,
    refs: tuple[str, ...],
    seeds: range | None,
    workloads: tuple[str, ...],
    limits: tuple[tuple[str, str], ...],
    sequential: bool,
    markdown: Path | None,
    drawing: Drawing,
    no_compile: bool,
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> int:
    """Run the same plans on two versions and say whether B is worse; or whether any of several others is.

    A version is a git ref, a folder that holds raft_impl, or path:DIR. Only raft_impl comes from it.

    B is worse when it fails in a way that A never does, fails significantly more often, or when a metric is worse both
    significantly (p below 0.05, corrected for the number of metrics) and by more than --max-regression.

    Example: foreshock compare main my-branch --seeds 1..500. Exit 0 when nothing speaks against B, 1 when B is worse,
    2 when undecided. With several, such as compare main one two three, each is compared with the first: 1 when any is
    worse, 2 when any is undecided.
    """
    from harness.archive.store import Archive
    from harness.search import comparisons
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts

    for ref in (ref_a, *refs):
        if runs_live(ref):
            expected = "versions of raft_impl: both run the same plans, and no two live runs are the same"
            raise BadInput(
                f"{ref}, which runs live", expected, "`foreshock suite --world live --baseline` says what is new"
            )
    if len(set(workloads)) != len(workloads):
        raise BadInput("a workload twice", "each workload once", "--workload")
    max_regression = _max_regression(limits)
    cells = [msgspec.structs.replace(drawing, workload=workload) for workload in workloads]
    chosen, summaries, answers = seeds or _SEEDS, list[Summary](), dict[bytes, Answer]()
    with Archive(results), Checkouts() as checkouts:
        a, *others = (catalog.bind(catalog.spec_of_version(ref), checkouts) for ref in (ref_a, *refs))
        first = [trial for binding in (a, *others) for trial in compiling.first_seeds(binding, cells, chosen)]
        how = compiling.code(first, telling("compiled", as_json), seeds=len(chosen), no_compile=no_compile, jobs=jobs)
        with how, progress(len(chosen) * len(others), "pairs") as advance:
            for b in others:
                comparison = Comparison(
                    a,
                    b,
                    results=results,
                    jobs=jobs,
                    max_regression=max_regression,
                    significant=SIGNIFICANT / len(others),
                    answers_of_a=answers,
                    sequential=sequential,
                )
                comparison.run(cells, chosen, advance)
                summaries.append(comparison.summary())
    if markdown is not None:
        from harness.search.compare_page import markdown as page
        from harness.search.exports import write

        write(markdown, page(summaries).encode())
    code = _together([summary.exit for summary in summaries])
    kept = comparisons.keep(results, summaries, seeds=chosen, workloads=workloads, profile=drawing.profile, exit=code)
    if as_json:
        print_json(summaries[0]) if len(summaries) == 1 else print_json({"exit": code, "comparisons": summaries})
        return code
    for position, summary in enumerate(summaries):
        if position:
            click.echo()
        _print_summary(summary)
    if len(summaries) > 1:
        click.echo()
        rows = [(one.b.spec, _WORDS[Exit(one.exit)], _why(one)) for one in summaries]
        print_table(("version", "verdict", "because of"), rows)
    say("page", f"/compare/{kept.id} of foreshock serve")
    return code


def _together(codes: Sequence[int]) -> int:
    """1 when any is worse, else 2 when any is undecided."""
    return next((code for code in (Exit.INVALID, Exit.UNKNOWN) if code in codes), Exit.VALID)


def _why(summary: Summary) -> str:
    reasons = [*(new.signature for new in summary.new_signatures), *summary.accused]
    if summary.exit == Exit.INVALID and not reasons:
        reasons = [f"only it failed in {summary.worse} pairs, only A in {summary.better}"]
    return ", ".join(reasons)


def _max_regression(limits: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Read `latency_p50=10%`, with or without the unit in the metric's name."""
    names = {name.removesuffix(_MS): name for name in MAX_REGRESSION}
    result = {}
    for name, text in limits:
        if name.removesuffix(_MS) not in names:
            raise BadInput(f"metric {name!r}", one_of(names, typed=name), "--max-regression")
        result[names[name.removesuffix(_MS)]] = _share(text)
    return result


def _share(text: str) -> float:
    try:
        return quantities.share(text, most=inf)
    except ValueError as error:
        raise BadInput(str(error), "a share of A's value, such as 10%", "--max-regression") from None


def _print_summary(summary: Summary) -> None:
    for side, version in (("A", summary.a), ("B", summary.b)):
        commit = f" (commit {version.commit[:12]})" if version.commit else ""
        say(side, f"{version.spec}{commit}")
    say(
        "pairs",
        f"{len(summary.pairs)} comparable, {summary.identical} identical, {len(summary.incomparable)} incomparable",
    )
    rows = [(*verdicts.split("/"), number) for verdicts, number in summary.verdicts.pairs.items()]
    print_table(("A", "B", "pairs"), rows)
    only = f"only B failed in {summary.worse} pairs, only A in {summary.better}"
    click.echo(f"{only}: p = {summary.p_value:.3g} (exact McNemar)")
    _print_bounds(summary)
    _print_sequential(summary)
    _print_metrics(summary.metrics)
    for new in summary.new_signatures:
        click.echo(f"\nnew in B: {coloured('invalid')} {new.signature}, seed {new.seed}")
        print_message(new.message)
        click.echo(f"    reproduce: {new.reproduce}")
    for signature in summary.gone_signatures:
        click.echo(f"no longer in B: {signature}")
    for lacking in summary.incomparable[:5]:
        options = ", ".join(f"{name}={value}" for name, value in lacking.options.items())
        click.echo(f"incomparable: seed {lacking.seed}, {lacking.side.upper()} has no {options}")
    _print_divergence(summary.pairs)
    # What looked after every pair has said above whom it accuses; the tests over all pairs decide nothing there.
    for name in summary.regressed if summary.sequential is msgspec.UNSET else ():
        change = summary.metrics[name]
        click.echo(
            f"\nworse in B: {name}, by {share_text(change.worse_by)} where {share_text(change.max_regression)} is "
            f"allowed, in {change.worse} of {change.pairs} pairs (p = {change.p_corrected:.2g}, corrected)"
        )
    say("verdict", _WORDS[Exit(summary.exit)])


def _print_bounds(summary: Summary) -> None:
    """Print what the pairs without two verdicts leave open."""
    bounds = summary.bounds
    if bounds is msgspec.UNSET or not bounds.undecided:
        return
    stands = "which changes nothing" if bounds.holds else "and whether that is significant depends on them"
    click.echo(
        f"{bounds.undecided} of {bounds.plans} plans are undecided: whatever they were, B fails on "
        f"{bounds.least:+.1%} to {bounds.most:+.1%} more of them, {stands}"
    )


def _print_sequential(summary: Summary) -> None:
    tests = summary.sequential
    if tests is msgspec.UNSET:
        return
    highest = max(tests.capital, key=lambda name: tests.capital[name])
    found = (
        f"worse by {', '.join(tests.accuses)}" if tests.accuses else f"at most {tests.capital[highest]:g}, {highest}"
    )
    click.echo(
        f"{tests.test}, looked at after each of {tests.pairs} of {tests.of} pairs: {found} "
        f"(capital {tests.capital[highest]:g}, needed {tests.needed:g})"
    )


def _print_metrics(metrics: Mapping[str, Change]) -> None:
    click.echo()
    rows = [
        (
            name,
            metric.a,
            metric.b,
            metric.better,
            metric.worse,
            share_text(metric.worse_by),
            interval_text(metric),
            float(f"{metric.p_corrected:.2g}"),
        )
        for name, metric in metrics.items()
    ]
    headings = ("median of", "A", "B", "better", "worse", "worse by", "interval", "p, corrected")
    print_table(headings, rows, droppable=("better", "A", "B"))
    for name, metric in metrics.items():
        if metric.unmeasured and metric.pairs:
            least, most = ("no bound" if end is None else share_text(end) for end in (metric.least, metric.most))
            click.echo(f"{name}: not measured in {metric.unmeasured} plans; {least} to {most}, whatever they were")


def _print_divergence(pairs: Sequence[ComparedPair]) -> None:
    diverging = [pair for pair in pairs if pair.first_divergence is not None]
    if not diverging:
        return
    first = min(diverging, key=lambda pair: (pair.a == pair.b, pair.seed))
    where = first.first_divergence
    assert where is not None
    click.echo(f"\nfirst divergence of seed {first.seed}: index {where.index}, {where.time_ns / 1e6:.3f} ms")
    for side, text in (("A", where.a_text), ("B", where.b_text)):
        for line in wrapped(f"{side}: {text}", indent="    "):
            click.echo(line)
    click.echo(f"    why: {where.why}")
