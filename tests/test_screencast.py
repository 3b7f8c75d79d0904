"""The film of the first five minutes shows what its commands print today."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests import screencast
from tests.screencast import Played, Take

SVG = "{http://www.w3.org/2000/svg}"


def test_the_film_is_what_its_commands_print_today() -> None:
    """Make it again with `python -m tests.screencast`, and look at it."""
    assert screencast.film(screencast.play()) == screencast.FILM.read_text(encoding="utf-8")


def test_the_film_is_small_and_whole_in_itself() -> None:
    content = screencast.FILM.read_text(encoding="utf-8")
    root = ET.fromstring(content)

    assert len(content.encode()) < screencast.BYTES_MAX
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "g", "text",
    }  # fmt: skip
    assert re.findall(r"url\(|href|@import|@font-face", content) == []
    assert "prefers-reduced-motion" in content


def test_every_command_stands_in_the_film_and_in_its_description() -> None:
    root = ET.fromstring(screencast.FILM.read_text(encoding="utf-8"))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    (described,) = (element.text or "" for element in root.iter(f"{SVG}desc"))

    for take in screencast.TAKES:
        assert {line.strip() for line in take.command.split("\n")} <= texts
        assert take.command.split("\n")[0].removesuffix(" \\") in described


def test_lines_appear_after_what_was_typed_and_the_picture_moves_when_it_is_full() -> None:
    lines = tuple(((f"line {number}", "r"),) for number in range(screencast.LINES))

    content = screencast.film([Played(Take("so", "print", 1.0), lines)])

    root = ET.fromstring(content)
    shown = [element.text for element in root.iter(f"{SVG}text")]
    assert shown[:4] == ["# so", "$", "print", "line 0"]
    begins = [float(found) for found in re.findall(r"@keyframes a\d+\{0%\{opacity:0\}([\d.]+)%", content)]
    assert begins == sorted(begins)
    assert begins[-1] <= 100
    moved = [int(found) for found in re.findall(r"translateY\(-(\d+)px\)", content)]
    assert moved[-1] == 3 * 17  # a comment, a command, and an empty line at the end


@pytest.mark.parametrize(
    ("printed", "spans"),
    [
        ("plain", (("plain", ""),)),
        ("\x1b[31m\x1b[1mred\x1b[0m not", (("red", "r b"), (" not", ""))),
        ("\x1b[31;1mred\x1b[0m", (("red", "r b"),)),
        ("", ()),
    ],
)
def test_colours_of_a_terminal_are_styles(printed: str, spans: tuple[tuple[str, str], ...]) -> None:
    assert screencast._spans(printed) == spans


def test_a_line_that_is_too_long_is_broken_as_a_terminal_does() -> None:
    first, second = screencast._lines(["x" * 85])

    assert (first, second) == ((("x" * 80, ""),), (("x" * 5, ""),))
