"""Final reads: those that were invoked when nothing that changes the object was under way any more.

Eventual consistency promises nothing before. They are found in the history itself, so that a stored one is judged
alike: every read that was invoked after the last line of any other operation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from checkers.operation import INF, Operation


def final_reads(operations: Sequence[Operation], names: Collection[str] = ("read",)) -> list[Operation]:
    """List the reads (`names`) with an answer that were invoked after all else, in the order of their invokes."""
    last = max((_end(one) for one in operations if one.f not in names), default=-1)
    return [one for one in operations if one.f in names and one.type == "ok" and one.call > last]


def _end(operation: Operation) -> int:
    return operation.call if operation.ret == INF else operation.ret
