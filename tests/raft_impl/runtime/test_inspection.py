"""Looking at a data directory: what the log says, line by line, and what is wrong with it."""

from __future__ import annotations

from raft_impl.runtime.inspection import Finding, dump_log, verify
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.fakes import FakeDisk


def written(**options: int) -> FakeDisk:
    cluster = Cluster(1, options=options)
    env, client = cluster.client()
    cluster.run(env, client.open())
    cluster.run(env, client.call("write", "x", 7))
    cluster.run(env, client.call("cas", "x", [7, {"a": 1}]))
    cluster.world.run_for(100)
    return cluster.crash("n1")


def test_a_log_is_dumped_as_index_term_command() -> None:
    assert list(dump_log(written(), "g0")) == [
        "1 (1): no-op",
        "2 (1): open session",
        "3 (1): write x 7 [session 2, sequence 1]",
        '4 (1): cas x [7,{"a":1}] [session 2, sequence 2]',
    ]


def test_a_dump_begins_with_the_snapshot() -> None:
    lines = list(dump_log(written(snapshot_threshold=4, trailing_entries=1), "g0"))

    assert lines[0] == "4 (1): snapshot, members n1"


def test_a_sound_directory_has_no_findings() -> None:
    assert verify(written()) == []


def test_a_torn_tail_is_found_and_left_as_it_is() -> None:
    disk = written()
    del disk.cached["g0-00000001.wal"][-5:]
    before = bytes(disk.cached["g0-00000001.wal"])

    (finding,) = verify(disk)

    assert (finding.what, finding.is_fatal) == ("torn tail", False)
    assert bytes(disk.cached["g0-00000001.wal"]) == before


def test_corruption_is_found_with_its_place() -> None:
    disk = written()
    disk.cached["g0-00000001.wal"][70] ^= 1

    assert verify(disk) == [Finding(group="g0", where="g0-00000001.wal at 63", what="log-corrupt", is_fatal=True)]
