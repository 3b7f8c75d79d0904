"""OS processes: one that ended by itself is told of, whoever notices it first, and what is gone is watched no more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from harness.errors import BadInput
from harness.live.guardian import Guardian
from harness.live.supervisor import Launch, Supervisor


def deaths(folder: Path, command: str, *, kills: bool) -> tuple[list[tuple[str, str]], bool]:
    """What is told of a node that runs a command of a shell, and whether it was killed."""
    told: list[tuple[str, str]] = []
    killed = False

    async def run(supervisor: Supervisor) -> None:
        nonlocal killed
        supervisor.on_death = lambda name, how: told.append((name, how))
        async with trio.open_nursery() as nursery:
            supervisor.start("n1", nursery)
            time.sleep(0.3)  # noqa: ASYNC251  # in which it ends, and the task that watches it has no turn
            if kills:
                killed = supervisor.kill("n1")
            await trio.sleep(0.3)
            nursery.cancel_scope.cancel()

    with Supervisor(folder, lambda name: Launch(command=("sh", "-c", command))) as supervisor:
        trio.run(run, supervisor)
    return told, killed


@pytest.mark.parametrize("kills", [False, True], ids=["seen", "killed too late"])
def test_a_node_that_ends_by_itself_is_told_of_once(tmp_path: Path, kills: bool) -> None:
    """A fault may come to kill it before the task that watches it has had its turn: it is a finding all the same."""
    assert deaths(tmp_path, "exit 3", kills=kills) == ([("n1", "exit code 3")], False)


def test_a_node_that_was_killed_is_none_that_ended_by_itself(tmp_path: Path) -> None:
    assert deaths(tmp_path, "sleep 60", kills=True) == ([], True)


def test_nothing_is_told_of_nodes_that_still_run_when_the_run_is_over(tmp_path: Path) -> None:
    assert deaths(tmp_path, "sleep 60", kills=False) == ([], False)


@pytest.mark.parametrize(
    ("word", "said"), [("no-such-program", "No such file or directory"), ("true\0", "embedded null byte")], ids=repr
)
def test_a_program_that_cannot_be_started_gets_one_line(tmp_path: Path, word: str, said: str) -> None:
    async def run(supervisor: Supervisor) -> None:
        async with trio.open_nursery() as nursery:
            supervisor.start("n1", nursery)

    with (
        Supervisor(tmp_path, lambda name: Launch(command=(word,))) as supervisor,
        pytest.raises(BaseExceptionGroup) as refused,
    ):
        trio.run(run, supervisor)

    assert refused.group_contains(BadInput, match=rf"a program that cannot be started \({said}\)")


def test_the_guardian_forgets_what_was_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may have its number by then."""
    forgotten: list[int] = []
    monkeypatch.setattr(Guardian, "forget", lambda guardian, group: forgotten.append(group))

    with Supervisor(tmp_path, lambda name: Launch(command=("true",))) as supervisor:
        held = supervisor.hold(("sleep", "60"))

    assert forgotten == [held]
