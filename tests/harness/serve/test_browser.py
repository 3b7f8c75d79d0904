"""The pages in a real browser, over a real socket: filter, open a failing run, and watch a suite that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.archive.index import Index
from harness.serve import listening

from .conftest import STALE, add_runs, settings
from .serving import Served, served_over


@pytest.fixture(scope="module")
def served(results: Path) -> Iterator[Served]:
    with served_over(results) as one:
        yield one


def test_filter_runs_and_open_a_failing_one(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/runs")
    page.select_option("[name=verdict]", "invalid")
    page.wait_for_url("**/runs?verdict=invalid")
    page.fill("[name=signature]", STALE)
    page.keyboard.press("Enter")
    page.wait_for_url("**signature=*")

    assert page.text_content("#found").startswith("5 runs")
    page.click("tbody th a:has-text('-s8-')")
    page.wait_for_selector("html[data-ready]")
    assert "/report/" in page.url
    assert STALE in page.text_content("main")
    page.go_back()
    assert page.input_value("[name=signature]") == STALE


def test_keys_lead_through_rows_and_parts(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/")
    page.keyboard.press("2")
    page.wait_for_url("**/runs")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.querySelectorAll('tr.at').length") == 1
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("j")
    assert page.input_value("#search") == "j"
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    page.wait_for_url("**/failures")
    page.click(".trend a >> nth=-1")
    page.wait_for_url("**campaign=night-2*")


def test_a_suite_that_runs_is_watched_without_a_reload(page: Any, served: Served, results: Path) -> None:
    with Index(results) as index:
        index.begin_campaign("live", "default", settings(20))
        add_runs(index, 3, first=1001, campaign="live")
        page.goto(f"{served.address}/campaigns/live")
        page.evaluate("document.title = 'the same document'")
        assert page.text_content("[data-part=counts]").strip().startswith("3 of 20 runs")

        add_runs(index, 6, first=1004, campaign="live")
        page.wait_for_selector("[data-part=counts]:has-text('9 of 20 runs')", timeout=8_000)
        assert page.title() == "the same document"
        add_runs(index, 1, first=1010, campaign="live")
        page.wait_for_selector("#signatures a:has-text('linearizability')", timeout=8_000)
        index.end_campaign("live", settings(20), is_finished=True)
        page.wait_for_selector("[data-part=state]:has-text('finished')", timeout=8_000)


def test_a_walkthrough_plays_from_here(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/walkthroughs")
    page.click("a:has-text('i_single_node')")
    page.wait_for_selector("html[data-ready]", timeout=20_000)
    page.keyboard.press("ArrowRight")

    assert page.evaluate("document.documentElement.dataset.frame") == "1"


def test_a_narrow_window_and_both_schemes(page: Any, served: Served) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    for part in ("/", "/runs", "/failures", "/mutants", "/compare", "/walkthroughs", "/campaigns/night-1"):
        page.goto(served.address + part)
        assert page.evaluate("document.documentElement.scrollWidth") <= 420, part
    page.emulate_media(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_what_listens_elsewhere_prints_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is bound here: the token is made before, and told with the address."""
    given: list[Any] = []

    def listen(results: Path, host: str, port: int, token: str | None, tell: Callable[[str], None]) -> None:
        given.append((host, token))
        tell("http://" + host)

    monkeypatch.setattr(listening, "run", listen)
    codes = [cli.run(["serve", "--host", host, "--results", str(tmp_path)]) for host in ("0.0.0.0", "::", "127.0.0.2")]

    assert codes == [0, 0, 0]
    (_, first), (_, second), (_, loopback) = given
    assert loopback is None
    assert first != second
    assert all(token is not None and len(token) >= 32 for token in (first, second))


def test_bad_arguments_are_one_line(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    codes = [
        cli.run(["serve", "--host", "example.com"]),
        cli.run(["serve", "--results", str(tmp_path / "none")]),
    ]

    told = capfd.readouterr().err.splitlines()
    assert codes == [254, 254]
    assert len(told) == 2
