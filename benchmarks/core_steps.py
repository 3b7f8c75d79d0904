"""How fast the Raft core is by itself: inputs a second, without wire, disk, machine or clock.

    python -m benchmarks.core_steps [--nodes N] [--seconds S] [--json]

N cores in one process hand their messages to each other at once. Every write counts as durable the moment it is handed
out. An input is one call of the core: a message, a proposal, a report of the disk or of the machine. Three loads:

* `one by one`: a proposal is committed everywhere before the next one is made;
* `batches of 64`: as many proposals in one held batch, so that they share one append and one write;
* `heartbeats`: nothing but rounds of heartbeats.

An operation of the first load takes 5 inputs of the leader and 3 of each follower (three nodes: 11), so its operations
a second bound what any driver around this core can do with one processor. Batches are what makes it fast: one of 64
takes the inputs of one operation and 63 proposals.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from raft_impl.protocol.config import Config
from raft_impl.protocol.core import Raft
from raft_impl.protocol.ready import Ready
from raft_impl.protocol.state import Index, Membership, NodeId, Snapshot

MILLISECOND_NS: Final = 1_000_000
CONFIG: Final = Config(election_timeout_min_ns=1_000 * MILLISECOND_NS, heartbeat_ns=100 * MILLISECOND_NS)
PAYLOAD: Final = bytes(60)
BATCH: Final = 64


class Cores:
    """Cores that are wired to each other, and how many inputs they took."""

    def __init__(self, count: int) -> None:
        names = tuple(NodeId(f"n{number}") for number in range(1, count + 1))
        self.now = 0
        self.inputs = 0
        self.committed = 0
        self._mail: deque[tuple[NodeId, NodeId, Any]] = deque()
        self._cores = {name: Raft(name, CONFIG, membership=Membership(names), now=0) for name in names}
        for name, core in self._cores.items():
            self._obey(name, core.start(0))
            self._obey(name, core.offer_timeout(1_500 * MILLISECOND_NS))
        self.leader = names[0]
        self.now = 10_000 * MILLISECOND_NS
        self._obey(self.leader, self.core.campaign(self.now))
        self.deliver()
        assert self.core.is_leader, "a campaign that all nodes hear is won"

    @property
    def core(self) -> Raft:
        """The leader's."""
        return self._cores[self.leader]

    def propose(self, count: int) -> None:
        """Propose, in one batch if there are several, and let it be committed."""
        core = self.core
        if count > 1:
            core.hold()
        for number in range(count):
            self.inputs += 1
            ready = core.propose(self.now, number, PAYLOAD)
        self._obey(self.leader, core.release(self.now) if count > 1 else ready)
        self.deliver()
        self.committed += count

    def beat(self) -> None:
        """Let a heartbeat interval pass."""
        self.now += CONFIG.heartbeat_ns
        self.inputs += 1
        self._obey(self.leader, self.core.wake(self.now))
        self.deliver()

    def compact(self) -> None:
        """Forget what is applied, or memory would be what is measured."""
        for name, core in self._cores.items():
            index = core.commit_index
            if index:
                snapshot = Snapshot(core.snapshot_meta(index), b"")
                self._obey(name, core.compact(self.now, index, snapshot))
        self.deliver()

    def deliver(self) -> None:
        """Until nothing is under way."""
        mail = self._mail
        while mail:
            source, target, message = mail.popleft()
            self.inputs += 1
            self._obey(target, self._cores[target].step(self.now, source, message))

    def _obey(self, name: NodeId, ready: Ready) -> None:
        core, mail = self._cores[name], self._mail
        mail.extend([(name, target, message) for target, message in ready.send_now])
        mail.extend([(name, target, message) for target, message in ready.send_after])
        if ready.apply:
            self.inputs += 1
            core.applied(self.now, Index(ready.apply[-1].index))
        if ready.persist is not None:
            self.inputs += 1
            self._obey(name, core.persisted(self.now, ready.persist.token))
        if ready.wants_timeout:
            core.offer_timeout(1_500 * MILLISECOND_NS)


def measure(nodes: int, seconds: float, load: Callable[[Cores], None]) -> dict[str, float]:
    """Inputs and operations a second under a load."""
    cores = Cores(nodes)
    load(cores)
    cores.inputs = cores.committed = 0
    took = 0.0
    while took < seconds:
        began = time.perf_counter()
        for _ in range(200):
            load(cores)
        took += time.perf_counter() - began
        inputs = cores.inputs
        cores.compact()
        cores.inputs = inputs
    return {"inputs_per_s": round(cores.inputs / took), "ops_per_s": round(cores.committed / took)}


LOADS: Final[dict[str, Callable[[Cores], None]]] = {
    "one by one": lambda cores: cores.propose(1),
    f"batches of {BATCH}": lambda cores: cores.propose(BATCH),
    "heartbeats": lambda cores: cores.beat(),
}


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(description="Measure the Raft core by itself.")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each load")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {name: measure(arguments.nodes, arguments.seconds, load) for name, load in LOADS.items()}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{arguments.nodes} nodes{'':8}{'inputs/s':>12}{'ops/s':>12}")
    for name, row in found.items():
        print(f"{name:15}{row['inputs_per_s']:12,.0f}{row['ops_per_s']:12,.0f}")


if __name__ == "__main__":
    main()
