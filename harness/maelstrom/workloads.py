"""The workloads of Maelstrom: which calls clients make, how each is said as a message, and who judges the answers.

Calls are drawn before the run, as everywhere here. What only a running client knows (how far it has read a log) is kept
by the client and filled in when the request is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

import checkers
from checkers.history import History
from checkers.maelstrom import converging_counters, converging_sets, echo, offset_logs, unique_ids
from checkers.transactions import CONSISTENCY_MODELS
from checkers.verdict import Verdict
from harness.live.maelstrom_protocol import Body
from harness.plans.plan import Check, PlannedOp
from harness.plans.rng import Stream
from workloads.generator import Call, Context, Generator, calls, mix

Positions = dict[Any, int]
"""What a client remembers of each log: the next offset that it has not read."""

Judge = Callable[[History, Sequence[str], Check], Verdict]
"""(history, consistency models that are asked for, limits) -> verdict."""

_CALLS_PER_KEY: Final = 60
_TXN_KEYS: Final = 4
_TXN_LENGTH_MAX: Final = 4
_LOG_KEYS: Final = 3
_FINAL_POLLS: Final = 10
"""How often each node is asked for what comes next, after a poll from the start: only so an end is reached."""


class Rpc(msgspec.Struct, frozen=True, kw_only=True):
    """One function of a workload, as a message and back.

    `answer` raises KeyError, TypeError or ValueError for a reply that is none to this request.
    """

    type: str
    """The `type` of the request; that of its reply ends in `_ok`."""
    body: Callable[[PlannedOp, Positions], Body] = lambda op, positions: {}
    value: Callable[[PlannedOp, Positions], Any] = lambda op, positions: op.value
    """What the history holds as asked."""
    answer: Callable[[Body, PlannedOp, Positions], Any] = lambda reply, op, positions: op.value


class LiveWorkload(msgspec.Struct, frozen=True, kw_only=True):
    """One workload. `final` are the calls that each node is asked when all is quiet."""

    name: str
    summary: str
    rpcs: dict[str, Rpc]
    generator: Callable[[Stream], Generator]
    judge: Judge
    final: tuple[Call, ...] = ()
    needs_topology: bool = False
    expects: tuple[str, ...] = ()
    """Consistency models among which `--expect` chooses; empty: it does not apply."""


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no integer")
    return value


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _modelled(model: str) -> Judge:
    def judge(history: History, expect: Sequence[str], limits: Check) -> Verdict:
        return checkers.check(
            history, model, expect=expect, step_limit=limits.step_limit, state_limit=limits.state_limit
        )

    return judge


def _by(check: Callable[[History], Verdict]) -> Judge:
    return lambda history, expect, limits: check(history)


# -- echo and unique-ids --------------------------------------------------------------------------------------------

ECHO: Final = LiveWorkload(
    name="echo",
    summary="a node answers what it is asked",
    rpcs={
        "echo": Rpc(
            type="echo", body=lambda op, _: {"echo": op.value}, answer=lambda reply, op, positions: reply["echo"]
        )
    },
    generator=lambda stream: calls(lambda context: Call(f="echo", value=f"Please echo {context.fresh()}")),
    judge=_by(echo.check),
)

UNIQUE_IDS: Final = LiveWorkload(
    name="unique-ids",
    summary="no two ids are equal",
    rpcs={"generate": Rpc(type="generate", answer=lambda reply, op, positions: reply["id"])},
    generator=lambda stream: calls(lambda context: Call(f="generate")),
    judge=_by(unique_ids.check),
)


# -- a linearizable key-value store ----------------------------------------------------------------------------------


def _key(op: PlannedOp) -> int:
    assert op.key is not None
    return int(op.key)


def _registers(stream: Stream) -> Generator:
    def key(number: int) -> str:
        return str(number // _CALLS_PER_KEY)

    def read(context: Context) -> Call:
        return Call(f="read", key=key(context.fresh()))

    def write(context: Context) -> Call:
        return Call(f="write", key=key(context.fresh()), value=context.stream.below(5))

    def cas(context: Context) -> Call:
        return Call(f="cas", key=key(context.fresh()), value=[context.stream.below(5), context.stream.below(5)])

    return mix((2, calls(read)), (1, calls(write)), (1, calls(cas)))


LIN_KV: Final = LiveWorkload(
    name="lin-kv",
    summary="registers by key: read, write, cas",
    rpcs={
        "read": Rpc(
            type="read", body=lambda op, _: {"key": _key(op)}, answer=lambda reply, op, positions: reply["value"]
        ),
        "write": Rpc(type="write", body=lambda op, _: {"key": _key(op), "value": op.value}),
        "cas": Rpc(type="cas", body=lambda op, _: {"key": _key(op), "from": op.value[0], "to": op.value[1]}),
    },
    generator=_registers,
    judge=_modelled("cas-register"),
)


# -- sets and counters that converge ---------------------------------------------------------------------------------

_READ: Final = calls(lambda context: Call(f="read"))
_ADD: Final = calls(lambda context: Call(f="add", value=context.fresh()))

BROADCAST: Final = LiveWorkload(
    name="broadcast",
    summary="every node learns every message",
    rpcs={
        "add": Rpc(type="broadcast", body=lambda op, _: {"message": op.value}),
        "read": Rpc(type="read", answer=lambda reply, op, positions: _listed(reply["messages"])),
    },
    generator=lambda stream: mix((1, _ADD), (1, _READ)),
    judge=_by(converging_sets.check),
    final=(Call(f="read"),),
    needs_topology=True,
)

G_SET: Final = LiveWorkload(
    name="g-set",
    summary="a set that grows",
    rpcs={
        "add": Rpc(type="add", body=lambda op, _: {"element": op.value}),
        "read": Rpc(type="read", answer=lambda reply, op, positions: _listed(reply["value"])),
    },
    generator=lambda stream: mix((1, _ADD), (1, _READ)),
    judge=_by(converging_sets.check),
    final=(Call(f="read"),),
)


def _counter(name: str, summary: str, low: int) -> LiveWorkload:
    add = calls(lambda context: Call(f="add", value=context.stream.between(low, 5)))
    return LiveWorkload(
        name=name,
        summary=summary,
        rpcs={
            "add": Rpc(type="add", body=lambda op, _: {"delta": op.value}),
            "read": Rpc(type="read", answer=lambda reply, op, positions: _integer(reply["value"])),
        },
        generator=lambda stream: mix((1, add), (1, _READ)),
        judge=_by(converging_counters.check),
        final=(Call(f="read"),),
    )


G_COUNTER: Final = _counter("g-counter", "a counter that grows", 0)
PN_COUNTER: Final = _counter("pn-counter", "a counter that grows and shrinks", -5)


# -- logs with offsets -----------------------------------------------------------------------------------------------


def _all_logs(op: PlannedOp, positions: Positions) -> Positions:
    """Where a poll begins: a final one at the start, another where this client has read to."""
    return {str(key): 0 if op.value == "all" else positions.get(str(key), 0) for key in range(_LOG_KEYS)}


def _polled(reply: Body, op: PlannedOp, positions: Positions) -> Any:
    messages = {key: [(_integer(offset), text) for offset, text in found] for key, found in reply["msgs"].items()}
    if op.value == "all":
        positions.clear()
    for key, found in messages.items():
        if found:
            positions[key] = max(positions.get(key, 0), found[-1][0] + 1)
    return sorted(messages.items())


def _read_to(op: PlannedOp, positions: Positions) -> dict[str, int]:
    return {key: position - 1 for key, position in sorted(positions.items())}


def _logs(stream: Stream) -> Generator:
    def send(context: Context) -> Call:
        return Call(f="send", key=str(context.stream.below(_LOG_KEYS)), value=context.fresh())

    return mix(
        (4, calls(send)),
        (4, calls(lambda context: Call(f="poll"))),
        (1, calls(lambda context: Call(f="commit"))),
        (1, calls(lambda context: Call(f="committed"))),
    )


KAFKA: Final = LiveWorkload(
    name="kafka",
    summary="logs by key: send, poll, commit an offset",
    rpcs={
        "send": Rpc(
            type="send",
            body=lambda op, _: {"key": op.key, "msg": op.value},
            answer=lambda reply, op, positions: _integer(reply["offset"]),
        ),
        "poll": Rpc(
            type="poll",
            body=lambda op, positions: {"offsets": _all_logs(op, positions)},
            value=lambda op, positions: sorted(_all_logs(op, positions).items()),
            answer=_polled,
        ),
        "commit": Rpc(
            type="commit_offsets",
            body=lambda op, positions: {"offsets": _read_to(op, positions)},
            value=lambda op, positions: sorted(_read_to(op, positions).items()),
            answer=lambda reply, op, positions: sorted(_read_to(op, positions).items()),
        ),
        "committed": Rpc(
            type="list_committed_offsets",
            body=lambda op, _: {"keys": [str(key) for key in range(_LOG_KEYS)]},
            value=lambda op, _: [str(key) for key in range(_LOG_KEYS)],
            answer=lambda reply, op, positions: sorted(
                (key, _integer(offset)) for key, offset in reply["offsets"].items()
            ),
        ),
    },
    generator=_logs,
    judge=_by(offset_logs.check),
    final=(Call(f="poll", value="all"), *[Call(f="poll")] * _FINAL_POLLS),
)


# -- transactions ----------------------------------------------------------------------------------------------------


def _transactions(write: str) -> Callable[[Stream], Generator]:
    def draw(context: Context) -> Call:
        stream, first = context.stream, context.fresh()
        base = first // _CALLS_PER_KEY * _TXN_KEYS
        steps: list[list[Any]] = []
        for _ in range(stream.between(1, _TXN_LENGTH_MAX)):
            key = base + stream.below(_TXN_KEYS)
            steps.append(["r", key, None] if stream.chance_ppm(500_000) else [write, key, context.fresh()])
        return Call(f="txn", value=steps)

    return lambda stream: calls(draw)


def _transactional(name: str, summary: str, model: str, write: str) -> LiveWorkload:
    return LiveWorkload(
        name=name,
        summary=summary,
        rpcs={
            "txn": Rpc(
                type="txn",
                body=lambda op, _: {"txn": op.value},
                answer=lambda reply, op, positions: _listed(reply["txn"]),
            )
        },
        generator=_transactions(write),
        judge=_modelled(model),
        expects=tuple(CONSISTENCY_MODELS),
    )


LIST_APPEND: Final = _transactional(
    "txn-list-append", "transactions that read lists and append to them", "list-append", "append"
)
RW_REGISTER: Final = _transactional("txn-rw-register", "transactions that read and write registers", "rw-register", "w")

WORKLOADS: Final[dict[str, LiveWorkload]] = {
    workload.name: workload
    for workload in (
        ECHO,
        UNIQUE_IDS,
        LIN_KV,
        BROADCAST,
        G_SET,
        G_COUNTER,
        PN_COUNTER,
        LIST_APPEND,
        RW_REGISTER,
        KAFKA,
    )
}
"""Every workload by name, the easiest first."""
