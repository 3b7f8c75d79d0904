"""One event of a trace in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from checkers.trace import Row

from .standing import Standing, op_text


def tell(row: Row, standing: Standing) -> str:
    """Say what a row means; `standing` is how everything stands after it."""
    _, kind, actor, *fields = row
    return _TELLERS[kind](standing, actor, *fields)


def _start(_: Standing, actor: str, incarnation: int, _code: str) -> str:
    return f"{actor} starts" if incarnation == 1 else f"{actor} starts again (incarnation {incarnation})"


def _end(_: Standing, actor: str, _incarnation: int, reason: str) -> str:
    return f"{actor} goes down ({reason})"


def _refuse(_: Standing, actor: str, _incarnation: int, reason: str) -> str:
    return f"{actor} refuses to start ({reason})"


def _role(standing: Standing, actor: str, group: str, role: str, term: int) -> str:
    return f"{actor} becomes {role} in term {term}{_of(standing, group)}"


def _term(standing: Standing, actor: str, group: str, term: int) -> str:
    return f"{actor} enters term {term}{_of(standing, group)}"


def _vote(standing: Standing, actor: str, group: str, term: int, candidate: str) -> str:
    return f"{actor} votes for {candidate} in term {term}{_of(standing, group)}"


def _append(standing: Standing, actor: str, group: str, first: int, entries: Sequence[Sequence[Any]]) -> str:
    last = first + len(entries) - 1
    named = f"entry {first}" if first >= last else f"entries {first} to {last}"
    terms = sorted({entry[0] for entry in entries})
    return f"{actor} appends {named} of term {', '.join(map(str, terms))}{_of(standing, group)}"


def _truncate(standing: Standing, actor: str, group: str, first: int) -> str:
    return f"{actor} drops its entries from {first} on{_of(standing, group)}"


def _commit(standing: Standing, actor: str, group: str, index: int) -> str:
    return f"{actor} knows that {index} is committed{_of(standing, group)}"


def _apply(standing: Standing, actor: str, group: str, index: int, _command: Any, state: Any) -> str:
    digest = state.hex() if isinstance(state, bytes) else str(state)
    return f"{actor} applies {index}, state {digest[:8]}{_of(standing, group)}"


def _config(
    standing: Standing,
    actor: str,
    group: str,
    index: int,
    voters: Sequence[str],
    outgoing: Sequence[str],
    learners: Sequence[str],
) -> str:
    parts = [f"voters {', '.join(voters)}"]
    parts += [f"outgoing {', '.join(outgoing)}"] if outgoing else []
    parts += [f"learners {', '.join(learners)}"] if learners else []
    return f"{actor} takes the members of entry {index}: {'; '.join(parts)}{_of(standing, group)}"


def _snapshot(standing: Standing, actor: str, group: str, how: str, index: int, term: int, _state: Any) -> str:
    verb = {"taken": "takes", "installed": "installs", "recovered": "reads"}.get(how, how)
    return f"{actor} {verb} a snapshot up to {index} (term {term}){_of(standing, group)}"


def _send(standing: Standing, actor: str, id: int, target: str, kind: str, size: int) -> str:
    return f"{actor} sends {kind} to {target} (message {id}, {size} bytes)"


def _deliver(standing: Standing, actor: str, id: int, source: str) -> str:
    message = standing.carried
    if message is None:
        return f"{actor} gets message {id} from {source}"
    way_ms = (standing.time_ns - message.sent_ns) / 1e6
    return f"{actor} gets {message.kind} from {source} (message {id}, {way_ms:.1f} ms on its way)"


def _drop(standing: Standing, actor: str, id: int, reason: str) -> str:
    message = standing.carried
    if message is None:
        return f"message {id} to {actor} is lost ({reason})"
    return f"{message.kind} of {message.source} to {message.target} is lost: {reason} (message {id})"


def _duplicate(standing: Standing, actor: str, id: int, copy: int) -> str:
    return f"message {id} of {actor} is duplicated, as {copy}"


def _fsync(standing: Standing, actor: str, files: Sequence[str], durable: Sequence[Sequence[Any]]) -> str:
    if "recovered" in files:
        said = [f"entries up to {last}, term {term}{_of(standing, group)}" for group, last, term, *_ in durable]
        return f"the disk of {actor} still has {'; '.join(said) or 'nothing'}"
    said = [
        f"entries up to {last} and term {term}{f' with a vote for {vote}' if vote else ''} "
        f"are durable{_of(standing, group)}"
        for group, last, term, vote, *_ in durable
    ]
    return f"{actor} has synced {', '.join(files)}{': ' if said else ''}{'; '.join(said)}"


def _persist_fail(_: Standing, actor: str, operation: str, reason: str) -> str:
    return f"{actor} fails to {operation} ({reason})"


def _clock(_: Standing, actor: str, what: str, value: Any) -> str:
    return f"the clock of {actor}: {what} {value}"


def _fault_begin(_: Standing, _actor: str, fault: str, kind: str, targets: Sequence[str]) -> str:
    return f"fault {fault} begins: {kind}{' of ' + ', '.join(targets) if targets else ''}"


def _fault_end(_: Standing, _actor: str, fault: str, kind: str, outcome: str) -> str:
    if fault == "heal":
        return f"the faults are healed ({outcome})"
    return f"fault {fault} ends: {kind}, {outcome}"


def _mark(_: Standing, actor: str, name: str) -> str:
    return f"{actor + ': ' if actor else ''}mark {name!r}"


def _note(standing: Standing, actor: str, group: str, text: str) -> str:
    return f"{actor}: {text}{_of(standing, group) if group else ''}"


def _op(standing: Standing, _actor: str, op: Sequence[Any]) -> str:
    process, outcome, *_, error = op
    who = f"{standing.client_of(process)} (process {process})" if isinstance(process, int) else str(process)
    text = op_text(op)
    words = {"invoke": f"asks {text}", "ok": f"is told {text}", "fail": f"is refused {text} ({error})"}
    return f"{who} {words.get(outcome, f'does not learn what became of {text} ({error})')}"


def _of(standing: Standing, group: str) -> str:
    return f" of {group}" if len({name for _, name in standing.replicas}) > 1 else ""


_TELLERS: dict[str, Callable[..., str]] = {
    "start": _start,
    "stop": _end,
    "crash": _end,
    "refuse": _refuse,
    "role": _role,
    "term": _term,
    "vote": _vote,
    "log-append": _append,
    "log-truncate": _truncate,
    "commit": _commit,
    "apply": _apply,
    "config": _config,
    "snapshot": _snapshot,
    "send": _send,
    "deliver": _deliver,
    "drop": _drop,
    "duplicate": _duplicate,
    "fsync": _fsync,
    "persist-fail": _persist_fail,
    "clock": _clock,
    "fault-begin": _fault_begin,
    "fault-end": _fault_end,
    "mark": _mark,
    "note": _note,
    "op": _op,
}
