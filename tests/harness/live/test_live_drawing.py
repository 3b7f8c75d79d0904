"""What of a plan a live world can do."""

from __future__ import annotations

import msgspec

from harness.faults.clocks import ClockRate
from harness.faults.crashes import Crash
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.live.drawing import possible
from harness.live.namespaces import kinds_with
from tests.harness.outcomes import make_outcome
from tests.live.live_plans import at

KINDS = ("clock-rate", "crash", "pause", "delay")


def test_clients_are_killed_but_neither_stopped_nor_given_another_clock() -> None:
    """All of them share the process of the harness: a fault that does nothing must not count as effective."""
    plan = msgspec.structs.replace(
        make_outcome(1).plan,
        faults=(
            Pause(id="pause-node", targets=("n1",), **at(0, 1)),
            Pause(id="pause-client", targets=("c1",), **at(0, 1)),
            ClockRate(id="clock-node", targets=("n1",), rate_ppm=1_100_000, **at(0, 1)),
            ClockRate(id="clock-client", targets=("c1",), rate_ppm=1_100_000, **at(0, 1)),
            Crash(id="kill-client", targets=("c1",), power=False, **at(0, 1)),
        ),
    )

    assert "c1" in plan.clients
    assert [fault.id for fault in possible(plan, KINDS, tells_votes=True).faults] == [
        "pause-node",
        "clock-node",
        "kill-client",
    ]


def test_who_voted_is_a_follower_where_nodes_do_not_tell_their_votes() -> None:
    faults = (
        Crash(id="kill", targets=("@voter",), power=False, **at(0, 1)),
        Crash(id="leader", targets=("@leader",), power=False, **at(0, 1)),
        Partition(id="cut", shape="one", order=("@voter", "n1", "n2", "n3"), clients=(), **at(0, 1)),
    )
    plan = msgspec.structs.replace(make_outcome(1).plan, faults=faults)

    told = possible(plan, ("crash", "partition"), tells_votes=True).faults
    untold = possible(plan, ("crash", "partition"), tells_votes=False).faults

    assert [fault.aimed_at for fault in told] == [("@voter",), ("@leader",), ("@voter",)]
    assert [fault.aimed_at for fault in untold] == [("@follower",), ("@leader",), ("@follower",)]
    assert isinstance(untold[2], Partition)
    assert untold[2].order == ("@follower", "n1", "n2", "n3")


def test_packets_in_namespaces_are_not_late() -> None:
    assert kinds_with("namespaces", KINDS) == ("clock-rate", "crash", "pause")
    assert kinds_with("proxies", KINDS) == KINDS
