"""Does branching from promising runs find planted bugs sooner than drawing every seed?

    python -m benchmarks.branching_search --seconds 12 stale-vote-counted fsync-tried-again

searches each mutant twice over the same seeds, workload by workload in turn, until the first failure or until the CPU
seconds are spent. One search draws every seed. The other does too, and where a run hit a mark that at most one run in
eight has hit, it runs branches from the moment of that mark, with everything drawn anew from there on. It prints the
runs and CPU seconds to the first find of each, `-` where there was none.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.processor import cpu_seconds
from harness.outcome import Outcome
from harness.plans.plan import Plan, Redraw, with_redraw
from harness.run.drawing import Abilities, Drawing, abilities_of
from harness.run.execution import execute
from harness.run.multiverse import Multiverse
from harness.shrink.trial import TRIAL
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

_BRANCHES: Final = 6
_RARE_PARTS: Final = 8
_DRAWN_FIRST: Final = 8
_ROWS: Final = msgspec.structs.replace(TRIAL, keep_rows=True)


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What a search came to: its runs, of which branches, its CPU seconds, and the plan that failed, if any."""

    runs: int
    branches: int
    seconds: float
    found: Plan | None


def drawn(able: Abilities, first: int) -> Iterator[Plan]:
    """The plans of the seeds, workload by workload in turn."""
    for seed in count(first):
        workload = able.workloads[seed % len(able.workloads)]
        yield Drawing(workload=workload, profile="swarm").plan(seed, able)


def rarest(outcome: Outcome, seen: Counter[str], runs: int) -> int | None:
    """The moment just before the rarest mark was first hit, if it is rare enough."""
    first: dict[str, int] = {}
    for row in outcome.rows or ():
        if row[1] == "mark":
            first.setdefault(row[3], row[0])
    seen.update(first.keys())
    if runs <= _DRAWN_FIRST or not first:
        return None
    mark = min(first, key=lambda mark: (seen[mark], mark))
    return first[mark] if (seen[mark] - 1) * _RARE_PARTS <= runs else None


def search(binding: Binding, able: Abilities, first: int, seconds: float, *, branching: bool) -> Searched:
    """Search until something fails or the time is spent."""
    began, runs, branches, seen = cpu_seconds(), 0, 0, Counter[str]()
    for plan in drawn(able, first):
        spent = cpu_seconds() - began
        if spent > seconds:
            break
        outcome = execute(plan, binding, _ROWS if branching else TRIAL)
        runs += 1
        if outcome.primary is not None:
            return Searched(runs=runs, branches=branches, seconds=cpu_seconds() - began, found=plan)
        moment_ns = rarest(outcome, seen, runs) if branching else None
        if moment_ns is None:
            continue
        multiverse = Multiverse(plan, binding, TRIAL, tell=lambda outcome: outcome.primary)
        for branch in multiverse.branches(Redraw(at_ns=moment_ns, salt=salt) for salt in range(_BRANCHES)):
            branches += 1
            if branch.told is not None:
                failing = with_redraw(plan, branch.redraw)
                return Searched(runs=runs + branches, branches=branches, seconds=cpu_seconds() - began, found=failing)
    return Searched(runs=runs + branches, branches=branches, seconds=cpu_seconds() - began, found=None)


def main() -> int:
    """Search, and print a line for each mutant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mutants", nargs="+")
    parser.add_argument("--first", type=int, default=5_001)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--keep", type=Path, help="folder for plans that failed as branches")
    arguments = parser.parse_args()
    with Checkouts() as checkouts:
        for mutant in arguments.mutants:
            binding = bind(f"patch:tests/mutants/{mutant}.patch", checkouts)
            able = abilities_of(load_systems(binding).values())
            words = [mutant]
            for branching in (False, True):
                done = search(binding, able, arguments.first, arguments.seconds, branching=branching)
                found = "-" if done.found is None else f"{done.runs} runs, {done.seconds:.1f} CPU s"
                words.append(f"{'branching' if branching else 'random'}: {found}")
                if done.found is not None and done.found.schedule.redraws:
                    words.append("by a branch")
                    if arguments.keep is not None:
                        (arguments.keep / f"{mutant}.json").write_bytes(done.found.to_json())
                if done.found is None:
                    words.append(f"({done.runs} runs, {done.branches} of them branches, {done.seconds:.1f} CPU s)")
            print("; ".join(words), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
