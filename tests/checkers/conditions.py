"""Conditions other than linearizability beside their definitions, read by read; `agreement` runs them at length.

Each oracle is written from the words of docs/checkers.md alone, over the operations of one object, and looks at every
pair of them. Histories are of any sort: values and elements come again, reads are drawn out of the air or from what was
written, an answer may be no, an outcome unknown, and a cas may write what it read.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from checkers import History, Verdict, check
from checkers.models import MODELS
from checkers.op import Op
from checkers.operation import INF, Operation
from tests.checkers import brute

Said = dict[str, Any]
"""What a condition says of a history: the verdict, the kinds of its anomalies, and what it measured."""

INITIAL = (None, None, None, 0, 1)


def history(rng: random.Random, draw: Callable[[random.Random, str | None], tuple[str, Any, str, Any, Any]]) -> History:
    """Make a history of up to ten operations of a few clients; `draw` says (f, asked, outcome, answer, error)."""
    keys: tuple[str | None, ...] = rng.choice(((None,), (None,), ("x", "y")))
    clients = list(range(rng.randint(1, 4)))
    fresh, hurry, count = len(clients), rng.choice((0.2, 0.5, 0.8)), rng.choice((0, 1, 2, *range(3, 11)))
    pending: dict[int, tuple[str | None, tuple[str, Any, str, Any, Any]]] = {}
    made: list[Op] = []
    while count or pending:
        free = [client for client in range(len(clients)) if clients[client] not in pending]
        op: dict[str, Any] = {"index": len(made), "time": len(made) * rng.choice((1, 1, 1, 0)) or _last(made)}
        if count and free and (not pending or rng.random() < hurry):
            process, key = clients[rng.choice(free)], rng.choice(keys)
            pending[process] = key, draw(rng, key)
            f, asked, *_ = pending[process][1]
            made.append(Op(**op, process=process, type="invoke", f=f, key=key, value=asked))
            count -= 1
            continue
        process = rng.choice(list(pending))
        key, (f, asked, outcome, answer, error) = pending.pop(process)
        if outcome == "info":
            clients[clients.index(process)], fresh = fresh, fresh + 1
            if rng.random() < 0.5:
                continue  # no line says that it is lost
        kind: Any = outcome
        made.append(Op(**op, process=process, type=kind, f=f, key=key, value=answer, error=error))
    return History(made)


def _last(made: list[Op]) -> int:
    return made[-1].time if made else 0


# -- staleness ---------------------------------------------------------------------------------------------------------


def draw_register(rng: random.Random, key: str | None) -> tuple[str, Any, str, Any, Any]:
    """Draw an operation on a register of very few values."""
    value, f = rng.randrange(4), rng.choices(("read", "write", "cas"), (5, 4, 2))[0]
    if f == "read":
        answer = rng.choice((None, 0, 1, 2, 3))
        return (
            "read",
            None,
            *rng.choices((("ok", answer, None), ("info", None, None), ("fail", None, "no")), (8, 1, 1))[0],
        )
    asked: Any = value if f == "write" else [rng.randrange(4), rng.choice((value, value, rng.randrange(4)))]
    refusal = ("fail", asked, rng.choice(("no", "precondition-failed")) if f == "cas" else "no")
    return f, asked, *rng.choices((("ok", asked, None), ("info", None, None), refusal), (7, 2, 2))[0]


def staleness(found: History, initial: Any) -> Said:
    """Say of each read whether it is stale, a phantom or from the future, by the words of `checkers.consistency`."""
    kinds: set[str] = set()
    lags, versions = [0], [0]
    reads = stale = 0
    for operations in found.by_key().values():
        writes = [(o, o.value if o.f == "write" else o.value[1]) for o in operations if _writes(o)]
        for read in operations:
            if read.type != "ok" or read.f == "write":
                continue
            value = read.result if read.f == "read" else read.value[0]
            reads += 1
            others = [write for write, written in writes if written == value and write is not read]
            ends = [write.ret for write in others if write.call < read.ret] or [-1] * (value == initial)
            if not ends:
                kinds.add("future-read" if others else "phantom-read")
                continue
            newer = [write for write, _ in writes if write.call > max(ends) and write.ret < read.call]
            if newer:
                stale += 1
                lags.append(read.call_time - min(newer, key=lambda write: write.ret).ret_time)
                versions.append(len(newer))
    kinds |= {f"stale-read/{what}" for what, most in (("time", lags), ("versions", versions)) if max(most) > 0}
    if not reads and not any(o.ret != INF and not o.is_void for o in found.operations()):
        return {"validity": "unknown", "kinds": set()}
    return {
        **{"validity": "invalid" if kinds else "valid", "kinds": kinds, "reads": reads, "stale": stale},
        **{"lag": max(lags) / 1e6, "versions": max(versions)},
    }


def _writes(operation: Operation) -> bool:
    return operation.f in ("write", "cas") and operation.type != "fail"


def told_of_staleness(verdict: Verdict) -> Said:
    """What the checker says, in the words of the oracle."""
    if verdict.validity == "unknown":
        return {"validity": "unknown", "kinds": set()}
    details = verdict.details
    kinds = {anomaly.kind + f"/{anomaly.detail}" * bool(anomaly.detail) for anomaly in verdict.anomalies}
    return {
        **{"validity": verdict.validity, "kinds": kinds, "reads": details["reads"], "stale": details["stale"]},
        **{"lag": details["lag_ms"].get("max", 0), "versions": details["versions"].get("max", 0)},
    }


# -- sets, element by element ------------------------------------------------------------------------------------------


def draw_set(rng: random.Random, key: str | None) -> tuple[str, Any, str, Any, Any]:
    """Draw an operation on a set of three elements, which are added again and again."""
    if rng.random() < 0.5:
        element = rng.randrange(3)
        refusal = ("fail", element, rng.choice(("no", "exists")))
        return "add", element, *rng.choices((("ok", element, None), ("info", None, None), refusal), (6, 2, 2))[0]
    seen = [element for element in range(3) if rng.random() < rng.choice((0.2, 0.6, 0.9))]
    rng.shuffle(seen)
    twice = seen[:1] * (rng.random() < 0.05)
    return (
        "read",
        None,
        *rng.choices((("ok", seen + twice, None), ("info", None, None), ("fail", None, "no")), (8, 1, 1))[0],
    )


def set_full(found: History, initial: Any) -> Said:
    """Say what became of each element: each word is applied to each element and read."""
    kinds: set[str] = set()
    fates = dict.fromkeys(("stable", "stale", "lost", "never-read"), 0)
    for operations in found.by_key(with_void=True).values():
        reads = sorted((o for o in operations if o.f == "read" and o.type == "ok"), key=lambda read: read.call)
        kinds |= {"duplicate" for read in reads if len(set(read.result)) < len(read.result)}
        added = [o for o in operations if o.f == "add"]
        for element in sorted({o.value for o in added} | {e for read in reads for e in read.result}):
            asked = [o for o in added if o.value == element]
            effective = [o for o in asked if o.type != "fail"]
            having = [read for read in reads if element in read.result]
            begun = min((o.call for o in effective), default=INF)
            if any(read.ret < begun for read in having):
                kinds.add("future" if effective else "revived" if any(o.is_void for o in asked) else "phantom")
            if any(o.is_negative and o.ret < begun for o in asked):
                kinds.add("refused")
            if not effective:
                continue
            proofs = [*(o.ret for o in asked if o.type == "ok" or o.is_negative), *(read.ret for read in having)]
            known = min(proofs, default=INF)
            missing = [read for read in reads if read.call > begun and element not in read.result]
            could = sorted((*missing, *having), key=lambda read: read.call)
            late = [read for read in missing if read.call > known]
            if could and could[-1] in missing and could[-1] in late:
                fates["lost"] += 1
            elif could and could[-1] in having:
                fates["stable"] += 1
                fates["stale"] += bool(late)
            else:
                fates["never-read"] += 1
    kinds |= {fate for fate in ("lost", "stale") if fates[fate]}
    validity = "invalid" if kinds else "valid" if fates["stable"] else "unknown"
    return {"validity": validity, "kinds": kinds, **fates}


def told_of_sets(verdict: Verdict) -> Said:
    """What the checker says, in the words of the oracle."""
    kinds = {anomaly.kind for anomaly in verdict.anomalies}
    fates = {fate: verdict.details[fate] for fate in ("stable", "stale", "lost", "never-read")}
    return {"validity": verdict.validity, "kinds": kinds, **fates}


# -- counters ----------------------------------------------------------------------------------------------------------


def draw_counter(rng: random.Random, key: str | None) -> tuple[str, Any, str, Any, Any]:
    """Draw an operation on a counter; now and then one that sets it, or an answer that it is missing."""
    f = rng.choices(("read", "add", "add-and-get", "set", "create"), (5, 4, 3, 0.1, 0.1))[0]
    delta, value = rng.choice((-2, -1, 0, 1, 2, 3)), rng.randint(-3, 5)
    asked = None if f == "read" else delta
    answer: Any = value if f == "read" else [delta, value] if f == "add-and-get" else delta
    refusal = ("fail", asked, rng.choices(("no", "exists" if f == "create" else "absent"), (9, 1))[0])
    return f, asked, *rng.choices((("ok", answer, None), ("info", None, None), refusal), (8, 2, 1))[0]


def counter_bounds(found: History, initial: Any) -> Said:
    """Ask of each read whether its value lies between what is certainly in the counter and what may be."""
    impossible = 0
    refused = initial is None and any(o.f == "create" for o in found.operations(with_void=True))
    for operations in found.by_key().values():
        if any(o.f in ("set", "create") or o.is_negative for o in operations):
            refused = True
            continue
        for read in operations:
            if read.type != "ok" or read.f == "add":
                continue
            value = read.result if read.f == "read" else read.result[1]
            low = high = initial or 0
            for o in operations:
                if o.f == "read" or o.call > read.ret:
                    continue
                certain = o.ret < read.call or o is read
                low += o.value if certain else min(o.value, 0)
                high += o.value if certain else max(o.value, 0)
            impossible += not low <= value <= high
    judged = any(o.ret != INF for o in found.operations())
    validity = "invalid" if impossible else "unknown" if refused or not judged else "valid"
    return {"validity": validity, "impossible": impossible}


def told_of_counters(verdict: Verdict) -> Said:
    """What the checker says, in the words of the oracle."""
    return {"validity": verdict.validity, "impossible": verdict.details["impossible"]}


# -- sequential --------------------------------------------------------------------------------------------------------


def sequential(found: History, initial: Any) -> Said:
    """Try every order that keeps the order of each process; what has an unknown outcome comes in it, or not."""
    model = MODELS["cas-register"]
    kept = [o for o in found.operations() if not (o.f == "read" and o.is_crashed)]
    processes: dict[int, list[Operation]] = {}
    for operation in kept:
        processes.setdefault(operation.process, []).append(operation)
    rows = list(processes.values())
    seen: set[Any] = set()

    def can_finish(at: tuple[int, ...], values: dict[Any, Any]) -> bool:
        if all(place == len(row) for place, row in zip(at, rows, strict=True)):
            return True
        if (mark := (at, frozenset(values.items()))) in seen:
            return False
        seen.add(mark)
        for number, row in enumerate(rows):
            if at[number] == len(row):
                continue
            operation, after = row[at[number]], (*at[:number], at[number] + 1, *at[number + 1 :])
            state = model.step(values.get(operation.key, initial), operation)
            if state is not brute.ILLEGAL and can_finish(after, {**values, operation.key: state}):
                return True
            if operation.is_crashed and can_finish(after, values):
                return True
        return False

    if not any(o.ret != INF for o in kept):
        return {"validity": "unknown"}
    return {"validity": "valid" if can_finish((0,) * len(rows), {}) else "invalid"}


def told_of_orders(verdict: Verdict) -> Said:
    """What the checker says, in the words of the oracle."""
    return {"validity": verdict.validity}


# -- side by side ------------------------------------------------------------------------------------------------------

CONDITIONS: dict[str, tuple[Any, Callable[[History, Any], Said], Callable[[Verdict], Said]]] = {
    "staleness": (draw_register, staleness, told_of_staleness),
    "set-full": (draw_set, set_full, told_of_sets),
    "counter-bounds": (draw_counter, counter_bounds, told_of_counters),
    "sequential": (draw_register, sequential, told_of_orders),
}


def disagreement(name: str, rng: random.Random) -> tuple[str, str | None, History]:
    """Return the verdict of one example, what the checker got wrong about it or None, and the history."""
    draw, oracle, words = CONDITIONS[name]
    found = history(rng, draw)
    initial = None if name == "set-full" else rng.choice(INITIAL)
    expected = oracle(found, initial)
    told = words(check(found, consistency=name, initial=initial))
    if told != expected:
        return told["validity"], f"initial {initial}: the checker says {told}, the definition {expected}", found
    return told["validity"], is_too_strict(name, found, initial, told["validity"]), found


def is_too_strict(name: str, found: History, initial: Any, validity: str) -> str | None:
    """A linearizable history keeps each of these promises."""
    if validity != "invalid":
        return None
    model = {"set-full": "set", "counter-bounds": "counter"}.get(name, "cas-register")
    whole = check(found, model, initial=initial, explain=False)
    return "accused, but it is linearizable" if whole.validity == "valid" else None
