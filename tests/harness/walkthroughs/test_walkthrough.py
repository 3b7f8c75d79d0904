"""The page of a walk-through in a real browser: what it shows is what the transcript says, and it asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.scenarios.runner import Result
from harness.walkthroughs.page import frames_of_steps
from tests.harness.browsing import Opened

Filmed = Callable[[str], Result]
PageOf = Callable[[str], Path]

STEP_THROUGH = """(count) => {
  const text = (row, key) => row.querySelector("td." + key).textContent, seen = [];
  for (let n = 0; n < count; n++) {
    seen.push([
      Number(document.documentElement.dataset.frame),
      [...document.querySelectorAll("#state tbody tr")].map((row) => [row.dataset.node, text(row, "role"),
        text(row, "term"), text(row, "vote"), row.querySelector(".log-text").textContent,
        text(row, "commit"), text(row, "applied")]),
      [...document.querySelectorAll("g.node")].map((one) => [one.querySelector(".name").textContent,
        one.getAttribute("class").split(" ")[1], one.querySelector(".term").textContent]),
    ]);
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  }
  return seen;
}"""
"""Goes from event to event by key; gives the frame, the table as `show` prints it, and what is drawn of each node."""


def _frame(page: Any) -> int:
    return int(page.evaluate("document.documentElement.dataset.frame"))


@pytest.mark.parametrize(
    "name", ["walkthrough_4_partition", "f05_figure_8", "f11_snapshot_in_chunks", "f10_single_server_change"]
)
def test_stepping_shows_the_states_of_the_transcript(name: str, browser: Any, page_of: PageOf, filmed: Filmed) -> None:
    """From the first event to the last by key: wherever the script says `show`, the screen says the same."""
    result = filmed(name)
    opened = Opened(browser, page_of(name))
    places = frames_of_steps(result.frames, len(result.script.steps))
    shows = {
        places[step]: [re.split(r" {2,}", line)[:7] for line in result.transcripts[step][1:]]
        for step, command in enumerate(result.script.steps)
        if command.words == ("show",)
    }

    seen = opened.page.evaluate(STEP_THROUGH, len(result.frames))

    assert [frame for frame, _, _ in seen] == list(range(len(result.frames)))
    assert {frame: table for frame, table, _ in seen if frame in shows} == shows
    assert len(shows) > 3
    for frame, _, drawn in seen:
        states = [node.state for node in result.frames[frame].nodes]
        assert drawn == [[one.node, one.role, "" if one.term is None else f"term {one.term}"] for one in states]
    opened.page.keyboard.press("ArrowLeft")
    assert _frame(opened.page) == len(result.frames) - 2
    assert opened.complaints == []
    assert opened.requests == [opened.url]
    opened.context.close()


def test_messages_that_wait_are_drawn_each_in_its_place(browser: Any, page_of: PageOf, filmed: Filmed) -> None:
    frames = filmed("walkthrough_4_partition").frames
    most = max(range(len(frames)), key=lambda place: len(frames[place].waiting))
    opened = Opened(browser, page_of("walkthrough_4_partition"), fragment=f"#{most}")

    told = opened.page.evaluate("() => [...document.querySelectorAll('g.pill title')].map((one) => one.textContent)")

    expected = [f"{one.source} to {one.target}: {one.text}" for one in frames[most].waiting]
    assert len(expected) > 3
    assert sorted(told) == sorted(expected)
    places = opened.page.evaluate(
        "() => [...document.querySelectorAll('g.pill')].map((one) => one.getAttribute('transform'))"
    )
    assert len(set(places)) == len(places), "two messages are never drawn in one place"
    opened.context.close()


def test_play_moves_messages_and_ends_at_the_end(browser: Any, page_of: PageOf, filmed: Filmed) -> None:
    last = len(filmed("i_single_node").frames) - 1
    opened = Opened(browser, page_of("i_single_node"), reduced_motion="no-preference", fragment=f"#{last - 2}")
    page = opened.page
    page.select_option("#speed", "4")

    page.click("#play")
    assert page.text_content("#play") == "pause"
    page.wait_for_selector("html[data-moving]", timeout=5_000)
    page.wait_for_selector(f"html[data-frame='{last}']", timeout=10_000)
    page.wait_for_selector("#play[aria-pressed='false']", timeout=5_000)

    assert page.is_disabled("#on")
    assert opened.complaints == []
    opened.context.close()


def test_a_beat_is_a_motion_between_two_frames(browser: Any, page_of: PageOf) -> None:
    """On its way a message is at many places, and at the end it has arrived."""
    opened = Opened(browser, page_of("walkthrough_3_replication"), reduced_motion="no-preference", fragment="#5")
    page = opened.page

    page.click("#on")
    places = page.evaluate(
        """async () => {
          const seen = new Set();
          while ("moving" in document.documentElement.dataset) {
            await new Promise((done) => requestAnimationFrame(done));
            for (const one of document.querySelectorAll("g.pill")) seen.add(one.getAttribute("transform"));
          }
          return seen.size;
        }"""
    )

    assert places > 10
    assert _frame(page) == 6
    opened.context.close()


def test_paragraphs_scrubber_transcript_and_address_lead_to_the_same_frames(browser: Any, page_of: PageOf) -> None:
    opened = Opened(browser, page_of("walkthrough_4_partition"))
    page = opened.page

    page.keyboard.press("PageDown")
    at_paragraph = _frame(page)
    caption = page.text_content("#caption")
    page.keyboard.press("End")
    at_end = _frame(page)
    page.keyboard.press("Home")
    page.fill("#scrubber", str(at_paragraph))
    scrubbed = page.text_content("#caption")
    page.click("#transcript li:has(code:text-is('mend')) .go")
    mended = page.text_content("#caption")
    page.wait_for_url(f"**#{_frame(page)}")

    assert 0 < at_paragraph < at_end
    assert caption == scrubbed
    assert caption.startswith("C, D and E hear no heartbeats.")
    assert mended.startswith("The network is whole again.")
    page.keyboard.press("PageUp")
    assert page.text_content("#caption").startswith("Another client asks C")
    opened.context.close()


def test_it_reads_to_those_who_do_not_see_it(browser: Any, page_of: PageOf) -> None:
    opened = Opened(browser, page_of("walkthrough_1_election"))
    page = opened.page

    for _ in range(3):
        page.keyboard.press("ArrowRight")

    said = page.text_content("#said")
    assert "A leader in term 1" in said
    assert page.get_attribute("#said", "aria-live") == "polite"
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, svg, [tabindex], a")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() || one.closest("label")))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    opened.context.close()


def test_both_schemes_and_a_narrow_window(browser: Any, page_of: PageOf) -> None:
    opened = Opened(browser, page_of("f10_single_server_change"), fragment="#60")
    page = opened.page
    colour = "() => getComputedStyle(document.querySelector('.node .body')).fill"

    page.emulate_media(color_scheme="light")
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")

    assert page.evaluate(colour) != light
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    opened.context.close()


HOSTILE = """# <img src=x onerror=document.title='owned'> shows nothing but text.
# </script><script>document.title='owned'</script>
> nodes A B C pre_vote=false machine=map
> timer A
> settle
> c1 write <img/src=x/onerror=document.title='owned'> 1 at A
> settle
# </script><script>document.title='owned'</script> &amp; <b>bold</b>
> show
"""


def test_a_hostile_script_cannot_act(browser: Any, page_of: PageOf) -> None:
    opened = Opened(browser, page_of(HOSTILE))
    opened.page.keyboard.press("End")

    assert opened.page.title() != "owned"
    assert opened.page.locator("img, b:text-is('bold')").count() == 0
    assert "<b>bold</b>" in opened.page.text_content("#caption")
    assert opened.complaints == []
    assert opened.requests == [opened.url]
    opened.context.close()


def test_the_policy_stops_what_is_injected(browser: Any, page_of: PageOf, tmp_path: Path) -> None:
    path = tmp_path / "injected.html"
    injected = "<script>document.title='owned'</script><img src='http://127.0.0.1:9/x'>"
    path.write_text(page_of("i_single_node").read_text().replace("<main>", f"{injected}<main>"))

    opened = Opened(browser, path)

    assert opened.page.title() != "owned"
    assert len([text for text in opened.complaints if "Content Security Policy" in text]) >= 2
    opened.context.close()
