"""What a person at the shell waits for."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from raft_impl.runtime.questions import DumpLog, LogStatus, Members, NodeStatus, Outcome, Question
from raft_impl.server.administrator import Administrator, Listing
from raft_impl.server.shell import Shell

_SILENT_S = 1.0


def _leader(name: str, term: int, applied: int = 3) -> NodeStatus:
    log = LogStatus(
        first=1, last=applied, entry_count=applied, durable=applied, commit=applied, applied=applied, snapshot=0
    )
    return NodeStatus(
        node=name, group="g0", role="leader", term=term, leader=name, log=log, sessions=0, waiting_clients=0,
        digest="", feature_level=1, election_count=0, victory_count=0, fsync_count=0, fsync_ns=0,
        members=Members(voters=("n1", "n2", "n3"), outgoing=(), learners=()), members_index=0, peers={},
    )  # fmt: skip


class OneServerIsDown:
    """An administrator of three servers, one of which never answers: a look at all of them takes a second."""

    def __init__(self) -> None:
        self.leader: NodeStatus | None = _leader("n1", 1)
        self.silent_s = _SILENT_S

    async def status(self) -> Listing:
        found = self.leader
        await trio.sleep(self.silent_s)
        return Listing(nodes={} if found is None else {found.node: found}, silent=("n3",))

    async def ask_one(self, name: str, question: Question) -> Outcome:
        if isinstance(question, DumpLog):
            return Outcome()
        leader = self.leader
        return Outcome(status=leader if leader is not None and leader.node == name else None)

    async def dump(self, name: str, first: int, count_max: int | None) -> list[str]:
        return [f"{first} (1): no-op"]


def _typed(lines: str, monkeypatch: pytest.MonkeyPatch, administrator: OneServerIsDown) -> float:
    """Type lines. Returns the virtual seconds until `exit`."""
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    took = 0.0

    async def read_now(read: Any, **_: Any) -> Any:
        return read()

    monkeypatch.setattr("trio.to_thread.run_sync", read_now)

    async def main() -> None:
        nonlocal took
        shell = Shell(cast(Any, SimpleNamespace()), cast(Administrator, administrator))
        begun = trio.current_time()
        await shell.read_commands()
        took = trio.current_time() - begun

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return took


def test_a_server_that_is_down_is_waited_for_once_and_not_at_each_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    took = _typed("dump\n" * 20 + "exit\n", monkeypatch, OneServerIsDown())
    assert took == pytest.approx(_SILENT_S)
    assert capsys.readouterr().out.count("1 (1): no-op") == 20


@pytest.mark.parametrize("typed", ["dump", "dump log", "dump log 3", "dump 3"])
def test_the_log_is_dumped_however_it_is_asked(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _typed(f"{typed}\nhelp\nexit\n", monkeypatch, OneServerIsDown())
    said = capsys.readouterr().out
    assert "1 (1): no-op" in said
    assert said.count("commands: create") == 2, "at the start and for `help`"


def test_when_the_leader_is_gone_everybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    administrator = OneServerIsDown()
    original = administrator.dump

    async def dump_and_lose_the_leader(name: str, first: int, count_max: int | None) -> list[str]:
        administrator.leader = None
        return await original(name, first, count_max)

    monkeypatch.setattr(administrator, "dump", dump_and_lose_the_leader)
    _typed("dump\ndump\nexit\n", monkeypatch, administrator)
    said = capsys.readouterr().out
    assert "no server leads\n" in said
    assert "refused: no server leads; nothing was done" in said


def test_who_is_not_let_in_is_told_that_and_not_that_no_server_leads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    administrator = OneServerIsDown()

    async def refuse() -> Listing:
        return Listing(nodes={}, silent=(), refused={"n1": ("wrong-secret", "n1 has a secret")})

    monkeypatch.setattr(administrator, "status", refuse)
    _typed("get x\nexit\n", monkeypatch, administrator)
    said = capsys.readouterr().out
    assert "[no server lets this client in, wrong-secret: n1 has a secret]" in said
    assert "refused: no server lets this client in, wrong-secret: n1 has a secret; nothing was done" in said


def test_what_was_asked_before_is_not_believed_after(capsys: pytest.CaptureFixture[str]) -> None:
    """A look that began without a leader, and takes long, comes after one that has seen it."""
    administrator = OneServerIsDown()
    administrator.leader = None
    said = ""

    async def main() -> None:
        nonlocal said
        shell = Shell(cast(Any, SimpleNamespace()), cast(Administrator, administrator))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shell.watch)
            await trio.sleep(0.5)  # the first look is under way, and sees no leader
            administrator.leader, administrator.silent_s = _leader("n2", 2), 0.1
            nursery.start_soon(shell.watch)
            await trio.sleep(2)
            said = capsys.readouterr().out
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert said == "n2 leads in term 2\n"
