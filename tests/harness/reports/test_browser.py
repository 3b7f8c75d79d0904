"""The page in a real browser, from a file and offline: it draws, zooms, filters, steps, and asks for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.reports.written import write_report
from tests.harness.browsing import Opened

from .test_page import hostile_run


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    """The page of the failing run."""
    one = Opened(browser, report, color_scheme="light")
    yield one
    assert one.complaints == []
    assert one.requests == [one.url]
    one.context.close()


CANVASES = ("overview", "faults-chart", "cluster", "clocks", "operations", "latency", "quantiles", "rate", "space")


def test_every_figure_is_drawn_in_the_scheme_of_the_browser(opened: Opened) -> None:
    light = {canvas: opened.picture(canvas) for canvas in CANVASES}
    assert all(opened.drawn(canvas) > 500 for canvas in CANVASES)

    step = opened.page.text_content("#step-text")

    opened.page.emulate_media(color_scheme="dark")

    assert all(opened.picture(canvas) != light[canvas] for canvas in CANVASES)
    assert opened.page.text_content("#step-text") == step, "who looks at a step still does"


def test_all_axes_zoom_together_and_come_back(opened: Opened) -> None:
    before = {canvas: opened.picture(canvas) for canvas in ("operations", "cluster", "latency", "rate")}

    opened.page.click("#zoom-failure")
    zoomed = {canvas: opened.picture(canvas) for canvas in before}
    opened.page.focus("#operations")
    opened.page.keyboard.press("ArrowRight")
    panned = opened.picture("operations")
    opened.page.keyboard.press("0")

    assert all(zoomed[canvas] != before[canvas] for canvas in before)
    assert panned != zoomed["operations"]
    assert {canvas: opened.picture(canvas) for canvas in before} == before


def test_a_filter_leaves_the_operations_that_match(opened: Opened) -> None:
    everything = opened.picture("operations")

    opened.page.select_option("#by-outcome", label="info")
    opened.page.select_option("#by-key", label="y")

    found = opened.page.text_content("#matching")
    shown, everything_count = int(found.split()[0]), int(found.split()[2])
    assert 0 < shown < everything_count / 4
    assert opened.picture("operations") != everything
    opened.page.select_option("#by-outcome", label="any")
    opened.page.fill("#by-text", "no such value")
    assert opened.page.text_content("#matching").startswith("0 of ")


def test_an_operation_is_told_to_pointer_and_keys(opened: Opened) -> None:
    opened.page.click("#zoom-failure")
    opened.page.focus("#operations")
    opened.page.keyboard.press("n")

    first = opened.page.text_content("#detail")
    opened.page.keyboard.press("n")

    assert "index" in first
    assert "took" in first
    assert opened.page.text_content("#detail") != first


def test_the_counterexample_leads_to_its_messages(opened: Opened, blocked: dict[str, Any]) -> None:
    bar = opened.page.locator(".bar.blocked")
    assert blocked["text"] in bar.get_attribute("aria-label")

    bar.focus()
    opened.page.keyboard.press("Enter")

    assert f"index {blocked['call']} " in opened.page.text_content("#step-text")
    assert f"asks {blocked['f']} y" in opened.page.text_content("#step-text")
    assert f"{blocked['f']} y" in opened.page.text_content("#detail")
    assert opened.page.evaluate("document.activeElement.id") == "space"
    assert opened.page.evaluate("document.getElementById('space').getBoundingClientRect().top") < 900


def test_steps_go_event_by_event_with_what_nodes_know(opened: Opened) -> None:
    opened.page.click(".follow")
    assert "was told" in opened.page.text_content("#step-text")
    known = opened.page.text_content("#knows tbody")
    assert "leader" in known

    seen = []
    for _ in range(25):
        opened.page.click("#step-back")
        seen.append(opened.page.text_content("#step-text"))

    assert len(set(seen)) == 25
    assert any("receives" in text for text in seen)
    assert any("sends" in text for text in seen)
    assert opened.page.locator("#knows tbody tr").count() == 5
    for _ in range(25):
        opened.page.click("#step-on")
    assert opened.page.text_content("#knows tbody") == known


def test_a_narrow_window_scrolls_in_one_direction_only(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 480, "height": 800})

    assert opened.drawn("operations") > 300
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 480


def test_everything_that_acts_has_a_name(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, canvas, [tabindex], a")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() || one.closest("label")))
          .map((one) => one.outerHTML)"""
    )

    assert nameless == []


def test_a_hostile_history_cannot_act(browser: Any, tmp_path: Path) -> None:
    opened = Opened(browser, write_report(hostile_run(tmp_path)))
    opened.page.focus("#operations")
    opened.page.keyboard.press("n")
    opened.page.click(".bar.blocked")

    assert opened.page.title() != "owned"
    assert opened.page.locator("img").count() == 0
    assert opened.complaints == []
    assert opened.requests == [opened.url]
    opened.context.close()


def test_the_policy_stops_what_is_injected(browser: Any, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "injected.html"
    injected = (
        "<script>document.title='owned'</script><img src='http://127.0.0.1:9/x' onerror=\"document.title='owned'\">"
    )
    path.write_text(report.read_text().replace("<main>", f"{injected}<main>"))

    opened = Opened(browser, path)

    assert opened.page.title() != "owned"
    assert len([text for text in opened.complaints if "Content Security Policy" in text]) >= 2
    assert (
        opened.page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return 'set'; } catch (e) { return e.name; } }"
        )
        == "TypeError"
    )
    opened.context.close()
