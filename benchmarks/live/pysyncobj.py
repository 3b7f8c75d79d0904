"""Three nodes of PySyncObj, each a process: a dictionary's `set`, called inside the leader's process or from another.

Inside the leader is how it is most often used, and it is to its advantage: there is no connection between a client and
it, and no session. `outside`, unbatched, the calls are made in a fourth process, a member without an address of its
own, which is how a program that is no server reaches PySyncObj, and how every other system is reached here.

Its journal is a memory-mapped file that it does not flush when it commits, so what it acknowledges may be lost with the
power; it promises less for its numbers. Its `defaults` send what is waiting every 100 ms, `5 ms` every 5 ms, and
`unbatched` each command when it comes.

As a program, `python -m benchmarks.live.pysyncobj JOURNAL OWN VARIANT VALUE OTHER...` is one node, which answers
commands from its standard input: `leads`, and `measure CLIENTS SECONDS`. Without OWN ("") it is the fourth process,
which says that it leads when it knows who does.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from .processes import PATIENCE_S, NotReady, free_ports, start

MISSING: Final = "PySyncObj is not installed (pip install pysyncobj), or leave it out: --peers ours,etcd"
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "unbatched": {"appendEntriesUseBatch": False},
    "5 ms": {"appendEntriesPeriod": 0.005},
    "outside": {"appendEntriesUseBatch": False},
}
_OUTSIDE: Final = "outside"
_ROOT: Final = Path(__file__).parents[2]


def missing() -> str:
    """Why this peer cannot be measured here; empty if it can."""
    return "" if importlib.util.find_spec("pysyncobj") else MISSING


class PySyncObj:
    """A cluster of PySyncObj."""

    def __init__(self, folder: Path, value: str, variant: str) -> None:
        nodes = [f"127.0.0.1:{port}" for port in free_ports(3)]
        is_outside = variant == _OUTSIDE
        self.processes = [
            start(
                [sys.executable, "-m", "benchmarks.live.pysyncobj", str(folder / f"p{number}"), own, variant, value]
                + [node for node in nodes if node != own],
                folder / f"p{number}.log",
                environment={"PYTHONPATH": str(_ROOT)},
                stdin=subprocess.PIPE,
            )
            for number, own in enumerate([*nodes, ""] if is_outside else nodes)
        ]
        self._asked = self.processes[3:] if is_outside else self.processes

    def measure(self, clients: int, seconds: float) -> tuple[list[float], float]:
        """The latencies of what was done, and how long that took in all."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for process in self._asked:
                if self._ask(process, "leads"):
                    latencies, elapsed_s = self._ask(process, f"measure {clients} {seconds}")
                    return latencies, elapsed_s
            if time.monotonic() > deadline:
                raise NotReady("PySyncObj has no leader")
            time.sleep(0.1)

    def _ask(self, process: subprocess.Popen[str], command: str) -> Any:
        assert process.stdin is not None, "it was started with pipes"
        assert process.stdout is not None, "it was started with pipes"
        process.stdin.write(command + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise NotReady("a node of PySyncObj ended")
        return json.loads(line)


def main(journal: str, own: str, variant: str, value: str, *others: str) -> None:
    """Be one node."""
    from pysyncobj import SyncObj, SyncObjConf  # type: ignore[import-not-found, import-untyped, unused-ignore]
    from pysyncobj.batteries import ReplDict  # type: ignore[import-not-found, import-untyped, unused-ignore]

    table = ReplDict()
    settings = {"journalFile": journal if own else None, "commandsQueueSize": 1_000_000, **VARIANTS[variant]}
    node = SyncObj(own or None, list(others), consumers=[table], conf=SyncObjConf(**settings))
    for line in sys.stdin:
        match line.split():
            case ["leads"]:
                leader = node._getLeader()
                answer: Any = bool(node.isReady()) and (str(leader) == own if own else leader is not None)
            case ["measure", clients, seconds]:
                answer = _measure(table, value, int(clients), float(seconds))
            case _:
                return
        print(json.dumps(answer), flush=True)


def _measure(table: Any, value: str, clients: int, seconds: float) -> tuple[list[float], float]:
    latencies: list[float] = []
    clock = time.perf_counter
    began = clock()
    end = began + seconds
    open_count = [clients]

    def ask(number: int) -> None:
        asked = clock()

        def take(_: Any, error: Any) -> None:
            if error:
                print(f"PySyncObj answers {error}", file=sys.stderr)
                sys.exit(1)
            now = clock()
            latencies.append(now - asked)
            if now < end:
                ask(number)
            else:
                open_count[0] -= 1

        table.set(f"key-{number}", value, callback=take)

    for number in range(clients):
        ask(number)
    while open_count[0]:
        time.sleep(0.01)
    return latencies, clock() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
