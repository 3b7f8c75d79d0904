"""Exports of a campaign: JUnit for continuous integration, Markdown for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.archive.index import IndexedRun
from harness.errors import BadInput


def junit(summary: dict[str, Any], runs: Iterable[IndexedRun]) -> bytes:
    """Write a test case a seed: failure for a violation, error for our own bug, skipped for unknown and allowed."""
    try:
        from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
    except ImportError:
        raise BadInput("no package junitparser", "pip install 'foreshock[ci]'", "--junit") from None

    suite = TestSuite(f"foreshock {summary['suite']}")
    for run in sorted(runs, key=lambda run: run.seed):
        case = TestCase(f"seed {run.seed}", f"{run.workload}.{run.profile}", run.document.get("wall_seconds", 0.0))
        messages = [anomaly["message"] for anomaly in run.document["anomalies"]]
        text = "\n\n".join([*messages, run.document.get("error", ""), run.path or ""]).strip()
        if run.verdict == "error":
            case.result = [_result(Error, "internal error", text)]
        elif run.verdict == "invalid" and not run.allowed:
            case.result = [_result(Failure, run.signature or "invalid", text)]
        elif run.verdict != "valid":
            word = f"allowed: {run.signature}" if run.allowed else f"unknown: {run.document['reason']}"
            case.result = [_result(Skipped, word, text)]
        suite.add_testcase(case)
    report = JUnitXml()
    report.add_testsuite(suite)
    content: bytes = report.tostring()  # type: ignore[no-untyped-call]  # junitparser has partial types
    return content


def markdown(summary: dict[str, Any]) -> str:
    """Write what a pull request should say."""
    runs = summary["runs"]
    verdicts = ", ".join(f"{number} {word}" for word, number in runs.items() if number)
    lines = [
        f"## Foreshock: {summary['suite']}",
        "",
        f"{sum(runs.values())} runs: {verdicts}. {summary['simulated_seconds']:.0f} s simulated in "
        f"{summary['wall_seconds']:.0f} s. Campaign `{summary['campaign']}`.",
    ]
    if summary["failures"]:
        lines += ["", "| signature | runs | | again |", "| --- | ---: | --- | --- |"]
        lines += [
            f"| `{failure['signature']}` | {failure['runs']} | {_status(failure)} | `{_cell(failure['reproduce'])}` |"
            for failure in summary["failures"]
        ]
    for word, entries in (("Unknown", summary["unknown"]), ("Internal errors", summary["errors"])):
        if entries:
            lines += ["", f"### {word}", ""]
            lines += [
                f"- {_cell(entry.get('reason') or _last(entry['error']))}: `{entry['reproduce']}`" for entry in entries
            ]
    if "baseline" in summary:
        lines += ["", f"### Since `{summary['baseline']['campaign']}`", ""]
        lines += [f"- {word}: `{name}`" for word in ("new", "still", "fixed") for name in summary["baseline"][word]]
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


def _status(failure: dict[str, Any]) -> str:
    if failure["allowed"]:
        return "allowed"
    return f"known: {_cell(failure['known'])}" if failure["known"] else "**failure**"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
