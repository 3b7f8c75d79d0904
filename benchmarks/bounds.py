"""How near runs of a correct system come to the bounds that judge them, over all workloads and tolerable profiles.

    python -m benchmarks.bounds [--seeds A..B] [--system SPEC]

For each bound the largest share of it that any run reached, and which: events in one virtual second and in ten
(`run/livelock`), the time until a quorum that can talk has a leader (`liveness/unavailable/leader`), and the time that
a client waits (`liveness/unavailable/read`, `write`). Then the anomalies, which are false alarms where the system is
correct. docs/oracles.md says why a correct system stays below.
"""

from __future__ import annotations

import argparse
from collections import deque
from typing import Any, Final

from checkers.op import Op
from checkers.raft.availability import Availability, Stretch
from harness import quantities
from harness.plans.profiles import PROFILES
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, Simulation
from harness.sim.kernel import events
from harness.sim.kernel.livelock import Livelock, LivelockGuard
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

_SECOND_NS: Final = 1_000_000_000


class _Guard(LivelockGuard):
    """Remembers the busiest second and the busiest ten, as shares of what is allowed."""

    latest: _Guard

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.shares = {"events in a second": 0.0, "events in ten": 0.0}
        rate = arguments["events_per_second_max"]
        self._spans = [(_SECOND_NS, rate, deque([(0, 0)])), (10 * _SECOND_NS, 5 * rate // 2, deque([(0, 0)]))]
        _Guard.latest = self

    def check_events(self, now: int, events: int) -> Livelock | None:
        for name, (span_ns, most, seen) in zip(self.shares, self._spans, strict=True):
            seen.append((now, events))
            while seen[0][0] < now - span_ns:
                seen.popleft()
            self.shares[name] = max(self.shares[name], (events - seen[0][1]) / most)
        return super().check_events(now, events)


class _Waits(Availability):
    """Remembers the longest wait as a share of what is allowed."""

    longest = 0.0

    def _judge_wait(self, stretch: Stretch, op: Op, kind: str, wait: Any, *, answered: bool) -> None:
        share = wait.waited_ns / self.pace.due_ns(stretch.silent)
        _Waits.longest = max(_Waits.longest, share)
        super()._judge_wait(stretch, op, kind, wait, answered=answered)


def main() -> None:
    """Run the seeds, and print how near they came."""
    parser = argparse.ArgumentParser(description="How near correct runs come to the bounds that judge them.")
    parser.add_argument("--seeds", type=quantities.seeds, default=quantities.seeds("1..90"))
    parser.add_argument("--system", default="raft_impl")
    arguments = parser.parse_args()
    nearest: dict[str, tuple[float, str]] = {}
    anomalies: dict[str, list[int]] = {}
    calm_ms = 0
    profiles = [name for name in PROFILES if not name.startswith("beyond-")]
    events.LivelockGuard = _Guard  # type: ignore[misc]
    with Checkouts() as checkouts:
        systems = load_systems(bind(arguments.system, checkouts))
        able = abilities_of(systems.values())
        for seed in arguments.seeds:
            workload = able.workloads[seed % len(able.workloads)]
            drawing = Drawing(workload=workload, profile=profiles[seed // len(able.workloads) % len(profiles)])
            simulation = Simulation(drawing.plan(seed, able), systems, RunOptions(explain=False, gates=False))
            shares: dict[str, float] = {}
            if simulation.calm is not None:
                _Waits.longest = 0.0
                simulation.calm.availability.__class__ = _Waits
            simulation.run()
            for anomaly in simulation.judge().anomalies:
                anomalies.setdefault(anomaly.signature, []).append(seed)
            if simulation.calm is not None:
                watched = simulation.calm.availability
                calm_ms += watched.judged_ns // 1_000_000
                shares["a leader of those who can talk"] = _leader_share(watched)
                shares["a request of those who can talk"] = _Waits.longest
            for name, share in (_Guard.latest.shares | shares).items():
                nearest[name] = max(
                    nearest.get(name, (0.0, "")), (share, f"seed {seed}, {workload}, {drawing.profile}")
                )
    for name, (share, where) in nearest.items():
        print(f"{name:<32} {share:6.1%} of the bound at most ({where})")
    print(f"{len(arguments.seeds)} runs, {calm_ms / 1000:.0f} s in which a quorum owed answers under faults")
    print("anomalies:", anomalies or "none")


def _leader_share(watched: Availability) -> float:
    """The longest time without a leader, as a share of what is allowed."""
    waited = [min(stretch.led_ns.values(), default=stretch.end_ns) - stretch.begin_ns for stretch in watched.stretches]
    return max(waited, default=0) / watched.pace.leader_ns


if __name__ == "__main__":
    main()
