"""What all explanations of one check may spend together.

A verdict is worth waiting for; an explanation is worth some seconds. So everything that is asked on the way to one is
asked through a budget, which answers `unknown` once it is spent. Every step of an explanation takes that for an answer
and leaves what was found so far, which is always true and only less than could be said.

A budget in steps gives the same explanation on every machine. Seconds and bytes are for a person at a terminal. A
part of a budget keeps one violation from spending what others need; what a part leaves, its whole still has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from checkers.linearizability.failing_prefix import Decide
from checkers.linearizability.result import Limits, LinearizabilityResult, Meter
from checkers.models import Model
from checkers.operation import Operation

EXPLANATION_STEPS: Final = 2_000_000
"""What all explanations may spend unless told otherwise: two or three seconds."""

SPENT: Final = LinearizabilityResult(validity="unknown", engine="none", reason="the budget for explanations is spent")


class Budget:
    """Steps, and perhaps seconds and bytes, for everything asked through it."""

    def __init__(
        self,
        decide: Decide,
        *,
        steps: int = EXPLANATION_STEPS,
        seconds: float | None = None,
        bytes_: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        whole: Budget | None = None,
    ) -> None:
        self._decide = decide
        self._left = steps
        self._bytes = bytes_
        self._clock = clock
        self._deadline = None if seconds is None else clock() + seconds
        self._whole = whole  # what this is a part of

    @property
    def is_spent(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._left <= 0 or (self._deadline is not None and self._clock() >= self._deadline)

    def part(self, of: int) -> Budget:
        """Return one share, where what is left is divided by `of`."""
        seconds = self._seconds_left()
        return Budget(
            self._decide,
            steps=self._left // of,
            seconds=None if seconds is None else seconds / of,
            bytes_=self._bytes,
            clock=self._clock,
            whole=self,
        )

    def spend(self, steps: int) -> None:
        """Count what was spent."""
        self._left -= steps
        if self._whole is not None:
            self._whole.spend(steps)

    def limits(self, steps: int | None = None) -> Limits:
        """Return limits of these steps, and of no more than is left."""
        left = max(1, self._left)
        return Limits(
            steps=left if steps is None else min(steps, left), seconds=self._seconds_left(), bytes=self._bytes
        )

    def meter(self, steps: int) -> Meter:
        """Return a meter for work that counts its own steps."""
        return Meter(self.limits(steps))

    def decide(self, model: Model, operations: Sequence[Operation], limits: Limits) -> LinearizabilityResult:
        """Decide some operations within what is left; reading them costs a step each."""
        if self.is_spent:
            return SPENT
        result = self._decide(model, operations, self.limits(limits.steps))
        self.spend(result.steps + len(operations))
        return result

    def _seconds_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())
