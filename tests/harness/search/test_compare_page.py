"""A comparison that looked after every pair is told by its own tests, in a pull request and on the terminal."""

from __future__ import annotations

import re
from math import inf
from pathlib import Path

import msgspec
import pytest

from harness.commands import compare
from harness.errors import Exit
from harness.search.compare import Summary
from harness.search.compare_page import markdown
from harness.search.measures import changes
from harness.search.sequential import Looked
from tests.harness.serve.compared import kept


@pytest.fixture
def innocent(tmp_path: Path) -> Summary:
    """Over all pairs B is slower by an ordinary test; the one that looked after every pair accuses nobody."""
    summary = kept(tmp_path, 5).comparisons[0]
    slower = msgspec.structs.replace(summary.metrics["latency_p50_ms"], worse_by=1.0, worse=5, regressed=True)
    return msgspec.structs.replace(
        summary,
        exit=Exit.VALID,
        metrics={**summary.metrics, "latency_p50_ms": slower},
        regressed=("latency_p50_ms",),
        sequential=Looked(pairs=5, of=9, needed=160.0, capital={"verdicts": 1.0}, accuses=()),
    )


def test_nobody_is_accused_whom_its_tests_do_not_accuse(innocent: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    compare._print_summary(innocent)

    told = capsys.readouterr().out
    assert "worse in B" not in told
    assert "nothing speaks against B" in told
    assert "**latency_p50_ms**" not in markdown([innocent])
    assert compare._why(innocent) == ""


def test_whom_its_tests_accuse_is_told(innocent: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    assert innocent.sequential is not msgspec.UNSET
    guilty = msgspec.structs.replace(
        innocent,
        exit=Exit.INVALID,
        regressed=(),
        sequential=msgspec.structs.replace(innocent.sequential, accuses=("latency_p50_ms",)),
    )

    compare._print_summary(guilty)

    assert "worse by latency_p50_ms" in capsys.readouterr().out
    assert "**latency_p50_ms**" in markdown([guilty])
    assert compare._why(guilty) == "latency_p50_ms"


def test_an_effect_on_a_value_of_0_is_told_in_words(innocent: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    change = changes([{"elections": 0.0}] * 12, [{"elections": 3.0}] * 12)["elections"]
    summary = msgspec.structs.replace(innocent, metrics={"elections": change})

    compare._print_summary(summary)
    told, page = capsys.readouterr().out, markdown([summary])

    assert (change.low, change.high) == (inf, inf)
    assert "infinite to infinite" in told
    assert "| infinite | infinite to infinite |" in page
    assert "inf%" not in told + page


def test_an_infinite_latency_is_told_in_words(innocent: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    """So few calls were answered by B that half of them would have taken longer than was waited."""
    beyond = msgspec.structs.replace(innocent.metrics["latency_p50_ms"], b=inf, worse_by=inf, low=None, high=None)
    summary = msgspec.structs.replace(innocent, metrics={"latency_p50_ms": beyond})

    compare._print_summary(summary)

    assert re.search(r"latency_p50_ms +[\d.]+ +infinite +\d+ +\d+ +infinite +-", capsys.readouterr().out)
    assert re.search(r"latency_p50_ms\W+[\d.]+ \| infinite \| \d+ \| \d+ \| infinite \| - \|", markdown([summary]))
