"""Exports of a campaign: JUnit for continuous integration, Markdown for people.

JUnit has dialects and no standard; junitparser writes the counters and the order of elements that readers expect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.archive.index import IndexedRun
from harness.errors import BadInput
from harness.record import ErrorRecord, RunRecord

from .campaign import Failure, SmallFailure, Summary
from .known import Known, reason_of


def junit(
    suite_name: str,
    runs: Iterable[IndexedRun],
    known: Sequence[Known] = (),
    command: Callable[[int], str] | None = None,
) -> bytes:
    """Write a test case a seed. `command` says which line has the run of a seed again; it stands below a failure.

    Failure for a violation, error for our own bug, skipped with the reason for what does not fail the suite: known and
    allowed failures, and unknown verdicts.
    """
    try:
        from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
    except ImportError:
        raise BadInput("no package junitparser", "pip install 'foreshock[ci]'", "--junit") from None

    suite = TestSuite(f"foreshock {suite_name}")
    for run in sorted(runs, key=lambda run: run.seed):
        record = run.record()
        seconds = record.wall_seconds if isinstance(record, RunRecord) else 0.0
        case = TestCase(f"seed {run.seed}", f"{run.workload}.{run.profile}", seconds)
        if isinstance(record, ErrorRecord):
            case.result = [_result(Error, "internal error", record.error)]
        else:
            again = "" if command is None else f"reproduce: {command(run.seed)}"
            text = "\n\n".join([*(anomaly.message for anomaly in record.anomalies), run.path or "", again]).strip()
            reason = reason_of(record, known) if record.is_failure else None
            if reason is not None:
                case.result = [_result(Skipped, f"known: {record.failure_signature}: {reason}", text)]
            elif record.is_failure:
                case.result = [_result(Failure, record.failure_signature or "invalid", text)]
            elif record.verdict != "valid":
                word = f"allowed: {run.signature}" if run.allowed else f"unknown: {record.reason}"
                case.result = [_result(Skipped, word, text)]
        suite.add_testcase(case)
    report = JUnitXml()
    report.add_testsuite(suite)
    content: bytes = report.tostring()  # type: ignore[no-untyped-call]  # junitparser has partial types
    return content


def markdown(summary: Summary) -> str:
    """Write what a pull request should say."""
    verdicts = ", ".join(f"{number} {word}" for word, number in summary.runs.items() if number)
    lines = [
        f"## Foreshock: {summary.suite}",
        "",
        f"{sum(summary.runs.values())} runs: {verdicts}. {summary.simulated_seconds:.0f} s {summary.world} in "
        f"{summary.wall_seconds:.0f} s. Campaign `{summary.campaign}`.",
    ]
    left = summary.unbegun
    if not left.is_nothing:
        number = "Seeds without end" if left.seeds is None else f"{left.seeds} seeds"
        why = f" ({left.spent})" if left.spent else ""
        lines += ["", f"**{number} were not begun**{why}: `foreshock suite --resume {summary.campaign}`"]
    lines += [
        f"\nCell {stopped.cell} ({stopped.workload} under {stopped.profile}) was stopped: seeds "
        f"{', '.join(map(str, stopped.hung))} hung."
        for stopped in left.stopped_cells
    ]
    missed = [canary for canary in summary.canaries if not canary.found]
    lines += [f"\n**The planted bug `{one.name}` was missed** in {one.seeds_tried} seeds." for one in missed]
    lines += [
        f"\nKnown until {one.expires}, and news again: `{one.signature}` ({one.text})." for one in summary.expired
    ]
    if summary.failures:
        lines += ["", "| signature | runs | | again |", "| --- | ---: | --- | --- |"]
        lines += [
            f"| `{failure.signature}` | {failure.runs} | {_status(failure, summary)} | `{_cell(failure.reproduce)}` |"
            for failure in summary.failures
        ]
        lines += _again([failure for failure in summary.failures if failure.is_news])
        lines += [_shrunk(failure, failure.small) for failure in summary.failures if failure.small is not msgspec.UNSET]
    if summary.unknown:
        lines += ["", "### Unknown", ""]
        lines += [f"- {_cell(unknown.reason)}: `{unknown.reproduce}`" for unknown in summary.unknown]
    if summary.errors:
        lines += ["", "### Internal errors", ""]
        lines += [f"- {_cell(_last(error.error))}: `{error.reproduce}`" for error in summary.errors]
    if summary.baseline is not msgspec.UNSET:
        lines += ["", f"### Since `{summary.baseline.campaign}`", ""]
        for word, signatures in summary.since.items():
            lines += [f"- {word}: `{signature}`" for signature in signatures]
    return "\n".join(lines) + "\n"


def write(path: Path, content: bytes) -> None:
    """Write an export. Raises BadInput when the file cannot be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadInput(f"a file that cannot be written ({error.strerror})", "a writable path", str(path)) from None


def _result(kind: Any, message: str, text: str) -> Any:
    result = kind(message)
    result.text = text
    return result


def _shrunk(failure: Failure, small: SmallFailure) -> str:
    size = f"{small.faults} faults, {small.ops} ops, {small.nodes} nodes"
    return f"\n`{failure.signature}` shrunk to {size}: run `{small.run}`, test `{small.test}`"


def _again(news: Sequence[Failure]) -> list[str]:
    """One line for each failure that has it again, to be copied."""
    if not news:
        return []
    lines = [f"{failure.reproduce}  # {failure.signature}" for failure in news]
    return ["", "Again:", "", "```sh", *lines, "```"]


def _status(failure: Failure, summary: Summary) -> str:
    if failure.allowed:
        return "allowed"
    if failure.known:
        return f"known: {_cell(failure.known)}"
    is_new = summary.baseline is not msgspec.UNSET and failure.signature in summary.baseline.new
    return "**new**" if is_new else "**failure**"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
