"""What people see: a run on one screen, tables whole at 80 columns, colour only where it is wanted."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness import cli
from harness.archive.documents import run_record
from harness.commands import screen
from harness.commands.printing import print_table
from harness.commands.screen import print_live_run
from harness.commands.verdicts import title
from harness.errors import Exit
from harness.judged import JudgedAnomaly
from harness.reports import written
from tests.harness.cli.conftest import SHORT, Foreshock
from tests.harness.outcomes import make_outcome, make_rows
from tests.pages import ROOT

CANARY = ROOT / "harness" / "suites" / "canaries" / "reads-without-quorum.patch"

SCREEN_LINES = 24
SCREEN_COLUMNS = 80
COPIED = ("run ", "reproduce", "report", "shrink")
"""Lines that are meant to be copied are never broken."""


def on_a_terminal(*words: str | Path, results: Path, **environment: str) -> str:
    """What a terminal of 80 columns gets of a command."""
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, words)],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=results.parent,
        env={**os.environ, "COLUMNS": "80", "FORESHOCK_RESULTS": results.name, "TERM": "xterm", **environment},
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:
        pass  # on Linux the end of a terminal is an error
    command.wait()
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


def without_colour(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_a_run_fits_on_a_screen(results: Path, stale_copy: Path, kind: str) -> None:
    for seed in range(1, 15):
        system = f"path:{stale_copy}" if kind == "invalid" else "raft_impl"
        screen = on_a_terminal(
            *("run", "--seed", str(seed), "--profile", "partitions", "--system", system), results=results
        )
        lines = without_colour(screen)
        if f"verdict     {kind} (tolerable plan)" in lines:
            break
    else:
        pytest.fail(f"no {kind} run")

    assert len(lines) <= SCREEN_LINES
    assert all(len(line) <= SCREEN_COLUMNS or line.startswith(COPIED) for line in lines)
    labels = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert labels[:6] == ["plan", "actors", "traffic", "options", "phases", "faults"]
    after = ["ops", "time", "fingerprint", "run", "reproduce", *(["report", "shrink"] if kind == "invalid" else [])]
    assert labels[-len(after) :] == after
    assert ("invalid:" in labels) is (kind == "invalid")


def stale_run(results: Path, **environment: str) -> list[str]:
    """What a terminal shows of a run that answers a stale read."""
    words = ("run", "--seed", "4", "--workload", "register", "--system", f"patch:{CANARY}")
    return without_colour(on_a_terminal(*words, results=results, **environment))


@pytest.mark.parametrize("height", [24, 50])
def test_a_failing_run_has_its_counterexample_and_as_many_pictures_as_there_are_lines(
    results: Path, height: int
) -> None:
    lines = stale_run(results, LINES=str(height))

    assert sum(max(1, -(-len(line) // SCREEN_COLUMNS)) for line in lines) <= height
    assert any("├read -> 95┤" in line for line in lines)
    assert any(line.lstrip().startswith("possible") and line.endswith("none") for line in lines)
    assert any("what it did" in line for line in lines) is (height >= 50)
    assert any("process 7 is told read x 95" in line for line in lines) is (height >= 50)


def test_a_failing_run_reads_its_trace_once_and_draws_itself_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where there is room for no picture, whatever is tried."""
    read, drawn = [], []
    read_trace, whole_run = written.read_trace, screen.whole_run
    monkeypatch.setattr(written, "read_trace", lambda folder: read.append(folder) or read_trace(folder))
    monkeypatch.setattr(screen, "whole_run", lambda *given, **named: drawn.append(1) or whole_run(*given, **named))
    monkeypatch.setattr(screen, "screen_height", lambda: 10)

    code = cli.run(
        ["run", "--seed", "4", "--workload", "register", "--system", f"patch:{CANARY}", "--results", str(tmp_path)]
    )

    assert code == Exit.INVALID
    assert "wrong at" not in capsys.readouterr().out
    assert len(read) == 1
    outcome = make_outcome(1, "invalid", "raft/election-safety", rows=make_rows(50))
    screen.print_run(outcome, run_record(outcome), "x", verbose=False)
    assert len(drawn) == 1


def test_what_is_piped_is_plain_and_no_wider_than_80_columns(foreshock: Foreshock) -> None:
    ran = foreshock("run", "--seed", "4", "--workload", "register", "--system", f"patch:{CANARY}")

    assert ran.out.isascii()
    assert ran.out.isprintable() or all(line.isprintable() for line in ran.out.splitlines())
    assert [line for line in ran.out.splitlines() if len(line) > SCREEN_COLUMNS and not line.startswith(COPIED)] == []
    for picture in ("[read -> 95]", "what it did", "> 5.3821"):
        assert picture in ran.out


def test_a_stored_run_is_told_in_text_as_on_its_page(foreshock: Foreshock) -> None:
    run = foreshock("run", "--seed", "4", "--workload", "register", "--system", f"patch:{CANARY}", "--json").json["run"]

    told = foreshock("report", "--text", run)

    assert told.code == 0
    assert [line for line in told.out.splitlines() if len(line) > SCREEN_COLUMNS and not line.startswith(COPIED)] == []
    faults = {line.split()[0] for line in told.out.splitlines() if re.match(r"  f\d+ ", line)}
    assert len(faults) == 80
    for picture in (
        "fits no order",
        "L",
        "process 7 is told read x 95",
        "wrong at 5.382 s",
        "83  (write 95, then write 83",
    ):
        assert picture in told.out
    assert foreshock("report", "--text", run, "--json").code == 254


def test_a_checked_history_of_transactions_is_drawn_as_its_cycle(foreshock: Foreshock, tmp_path: Path) -> None:
    lines = [
        (1, "invoke", [["append", "x", 1], ["r", "y", None]]), (2, "invoke", [["append", "y", 2], ["r", "x", None]]),
        (1, "ok", [["append", "x", 1], ["r", "y", []]]), (2, "ok", [["append", "y", 2], ["r", "x", []]]),
    ]  # fmt: skip
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(json.dumps({"process": p, "type": t, "f": "txn", "value": v}) for p, t, v in lines))

    ran = foreshock("check", file)

    assert ran.code == 1
    assert "process 1   [T0-----" in ran.out
    assert "    T0  again: it would have to come before itself" in ran.out


@pytest.mark.parametrize("verbose", [False, True])
def test_a_live_run_tells_its_coverage_only_where_everything_is_told(
    capsys: pytest.CaptureFixture[str], *, verbose: bool
) -> None:
    outcome = make_outcome(marks={"connections": 3, "election: lost by votes against": 2, "resets": 0})

    print_live_run(outcome, run_record(outcome), "foreshock run --world live", verbose=verbose)

    lines = capsys.readouterr().out.splitlines()
    more = ", 2 election: lost by votes against" if verbose else ""
    assert f"messages    12: 3 connections{more}" in lines
    assert lines[-1] == "reproduce   foreshock run --world live"


def test_what_a_history_holds_cannot_steer_the_terminal(foreshock: Foreshock, tmp_path: Path) -> None:
    value = "\x1b[2J\x1b]0;owned\x07"
    lines = [
        {"process": 0, "type": t, "f": f, "value": v}
        for f, v in (("write", value), ("write", "b"), ("read", value))
        for t in ("invoke", "ok")
    ]
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))

    ran = foreshock("check", file, "--model", "register")

    assert ran.code == 1
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


def test_verbose_prints_every_fault_and_the_whole_counterexample(foreshock: Foreshock) -> None:
    words = ("run", "--seed", "3", "--duration", "3s")

    short, full = foreshock(*words), foreshock(*words, "--verbose")

    planned = int(re.search(r"faults +(\d+) planned", short.out)[1])  # type: ignore[index]
    faults = [line for line in full.out.splitlines() if re.match(r"  f\d+ ", line)]
    assert len({line.split()[0] for line in faults}) == planned > 3
    assert sum(1 for line in short.out.splitlines() if re.match(r"  f\d+ ", line)) == 3
    assert "links " in full.out
    assert "links " not in short.out


@pytest.mark.parametrize("words", [("runs",), ("doctor",), ("scenario",)])
def test_tables_are_whole_at_80_columns(foreshock: Foreshock, results: Path, words: tuple[str, ...]) -> None:
    foreshock("run", "--seed", "1", *SHORT)

    lines = without_colour(on_a_terminal(*words, results=results))

    assert lines
    assert all(len(line) <= SCREEN_COLUMNS or str(results) in line for line in lines)


def test_a_table_that_is_not_redrawn_has_every_column_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "number", "text"), [("a", 1, "long " * 40), ("b" * 40, 100, None)], droppable=("number",))

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert [line.split()[1] for line in lines] == ["number", "1", "100"]


def test_a_narrow_terminal_drops_columns_and_breaks_the_last_at_spaces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.commands.printing._terminal_width", lambda: 40)

    print_table(("name", "number", "text"), [("a", 1, "word " * 12), ("b", 2, "x" * 36)], droppable=("number",))

    assert capsys.readouterr().out.splitlines() == [
        "name  text",
        "a     word word word word word word word",
        "      word word word word word",
        "b",
        "    " + "x" * 36,
    ]


def test_colour_is_for_terminals_that_want_it(results: Path) -> None:
    words = ("run", "--seed", "1", *SHORT)

    assert "\x1b[" in on_a_terminal(*words, results=results)
    assert "\x1b[" not in on_a_terminal(*words, results=results, NO_COLOR="1")


def test_a_failure_that_the_plan_allows_keeps_to_the_width() -> None:
    signature = "linearizability/nonlinearizable/cas-register/read"
    anomaly = JudgedAnomaly(
        kind="nonlinearizable", signature=signature, checker="linearizability", index=1860, allowed=True
    )

    assert [click.unstyle(line) for line in title(anomaly)] == [
        f"invalid: {signature} at index 1860",
        "    allowed: a broken assumption of this plan explains it",
    ]
