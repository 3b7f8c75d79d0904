"""No input kills a server: bytes, damaged frames, forged messages, commands that cannot be applied; and old logs that
hold any of them come up.

The short form of `python -m tests.raft_impl.runtime.hostile`, and each case that once killed a server.
"""

from __future__ import annotations

import resource
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_impl.errors import Corrupt
from raft_impl.machines import CATALOG
from raft_impl.machines.base import pack
from raft_impl.machines.commands import Action as LogAction
from raft_impl.machines.commands import Command, encode_command
from raft_impl.protocol.marks import IMPLAUSIBLE_TERM
from raft_impl.protocol.messages import Append, AppendReject, AppendReply, Heartbeat, SnapshotChunk
from raft_impl.protocol.ready import Persist
from raft_impl.protocol.state import (
    NUMBER_MAX,
    Entry,
    EntryKind,
    HardState,
    Index,
    Membership,
    NodeId,
    SnapshotMeta,
    Term,
)
from raft_impl.runtime import wire
from raft_impl.runtime.inspection import dump_log, verify
from raft_impl.runtime.marks import DAMAGED_FRAME
from raft_impl.runtime.wal import Wal
from tests.raft_impl.machines.test_calls import nested
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.fakes import FakeDisk, run
from tests.raft_impl.runtime.hostile import Attack, framed

MEMBERS = pack(Membership((NodeId("n1"),)))


@pytest.mark.parametrize("machine", sorted(CATALOG))
@pytest.mark.parametrize("forges", [False, True])
def test_a_server_outlives_whatever_is_sent_to_it(machine: str, forges: bool) -> None:
    attack = Attack(7, machine, forges=forges)

    attack.round(2000)

    status = attack.server.inspect()["g0"]
    assert forges or status["applied"] > 100, "its commands were applied meanwhile"
    assert forges or attack.stops < 3


@pytest.mark.slow
def test_a_million_hostile_datagrams_leave_memory_as_it_was() -> None:
    peaks = []
    for seed in range(50):
        Attack(seed, sorted(CATALOG)[seed // 2 % len(CATALOG)], forges=bool(seed % 2)).round(20_000)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    assert peaks[-1] < peaks[9] + 10 * 1024, "kibibytes"


def entries(*data: bytes, kind: EntryKind = EntryKind.COMMAND) -> tuple[Entry, ...]:
    return tuple(Entry(Index(i), Term(1), kind, each) for i, each in enumerate(data, 1))


def disk_with(hard_state: HardState, log: tuple[Entry, ...] = ()) -> FakeDisk:
    """What an earlier version could have written."""
    disk = FakeDisk()
    wal = Wal(disk, "g0", segment_bytes=1 << 20, trailing_entries=0)
    run(wal.recover())
    wal.write(Persist(1, hard_state=hard_state, entries=log))
    run(wal.sync())
    return disk


POISON = [
    encode_command(Command(LogAction.CALL, 0, 0, 0, nested(980))),
    encode_command(Command(LogAction.CALL, 0, 0, 0, nested(100_000))),
    encode_command(Command(LogAction.CALL, 0, 0, 0, b"\xc1")),
    pack([7, 0]),
    pack([0, (1 << 64) - 1, 5, 1, b"", (1 << 64) - 1]),
    b"\xff" * 9,
    b"",
    nested(5000),
]


def test_a_log_with_commands_that_cannot_be_applied_comes_up_and_can_be_read() -> None:
    good = encode_command(Command(LogAction.CALL, 0, 0, 0, pack(("write", "x", 7))))
    cluster = Cluster(1)
    cluster.crash("n1")
    disk = disk_with(HardState(Term(1)), entries(*POISON, good))

    lines = list(dump_log(disk, "g0"))
    findings = verify(disk)
    cluster.start("n1", disk)

    env, client = cluster.client()
    cluster.run(env, client.open())
    assert cluster.run(env, client.call("read", "x", None)) == 7
    assert lines[-1] == "9 (1): write x 7"
    assert sum("unreadable" in line for line in lines) == len(POISON)
    assert findings == []


def test_a_command_that_is_too_deep_is_refused_and_the_cluster_goes_on() -> None:
    cluster = Cluster(3)
    cluster.elect()
    env, client = cluster.client()
    cluster.run(env, client.open())

    for value in (
        deep(65),
        deep(900),
        deep(978),
        deep(980),
        float("nan"),
        b"bytes",
        1 << 63,
        1 << 64,
        {1: 2},
        "\ud800",
    ):
        with pytest.raises(Exception, match="malformed") as caught:
            cluster.run(env, client.call("write", "x", value))
        assert type(caught.value).__name__ == "Refused"
    cluster.run(env, client.call("write", "x", deep(64)))

    assert cluster.run(env, client.call("read", "x", None)) == deep(64)
    assert len({server.inspect()["g0"]["term"] for server in cluster.servers.values()}) == 1


def deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("term", [NUMBER_MAX + 1, (1 << 64) - 1])
def test_a_term_out_of_range_on_disk_is_refused_with_its_name(term: int) -> None:
    disk = disk_with(HardState(Term(term)))
    cluster = Cluster(1)
    cluster.crash("n1")

    with pytest.raises(Corrupt, match="log-format"):
        cluster.start("n1", disk)
    assert [finding.is_fatal for finding in verify(disk)] == [True]


@pytest.mark.parametrize("term", [(1 << 64) - 1, 1 << 62, (1 << 33)])
def test_a_term_out_of_reach_is_refused_and_counted(term: int) -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    before = cluster.servers[leader].inspect()["g0"]["term"]

    frame = wire.encode("g0", Heartbeat(Term(term), 1, Index(0)))
    cluster.env(leader).deliver("n9", frame)
    cluster.world.run_for(1000)

    terms = {name: server.inspect()["g0"]["term"] for name, server in cluster.servers.items()}
    assert set(terms.values()) == {before}
    marks = {row[1] for row in cluster.rows(leader, "mark")}
    assert (IMPLAUSIBLE_TERM if term <= NUMBER_MAX else DAMAGED_FRAME) in marks


@pytest.mark.parametrize(
    "message",
    [
        Append(Term(2), Index(3), Term(1), Index(0), (Entry(Index(5), Term(1), EntryKind.NOOP),)),
        Append(Term(2), Index(3), Term(1), Index(0), (Entry(Index(4), Term(3), EntryKind.NOOP),)),
        Append(Term(2), Index(3), Term(2), Index(0), (Entry(Index(4), Term(1), EntryKind.NOOP),)),
        Append(Term(2), Index(3), Term(3), Index(0)),
        Append(Term(2), Index(3), Term(2), Index(0), (Entry(Index(4), Term(2), EntryKind.CONFIG, b"\xff"),)),
        Append(Term(2), Index(3), Term(2), Index(0), (Entry(Index(4), Term(2), EntryKind.CONFIG, nested(3000)),)),
        Append(Term(2), Index(3), Term(2), Index(0), (Entry(Index(4), Term(2), EntryKind.FEATURE, pack("x")),)),
        SnapshotChunk(Term(2), SnapshotMeta(Index(0), Term(0), Membership((NodeId("n1"),))), 0, b"", True),
        SnapshotChunk(Term(2), SnapshotMeta(Index(9), Term(3), Membership((NodeId("n1"),))), 0, b"", True),
        SnapshotChunk(Term(2), SnapshotMeta(Index(9), Term(2), Membership(())), 0, b"", True),
        Heartbeat(Term(-1), 1, Index(0)),
        AppendReply(Term(1), Index(NUMBER_MAX + 1)),
    ],
)
def test_a_message_that_contradicts_itself_is_no_message(message: Any) -> None:
    assert wire.decode(wire.encode("g0", message)) is None


def test_a_configuration_in_an_append_is_read() -> None:
    entry = Entry(Index(4), Term(2), EntryKind.CONFIG, MEMBERS)
    append = Append(Term(2), Index(3), Term(2), Index(0), (entry,))

    assert wire.decode(wire.encode("g0", append)) == ("g0", append)


@given(depth=st.integers(0, 100_000), code=st.sampled_from([*range(1, 15), *range(128, 134)]))
def test_nesting_in_a_frame_is_no_message_and_raises_nothing(depth: int, code: int) -> None:
    assert wire.decode(framed(code, b"\x92" + pack("g0") + b"\x91" * depth + b"\x90")) is None


def test_a_refusal_of_what_was_never_sent_does_not_move_the_leader() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    peer = next(name for name in cluster.names if name != leader)
    term = cluster.servers[leader].inspect()["g0"]["term"]

    forged = AppendReject(term, Index(NUMBER_MAX), Term(0), Index(NUMBER_MAX))
    cluster.env(leader).deliver(peer, wire.encode("g0", forged))
    cluster.world.run_for(500)

    assert cluster.leader() == leader
