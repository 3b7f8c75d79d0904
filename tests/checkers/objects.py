"""Real objects with real concurrency, for tests: histories whose answers come from an object, and damage to them.

`Recorder` runs a sequential object (written here, not by the models) under random overlapping clients. Each operation
takes effect at one random instant between its call and its return, so what is recorded is linearizable. `damaged`
changes an answer; whether that is still linearizable is for two engines to agree on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from checkers.op import Op

Answer = tuple[str, Any, Any]
"""(type, result, error)"""

Ask = tuple[str, Any, Any]
"""(f, key, value)"""


class RegisterObject:
    """A register with cas."""

    def __init__(self) -> None:
        self.value: Any = None

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "read":
            return "ok", self.value, None
        if f == "write":
            self.value = value
            return "ok", value, None
        if self.value != value[0]:
            return "fail", None, "precondition-failed"
        self.value = value[1]
        return "ok", value, None


class CounterObject:
    """A counter that starts at 0, or missing."""

    def __init__(self, *, missing: bool = False) -> None:
        self.value: int | None = None if missing else 0

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "create":
            if self.value is not None:
                return "fail", None, "exists"
            self.value = value
            return "ok", value, None
        if self.value is None:
            return "fail", None, "absent"
        if f == "read":
            return "ok", self.value, None
        if f == "cas":
            if self.value != value[0]:
                return "fail", None, "precondition-failed"
            self.value = value[1]
            return "ok", value, None
        self.value = value if f == "set" else self.value + value
        return "ok", [value, self.value] if f == "add-and-get" else value, None


class MapObject:
    """A map of registers with a size."""

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "size":
            return "ok", len(self.values), None
        before = self.values.get(key)
        if f == "read":
            return "ok", before, None
        if f == "put-if-absent" and before is not None:
            return "fail", None, "exists"
        if f == "replace" and before is None:
            return "fail", None, "absent"
        if f == "cas":
            if before != value[0]:
                return "fail", None, "precondition-failed"
            value = value[1]
        self.values[key] = value
        if value is None:
            del self.values[key]
        return "ok", before if f in ("replace", "remove") else value, None


class SetObject:
    """A set."""

    def __init__(self) -> None:
        self.elements: list[Any] = []

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "read":
            return "ok", sorted(self.elements), None
        if value not in self.elements:
            self.elements.append(value)
        return "ok", value, None


class QueueObject:
    """A FIFO queue."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "enqueue":
            self.items.append(value)
            return "ok", value, None
        if not self.items:
            return "fail", None, "empty"
        return "ok", self.items.pop(0), None


class ListObject:
    """A list that grows."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "append":
            self.items.append(value)
            return "ok", value, None
        return "ok", list(self.items), None


class TextObject:
    """A text that is written or appended to."""

    def __init__(self) -> None:
        self.text = ""

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f == "read":
            return "ok", self.text, None
        self.text = value if f == "write" else self.text + value
        return "ok", value, None


class MutexObject:
    """A lock without an owner."""

    def __init__(self) -> None:
        self.held = False

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if self.held == (f == "acquire"):
            return "fail", None, "held" if f == "acquire" else "absent"
        self.held = not self.held
        return "ok", None, None


class TransactionObject:
    """Registers or lists under transactions."""

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        done = []
        for micro, name, argument in value:
            if micro == "w":
                self.values[name] = argument
            elif micro == "append":
                self.values[name] = [*self.values.get(name, []), argument]
            done.append([micro, name, self.values.get(name) if micro == "r" else argument])
        return "ok", done, None


def ask_register(rng: random.Random, values: int) -> Ask:
    f = rng.choice(("read", "write", "cas"))
    if f == "cas":
        return f, None, [rng.randrange(values), rng.randrange(values)]
    return f, None, None if f == "read" else rng.randrange(values)


def ask_counter(rng: random.Random, values: int) -> Ask:
    f = rng.choice(("read", "add", "add-and-get", "add", "set", "cas"))
    if f == "cas":
        return f, None, [rng.randrange(values), rng.randrange(values)]
    return f, None, None if f == "read" else rng.randint(-values, values)


def ask_created_counter(rng: random.Random, values: int) -> Ask:
    return ("create", None, rng.randrange(values)) if rng.random() < 0.3 else ask_counter(rng, values)


def ask_map(rng: random.Random, values: int) -> Ask:
    f = rng.choice(("read", "write", "cas", "put-if-absent", "replace", "remove", "size"))
    if f == "size":
        return f, None, None
    key = rng.choice(("x", "y"))
    if f == "cas":
        return f, key, [rng.randrange(values), rng.randrange(values)]
    return f, key, None if f in ("read", "remove") else rng.randrange(values)


def ask_map_without_size(rng: random.Random, values: int) -> Ask:
    while True:
        found = ask_map(rng, values)
        if found[0] != "size":
            return found


def ask_set(rng: random.Random, values: int) -> Ask:
    return ("read", None, None) if rng.random() < 0.4 else ("add", None, rng.randrange(values))


def ask_queue(rng: random.Random, values: int) -> Ask:
    return ("dequeue", None, None) if rng.random() < 0.5 else ("enqueue", None, rng.randrange(values))


def ask_list(rng: random.Random, values: int) -> Ask:
    return ("read", None, None) if rng.random() < 0.4 else ("append", None, rng.randrange(values))


def ask_text(rng: random.Random, values: int) -> Ask:
    """Ask a text for reads and appends, and at times for a write; letters repeat."""
    f = rng.choices(("read", "append", "write"), (4, 5, 1))[0]
    return f, None, None if f == "read" else "ab"[rng.randrange(values) % 2] * rng.choice((1, 1, 2))


def ask_unique_list(rng: random.Random, values: int) -> Ask:
    """Ask for appends of elements from a range in which one hardly comes twice."""
    return ("read", None, None) if rng.random() < 0.5 else ("append", None, rng.randrange(1_000_000))


def ask_mutex(rng: random.Random, values: int) -> Ask:
    return rng.choice(("acquire", "release")), None, None


def _ask_txn(write: str) -> Callable[[random.Random, int], Ask]:
    def ask(rng: random.Random, values: int) -> Ask:
        micros = []
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(("x", "y", "z"))
            micros.append(["r", key, None] if rng.random() < 0.5 else [write, key, rng.randrange(values)])
        return "txn", None, micros

    return ask


OBJECTS: dict[str, tuple[str, Callable[[], Any], Callable[[random.Random, int], Ask]]] = {
    "cas-register": ("cas-register", RegisterObject, ask_register),
    "counter": ("counter", CounterObject, ask_counter),
    "created-counter": ("counter", lambda: CounterObject(missing=True), ask_created_counter),
    "map": ("map", MapObject, ask_map),
    "map-by-key": ("map", MapObject, ask_map_without_size),
    "set": ("set", SetObject, ask_set),
    "queue": ("queue", QueueObject, ask_queue),
    "list": ("list", ListObject, ask_list),
    "kv": ("kv", TextObject, ask_text),
    "unique-list": ("list", ListObject, ask_unique_list),
    "mutex": ("mutex", MutexObject, ask_mutex),
    "rw-register": ("rw-register", TransactionObject, _ask_txn("w")),
    "list-append": ("list-append", TransactionObject, _ask_txn("append")),
}
"""name -> (model, object, ask)"""


def record(
    rng: random.Random,
    name: str,
    *,
    count: int,
    processes: int,
    values: int,
    crash: float = 0.0,
    void: float = 0.0,
) -> list[Op]:
    """Record `count` operations of random clients on a real object; some crash, some never leave the client."""
    _, make, ask = OBJECTS[name]
    thing = make()
    lines: list[Op] = []
    idle = list(range(processes))
    running: list[tuple[int, Ask, Answer | None]] = []  # process, what was asked, what was answered so far
    started = 0
    lost: list[Ask] = []  # crashed, not yet in effect
    next_process = processes

    def line(process: int, kind: Any, asked: Ask, value: Any, error: Any) -> None:
        f, key, _ = asked
        index = len(lines)
        lines.append(Op(index=index, time=index, process=process, type=kind, f=f, key=key, value=value, error=error))

    while started < count or running:
        choice = rng.random()
        if lost and rng.random() < 0.1:
            thing.apply(*lost.pop(rng.randrange(len(lost))))
        if started < count and idle and (not running or choice < 0.4):
            process = idle.pop(rng.randrange(len(idle)))
            asked = ask(rng, values)
            line(process, "invoke", asked, asked[2], None)
            running.append((process, asked, None))
            started += 1
            continue
        place = rng.randrange(len(running))
        process, asked, answer = running[place]
        if answer is None:
            if rng.random() < void:
                running[place] = (process, asked, ("fail", None, "refused"))
            elif rng.random() < crash:
                del running[place]
                lost.append(asked)
                if rng.random() < 0.5:
                    line(process, "info", asked, asked[2], "timeout")
                idle.append(next_process)
                next_process += 1
            else:
                running[place] = (process, asked, thing.apply(*asked))
            continue
        del running[place]
        idle.append(process)
        kind, result, error = answer
        line(process, kind, asked, result if kind == "ok" else asked[2], error)
    return lines


def damaged(rng: random.Random, lines: list[Op], values: int) -> list[Op]:
    """Change one answer, or exchange two."""
    answered = [place for place, op in enumerate(lines) if op.type in ("ok", "fail") and op.error != "refused"]
    if not answered:
        return lines
    changed = list(lines)
    place = rng.choice(answered)
    op = changed[place]
    if op.f == "txn":
        are_lists = not any(micro[0] == "w" for line in lines if line.f == "txn" for micro in line.value)
        changed[place] = msgspec.structs.replace(op, value=_misread(rng, op.value, values, are_lists))
        return changed
    same = [other for other in answered if lines[other].f == op.f and lines[other].type == op.type]
    other = rng.choice(same)
    if rng.random() < 0.6:
        twin = lines[other]
        if _exchangeable(op):
            changed[place] = msgspec.structs.replace(op, value=twin.value)
            changed[other] = msgspec.structs.replace(twin, value=op.value)
        return changed
    if op.type == "fail":
        changed[place] = msgspec.structs.replace(op, type="ok", error=None, value=_guess(rng, op, values))
    elif op.f == "cas":
        changed[place] = msgspec.structs.replace(op, type="fail", error="precondition-failed")
    else:
        changed[place] = msgspec.structs.replace(op, value=_guess(rng, op, values))
    return changed


def _misread(rng: random.Random, micros: list[Any], values: int, are_lists: bool) -> list[Any]:
    """Change what one read of a transaction saw."""
    reads = [place for place, micro in enumerate(micros) if micro[0] == "r"]
    if not reads:
        return micros
    changed = [list(micro) for micro in micros]
    micro = changed[rng.choice(reads)]
    if isinstance(micro[2], list):
        micro[2] = [*micro[2], rng.randrange(values)] if rng.random() < 0.3 else micro[2][:-1]
    else:
        value = rng.randrange(values)
        micro[2] = rng.choice((None, [value] if are_lists else value))
    return changed


def _exchangeable(op: Op) -> bool:
    return op.type == "ok" and op.f in ("read", "dequeue", "size", "replace", "remove")


def _guess(rng: random.Random, op: Op, values: int) -> Any:
    if op.f == "read" and isinstance(op.value, str):
        return op.value[:-1] if rng.random() < 0.5 else op.value + rng.choice("ab")
    if op.f in ("read", "dequeue", "remove", "replace", "size") and not isinstance(op.value, list):
        if op.f in ("read", "remove") and rng.random() < 0.2 and op.key is not None:
            return None
        return rng.randrange(values)
    if op.f == "read" and op.type == "ok":
        items = list(op.value)
        if items and rng.random() < 0.7:
            items.pop(rng.randrange(len(items)))
        else:
            items.append(rng.randrange(values))
        return items
    if op.f == "add-and-get":
        delta, total = op.value if isinstance(op.value, list) else (op.value, op.value)
        return [delta, total + rng.choice((-1, 1))]
    return op.value
