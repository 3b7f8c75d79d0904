"""How long the checkers take, on histories of 10,000, 100,000 and 1,000,000 operations.

    python -m benchmarks.checkers [WORD ...] [--largest 1000000] [--json] [--porcupine PATH]

One process, one thread, plain CPython; WORDs choose the rows that have one of them in their name. Histories are made by
`benchmarks.histories` with seed 1. Making them is not counted, and parsing is where a row begins with a file: a row
measures the check, from columns of plain values, from `Operation`s, from a `History` or a file, to the verdict. For a
violation that includes the search for the completion at which it became certain. Seconds are of the processor, so that
other work on the machine does not count; `peak` is what the process held at most during the check at the largest size,
the history included.

The rows are those of the project's aims, with the variants that default workloads produce. A verdict that is not the
expected one ends the program with status 1.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkers
from benchmarks.histories import (
    Counter,
    Lists,
    Machine,
    Recording,
    Registers,
    RegisterTransactions,
    Texts,
    flip_failed_cas,
    make_misread,
    make_read_skew,
    make_stale,
    record,
)
from benchmarks.peer import PeerAnswer, PeerFailed, ask, store
from checkers.linearizability.fast import counters, registers, zones
from checkers.linearizability.front.engines import decide
from checkers.linearizability.result import Limits
from checkers.linearizability.search.encoding import EncodedOperations
from checkers.linearizability.search.read_from import find_refutation
from checkers.models.counters import COUNTER
from checkers.models.registers import CAS_REGISTER
from checkers.operation import INF
from checkers.transactions import list_append, rw_register

SIZES = (10_000, 100_000, 1_000_000)

UNIQUE = (4, 3, 3)
READS_AND_WRITES = (5, 5, 0)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of history. `prepare` turns a recording into what `check` takes; that returns the verdict."""

    name: str
    machine: Callable[[], Machine]
    prepare: Callable[[Recording], Any]
    check: Callable[[Any], str]
    sizes: tuple[int, ...] = SIZES
    concurrency: int = 10
    crashed: float = 0.01
    spoil: Callable[[Recording], None] | None = None
    expected: str = "valid"
    takes: str = "columns"
    aim: str = ""
    peer: str = ""  # the model that a peer is told; empty where it has none


def _check_registers(given: tuple[list[Any], zones.Columns]) -> str:
    keys, columns = given
    parts = [columns] if keys[0] is None else list(columns.by_key(keys).values())
    found = {registers.REGISTERS.decide_rows(part).validity for part in parts}
    return "valid" if found == {"valid"} else "invalid" if "invalid" in found else "unknown"


def _register(name: str, weights: tuple[int, int, int], *, keys: int = 1, **fields: Any) -> Row:
    return Row(
        name=name,
        machine=lambda: Registers(weights, keys=keys),
        prepare=lambda made: made.registers(),
        check=_check_registers,
        peer="cas-register",
        **fields,
    )


def _counter(name: str, functions: dict[str, int], draw: Callable[[random.Random], int], **fields: Any) -> Row:
    return Row(
        name=name,
        machine=lambda: Counter(functions, draw),
        prepare=lambda made: made.counter(),
        check=lambda columns: counters.COUNTERS.decide_rows(columns).validity,
        peer="counter",
        **fields,
    )


def _small_domain(**fields: Any) -> Row:
    return Row(
        name=fields.pop("name", "cas-register of 5 values"),
        machine=lambda: Registers((4, 2, 4), values=5),
        prepare=lambda made: made.operations(),
        check=lambda operations: decide(operations, CAS_REGISTER, Limits())[0].validity,
        peer="cas-register",
        takes="objects",
        **fields,
    )


def _texts(name: str, *, written: float, keys: int = 10, **fields: Any) -> Row:
    return Row(
        name=name,
        machine=lambda: Texts(written=written, keys=keys),
        prepare=lambda made: made.history(),
        check=lambda history: checkers.check(history, "kv", explain=False).validity,
        peer="kv",
        takes="history",
        sizes=(7_000,),
        concurrency=50,
        crashed=0.0,
        **fields,
    )


def _list_append(name: str, **fields: Any) -> Row:
    return Row(
        name=name,
        machine=Lists,
        prepare=lambda made: made.history(),
        check=lambda history: list_append.check(history).validity,
        takes="history",
        sizes=(10_000, 100_000),
        **fields,
    )


def _rw_register(expect: str, **fields: Any) -> Row:
    return Row(
        name=f"rw-register, {expect}",
        machine=RegisterTransactions,
        prepare=lambda made: made.history(),
        check=lambda history: rw_register.check(history, expect=[expect]).validity,
        takes="history",
        sizes=(10_000, 100_000),
        aim="5 s",
        **fields,
    )


def _through_the_library(name: str, weights: tuple[int, int, int], **fields: Any) -> Row:
    return Row(
        name=name,
        machine=lambda: Registers(weights),
        prepare=lambda made: made.history(),
        check=lambda history: checkers.check(history, "cas-register").validity,
        takes="history",
        sizes=SIZES[:2],
        **fields,
    )


def _stored_jsonl(made: Recording) -> Path:
    return _stored("jsonl", made.history().to_jsonl())


def _stored_edn(made: Recording) -> Path:
    rows = (
        f"{{:process {op.process}, :type :{op.type}, :f :{op.f}, :value {_edn(op.value)}, "
        f":time {op.time}, :index {op.index}}}\n"
        for op in made.history()
    )
    return _stored("edn", "".join(rows).encode())


def _edn(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_edn, value))}]"
    return "nil" if value is None else str(value)


def _stored(suffix: str, data: bytes) -> Path:
    folder = Path(tempfile.gettempdir()) / f"foreshock-benchmark-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / f"history.{suffix}"
    file.write_bytes(data)
    return file


def _from_file(name: str, prepare: Callable[[Recording], Path], **fields: Any) -> Row:
    fields.setdefault("machine", lambda: Registers(READS_AND_WRITES))
    return Row(
        name=name,
        prepare=prepare,
        check=lambda file: checkers.check_file(file).validity,
        takes="file",
        **fields,
    )


def _both_signs(rng: random.Random) -> int:
    return rng.choice((1, -1))


def _small(rng: random.Random) -> int:
    return rng.choice((-3, -2, -1, 1, 2, 3))


def _distinct(rng: random.Random) -> int:
    return rng.choice((1, -1)) * rng.randrange(1 << 40, 1 << 48)


MIXED = {"read": 3, "add": 4, "add-and-get": 3}
BLIND = {"read": 5, "add": 5}


def _hide_a_violation(made: Recording) -> None:
    """Let one refused cas have succeeded, in a way that the pre-pass of the general engine does not see."""
    flip_failed_cas(made, random.Random(1))
    if find_refutation(EncodedOperations(made.operations(), CAS_REGISTER)) is not None:
        raise AssertionError("the pre-pass sees the violation; choose another one")


class SubsetSum:
    """Adds of large deltas that all crash, and then a read of half of their sum and one: as hard as it sounds."""

    def __init__(self) -> None:
        self.total = 0

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        if number == 60:
            return None, "read", None
        delta = rng.randrange(1 << 40, 1 << 48)
        self.total += delta if number % 2 else 0
        return None, "add", delta

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        return "ok", self.total + 1


def _crash_all_adds(made: Recording) -> None:
    for row, f in enumerate(made.functions):
        if f == "add":
            made.outcomes[row], made.told[row], made.returns[row] = "info", None, INF


STALE: dict[str, Any] = {"expected": "invalid", "spoil": make_stale}
HOPELESS_LIMIT = 512 << 20

ROWS = (
    Row(
        name="counter, 60 crashed adds, hopeless, limit 512 MB",
        machine=SubsetSum,
        prepare=lambda made: made.operations(),
        check=lambda operations: decide(operations, COUNTER, Limits(bytes=HOPELESS_LIMIT))[0].validity,
        sizes=(61,),
        concurrency=1,
        crashed=0.0,
        spoil=_crash_all_adds,
        expected="unknown",
        takes="objects",
        aim="512 MB",
    ),
    _register("register, unique values", READS_AND_WRITES, aim="2 s, 1 GB"),
    _register("register, unique values, one stale read", READS_AND_WRITES, **STALE, aim="2 s, 1 GB"),
    _register("cas-register, unique values, a quarter refused", UNIQUE),
    _register("cas-register, unique values, one stale read", UNIQUE, **STALE),
    _through_the_library("cas-register, unique values, by checkers.check", UNIQUE),
    _register("map, 20 keys, unique values", READS_AND_WRITES, keys=20, aim="3.5 s"),
    _register("map, 20 keys, unique values and cas", UNIQUE, keys=20, aim="3.5 s"),
    _from_file("register, from a file of our own lines", _stored_jsonl, aim="3 s, 500 MB"),
    _from_file("register, from a file in EDN", _stored_edn, aim="350,000 lines/s"),
    _from_file(
        "counter, from a file of our own lines",
        _stored_jsonl,
        machine=lambda: Counter({"read": 3, "add": 4, "add-and-get": 3}, lambda rng: 1),
    ),
    _counter("counter, add-and-get +1", {"add-and-get": 6, "read": 4}, lambda rng: 1, aim="2.5 s"),
    _counter("counter, add-and-get +1, one stale read", {"add-and-get": 6, "read": 4}, lambda rng: 1, **STALE),
    _counter("counter, blind +1", BLIND, lambda rng: 1, aim="2.5 s"),
    _counter("counter, blind +1, one stale read", BLIND, lambda rng: 1, **STALE),
    _counter("counter, blind +1 and -1", BLIND, _both_signs, concurrency=5, sizes=SIZES[:2]),
    _counter("counter, +1 and -1, blind and answered", MIXED, _both_signs, concurrency=5, sizes=SIZES[:2]),
    _counter("counter, -3 to 3, blind and answered", MIXED, _small, concurrency=5, sizes=SIZES[:2]),
    _counter("counter, distinct deltas, blind and answered", MIXED, _distinct, concurrency=5, sizes=SIZES[:2]),
    _small_domain(sizes=(1_000,), concurrency=100, crashed=0.0, aim="50 ms"),
    _small_domain(sizes=(1_000, 10_000), aim="10 s"),
    _small_domain(sizes=(1_000, 10_000), crashed=0.1, aim="10 s"),
    _small_domain(
        name="cas-register of 5 values, hidden violation",
        sizes=(1_000,),
        spoil=_hide_a_violation,
        expected="invalid",
        aim="5 s",
    ),
    _texts("kv, 10 keys, appends and reads", written=0.0),
    _texts("kv, 10 keys, appends, reads and writes", written=0.1),
    _texts("kv, 10 keys, appends and reads, one misread", written=0.0, spoil=make_misread, expected="invalid"),
    _texts("kv, 10 keys, appends, reads and writes, one misread", written=0.1, spoil=make_misread, expected="invalid"),
    _texts("kv, 1 key, appends, reads and writes", written=0.2, keys=1),
    _texts(
        "kv, 1 key, appends, reads and writes, one misread", written=0.2, keys=1, spoil=make_misread, expected="invalid"
    ),
    _list_append("list-append, serializable", crashed=0.0, aim="10 s"),
    _list_append("list-append, one G-single", crashed=0.0, spoil=make_read_skew, expected="invalid", aim="10 s"),
    _rw_register("strict-serializable"),
    _rw_register("snapshot-isolation"),
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One row at one size."""

    row: Row
    size: int
    verdict: str
    seconds: float
    peak_bytes: int
    peer: PeerAnswer | None = None


def measure(row: Row, size: int, program: Path | None = None) -> Measured:
    """Make the history of a row, and check it; a peer checks it too, where there is one that has such objects."""
    made = record(row.machine(), size, concurrency=row.concurrency, crashed=row.crashed)
    if row.spoil is not None:
        row.spoil(made)
    answer = None
    if program is not None and row.peer:
        file = _stored("peer.jsonl", b"")
        store(made, file)
        answer = ask(program, row.peer, file)
    given = row.prepare(made)
    del made
    gc.collect()
    _forget_peak()
    began = time.process_time()
    verdict = row.check(given)
    seconds = time.process_time() - began
    return Measured(row=row, size=size, verdict=verdict, seconds=seconds, peak_bytes=_peak_bytes(), peer=answer)


def _forget_peak() -> None:
    """Let the system forget how much memory this process ever held (Linux; elsewhere the peak is of the whole run)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as control:
        control.write("5")


def _peak_bytes() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def table(measured: Sequence[Measured]) -> Iterator[str]:
    """Print the rows as a table of Markdown: one line a row, one column a size."""
    sizes = sorted({one.size for one in measured})
    yield (
        "| history | clients | crashed | from | verdict | "
        + " | ".join(f"{size:,}" for size in sizes)
        + " | peak | aim |"
    )
    yield "| --- | ---: | ---: | --- | --- | " + "---: | " * len(sizes) + "---: | --- |"
    for row in dict.fromkeys(one.row for one in measured):
        own = {one.size: one for one in measured if one.row is row}
        verdicts = "/".join(dict.fromkeys(one.verdict for one in own.values()))
        times = [f"{own[size].seconds:.3f} s" if size in own else "" for size in sizes]
        times = [f"{text}{_beside(own[size])}" if size in own else "" for size, text in zip(sizes, times, strict=True)]
        peak = f"{max(one.peak_bytes for one in own.values()) >> 20} MB"
        cells = [row.name, str(row.concurrency), f"{row.crashed:.0%}", row.takes, verdicts, *times, peak, row.aim]
        yield "| " + " | ".join(cells) + " |"


def _beside(one: Measured) -> str:
    """Say what a peer took, how many times as long that is, and its verdict where that is another one."""
    if one.peer is None:
        return ""
    other = "" if one.peer.verdict == one.verdict else f", {one.peer.verdict}"
    ratio = one.peer.seconds / max(one.seconds, 1e-6)
    return f" (peer {one.peer.seconds:.3f} s, {ratio:.2g} x{other})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows that were asked for, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--porcupine", type=Path, metavar="PATH", help="a peer that benchmarks.peer describes")
    options = parser.parse_args(arguments)
    measured: list[Measured] = []
    for row in ROWS:
        if options.words and not any(word in row.name for word in options.words):
            continue
        for size in row.sizes:
            if size <= options.largest:
                try:
                    measured.append(measure(row, size, options.porcupine))
                except PeerFailed as failed:
                    parser.exit(2, f"{failed}\n")
                one = measured[-1]
                print(f"{row.name}: {size:,} in {one.seconds:.3f} s, {one.verdict}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps([_as_data(one) for one in measured]))
    else:
        print(*table(measured), sep="\n")
    wrong = [one for one in measured if one.verdict != one.row.expected]
    for one in measured:
        if one.peer is not None and {one.peer.verdict, one.verdict} == {"valid", "invalid"}:
            print(f"{one.row.name}: {one.verdict}, but the peer says {one.peer.verdict}", file=sys.stderr)
            wrong.append(one)
    for one in wrong:
        print(f"{one.row.name}: {one.verdict}, expected {one.row.expected}", file=sys.stderr)
    return 1 if wrong else 0


def _as_data(one: Measured) -> dict[str, Any]:
    row = one.row
    return {
        "history": row.name,
        "ops": one.size,
        "concurrency": row.concurrency,
        "crashed": row.crashed,
        "from": row.takes,
        "verdict": one.verdict,
        "expected": row.expected,
        "seconds": round(one.seconds, 4),
        "peak_bytes": one.peak_bytes,
        "aim": row.aim,
        "peer": None if one.peer is None else {"verdict": one.peer.verdict, "seconds": one.peer.seconds},
    }


if __name__ == "__main__":
    sys.exit(main())
