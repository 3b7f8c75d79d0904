"""The general engines beside brute force, and streams beside whole histories; `agreement` runs them at length.

Histories come from real objects under random schedules, with crashed operations and requests that never left the
client, and most are spoiled once or twice. For each example the two engines and brute force must agree; a valid one
must have a witness order that stands up; and the shortest failing prefix must be the one that brute force finds. The
ordinary tests run a bounded share.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest import mock

from checkers import check, streaming
from checkers.admission import admit
from checkers.conventions import Conventions
from checkers.history import History
from checkers.linearizability.failing_prefix import certain_index
from checkers.linearizability.front.engines import decide
from checkers.linearizability.partition import Part, split
from checkers.linearizability.search import beam, jit, wgl
from checkers.models import Model, named
from checkers.streaming import StreamingChecker
from tests.checkers import brute
from tests.checkers.objects import OBJECTS, damaged, record

LARGEST = 9
"""Operations in a history: brute force pays for each."""

JOINED = ("map", "rw-register", "list-append")
"""Objects with operations that look at several keys."""


def examples(name: str, seed: int, count: int) -> Iterator[tuple[int, Model, Part]]:
    """Yield (seed of the example, model, operations of one object)."""
    for number in range(seed, seed + count):
        rng = random.Random(number)
        values = rng.choice((2, 2, 3))
        lines = record(
            rng,
            name,
            count=rng.randint(1, LARGEST),
            processes=rng.randint(1, 5),
            values=values,
            crash=rng.choice((0.0, 0.0, 0.1, 0.3)),
            void=rng.choice((0.0, 0.0, 0.2)),
        )
        for _ in range(rng.choice((0, 1, 1, 2))):
            lines = damaged(rng, lines, values)
        history = History(lines)
        operations = history.operations(with_void=True)
        model = named(OBJECTS[name][0])
        model = model.adapt(model, operations)
        admitted = admit(operations, model, Conventions(), history.where_index).operations
        for part in split(admitted, model):
            yield number, model, part


def disagreement(model: Model, part: Part) -> str | None:
    """Return what the engines got wrong about one example, or None."""
    truth = "valid" if brute.is_linearizable(part.operations, model) else "invalid"
    fast = jit.check_operations(part.operations, model, witness=True)
    slow = wgl.check_operations(part.operations, model)
    for result in (fast, slow):
        if result.validity != truth:
            return f"{result.engine} says {result.validity}, brute force {truth}"
        if truth == "valid" and (result.order is None or not brute.is_witness(result.order, part.operations, model)):
            return f"the witness of {result.engine} is none: {result.order}"
        if truth == "invalid":
            index = certain_index(part, model, result, lambda m, ops, limits: decide(ops, m, limits)[0]).end
            if index != _first_failing(part, model):
                return f"{result.engine}: certain at {index}, brute force at {_first_failing(part, model)}"
    return None


def _first_failing(part: Part, model: Model) -> int | None:
    for end in part.completions():
        if not brute.is_linearizable(part.prefix(end, model), model):
            return end
    return None


class GaveUp(Exception):
    """A stream said `unknown` and why: it keeps next to nothing here, and is not to spend what a whole history may."""


def stream_disagreement(name: str, seed: int, count: int, kept: int) -> str | None:
    """Return what a stream that keeps `kept` events got wrong about one history, or None. Raises GaveUp."""
    rng = random.Random(seed)
    crash = rng.choice((0.0, 0.05, 0.2))
    lines = record(rng, name, count=count, processes=rng.randint(1, 5), values=rng.choice((2, 3)), crash=crash)
    for _ in range(rng.choice((0, 0, 1, 2))):
        lines = damaged(rng, lines, 3)
    is_joined = name in JOINED
    with mock.patch.multiple(streaming, KEPT=kept, KEPT_AT_LEAST=kept), mock.patch.object(beam, "STRIDE", 2):
        checker = StreamingChecker(OBJECTS[name][0], independent=not is_joined)
        for op in lines:
            checker.feed(op)
        told = checker.finish()
    whole = check(History(lines), OBJECTS[name][0], explain=False, algorithm="jit")
    # A complete frontier of what is forgotten costs more than a stream may spend.
    if told.validity == "unknown" and any(why in told.reason for why in ("had not begun with all", "state limit of")):
        raise GaveUp(told.reason)
    if told.validity != whole.validity:
        return f"the stream says {told.validity} ({told.reason}), the whole history {whole.validity}"
    # Where keys are joined there is one object, which a whole history may divide further.
    stopped, certain = (
        {None if is_joined else a.evidence["key"]: a.index or 0 for a in reversed(verdict.anomalies)}
        for verdict in (told, whole)
    )
    if stopped.keys() != certain.keys() or any(stopped[key] > certain[key] for key in certain):
        return f"the stream stopped at {stopped}, all were certain at {certain}"
    return None
