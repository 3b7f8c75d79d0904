"""What an engine is given and what it gives back: limits in, a result out.

An engine decides the operations of one independent object. It is exact: `valid` and `invalid` are proofs, and whatever
stops it short is `unknown` with the reason. Limits in steps and states are equal on every machine; limits in seconds
and bytes are not, and mark what they decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import msgspec

from checkers.operation import Operation
from checkers.verdict import Validity

CHECKER: Final = "linearizability"
NONLINEARIZABLE: Final = "nonlinearizable"
"""The first words of the signature of a violation."""

CHECK_EVERY: Final = 1024
"""How many steps lie between two looks at the limits: often enough to stop within a millisecond or two."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine may spend; None is no limit. A step is one attempt to place an operation (an engine says what)."""

    steps: int | None = None
    states: int | None = None
    seconds: float | None = None
    bytes: int | None = None


class LinearizabilityResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one engine on one object's operations.

    `certain` is the index of the completion at which the violation became certain, where the engine knows it exactly;
    `blocked` the operation that cannot be placed; `is_lower_bound` says that an order got past every earlier
    completion, so that the violation did not become certain before the return of `blocked`. `culprits` are the few
    operations that suffice to see why (may be empty). `order` is a witness: the operations in an order in which they
    could have taken effect, where one was asked for.
    """

    validity: Validity
    engine: str
    steps: int = 0
    states: int = 0
    certain: int | None = None
    blocked: Operation | None = None
    is_lower_bound: bool = False
    culprits: tuple[Operation, ...] = ()
    order: tuple[Operation, ...] | None = None
    reason: str = ""
    machine_dependent: bool = False


class LimitReached(Exception):
    """An engine spent what it was given. The message says what, and how much."""

    def __init__(self, reason: str, *, machine_dependent: bool = False) -> None:
        self.reason = reason
        self.machine_dependent = machine_dependent
        super().__init__(reason)


class Meter:
    """Counts what an engine spends, and stops it. Engines call `check` at least every `CHECK_EVERY` steps."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._deadline = None if limits.seconds is None else clock() + limits.seconds
        self._bytes_seen: int | None = None  # at the last look
        self.interval = CHECK_EVERY if limits.steps is None else max(1, min(CHECK_EVERY, limits.steps))

    def check(self, steps: int, states: int) -> None:
        """Raise `LimitReached` when a limit is met. `states` is how many the engine holds at this moment."""
        limits = self._limits
        if limits.steps is not None and steps >= limits.steps:
            raise LimitReached(f"step limit of {limits.steps} reached")
        if limits.states is not None and states >= limits.states:
            raise LimitReached(f"state limit of {limits.states} reached after {steps} steps")
        if self._deadline is not None and self._clock() >= self._deadline:
            raise LimitReached(
                f"time limit of {limits.seconds:g} s reached after {steps} steps", machine_dependent=True
            )
        if limits.bytes is not None:
            self._check_bytes(limits.bytes, steps)

    def _check_bytes(self, limit: int, steps: int) -> None:
        """Stop before the limit is passed: as far below it as the memory grew since the last look, and an eighth more.

        Tables of configurations double when they grow, so by the time the limit is seen to be passed it is far behind.
        """
        used = resident_bytes()
        growth, self._bytes_seen = used - (self._bytes_seen or used), used
        if used + max(growth, 0) + limit // 8 >= limit:
            reason = f"memory limit of {limit} bytes reached ({used} in use) after {steps} steps"
            raise LimitReached(reason, machine_dependent=True)


def resident_bytes() -> int:
    """Tell how much memory this OS process holds; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * 4096
    except OSError:
        return _peak_bytes()


def _peak_bytes() -> int:
    try:
        import resource  # not on every system
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
