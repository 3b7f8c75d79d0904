"""Clients of a live run can be killed and started again at once; each incarnation has a session of its own."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from harness.live.clients import ClientTask
from harness.live.timetable import Timetable
from harness.systems.system import Completion


class Session:
    """Notes when it is closed; it answers when it is told to."""

    def __init__(self) -> None:
        self.is_closed = False
        self.answer = trio.Event()

    async def open(self) -> None:
        pass

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        await self.answer.wait()
        return Completion("ok")

    def close(self) -> None:
        self.is_closed = True


class Program:
    """Opens a session and asks once."""

    def __init__(self, task: ClientTask, sessions: list[Session]) -> None:
        self.kills = 0
        self.answers: list[Completion] = []
        self._open = task.opening(lambda nursery: sessions[-1])  # type: ignore[arg-type, return-value]
        self._sessions = sessions

    def on_crash(self) -> None:
        self.kills += 1

    async def entrypoint(self, environment: Any) -> None:
        self._sessions.append(Session())
        self.answers.append(await self._open(environment).invoke("read", "x", None))
        await trio.sleep_forever()


def test_a_client_that_is_started_again_at_once_keeps_its_new_session() -> None:
    sessions: list[Session] = []

    async def main() -> None:
        task = ClientTask("c1", "127.0.0.1", Timetable(), lambda: 0)
        task.thread = program = Program(task, sessions)  # type: ignore[assignment]
        async with trio.open_nursery() as nursery:
            task.start(nursery)
            await trio.testing.wait_all_tasks_blocked()
            assert task.kill()
            task.start(nursery)
            await trio.testing.wait_all_tasks_blocked()

            assert [session.is_closed for session in sessions] == [True, False]
            assert program.kills == 1
            assert task.kill()
            assert not task.kill()

    trio.run(main)

    assert [session.is_closed for session in sessions] == [True, True]


def test_a_client_that_was_killed_hears_no_answer_that_comes_in_the_same_instant() -> None:
    """Its op is of unknown outcome by then; a completion after that would be one without an invoke."""
    sessions: list[Session] = []

    async def main() -> Program:
        task = ClientTask("c1", "127.0.0.1", Timetable(), lambda: 0)
        task.thread = program = Program(task, sessions)  # type: ignore[assignment]
        async with trio.open_nursery() as nursery:
            task.start(nursery)
            await trio.testing.wait_all_tasks_blocked()
            sessions[0].answer.set()
            task.kill()
        return program

    assert trio.run(main).answers == []
