"""The interpreter keeps the history's rules: what is recorded, when, and under which process."""

from __future__ import annotations

from typing import Any

import pytest

from checkers import History
from harness.faults.crashes import Crash
from harness.systems.system import Completion
from tests.harness.run.scripted import HANG, ScriptedSystem, history, op, plan, run
from tests.harness.sim.toy import MS

FAIL = Completion("fail", error="not-leader")
INFO = Completion("info", error="timeout")


def kill(begin_ms: float, end_ms: float, *clients: str) -> Crash:
    return Crash(
        id=f"k{begin_ms}", begin_ns=round(begin_ms * MS), end_ns=round(end_ms * MS), targets=clients or ("c1",)
    )


def test_an_op_starts_when_it_is_due_or_when_the_one_before_has_ended() -> None:
    simulation = run(plan(op(100, "write", 1), op(105, "write", 2), op(200, "write", 3)), ScriptedSystem())

    assert history(simulation) == [
        (110, 0, "invoke", "write", 1, None),  # opening the session took 10 ms
        (120, 0, "ok", "write", 1, None),
        (120, 0, "invoke", "write", 2, None),
        (130, 0, "ok", "write", 2, None),
        (200, 0, "invoke", "write", 3, None),
        (210, 0, "ok", "write", 3, None),
    ]


@pytest.mark.parametrize(
    ("answer", "process", "sessions"),
    [
        (Completion("ok", 1), 0, 1),
        (FAIL, 0, 1),
        (Completion("fail", error="precondition-failed"), 0, 1),
        (Completion("fail", error="no-session"), 0, 1),
        (INFO, 3, 2),
    ],
)
def test_info_retires_the_process_and_its_session(answer: Completion, process: int, sessions: int) -> None:
    system = ScriptedSystem([answer])

    simulation = run(plan(op(100, "write", 1), op(200, "write", 2), threads=3), system)

    lines = history(simulation)
    assert lines[1] == (120, 0, answer.type, "write", 1, answer.error)
    assert [line[1] for line in lines[2:]] == [process, process]
    assert len(system.opened) == sessions


def test_what_came_back_is_the_value_of_an_ok_and_what_was_asked_that_of_anything_else() -> None:
    answers = [Completion("ok", 7), Completion("fail", value=9, error="not-leader"), Completion("info", 9, "timeout")]

    simulation = run(plan(op(100, "read"), op(200, "cas", [7, 8]), op(300, "cas", [7, 8])), ScriptedSystem(answers))

    assert [line[4] for line in history(simulation) if line[2] != "invoke"] == [7, [7, 8], [7, 8]]


def test_a_session_that_cannot_be_opened_fails_the_op_and_the_next_op_tries_again() -> None:
    system = ScriptedSystem(refusals=["no-client"])

    simulation = run(plan(op(100, "write", 1), op(200, "write", 2)), system)

    assert [line[1:] for line in history(simulation)] == [
        (0, "invoke", "write", 1, None),
        (0, "fail", "write", 1, "no-client"),
        (0, "invoke", "write", 2, None),
        (0, "ok", "write", 2, None),
    ]
    assert system.asked == [("write", "x", 2)]
    assert len(system.opened) == 2


# -- killed clients -------------------------------------------------------------------------------------------------


def test_the_op_of_a_killed_client_is_info_at_the_instant_of_the_kill() -> None:
    system = ScriptedSystem([HANG])

    simulation = run(plan(op(100, "write", 1), op(200, "write", 2), faults=(kill(150, 180),), threads=2), system)

    assert history(simulation) == [
        (110, 0, "invoke", "write", 1, None),
        (150, 0, "info", "write", 1, "client-killed"),
        (210, 2, "invoke", "write", 2, None),
        (220, 2, "ok", "write", 2, None),
    ]
    assert system.opened == [110, 210]


def test_a_client_killed_between_two_ops_only_loses_its_session() -> None:
    system = ScriptedSystem()

    simulation = run(plan(op(100, "write", 1), op(200, "write", 2), faults=(kill(150, 180),)), system)

    assert [line[1] for line in history(simulation)] == [0, 0, 0, 0]
    assert len(system.opened) == 2


def test_an_op_whose_session_was_being_opened_when_the_client_died_was_never_invoked_and_is_done_later() -> None:
    simulation = run(plan(op(100, "write", 1), faults=(kill(105, 180),)), ScriptedSystem())

    assert history(simulation) == [(190, 0, "invoke", "write", 1, None), (200, 0, "ok", "write", 1, None)]


def test_ops_that_were_due_while_the_client_was_dead_are_done_late() -> None:
    simulation = run(plan(op(100, "write", 1), op(120, "write", 2), faults=(kill(50, 300),)), ScriptedSystem())

    assert [line[0] for line in history(simulation)] == [310, 320, 320, 330]


def test_a_client_killed_again_and_again_leaves_one_info_a_kill() -> None:
    system = ScriptedSystem([HANG] * 3)
    kills = tuple(kill(begin, begin + 20) for begin in (150, 250, 350))

    simulation = run(plan(*(op(100 + n, "write", n) for n in range(4)), faults=kills), system)

    completions = [line for line in history(simulation) if line[2] != "invoke"]
    assert [(line[0], line[1], line[2]) for line in completions] == [
        (150, 0, "info"),
        (250, 1, "info"),
        (350, 2, "info"),
        (390, 3, "ok"),
    ]
    History(tuple(simulation.world.recorder.history))  # well-formed, or it raises


# -- values that depend on results ----------------------------------------------------------------------------------


def test_last_read_stands_for_what_this_thread_last_read_of_that_key() -> None:
    answers = [Completion("ok", 5), Completion("info", 6, "timeout"), Completion("ok", 7), Completion("ok")]
    reads = [op(100, "read"), op(200, "read"), op(300, "read", key="y")]
    system = ScriptedSystem(answers)

    run(plan(*reads, op(400, "cas", [{"last-read": "x"}, 9]), op(500, "cas", [{"last-read": "y"}, 9])), system)

    assert system.asked[3:] == [("cas", "x", [5, 9]), ("cas", "x", [7, 9])]


def test_last_read_is_null_before_the_first_read() -> None:
    system = ScriptedSystem()

    run(plan(op(100, "cas", [{"last-read": "x"}, 9])), system)

    assert system.asked == [("cas", "x", [None, 9])]


# -- after the heal -------------------------------------------------------------------------------------------------


def test_the_recovery_op_is_repeated_with_fresh_values_until_it_is_ok_and_then_each_final_read() -> None:
    answers = [FAIL, INFO, Completion("ok", 72), FAIL, Completion("ok", 1), Completion("ok", 2)]
    final = (op(0, "read", key="x"), op(0, "read", key="y"))

    simulation = run(plan(recovery=op(0, "write", {"fresh": 70}), final=final), ScriptedSystem(answers))

    assert [line[:5] for line in history(simulation) if line[2] != "invoke"] == [
        (1_020, 0, "fail", "write", 70),
        (1_080, 0, "info", "write", 71),  # 50 ms after the failure
        (1_150, 1, "ok", "write", 72),  # and a new session
        (1_160, 1, "fail", "read", None),
        (1_220, 1, "ok", "read", 1),
        (1_230, 1, "ok", "read", 2),
    ]
    assert simulation.threads[0].done
    assert simulation.judge().recovery_ms == 150


def test_a_client_killed_during_its_final_reads_reads_again() -> None:
    system = ScriptedSystem([Completion("ok"), HANG])
    faults = (Crash(id="k", begin_ns=1_050 * MS, end_ns=1_100 * MS, targets=("c1",)),)

    simulation = run(plan(recovery=op(0, "write", 1), final=(op(0, "read"),), faults=faults), system)

    assert [(line[0], line[1], line[2]) for line in history(simulation) if line[3] == "read"] == [
        (1_020, 0, "invoke"),
        (1_050, 0, "info"),
        (1_110, 1, "invoke"),
        (1_120, 1, "ok"),
    ]


def test_at_the_heal_a_late_program_drops_its_backlog() -> None:
    """What is asked after the heal is what the recovery is judged by: not what waited while nobody could answer."""
    late = (op(985, "write", 1), op(990, "write", 2), op(995, "write", 3), op(1_500, "write", 4))

    simulation = run(plan(*late, recovery=op(0, "write", 5)), ScriptedSystem())

    assert [line[4] for line in history(simulation) if line[2] == "ok"] == [1, 4, 5]  # 4 is due after the heal


def test_a_no_of_the_machine_is_an_answer_and_is_not_asked_for_again() -> None:
    system = ScriptedSystem([Completion("fail", error="not-leader"), Completion("fail", error="held")])

    simulation = run(plan(recovery=op(0, "acquire")), system)

    assert [line[5] for line in history(simulation) if line[2] == "fail"] == ["not-leader", "held"]
    assert simulation.threads[0].recovered


def test_a_client_that_could_not_be_served_is_kept() -> None:
    """What it learnt, such as which server is silent, would be lost with it; a new session it opens by itself."""
    answers = [Completion("fail", error="no-client"), Completion("fail", error="no-session")]

    system = ScriptedSystem(answers)
    run(plan(op(100, "write", 1), op(200, "write", 2), op(300, "write", 3)), system)

    assert system.opened == [110]


def test_a_thread_outside_the_core_ends_with_its_program() -> None:
    planned = plan(
        op(100, "write", 1), recovery=op(0, "write", 2), final=(op(0, "read"),), healed=("n1", "c2"), threads=2
    )

    simulation = run(planned, ScriptedSystem())

    by_process: dict[Any, list[str]] = {}
    for _, process, kind, function, _, _ in history(simulation):
        by_process.setdefault(process, []).append(f"{kind} {function}")
    assert by_process == {
        0: ["invoke write", "ok write"],
        1: ["invoke write", "ok write", "invoke read", "ok read"],
    }
    assert simulation.world.kernel.why == "done"
