"""The pictures of the documentation, made anew by one command:

    python -m tests.gallery

It runs what the pictures show (scenarios, a run of a planted bug, an index of made-up nights), opens the pages in
Debian's Chromium, and writes `docs/gallery/*.png`. Look at them before they are committed.
"""

from __future__ import annotations

import datetime
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.archive.documents import run_record
from harness.archive.index import Index
from harness.archive.layout import write_run
from harness.reports.page import Subject, render
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.scenarios import library
from harness.scenarios.runner import perform
from harness.search.campaign import Settings
from harness.search.suites import load as load_suite
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from harness.walkthroughs.written import write_page
from tests.harness.outcomes import make_outcome
from tests.harness.serve.serving import Served

ROOT: Final = Path(__file__).resolve().parents[1]
GALLERY: Final = ROOT / "docs" / "gallery"
_CANARY: Final = f"patch:{ROOT}/harness/suites/canaries/reads-without-quorum.patch"
_SEED: Final = 19
"""That of the README's run."""

_ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none")
_NIGHTS: Final = 9
_RUNS: Final = 60
_SEEN: Final = {
    "linearizability/nonlinearizable/cas-register/read": range(_NIGHTS),
    "raft/leader-completeness": range(5),
    "raft/election-safety": range(2, 5),
    "liveness/no-leader": range(5, _NIGHTS),
    "node/exception/KeyError": range(7, _NIGHTS),
}
"""Signatures of the made-up nights, and in which of them they are seen."""


def main() -> int:
    """Make all pictures."""
    from playwright.sync_api import sync_playwright

    GALLERY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Checkouts() as checkouts, sync_playwright() as playwright:
        folder = Path(scratch)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_ARGUMENTS))
        _walkthroughs(browser, folder, checkouts)
        results = folder / "nightly"
        results.mkdir()
        _report(browser, folder, results, checkouts)
        _results(browser, results)
        browser.close()
    for path in sorted(GALLERY.glob("*.png")):
        print(f"{path.name:<28}{path.stat().st_size:>9,} bytes")
    return 0


def _page(browser: Any, address: str, *, scheme: str = "light", width: int = 1160, height: int = 760) -> Any:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    return page


def _walkthroughs(browser: Any, folder: Path, checkouts: Checkouts) -> None:
    system = catalog.load_systems(catalog.bind("raft_impl", checkouts))["default"]
    for name, frame, scheme, picture in (
        ("walkthrough_4_partition", 37, "light", "walkthrough"),
        ("f05_figure_8", 76, "dark", "walkthrough-figure-8"),
        ("walkthrough_5_heartbeats", 6, "light", "walkthrough-election"),
    ):
        write_page(perform(library.read(library.find(name)), system, is_filmed=True), folder / "page.html")
        page = _page(browser, (folder / "page.html").as_uri() + f"#{frame}", scheme=scheme, width=1280, height=860)
        page.wait_for_selector("html[data-ready]")
        page.screenshot(path=GALLERY / f"{picture}.png", clip={"x": 0, "y": 0, "width": 1280, "height": 840})
        page.context.close()


def _report(browser: Any, folder: Path, results: Path, checkouts: Checkouts) -> None:
    code = catalog.bind(_CANARY, checkouts)
    plan = Drawing(system=_CANARY, workload="register").plan(_SEED, abilities_of(catalog.load_systems(code).values()))
    outcome = execute(plan, code, RunOptions(keep_rows=True))
    record = write_run(results, outcome)
    record = msgspec.structs.replace(record, run="20261129T020000Z-register-s19-fdf9", anomalies=outcome.anomalies)
    commands = (("reproduce", "foreshock replay 20261129T020000Z-register-s19-fdf9"),)
    subject = Subject(plan=outcome.plan, record=record, history=outcome.history, rows=outcome.rows, commands=commands)
    (folder / "report.html").write_text(render(subject), encoding="utf-8")
    page = _page(browser, (folder / "report.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    for selector, picture in (("#why", "counterexample"), ("#whole", "whole-run"), ("#space-time", "messages")):
        page.evaluate("(at) => document.querySelector(at).scrollIntoView()", selector)
        page.wait_for_timeout(400)
        page.screenshot(path=GALLERY / f"{picture}.png")
    page.context.close()


def _results(browser: Any, results: Path) -> None:
    """Nights that never were: enough to show what the pages look like."""
    settings = Settings(suite=load_suite("nightly"), system="raft_impl", code_digest="d" * 64, first=1, last=_RUNS)
    seed = 0
    with Index(results) as index:
        for night in range(_NIGHTS):
            began = datetime.datetime(2026, 11, 20 + night, 1, tzinfo=datetime.UTC)
            campaign = f"night-{began:%d}"
            index.begin_campaign(campaign, "nightly", settings)
            for number in range(_RUNS if night < _NIGHTS - 1 else _RUNS // 2):
                seed += 1
                seen = [signature for signature, nights in _SEEN.items() if night in nights]
                signature = seen[number % len(seen)] if number % 9 == night % 3 else None
                outcome = make_outcome(seed, "invalid", signature) if signature else make_outcome(seed)
                index.add(run_record(outcome), campaign=campaign, cell=0, recorded=began.isoformat())
            if night < _NIGHTS - 1:
                index.end_campaign(campaign, settings, is_finished=True)
            index._db.execute("UPDATE campaigns SET started = ? WHERE id = ?", (began.isoformat(), campaign))
        index._db.execute("UPDATE campaigns SET finished = started WHERE finished IS NOT NULL")
    served = Served(results)
    try:
        for part, scheme, picture in (("/", "light", "campaigns"), ("/failures", "dark", "failures")):
            page = _page(browser, served.address + part, scheme=scheme, height=520)
            page.screenshot(path=GALLERY / f"{picture}.png")
            page.context.close()
    finally:
        served.stop()


if __name__ == "__main__":
    sys.exit(main())
