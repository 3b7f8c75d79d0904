"""A workload of one's own, and its model: a counter that only grows, and may be read late until all is quiet."""

from __future__ import annotations

from typing import Any

from checkers import ILLEGAL, Model
from workloads.generator import Call, Context, Generator, calls, mix
from workloads.streams import Stream
from workloads.workload import Variant, Workload


def step(total: int, operation: Any) -> Any:
    """The sum after an operation, or ILLEGAL. A `peek` may be late, a `read` at the end may not."""
    match operation.f:
        case "add":
            return total + operation.value
        case _ if operation.type == "info":
            return total  # whatever it would have been answered
        case "peek":
            return total if 0 <= operation.result <= total else ILLEGAL
        case _:
            return total if operation.result == total else ILLEGAL


def generator(variant: str, stream: Stream) -> Generator:
    """Add 1 to 9, and peek, at two keys."""

    def add(context: Context) -> Call:
        return Call(f="add", key=context.stream.choice(("x", "y")), value=context.stream.between(1, 9))

    def peek(context: Context) -> Call:
        return Call(f="peek", key=context.stream.choice(("x", "y")))

    return mix((2, calls(add)), (1, calls(peek)))


MODEL = Model(name="grow-only-counter", init=0, step=step)
WORKLOAD = Workload(
    name="grow-only-counter",
    summary="add and peek at two counters, whose sums are read when all is quiet",
    machine="counter",
    model="docs/examples/systems/grow_only.py:MODEL",
    functions=("add", "peek", "read"),
    variants=(Variant(name="two-keys", summary="1 to 9 at a time"),),
    generator=generator,
    recovery=lambda thread: Call(f="add", key=f"recovery-{thread}", value=1),
    final=lambda key: Call(f="read", key=key),
)
