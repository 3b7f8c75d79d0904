"""How fast the simulator is, in units that hold on any machine, and the exact counters behind it.

    python -m benchmarks.simulator [--repeat N] [--json] [--gate]
    python -m benchmarks.simulator --bytecodes N
    python -m benchmarks.simulator --peer PYTHON DIR [--repeat N]

Scenarios, one core, invariants and fingerprint always on:

* `idle`: five nodes, heartbeat 50 ms, no clients;
* `default`: the default plan of the `swarm` profile at five nodes and five clients with about 50 ops a second, the
  median of some seeds;
* `peer`: the scenario of the best Python peer (an asyncio simulator with a teaching Raft, which does 7.5 to 8.7 seeds a
  second on such a core): heartbeat 150 ms, election timeout 450 to 900 ms, links 10 to 50 ms with 2 % loss and 2 %
  duplication, three partition windows, one restart in half of the seeds, one client with an op every 0.3 to 1.0 s,
  about 14 simulated seconds. Without the linearizability check, and with it.

Counters do not depend on the machine: Trio passes, heap pops and calls of functions (Python's and C's, as `cProfile`
counts them in the first plan) per delivered message. `--gate` exits with 1 when they are above their bounds; continuous
integration calls it. `--bytecodes N` shows the N functions of a default plan that execute most bytecodes: also exact,
and finer than any sampling.

Seconds are the processor's, and say little on a machine that others use, or on another machine. So a fixed piece of
work (`calibration_seconds`) is done before each plan, and the column `steps/d` says how many of its steps a delivery
costs: a step is a push to a heap, a pop from it, a call and an entry of a dictionary, which is what a simulator
consists of. That ratio is what to compare between machines, interpreters and builds. Seconds are shown and gated
nowhere. `--peer` runs the peer's own chaos in its interpreter, in turns with ours (`benchmarks/peer_chaos.py`), and
prints how many times its seeds a second ours are: the check is on in both, and a build is used if there is one.

What was learnt. What bounds the speed is neither Trio nor the heap but the number of steps of the interpreter between a
delivery and the node's next step. When nothing else happens a delivery costs some 45 calls and 5 us; in a default plan,
where every fifth delivery ends in an fsync and every fourth in applied entries, 115 calls, 2,050 bytecodes, 140,000
instructions and 15 to 25 us. The time is spread evenly: no module has more than 9 % of it and no function more than
4 %. So speed comes in steps of one percent, and is lost as easily; the counters are there to notice. On a noisy machine
a gain of a few percent is seen in bytecodes, and in instructions (`valgrind --tool=cachegrind --cache-sim=no`, two runs
of another length, the difference: repeatable to a thousandth), before it is seen in seconds. A call in Python costs 250
instructions, a bytecode 15 to 40. An interpreter that was built with profile-guided optimisation, as Debian's is, is 3
to 8 % faster than one that was not.

What paid most is what does not happen at all: an append that replaces a heartbeat (3 %, more with leases), a client
that remembers who leads (2 %), faults that wait for a leader instead of asking every 20 ms (1 %).

What else paid: a client's coroutine driven by callbacks, not by a Trio task (8 %: a pass costs an epoll and some thirty
calls); drawing the fates of a block of 16 messages at once, by comparing integers (a tenth of the peer scenario); one
append for all followers in step; an armed timer that a later deadline leaves alone; reading a disk anew after a power
loss only where it changed; a flag for "something must become durable" instead of four comparisons a step; no class of
more than thirty attributes on that way (2 %: beyond that CPython 3.11 keeps them in a dictionary); constants for
members of enums (45 ns a look-up, as much as decoding a message) and attributes for properties (25 ns); subscripts
where a look-up nearly always succeeds; events that are far ahead kept out of the heap (1 %); a frame less here and
there (170 instructions each). What did not: hashing rows in smaller batches; remembering decoded frames (a look-up
costs what decoding does); remembering digests across replicas (0.6 %, and module-level state); kinds of frames by their
first bytes without a call; a flag for "may step now"; a heap of packed integers beside a dictionary (comparing tuples
is cheaper than finding their values again); clients that wait longer after each refusal (fewer messages, and as many
fewer ops). Building the world costs 0.4 ms a seed, starting it 0.8 ms, a collection after it 1 to 6 ms.
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import json
import pstats
import statistics
import subprocess
import sys
import time
from collections import Counter as Counts
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from harness.compiled.finder import compiled
from harness.faults.catalog import kinds_for
from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.partitions import Partition
from harness.plans.draw import draw
from harness.plans.plan import (
    Actor,
    Check,
    Clocks,
    Disks,
    DiskSpec,
    Drawn,
    Gates,
    Group,
    Links,
    LinkSpec,
    Phases,
    Plan,
    PlannedOp,
    Program,
    Schedule,
)
from harness.run.runner import RunOptions, Simulation
from harness.sim.kernel.draws import Chance, Counter
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import System

MS = 1_000_000
_CALIBRATION_STEPS = 100_000
_CALIBRATION_HEAP = 100
"""How many entries the heap of the calibration has: about as many as that of a default run."""
_PEER_SEEDS = 5
"""Seeds in a round of `--peer`: less than a second, so that both sides meet the same load."""
BOUNDS = {
    "idle": {"passes": 0.02, "pops": 1.55, "calls": 52},
    "default": {"passes": 0.02, "pops": 1.9, "calls": 130},
    "peer": {"passes": 0.03, "pops": 1.71, "calls": 105},
}
"""Upper bounds of counters per delivery: the measured values and a fifth more."""


def idle_plan(seed: int) -> Plan:
    """Five nodes that only send heartbeats, for a simulated minute."""
    return _plan(
        seed,
        options={"heartbeat_ms": 50, "election_timeout_ms": 150},
        link=LinkSpec(delay_min_ns=MS // 5, delay_max_ns=MS),
        phases=Phases(warmup_ns=1_000 * MS, faults_ns=59_000 * MS, recovery_ns=MS, final_ns=MS),
    )


def peer_plan(seed: int) -> Plan:
    """The peer's scenario."""
    chance = Counter(Chance(seed), "peer-scenario")
    names = [f"n{i}" for i in range(1, 6)]
    faults: list[Fault] = []
    for window in range(3):
        begin = (2_000 + 3_500 * window + chance.below(800)) * MS
        order = sorted(names, key=lambda _: chance.take())
        end = begin + (1_000 + chance.below(1_000)) * MS
        faults.append(
            Partition(id=f"p{window}", begin_ns=begin, end_ns=end, shape="majority-minority", order=tuple(order))
        )
    if seed % 2:
        begin = (3_000 + chance.below(6_000)) * MS
        faults.append(Crash(id="r", begin_ns=begin, end_ns=begin + 800 * MS, targets=(names[chance.below(5)],)))
    ops: list[PlannedOp] = []
    due = 800 * MS
    while due < 13_000 * MS:
        due += (300 + chance.below(700)) * MS
        number = len(ops)
        f, value = ("write", number + 1) if number % 2 == 0 else ("read", None)
        ops.append(PlannedOp(id=number, due_ns=due, f=f, key="x", value=value))
    return _plan(
        seed,
        options={"heartbeat_ms": 150, "election_timeout_ms": 450, "client_timeout_ms": 2_000},
        link=LinkSpec(delay_min_ns=10 * MS, delay_max_ns=50 * MS, loss_ppm=20_000, duplicate_ppm=20_000),
        phases=Phases(warmup_ns=1_500 * MS, faults_ns=12_000 * MS, recovery_ns=500 * MS, final_ns=MS),
        faults=tuple(faults),
        programs=(Program(thread=0, client="c1", ops=tuple(ops)),),
    )


def default_plan(seed: int, system: System) -> Plan:
    """A swarm plan of the register workload at the default size."""
    return draw(
        seed=seed,
        profile="swarm",
        workload="register",
        options=system.options,
        fault_kinds=kinds_for(system.capabilities),
        nodes=5,
        concurrency=5,
        rate=50,
    )


def _plan(
    seed: int,
    *,
    options: dict[str, object],
    link: LinkSpec,
    phases: Phases,
    faults: tuple[Fault, ...] = (),
    programs: tuple[Program, ...] = (),
) -> Plan:
    names = tuple(f"n{i}" for i in range(1, 6))
    actors = {name: Actor(kind="node") for name in names}
    actors |= {program.client: Actor(kind="client") for program in programs}
    return Plan(
        drawn=Drawn(seed=seed, profile="benchmark", workload="register", variant="unique"),
        groups={"g0": Group(machine="register", voters=names)},
        actors=actors,
        options=options,
        programs=programs,
        faults=faults,
        phases=phases,
        links=Links(node=link, client=link),
        clocks=Clocks(),
        disks=Disks(default=DiskSpec(fsync_min_ns=MS, fsync_max_ns=3 * MS)),
        schedule=Schedule(seed=seed),
        gates=Gates(fault_kinds=False),
        check=Check(model="cas-register", liveness=False),
    )


def measure(plans: Iterable[Plan], system: System, *, check: bool = False) -> dict[str, float]:
    """Run plans one after the other. Figures are totals over all, but `speed`, which is the median of the plans."""
    speeds, seeds, seconds, steps_seconds, passes, pops, delivered, ops = [], 0, 0.0, 0.0, 0, 0, 0, 0
    for plan in plans:
        steps_seconds += calibration_seconds()
        began = time.process_time()
        simulation = Simulation(plan, {"default": system}, RunOptions(gates=False))
        simulation.run()
        if check:
            simulation.judge()
        took = time.process_time() - began
        world = simulation.world
        seeds, seconds = seeds + 1, seconds + took
        speeds.append(world.kernel.now / 1e9 / took)
        passes, pops = passes + world.kernel.passes, pops + world.kernel.pops
        delivered += world.network.delivered
        ops += sum(1 for op in world.recorder.history if op.type == "ok")
    return {
        "speed": statistics.median(speeds),
        "seeds_per_second": seeds / seconds,
        "us_per_delivery": seconds / delivered * 1e6,
        "us_per_op": seconds / ops * 1e6 if ops else 0.0,
        "steps_per_delivery": seconds / delivered / (steps_seconds / seeds / _CALIBRATION_STEPS),
        "passes_per_delivery": passes / delivered,
        "pops_per_delivery": pops / delivered,
    }


def calibration_seconds() -> float:
    """Processor time of a fixed piece of work of the kind that a run consists of."""
    began = time.process_time()
    heap: list[tuple[int, int]] = []
    seen: dict[int, int] = {}
    for number in range(_CALIBRATION_STEPS):
        heapq.heappush(heap, (number * 7_919 % 10_007, number))
        if number >= _CALIBRATION_HEAP:
            _note(seen, *heapq.heappop(heap))
    return time.process_time() - began


def _note(seen: dict[int, int], key: int, number: int) -> None:
    seen[key & 1023] = number


def count_calls(plan: Plan, system: System) -> float:
    """Calls of functions per delivery, without the checker's, and without what only the first run of a process calls.

    Python fills caches of classes there, and we parse options; how much of it was done before depends on what ran.
    """
    Simulation(plan, {"default": system}).run()
    profile = cProfile.Profile()
    simulation = Simulation(plan, {"default": system})
    profile.enable()
    simulation.run()
    profile.disable()
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return calls / simulation.world.network.delivered


def count_bytecodes(plan: Plan, system: System) -> tuple[Counts[CodeType], Counts[CodeType], int]:
    """Bytecodes executed in each function, its calls, and the messages delivered; without the building of the world."""
    executed: Counts[CodeType] = Counts()
    calls: Counts[CodeType] = Counts()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        calls[code] += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "opcode":
                executed[code] += 1
            return step

        return step

    simulation = Simulation(plan, {"default": system})
    sys.settrace(trace)
    try:
        simulation.run()
    finally:
        sys.settrace(None)
    return executed, calls, simulation.world.network.delivered


def show_bytecodes(count: int, system: System) -> None:
    """Print where a default plan spends the interpreter's steps."""
    executed, calls, delivered = count_bytecodes(default_plan(1, system), system)
    print(f"{executed.total() / delivered:9.1f} bytecodes and {calls.total() / delivered:.1f} calls a delivery")
    print(f"{'a delivery':>12}{'calls':>8}{'a call':>8}  function")
    for code, steps in executed.most_common(count):
        where = f"{'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_firstlineno} {code.co_qualname}"
        print(f"{steps / delivered:12.1f}{calls[code] / delivered:8.2f}{steps / calls[code]:8.0f}  {where}")


def beside_peer(python: str, folder: Path, system: System, count: int) -> list[tuple[float, float]]:
    """Seconds of processor time that a seed takes: the peer's and ours, in `count` rounds of some seeds each."""
    command = [python, str(Path(__file__).with_name("peer_chaos.py")), str(folder)]
    rounds = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for number in range(count + 1):
            seeds = range(1 + number * _PEER_SEEDS, 1 + (number + 1) * _PEER_SEEDS)
            print(seeds[0], len(seeds), file=peer.stdin, flush=True)
            answer = peer.stdout.readline()
            if not answer:
                raise SystemExit(
                    f"{python} did not run the peer; expected simloop, pytest, and its examples/raft in {folder}"
                )
            ours = measure(map(peer_plan, seeds), system, check=True)
            rounds.append((float(answer) / len(seeds), 1 / ours["seeds_per_second"]))
    return rounds[1:]  # the first one warms up


def show_peer(rounds: list[tuple[float, float]]) -> None:
    """Print both rates, and the ratio of each round."""
    theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(peer / own for peer, own in rounds)
    built = len([name for name in compiled.names() if name in sys.modules])
    print(f"peer {1 / theirs:.1f} seeds/s, ours {1 / ours:.1f} ({built} compiled modules)")
    print(f"ratio {statistics.median(ratios):.1f}, of {len(ratios)} rounds {ratios[0]:.1f} to {ratios[-1]:.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the simulator.")
    parser.add_argument("--repeat", type=int, default=20, help="seeds of each scenario")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gate", action="store_true", help="exit 1 when a counter is above its bound")
    parser.add_argument("--bytecodes", type=int, metavar="N", help="show the N functions that execute most bytecodes")
    parser.add_argument("--peer", nargs=2, metavar=("PYTHON", "DIR"), help="run the peer's chaos there, beside ours")
    arguments = parser.parse_args()
    system = load_systems(bind("raft_impl", Checkouts()))["default"]
    if arguments.bytecodes:
        show_bytecodes(arguments.bytecodes, system)
        return 0
    if arguments.peer:
        python, folder = arguments.peer
        show_peer(beside_peer(python, Path(folder).absolute(), system, arguments.repeat))
        return 0
    count = range(1, arguments.repeat + 1)
    measure([peer_plan(1)], system, check=True)  # warm up
    scenarios = {
        "idle": [idle_plan(seed) for seed in list(count)[: max(1, arguments.repeat // 5)]],
        "default": [default_plan(seed, system) for seed in count],
        "peer": [peer_plan(seed) for seed in count],
    }
    found = {name: measure(plans, system) for name, plans in scenarios.items()}
    found["peer, checked"] = measure(scenarios["peer"], system, check=True)
    for name, plans in scenarios.items():
        found[name]["calls_per_delivery"] = count_calls(plans[0], system)
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print(
            f"{'':16}{'sim s/s':>9}{'seeds/s':>9}{'us/deliv':>10}{'us/op':>7}"
            f"{'steps/d':>9}{'passes/d':>10}{'pops/d':>8}{'calls/d':>9}"
        )
        for name, row in found.items():
            print(
                f"{name:16}{row['speed']:9.0f}{row['seeds_per_second']:9.1f}{row['us_per_delivery']:10.1f}"
                f"{row['us_per_op']:7.0f}{row['steps_per_delivery']:9.1f}"
                f"{row['passes_per_delivery']:10.3f}{row['pops_per_delivery']:8.3f}"
                + (f"{row['calls_per_delivery']:9.1f}" if "calls_per_delivery" in row else "")
            )
    above = [
        f"{name}: {what} per delivery {found[name][f'{what}_per_delivery']:.3f} above {bound}"
        for name, bounds in BOUNDS.items()
        for what, bound in bounds.items()
        if found[name][f"{what}_per_delivery"] > bound
    ]
    for line in above:
        print(line, file=sys.stderr)
    return 1 if arguments.gate and above else 0


if __name__ == "__main__":
    sys.exit(main())
