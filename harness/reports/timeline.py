"""What stands on the time axis of a whole run: operations, faults, and who led with which term and commit index.

Everything is columns of integers, because a run has tens of thousands of operations: times are microseconds of virtual
time since the start, texts are numbers of one table (`texts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from checkers.op import NEMESIS, Op
from checkers.trace import Row
from harness.faults.fault import FOREVER
from harness.plans.plan import Plan
from harness.record import RunRecord

from .texts import Texts, plain, value_text

Columns = dict[str, list[int]]

OUTCOMES: Final = {"ok": 0, "fail": 1, "info": 2}
"""Numbers of outcomes; an operation that had no completion at all is `info`."""


def micro(time_ns: int) -> int:
    """Microseconds: the page's unit of time."""
    return time_ns // 1000


def operations(history: Iterable[Op], threads: int, end_ns: int, texts: Texts) -> Columns:
    """The operations in the order of their calls.

    Columns: `p` process, `l` lane (the thread, whose processes follow each other), `f`, `k` key, `v` what was asked,
    `r` what was told and `e` error (texts), `o` outcome, `a` call and `b` return (times), `i` call and `j` return
    (indexes; -1 where there is no return).
    """
    columns: Columns = {name: [] for name in "plfkvreoabij"}
    open_at: dict[int, int] = {}
    for op in history:
        if op.process == NEMESIS or not isinstance(op.process, int):
            continue
        if op.type == "invoke":
            open_at[op.process] = len(columns["p"])
            asked = "" if op.value is None else value_text(op.value)
            row = (op.process, op.process % threads, texts.place(plain(op.f)), texts.place(_key(op.key)))
            more = (texts.place(asked), 0, 0, OUTCOMES["info"], micro(op.time), micro(end_ns), op.index, -1)
            for name, value in zip("plfkvreoabij", (*row, *more), strict=True):
                columns[name].append(value)
            continue
        at = open_at.pop(op.process, None)
        if at is None:
            continue
        columns["o"][at] = OUTCOMES[op.type]
        columns["b"][at], columns["j"][at] = micro(op.time), op.index
        if op.type == "ok" and op.value is not None:
            columns["r"][at] = texts.place(value_text(op.value))
        if op.error is not None:
            columns["e"][at] = texts.place(plain(op.error) if isinstance(op.error, str) else value_text(op.error))
    return columns


def _key(key: Any) -> str:
    if key is None:
        return ""
    return plain(key) if isinstance(key, str) else value_text(key)


def faults(plan: Plan, record: RunRecord, rows: Sequence[Row] | None, end_ns: int) -> list[list[Any]]:
    """The faults in the order of the plan: id, kind, begin, end, outcome, targets, particulars.

    Times are those at which they began and ended, which the trace knows; without a trace, those of the plan.
    """
    began: dict[str, tuple[int, Sequence[str]]] = {}
    ended: dict[str, int] = {}
    for row in rows or ():
        if row[1] == "fault-begin":
            began.setdefault(row[3], (row[0], row[5]))
        elif row[1] == "fault-end":
            ended.setdefault(row[3], row[0])
    healed = end_ns if rows is None else ended.get("heal", end_ns)
    listed = []
    for fault in plan.faults:
        outcome = record.fault_outcomes.get(fault.id, "")
        begin, targets = began.get(fault.id, (fault.begin_ns, ()))
        end = ended.get(fault.id, end_ns if fault.end_ns >= FOREVER else min(fault.end_ns, healed))
        listed.append([
            fault.id, fault.kind, micro(begin), micro(max(begin, min(end, end_ns))), outcome,
            plain(", ".join(targets)), plain(" ".join(fault.particulars())),
        ])  # fmt: skip
    return listed


class Track(msgspec.Struct, kw_only=True):
    """What one replica was, in the order of time.

    `roles`: flat triples of time, role (or `down`) and term; `commits`: flat pairs of time and commit index, only those
    that differ.
    """

    node: str
    group: str
    roles: list[Any] = []
    commits: list[int] = []


def tracks(rows: Iterable[Row]) -> list[Track]:
    """The tracks of all replicas, by group and name."""
    found: dict[tuple[str, str], Track] = {}
    terms: dict[tuple[str, str], int] = {}

    def track(actor: str, group: str) -> Track:
        return found.setdefault((actor, group), Track(node=plain(actor), group=plain(group)))

    for row in rows:
        time, kind, actor = micro(row[0]), row[1], row[2]
        if kind == "role":
            terms[actor, row[3]] = row[5]
            track(actor, row[3]).roles += [time, plain(row[4]), row[5]]
        elif kind == "term":
            terms[actor, row[3]] = row[4]
            roles = track(actor, row[3]).roles
            if roles and roles[-1] != row[4]:
                roles += [time, roles[-2], row[4]]
        elif kind == "commit":
            commits = track(actor, row[3]).commits
            if not commits or commits[-1] != row[4]:
                commits += [time, row[4]]
        elif kind in ("crash", "stop", "refuse"):
            for (name, group), one in found.items():
                if name == actor:
                    one.roles += [time, "down", terms.get((name, group), 0)]
    return [one for _, one in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))]
