"""How often `compare` accuses a harmless change, and how often it finds a regression: measured, not assumed.

    python -m benchmarks.comparison            100 plans a comparison, each regression three times; half an hour
    python -m benchmarks.comparison --small    30 plans, each once; within ten minutes
    ... [--write docs/nights.md] [--only N] [--plans P] [--repeats R] [--jobs J] [--ledger FILE]

Times are of two processors with nothing else to do. It compares this checkout with copies of it. Harmless copies: some
draw their random numbers from streams of other names or use up some first, so that every run goes another way by the
same rules; some are refactored and run alike. None of them is worse: an accusation is a false alarm, and an `undecided`
costs a person's time. Regressions of one kind each, in three sizes: answers that wait for the next message (latency),
fsyncs that occupy the disk (throughput), answers to clients that are never sent (availability), messages or fsyncs that
are made twice, and a replica that answers reads from what it has (safety, seen by few plans).

Half of the plans are calm, since most faults hide what a change costs; the others are of `swarm` and `crashes`. Every
comparison is judged twice: as `compare` does at its end, and as `compare --sequential` would have, after each pair.

Answers go to the ledger as they come, and a second call goes on with what is missing. Rows of other code, of the system
or of the harness, are not used. `--only N` makes the first N comparisons. `--write` puts both tables into a page,
between the lines that mark their place.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final

import msgspec

from harness.archive.provenance import provenance
from harness.errors import Exit
from harness.run.drawing import Drawing
from harness.search.compare import Answer, Comparison, show
from harness.search.measures import MAX_REGRESSION, SIGNIFICANT
from harness.search.sequential import Sequential
from harness.search.statistics import median, wilson
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

ROOT: Final = Path(__file__).resolve().parents[1]
CELLS: Final = tuple(
    Drawing(workload=workload, profile=profile, duration_ns=2_000_000_000)
    for workload, profile in (("register", "calm"), ("counter", "swarm"), ("map", "calm"), ("register", "crashes"))
)

_PROXY: Final = '''

_make_server = make_server


class _Changed:
    """An environment, or a part of one, of which something is otherwise."""

    def __init__(self, inner, **parts):
        self._inner, self._parts = inner, parts

    def __getattr__(self, name):
        parts = self.__dict__["_parts"]
        return parts[name] if name in parts else getattr(self.__dict__["_inner"], name)


def make_server(env, *, groups, options, **rest):
    calls = {"count": 0}

    def is_nth(n):
        calls["count"] += 1
        return calls["count"] % n == 0

{change}
    return _make_server(env, groups=groups, options=options, **rest)
'''
_RENAMED: Final = """
    chance = env.randomness
    env = _Changed(env, randomness=_Changed(chance, below=lambda bound, of: chance.below(bound, of + "/{size}")))
"""
_USED_UP: Final = """
    chance, begun = env.randomness, set()

    def below(bound, purpose):
        if purpose not in begun:
            begun.add(purpose)
            for _ in range({size}):
                chance.below(2, purpose)
        return chance.below(bound, purpose)

    env = _Changed(env, randomness=_Changed(chance, below=below))
"""
_FSYNC: Final = """
    disk = env.disk

    async def fsync(name):
        await disk.fsync(name)
        if is_nth({size}):
            await disk.fsync(name)

    env = _Changed(env, disk=_Changed(disk, fsync=fsync))
"""
_OCCUPIED: Final = """
    disk = env.disk

    async def fsync(name):
        for _ in range({size}):
            await disk.fsync(name)

    env = _Changed(env, disk=_Changed(disk, fsync=fsync))
"""
_WAITING: Final = """
    network, waiting = env.network, []

    def send(target, data):
        if target.startswith("c") and is_nth({size}):
            waiting.append((target, data))
            return
        while waiting:
            network.send(*waiting.pop(0))
        network.send(target, data)

    env = _Changed(env, network=_Changed(network, send=send))
"""
_SILENT: Final = """
    network = env.network

    def send(target, data):
        if not (target.startswith("c") and is_nth({size})):
            network.send(target, data)

    env = _Changed(env, network=_Changed(network, send=send))
"""
_TWICE: Final = """
    network = env.network

    def send(target, data):
        network.send(target, data)
        if target.startswith("n") and is_nth({size}):
            network.send(target, data)

    env = _Changed(env, network=_Changed(network, send=send))
"""
_STALE: Final = """
    if env.actor in {size}:
        options = {{**options, "reads": "local"}}
"""

HARMLESS: Final = (
    *((f"streams renamed, {number}", _RENAMED, str(number)) for number in range(1, 31)),
    *((f"{number} draws used up first", _USED_UP, str(number)) for number in range(1, 6)),
    *((f"refactored, {number}", "    pass  # {size}\n", str(number)) for number in range(1, 6)),
)
REGRESSIONS: Final = (
    ("latency: every 8th answer waits for the next message", _WAITING, "8"),
    ("latency: every 2nd answer waits for the next message", _WAITING, "2"),
    ("latency: every answer waits for the next message", _WAITING, "1"),
    ("throughput: an fsync takes as long as 4", _OCCUPIED, "4"),
    ("throughput: an fsync takes as long as 8", _OCCUPIED, "8"),
    ("throughput: an fsync takes as long as 16", _OCCUPIED, "16"),
    ("availability: 1 of 100 answers never sent", _SILENT, "100"),
    ("availability: 1 of 20 answers never sent", _SILENT, "20"),
    ("availability: 1 of 5 answers never sent", _SILENT, "5"),
    ("fsyncs: every 8th twice", _FSYNC, "8"),
    ("fsyncs: every 2nd twice", _FSYNC, "2"),
    ("fsyncs: all twice", _FSYNC, "1"),
    ("messages: 1 of 20 sent twice", _TWICE, "20"),
    ("messages: 1 of 5 sent twice", _TWICE, "5"),
    ("messages: all sent twice", _TWICE, "1"),
    ("safety: one replica reads what it has", _STALE, '("n1",)'),
    ("safety: two replicas read what they have", _STALE, '("n1", "n2")'),
    ("safety: all replicas read what they have", _STALE, '("n1", "n2", "n3", "n4", "n5", "n6", "n7")'),
)


SMALL: Final = (30, 1)
FULL: Final = (100, 3)
"""Plans a comparison, and how often each regression is compared."""
BEGINS: Final = "<!-- python -m benchmarks.comparison: begin -->"
ENDS: Final = "<!-- python -m benchmarks.comparison: end -->"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: the change, the first of its seeds, and what was said, at the end and after each pair.

    `stopped` is after how many pairs the sequential tests accused, by `sequential`; None: they did not. `code` digests
    the code that was compared and that which compared it.
    """

    change: str
    plans: int
    first: int
    exit: int
    why: tuple[str, ...]
    stopped: int | None = None
    sequential: tuple[str, ...] = ()
    code: str = ""


def main() -> int:
    """Compare all changes; print, and write, the two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--small", action="store_true", help="30 plans, each regression once")
    parser.add_argument("--plans", type=int)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--jobs", type=int, default=4, help="half of them for each side")
    parser.add_argument("--only", type=int, metavar="N", help="only the first N comparisons")
    parser.add_argument("--ledger", type=Path, default=ROOT / "results" / "comparison.jsonl")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    asked = parser.parse_args()
    plans = asked.plans or (SMALL if asked.small else FULL)[0]
    repeats = asked.repeats or (SMALL if asked.small else FULL)[1]
    rows = list(islice(_rows(plans, repeats, asked.jobs, asked.ledger), asked.only))
    page = tables(rows, plans)
    print(page)
    if asked.write is not None:
        asked.write.write_text(placed(asked.write.read_text(encoding="utf-8"), page), encoding="utf-8")
    return 0


def placed(text: str, page: str) -> str:
    """The text of a page with the tables in their place. Raises ValueError when it has none."""
    before, begins, rest = text.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"no lines {BEGINS} and {ENDS}")
    return f"{before}{BEGINS}\n\n{page}\n{ENDS}{after}"


def _rows(plans: int, repeats: int, jobs: int, ledger: Path) -> Iterator[Row]:
    code = provenance().harness + catalog.bind("raft_impl", Checkouts()).code_digest
    known = {(row.change, row.plans, row.first): row for row in _read(ledger) if row.code == code}
    answers: dict[bytes, Answer] = {}
    ledger.parent.mkdir(parents=True, exist_ok=True)
    regressions = [(change, repeat) for repeat in range(repeats) for change in REGRESSIONS]
    harmless = [(change, number % repeats) for number, change in enumerate(HARMLESS)]
    # In turn, so that a measurement that is stopped early says something of both.
    wanted = [one for pair in zip_longest(harmless, regressions) for one in pair if one is not None]
    began = time.monotonic()
    for number, ((name, text, size), repeat) in enumerate(wanted, 1):
        first = 1 + repeat * plans
        row = known.get((name, plans, first))
        if row is None:
            row = _compare(name, text.format(size=size), range(first, first + plans), jobs, answers, code)
            with ledger.open("ab") as file:
                file.write(msgspec.json.encode(row) + b"\n")
            said = f"{_word(row.exit)} {', '.join(row.why)}".strip()
            at = f"{number} of {len(wanted)}, {time.monotonic() - began:.0f} s"
            print(f"{at}: {name}, seeds from {first}: {said}", file=sys.stderr, flush=True)
        yield row


def _compare(name: str, change: str, seeds: range, jobs: int, answers: dict[bytes, Answer], code: str) -> Row:
    with tempfile.TemporaryDirectory(prefix="foreshock-") as folder, Checkouts() as checkouts:
        copy_with(change, Path(folder))
        a, b = (catalog.bind(f"path:{where}", checkouts) for where in (ROOT, folder))
        comparison = Comparison(a, b, jobs=jobs, answers_of_a=answers, divergences=0)
        comparison.run(CELLS, seeds, lambda _: None)
        summary = comparison.summary()
    stopped, sequential = _looked(comparison)
    reasons = (*(new.signature for new in summary.new_signatures), *summary.regressed)
    if summary.exit == Exit.INVALID and not reasons:
        reasons = ("more failures",)
    return Row(
        change=name,
        plans=len(seeds),
        first=seeds[0],
        exit=summary.exit,
        why=reasons,
        stopped=stopped,
        sequential=sequential,
        code=code,
    )


def _looked(comparison: Comparison) -> tuple[int | None, tuple[str, ...]]:
    """After how many pairs `compare --sequential` would have stopped, and why."""
    tests = Sequential(MAX_REGRESSION, SIGNIFICANT)
    for pair in comparison.pairs:
        show(tests, pair)
        if tests.accuses:
            return tests.pairs, tests.accuses
    return None, ()


def copy_with(change: str, folder: Path) -> None:
    """Write a copy of this checkout's package into a folder, with a change."""
    copy = folder / "raft_impl"
    shutil.copytree(ROOT / "raft_impl", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "surface.py").open("a", encoding="utf-8") as surface:
        surface.write(_PROXY.replace("{change}", change))


def tables(rows: Sequence[Row], plans: int) -> str:
    """The two tables: false alarms, and what was found."""
    names = {name for name, _, _ in HARMLESS}
    harmless = [row for row in rows if row.change in names]
    alarms = [row for row in harmless if row.exit == Exit.INVALID]
    early = [row for row in harmless if row.stopped is not None]
    undecided = sum(row.exit == Exit.UNKNOWN for row in harmless)
    lines = [
        f"| {len(harmless)} harmless changes, {plans} plans each | accused | undecided | false alarms, 95 % interval |",
        "| --- | ---: | ---: | --- |",
        f"| at the end | {len(alarms)} | {undecided} | {_interval(len(alarms), len(harmless))} |",
        f"| looked at after each pair | {len(early)} | | {_interval(len(early), len(harmless))} |",
        "",
    ]
    lines += [f"* Accused at the end: {row.change}, for {', '.join(row.why)}." for row in alarms]
    lines += [f"* Accused after {row.stopped} pairs: {row.change}, for {', '.join(row.sequential)}." for row in early]
    lines += [""] * bool(alarms or early)
    lines += [
        f"| regression, over {plans} plans | found at the end | by what | found pair by pair | after pairs |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    for name, _, _ in REGRESSIONS:
        of = [row for row in rows if row.change == name]
        found = [row for row in of if row.exit == Exit.INVALID]
        why = Counter(reason for row in found for reason in row.why)
        stops = [row.stopped for row in of if row.stopped is not None]
        after = f"{median([float(stop) for stop in stops]):g}" if stops else ""
        reasons = ", ".join(f"`{reason}` {times}" for reason, times in why.most_common())
        lines.append(f"| {name} | {len(found)} of {len(of)} | {reasons} | {len(stops)} of {len(of)} | {after} |")
    return "\n".join(lines) + "\n"


def _interval(hits: int, runs: int) -> str:
    low, high = wilson(hits, runs)
    return f"{low:.1%} to {high:.1%}"


def _word(code: int) -> str:
    return {Exit.VALID: "nothing said against it", Exit.INVALID: "worse", Exit.UNKNOWN: "undecided"}[Exit(code)]


def _read(ledger: Path) -> list[Row]:
    if not ledger.exists():
        return []
    return [msgspec.json.decode(line, type=Row) for line in ledger.read_bytes().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
