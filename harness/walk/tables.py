"""How everything stands, as rows for tables and lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from .standing import Call, InForce, Message, Replica, Standing

COLUMNS: Final = ("node", "role", "term", "vote", "commit", "applied", "durable", "log, as index:term")
"""Of the table of replicas; with several groups, `group` stands behind the node."""
_MESSAGES_SHOWN: Final = 12


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """How everything stands after an event, as `replay --until --json` prints it."""

    index: int
    time_ns: int
    replicas: tuple[Replica, ...]
    messages: tuple[Message, ...]
    operations: tuple[Call, ...]
    faults: tuple[InForce, ...]


def columns(standing: Standing) -> tuple[str, ...]:
    """Headings of the table of replicas."""
    return (COLUMNS[0], "group", *COLUMNS[1:]) if _several(standing) else COLUMNS


def replicas(standing: Standing) -> list[tuple[Any, ...]]:
    """The rows of the table of replicas."""
    ordered = sorted(standing.replicas.items())
    return [_row(replica, _several(standing)) for _, replica in ordered]


def _row(replica: Replica, several: bool) -> tuple[Any, ...]:
    role = (replica.role or "starting") if replica.state == "up" else replica.state
    group = (replica.group,) if several else ()
    values = (replica.term, replica.vote or "-", replica.commit, replica.applied, replica.durable, replica.log_text)
    return (replica.node, *group, role, *values)


def members(standing: Standing) -> list[str]:
    """What replicas take the members to be, once any of them differs from another or is joint."""
    views: dict[str, list[str]] = {}
    for (node, group), replica in sorted(standing.replicas.items()):
        if replica.voters:
            joint = f" and of {', '.join(replica.outgoing)}" if replica.outgoing else ""
            of = f" of {group}" if _several(standing) else ""
            views.setdefault(f"{', '.join(replica.voters)}{joint}{of}", []).append(node)
    groups = len({group for _, group in standing.replicas})
    return [f"{text}: {', '.join(nodes)}" for text, nodes in views.items()] if len(views) > groups else []


def messages(standing: Standing) -> list[str]:
    """Messages on their way, those of one kind on one link together, the oldest first."""
    flights: dict[tuple[str, str, str], list[int]] = {}
    for message in standing.messages.values():
        flights.setdefault((message.source, message.target, message.kind), []).append(message.sent_ns)
    lines = []
    for (source, target, kind), sent in sorted(flights.items(), key=lambda item: min(item[1])):
        times = f" {len(sent)} times" if len(sent) > 1 else ""
        lines.append(f"{source}>{target} {kind}{times}, sent {_ago(standing, min(sent))} ago")
    return _some(lines)


def calls(standing: Standing) -> list[str]:
    """Operations without an answer yet."""
    waiting = sorted(standing.calls.values(), key=lambda call: call.since_ns)
    return _some([f"{call.client} {call.text}, for {_ago(standing, call.since_ns)}" for call in waiting])


def faults(standing: Standing) -> list[str]:
    """Faults in force."""
    return _some([
        f"{fault.id} {fault.kind}{' of ' + ', '.join(fault.targets) if fault.targets else ''}, "
        f"for {_ago(standing, fault.since_ns)}"
        for fault in standing.faults.values()
    ])  # fmt: skip


def document(standing: Standing) -> Document:
    """Everything, for scripts."""
    return Document(
        index=standing.index,
        time_ns=standing.time_ns,
        replicas=tuple(replica for _, replica in sorted(standing.replicas.items())),
        messages=tuple(standing.messages.values()),
        operations=tuple(standing.calls.values()),
        faults=tuple(standing.faults.values()),
    )


def _several(standing: Standing) -> bool:
    return len({group for _, group in standing.replicas}) > 1


def _ago(standing: Standing, then_ns: int) -> str:
    passed_ns = standing.time_ns - then_ns
    return f"{passed_ns / 1e9:.3f} s" if passed_ns >= 1_000_000_000 else f"{passed_ns / 1e6:.1f} ms"


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MESSAGES_SHOWN
    return [*lines[:_MESSAGES_SHOWN], *([f"and {more} more"] if more > 0 else [])]
