"""What is wrong with an answer of a list that only grows, in one sentence: an element, an order, or two reads apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from checkers.linearizability.partition import Part
from checkers.models import Model
from checkers.operation import Operation
from checkers.values import show

from .wording import cut


def impossible_list(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """Say what a list, or a text that was never written, cannot have shown; "" where nothing tells alone."""
    if blocked.f != "read" or blocked.type != "ok" or any(operation.f == "write" for operation in part.operations):
        return ""
    if model.name == "list" and isinstance(model.init, tuple):
        return (
            _strange(part, model.init, blocked)
            or _missing(part, blocked)
            or _order(part, blocked)
            or _fork(part, blocked)
        )
    return _fork(part, blocked) if model.name == "kv" else ""


def _strange(part: Part, initial: tuple[Any, ...], blocked: Operation) -> str:
    """An element that nobody had appended by then."""
    appended = {o.value for o in part.operations if o.f == "append" and o.call < blocked.ret}.union(initial)
    element = next((element for element in blocked.result if element not in appended), None)
    if element is None:
        return ""
    who = f"process {blocked.process} read {cut(show(element))}"
    failed = next((void for void in part.voids if void.f == "append" and void.value == element), None)
    if failed is not None:
        return f"{who}, but the append of process {failed.process} failed"
    later = next((o for o in part.operations if o.f == "append" and o.value == element), None)
    return f"{who} before process {later.process} called its append" if later else f"{who}, which was never appended"


def _missing(part: Part, blocked: Operation) -> str:
    """An element whose append had returned before."""
    shown = set(blocked.result)
    before = [o for o in part.operations if o.f == "append" and o.type == "ok" and o.ret < blocked.call]
    lost = min((o for o in before if o.value not in shown), key=lambda operation: operation.ret, default=None)
    if lost is None:
        return ""
    element = cut(show(lost.value))
    return f"process {blocked.process} read a list without {element}, which process {lost.process} had appended"


def _order(part: Part, blocked: Operation) -> str:
    """Two elements, each appended once, the other way round than they were appended."""
    appends = [o for o in part.operations if o.f == "append"]
    times = Counter(append.value for append in appends)
    once = {append.value: append for append in appends if times[append.value] == 1}
    latest: Operation | None = None  # of the elements so far, the append that was called last
    for element in blocked.result:
        append = once.get(element)
        if append is None:
            continue
        if latest is not None and append.ret < latest.call:
            first, second = cut(show(element)), cut(show(latest.value))
            return f"process {blocked.process} read {second} before {first}, but {first} was appended first"
        if latest is None or append.call > latest.call:
            latest = append
    return ""


def _fork(part: Part, blocked: Operation) -> str:
    """A read that does not begin with what another one had shown before; of a text, null is the empty one."""
    shown = "" if blocked.result is None else blocked.result
    reads = [o for o in part.operations if o.f == "read" and o.type == "ok" and o.ret < blocked.call]
    for read in sorted(reads, key=lambda operation: operation.ret, reverse=True):
        if read.result is not None and shown[: len(read.result)] != read.result:
            seen, before = cut(show(blocked.result)), cut(show(read.result))
            return (
                f"process {blocked.process} read {seen} after process {read.process} had read {before}, "
                "which it does not begin with"
            )
    return ""
