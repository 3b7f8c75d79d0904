"""Whose code runs now: the incarnation that a task of a Trio program belongs to.

Trio hands a task's context to the tasks that it starts, so a context variable that is set once, where an incarnation
begins, tells for every line of the program whose clock, chance and network are meant.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Final, NoReturn, Protocol

from harness.errors import BadInput
from harness.systems.environment import Clock, Randomness

_WORD: Final = 1 << 64


class Surroundings(Protocol):
    """What an incarnation needs of its actor's environment."""

    @property
    def clock(self) -> Clock: ...

    @property
    def randomness(self) -> Randomness: ...


class Incarnation:
    """One incarnation of an actor, as its code meets it."""

    def __init__(
        self, actor: str, ordinal: int, environment: Surroundings, stop: Callable[[BadInput], None], host: Any = None
    ) -> None:
        self.actor, self.ordinal = actor, ordinal
        self.environment = environment
        self.host = host  # the simulator's driver of it
        self.program: Any = None  # the module or object with `node` and `client`, once it is loaded
        self.environ: dict[str, str] = {}  # behind `os.environ`
        self.handlers: dict[int, Any] = {}  # of signals, by their numbers
        self.copies: dict[str, ModuleType] = {}  # of modules of the standard library, by their names
        self._stop = stop
        self._random: random.Random | None = None
        self._generators: list[random.Random] | None = None

    def note_generator(self, generator: random.Random) -> None:
        """A generator was seeded by a draw: where chance is drawn anew, it is seeded again."""
        if self._generators is not None:
            self._generators.append(generator)

    @property
    def random(self) -> random.Random:
        """What stands behind the functions of the module `random`."""
        if self._random is None:
            self._random = random.Random(self.word("random"))
            self.note_generator(self._random)
        return self._random

    def keep_generators(self) -> None:
        """Keep generators from now on, in a run with redraws."""
        self._generators = []

    def seed_again(self) -> None:
        """Everything is drawn anew: also what generators of the program give from here on."""
        for generator in self._generators or ():
            generator.seed(self.word("random"))

    def word(self, purpose: str) -> int:
        """A drawn integer below 2**64."""
        return self.environment.randomness.below(_WORD, purpose)

    def entropy(self, size: int) -> bytes:
        """As many drawn bytes."""
        words = (self.word("entropy").to_bytes(8) for _ in range(-(-size // 8)))
        return b"".join(words)[:size]

    def refuse(self, what: str, instead: str) -> NoReturn:
        """End the run, since the program did what nobody can simulate. Raises BadInput, whoever may catch it."""
        error = BadInput(what, instead, f"the program of {self.actor}")
        mine = CURRENT.set(None)  # the harness may write files on the way to its end
        try:
            self._stop(error)
        finally:
            CURRENT.reset(mine)
        raise error


class _Nobody:
    """What code sees that runs while a program is looked at and no run is made: no time, and chance that is fixed."""

    def monotonic_ns(self) -> int:
        return 0

    def wall_ns(self) -> int:
        return 0

    def below(self, bound: int, purpose: str) -> int:
        return 0

    @property
    def clock(self) -> Clock:
        return self

    @property
    def randomness(self) -> Randomness:
        return self


CURRENT: Final[ContextVar[Incarnation | None]] = ContextVar("foreshock-incarnation", default=None)
_OUTSIDE: Final = Incarnation("no actor", 0, _Nobody(), lambda error: None)


def current() -> Incarnation:
    """The incarnation whose code runs, or one without time and chance outside a run."""
    return CURRENT.get() or _OUTSIDE
