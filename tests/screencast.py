"""The first five minutes as a film: commands that are typed, and what they print, as an animated picture.

    python -m tests.screencast

It runs `TAKES` in a terminal of its own (a pseudo-terminal of 80 columns, in a folder with what the README's commands
need), and writes `docs/gallery/first-minutes.svg`: text with its colours, and styles that let it appear line by line.
There is no script in it, no font, and nothing from elsewhere, so that a page shows it like any picture; who asked for
less motion sees its beginning. What varies from run to run stands as dots (times by the wall clock) or as a fixed date
(names of runs). All else must be what the commands print today: `tests/test_screencast.py` makes the film again.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from tests.pages import ROOT, lay_out

FILM: Final = ROOT / "docs" / "gallery" / "first-minutes.svg"
COLUMNS: Final = 80
LINES: Final = 48
BYTES_MAX: Final = 300_000


@dataclass(frozen=True)
class Take:
    """What is said, what is typed (each line of it), and seconds in which its output is read."""

    comment: str
    command: str
    reading: float


TAKES: Final = (
    Take("a cluster of three to seven nodes under faults, drawn from a seed", "foreshock run --seed 1", 5),
    Take(
        "the same with a planted bug: a leader that does not ask whether it still leads",
        "foreshock run --seed 19 --workload register \\\n"
        "    --system patch:harness/suites/canaries/reads-without-quorum.patch",
        11,
    ),
    Take("each run is kept as a plan: here it is again", "foreshock replay latest | grep identical", 3),
    Take(
        "who knew what when n2 answered? it still leads term 1, and n1 has been leading term 2",
        "foreshock replay latest --until 1856 | grep -A 3 ^node",
        5,
    ),
    Take("histories of other systems", "cat history.csv", 2),
    Take("are checked as well", "foreshock check history.csv --model register", 8),
)
HISTORY: Final = """\
process,f,value,result,call,return
0,write,1,,1,2
1,write,2,,3,6
0,read,,2,4,5
2,read,,1,7,8
"""

_VARYING: Final = (
    (re.compile(r"\d{8}T\d{6}Z(-[\w-]+-s\d+)"), r"20261128T020000Z\1"),
    (re.compile(r" in [\d.]+ s \(\d+ times real time\)"), " in ... s (... times real time)"),
    (re.compile(r"(checked by [\w-]+), [\d.]+ s"), r"\1, ... s"),
)

Span = tuple[str, str]
"""A text and the names of its styles."""


@dataclass(frozen=True)
class Played:
    """A take and the lines that its command printed."""

    take: Take
    lines: tuple[tuple[Span, ...], ...]


def play() -> list[Played]:
    """Run all commands, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        laid = lay_out(Path(folder))
        (laid / "history.csv").write_text(HISTORY)
        return [Played(take, tuple(_lines(_printed(take.command, laid)))) for take in TAKES]


def _printed(command: str, folder: Path) -> list[str]:
    """The lines that a terminal gets of a command. A usage error or a crash is an AssertionError."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("FORESHOCK_RESULTS", "NO_COLOR")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS), "LINES": str(LINES), "PYTHONUTF8": "1",
    }  # fmt: skip
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:
        pass  # on Linux the end of a terminal is an error
    assert process.wait() in (0, 1, 2), f"{command}: exit {process.returncode}"
    os.close(ours)
    text = b"".join(parts).decode().replace("\r\n", "\n")
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text.splitlines()


_ESCAPE: Final = re.compile(r"\x1b\[([\d;]*)m")
_STYLES: Final = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "35": "m"}


def _spans(line: str) -> tuple[Span, ...]:
    """A line with escape sequences as texts with their styles."""
    spans, styles, at = [], dict[str, None](), 0
    for found in [*_ESCAPE.finditer(line), None]:
        text = line[at : found.start() if found else len(line)]
        if text:
            spans.append((text, " ".join(styles)))
        if found is None:
            break
        at = found.end()
        for code in found[1].split(";"):
            if code in ("", "0", "22"):
                styles.clear()
            else:
                styles[_STYLES[code]] = None
    return tuple(spans)


def _lines(printed: Sequence[str]) -> Iterator[tuple[Span, ...]]:
    """The lines of a terminal, which breaks longer ones at its edge."""
    for line in printed:
        cells = [(character, style) for text, style in _spans(line) for character in text]
        for at in range(0, max(1, len(cells)), COLUMNS):
            runs = groupby(cells[at : at + COLUMNS], key=lambda cell: cell[1])
            yield tuple(("".join(character for character, _ in run), style) for style, run in runs)


# -- the picture ------------------------------------------------------------------------------------------------------

_CELL: Final = 8.4
_ROW: Final = 17
_EDGE: Final = 14
_SECONDS_A_KEY: Final = 0.035
_TYPING_MAX: Final = 1.8
_PAUSE: Final = 0.6
_LINES_AT_ONCE: Final = 3
_SECONDS_A_BATCH: Final = 0.07
_STYLE: Final = """\
svg{background:#16191f}text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
fill:#d7dae0;white-space:pre}.b{font-weight:700}.d{fill:#8b93a1}.r{fill:#ff7b72}.g{fill:#7ee787}.y{fill:#e3b341}\
.m{fill:#d2a8ff}.c{fill:#8b93a1;font-style:italic}.p{fill:#7ee787;font-weight:700}\
@media (prefers-reduced-motion:reduce){*{animation:none!important}.k{display:none}}"""


class _Film:
    """Lays lines below each other, and notes when each appears and how far the picture has moved by then."""

    def __init__(self) -> None:
        self._body: list[str] = []
        self._moves: list[tuple[float, int]] = []  # from when on, by how many rows
        self._appearances: list[float] = []
        self._keys: list[tuple[float, float, float, int]] = []  # begin, end, width, how many
        self._row = 0
        self._now = 0.4

    def take(self, played: Played) -> None:
        """Add a take."""
        take = played.take
        self._rows([((f"# {take.comment}", "c"),)])
        self._now += _PAUSE
        for number, line in enumerate(take.command.split("\n")):
            self._typed("$ " if number == 0 else "> ", line)
        self._now += _PAUSE
        lines = list(played.lines)
        for at in range(0, len(lines), _LINES_AT_ONCE):
            self._rows(lines[at : at + _LINES_AT_ONCE])
            self._now += _SECONDS_A_BATCH
        self._now += take.reading
        self._rows([()])

    def _rows(self, lines: Sequence[Sequence[Span]]) -> None:
        """Let lines appear together."""
        texts = "".join(self._text(self._row + number, spans) for number, spans in enumerate(lines))
        self._body.append(f'<g class="a{len(self._appearances)}">{texts}</g>')
        self._appearances.append(self._now)
        self._advance(len(lines))

    def _typed(self, prompt: str, line: str) -> None:
        """Let a line be typed: what covers it moves away letter by letter."""
        text = self._text(self._row, ((prompt, "p"), (line, "b")))
        x, y, width = _EDGE + len(prompt) * _CELL, _EDGE + self._row * _ROW, len(line) * _CELL
        cover = (
            f'<rect class="k k{len(self._keys)}" x="{x:.1f}" y="{y}" width="{width + 2:.1f}" height="{_ROW}"'
            ' fill="#16191f"/>'
        )
        self._body.append(f'<g class="a{len(self._appearances)}">{text}{cover}</g>')
        self._appearances.append(self._now)
        self._advance(1)
        took = min(_TYPING_MAX, len(line) * _SECONDS_A_KEY)
        self._keys.append((self._now, self._now + took, width + 2, len(line)))
        self._now += took

    def _advance(self, rows: int) -> None:
        self._row += rows
        if self._row > LINES:
            self._moves.append((self._now, self._row - LINES))

    def _text(self, row: int, spans: Sequence[Span]) -> str:
        y, column, parts = _EDGE + row * _ROW + 13, 0, []
        for text, style in spans:
            shown = text.strip(" ")
            if shown:
                x = _EDGE + (column + len(text) - len(text.lstrip(" "))) * _CELL
                named = f' class="{style}"' if style else ""
                parts.append(
                    f'<text{named} x="{x:.1f}" y="{y}" textLength="{len(shown) * _CELL:.1f}">{escape(shown)}</text>'
                )
            column += len(text)
        return "".join(parts)

    def svg(self) -> str:
        """The whole picture."""
        width, height = COLUMNS * _CELL + 2 * _EDGE, LINES * _ROW + 2 * _EDGE
        told = "; ".join(take.command.replace("\\\n   ", "") for take in TAKES)
        return "".join((
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}"',
            f' height="{height}" role="img" aria-labelledby="t d"><title id="t">The first five minutes of Foreshock',
            f'</title><desc id="d">A terminal in which these commands are run: {escape(told)}</desc>',
            f"<style>{_STYLE}{''.join(self._rules())}</style>",
            f'<rect width="100%" height="100%" fill="#16191f"/><g class="s">{"".join(self._body)}</g></svg>\n',
        ))  # fmt: skip

    def _rules(self) -> Iterator[str]:
        """One animation for each part, all as long as the film, which begins again at its end."""
        length = self._now

        def at(seconds: float) -> str:
            return f"{seconds / length * 100:.3f}%"

        for number, seconds in enumerate(self._appearances):
            yield f"@keyframes a{number}{{0%{{opacity:0}}{at(seconds)},to{{opacity:1}}}}"
            yield f".a{number}{{animation:a{number} {length:.2f}s step-end infinite}}"
        for number, (begin, end, width, keys) in enumerate(self._keys):
            yield (
                f"@keyframes k{number}{{0%,{at(begin)}{{transform:none;animation-timing-function:steps({keys})}}"
                f"{at(end)},to{{transform:translateX({width:.1f}px)}}}}"
            )
            yield f".k{number}{{animation:k{number} {length:.2f}s infinite}}"
        moves = "".join(f"{at(seconds)}{{transform:translateY({-rows * _ROW}px)}}" for seconds, rows in self._moves)
        last = self._moves[-1][1] if self._moves else 0
        yield f"@keyframes s{{0%{{transform:none}}{moves}to{{transform:translateY({-last * _ROW}px)}}}}"
        yield f".s{{animation:s {length:.2f}s step-end infinite}}"


def film(played: Sequence[Played]) -> str:
    """The film of these takes."""
    made = _Film()
    for take in played:
        made.take(take)
    return made.svg()


if __name__ == "__main__":
    FILM.write_text(film(play()), encoding="utf-8")
    print(f"{FILM.relative_to(ROOT)}: {FILM.stat().st_size:,} bytes")
