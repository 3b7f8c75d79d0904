"""`foreshock suite --world live`, as far as it starts nothing: what it refuses, and what its seeds mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.suite import command
from harness.live.systems.catalog import abilities_of_live, live_system
from harness.search import campaign as campaigns
from harness.search import suites
from harness.systems.checkouts import Checkouts
from tests.harness.cli.conftest import Foreshock

LIVE = ("suite", "--world", "live")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--shrink", "1m"), "--shrink"),
        (("--distribution", "stock"), "--distribution"),
        (("--record-distribution", "new.json"), "--record-distribution"),
        (("--stop-at-first",), "--stop-at-first"),
        (("--scheduler", "tcp://127.0.0.1:1"), "--scheduler"),
        (("--search", "guided"), "--search guided"),
        (("nightly",), "canaries in the suite"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_needs_runs_that_are_alike_is_refused(foreshock: Foreshock, words: tuple[str, ...], found: str) -> None:
    ran = foreshock(*LIVE, *words)

    assert ran.code == 254
    expected = "nothing of that: no two live runs are alike; foreshock suite --world live"
    assert ran.err == f"error: found {found}; expected {expected}\n"


def test_a_cell_that_a_system_cannot_run_is_refused_before_the_first_run(foreshock: Foreshock, results: Path) -> None:
    ran = foreshock(*LIVE, "--workload", "orders")

    assert (ran.code, ran.err.count("\n")) == (254, 1)
    assert "workload 'orders'" in ran.err
    assert "no campaign" in foreshock("suite", "--resume", "latest").err


@pytest.mark.parametrize("option", [("--shrink", "1m"), ("--distribution", "stock"), ("--stop-at-first",)])
def test_what_needs_runs_that_are_alike_is_refused_of_a_resumed_suite_too(
    foreshock: Foreshock, option: tuple[str, ...]
) -> None:
    campaign = foreshock(*LIVE, "--time-budget", "1ns", "--json").json["campaign"]

    ran = foreshock("suite", "--resume", campaign, "--time-budget", "1ns", *option)

    assert (ran.code, ran.err.count("\n")) == (254, 1)
    assert ran.err.startswith(f"error: found {option[0]}; expected nothing of that: no two live runs are alike")


def test_a_live_suite_cannot_be_resumed_in_another_world(foreshock: Foreshock) -> None:
    ran = foreshock(*LIVE, "--resume", "latest")

    assert (ran.code, "--resume beside options of the campaign" in ran.err) == (254, True)


def test_runs_in_namespaces_share_a_bridge_so_a_campaign_of_them_is_not_resumed_with_several_jobs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is that of the campaign: beside --resume none is typed."""
    monkeypatch.setenv("FORESHOCK_IN_NAMESPACE", str(os.getpid()))
    begun = ("--count", "4", "--time-budget", "1us", "--results", str(results))
    CliRunner().invoke(command, ["--world", "live", "--network", "namespaces", *begun], standalone_mode=False)

    resumed = ["--resume", "latest", "--time-budget", "1us", "--results", str(results)]
    refused = CliRunner().invoke(command, [*resumed, "--jobs", "2"], standalone_mode=False)
    alone = CliRunner().invoke(command, [*resumed, "--jobs", "1"], standalone_mode=False)

    expected = "found --jobs 2; expected one run at a time: they would share a bridge; in --network namespaces"
    assert str(refused.exception) == expected
    assert (alone.exception, alone.return_value) == (None, 2), "no seed was run"


@pytest.mark.parametrize(
    "words",
    [("run", "--seed", "1"), ("suite", "--count", "1"), ("replay", "foreshock run --seed 1")],
    ids=lambda words: words[0],
)
def test_the_simulated_world_has_no_namespaces(foreshock: Foreshock, words: tuple[str, ...]) -> None:
    ran = foreshock(*words, "--network", "namespaces")

    assert ran.code == 254
    expected = "expected a live run: the simulated world has its own network"
    assert ran.err == f"error: found --network namespaces; {expected}; --world simulated\n"


def test_seeds_of_the_live_suite_are_plans_of_the_live_profile_and_say_how_to_have_them_again() -> None:
    from harness.run.drawing import Drawing

    with Checkouts() as checkouts:
        able = abilities_of_live(live_system("node", checkouts), "proxies")
    drawing = Drawing(world="live", system="node", profile="live")
    suite = campaigns.override(suites.load(suites.LIVE, world="live"), drawing, [])

    plans = [cell.plan(1, able) for cell in suite.cells]

    assert [plan.drawn.workload for plan in plans] == ["register", "counter", "set", "list-append"]
    assert {plan.drawn.profile for plan in plans} == {"live"}
    expected = "foreshock run --world live --seed 1 --workload counter --profile live --system node"
    assert suite.command(1) == expected


@pytest.mark.parametrize("words", [("etcd", "main"), ("main", "pysyncobj"), ("live:raft_impl", "main")], ids=" ".join)
def test_live_systems_are_not_compared(foreshock: Foreshock, words: tuple[str, str]) -> None:
    ran = foreshock("compare", *words)

    assert (ran.code, ran.err.count("\n")) == (254, 1)
    assert "which runs live; expected versions of raft_impl" in ran.err
    assert "`foreshock suite --world live --baseline`" in ran.err
