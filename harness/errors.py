"""What can go wrong around a run, split by what the reader must do, and the exit codes.

    HarnessError
    ├── BadInput               fix your call or your file: found, expected, where (one line, exit 254)
    │   └── NotKept            the results folder failed after the run; it carries the verdict (`harness.archive.store`)
    └── InternalError          our own bug, or a machine that failed us (exit 255)
        └── ForbiddenInSimulation   code under test reached for real time, entropy, environment or threads

A violation found in the system under test is no error: it is a verdict. A checker that gave up is no error either: its
verdict is `unknown`. The checkers are a library of their own, whose `MalformedHistory` says the same three things; the
commands that read histories turn it into BadInput (`harness.commands.check`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Exit(enum.IntEnum):
    """Exit codes that scripts depend on."""

    VALID = 0
    INVALID = 1
    UNKNOWN = 2
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    BAD_INPUT = 254
    INTERNAL = 255

    @classmethod
    def of(cls, validity: str) -> Exit:
        """The exit code of a verdict: valid, invalid or unknown."""
        return cls[validity.upper()]


class HarnessError(Exception):
    """Anything that stops the harness itself."""


class BadInput(HarnessError, ValueError):
    """Arguments or a file that cannot be used: one line saying what was found, what was expected, and where."""

    def __init__(self, found: str, expected: str, where: str) -> None:
        super().__init__(f"found {found}; expected {expected}; in {where}")
        self.found, self.expected, self.where = found, expected, where

    @property
    def parts(self) -> dict[str, str]:
        """The three parts by name, as `--json` prints them."""
        return {"found": self.found, "expected": self.expected, "where": self.where}

    def __reduce__(self) -> tuple[type[BadInput], tuple[str, str, str]]:
        return type(self), (self.found, self.expected, self.where)


class InternalError(HarnessError):
    """A broken belief of ours; never a statement about the system under test."""


class ForbiddenInSimulation(InternalError):
    """Code under test used something, named by `used`, that would make a run depend on more than (plan, binding)."""

    def __init__(self, used: str) -> None:
        super().__init__(
            f"code under test used {used}, which is not a function of (plan, binding); use the environment it was given"
        )
        self.used = used

    def __reduce__(self) -> tuple[type[ForbiddenInSimulation], tuple[str]]:
        return type(self), (self.used,)


def exit_in(error: BaseException | None) -> SystemExit | None:
    """What `sys.exit` of code that is not ours raised: the error itself, one of a group, or Trio's reason for it."""
    match error:
        case None | SystemExit():
            return error
        case BaseExceptionGroup():
            return next(filter(None, map(exit_in, error.exceptions)), None)
    return exit_in(error.__cause__)


def one_of(words: Iterable[str], *, typed: str = "") -> str:
    """Say which words were possible, and which of them is near what was typed: `one of a, b, c, perhaps b`."""
    listed = list(words)
    return (listed[0] if len(listed) == 1 else "one of " + ", ".join(listed)) + perhaps(typed, listed)


def perhaps(typed: str, words: Iterable[str]) -> str:
    """Name the word that is nearest to what was typed; empty when none is near."""
    import difflib  # slow, and needed where something is misspelt

    near = difflib.get_close_matches(typed, list(words), n=1)
    return f", perhaps {near[0]}" if near else ""
