"""From a seed and what was typed to a plan: who there is, what clients ask and when, which faults there are and when.

A live run is no function of its plan. The plan still decides everything that the harness decides, so that a second run
of a seed asks the same things under the same faults; how long processes take is for the machine to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from harness.errors import BadInput
from harness.faults.catalog import AnyFault
from harness.faults.crashes import Crash
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.faults.topologies import shapes_for
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
from harness.plans.rng import Stream
from workloads.generator import evaluate, stagger, time_limit

from .workloads import LiveWorkload

PROFILE: Final = "maelstrom"
"""Stands in plans and records where a simulated run has its profile, and says that the run was live."""

SECOND: Final = 1_000_000_000
LATENCY_TAIL: Final = 10
"""An exponential delay is cut at this many times its mean."""

Shape = Literal["constant", "uniform", "exponential"]
Topology = Literal["grid", "line", "total"]
FAULTS: Final = ("partition", "kill", "pause")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed. `latency_ns` is the mean of the delay between nodes; loss and duplication are in ppm."""

    nodes: int
    concurrency: int
    rate: float
    time_limit_ns: int
    latency_ns: int = 0
    latency_shape: Shape = "exponential"
    loss_ppm: int = 0
    duplicate_ppm: int = 0
    faults: tuple[str, ...] = ()
    interval_ns: int | None = None
    quiet_ns: int = SECOND
    topology: Topology = "grid"
    expect: tuple[str, ...] = ()


def draw(settings: Settings, workload: LiveWorkload, seed: int) -> Plan:
    """Draw a plan. Raises BadInput for faults that these nodes cannot have."""
    nodes = tuple(f"n{number}" for number in range(settings.nodes))
    clients = [f"c{number}" for number in range(settings.concurrency)]
    none = LinkSpec(delay_min_ns=0, delay_max_ns=0)
    return Plan(
        drawn=Drawn(seed=seed, profile=PROFILE, workload=workload.name, variant="live"),
        groups={"g0": Group(machine=workload.name, voters=nodes)},
        actors={name: Actor(kind="node") for name in nodes}
        | {
            name: Actor(kind="client", home=nodes[number % len(nodes)], routing="home")
            for number, name in enumerate(clients)
        },
        options={
            "expect": " ".join(settings.expect),
            "latency_ns": settings.latency_ns,
            "latency_shape": settings.latency_shape,
            "topology": settings.topology,
        },
        programs=_programs(settings, workload, seed, clients),
        faults=_faults(settings, nodes, Stream(seed, "maelstrom/faults")),
        phases=Phases(warmup_ns=0, faults_ns=settings.time_limit_ns, recovery_ns=settings.quiet_ns, final_ns=SECOND),
        links=Links(node=_link(settings), client=none),
        clocks=Clocks(),
        disks=Disks(default=DiskSpec(fsync_min_ns=0, fsync_max_ns=0)),
        schedule=Schedule(seed=seed),
        gates=Gates(ok_during=1, ok_after=1 if workload.final else 0),
        check=Check(model=workload.name, invariants=False, liveness=False),
    )


def _programs(settings: Settings, workload: LiveWorkload, seed: int, clients: Sequence[str]) -> tuple[Program, ...]:
    stream = Stream(seed, f"maelstrom/{workload.name}")
    traffic = stagger(max(1, int(SECOND / settings.rate)), workload.generator(stream))
    events = evaluate(time_limit(settings.time_limit_ns, traffic), threads=len(clients), stream=stream)
    ops: list[list[PlannedOp]] = [[] for _ in clients]
    number = 0
    for event in events:
        for call in event.calls:
            ops[event.thread].append(
                PlannedOp(id=number, due_ns=event.due_ns, f=call.f, key=call.key, value=call.value)
            )
            number += 1
    programs = []
    for thread, client in enumerate(clients):
        final = []
        for call in workload.final if thread < settings.nodes else ():  # each node is asked once
            final.append(PlannedOp(id=number, due_ns=0, f=call.f, key=call.key, value=call.value))
            number += 1
        programs.append(Program(thread=thread, client=client, ops=tuple(ops[thread]), final=tuple(final)))
    return tuple(programs)


def _link(settings: Settings) -> LinkSpec:
    latency, shape = settings.latency_ns, settings.latency_shape
    low, high = {"constant": (latency, latency), "uniform": (0, 2 * latency)}.get(shape, (0, LATENCY_TAIL * latency))
    return LinkSpec(
        delay_min_ns=low,
        delay_max_ns=high,
        shape="exponential" if shape == "exponential" else "uniform",
        loss_ppm=settings.loss_ppm,
        duplicate_ppm=settings.duplicate_ppm,
    )


def _faults(settings: Settings, nodes: Sequence[str], stream: Stream) -> tuple[AnyFault, ...]:
    """Put one fault into each interval, which begins in its first quarter and lasts half of it."""
    if not settings.faults:
        return ()
    if "partition" in settings.faults and len(nodes) < 2:
        raise BadInput("a partition of one node", "--nodes 2 or more", "--nemesis")
    interval = settings.interval_ns or max(settings.time_limit_ns // 4, 1)
    faults: list[AnyFault] = []
    order = stream.shuffled(settings.faults)
    for number in range(settings.time_limit_ns // interval):
        begin = number * interval + stream.below(interval // 4 + 1)
        fields = {"id": f"f{number}", "begin_ns": begin, "end_ns": begin + interval // 2}
        targets = tuple(sorted(stream.sample(nodes, stream.between(1, max(1, (len(nodes) - 1) // 2)))))
        match order[number % len(order)]:
            case "partition":
                shape = stream.choice(shapes_for(len(nodes)))
                order_of_nodes = stream.shuffled(nodes)
                faults.append(Partition(shape=shape, order=order_of_nodes, clients=None, **fields))  # type: ignore[arg-type]
            case "kill":
                faults.append(Crash(targets=targets, power=False, **fields))  # type: ignore[arg-type]
            case _:
                faults.append(Pause(targets=targets, **fields))  # type: ignore[arg-type]
    return tuple(faults)
