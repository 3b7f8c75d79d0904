"""Answers that are none: judged as the system's own, in every workload, and never an end of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from checkers.models import MODELS
from checkers.values import freeze
from harness.plans.plan import PlannedOp
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import Simulation
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import Completion
from tests.harness.run.scripted import ScriptedClient, ScriptedSystem, history, op, plan, run
from tests.harness.sim import toy
from workloads.catalog import WORKLOADS


def of_model(model: str, *ops: PlannedOp) -> Any:
    drawn = plan(*ops)
    return msgspec.structs.replace(drawn, check=msgspec.structs.replace(drawn.check, model=model))


def signatures(simulation: Simulation) -> list[str]:
    return [anomaly.signature for anomaly in simulation.judge().anomalies]


ASKED = {"txn": [["append", "x", 1]], "order": [1, ["g0", "g1"]], "cas": [1, 2], "replace": [1, 2]}
READS = ("read", "size", "dequeue", "remove", "release")


def asked(f: str) -> Any:
    return ASKED.get(f, None if f in READS else 1)


NO_ANSWERS = ({}, [], None, "what", 7, [[1]])
NO_JSON = (b"bytes", object(), {1}, float("nan"), 1 << 70, [{"a": (1, b"")}])


@pytest.mark.parametrize("workload", sorted(WORKLOADS))
def test_every_function_of_every_workload_may_be_answered_with_anything(workload: str) -> None:
    work = WORKLOADS[workload]
    functions = MODELS[work.model].functions
    for f in work.functions:
        ops = [op(100 + 50 * n, f, asked(f), number=n) for n in range(len(NO_ANSWERS + NO_JSON))]
        system = ScriptedSystem([Completion("ok", told) for told in NO_ANSWERS + NO_JSON])

        outcome = run(of_model(work.model, *ops), system).judge()

        fits = functions[f].result.fits
        least = len(NO_JSON) + sum(not fits(freeze(told)) for told in NO_ANSWERS)
        assert sum(line.error == "malformed-reply" for line in outcome.history) >= least
        found = {anomaly.signature: anomaly for anomaly in outcome.anomalies}
        assert found[f"client/malformed-reply/{f}"].evidence["times"] >= least
        assert all(name.startswith(("client/malformed-reply/", "linearizability/")) for name in found)
        assert "0x" not in found[f"client/malformed-reply/{f}"].message


LISTS = '[["r", key, a list or null] or ["append", key, element], ...]'


@pytest.mark.parametrize(
    ("model", "f", "value", "told", "expected"),
    [
        ("counter", "add-and-get", 3, None, "[delta, value], integers"),
        ("counter", "add-and-get", 3, [4, 9], "an answer to what was asked"),
        ("counter", "read", None, "7", "an integer"),
        ("cas-register", "write", 1, 2, "an answer to what was asked"),
        ("cas-register", "read", None, {1, 2}, "a value of JSON"),
        ("list-append", "txn", [["append", "x", 1]], None, LISTS),
        ("list-append", "txn", [["r", "x", None]], [["r", "x", 1]], LISTS),
        ("list-append", "txn", [["r", "x", None]], [["r", "y", [1]]], "an answer to what was asked"),
    ],
)
def test_an_answer_that_is_none_leaves_the_outcome_unknown(
    model: str, f: str, value: Any, told: Any, expected: str
) -> None:
    system = ScriptedSystem([Completion("ok", told), Completion("ok", told)])

    simulation = run(of_model(model, op(100, f, value), op(300, f, value)), system)
    outcome = simulation.judge()

    (anomaly,) = outcome.anomalies
    assert anomaly.signature == f"client/malformed-reply/{f}" == outcome.primary
    assert anomaly.message.endswith(f"expected {expected}")
    assert anomaly.evidence == {"times": 2}
    lines = history(simulation)
    assert [line[2] for line in lines] == ["invoke", "info", "invoke", "info"]
    assert [line[5] for line in lines if line[2] == "info"] == ["malformed-reply"] * 2
    assert [line[1] for line in lines] == [0, 0, 1, 1]
    assert anomaly.index == outcome.history[1].index


def test_right_answers_are_left_alone() -> None:
    answers = [Completion("ok", [3, 3]), Completion("ok", 3), Completion("fail", error="timeout"), Completion("info")]
    ops = (op(100, "add-and-get", 3), op(200, "read"), op(300, "add", 1), op(400, "add", 1))

    outcome = run(of_model("counter", *ops), ScriptedSystem(answers)).judge()

    assert outcome.anomalies == ()
    assert outcome.verdict.validity != "invalid"
    assert [line.value for line in outcome.history if line.type == "ok"] == [[3, 3], 3]


class Client(toy.ToyClient):
    """Raises after it was answered, or before it asks."""

    asks_first = True

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        if self.asks_first:
            await super().invoke(f, key, value)
        raise KeyError(f)


class Raising(toy.ToySystem):
    """Its client raises."""

    def __init__(self, *, asks_first: bool) -> None:
        self.asks_first = asks_first

    def client(self, env: Any, actor: Any, group: str, servers: Any, options: Any) -> Any:
        client = Client(env, servers[0])
        client.asks_first = self.asks_first
        return client


def test_a_client_that_raises_over_what_it_received_is_a_violation() -> None:
    outcome = toy.simulate(toy.plan(nodes=1, threads=2, ops=6), system=Raising(asks_first=True)).judge()

    (anomaly,) = outcome.anomalies
    assert anomaly.signature == "client/exception/KeyError" == outcome.primary
    assert anomaly.evidence["times"] > 1
    assert {line.error for line in outcome.history if line.type != "invoke"} == {"client-raised"}
    assert outcome.tracebacks[0].splitlines()[-1].startswith("KeyError: ")


def test_a_client_that_raises_without_having_received_anything_ends_the_run() -> None:
    with pytest.raises(KeyError):
        toy.simulate(toy.plan(nodes=1, threads=2, ops=6), system=Raising(asks_first=False))


class Opening(ScriptedClient):
    """Its session cannot be opened for what the server said."""

    async def open(self) -> str | None:
        self.env.heard += 1
        raise TypeError("of the session")


def test_a_client_that_raises_when_it_opens_its_session_has_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def client(self: ScriptedSystem, env: Any, actor: Any, group: str, servers: Any, options: Any) -> Any:
        return Opening(env, self)

    monkeypatch.setattr(ScriptedSystem, "client", client)

    simulation = run(plan(op(100, "write", 1)), ScriptedSystem())

    assert history(simulation)[1][2:] == ("fail", "write", 1, "client-raised")
    assert signatures(simulation) == ["client/exception/TypeError"]


def test_a_planted_bug_that_answers_with_the_wrong_shape_is_a_violation() -> None:
    """Commands are answered with nothing when a leader steps down; add-and-get is to be answered with the sum."""
    system = f"patch:{Path(__file__).parents[2] / 'mutants' / 'ack-by-term-at-step-down.patch'}"
    with Checkouts() as checkouts:
        binding = bind(system, checkouts)
        plan = Drawing(workload="counter").plan(3, abilities_of(load_systems(binding).values()))

        outcome = execute(plan, binding)

    assert outcome.verdict.validity == "invalid"
    assert outcome.primary == "client/malformed-reply/add-and-get"


def test_who_answered_a_read_is_judged() -> None:
    """In a run of our Raft leaders answer nearly all reads, and nobody reads from a deposed one."""
    with Checkouts() as checkouts:
        systems = load_systems(bind("raft_impl", checkouts))
        drawn = Drawing(profile="calm", nodes=3, duration_ns=1_000_000_000).plan(1, abilities_of(systems.values()))
        simulation = Simulation(drawn, systems)
        simulation.run()

    reads = sum(line.type == "ok" and line.f == "read" for line in simulation.world.recorder.history)
    assert reads // 2 < simulation.replies.judged_reads <= reads
    assert simulation.replies.reads.anomalies == []
