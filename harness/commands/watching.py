"""Watching a campaign: a live table on a terminal, plain lines elsewhere; on stderr, since stdout is for the summary.

The table has the rate and the time that is left, the verdicts so far, the failures by signature with those that are
news first, and how many coverage marks no run has hit yet, by family. It is made for 80 columns and grows no longer
than the terminal is high. The rate is that of the last minute, because a suite that began on cold caches or with one
worker would else promise too late an end for an hour.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from harness.search.campaign import Find, Tally
from harness.search.marks import families

from .printing import PLAIN_PROGRESS_SECONDS

RATE_SECONDS: Final = 60.0
"""Over how long the rate is taken."""
REDRAWS_A_SECOND: Final = 4
_HEAD_LINES: Final = 5
"""Lines of the table besides finds and marks."""
_COLOURS: Final = {"news": "bold red", "known": "yellow", "allowed": "dim"}


class Pace:
    """How fast seeds are done, over the last minute. `now` is a clock, in seconds."""

    def __init__(self, total: int | None, done: int = 0, now: Callable[[], float] = time.monotonic) -> None:
        """`done` seeds of the `total` were run in an earlier sitting. Without a total there is no end to foresee."""
        self._now = now
        self._total = total
        self._samples: deque[tuple[float, int]] = deque([(now(), done)])
        self._began = now()
        self.done = done

    def advance(self) -> None:
        """One more seed is done."""
        self.done += 1
        now = self._now()
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, self.done))
            while len(self._samples) > 2 and now - self._samples[1][0] > RATE_SECONDS:
                self._samples.popleft()

    @property
    def total(self) -> int | None:
        """How many seeds there are."""
        return self._total

    @property
    def rate(self) -> float | None:
        """Seeds a second; None as long as nothing can be said."""
        since, before = self._samples[0]
        seconds = self._now() - since
        return (self.done - before) / seconds if seconds > 0 and self.done > before else None

    @property
    def seconds_left(self) -> float | None:
        """Until all seeds are done, at this rate."""
        return None if self._total is None or self.rate is None else (self._total - self.done) / self.rate

    @property
    def words(self) -> str:
        """`123 of 500 seeds, 6.2 a second, 1 min 1 s left`."""
        parts = [f"{self.done}{f' of {self._total}' if self._total is not None else ''} seeds"]
        if self.rate is not None:
            parts.append(f"{self.rate:.1f} a second" if self.rate >= 0.1 else f"{self.rate * 60:.1f} a minute")
        if self.seconds_left:
            parts.append(f"{span(self.seconds_left)} left")
        return ", ".join(parts)

    @property
    def elapsed(self) -> float:
        """Seconds since this sitting began."""
        return self._now() - self._began


@contextlib.contextmanager
def watching(tally: Tally, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show how a campaign is doing. Yields a function to call after each run, with a word on the state."""
    pace = Pace(total, tally.total)
    if sys.stderr.isatty():
        yield from _table(tally, pace)
    else:
        yield from _lines(tally, pace)


def _lines(tally: Tally, pace: Pace) -> Iterator[Callable[[str], None]]:
    reported_at = time.monotonic()

    def advance(state: str) -> None:
        nonlocal reported_at
        pace.advance()
        if time.monotonic() - reported_at >= PLAIN_PROGRESS_SECONDS:
            reported_at = time.monotonic()
            click.echo(line(tally, pace, state), err=True)

    yield advance


def line(tally: Tally, pace: Pace, state: str) -> str:
    """All of it in one line, for a log."""
    news = [find for find in tally.finds() if find.status == "news"]
    parts = [pace.words]
    if state:
        parts.append(state)
    if news:
        parts.append("news: " + ", ".join(f"{find.signature} ({find.runs})" for find in news))
    return "; ".join(parts)


def _table(tally: Tally, pace: Pace) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    with Live(
        get_renderable=lambda: table(tally, pace, console),
        console=console,
        refresh_per_second=REDRAWS_A_SECOND,
        transient=True,
    ):
        yield lambda _: pace.advance()


def table(tally: Tally, pace: Pace, console: Any) -> Any:
    """The table as it stands, no wider and no higher than the terminal."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    finds, unhit = tally.finds(), families(tally.unhit)
    room = max(2, console.height - _HEAD_LINES)
    head = Table.grid(padding=(0, 2), expand=False)
    head.add_column(style="dim", no_wrap=True, min_width=len("unhit marks"))
    head.add_column(no_wrap=True, overflow="ellipsis")
    head.add_row("seeds", f"{pace.words}; {span(pace.elapsed)} so far")
    if (total := pace.total) is not None:
        head.add_row("", ProgressBar(total=max(total, 1), completed=pace.done, width=40))
    verdicts = (f"{number} {word}" for word, number in tally.verdicts.items() if number)
    head.add_row("verdicts", ", ".join(verdicts) or "none yet")
    for position, find in enumerate(finds[:room]):
        head.add_row("finds" if not position else "", _find(find))
    if len(finds) > room:
        head.add_row("", f"and {len(finds) - room} more")
    if tally.verdicts["valid"] + tally.verdicts["invalid"]:
        most = sorted(unhit.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        counts = ", ".join(f"{len(situations)} {family}" for family, situations in most)
        head.add_row("unhit marks", f"{len(tally.unhit)}: {counts}" if unhit else "none")
    return Group(head, Text(""))


def _find(find: Find) -> Any:
    from rich.text import Text

    seeds = f"{find.runs} runs, seed {find.seed}" if find.runs > 1 else f"seed {find.seed}"
    return Text.assemble((find.status, _COLOURS[find.status]), f"  {seeds}  ", (find.signature, "bold"))


def span(seconds: float) -> str:
    """A time for people: `45 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
