"""Programs of the Maelstrom protocol as one live system among others, under the plans of all."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput
from harness.faults.catalog import AnyFault
from harness.faults.partitions import Partition
from harness.live.live_run import run
from harness.live.systems.catalog import abilities_of_live, live_system, live_system_of
from harness.live.systems.maelstrom import completion
from harness.outcome import Outcome
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from harness.systems.system import Completion
from tests.live.live_plans import KILL_CUT_PAUSE, SECOND_NS, at, routed, small_plan

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "maelstrom"


def spec(program: Path) -> str:
    return f"maelstrom:{shlex.join([sys.executable, str(program)])}"


def ran(program: Path, *faults: AnyFault) -> Outcome:
    """One run of three nodes; each client keeps to the node beside it."""
    with Checkouts() as checkouts:
        system = live_system(spec(program), checkouts)
        plan = small_plan(system, "register", faults, faults_ns=4 * SECOND_NS)
        return run(routed(plan, "home"), system).outcome


def test_a_command_is_a_system_whose_code_are_the_files_that_it_names(tmp_path: Path) -> None:
    program = tmp_path / "store.py"
    program.write_text("one")
    with Checkouts() as checkouts:
        system = live_system(spec(program), checkouts)
        before = system.code
        program.write_text("two")
        after = live_system(spec(program), checkouts).code

    able = abilities_of_live(system, "proxies")
    assert (able.workloads, able.has_leader) == (("register",), False)
    assert {"crash", "pause", "partition"} <= set(able.fault_kinds)
    assert before.is_foreign
    assert before.digest != after.digest
    assert live_system_of(after).code == after


@pytest.mark.parametrize(("command", "said"), [("", "no command"), ("'", "No closing quotation")])
def test_a_command_that_is_none_is_refused(command: str, said: str) -> None:
    with Checkouts() as checkouts, pytest.raises(BadInput, match=said):
        live_system(f"maelstrom:{command}", checkouts)


def test_the_simulated_world_names_both_ways_to_run_it() -> None:
    with Checkouts() as checkouts, pytest.raises(BadInput, match=r"--world live.*foreshock maelstrom"):
        catalog.code("maelstrom:python3 kv.py", checkouts)


@pytest.mark.parametrize(
    ("f", "value", "body", "expected"),
    [
        ("read", None, {"type": "read_ok", "value": 3}, Completion("ok", value=3)),
        ("read", None, {"type": "error", "code": 20}, Completion("ok", value=None)),
        ("write", 4, {"type": "write_ok"}, Completion("ok", value=4)),
        ("cas", [1, 2], {"type": "cas_ok"}, Completion("ok", value=[1, 2])),
        ("cas", [1, 2], {"type": "error", "code": 20}, Completion("fail", error="absent")),
        ("cas", [1, 2], {"type": "error", "code": 22}, Completion("fail", error="precondition-failed")),
        ("write", 4, {"type": "error", "code": 0}, Completion("info", error="timeout")),
        ("write", 4, {"type": "error", "code": 1234}, Completion("info", error="unknown-error")),
    ],
)
def test_what_a_program_answers_is_what_an_operation_comes_to(
    f: str, value: Any, body: dict[str, Any], expected: Completion
) -> None:
    assert completion(f, value, body) == expected


@pytest.mark.parametrize("body", [{"type": "write_ok"}, {"type": "read_ok"}, {"type": "echo_ok", "value": 1}])
def test_another_answer_is_told_as_it_came(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a read was answered with"):
        completion("read", None, body)


@pytest.mark.slow
def test_a_right_program_is_valid_under_kills_pauses_and_partitions() -> None:
    outcome = ran(
        EXAMPLES / "lin_kv_raft.py",
        *KILL_CUT_PAUSE,
    )

    assert outcome.fault_outcomes == {fault.id: "effective" for fault in KILL_CUT_PAUSE}
    assert outcome.verdict.validity == "valid", outcome.verdict


def test_a_program_that_reads_its_own_copy_is_found() -> None:
    cut = Partition(id="cut", shape="one", order=("n1", "n2", "n3"), clients=("c1",), **at(0, 3500))

    outcome = ran(EXAMPLES / "lin_kv_local.py", cut)

    assert outcome.verdict.validity == "invalid", outcome.verdict
    assert outcome.primary is not None
    assert outcome.primary.startswith("linearizability/")


@pytest.mark.parametrize(
    ("text", "said"),
    [("print('hello')", "what is no message"), ("raise SystemExit(3)", "its program ended with 3")],
)
def test_a_program_that_does_not_speak_the_protocol_is_told_with_its_last_words(
    tmp_path: Path, text: str, said: str
) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(text)

    with pytest.raises(BadInput, match=said):
        ran(program)
