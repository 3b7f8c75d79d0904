"""Pages that show commands with their output: how the examples are found, run and compared.

A `console` block holds commands after `$ ` and what each prints. A `python` block is a program, and the `text` block
behind it is what that prints. A `{code-block}` with a caption is a file of that name. In expected output `...` stands
for anything within a line, and a line `...` for any number of lines. All blocks of a page run in one folder, in order.

`python -m tests.pages README.md` writes the outputs of a page anew, with `...` for what differs from run to run; review
the diff.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
NEEDED: Final = ("raft_impl", "harness/suites/canaries", "tests/mutants", "tests/upgrades", "docs/examples")
"""What the commands of a page may read: copied, so that a page can write beside it."""

_BLOCK: Final = re.compile(
    r"^```(?:(?P<kind>console|python|text)|\{code-block\} \w+\n:caption: (?P<name>\S+)\n)\n(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SECONDS_MAX: Final = 60
_VARYING: Final = (
    (re.compile(r"\d{8}T\d{6}Z(-[\w-]+)-s(\d+)-\w+"), r"...\1-s\2-..."),
    (re.compile(r" in [\d.]+ s \(\d+ times real time\)"), " in ... s (... times real time)"),
    (re.compile(r"(?m) in [\d.]+s$"), " in ...s"),
    (re.compile(r"(?m)^(ops +)\d+ ok, \d+ fail, \d+ info$(?=\nmessages)"), r"\1..."),
    (re.compile(r"(?m)^(messages +)\d.*$"), r"\1..."),
    (re.compile(r"(?m)^(time +)[\d.]+ s live"), r"\1... s live"),
    (re.compile(r"(checked (?:for \S+ )?by [\w-]+), [\d.]+ s"), r"\1, ... s"),
    (re.compile(r"\d+ KiB"), "... KiB"),
    (re.compile(r" rounds, [\d.]+ s;"), " rounds, ... s;"),
    (re.compile(r"(?m)^(fingerprint +)\w{64}$"), r"\1..."),
    (re.compile(r"(?m) +\d+ +[\d.]+  (?=\S+\n1 of 1 found)"), " ...  "),
)


@dataclass(frozen=True)
class Example:
    """A command, or a program, and the output that the page shows, which stands at `start` to `end` of the page."""

    command: list[str]
    expected: str
    start: int
    end: int


@dataclass(frozen=True)
class File:
    """A file that the page has its reader write."""

    name: str
    content: str

    def write(self, folder: Path) -> None:
        """Write it below a folder."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.content, encoding="utf-8")


def section(page: str, heading: str) -> str:
    """The part of a page under a heading of the second level."""
    return page[slice(*_span(page, heading))]


def without(page: str, heading: str) -> str:
    """The page without the part under a heading of the second level, if it has one of that name."""
    start, end = _span(page, heading) if f"\n## {heading}\n" in page else (0, 0)
    return page[:start] + page[end:]


def _span(page: str, heading: str) -> tuple[int, int]:
    start = page.index(f"\n## {heading}\n") + 1
    end = page.find("\n## ", start)
    return start, len(page) if end < 0 else end + 1


def steps(page: str) -> Iterator[Example | File]:
    """Find what a reader of the page does, in order."""
    program: str | None = None
    for block in _BLOCK.finditer(page):
        kind, name, content = block.groups()
        if name is not None:
            yield File(name, content)
        elif kind == "python":
            program = content
        elif kind == "text" and program is not None:
            yield Example([sys.executable, "-c", program], content, *block.span("content"))
            program = None
        elif kind == "console":
            commands = list(re.finditer(r"^\$ (.*)\n", content, re.MULTILINE))
            for command, following in zip(commands, [*commands[1:], None], strict=True):
                start, end = command.end(), following.start() if following else len(content)
                line = ["bash", "-euo", "pipefail", "-c", command[1]]
                at = block.start("content")
                yield Example(line, content[start:end], at + start, at + end)


def examples(page: str) -> Iterator[Example]:
    """Find the examples of a page that writes no files, in order."""
    for step in steps(page):
        assert isinstance(step, Example), f"{step.name}: a file"
        yield step


@dataclass(frozen=True)
class Done:
    """How an example ended: its exit code, and what it printed."""

    code: int
    output: str


def run(example: Example, folder: Path, seconds_max: int = _SECONDS_MAX) -> str:
    """Run an example and return its standard output. A usage error or a crash is an AssertionError."""
    return perform(example, folder, seconds_max).output


def perform(example: Example, folder: Path, seconds_max: int = _SECONDS_MAX) -> Done:
    """Run an example to its end. A usage error or a crash is an AssertionError."""
    done = subprocess.run(
        example.command,
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name != "FORESHOCK_RESULTS"},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
        },
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    assert done.returncode in (0, 1, 2), f"{example.command[-1]}: exit {done.returncode}\n{done.stderr}"
    return Done(done.returncode, "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines()))


def fits(expected: str, actual: str) -> bool:
    """Whether an output is the expected one, `...` standing for anything."""
    lines = []
    for line in expected.splitlines():
        if line == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*?".join(re.escape(part) for part in line.split("...")) + r"\n")
    return re.fullmatch("".join(lines), actual) is not None


def lay_out(folder: Path) -> Path:
    """Copy what the commands of pages read into a folder."""
    for name in NEEDED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def rewrite(page: str) -> str:
    """The page with outputs of today; where a shown output still fits, it stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        laid = lay_out(Path(folder))
        outputs = []
        for step in steps(page):
            if isinstance(step, File):
                step.write(laid)
            else:
                outputs.append((step, run(step, laid)))
    for example, output in reversed(outputs):
        if not fits(example.expected, output):
            for pattern, replacement in _VARYING:
                output = pattern.sub(replacement, output)
            page = page[: example.start] + output + page[example.end :]
    return page


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(rewrite(path.read_text(encoding="utf-8")), encoding="utf-8")
