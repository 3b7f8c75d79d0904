"""Histories whose values have any shape, most of them none of the model's: streams and whole histories, side by side.

What a model cannot read must be refused by both ways. An error of ours or a verdict on one side alone is a fault.
"""

from __future__ import annotations

import random
from typing import Any

from checkers import History, MalformedHistory, check
from checkers.admission import Mismatched
from checkers.models import MODELS
from checkers.op import Op
from checkers.streaming import StreamingChecker

ANYTHING = tuple(dict.fromkeys(f for model in MODELS.values() for f in model.functions))
"""Functions that a model without any of its own is asked for, and now and then any other one too."""

REFUSED = "refused"


def _value(rng: random.Random, depth: int = 0) -> Any:
    draw = rng.random()
    if draw < 0.5 or depth > 2:
        return rng.randrange(4)
    if draw < 0.75:
        return rng.choice((None, "", "a", "ab", True, False, 0.5, 1.0))
    if draw < 0.8:
        return {"a": _value(rng, depth + 1)}
    return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]


def _asked(rng: random.Random, f: str) -> Any:
    """Draw a value of about the shape that a function asks for."""
    if f == "cas":
        return [rng.randrange(3), rng.randrange(3)]
    if f == "txn":
        return [
            [rng.choice(("r", "w", "append")), rng.randrange(2), rng.choice((None, rng.randrange(3), _value(rng)))]
            for _ in range(rng.randrange(3))
        ]
    return None if f in ("read", "size", "dequeue", "acquire", "release") else rng.choice((rng.randrange(3), "a"))


def history(rng: random.Random, name: str) -> list[Op]:
    """Make a short history of three clients; half of the answers repeat what was asked."""
    functions = tuple(MODELS[name].functions) or ANYTHING
    keys = rng.choice(((None,), ("x", "y")))
    processes, fresh = [0, 1, 2], 3
    pending: dict[int, Op] = {}
    made: list[Op] = []
    for index in range(rng.randint(2, 10)):
        client = rng.randrange(3)
        process = processes[client]
        invoke = pending.pop(process, None)
        if invoke is None:
            f = rng.choice(functions if rng.random() < 0.97 else ANYTHING)
            value = _asked(rng, f) if rng.random() < 0.8 else _value(rng)
            op = Op(index=index, time=index, process=process, type="invoke", f=f, key=rng.choice(keys), value=value)
            pending[process] = op
        else:
            value = invoke.value if rng.random() < 0.5 else rng.choice((_value(rng), _asked(rng, invoke.f)))
            kind = rng.choice(("ok", "ok", "ok", "fail", "info"))
            error = rng.choice((None, "absent", "exists", "precondition-failed", "empty")) if kind == "fail" else None
            op = Op(
                **{"index": index, "time": index, "process": process, "type": kind},
                **{"f": invoke.f, "key": invoke.key, "value": value, "error": error},
            )
            if kind == "info":
                processes[client], fresh = fresh, fresh + 1
        made.append(op)
    return made


def judge(ops: list[Op], name: str, mismatched: Mismatched) -> tuple[str, str]:
    """Return what a stream says and what the whole history does, of which each may be `REFUSED`."""
    stream = StreamingChecker(name, mismatched=mismatched)
    try:
        for op in ops:
            stream.feed(op)
        streamed: str = stream.finish().validity
    except MalformedHistory:
        streamed = REFUSED
    try:
        return streamed, check(History(ops), name, mismatched=mismatched).validity
    except MalformedHistory:
        return streamed, REFUSED


def agree(ops: list[Op], name: str, streamed: str, whole: str) -> bool:
    """Whether both say the same. A counter that is created later is refused by a stream alone, which has judged it."""
    creates = name == "counter" and any(op.f == "create" or op.error == "absent" for op in ops)
    return streamed == whole or (streamed == REFUSED and creates)
