"""Programs that tests write into a file, and plans in which one thing goes wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import msgspec

from harness.faults.fault import Fault
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, run
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from tests.pages import ROOT

S = 1_000_000_000
EXAMPLES = ROOT / "docs" / "examples" / "systems"

HEAD = """
import trio
from harness.systems.system import Completion

workloads = ("register",)

async def read_all(stream):
    data = b""
    async for chunk in stream:
        data += chunk
    return data

class client:
    def __init__(self, name, servers):
        self.name, self.server = name, servers[0]

    async def invoke(self, f, key, value):
        async with await trio.open_tcp_stream(self.server, 80) as stream:
            return Completion("fail", error=await self.ask(stream))

    async def ask(self, stream):
        return (await read_all(stream)).decode()

async def node(name, peers, data_dir):
    await trio.serve_tcp(serve, 80)
"""


def written(folder: Path, text: str) -> str:
    """The spec of a program that has this text behind the common head."""
    file = folder / "program.py"
    file.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    return f"trio:{file}"


def bound(spec: str) -> Binding:
    """The binding of a spec."""
    with Checkouts() as checkouts:
        return bind(spec, checkouts)


def drawn(spec: str, seed: int = 1, *, nodes: int = 1, concurrency: int = 1, profile: str = "calm") -> Plan:
    """A plan of two seconds, drawn for a program."""
    drawing = Drawing(system=spec, profile=profile, nodes=nodes, concurrency=concurrency, rate=8.0, duration_ns=2 * S)
    return drawing.plan(seed, abilities_of(load_systems(bound(spec)).values()))


def run_with(spec: str, *faults: Fault, seed: int = 1, nodes: int = 1) -> Outcome:
    """Run a program under these faults and no others, and keep the trace."""
    plan = msgspec.structs.replace(drawn(spec, seed, nodes=nodes), faults=faults)
    return run(plan, bound(spec), RunOptions(keep_rows=True, gates=False))


def errors(outcome: Outcome) -> list[str]:
    """What clients were told, by the programs of this file's kind, in order."""
    return [op.error for op in outcome.history if op.type != "invoke" and op.error is not None]
