"""axe-core finds no serious fault in any kind of page, light or dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from harness.archive.find import find
from harness.archive.index import Index
from harness.archive.layout import write_run
from harness.reports.written import write_report
from harness.scenarios import library
from harness.scenarios.runner import perform
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.walkthroughs.written import write_page
from tests.harness.outcomes import make_outcome, make_rows
from tests.harness.serve import ledger
from tests.harness.serve.compared import two_campaigns
from tests.harness.serve.serving import Served

COMPARED = "/compare?a=base&b=branch"
SIGNATURE = "linearizability/nonlinearizable/register/read"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid and an invalid run."""
    folder = tmp_path_factory.mktemp("results")
    with Index(folder) as index:
        for outcome in (make_outcome(7, rows=make_rows(50)), make_outcome(8, "invalid", SIGNATURE, rows=make_rows(50))):
            index.add(write_run(folder, outcome))
    two_campaigns(folder)
    ledger.write(folder, {"a": (None,), "b": ("acted", "raft/election-safety"), "c": ("acted",)})
    return folder


@pytest.fixture(scope="module")
def served(results: Path) -> Iterator[Served]:
    one = Served(results)
    yield one
    one.stop()


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[[str, str], list[str]]]:
    """Opens an address in a colour scheme, and says what axe finds there that is serious or critical."""
    contexts = []

    def faults(address: str, scheme: str, *keys: str) -> list[str]:
        context = browser.new_context(
            bypass_csp=True, color_scheme=scheme, reduced_motion="reduce", viewport={"width": 1200, "height": 900}
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(address)
        for key in keys:
            page.keyboard.press(key)
        found = Axe().run(page).response
        assert len(found["passes"]) > 10, "axe looked at something"
        return [
            f"{one['id']}: {node['html'][:120]} {node.get('failureSummary', '')}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    yield faults
    for context in contexts:
        context.close()


SCHEMES = ("light", "dark")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_report_keeps_nobody_out(scheme: str, look: Callable[..., list[str]], results: Path, tmp_path: Path) -> None:
    path = write_report(find("latest", results), output=tmp_path / "report.html")

    assert look(path.as_uri(), scheme) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_walkthrough_keeps_nobody_out(scheme: str, look: Callable[..., list[str]], tmp_path: Path) -> None:
    system = load_systems(bind("raft_impl", Checkouts()))["default"]
    script = library.read(library.find("walkthrough_4_partition"))
    write_page(perform(script, system, is_filmed=True), tmp_path / "page.html")

    assert look((tmp_path / "page.html").as_uri(), scheme, "PageDown", "PageDown", "ArrowRight") == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "part",
    [
        "/",
        "/runs?verdict=invalid",
        "/failures",
        "/sandbox/i_single_node",
        "/compare",
        COMPARED,
        "/mutants",
        "/mutants/b",
        "/runs/2",
        "/sandbox",
        "/sandbox/run/2?ms=1&do=settle",
        "/walkthroughs",
    ],
)
def test_the_browser_of_results_keeps_nobody_out(
    scheme: str, part: str, look: Callable[..., list[str]], served: Served
) -> None:
    assert look(served.address + part, scheme, "j") == []


def test_a_page_that_keeps_people_out_is_noticed(look: Callable[..., list[str]], tmp_path: Path) -> None:
    """The check can fail: grey on grey, and a button without a name."""
    path = tmp_path / "bad.html"
    passing = "".join(f"<h2>{n}</h2><p>text <a href='#{n}'>link {n}</a></p>" for n in range(5))
    path.write_text(
        "<!doctype html><html lang='en'><title>bad</title><main><h1>bad</h1><button></button>"
        f"<p style='color:#999;background:#888'>grey</p><label>a <input></label><ul><li>b</li></ul>{passing}</main>"
    )

    found = " ".join(look(path.as_uri(), "light"))

    assert "color-contrast" in found
    assert "button-name" in found
