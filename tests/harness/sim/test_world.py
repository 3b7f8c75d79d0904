"""The world: incarnations of actors, what a crash leaves of them, and runs that depend on their plan alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from checkers.op import Op
from harness.faults.crashes import Crash
from harness.plans.plan import LinkSpec, Plan, PlannedOp, Program, Schedule
from harness.run.runner import RunOptions
from harness.sim.kernel.fingerprint import Row
from harness.sim.world import MARKS
from harness.systems.system import Refusal
from tests.harness.sim import chaos, toy
from tests.harness.sim.scripted_world import ScriptedWorld
from tests.harness.sim.toy import MS


def rows_of(simulation: toy.ToySimulation, *kinds: str) -> list[Row]:
    return [row for row in simulation.world.log.kept if row[1] in kinds]


# -- incarnations --------------------------------------------------------------------------------------------------


class Bug(Exception):
    """What a test breaks on purpose."""


def test_a_bug_in_a_clients_program_is_an_error_of_the_harness() -> None:
    async def program(env: Any) -> None:
        await env.until(50 * MS)
        raise Bug("in the interpreter")

    scripted = ScriptedWorld(c1=program)

    with pytest.raises(Bug, match="in the interpreter"):
        scripted.play(until_ms=500)
    assert scripted.now_ms == 50


class RefusingServer(toy.ToyServer):
    async def start(self) -> None:
        await super().start()
        if self.value != b"null":
            raise Refusal("corrupt")


class Refusing(toy.ToySystem):
    """Refuses to start on a disk that holds anything."""

    def server(self, env: Any, actor: Any, groups: Any, options: Any) -> toy.ToyServer:
        return RefusingServer(env, (), options)


def test_a_replica_that_refuses_to_start_stays_down() -> None:
    crashes = tuple(
        Crash(id=f"f{n}", begin_ns=begin * MS, end_ns=(begin + 50) * MS, targets=("n1",), power=False)
        for n, begin in enumerate((500, 800))
    )

    simulation = toy.simulate(toy.plan(faults=crashes), system=Refusing())

    seen = [(row[1], row[2], row[-1]) for row in rows_of(simulation, "start", "crash", "refuse") if row[2] == "n1"]
    assert seen == [
        ("start", "n1", "default"),
        ("crash", "n1", "kill"),
        ("start", "n1", "default"),
        ("refuse", "n1", "corrupt"),
    ]
    assert simulation.world.nemesis.finish() == {"f0": "effective", "f1": "no-target"}
    (anomaly,) = simulation.judge().verdict.anomalies
    assert anomaly.signature == "node/refused/corrupt", "no fault can have damaged its disk"


def test_a_crash_may_restart_another_version() -> None:
    crash = Crash(id="f1", begin_ns=500 * MS, end_ns=600 * MS, targets=("n1",), code="B")
    systems: dict[str, Any] = {"default": toy.ToySystem(), "B": toy.ToySystem()}
    simulation = toy.ToySimulation(toy.plan(faults=(crash,)), systems, RunOptions(keep_rows=True))
    simulation.run()
    simulation.world.log.close()

    assert [row[4] for row in rows_of(simulation, "start") if row[2] == "n1"] == ["default", "B"]


def writes(*, power: bool) -> list[int | None]:
    """Run with many crashes of the server, and give what the final read saw and what was acknowledged last."""
    crashes = tuple(
        Crash(
            id=f"f{n}",
            begin_ns=(200 + 150 * n) * MS,
            end_ns=(230 + 150 * n) * MS,
            targets=("n1",),
            aim="write",
            power=power,
        )
        for n in range(10)
    )
    simulation = toy.simulate(toy.plan(nodes=1, threads=1, faults=crashes))
    history = simulation.world.recorder.history
    assert simulation.judge().verdict.validity == "valid"
    lost = [row for row in rows_of(simulation, "mark") if row[3] == MARKS[0]]
    return [len([op for op in history if op.type == "info"]), len(lost)]


def test_a_kill_keeps_what_was_written_and_a_power_loss_loses_what_was_not_synced() -> None:
    (killed, lost_by_kill), (cut, lost_by_power) = writes(power=False), writes(power=True)

    assert killed
    assert cut
    assert lost_by_kill == 0
    assert lost_by_power


def test_a_whole_cluster_loses_power_and_comes_back_in_one_instant() -> None:
    actors = ("n1", "n2", "n3", "c1", "c2", "c3")
    crash = Crash(id="f1", begin_ns=500 * MS, end_ns=500 * MS, targets=actors)

    simulation = toy.simulate(toy.plan(faults=(crash,)))

    assert [row[2] for row in rows_of(simulation, "crash")] == list(actors)
    assert [row[2] for row in rows_of(simulation, "start")] == [*sorted(actors), *actors]
    outcome = simulation.judge()
    assert outcome.verdict.validity == "valid"
    assert outcome.ops.ok > 100


# -- one index for history and trace --------------------------------------------------------------------------------


def test_history_and_trace_share_one_index_and_one_clock() -> None:
    simulation = toy.simulate(chaos.plan(3))
    history, rows = simulation.world.recorder.history, simulation.world.log.kept

    in_trace = [index for index, row in enumerate(rows) if row[1] == "op"]

    assert [op.index for op in history] == in_trace
    for op in history:
        assert rows[op.index] == (op.time, "op", "", (op.process, op.type, op.f, op.key, op.value, op.error))
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


# -- a run is a function of its plan --------------------------------------------------------------------------------


def test_a_run_is_the_same_after_any_other_runs() -> None:
    alone = {seed: toy.simulate(chaos.plan(seed)).world.log.close() for seed in range(8)}

    shuffled = {seed: toy.simulate(chaos.plan(seed)).world.log.close() for seed in (3, 7, 0, 5, 1, 6, 2, 4)}

    assert shuffled == alone
    assert len(set(alone.values())) == 8


def history_of(plan: Plan) -> list[Op]:
    return toy.simulate(plan).world.recorder.history


def test_policies_give_different_histories_for_one_quantised_plan() -> None:
    """The schedule is explored in the heap: events of one instant run in the order that the policy draws."""

    def scheduled(policy: Any, quantum_ns: int) -> list[tuple[Any, ...]]:
        schedule = Schedule(seed=1, policy=policy, quantum_ns=quantum_ns)
        ops = history_of(toy.plan(threads=6, schedule=schedule))
        return [(op.time, op.process, op.type) for op in ops]

    policies = ("fifo", "random", "pct")
    assert len({tuple(scheduled(policy, 5 * MS)) for policy in policies}) == 3
    assert len({tuple(scheduled(policy, 0)) for policy in policies}) == 1  # no two events share a nanosecond


def test_another_seed_of_the_schedule_is_another_run() -> None:
    plans = [toy.plan(schedule=Schedule(seed=seed)) for seed in (1, 2)]

    assert history_of(plans[0]) != history_of(plans[1])


def test_removing_an_op_leaves_everything_that_it_did_not_cause() -> None:
    """Draws are keyed, not sequential: gossip, and the ops of other clients, go on exactly as they did."""
    whole = toy.plan(links=LINKS)
    reads = msgspec.structs.replace(whole, programs=tuple(only_reads(program) for program in whole.programs))
    first = reads.programs[0]
    shorter = msgspec.structs.replace(first, ops=first.ops[:5] + first.ops[6:])
    without = msgspec.structs.replace(reads, programs=(shorter, *reads.programs[1:]))

    def of_others(plan: Plan) -> list[tuple[Any, ...]]:
        simulation = toy.simulate(plan)
        ops = [op for op in simulation.world.recorder.history if int(op.process) % 3]  # thread 0 is 0, 3, 6, ...
        gossip = [(row[0], row[2], row[4]) for row in rows_of(simulation, "send") if row[5] == "gossip"]
        lines = [*[(op.time, op.process, op.type, op.value) for op in ops], *gossip]
        return [line for line in lines if line[0] < plan.phases.heal_ns]

    assert of_others(without) == of_others(reads)
    assert history_of(without) != history_of(reads)


LINKS = LinkSpec(delay_min_ns=MS, delay_max_ns=5 * MS, loss_ppm=50_000)


def only_reads(program: Program) -> Program:
    ops = tuple(PlannedOp(id=op.id, due_ns=op.due_ns, f="read", key=op.key) for op in program.ops)
    return msgspec.structs.replace(program, ops=ops)
