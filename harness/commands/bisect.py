"""`foreshock bisect`: the first commit on which a plan fails."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness import quantities
from harness.errors import BadInput, one_of

from .arguments import jobs_option, json_option, quantity, results_option, run_timeout_option
from .printing import print_json, print_table, say
from .reading import read_run

if TYPE_CHECKING:
    from harness.search.bisect import Wanted
    from harness.search.bisected import Report
    from harness.systems.commits import Commit

_CANDIDATES_SHOWN: Final = 10


@click.command("bisect")
@click.argument("good", metavar="GOOD")
@click.argument("bad", metavar="BAD")
@click.option("--run", metavar="RUN", help="The stored run whose plan is replayed, and whose signature is wanted.")
@click.option("--plan", type=click.Path(path_type=Path), metavar="FILE", help="The plan to replay.")
@click.option(
    "--signature", metavar="SIGNATURE", help="What makes a run bad, or its first parts.  [default: that of the run]"
)
@click.option(
    "--metric",
    metavar="NAME[=SHARE]",
    help="A run is bad when this is worse than of GOOD by more than SHARE: latency_p50=10%.  "
    "[default: half way to BAD]",
)
@click.option(
    "--runs",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Up to N schedules of the plan on each commit, for a failure that does not show in every run; 1: each run is "
    "believed.",
)
@click.option(
    "--confidence",
    type=quantity(quantities.share),
    default="95%",
    show_default=True,
    metavar="SHARE",
    help="With --runs: stop when one commit is this probable.",
)
@run_timeout_option("A commit whose run takes longer is skipped.  [default: 5m]")
@jobs_option
@results_option
@json_option
def command(
    good: str,
    bad: str,
    run: str | None,
    plan: Path | None,
    signature: str | None,
    metric: str | None,
    runs: int,
    confidence: float,
    run_timeout: int | None,
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> int:
    """Find the first bad commit between two refs by replaying one plan on them.

    Only raft_impl comes from a commit. Commits that cannot run the plan are skipped, and named. With --runs, commits
    are weighed by how often they fail, and the answer says how sure it is. Every run is remembered in the results
    folder: the same command goes on after it was stopped.

    Example: foreshock bisect v1.2 HEAD --run latest. Exit 0 with one commit, 2 when several are possible, 254 when GOOD
    fails as well, or BAD does not.
    """
    from harness.archive.store import Archive
    from harness.search import bisect, bisected
    from harness.search.executors import SECONDS_MAX
    from harness.systems.catalog import own_package
    from harness.systems.checkouts import Checkouts, repository
    from harness.systems.commits import line

    if (run is None) == (plan is None):
        raise BadInput("both --run and --plan" if run else "no plan", "--run RUN or --plan FILE", "foreshock bisect")
    if signature is not None and metric is not None:
        raise BadInput("both --signature and --metric", "one of them", "foreshock bisect")
    if not 0.5 < confidence < 1:
        raise BadInput(f"--confidence {confidence:g}", "a share above 50% and below 100%", "foreshock bisect")
    stored = read_run(run if run is not None else str(plan), results)
    if stored.record is not None:
        bisect.require_one_version({label: code.spec for label, code in stored.record.binding.codes.items()})
        if signature is None and metric is None:
            signature = stored.record.failure_signature if stored.record.is_failure else None
    top = repository(own_package(), good)
    with Archive(results) as archive, Checkouts() as checkouts:
        search = bisect.Search(
            stored.plan,
            line(top, good, bad),
            checkouts,
            results,
            wanted=_wanted(signature, metric),
            runs_max=runs,
            confidence=confidence,
            jobs=jobs,
            seconds_max=SECONDS_MAX if run_timeout is None else run_timeout / 1e9,
            told=(lambda _: None) if as_json else lambda text: click.echo(text, err=True),
        )
        try:
            found = search.run()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on") from None
        kept = bisected.keep_run(search, found, checkouts, archive)
    report = bisected.report(search, found, kept)
    if as_json:
        print_json(report)
    else:
        _print(report)
    return report.exit


def _wanted(signature: str | None, metric: str | None) -> Wanted:
    from harness.search.bisect import Wanted
    from harness.search.measures import LOWER_IS_BETTER

    if metric is None:
        return Wanted(signature=signature)
    name, equals, text = metric.partition("=")
    names = {name.removesuffix("_ms"): name for name in LOWER_IS_BETTER}
    if name.removesuffix("_ms") not in names:
        raise BadInput(f"metric {name!r}", one_of(names, typed=name), "--metric")
    try:
        share = quantities.share(text, most=inf) if equals else None
    except ValueError as error:
        raise BadInput(str(error), "a share of the value of GOOD, such as 10%", "--metric") from None
    return Wanted(metric=names[name.removesuffix("_ms")], share=share)


def _print(report: Report) -> None:
    same = report.commits - report.changes
    unchanged = f"; {same} more leave the code as it was" if same else ""
    say("commits", f"{report.changes} from {report.good[:10]} to {report.bad[:10]}{unchanged}")
    limit = "" if report.limit is None else f" beyond {report.limit:.4g}"
    say("wanted", f"{report.wanted}{limit}")
    _print_judged(report)
    click.echo()
    if report.first_bad is not None:
        _print_commit("first bad", report.first_bad)
        sure = "each run was believed; --runs 20 says how sure that is"
        if report.confidence is not None:
            sure = f"{report.confidence:.1%}, if one commit changed how often the plan fails"
        say("confidence", sure)
        if report.first_bad.is_merge:
            short = report.first_bad.short
            say("", f"a merge: foreshock bisect {short}^1 {short}^2 looks into what it brought")
    else:
        say("first bad", f"one of {len(report.candidates)}: the others were skipped, or told apart by no run")
        for commit in report.candidates[:_CANDIDATES_SHOWN]:
            _print_commit("", commit)
        if len(report.candidates) > _CANDIDATES_SHOWN:
            say("", f"and {len(report.candidates) - _CANDIDATES_SHOWN} more, with --json")
    say("runs", f"{report.runs} on {len(report.judged)} commits")
    if report.reproduce is not None:
        say("reproduce", report.reproduce, whole=True)


def _print_judged(report: Report) -> None:
    """List the commits that were run, in their order, with what they showed."""
    click.echo()
    rows = []
    for one in report.judged:
        said = f"skipped: {one.skipped}" if one.skipped else "good" if not one.bad else "bad"
        if not one.skipped and one.runs > 1:
            said = f"{one.bad} of {one.runs} bad"
        value = [] if report.limit is None else [None if one.value is None else round(one.value, 3)]
        rows.append((one.commit[:10], *value, one.subject, said))
    metric = [] if report.limit is None else [report.wanted]
    print_table(("commit", *metric, "subject", "runs"), rows)


def _print_commit(label: str, commit: Commit) -> None:
    say(label, f"{commit.short} {commit.subject}")
    say("", f"by {commit.author}, {commit.date[:10]}")
