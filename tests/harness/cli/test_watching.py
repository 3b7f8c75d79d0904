"""What a person sees while a suite runs: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from harness.commands.watching import Pace, line, span, table
from harness.search.campaign import Tally
from harness.search.known import Known
from tests.harness.search.test_campaign import ELECTION, STALE, SUITE, document, error

KNOWN = (Known(signature=STALE, reason="issue 1"),)
MARKS = ("log: torn", "log: cut", "read: late", "election: lost")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def paced(total: int | None, times: list[float], done: int = 0) -> Pace:
    """A pace with an answer after each of these spans."""
    clock = Clock()
    pace = Pace(total, done, clock)
    for seconds in times:
        clock.seconds += seconds
        pace.advance()
    return pace


def drawn(tally: Tally, pace: Pace, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(table(tally, pace, console))
    return [row.rstrip() for row in captured.get().splitlines()]


def test_the_rate_is_that_of_the_last_minute() -> None:
    """A minute of two seeds a second after an hour of one in ten seconds: the hour no longer counts."""
    pace = paced(1000, [10.0] * 360 + [0.5] * 130)

    assert pace.rate is not None
    assert 1.9 < pace.rate < 2.1
    assert pace.words == f"490 of 1000 seeds, {pace.rate:.1f} a second, {span(510 / pace.rate)} left"


def test_what_an_earlier_sitting_ran_is_done_and_makes_no_rate() -> None:
    assert paced(100, [], done=60).words == "60 of 100 seeds"
    assert paced(100, [2.0] * 10, done=60).rate == 0.5
    assert paced(None, [20.0] * 3).words == "3 seeds, 3.0 a minute"


def test_times_are_told_in_two_units() -> None:
    assert [span(seconds) for seconds in (0.4, 59, 60, 3599, 7800)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "2 h 10 min",
    ]


def test_the_table_has_rate_finds_and_marks_within_80_columns() -> None:
    tally = Tally(SUITE, KNOWN, MARKS)
    for record in (document(1, "invalid", STALE), document(7, "invalid", ELECTION), document(3, "invalid", ELECTION)):
        tally.add(record)
    tally.add(error(4))

    rows = drawn(tally, paced(500, [2.0] * 4))

    assert max(map(len, rows)) <= 80
    assert rows[0] == "seeds        4 of 500 seeds, 0.5 a second, 16 min 32 s left; 8 s so far"
    assert rows[2] == "verdicts     3 invalid, 1 error"
    assert rows[3:5] == [
        f"finds        news  2 runs, seed 3  {ELECTION}",
        "             known  seed 1  linearizability/nonlinearizable/register/read",
    ]
    assert rows[5] == "unhit marks  4: 2 log, 1 election, 1 read"


def test_many_finds_are_cut_where_the_terminal_ends() -> None:
    tally = Tally(SUITE)
    for seed in range(30):
        tally.add(document(seed, "invalid", f"liveness/{'x' * 90}{seed:02}"))

    rows = drawn(tally, paced(None, [1.0]), height=12)

    assert len(rows) <= 12
    assert max(map(len, rows)) <= 80
    assert any(row.endswith("and 23 more") for row in rows)


def test_a_line_for_a_log_names_what_is_news() -> None:
    tally = Tally(SUITE, KNOWN)
    tally.add(document(1, "invalid", STALE))
    tally.add(document(3, "invalid", ELECTION))

    assert line(tally, paced(10, [1.0] * 2), "2 invalid") == (
        f"2 of 10 seeds, 1.0 a second, 8 s left; 2 invalid; news: {ELECTION} (1)"
    )


def test_a_suite_on_a_terminal_draws_its_table_and_takes_it_away(tmp_path: Path) -> None:
    """In a terminal of 80 columns: the table on stderr, and on stdout nothing but the summary."""
    master, slave = pty.openpty()
    words = ["--seeds", "1..6", "--duration", "1s", "--profile", "calm", "--nodes", "3", "--jobs", "1"]
    command = [sys.executable, "-m", "harness", "suite", *words, "--results", str(tmp_path), "--max-unknown", "100%"]
    environment = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}

    suite = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, env=environment, cwd=Path.cwd())
    os.close(slave)
    drawn = b""
    while True:
        try:
            part = os.read(master, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        drawn += part
    out, _ = suite.communicate(timeout=60)
    os.close(master)

    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())
    assert "of 6 seeds" in text
    assert "unhit marks" in text
    assert suite.returncode == 0
    assert out.decode().startswith("campaign ")
    assert "of 6 seeds" not in out.decode()
