"""A model as a user writes one whose step reads who asked: a lock with an owner, and small histories of it."""

from __future__ import annotations

import random
from typing import Any

from checkers import ILLEGAL, History, Model, Op, Operation
from checkers.models import asked_and_told


def step_lock(owner: int, operation: Operation) -> Any:
    """Step a lock with an owner, 0 while it is free; processes count from 1."""
    needs, leaves = (0, operation.process) if operation.f == "acquire" else (operation.process, 0)
    return leaves if owner == needs else owner if operation.type == "info" else ILLEGAL


OWNED = Model(
    name="lock", init=0, step=step_lock, identity=lambda operation: (asked_and_told(operation), operation.process)
)


def random_history(rng: random.Random) -> History:
    """Draw a few calls of three processes, some of which never return."""
    ops: list[Op] = []
    pending: dict[int, str] = {}
    crashed: set[int] = set()
    for _ in range(14):
        process = rng.choice((1, 2, 3))
        if process in crashed:
            continue
        kind: Any = "invoke"
        f = rng.choice(("acquire", "release"))
        if process in pending:
            f, kind = pending.pop(process), rng.choice(("ok", "ok", "info"))
            if kind == "info":
                crashed.add(process)
        else:
            pending[process] = f
        ops.append(Op(index=len(ops), time=len(ops), process=process, type=kind, f=f))
    return History(ops)
