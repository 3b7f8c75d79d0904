"""The record that every workload is: what clients do, and by which model it is judged.

A workload draws its calls, and knows neither the system nor the world they will run in. It speaks `f, key, value`; an
adapter turns these into calls of a system. A *variant* of it makes another kind of history, which exercises another
algorithm of the checker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from .generator import Call, Context, Generator
from .streams import Stream


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of a workload. `weight` is how often it is drawn."""

    name: str
    summary: str
    weight: int = 1


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A workload as a value.

    `groups` are the Raft groups that it needs, all on the same nodes; where they are several, each operation is of all,
    and makes `requests` requests one after another.
    `machine` names the replicated state machine of each group, `model` the sequential model of the checker,
    `functions` all that clients may ask. `generator(variant, stream)` draws the endless traffic of the run; pace and
    length are given by the code that draws the plan. `recovery(thread)` is the fresh call of the recovery phase, which
    a thread repeats until it is ok: on a key of its own, and where values must be unique with `{"fresh": n}` (n, then n
    + 1, ...). `final(key)` is the read with which the last phase looks at a key that was used, where looking is
    possible.
    """

    name: str
    summary: str
    machine: str
    model: str
    functions: tuple[str, ...]
    variants: tuple[Variant, ...]
    generator: Callable[[str, Stream], Generator]
    recovery: Callable[[int], Call]
    final: Callable[[str], Call] | None = None
    groups: tuple[str, ...] = ("g0",)
    requests: int = 1


LETTERS: Final = ("x", "y", "z", "u", "v", "w", "s", "t")


class Keys(msgspec.Struct, frozen=True):
    """The number of live keys at a time, each retired after about `calls_per_key` calls.

    A check costs more than linearly in the length of one object's history once calls of unknown outcome pile up, so
    that a long run is spread over generations of keys: x, y, z, then x1, y1, z1, and so on (Jepsen's `independent`
    does the same with its limit of ops a key).
    """

    live: int
    calls_per_key: int

    def draw(self, context: Context, number: int) -> str:
        """The key of the call with this number of the run."""
        letter = LETTERS[context.stream.below(self.live)]
        generation = number // (self.live * self.calls_per_key)
        return f"{letter}{generation}" if generation else letter
