"""Addresses of members: written in the log, taken from it by all, and added where an old log has none."""

from __future__ import annotations

import msgspec

from raft_impl.protocol import membership
from raft_impl.protocol.membership import enter, leave, target
from raft_impl.protocol.messages import Append
from raft_impl.protocol.ready import Persist
from raft_impl.protocol.state import Change, Entry, EntryKind, HardState, Index, Membership, NodeId, Term
from raft_impl.protocol.wellformed import ADDRESS_LENGTH_MAX, is_well_formed_append
from raft_impl.runtime.questions import ChangeMembers, StatusNow
from raft_impl.runtime.wal import Wal
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.fakes import FakeDisk, run

N1, N2, N3, N4 = map(NodeId, ("n1", "n2", "n3", "n4"))
WITHOUT = b"\x93\x93\xa2n1\xa2n2\xa2n3\x90\x90"
"""The membership of three voters, as a release without addresses wrote it."""


def located(cluster: Cluster) -> None:
    """Give the groups of a cluster the addresses of all."""
    addresses = {name: name for name in cluster.names}
    cluster.groups = {name: msgspec.structs.replace(spec, addresses=addresses) for name, spec in cluster.groups.items()}
    for name in cluster.names:
        cluster.restart(name)


def addresses_at(cluster: Cluster, name: str) -> dict[str, str]:
    return dict(cluster.servers[name].status("g0").members.addresses)


def test_a_change_carries_addresses_through_the_joint_configuration_and_drops_those_of_who_left() -> None:
    before = Membership((N1, N2, N3), (), (), ((N1, "a"), (N2, "b"), (N3, "c")))

    goal = target(before, Change(vote=(N4,), leave=(N1,), addresses=((N4, "d"), (N2, "e"))))
    joint = enter(before, goal)

    assert goal.addresses == ((N2, "e"), (N3, "c"), (N4, "d"))
    assert joint.addresses == ((N1, "a"), (N2, "e"), (N3, "c"), (N4, "d"))
    assert leave(joint) == goal
    assert membership.decode(membership.encode(joint)) == joint


def test_a_membership_without_addresses_reads_as_one_of_which_none_is_known() -> None:
    assert membership.decode(WITHOUT) == Membership((N1, N2, N3))


def test_a_release_without_addresses_reads_a_membership_that_has_them() -> None:
    class Before(msgspec.Struct, frozen=True, array_like=True):
        voters: tuple[str, ...]
        outgoing: tuple[str, ...] = ()
        learners: tuple[str, ...] = ()

    data = membership.encode(Membership((N1, N2), (), (N3,), ((N1, "a"), (N2, "b"), (N3, "c"))))

    assert msgspec.msgpack.decode(data, type=Before) == Before(("n1", "n2"), (), ("n3",))


def test_addresses_of_nobody_two_of_one_and_one_without_end_are_no_membership() -> None:
    def is_taken(*addresses: tuple[NodeId, str]) -> bool:
        data = membership.encode(Membership((N1,), (), (), addresses))
        entry = Entry(Index(1), Term(1), EntryKind.CONFIG, data)
        return is_well_formed_append(Append(Term(1), Index(0), Term(0), Index(0), (entry,)))

    assert is_taken((N1, "x" * ADDRESS_LENGTH_MAX))
    assert not is_taken((N1, "x"), (N1, "y"))
    assert not is_taken((N1, "x" * (ADDRESS_LENGTH_MAX + 1)))


def test_every_server_and_every_client_learns_the_address_of_a_newcomer_from_the_log() -> None:
    cluster = Cluster(4)
    located(cluster)
    leader = cluster.elect()
    env, client = cluster.client(servers=(leader,))
    goner, moved = [name for name in cluster.names if name != leader][:2]

    cluster.run(env, client.administer(ChangeMembers(leave=(goner,))))
    cluster.world.run_for(500)
    cluster.run(env, client.administer(ChangeMembers(vote=(goner,), addresses={goner: goner, moved: "elsewhere"})))
    cluster.world.run_for(2000)

    expected = {**{name: name for name in cluster.names}, moved: "elsewhere"}
    assert all(addresses_at(cluster, name) == expected for name in cluster.names)
    assert all(cluster.env(name).addresses == expected for name in cluster.names)
    other_env, other = cluster.client(servers=(goner,))
    cluster.run(other_env, other.open())
    assert other_env.addresses == expected
    cluster.restart(moved)
    assert cluster.env(moved).addresses == expected, "a server starts with what its own log says"


def test_a_client_reaches_a_leader_that_it_was_never_told_of() -> None:
    cluster = Cluster(3)
    located(cluster)
    leader = cluster.elect()
    follower = next(name for name in cluster.names if name != leader)
    env, client = cluster.client(servers=(follower,))

    cluster.run(env, client.open())

    assert cluster.run(env, client.call("write", "x", 1)) == 1
    assert client.leader == leader


def test_a_leader_writes_addresses_into_a_log_that_has_none() -> None:
    """What a release without addresses stored is taken up, and completed by what the servers were started with."""
    cluster = Cluster(3)
    located(cluster)
    for name in cluster.names:
        cluster.crash(name)
        disk = FakeDisk()
        log = Wal(disk, "g0", segment_bytes=1 << 20, trailing_entries=0)
        run(log.recover())
        entries = (Entry(Index(1), Term(1), EntryKind.CONFIG, WITHOUT),)
        log.write(Persist(1, hard_state=HardState(Term(1)), entries=entries))
        run(log.sync())
        cluster.start(name, disk)
    assert addresses_at(cluster, "n1") == {}

    cluster.elect()
    cluster.world.run_for(2000)

    assert all(addresses_at(cluster, name) == {one: one for one in cluster.names} for name in cluster.names)
    env, client = cluster.client()
    index = cluster.run(env, client.administer(StatusNow())).status.members_index
    cluster.world.run_for(2000)
    assert cluster.run(env, client.administer(StatusNow())).status.members_index == index, "it is written once"


def test_a_group_whose_addresses_nobody_knows_goes_on_without() -> None:
    cluster = Cluster(3)
    cluster.elect()
    env, client = cluster.client()

    cluster.run(env, client.open())

    assert cluster.run(env, client.call("write", "x", 1)) == 1
    assert cluster.run(env, client.administer(StatusNow())).status.members.addresses == {}
