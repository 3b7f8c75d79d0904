"""Changes of membership: joint consensus, learners, removed leaders (section 6; dissertation 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_impl.protocol.membership import Memberships, decode, encode, enter, leave, members, newcomers, target
from raft_impl.protocol.messages import Append, AppendReply, PreVoteReply, Vote
from raft_impl.protocol.quorum import is_voter
from raft_impl.protocol.ready import Proposed, Refused
from raft_impl.protocol.state import Change, Entry, EntryKind, Index, Membership, NodeId, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, append, elected

NAMES = [NodeId(name) for name in "abcdef"]


def nodes(names: str) -> tuple[NodeId, ...]:
    """Single-letter node names."""
    return tuple(NodeId(name) for name in names)


def is_append(packet: tuple[NodeId, NodeId, object], to: str) -> bool:
    """Whether this packet brings entries to one of these nodes."""
    return isinstance(packet[2], Append) and packet[1] in to


def brings_c_new(packet: tuple[NodeId, NodeId, object]) -> bool:
    """Whether an ordinary configuration is among the entries of this packet."""
    entries = packet[2].entries if isinstance(packet[2], Append) else ()
    return any(entry.kind is EntryKind.CONFIG and not decode(entry.data).is_joint for entry in entries)


def brings_c_new_back(cluster: Cluster) -> bool:
    """Whether answers are under way to "a" that commit the last entry of its log, an ordinary configuration."""
    last = cluster.status("a").last
    answers = [packet[2] for packet in cluster.network if packet[1] == "a" and isinstance(packet[2], AppendReply)]
    is_ordinary = not cluster.status("a").membership.is_joint
    return is_ordinary and cluster.status("a").commit < last and sum(reply.match == last for reply in answers) == 2


def led(voters: str = "abc", **options: object) -> Cluster:
    """A settled cluster that "a" leads."""
    cluster = Cluster(voters, **options)  # type: ignore[arg-type]
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    return cluster


# the arithmetic


ORDINARY = st.builds(
    lambda voters, learners: Membership(tuple(sorted(voters)), (), tuple(sorted(set(learners) - set(voters)))),
    st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    st.lists(st.sampled_from(NAMES), unique=True),
)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Any change that names no node twice."""
    changes = {name: draw(st.sampled_from(["vote", "listen", "leave", ""])) for name in NAMES}
    chosen = {
        what: tuple(name for name, asked in changes.items() if asked == what) for what in ("vote", "listen", "leave")
    }
    return Change(**chosen)


@given(ORDINARY, changes())
def test_a_change_goes_through_a_joint_configuration_to_its_goal(membership: Membership, change: Change) -> None:
    """Entering and leaving reaches the goal, votes of both sides count on the way, and no node is in two places after
    it."""
    voters = (set(membership.voters) | set(change.vote)) - set(change.listen) - set(change.leave)
    if not voters:
        with pytest.raises(ValueError, match="no voter would be left"):
            target(membership, change)
        return

    goal = target(membership, change)
    between = enter(membership, goal)

    assert set(goal.voters) == voters
    assert not set(goal.voters) & set(goal.learners)
    assert all(name in members(goal) for name in [*change.vote, *change.listen])
    assert not any(name in members(goal) for name in change.leave)
    assert between.is_joint == (set(goal.voters) != set(membership.voters))
    if between.is_joint:
        assert (between.voters, between.outgoing) == (goal.voters, membership.voters)
        assert leave(between) == goal
    else:
        assert between == goal
    assert set(newcomers(membership, goal)) == set(goal.voters) - set(membership.voters)
    assert decode(encode(between)) == between


def test_nonsense_is_refused_by_name() -> None:
    """Found, and why."""
    ordinary = Membership(nodes("abc"))

    with pytest.raises(ValueError, match="named twice"):
        target(ordinary, Change(vote=nodes("d"), leave=nodes("d")))
    with pytest.raises(ValueError, match="joint"):
        target(Membership(nodes("ab"), nodes("abc")), Change(vote=nodes("d")))


@given(st.lists(st.sampled_from(["config", "command", "truncate", "compact"]), max_size=30), st.data())
def test_the_configuration_in_force_is_the_latest_in_the_log(steps: list[str], data: st.DataObject) -> None:
    """Append, truncate and compact against a plain list of entries, searched from its end."""
    start = Membership(nodes("a"))
    log: list[Entry] = []
    base = 0
    book = Memberships(Index(0), start)
    held: dict[int, Membership] = {0: start}

    for step in steps:
        last = base + len(log)
        if step in ("config", "command"):
            membership = Membership((NodeId(f"n{last + 1}"),))
            kind = EntryKind.CONFIG if step == "config" else EntryKind.COMMAND
            log.append(Entry(Index(last + 1), Term(1), kind, encode(membership)))
            book.append(log[-1:])
            if step == "config":
                held[last + 1] = membership
        elif step == "truncate" and log:
            index = data.draw(st.integers(base + 1, last))
            del log[index - base - 1 :]
            book.truncate(Index(index))
            held = {since: membership for since, membership in held.items() if since < index}
        elif step == "compact":
            index = data.draw(st.integers(base, last))
            del log[: index - base]
            base = index
            book.compact(Index(index))

        last = base + len(log)
        assert (book.index, book.current) == max(held.items())
        for index in range(base, last + 1):
            assert book.at(Index(index)) == held[max(since for since in held if since <= index)]


# changes


@pytest.mark.parametrize(
    ("voters", "change", "result"),
    [
        ("abc", {"vote": "d"}, "abcd"),
        ("abcd", {"leave": "d"}, "abc"),
        ("abc", {"vote": "d", "leave": "b"}, "acd"),
        ("abc", {"vote": "de"}, "abcde"),
        ("abc", {"leave": "bc", "vote": "de"}, "ade"),
        ("a", {"vote": "bcde"}, "abcde"),
        ("abcde", {"leave": "bcde"}, "a"),
        ("abc", {"listen": "b"}, "ac"),
    ],
)
def test_a_change_is_carried_through_by_the_leader_alone(voters: str, change: dict[str, str], result: str) -> None:
    """Section 6: C_old,new is appended, and once it is committed, C_new; the second step needs no request."""
    cluster = led(voters, spare=[name for name in "abcde" if name not in voters])

    tag = cluster.change("a", **change)
    cluster.run(4 * HEARTBEAT_NS)

    membership = cluster.status("a").membership
    assert (membership.voters, membership.outgoing) == (nodes(result), ())
    assert isinstance(cluster.answer("a", tag), Proposed)
    configs = [note[2:] for note in cluster.notes("a", "config")]
    assert configs[-2:] == [
        (nodes(result), nodes(voters), membership.learners),
        (nodes(result), (), membership.learners),
    ]
    cluster.propose("a", "x")
    cluster.run(HEARTBEAT_NS)
    assert [cluster.applied(name) for name in result] == [["x"]] * len(result)


def test_learners_are_added_without_a_joint_configuration() -> None:
    """They are in no majority, so no two majorities can be apart."""
    cluster = led(spare="x")

    cluster.change("a", listen="x")
    cluster.propose("a", "one")
    cluster.run(HEARTBEAT_NS)

    assert cluster.status("a").membership == Membership(nodes("abc"), (), nodes("x"))
    assert not any(note[3] for note in cluster.notes("a", "config"))
    assert cluster.applied("x") == ["one"]


def test_a_learner_does_not_count_in_a_majority() -> None:
    """4.2.1: it is not counted towards majorities for voting or commitment."""
    cluster = led("ab", learners="x")
    cluster.cut("b")

    cluster.propose("a", "x")

    assert cluster.status("a").commit == 1


def test_a_configuration_is_in_force_when_it_is_appended() -> None:
    """Section 6: a server always uses the latest configuration in its log, regardless of whether the entry is
    committed."""
    cluster = led("abc", spare="de", learners="de")
    cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: is_append(packet, "bcde")

    cluster.change("a", vote="de")

    assert cluster.status("a").membership == Membership(nodes("abcde"), nodes("abc"))
    assert cluster.status("a").commit < cluster.status("a").membership_index


def test_a_follower_takes_a_configuration_as_it_arrives_and_returns_to_the_old_one_if_it_is_cut_off() -> None:
    """Section 6: a configuration that is truncated was never in force."""
    cluster = alone(log=[1], term=1)
    joint = Membership(nodes("abd"), nodes("abc"))
    cluster.step(
        "a",
        "b",
        Append(Term(1), Index(1), Term(1), Index(0), (Entry(Index(2), Term(1), EntryKind.CONFIG, encode(joint)),)),
    )
    assert cluster.status("a").membership == joint

    cluster.step("a", "c", append(2, 1, 1, 2))

    assert cluster.status("a").membership == Membership(nodes("abc"))
    assert cluster.notes("a", "config")[-1] == ("config", 0, nodes("abc"), (), ())


def test_the_joint_configuration_needs_both_majorities_to_commit() -> None:
    """Section 6: agreement requires separate majorities from both the old and new configurations."""
    cluster = led("abc", learners="def")
    cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: is_append(packet, "ef")
    cluster.change("a", vote="def", leave="bc")
    joint_index = cluster.status("a").membership_index
    assert cluster.status("a").membership == Membership(nodes("adef"), nodes("abc"))

    assert cluster.status("a").commit < joint_index, "a, b, c and d have it: a and d are no majority of a, d, e, f"

    cluster.lose = lambda packet: is_append(packet, "bc")
    cluster.run(4 * HEARTBEAT_NS)
    assert cluster.status("a").commit >= joint_index


def test_the_joint_configuration_needs_both_majorities_to_elect() -> None:
    """Section 6: so no leader of either side alone can arise."""
    joint = Entry(Index(1), Term(1), EntryKind.CONFIG, encode(Membership(nodes("ade"), nodes("abc"))))
    cluster = alone(voters="abcde")
    cluster.step("a", "b", Append(Term(1), Index(0), Term(0), Index(0), (joint,)))
    cluster.now += 2 * T_NS
    cluster.campaign("a")

    for name in "de":
        cluster.step("a", name, PreVoteReply(Term(2), True))
    assert cluster.status("a").role is Role.PRE_CANDIDATE
    cluster.step("a", "b", PreVoteReply(Term(2), True))
    assert cluster.status("a").role is Role.CANDIDATE


def test_c_new_is_appended_only_after_c_old_new_is_committed() -> None:
    """Section 6: also by a leader that finds C_old,new in its log (camunda #60086): it first commits an entry of its
    own."""
    cluster = Cluster("abc", learners="de")
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: is_append(packet, "cde")
    cluster.change("a", vote="de", leave="bc")
    assert cluster.status("b").membership.is_joint
    cluster.crash("a")
    cluster.restart("a")
    cluster.lose = lambda packet: is_append(packet, "bcde")

    cluster.elect_without_commit("a")
    assert cluster.status("a").membership.is_joint
    cluster.run(2 * HEARTBEAT_NS)
    assert cluster.status("a").membership.is_joint
    cluster.lose = lambda packet: False
    cluster.run(4 * HEARTBEAT_NS)

    assert cluster.status("a").membership == Membership(nodes("ade"))


def test_the_commit_of_an_earlier_entry_does_not_leave_the_joint_configuration() -> None:
    """Section 6: it is the commit of C_old,new itself that allows C_new."""
    cluster = alone()
    elected(cluster, "b")
    cluster.step("a", "b", AppendReply(Term(1), Index(1)))
    cluster.propose("a", "x", settle=False)
    cluster.change("a", leave="c", settle=False)

    cluster.step("a", "b", AppendReply(Term(1), Index(2)))
    assert cluster.status("a").commit == 2
    assert cluster.status("a").membership == Membership(nodes("ab"), nodes("abc"))

    cluster.step("a", "b", AppendReply(Term(1), Index(3)))
    assert cluster.status("a").membership == Membership(nodes("ab"))


def test_a_restart_in_the_joint_configuration_remembers_both_halves() -> None:
    """The configuration is read from log and snapshot as a whole (etcd raft e515a67)."""
    cluster = led("abc", learners="de")
    cluster.lose = lambda packet: is_append(packet, "de")
    cluster.change("a", vote="de", leave="bc")
    joint = cluster.status("b").membership
    assert joint.is_joint

    cluster.crash("b")
    cluster.restart("b")

    assert cluster.status("b").membership == joint


def test_no_change_before_an_entry_of_the_own_term_is_committed() -> None:
    """raft-dev 2015: else two leaders in turn, each with its own uncommitted change, commit with majorities apart."""
    cluster = alone(log=[1], term=1)
    elected(cluster, "b")

    early = cluster.change("a", settle=False, leave="c")
    cluster.step("a", "b", AppendReply(Term(2), Index(2)))
    ripe = cluster.change("a", settle=False, leave="c")

    assert cluster.answer("a", early) == Refused(early, "not-ready", "a")
    assert isinstance(cluster.answer("a", ripe), Proposed)


@pytest.mark.parametrize("first", [{"leave": "d"}, {"listen": "x"}, {"vote": "x"}], ids=["joint", "learner", "staged"])
def test_one_change_at_a_time(first: dict[str, str]) -> None:
    """4.1: a leader begins no change while the latest configuration in its log is not committed, or one is prepared."""
    cluster = led("abcd", spare="x")
    cluster.lose = lambda packet: is_append(packet, "bcd" if "vote" not in first else "x")
    cluster.change("a", **first)

    second = cluster.change("a", leave="c")

    assert cluster.answer("a", second) == Refused(second, "change-in-progress", "a")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"leave": "abc"}, "bad-change"), ({"vote": "d", "leave": "d"}, "bad-change")],
)
def test_a_senseless_change_is_refused(change: dict[str, str], reason: str) -> None:
    """Before it has any effect."""
    cluster = led(spare="d")
    last = cluster.status("a").last

    tag = cluster.change("a", **change)

    assert cluster.answer("a", tag) == Refused(tag, reason, "a")
    assert cluster.status("a").last == last


def test_a_wish_that_is_fulfilled_already_is_answered_at_once() -> None:
    """So that it may be repeated; it names the entry that fulfilled it, and appends none."""
    cluster = led(spare="d")
    first = cluster.change("a", vote="d")
    cluster.run(4 * HEARTBEAT_NS)
    last = cluster.status("a").last

    again, never_needed = cluster.change("a", vote="d"), cluster.change("a", vote="b")

    answers = [cluster.answer("a", tag) for tag in (first, again, never_needed)]
    assert [type(answer) for answer in answers] == [Proposed] * 3
    assert cluster.answer("a", again) == Proposed(again, cluster.status("a").membership_index, Term(1))
    assert cluster.status("a").last == last


def test_a_minority_leader_cannot_shrink_the_group_to_itself() -> None:
    """redisraft #17: removal goes through the log and both majorities, so an isolated leader removes no node."""
    cluster = led("abc")
    cluster.cut("a")

    cluster.change("a", leave="bc")
    cluster.propose("a", "x")
    cluster.run(4 * T_NS)

    assert cluster.applied("a") == []
    assert cluster.status(cluster.leader()).membership == Membership(nodes("abc"))
    assert cluster.leader() in ("b", "c")


# newcomers


def test_a_newcomer_catches_up_before_it_votes() -> None:
    """4.2.1: it joins as a learner, and becomes a voter when it can keep up; until then commits do not wait for it."""
    cluster = led(spare="d", max_entries_per_append=1)
    for number in range(20):
        cluster.propose("a", f"{number}")
    cluster.cut("d")

    tag = cluster.change("a", vote="d")
    assert cluster.status("a").membership == Membership(nodes("abc"), (), nodes("d"))
    assert cluster.answer("a", tag) is None
    cluster.propose("a", "meanwhile")
    assert cluster.applied("a")[-1] == "meanwhile"

    cluster.heal()
    cluster.run(4 * HEARTBEAT_NS)
    assert cluster.status("a").membership == Membership(nodes("abcd"))
    assert isinstance(cluster.answer("a", tag), Proposed)


def test_a_newcomer_that_never_answers_is_given_up() -> None:
    """4.2.1: the leader aborts the change; the newcomer stays a learner, and other changes are possible again."""
    cluster = led(spare="d")
    cluster.cut("d")
    tag = cluster.change("a", vote="d")

    cluster.run(11 * T_NS)

    assert cluster.answer("a", tag) == Refused(tag, "not-ready", "a")
    assert cluster.status("a").membership == Membership(nodes("abc"), (), nodes("d"))
    cluster.change("a", leave="d")
    assert cluster.status("a").membership == Membership(nodes("abc"))


def test_a_newcomer_far_behind_gets_a_snapshot_and_then_votes() -> None:
    """4.2.1 and 7: the log it needs is gone."""
    cluster = led(spare="d")
    for number in range(10):
        cluster.propose("a", f"{number}")
    cluster.compact("a")

    cluster.change("a", vote="d")
    cluster.run(4 * HEARTBEAT_NS)

    assert cluster.status("a").membership == Membership(nodes("abcd"))
    assert cluster.applied("d") == cluster.applied("a")
    assert cluster.status("d").membership == Membership(nodes("abcd"))


def test_a_change_dies_with_the_leadership_that_prepared_it() -> None:
    """Its tag is answered; nothing more happens in its name."""
    cluster = led(spare="d")
    cluster.cut("d")
    tag = cluster.change("a", vote="d")

    cluster.elect("b")
    cluster.run(HEARTBEAT_NS)

    assert cluster.answer("a", tag) == Refused(tag, "deposed", "a")
    assert cluster.status("b").membership == Membership(nodes("abc"), (), nodes("d"))


# leaders that go


@pytest.mark.parametrize("change", [{"leave": "a"}, {"listen": "a"}, {"leave": "a", "vote": "d"}])
def test_a_removed_leader_manages_the_change_and_steps_down_when_it_is_committed(change: dict[str, str]) -> None:
    """Section 6: the leader steps down once it has committed C_new; the others know of the commit by then."""
    cluster = led("abc", learners="d")

    cluster.change("a", **change)

    assert cluster.leaders() == []
    commits = {name: cluster.status(name).commit for name in "abc"}
    assert len(set(commits.values())) == 1
    cluster.run(3 * T_NS)
    assert cluster.leader() in "bcd"
    assert not is_voter(cluster.status(cluster.leader()).membership, NodeId("a"))
    refusal = cluster.propose("a", "x")
    if "listen" not in change:
        assert cluster.answer("a", refusal) == Refused(refusal, "not-member", None)


@pytest.mark.parametrize("what", ["propose", "change"])
def test_a_leader_appends_nothing_after_its_removal_is_committed(what: str) -> None:
    """Not even in the batch of inputs in which it learns of the commit, before it steps down."""
    cluster = led("abc")
    cluster.change("a", leave="a", settle=False)
    while not (waiting := [packet for packet in cluster.network if packet[1] == "a"]) or not brings_c_new_back(cluster):
        cluster.deliver_one()
    core = cluster.core("a")
    last = cluster.status("a").last

    core.hold()
    for source, _, message in waiting:
        core.step(cluster.now, source, message)
    committed = core.status().commit
    tag = object()
    if what == "propose":
        core.propose(cluster.now, tag, b"late")
    else:
        core.change(cluster.now, tag, Change(listen=nodes("d")))
    ready = core.release(cluster.now)

    assert committed == last
    assert core.status().last == last
    assert [answer.reason for answer in ready.answer_after if getattr(answer, "tag", None) is tag] == ["not-member"]


def test_a_removed_leader_does_not_count_itself() -> None:
    """Section 6: it replicates log entries but does not count itself in majorities."""
    cluster = led("abcd")
    cluster.cut("d")
    cluster.lose = lambda packet: is_append(packet, "c") and brings_c_new(packet)
    cluster.change("a", leave="a")
    last = cluster.status("a").last
    assert cluster.status("a").membership == Membership(nodes("bcd"))

    assert cluster.status("a").commit == last - 1, "C_new is on a and b: one of b, c and d"

    cluster.lose = lambda packet: False
    cluster.heal()
    assert cluster.status("b").commit == last


def test_a_removed_leader_campaigns_while_the_change_is_not_committed() -> None:
    """4.2.2: only it has C_new; no other node can be elected, because its log is the longest."""
    cluster = led("ab")
    cluster.lose = lambda packet: is_append(packet, "b") and brings_c_new(packet)
    cluster.change("a", leave="a")
    assert cluster.status("a").membership == Membership(nodes("b"))
    cluster.crash("a")
    cluster.restart("a")
    cluster.lose = lambda packet: False

    cluster.run(6 * T_NS)

    assert cluster.leaders() == ["b"]
    assert cluster.status("b").membership == Membership(nodes("b"))


def test_two_leaders_with_changes_from_one_base_cannot_both_commit() -> None:
    """F10: the schedule that loses a committed entry under one-server changes without the rule."""
    cluster = led("abcd", learners="e")
    cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: is_append(packet, "bcd")
    cluster.change("a", vote="e")  # only a and e have it
    cluster.cut("ae", "bcd")
    cluster.lose = lambda packet: False
    cluster.elect("b")  # with c and d: its first entry commits, as rule and majority demand
    cluster.change("b", leave="a")
    assert cluster.status("b").membership == Membership(nodes("bcd"), (), nodes("e"))
    committed = cluster.status("b").commit

    cluster.cut_links.clear()
    cluster.cut("b")
    cluster.crash("a")
    cluster.restart("a")
    for _ in range(5):
        cluster.now += 2 * T_NS
        cluster.campaign("a")
        cluster.settle()

    assert cluster.leaders() == ["b"], "c and d refuse a: their logs have b's first entry"
    cluster.elect("c")
    assert cluster.status("c").last > committed
    assert cluster.core("c").term_at(committed) == cluster.core("b").term_at(committed)


def test_a_promoted_learner_votes_although_it_does_not_know_of_its_promotion() -> None:
    """The promotion may be committed by others; without its vote they could be stuck."""
    cluster = led("ab", learners="c")
    cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: is_append(packet, "c")
    cluster.change("a", vote="c")
    assert not is_voter(cluster.status("c").membership, NodeId("c"))

    cluster.now += 2 * T_NS
    cluster.step("c", "b", Vote(Term(5), Index(99), Term(4)))

    [(_, _, reply)] = cluster.take("vote-reply")
    assert reply.granted  # type: ignore[union-attr]
