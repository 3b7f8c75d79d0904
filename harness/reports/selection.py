"""Which operations a person is shown of an anomaly. Every picture of it, on a page or in text, shows these.

An anomaly's evidence names the operations of a 1-minimal failing history, those that it needs whenever they took
effect, the one that fits no order, and the last one that did; or the transactions of a cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from harness.judged import JudgedAnomaly

from .texts import plain, value_text

_TEXT_MAX: Final = 400


class _Operation(msgspec.Struct, kw_only=True):
    process: int
    call: int
    ret: int | None = None

    def __post_init__(self) -> None:
        if self.ret is not None and self.ret <= self.call:
            raise ValueError("an operation that returns before its call")


class _Transaction(msgspec.Struct, kw_only=True):
    process: int | str | None = None
    call: int | None = None
    ret: int | None = None
    returned: int | None = msgspec.field(name="return", default=None)


class _Between(msgspec.Struct, kw_only=True):
    call: int
    ret: int
    states: list[Any]
    count: int


class _State(msgspec.Struct, kw_only=True):
    state: Any
    order: list[Any]


class _Read(msgspec.Struct, kw_only=True):
    """The parts of evidence that pictures read; what else it has may be anything."""

    minimal_history: list[_Operation] | None = None
    helpers: list[_Operation] | None = None
    last_placed: _Operation | None = None
    completing: _Operation | None = None
    blocked: _Operation | list[int] | None = None
    between: list[_Between] | None = None
    states: list[_State] | None = None
    starts: list[Any] | None = None
    since: int | None = None
    transactions: list[_Transaction] | None = None
    steps: list[Mapping[str, Any]] | None = None
    cycle: list[Any] | None = None

    def __post_init__(self) -> None:
        if self.completing is not None and isinstance(self.blocked, list):
            raise ValueError("several blocked operations beside one that completes")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `role` is kept, helper, blocked or placed; `call` and `ret` are indexes, ret None: unknown."""

    text: str
    process: int
    role: str
    call: int
    ret: int | None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The return of the operation called at `call`, and the states possible right after it; `more` are left out."""

    call: int
    ret: int
    states: tuple[str, ...]
    more: int


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Operations in the order of their calls, of which `left_out` earlier ones are not shown.

    `starts` are the states possible at the index `since`, or at the beginning.
    """

    operations: tuple[Shown, ...]
    moments: tuple[Moment, ...]
    starts: tuple[str, ...]
    since: int | None
    left_out: int


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that an anomaly names; `call` is None where the evidence has no more than its name."""

    name: str
    text: str
    process: int | None
    call: int | None
    ret: int | None


def evidence_of(anomaly: JudgedAnomaly) -> Mapping[str, Any]:
    """What an anomaly rests on; nothing where it was read without that, or where it is not what pictures read."""
    try:
        msgspec.convert(anomaly.evidence, _Read)
    except msgspec.ValidationError:  # a file of other people, or one that was damaged
        return {}
    return anomaly.evidence if isinstance(anomaly.evidence, dict) else {}


def select(evidence: Mapping[str, Any], operations_max: int) -> Selection | None:
    """The operations of a history that no order explains, the last ones first to be kept; None where there are none."""
    roles: dict[int, tuple[str, Mapping[str, Any]]] = {}
    listed = (
        ("placed", [evidence.get("last_placed")]), ("helper", evidence.get("helpers") or ()),
        ("kept", evidence.get("minimal_history") or ()),
        ("blocked", [evidence.get("blocked") or evidence.get("completing")]),
    )  # fmt: skip
    for role, operations in listed:
        for one in operations:
            if isinstance(one, Mapping) and isinstance(one.get("call"), int):
                roles[one["call"]] = (role, one)
    if not roles:
        return None
    helpers = [_named(one) for role, one in roles.values() if role == "helper"]
    chosen = [
        item
        for item in sorted(roles.items(), key=lambda item: item[0])
        if item[1][0] != "placed" or _named(item[1][1]) not in helpers
    ]
    left_out = max(0, len(chosen) - operations_max)
    return Selection(
        operations=tuple(_shown(role, one) for _, (role, one) in chosen[left_out:]),
        moments=tuple(_moments(evidence)),
        starts=tuple(plain(str(one)) for one in evidence.get("starts") or ()),
        since=evidence.get("since"),
        left_out=left_out,
    )


def _named(one: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an operation is, whenever it took effect: a helper stands for one without its place."""
    return one.get("process"), one.get("f"), one.get("value")


def _shown(role: str, one: Mapping[str, Any]) -> Shown:
    text = plain(str(one.get("text", "")), _TEXT_MAX)
    return Shown(text=text, process=one["process"], role=role, call=one["call"], ret=one.get("ret"))


def _moments(evidence: Mapping[str, Any]) -> Iterable[Moment]:
    for one in evidence.get("between") or ():
        states = tuple(plain(str(state)) for state in one["states"])
        yield Moment(call=one["call"], ret=one["ret"], states=states, more=max(0, one["count"] - len(states)))


def steps_of(evidence: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The steps of a cycle of transactions, each with a `source` that must come before its `target`."""
    return [step for step in evidence.get("steps") or () if "source" in step and "target" in step]


def transactions(evidence: Mapping[str, Any]) -> list[Transaction]:
    """The transactions of a cycle, in its order, and others that its steps name."""
    described = {str(one.get("name")): one for one in evidence.get("transactions") or ()}
    steps = steps_of(evidence)
    names = [
        *map(str, evidence.get("cycle") or ()),
        *(str(step[end]) for step in steps for end in ("source", "target")),
    ]
    return [_transaction(name, described.get(name)) for name in dict.fromkeys(names)]


def _transaction(name: str, one: Mapping[str, Any] | None) -> Transaction:
    if one is None:
        return Transaction(name=plain(name, 40), text="", process=None, call=None, ret=None)
    return Transaction(
        name=plain(name, 40),
        text=value_text(one.get("value"), 600),
        process=one.get("process"),
        call=one.get("call"),
        ret=one.get("return"),
    )


def calls(evidence: Mapping[str, Any]) -> Iterable[tuple[int, int]]:
    """Indexes of call and return of the operations that an anomaly names; of one that never returned, its call."""
    for name in ("minimal_history", "helpers", "transactions"):
        for one in evidence.get(name) or ():
            if isinstance(one, dict) and isinstance(one.get("call"), int):
                ret = one.get("ret", one.get("return"))
                yield one["call"], ret if isinstance(ret, int) else one["call"]
    for name in ("blocked", "completing"):
        one = evidence.get(name)
        if isinstance(one, dict) and isinstance(one.get("call"), int):
            yield one["call"], one["ret"] if isinstance(one.get("ret"), int) else one["call"]
