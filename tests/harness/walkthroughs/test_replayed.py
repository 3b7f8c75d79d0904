"""A script that goes on from a run: the run until the moment, the real code after it, and a file that is enough."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any

import msgspec
import pytest

from harness.errors import BadInput
from harness.plans.plan import Plan
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, run
from harness.scenarios.language import Script, Step, parse, render
from harness.scenarios.runner import Result, perform
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import System
from harness.walkthroughs.replayed import NS_A_MS, ReplayedWorld, perform_any, script_from


@pytest.fixture(scope="module")
def system() -> System:
    return load_systems(bind("raft_impl", Checkouts()))["default"]


def drawn(system: System, seed: int, profile: str = "swarm", workload: str = "register") -> Plan:
    return Drawing(profile=profile, workload=workload).plan(seed, abilities_of([system]))


def script(plan: Plan, at_ms: int, *commands: str) -> Script:
    begun = script_from(plan, at_ms * NS_A_MS, name="x.txt", title="A run.")
    return msgspec.structs.replace(
        begun, steps=(*begun.steps, *(Step(line=0, words=tuple(command.split())) for command in commands))
    )


def act(system: System, plan: Plan, at_ms: int, *commands: str) -> Result:
    return perform_any(script(plan, at_ms, *commands), system, is_filmed=True)


@pytest.mark.parametrize(("seed", "profile", "at_ms"), [(3, "calm", 2_000), (7, "swarm", 3_000), (5, "crashes", 6_000)])
def test_what_happens_before_the_moment_is_the_run(system: System, seed: int, profile: str, at_ms: int) -> None:
    plan = drawn(system, seed, profile)
    scripted = ReplayedWorld(script(plan, at_ms, "settle"), system)

    perform(script(plan, at_ms, "settle"), system, within=scripted)

    rows = run(plan, bind("raft_impl", Checkouts()), RunOptions(keep_rows=True, explain=False)).rows
    assert rows is not None
    before = scripted.before()
    assert len(before) > 500
    assert before == rows[: len(before)]
    assert rows[len(before)][0] >= at_ms * NS_A_MS


def test_time_stands_still_until_a_command_moves_it(system: System) -> None:
    plan = drawn(system, 3, "calm")

    result = act(system, plan, 2_000, "waiting", "settle", "show", "show")

    assert re.fullmatch(r"2000 ms, \d{4} events: time stands still", result.transcripts[0][0])
    assert re.fullmatch(r"n\d leads", result.transcripts[0][1])
    assert result.transcripts[3] == result.transcripts[4]
    assert result.states[-2].nodes == result.states[-1].nodes


def test_a_person_writes_and_reads_in_the_run(system: System) -> None:
    """Nobody wrote 9001 before; what the run's clients had begun may or may not have happened."""
    plan = drawn(system, 3, "calm")

    result = act(system, plan, 2_000, "settle", "c1 write v 9001", "settle", "c2 read v", "timer n1", "settle")

    assert "c1 write v 9001 -> ok" in result.transcripts[3]
    assert any("c2 read v -> 9001" in line for lines in result.transcripts[4:] for line in lines)
    assert result.verdict.validity == "valid"
    assert result.clients == plan.clients


def test_a_crash_and_a_new_election_in_the_run(system: System) -> None:
    result = act(system, drawn(system, 3, "calm"), 2_000, "settle", "crash n1", "timer n2", "advance * 1s", "settle")
    roles = {node.node: node.role for node in result.states[-1].nodes}

    assert roles["n1"] == "down"
    assert len(result.frames) > 10
    assert result.verdict.validity == "valid"


def test_a_saved_file_is_enough_to_have_it_again(system: System) -> None:
    first = act(system, drawn(system, 7), 3_000, "settle", "mend", "advance * 500ms", "settle", "show")
    text = render(first.script, first.transcripts)

    again = perform_any(parse(text, "saved.txt"), system)

    assert max(map(len, text.splitlines())) < 400
    assert again.reads_as_expected
    assert again.transcripts == first.transcripts
    assert render(again.script, again.transcripts) == text


def test_links_stay_cut_until_they_are_mended(system: System) -> None:
    plan = drawn(system, 7, "partitions")
    cutting = next(fault for fault in plan.faults if fault.kind == "partition")

    result = act(system, plan, (cutting.begin_ns + cutting.end_ns) // 2 // NS_A_MS, "settle", "mend", "settle")

    cut = {frame.step: len(frame.cut) for frame in result.frames}
    assert any(f"partition {cutting.id}" in line and "until `mend`" in line for line in result.transcripts[0])
    assert cut[0] > 0
    assert cut[2] == 0


def packed(plan: bytes) -> str:
    return "> replay until 5ms\n#plan " + base64.b64encode(zlib.compress(plan)).decode() + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "> replay until 5ms\n",
        "> replay until 5ms\n#plan !!\n",
        "> replay until 5ms\n#plan eJw=\n",
        packed(b"{}"),
        packed(b"0" * (40 << 20)),
        "> nodes A B C\n#plan eJw=\n",
        "> replay\n#plan " + packed(b"{}")[27:],
    ],
)
def test_a_file_without_a_plan_that_fits_is_refused(system: System, text: str) -> None:
    with pytest.raises(BadInput):
        perform_any(parse(text, "x.txt"), system)


@pytest.mark.parametrize("words", ["replay", "replay at 5ms", "replay until soon", "replay until 5ms now"])
def test_a_moment_that_is_none_is_refused(system: System, words: str) -> None:
    good = script(drawn(system, 3, "calm"), 5)
    step = msgspec.structs.replace(good.steps[0], words=tuple(words.split()))

    with pytest.raises(BadInput):
        perform_any(msgspec.structs.replace(good, steps=(step,)), system)


def test_a_moment_after_the_end_is_refused(system: System) -> None:
    with pytest.raises(BadInput, match="a moment before its end"):
        act(system, drawn(system, 3, "calm"), 10_000_000)


def test_several_groups_are_refused(system: System) -> None:
    plan = drawn(system, 3, "calm")
    two = msgspec.structs.replace(plan, groups={"g0": plan.groups["g0"], "g1": plan.groups["g0"]})

    with pytest.raises(BadInput, match="a plan of 2 groups"):
        act(system, two, 5)


def test_a_scenario_that_begins_with_nothing_needs_no_plan(system: System) -> None:
    with pytest.raises(BadInput, match="goes on from a run"):
        perform(script(drawn(system, 3, "calm"), 5), system)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_any_moment_of_any_run_can_be_acted_in(system: System, seed: int) -> None:
    """What a person may press: restarts, timers, power failures. The same file gives the same transcript."""
    profile = ("swarm", "partitions", "crashes", "disks", "calm", "membership")[seed % 6]
    workload: Any = ("register", "map", "set", "counter")[seed % 4]
    plan = drawn(system, 1000 + seed, profile, workload)
    at_ms = max(1, plan.phases.heal_ns * (seed + 1) // 26 // NS_A_MS)
    nodes = plan.nodes
    commands = ["settle", "mend", *(f"restart {name}" for name in nodes), f"timer {nodes[0]}", "settle",
                "advance * 500ms", "settle", "c1 read x", "settle", f"crash {nodes[-1]} power", "settle"]  # fmt: skip

    result = act(system, plan, at_ms, *commands)
    again = perform_any(parse(render(result.script, result.transcripts), "x.txt"), system)

    assert again.reads_as_expected
    assert result.verdict.validity in ("valid", "unknown")
