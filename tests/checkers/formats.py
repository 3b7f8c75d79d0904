"""Writers of every format that importers read: a history of ours as another tool would have recorded it."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

from checkers import check
from checkers.history import History
from checkers.op import NEMESIS, Op


def edn_of(value: Any) -> str:
    """Write a value in EDN."""
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(edn_of, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{edn_of(name)} {edn_of(item)}' for name, item in value.items())}}}"
    if isinstance(value, bool):
        return str(value).lower()
    return "nil" if value is None else json.dumps(value)


def _value(op: Op) -> str:
    return edn_of(op.value if op.key is None else [op.key, op.value])


def jsonl(history: History) -> bytes:
    return history.to_jsonl()


def bare_jsonl(history: History) -> bytes:
    rows = [json.loads(line) for line in history.to_jsonl().splitlines()]
    return "\n".join(json.dumps({k: v for k, v in row.items() if k not in ("index", "time")}) for row in rows).encode()


def array(history: History) -> bytes:
    return b"[" + b",\n".join(history.to_jsonl().splitlines()) + b"]"


def edn(history: History) -> bytes:
    return "".join(
        f"{{:process {op.process}, :type :{op.type}, :f :{op.f}, :value {_value(op)}, :index {op.index}"
        f"{f', :error :{op.error}' if op.error else ''}}}\n"
        for op in history
    ).encode()


def edn_vector(history: History) -> bytes:
    return b"[" + edn(history) + b"]"


def tuples(history: History) -> bytes:
    return "\n".join(f"[{op.process} :{op.type} :{op.f} {_value(op)}]" for op in history).encode()


def log(history: History) -> bytes:
    return "".join(
        f"INFO [2019-03-01] jepsen worker {op.process} - jepsen.util {op.process}\t:{op.type}\t:{op.f}\t{_value(op)}"
        + (f"\t:{op.error}\n" if op.error else "\n")
        for op in history
    ).encode()


def table(history: History) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["call", "return", "process", "f", "key", "value", "result", "type", "error"])
    completions = _completions(history)
    for op in history:
        if op.type == "invoke":
            end = completions.get(op.index)
            told = (
                [json.dumps(end.value) if end.type == "ok" else "", end.type, end.error or ""] if end else ["", "", ""]
            )
            ret = "" if end is None else end.index
            row = [op.index, ret, op.process, op.f, json.dumps(op.key), json.dumps(op.value), *told]
            writer.writerow(row)
    return text.getvalue().encode()


def maelstrom(history: History) -> bytes:
    rows = []
    asked: dict[Any, int] = {}
    for op in history:
        client, node = f"c{op.process}", "n1"
        if op.type == "invoke":
            asked[op.process] = op.index
            names = {"write": {"value": op.value}, "read": {}}
            body = names[op.f] if op.f != "cas" else {"from": op.value[0], "to": op.value[1]}
            rows.append(_message(client, node, type=op.f, key=op.key, msg_id=op.index, **body))
            continue
        answer: dict[str, Any] = {"in_reply_to": asked[op.process], "type": "error"}
        if op.type == "ok":
            answer |= {"type": f"{op.f}_ok"} | ({"value": op.value} if op.f == "read" else {})
        else:
            answer["code"] = 22 if op.type == "fail" else 0
        rows.append(_message(node, client, **answer))
    return "\n".join(rows).encode()


def _message(source: str, target: str, **body: Any) -> str:
    return json.dumps({"src": source, "dest": target, "body": body})


def operations(history: History) -> bytes:
    """Porcupine's operations, which know neither failures nor when it became known that nothing is known."""
    completions = _completions(history)
    rows = []
    for op in history:
        if op.type == "invoke":
            end = completions.get(op.index)
            name = {"read": "get", "write": "put"}[op.f]
            output = end.value if end is not None and op.f == "read" else None
            asked = {"op": name, "key": op.key} | ({} if op.f == "read" else {"value": op.value})
            ret = -1 if end is None else end.index
            rows.append({"ClientId": op.process, "Input": asked, "Call": op.index, "Output": output, "Return": ret})
    return "\n".join(map(json.dumps, rows)).encode()


def _completions(history: History) -> dict[int, Op]:
    """The completion of each invoke, by the index of that."""
    found: dict[int, Op] = {}
    running: dict[Any, int] = {}
    for op in history:
        if op.process == NEMESIS:
            continue
        if op.type == "invoke":
            running[op.process] = op.index
        else:
            found[running.pop(op.process)] = op
    return found


WRITERS: dict[str, tuple[str, Callable[[History], bytes]]] = {
    "jsonl": ("jsonl", jsonl),
    "jsonl without index and time": ("jsonl", bare_jsonl),
    "jsonl in an array": ("jsonl", array),
    "edn": ("edn", edn),
    "edn in a vector": ("edn", edn_vector),
    "tuples": ("edn", tuples),
    "jepsen-log": ("jepsen-log", log),
    "maelstrom": ("maelstrom", maelstrom),
    "csv": ("csv", table),
    "porcupine": ("porcupine", operations),
}
"""What is written -> the format as which it must be recognised, and the writer."""

CONVENTIONS: dict[str, Any] = {"failed_cas": "constraint", "nil_read": "absent"}


def random_history(rng: random.Random, *, only_porcupine: bool = False) -> History:
    """A few clients of registers: any overlap, any answer, true or not; what one format cannot say is left out."""
    ops: list[Op] = []
    running: dict[int, Op] = {}
    processes, fresh = [0, 1, 2], 3
    keys = rng.choice([[None], [1, 2]])
    for index in range(rng.randint(2, 16)):
        process = rng.choice(processes)
        if process not in running:
            f = rng.choice(["read", "write"] if only_porcupine else ["read", "write", "cas"])
            value: Any = {"read": None, "write": rng.randint(0, 3)}.get(f)
            value = [rng.randint(0, 2), rng.randint(0, 3)] if f == "cas" else value
            key = rng.choice(keys)
            op = Op(index=index, time=index, process=process, type="invoke", f=f, key=key, value=value)
            running[process] = op
        else:
            asked = running.pop(process)
            kinds = (
                ["ok"] if only_porcupine else ["ok", "ok", "info", "fail"] if asked.f == "cas" else ["ok", "ok", "info"]
            )
            kind: Any = rng.choice(kinds)
            told = rng.choice([None, 0, 1, 2, 3]) if asked.f == "read" and kind == "ok" else asked.value
            error = {"ok": None, "info": "timeout", "fail": "precondition-failed"}[kind]
            op = msgspec.structs.replace(asked, index=index, time=index, type=kind, value=told, error=error)
            if kind == "info":
                processes[processes.index(process)], fresh = fresh, fresh + 1
        ops.append(op)
    return History(ops)


def told(history: History) -> Any:
    """What is said of a history: the verdict, and with which line each violation became certain."""
    verdict = check(history, "cas-register", explain=False, **CONVENTIONS)
    return verdict.validity, [(anomaly.signature, anomaly.index) for anomaly in verdict.anomalies]


def lines(history: History) -> list[tuple[Any, ...]]:
    """What every format keeps of the lines."""
    named: dict[Any, int] = {}
    return [(named.setdefault(op.process, len(named)), op.type, op.f, op.key, op.value) for op in history]
