"""`foreshock replay` of a live run: how often its plan fails again."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.archive.layout import write_run
from harness.commands.reading import read_run
from harness.commands.replay import command
from harness.commands.run import command as run_command
from harness.faults.packets import Delay, Loss
from harness.faults.partitions import Partition
from harness.live import live_run
from harness.live.live_run import LiveResult
from harness.live.systems.catalog import live_system
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.systems.binding import RecordedBinding, RecordedCode
from harness.systems.checkouts import Checkouts
from tests.harness.cli.conftest import Foreshock
from tests.harness.outcomes import make_outcome
from tests.live.live_plans import MS, SECOND_NS, at, routed, small_plan

LIVE = RecordedBinding(codes={"default": RecordedCode(spec="live:raft_impl", digest="d" * 64)})
STALE = "linearizability/stale-read"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A results folder with one live run that failed."""
    write_run(tmp_path, make_outcome(1, "invalid", STALE, binding=LIVE))
    return tmp_path


def replayed(monkeypatch: pytest.MonkeyPatch, results: Path, outcomes: list[Outcome], *words: str) -> Any:
    """The command, with runs that come to these outcomes one after the other."""
    left = iter(outcomes)
    monkeypatch.setattr(live_run, "run", lambda plan, system, **_: LiveResult(outcome=next(left), logs={"n1": b"said"}))
    return CliRunner().invoke(
        command,
        ["latest", "--results", str(results), "--repeat", str(len(outcomes)), *words],
        standalone_mode=False,
    )


def test_it_says_how_often_the_plan_failed_again_and_keeps_every_run(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [
        make_outcome(1, "valid", binding=LIVE),
        make_outcome(1, "invalid", STALE, binding=LIVE),
        make_outcome(1, "invalid", STALE, binding=LIVE),
    ]

    result = replayed(monkeypatch, stored, outcomes)

    assert result.exception is None, result.exception
    assert result.return_value == 1
    assert "repeated    3 runs: 2 invalid, 1 valid\n" in result.output
    assert f"2 of 3 with {STALE}\n" in result.output
    assert "2 of 3 did so again" in " ".join(result.output.split())
    assert "not deterministic" in result.output
    assert len(list(stored.glob("2*/logs/n1.log"))) == 3


def test_its_document_counts_verdicts_and_signatures(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [make_outcome(1, "valid", binding=LIVE), make_outcome(1, "unknown", binding=LIVE)]

    result = replayed(monkeypatch, stored, outcomes, "--json")
    document = json.loads(result.output)

    assert result.return_value == 2
    assert document["live"] is True
    assert (document["repeated"], document["verdicts"]) == (2, {"valid": 1, "unknown": 1})
    assert (document["failures"], document["before"]) == ({}, STALE)


def test_what_is_about_events_of_a_simulated_run_is_refused(stored: Path) -> None:
    result = CliRunner().invoke(command, ["latest", "--results", str(stored), "--until", "1s"], standalone_mode=False)

    assert "an option about events of a simulated run" in str(result.exception)


def test_a_live_run_is_made_in_the_simulated_world_by_that_word(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Plan] = []

    def run(plan: Plan, binding: Any, options: Any, **_: Any) -> Outcome:
        ran.append(plan)
        return make_outcome(1, "valid")

    monkeypatch.setattr("harness.run.replay.execute", run)
    result = CliRunner().invoke(
        command, ["latest", "--results", str(stored), "--world", "simulated"], standalone_mode=False
    )

    assert result.return_value == 0, result.exception
    assert "nothing to compare with" in result.output
    assert re.search(r"foreshock replay \S+-register-s1-\w+ --world simulated", result.output)
    assert ran[0].links.node.delay_max_ns > 0


def test_several_seeds_run_one_after_another_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def run(plan: Plan, system: Any, *, network: str, may_never_serve: bool) -> LiveResult:
        seeds.append(plan.drawn.seed)
        assert may_never_serve, "one cluster that does not come up is one run of several"
        signatures = [STALE] if plan.drawn.seed == 8 else []
        outcome = make_outcome(plan.drawn.seed, "invalid" if signatures else "valid", *signatures, binding=LIVE)
        return LiveResult(outcome=outcome, logs={})

    monkeypatch.setattr(live_run, "run", run)
    words = ["--world", "live", "--seed", "7", "--count", "3", "--results", str(tmp_path)]
    result = CliRunner().invoke(run_command, words, standalone_mode=False)

    assert result.exception is None, result.exception
    assert (result.return_value, seeds) == (1, [7, 8, 9])
    assert "runs        3 runs: 1 invalid, 2 valid\n" in result.output
    assert f"seed 8      invalid: {STALE}" in result.output


def in_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process had been started once more in a namespace of its own."""
    monkeypatch.setenv("FORESHOCK_IN_NAMESPACE", str(os.getpid()))


def test_a_run_in_namespaces_is_shown_without_the_faults_that_there_are_not(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_namespace(monkeypatch)
    faults = (
        Delay(id="late", targets=(), extra_ns=MS, jitter_ns=MS, **at(0, 100)),
        Loss(id="lost", targets=(), loss_ppm=100_000, **at(200, 100)),
    )
    with Checkouts() as checkouts:
        plan = small_plan(live_system("node", checkouts), "register", faults)
    (tmp_path / "plan.json").write_bytes(plan.to_json())
    networks: list[str] = []

    def run(plan: Plan, system: Any, *, network: str, may_never_serve: bool) -> LiveResult:
        networks.append(network)
        return LiveResult(outcome=make_outcome(1, "invalid", STALE, binding=LIVE), logs={})

    monkeypatch.setattr(live_run, "run", run)
    words = ["--world", "live", "--network", "namespaces", "--plan", str(tmp_path / "plan.json"), "--verbose"]
    result = CliRunner().invoke(run_command, [*words, "--results", str(tmp_path)], standalone_mode=False)

    assert result.exception is None, result.exception
    assert networks == ["namespaces"]
    assert "loss" in result.output.split("verdict")[0]
    assert "delay" not in result.output.split("verdict")[0]
    assert re.search(r"repeat +foreshock replay \S+ --network namespaces --repeat 10", result.output), result.output


def test_a_run_in_namespaces_is_repeated_there_if_that_is_said(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_namespace(monkeypatch)
    networks: list[str] = []

    def run(plan: Plan, system: Any, *, network: str, may_never_serve: bool) -> LiveResult:
        networks.append(network)
        return LiveResult(outcome=make_outcome(1, "valid", binding=LIVE), logs={})

    monkeypatch.setattr(live_run, "run", run)
    (live,) = stored.glob("2*")
    words = [live.name, "--results", str(stored)]
    result = CliRunner().invoke(command, [*words, "--network", "namespaces"], standalone_mode=False)
    CliRunner().invoke(command, words, standalone_mode=False)
    refused = CliRunner().invoke(
        command, [*words, "--network", "namespaces", "--world", "simulated"], standalone_mode=False
    )

    assert networks == ["namespaces", "proxies"]
    assert re.search(r"reproduce +foreshock replay \S+ --network namespaces\n", result.output), result.output
    assert "expected a live run: the simulated world has its own network" in str(refused.exception)


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("foreshock run --world live --seed 9 --duration 60s", {"delay", "bandwidth"}),
        ("foreshock run --world live --network namespaces --seed 9 --duration 60s", set()),
    ],
    ids=["proxies", "namespaces"],
)
def test_the_line_of_a_live_run_gives_its_plan(tmp_path: Path, line: str, kinds: set[str]) -> None:
    found = read_run(line, tmp_path)

    assert {fault.kind for fault in found.plan.faults} & {"delay", "bandwidth"} == kinds
    assert found.spec == "live:raft_impl", "as a record has it"


def test_the_plan_of_the_line_of_a_live_run_runs_in_the_simulated_world(tmp_path: Path) -> None:
    line = "foreshock run --world live --seed 5 --workload register --profile live --system node --duration 1s"

    result = CliRunner().invoke(
        command, [line, "--results", str(tmp_path), "--world", "simulated"], standalone_mode=False
    )

    assert result.exception is None, result.exception
    assert result.return_value == 0


def test_a_number_of_simulated_runs_is_a_suite() -> None:
    result = CliRunner().invoke(run_command, ["--count", "3"], standalone_mode=False)

    assert "foreshock suite --count N" in str(result.exception)


# -- a live failure in the simulated world -----------------------------------------------------------------------------

PLANTED = f"patch:{Path(__file__).parents[3]}/tests/mutants/read-by-any-replica.patch"
STALE_READ = "linearizability/nonlinearizable/cas-register/read"


def live_failure(folder: Path, spec: str) -> None:
    """Store a live run of a plan whose partition cuts off a node with the client that asks it."""
    cut = Partition(id="cut", shape="one", order=("n1", "n2", "n3"), clients=("c1",), **at(0, 5500))
    with Checkouts() as checkouts:
        options = {"election_timeout_ms": "600", "client_timeout_ms": "1000", "reads": "quorum"}
        plan = small_plan(live_system("node", checkouts), "register", [cut], faults_ns=6 * SECOND_NS, **options)
    binding = RecordedBinding(codes={"default": RecordedCode(spec=f"live:{spec}", digest="d" * 64)})
    write_run(folder, make_outcome(1, "invalid", STALE_READ, binding=binding, plan=routed(plan, "home")))


def test_a_live_failure_becomes_a_simulated_run_that_is_kept_and_replays(
    foreshock: Foreshock, results: Path, tmp_path: Path
) -> None:
    results.mkdir()
    live_failure(results, PLANTED)

    found = foreshock("replay", "latest", "--world", "simulated", "--schedules", "5")

    assert found.code == 1, found.err
    assert f"live the stored run failed with {STALE_READ}" in " ".join(found.out.split())
    assert "schedules   1 tried; this one fails alike\n" in found.out
    run = found.out.split("shrink      foreshock shrink ")[1].split()[0]
    again = foreshock("replay", run, "--require-identical")
    assert again.code == 1, "the same run, and so the same verdict"
    assert "identical   yes" in again.out


def test_schedules_are_tried_until_one_fails_as_the_live_run_did(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    signatures: list[tuple[str, ...]] = [(), ("liveness/no-leader",), (), (STALE,), ("liveness/no-leader",)]

    def run(plan: Plan, binding: Any, options: Any) -> Outcome:
        seeds.append(plan.schedule.seed)
        found = signatures[len(seeds) - 1]
        return make_outcome(1, "invalid" if found else "valid", *found)

    monkeypatch.setattr("harness.run.execution.execute", run)
    (live,) = stored.glob("2*")
    words = [live.name, "--results", str(stored), "--world", "simulated", "--json", "--schedules"]
    alike = CliRunner().invoke(command, [*words, "5"], standalone_mode=False)
    assert alike.exception is None, alike.exception
    document = json.loads(alike.output)
    seeds.clear()
    otherwise = CliRunner().invoke(command, [*words, "3"], standalone_mode=False)
    assert otherwise.exception is None, otherwise.exception
    other = json.loads(otherwise.output)

    assert (document["tried"], document["alike"], document["primary"]) == (4, True, STALE)
    assert (other["tried"], other["alike"], other["primary"]) == (3, False, "liveness/no-leader")
    assert seeds == list(range(seeds[0], seeds[0] + 3))


def test_a_live_run_of_another_system_is_not_simulated_with_ours_unless_that_is_said(tmp_path: Path) -> None:
    live_failure(tmp_path, "etcd")
    words = ["latest", "--results", str(tmp_path), "--world", "simulated"]

    refused = CliRunner().invoke(command, words, standalone_mode=False)
    asked = CliRunner().invoke(command, [*words, "--system", "raft_impl"], standalone_mode=False)

    assert "a live run of etcd; expected a system that both worlds have" in str(refused.exception)
    assert asked.return_value == 0, asked.output


def test_a_live_run_of_processes_of_a_file_is_not_simulated(tmp_path: Path) -> None:
    live_failure(tmp_path, "live_store.py:Store")

    refused = CliRunner().invoke(
        command, ["latest", "--results", str(tmp_path), "--world", "simulated"], standalone_mode=False
    )

    assert "a live run of live_store.py:Store; expected a system that both worlds have" in str(refused.exception)


def test_schedules_are_for_live_runs(tmp_path: Path) -> None:
    write_run(tmp_path, make_outcome(1, "invalid", STALE))

    result = CliRunner().invoke(
        command, ["latest", "--results", str(tmp_path), "--schedules", "2"], standalone_mode=False
    )

    assert "--schedules of a simulated run" in str(result.exception)
