"""Orders placed in several shards beside every order of them; `agreement` runs it at length.

A store with one list a shard runs under random clients: some orders get lost on the way to a shard, fail and are there,
are placed twice under one number, or are read wrongly. The oracle knows nothing of the checker and of the model: the
orders of a customer make one list, and each shard of a read tells it.
"""

from __future__ import annotations

import random
from typing import Any

from checkers import History, check
from checkers.op import Op
from checkers.operation import INF, Operation


def random_history(rng: random.Random) -> History:
    """Draw up to eight orders and reads of one or two customers."""
    keys: list[str | None] = rng.choice(([None], ["x"], ["x", "y"]))
    shards = ["a", "b", "c"][: rng.randint(1, 3)]
    lists: dict[tuple[str | None, str], list[int]] = {(key, shard): [] for key in keys for shard in shards}
    crash, fail, lie = rng.choice((0, 0, 0.2, 0.4)), rng.choice((0, 0.2)), rng.choice((0, 0, 0.3))
    clients, fresh = list(range(rng.randint(1, 4))), 10
    lines: list[Op] = []
    running: dict[int, tuple[str, str | None, Any, tuple[Any, Any, Any] | None]] = {}
    lost: list[tuple[str | None, int]] = []
    count, number = rng.randint(1, 8), 0

    def apply(key: str | None, order: int) -> None:
        for shard in shards:
            if rng.random() >= lie / 4:
                lists[key, shard].append(order)

    while count or running:
        at = {"index": len(lines), "time": len(lines)}
        if lost and rng.random() < 0.3:
            apply(*lost.pop())
        idle = [client for client in clients if client not in running]
        if count and idle and (not running or rng.random() < 0.5):
            client, key, asked = rng.choice(idle), rng.choice(keys), None
            f = rng.choice(("order", "read"))
            if f == "order":
                number += rng.random() < 0.9 or not number
                asked = [number, shards]
            running[client] = f, key, asked, None
            lines.append(Op(**at, process=client, type="invoke", f=f, key=key, value=asked))
            count -= 1
            continue
        client = rng.choice(list(running))
        f, key, asked, answer = running.pop(client)
        if answer is not None:
            kind, value, error = answer
            lines.append(Op(**at, process=client, type=kind, f=f, key=key, value=value, error=error))
        elif rng.random() < crash:
            clients[clients.index(client)], fresh = fresh, fresh + 1
            if f == "order":
                lost.append((key, asked[0]))
            if rng.random() < 0.5:
                lines.append(Op(**at, process=client, type="info", f=f, key=key, value=asked, error="timeout"))
        elif rng.random() < fail:
            running[client] = f, key, asked, ("fail", asked, "aborted")
            if f == "order" and rng.random() < lie:
                apply(key, asked[0])
        elif f == "order":
            apply(key, asked[0])
            running[client] = f, key, asked, ("ok", asked, None)
        else:
            seen = [[shard, list(lists[key, shard])] for shard in rng.sample(shards, rng.randint(1, len(shards)))]
            if rng.random() < lie:
                _misread(rng, seen)
            running[client] = f, key, asked, ("ok", seen, None)
    return History(lines)


def _misread(rng: random.Random, seen: list[list[Any]]) -> None:
    """Change what one shard of a read told, or take the last order from all."""
    orders = rng.choice(seen)[1]
    what = rng.choice(("lose", "shuffle", "invent", "stale"))
    if what == "lose" and orders:
        orders.pop(rng.randrange(len(orders)))
    elif what == "shuffle":
        rng.shuffle(orders)
    elif what == "invent":
        orders.append(rng.randint(1, 9))
    elif what == "stale":
        for shard in seen:
            shard[1] = shard[1][:-1]


def explained(history: History) -> bool:
    """Whether for each customer some order of time explains every list of every read."""
    return all(_is_one_list(operations) for operations in history.by_key().values())


def _is_one_list(operations: list[Operation]) -> bool:
    kept = [o for o in operations if o.type == "ok" or (o.type == "info" and o.f == "order")]
    seen: set[tuple[int, tuple[int, ...]]] = set()

    def can_finish(placed: int, orders: tuple[int, ...]) -> bool:
        waiting = [place for place in range(len(kept)) if not placed >> place & 1]
        first = min((kept[place].ret for place in waiting), default=INF)
        if first == INF:
            return True
        if (placed, orders) in seen:
            return False
        seen.add((placed, orders))
        for place in waiting:
            operation = kept[place]
            if operation.call > first:
                continue
            if operation.f == "order":
                after = (*orders, operation.value[0])
            elif all(told == orders for _, told in operation.result):
                after = orders
            else:
                continue
            if can_finish(placed | 1 << place, after):
                return True
        return False

    return can_finish(0, ())


def disagreement(rng: random.Random) -> tuple[str, str | None, History]:
    """Return the verdict on one example, what is wrong with it or None, and the history."""
    history = random_history(rng)
    expected = "valid" if explained(history) else "invalid"
    if all(operation.type == "info" or operation.is_void for operation in history.operations(with_void=True)):
        expected = "unknown"
    found = {algorithm: check(history, "orders", algorithm=algorithm).validity for algorithm in ("auto", "jit", "wgl")}
    wrong = f"the checkers say {found}, all orders say {expected}" if {*found.values()} != {expected} else None
    return expected, wrong, history
