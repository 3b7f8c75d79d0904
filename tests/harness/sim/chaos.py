"""Plans of the toy system with faults of every kind, drawn from a seed: for tests that must hold whatever happens."""

from __future__ import annotations

import random
from typing import Any, cast

import msgspec

from harness.faults.catalog import KINDS
from harness.faults.fault import Fault
from harness.faults.snapshots import Compact
from harness.plans.plan import LinkSpec, Override, Plan, Schedule
from tests.harness.sim import toy
from tests.harness.sim.toy import MS

NODES = ("n1", "n2", "n3")
CLIENTS = ("c1", "c2", "c3", "c4")
SHAPES = ("one", "majority-minority", "bridge", "one-way-in", "one-way-out")


def plan(seed: int) -> Plan:
    """A plan with about ten faults; quantised or not, with overlapping storage or not, healed wholly or in part."""
    rng = random.Random(seed)
    faults = tuple(fault(rng, number) for number in range(rng.randint(4, 14)))
    schedule = Schedule(
        seed=seed,
        policy=rng.choice(["fifo", "random", "pct"]),
        quantum_ns=rng.choice([0, 0, MS // 10, MS]),
        processing_max_ns=rng.choice([0, MS // 2]),
    )
    links = LinkSpec(
        delay_min_ns=MS // 2,
        delay_max_ns=4 * MS,
        shape=rng.choice(["uniform", "exponential"]),
        loss_ppm=rng.choice([0, 20_000]),
        duplicate_ppm=rng.choice([0, 20_000]),
    )
    drawn = toy.plan(
        threads=4,
        ops=25,
        faults=faults,
        schedule=schedule,
        links=links,
        options={"storage": rng.choice(["sync", "async"])},
        seed=seed,
        faults_ns=1_400 * MS,
    )
    healed = rng.choice([(), ("n1", "n2", "c1", "c2")])
    phases = msgspec.structs.replace(drawn.phases, heal="partial" if healed else "total", healed=healed)
    return msgspec.structs.replace(drawn, phases=phases, overrides=overrides(rng))


def fault(rng: random.Random, number: int) -> Fault:
    """One fault of any kind, at any time of the fault phase."""
    kind = rng.choice(sorted(KINDS.keys() - {"lying-node"}))  # what the toy says has no opposite
    begin_ns = rng.randrange(100, 1_300) * MS
    common: dict[str, Any] = {
        "id": f"f{number}",
        "begin_ns": begin_ns,
        "end_ns": begin_ns + rng.randrange(20, 500) * MS,
    }
    nodes = tuple(rng.sample(NODES, rng.randint(1, 2)))
    some = tuple(rng.sample(NODES + CLIENTS, rng.randint(1, 3)))
    parameters: dict[str, dict[str, Any]] = {
        "partition": {"shape": rng.choice(SHAPES), "order": tuple(rng.sample(NODES, 3)), "clients": ("c1",)},
        "loss": {"targets": (), "loss_ppm": 200_000},
        "duplicate": {"targets": nodes, "duplicate_ppm": 300_000, "spread_ns": 9 * MS},
        "delay": {"targets": nodes, "extra_ns": 3 * MS, "jitter_ns": 20 * MS},
        "reorder": {"targets": (), "reorder_ppm": 300_000, "hold_ns": 30 * MS},
        "corrupt": {"targets": nodes, "corrupt_ppm": 100_000},
        "clog": {"targets": nodes},
        "slow-node": {"targets": nodes, "processing_ns": 5 * MS},
        "slow-background": {"targets": nodes, "late_ns": 50 * MS},
        "bandwidth": {"targets": nodes, "bytes_per_s": 2_000},
        "crash": {"targets": some, "aim": rng.choice(["", "write"]), "power": rng.random() < 0.7},
        "pause": {"targets": some, "clock": rng.choice(["runs", "stops"])},
        "write-error": {"targets": nodes},
        "read-error": {"targets": nodes},
        "fsync-error": {"targets": nodes, "pages": rng.choice(["clean", "gone"])},
        "disk-full": {"targets": nodes, "room_bytes": 20},
        "slow-disk": {"targets": nodes, "late_ns": 20 * MS},
        "lying-fsync": {"targets": nodes},
        "wiped-disk": {"targets": nodes, "identity": "same"},
        "bit-rot": {"targets": nodes},
        "misdirected-write": {"targets": nodes},
        "lost-write": {"targets": nodes},
        "power-cut": {
            "targets": nodes,
            "moment": rng.choice(["in-flight", "between", "answered"]),
            "keeps": rng.choice(["prefix", "sectors", "nothing"]),
            "down_ns": 5 * MS,
        },
        "clock-rate": {"targets": some, "rate_ppm": rng.choice([500_000, 900_000, 1_100_000, 2_000_000])},
        "clock-step": {"targets": nodes, "step_ns": -500 * MS, "back": rng.random() < 0.5},
        "clock-strobe": {"targets": nodes, "step_ns": 100 * MS, "period_ns": 30 * MS},
        "transfer": {"target": "n2"},
        "forced-election": {"targets": nodes},
        "compact": {"targets": nodes},
        "membership": {"voters": ("n1", "n2")},
        "upgrade": {"targets": nodes, "code": "default"},
        "roll-back": {"targets": nodes, "code": "default", "then": "default"},
    }
    if kind in ("read-error", "lying-fsync"):  # they wait for a crash to show
        common |= {"begin_ns": 200 * MS, "end_ns": 1_700 * MS}
    if kind == "membership":  # the toy refuses every change, and would be asked without end
        return Compact(**common, targets=nodes)
    return cast(Fault, KINDS[kind](**common, **parameters[kind]))


def overrides(rng: random.Random) -> tuple[Override, ...]:
    """Some decisions that beat the draws."""
    return tuple(
        Override(
            source=source,
            target=target,
            message="gossip",
            ordinal=rng.randrange(40),
            fate=rng.choice(["drop", "deliver", "duplicate"]),
            delay_ns=rng.choice([0, 12 * MS]),
        )
        for source, target in (("n1", "n2"), ("n2", "n3"), ("n3", "n1"))
        if rng.random() < 0.5
    )
