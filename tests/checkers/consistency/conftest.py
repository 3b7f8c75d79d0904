"""Histories of single operations, in a line.

`wx1` writes 1 to x, `rx1` read it (`rx`: null), `cx12` compared 1 and set 2, `!cx12` was refused; `a3` added 3, `v3`
read the value 3, `s12` read the set [1, 2] (`s`: the empty one). A word alone is an operation that begins and ends at
once, by a process of its own. `(p wx1` begins one by process p, `p)` ends it, `p?` leaves it unknown, `p!` fails it.
Each line takes a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checkers.history import History
from checkers.op import Op

MS = 1_000_000


def parse(word: str) -> tuple[str, str | None, Any, Any, str]:
    """Return f, key, what is asked, what is answered, and how it ends."""
    refused = word.startswith("!")
    word = word.lstrip("!")
    f, rest = word[0], word[1:]
    numbers = [int(digit) for digit in rest if digit.isdigit()]
    match f:
        case "w":
            return "write", rest[0], numbers[0], numbers[0], "ok"
        case "r":
            return "read", rest[0], None, numbers[0] if numbers else None, "ok"
        case "c":
            return "cas", rest[0], numbers, numbers, "fail" if refused else "ok"
        case "a":
            return "add", None, int(rest), int(rest), "ok"
        case "v":
            return "read", None, None, int(rest), "ok"
        case _:
            return "read", None, None, numbers, "ok"


def history(text: str) -> History:
    """Make a history from words."""
    ops: list[Op] = []
    running: dict[str, tuple[int, tuple[str, str | None, Any, Any, str]]] = {}
    words = iter(text.split())

    def add(process: int, type: Any, parsed: tuple[str, str | None, Any, Any, str], value: Any) -> None:
        error = "precondition-failed" if type == "fail" and parsed[0] == "cas" else None
        line = len(ops)
        ops.append(
            Op(
                index=line,
                time=line * MS,
                process=process,
                type=type,
                f=parsed[0],
                key=parsed[1],
                value=value,
                error=error,
            )
        )

    def process_of(name: str) -> int:
        return int(name) if name.isdigit() else ord(name[0]) * 100

    for number, word in enumerate(words):
        if word.startswith("("):
            parsed = parse(next(words))
            running[word[1:]] = (process_of(word[1:]), parsed)
            add(process_of(word[1:]), "invoke", parsed, parsed[2])
        elif word[-1] in ")?!" and word[:-1] in running:
            process, parsed = running.pop(word[:-1])
            type = {")": parsed[4], "?": "info", "!": "fail"}[word[-1]]
            add(process, type, parsed, parsed[3] if type == "ok" else parsed[2])
        else:
            parsed = parse(word)
            add(1000 + number, "invoke", parsed, parsed[2])
            add(1000 + number, parsed[4], parsed, parsed[3])
    return History(ops)


def processes(*lines: str) -> History:
    """Make a history of processes that run in parallel, one line each."""
    ops: list[Op] = []
    programs = [[parse(word) for word in line.split()] for line in lines]
    for step in range(max(map(len, programs), default=0)):
        for kind in ("invoke", "done"):
            for process, program in enumerate(programs):
                if step < len(program):
                    f, key, asked, answered, outcome = program[step]
                    type: Any = "invoke" if kind == "invoke" else outcome
                    value = asked if kind == "invoke" else answered
                    error = "precondition-failed" if type == "fail" else None
                    ops.append(
                        Op(index=len(ops), time=0, process=process, type=type, f=f, key=key, value=value, error=error)
                    )
    return History(ops)


@pytest.fixture(name="history")
def history_fixture() -> Callable[[str], History]:
    """Make histories from words."""
    return history


@pytest.fixture(name="processes")
def processes_fixture() -> Callable[..., History]:
    """Make histories from one line a process."""
    return processes
