"""One live run: start the nodes, say to each who it is, let clients ask, let faults happen, be quiet, read once more.

A node that breaks the protocol ends the run at once, and is named with its last lines of standard error: it printed
what is no message, it ended by itself, it did not answer `init`, or it answered with what is no answer. The history up
to there is judged all the same.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from checkers.recorder import Recorder
from checkers.verdict import Anomaly, merge
from harness.judged import judged
from harness.live.interrupts import run_in_trio, terminated_as_interrupted
from harness.live.maelstrom_protocol import Body, Message, NotAMessage, decode, encode
from harness.outcome import FaultCounts, Metrics, OpCounts, Outcome
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import Plan, Program
from harness.run import gates
from harness.run.runner import primary
from harness.systems.binding import RecordedBinding, RecordedCode

from .clients import TIMEOUT_LATENCIES, TIMEOUT_SECONDS_MIN, Client, MalformedReply
from .judging import about_nodes, answered_everything, judge
from .nemesis import Nemesis
from .network import Network
from .os_processes import NodeProcess, NodeProcesses
from .services import services
from .workloads import WORKLOADS

INIT_SECONDS_MAX: Final = 10
"""A node has that long to answer `init`: the protocol says so."""
FINAL_TRIES: Final = 3
SYSTEM: Final = "maelstrom:"
"""Begins the name of the system in a record; the command of the nodes follows."""
_SHOWN_MAX: Final = 120
_CONTROL: Final = "c-setup"
"""The client that sends `init` and `topology`."""


class LiveResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left: its outcome, and the messages that arrived, as (nanoseconds since the start, message)."""

    outcome: Outcome
    journal: list[tuple[int, Message]]


class _BrokenProtocol(Exception):
    """A node did what the protocol does not allow."""


def run(plan: Plan, command: Sequence[str]) -> LiveResult:
    """Run a plan with real processes and judge it. Leaves no process behind, however it ends. Raises BadInput."""
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="foreshock-") as data,
        terminated_as_interrupted(),
        NodeProcesses(command, Path(data)) as processes,
    ):
        live = LiveRun(plan, processes)
        run_in_trio(live.run)
    ran = time.perf_counter()
    outcome = live.outcome(command)
    ended = time.perf_counter()
    outcome = msgspec.structs.replace(
        outcome, check_seconds=round(ended - ran, 6), wall_seconds=round(ended - began, 6)
    )
    return LiveResult(outcome=outcome, journal=live.network.journal)


class LiveRun:
    """Nodes, clients, network and nemesis of one run."""

    network: Network

    def __init__(self, plan: Plan, processes: NodeProcesses) -> None:
        self._plan = plan
        self._workload = WORKLOADS[plan.drawn.workload]
        self._processes = processes
        self._recorder = Recorder(self._elapsed_ns)
        self._clients: dict[str, Client] = {}
        self._ready: set[str] = set()  # nodes that have answered `init`
        self._anomalies: list[Anomaly] = []
        self._unread: list[str] = []  # nodes whose final reads had no answer
        self._stderr: dict[str, list[str]] = {}
        self._outcomes: dict[str, str] = {}
        self._began_ns = time.monotonic_ns()
        self._lasted_ns = 0

    def _elapsed_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    # -- while it runs ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end, or to where a node breaks the protocol."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            plan = self._plan
            self.network = Network(
                plan.schedule.seed,
                plan.links.node,
                plan.nodes,
                services(plan.schedule.seed),
                self._deliver,
                self._elapsed_ns,
                nursery,
            )
            latency_seconds = int(plan.options["latency_ns"]) / 1e9
            timeout = max(TIMEOUT_SECONDS_MIN, TIMEOUT_LATENCIES * latency_seconds)
            self._clients[_CONTROL] = Client(_CONTROL, "", self.network, timeout)
            for name in plan.clients:
                self._clients[name] = Client(name, str(plan.actors[name].home), self.network, timeout)
            with suppress(_BrokenProtocol):
                await self._phases()
            self._lasted_ns = self._elapsed_ns()
            self._keep_stderr()
            self._processes.kill_all()
            nursery.cancel_scope.cancel()

    async def _phases(self) -> None:
        plan = self._plan
        await self._in_parallel([(self._start, name) for name in plan.nodes])
        self._began_ns = time.monotonic_ns()
        nemesis = Nemesis(plan, self.network, self._processes, self._start, self._elapsed_ns)
        self._outcomes = nemesis.outcomes
        await self._in_parallel([(self._traffic, program) for program in plan.programs] + [(nemesis.run,)])
        if self._workload.final:
            await trio.sleep(plan.phases.recovery_ns / 1e9)
            await self._in_parallel([(self._final, program) for program in plan.programs])

    async def _in_parallel(self, tasks: Sequence[tuple[Any, ...]]) -> None:
        """Do all of it; where one breaks the protocol, or a node does meanwhile, end all and raise _BrokenProtocol."""
        if self._anomalies:
            raise _BrokenProtocol
        async with trio.open_nursery() as nursery:
            self._phase = nursery
            for function, *arguments in tasks:
                nursery.start_soon(function, *arguments)
        if self._anomalies:
            raise _BrokenProtocol

    async def _start(self, name: str) -> None:
        """Start a node and tell it who it is, and with whom it is connected."""
        self._ready.discard(name)
        node = await self._processes.start(name)
        self._nursery.start_soon(self._attend, node)
        self._nursery.start_soon(node.keep_stderr)
        self._nursery.start_soon(node.write_lines)
        control, nodes = self._clients[_CONTROL], list(self._plan.nodes)
        body: Body = {"type": "init", "node_id": name, "node_ids": nodes}
        reply = await control.request(name, body, INIT_SECONDS_MAX)
        if reply is None or reply.get("type") != "init_ok":
            what = (
                f"did not answer init within {INIT_SECONDS_MAX} s" if reply is None else f"answered init with {reply}"
            )
            await self._accuse(node, "no-init", what)
            return
        self._ready.add(name)
        if self._workload.needs_topology:
            topology = neighbours(nodes, str(self._plan.options["topology"]))
            reply = await control.request(name, {"type": "topology", "topology": topology}, INIT_SECONDS_MAX)
            if reply is None or reply.get("type") != "topology_ok":
                await self._accuse(node, "no-topology", f"answered topology with {reply or 'nothing'}")

    async def _attend(self, node: NodeProcess) -> None:
        """Read what a node prints, until it ends."""
        broken: list[str] = []

        def on_line(line: bytes) -> None:
            if broken or not line.strip():
                return
            try:
                self.network.send(decode(line, node.name))
            except NotAMessage as error:
                shown = line[:_SHOWN_MAX].decode(errors="replace")
                broken.append(f"printed what is no message ({error}): {shown!r}")
                self._nursery.start_soon(self._accuse, node, "no-message", broken[0])

        await node.read_lines(on_line)
        if not node.is_ours_to_end and not broken:
            await self._accuse(node, "died", await node.ending())

    async def _accuse(self, node: NodeProcess, kind: str, what: str) -> None:
        """Note what a node did, and end the phase. The end of its standard error is waited for, shortly."""
        await trio.sleep(0.05)
        if node.is_ours_to_end or any(one.evidence["node"] == node.name for one in self._anomalies):
            return
        lines = list(node.stderr)
        said = "".join(f"\n  {line}" for line in lines) if lines else " nothing"
        message = f"node {node.name} {what}; its last lines of standard error:{said}"
        evidence = {"node": node.name, "stderr": lines}
        self._anomalies.append(Anomaly(checker="node", kind=kind, message=message, evidence=evidence))
        self._phase.cancel_scope.cancel()

    def _deliver(self, message: Message) -> bool:
        """Give a message to whom it is for; False when there is no such one. A node that is down loses it."""
        target = message.dest
        if client := self._clients.get(target):
            client.receive(message.body)
            return True
        if target not in self._plan.nodes:
            return False
        node = self._processes.running.get(target)
        hears = node is not None and (target in self._ready or message.src == _CONTROL)
        if node is None or not hears or not node.write(encode(message)):
            self.network.counts["lost"] += 1
        return True

    async def _traffic(self, program: Program) -> None:
        client = self._clients[program.client]
        end_ns = self._plan.phases.faults_ns
        for op in program.ops:
            await trio.sleep(max(0, op.due_ns - self._elapsed_ns()) / 1e9)
            if self._elapsed_ns() >= end_ns:
                return
            await self._perform(client, op)

    async def _final(self, program: Program) -> None:
        client = self._clients[program.client]
        for op in program.final:
            for _ in range(FINAL_TRIES):
                if await self._perform(client, op):
                    break
            else:
                self._unread.append(client.home)
                return

    async def _perform(self, client: Client, op: Any) -> bool:
        try:
            return await client.perform(op, self._workload, self._recorder)
        except MalformedReply as error:
            node = self._processes.running.get(client.home)
            if node is not None:
                await self._accuse(node, "malformed-answer", str(error))
            return False

    def _keep_stderr(self) -> None:
        for name, node in self._processes.running.items():
            self._stderr[name] = list(node.stderr)

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def outcome(self, command: Sequence[str]) -> Outcome:
        """Judge the history, and say what happened."""
        plan, recorded = self._plan, self._recorder.history()
        verdicts = [judge(plan, recorded), about_nodes(self._anomalies)]
        if not self._anomalies:
            verdicts.append(answered_everything(self._workload, recorded, self._unread))
            verdicts.append(gates.judge(plan, recorded, self._outcomes, ()))
        verdict = merge(verdicts)
        ops = OpCounts.of(recorded)
        anomalies = tuple(judged(anomaly, allowed=False) for anomaly in verdict.anomalies)
        sent = self.network.counts["sent"]
        return Outcome(
            plan=plan,
            plan_sha256=plan.sha256,
            fingerprint="",
            history_sha256=hashlib.sha256(recorded.to_jsonl()).hexdigest(),
            history=tuple(recorded),
            rows=None,
            verdict=verdict,
            plan_class="tolerable",
            anomalies=anomalies,
            primary=primary(anomalies),
            ops=ops,
            faults=FaultCounts.of(self._outcomes, planned=len(plan.faults)),
            fault_outcomes=dict(self._outcomes),
            messages=sent,
            simulated_ns=self._lasted_ns,
            recovery_ms=None,
            resolved_options=plan.options,
            marks={name: self.network.counts[name] for name in ("lost", "doubled", "cut off")},
            metrics=Metrics(
                events=0,
                passes=0,
                delivered=len(self.network.journal),
                rows=0,
                elections=0,
                messages_per_op=round(sent / ops.ok, 3) if ops.ok else None,
                converged_ms=None,
                violations={},
            ),
            stopped="broken protocol" if self._anomalies else "done",
            binding=_recorded(command),
            tracebacks=tuple(
                f"{name}, last lines of standard error:\n" + "\n".join(lines) + "\n"
                for name, lines in sorted(self._stderr.items())
                if lines
            ),
        )


def neighbours(nodes: Sequence[str], topology: str) -> dict[str, list[str]]:
    """Say for each node with whom it is connected: in a line, with all, or in a grid that is as square as can be."""
    if topology == "total":
        return {name: [other for other in nodes if other != name] for name in nodes}
    width = 1 if topology == "line" else max(1, round(len(nodes) ** 0.5))
    found = {}
    for place, name in enumerate(nodes):
        beside = [place - width, place + width]
        beside += [place - 1] if place % width else []
        beside += [place + 1] if place % width < width - 1 else []
        found[name] = [nodes[other] for other in sorted(beside) if 0 <= other < len(nodes)]
    return found


def _recorded(command: Sequence[str]) -> RecordedBinding:
    """Name the command, with a digest over those of its words that are files: that is the code, as far as one sees."""
    files = [word for word in command if os.path.isfile(word)]  # Path raises for a word that is too long
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
    return RecordedBinding(codes={DEFAULT_LABEL: RecordedCode(spec=SYSTEM + " ".join(command), digest=digest)})
