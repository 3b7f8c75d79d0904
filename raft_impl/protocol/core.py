"""Raft as a pure state machine: inputs and the time in, a `Ready` out. No I/O, no clock, no randomness, no await.

This file owns roles, terms, elections and timers; `follower` and `leader` own what those roles do with messages, and
`replica` everything that outlives a role. `ready` says what the driver must do with each `Ready`. The canonical loop:

    core = Raft(node, config, hard_state=..., snapshot=..., entries=..., membership=..., now=now)
    obey(core.start(now))
    for each batch of messages, requests and timers:
        core.hold()
        for ...: core.step(now, source, message); core.propose(now, tag, data); core.read(now, tag)
        core.wake(now)
        obey(core.release(now))

where `obey` writes, makes durable, calls `persisted` (which gives another `Ready`), sends, applies and answers. Inputs
outside a hold return their `Ready` at once.

*Terms first.* `step` sorts each message by its term before anything looks at its content (section 5.1). A later term is
adopted, with four exceptions: a pre-vote request asks about a term that has not begun; its grant echoes that; a
request to vote is ignored, term and all, by a node in contact with a leader (dissertation 4.2.3, 6.2), unless the
leader itself asked for the election; and answers of nodes that are not members depose no leader. An earlier term is
answered with ours, so that its sender catches up, also when it is a pre-candidate: else a node with the longest log
but an old term could never win.

*Timers.* Election timeouts are values that the driver draws in [T, 2T) and offers ahead; a new one is consumed when a
node begins to campaign and when a leader steps down. Between these, contact with the leader and granting a vote only
start the same timeout again. Adopting a term, or granting a pre-vote, does not.

*Own vote.* Requests to vote leave with the same durability as any other vote, and the candidate's own is counted only
when it is durable: a crash must never give a node two votes in a term.

*Contact.* Stickiness and pre-votes count contact with a leader in minimal election timeouts of the own monotonic clock.
With leases on, the start of a node counts as contact: it may have promised a leader, before it crashed, not to vote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from . import marks
from .config import Config
from .follower import Follower
from .leader import Leader
from .membership import members
from .messages import (
    Append,
    AppendReject,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVote,
    PreVoteReply,
    Read,
    ReadReply,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from .quorum import NEVER, Tally, electorate, tally
from .reads import ForwardedReads
from .ready import FAR_NS, ReadAt, Ready, Refused
from .replica import Replica
from .state import Change, Entry, EntryKind, HardState, Index, Membership, NodeId, Role, Snapshot, SnapshotMeta, Term
from .status import Status, peer_status

TERM_JUMP_MAX: Final = 1 << 32
"""No node is so far behind: at a hundred elections a second, that many terms take a year and a half. Without a bound,
one forged or damaged message would use up all terms, for good, on every node that heard of it."""

Handler = Callable[[int, NodeId, Any], None]


class Raft:
    """One replica of one group."""

    def __init__(
        self,
        node: NodeId,
        config: Config,
        *,
        membership: Membership,
        now: int,
        hard_state: HardState | None = None,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        applied: Index | None = None,
        incarnation: int = 0,
    ) -> None:
        """Take up what was recovered from disk; `start` comes next.

        `membership` holds when neither snapshot nor log has a configuration. `applied` is the last index that
        the machine has applied (by default the snapshot's). `incarnation` is a number that differs between starts.
        """
        self._config = config
        self._replica = Replica(
            node,
            config,
            hard_state=hard_state or HardState(Term(0)),
            snapshot=snapshot,
            entries=entries,
            membership=membership,
            applied=applied if applied is not None else Index(0),
        )
        self._role = Role.FOLLOWER
        self._leader: NodeId | None = None
        self._lead: Leader | None = None  # set exactly while the role is LEADER
        self._follower = Follower(self._replica)
        self._forwarded = ForwardedReads(incarnation, config.election_timeout_min_ns)
        self._votes: dict[NodeId, bool] = {}  # of the election or pre-election under way
        self._election_count = 0
        self._victory_count = 0
        self._contact_ns = NEVER  # when a leader was last heard
        self._timeout_ns = 2 * config.election_timeout_min_ns  # the running election timeout
        self._timer_began_ns = now
        self._election_at_ns = now + self._timeout_ns
        self._offered_ns: int | None = None  # the next election timeout
        self._timeout_is_worn = True  # no fresh value was there when the timeout began
        self._held = False
        self._idle = Ready()  # what inputs return during a hold; stays empty
        self._same_term: dict[type, Handler] = self._handlers()
        self._lead_as(None)

    # start

    def start(self, now: int) -> Ready:
        """Begin as a follower. The first notes report what was recovered."""
        if self._config.reads == "lease":
            self._contact_ns = now
        self._replica.start()
        self._replica.out.notes.append(("role", Role.FOLLOWER.value, self._replica.term))
        self._restart_election_timer(now)
        return self._finish(now)

    def hold(self) -> None:
        """From now on inputs accumulate and return an empty `Ready`, until `release`."""
        self._held = True

    def release(self, now: int) -> Ready:
        """End the hold: everything that came of it, as one `Ready`."""
        self._held = False
        return self._finish(now)

    def offer_timeout(self, value_ns: int) -> Ready:
        """Hand in the next election timeout, drawn uniformly from [T, 2T)."""
        if self._timeout_is_worn:
            self._timeout_is_worn = False
            self._timeout_ns = value_ns
            if self._lead is None:
                self._election_at_ns = self._timer_began_ns + value_ns
        else:
            self._offered_ns = value_ns
        return self._nothing()

    # requests

    def propose(self, now: int, tag: Any, data: bytes, kind: EntryKind = EntryKind.COMMAND) -> Ready:
        """Replicate a command. Answered by Proposed, or Refused before it had any effect."""
        if self._lead is not None and not self._lead.resigned:
            self._lead.propose(tag, data, kind)
        else:
            self._refuse(tag)
        return self._ready(now)

    def read(self, now: int, tag: Any) -> Ready:
        """Ask for an index from which a read is linearizable (or dirty, with reads="local"). Answered by ReadAt."""
        if self._config.reads == "local":
            self._replica.out.answer_after.append(ReadAt(tag, self._replica.applied))
        elif self._lead is not None:
            self._lead.read(now, (None, tag))
        elif self._leader is None:
            self._refuse(tag)
        elif self._forwarded.count >= self._config.max_waiting_reads:
            self._replica.out.answer_after.append(Refused(tag, "busy", self._leader))
        else:
            self._forwarded.waiting.append(tag)
        return self._ready(now)

    def change(self, now: int, tag: Any, change: Change) -> Ready:
        """Change the membership. Answered by Proposed with the entry whose commit decides the change.

        That entry is an old one if the change is already in force (its term is 0 if the log no longer holds it).
        """
        if self._lead is not None and not self._lead.resigned:
            self._lead.change(now, tag, change)
        else:
            self._refuse(tag)
        return self._ready(now)

    def transfer(self, now: int, tag: Any, target: NodeId) -> Ready:
        """Hand leadership to a voter. Answered by Transferred, or Refused after one election timeout."""
        if self._lead is not None:
            self._lead.transfer(now, tag, target)
        else:
            self._refuse(tag)
        return self._ready(now)

    def compact(self, now: int, index: Index, snapshot: Snapshot) -> Ready:
        """Make `snapshot` durable, then drop the log up to `index`, which may be less than the snapshot covers."""
        self._replica.compact(index, snapshot)
        return self._ready(now)

    def campaign(self, now: int) -> Ready:
        """Behave as if the election timer had fired."""
        if self._lead is None:
            self._election_timeout(now)
        return self._ready(now)

    # the driver's reports

    def persisted(self, now: int, token: int) -> Ready:
        """All writes up to `token` are durable."""
        replica = self._replica
        durable = replica.log.durable
        replica.persisted(token)
        if self._lead is not None:
            if replica.log.durable > durable:
                self._lead.advance_commit(now)
        elif self._role is Role.CANDIDATE and replica.hard_durable == replica.hard_state:
            self._count_vote(now, replica.node, True)
        return self._ready(now)

    def applied(self, now: int, index: Index) -> Ready:
        """The machine has applied everything up to `index`. Nothing follows from that, so the `Ready` is empty."""
        replica = self._replica
        replica.applied = max(replica.applied, index)
        return self._nothing()

    def wake(self, now: int) -> Ready:
        """Do what is due. Harmless when nothing is."""
        if self._lead is not None:
            self._lead.wake(now)
            if self._lead.resigned:
                self._become_follower(now, self._replica.term, None)
        elif now >= self._election_at_ns:
            self._election_timeout(now)
        if self._forwarded.deadline_ns <= now:
            self._replica.mark(marks.FORWARDED_EXPIRED)
            self._replica.out.answer_after += self._forwarded.expire(now, self._leader)
        return self._ready(now)

    # what one may look at

    def snapshot_meta(self, index: Index) -> SnapshotMeta:
        """The head of a snapshot of the machine at an applied index: its term and the membership committed there."""
        return self._replica.meta_at(index)

    @property
    def is_leader(self) -> bool:
        """Whether this node leads, as far as it knows."""
        return self._lead is not None

    @property
    def leader(self) -> NodeId | None:
        """The leader of the current term, as far as it is known here."""
        return self._leader

    @property
    def term(self) -> Term:
        """The current term."""
        return self._replica.term

    @property
    def commit_index(self) -> Index:
        """What is known here to be committed."""
        return self._replica.commit

    def term_at(self, index: Index) -> Term | None:
        """The term of an entry, None where this log cannot know. Shows whether a proposal survived."""
        return self._replica.log.term(index)

    def entries(self, first: Index, last: Index) -> list[Entry]:
        """The entries first..last as far as they are in the log, for people."""
        log = self._replica.log
        first, last = max(first, log.first), min(last, log.last)
        return log.between(first, last) if first <= last else []

    def status(self) -> Status:
        """A frozen copy of the state of this node."""
        replica = self._replica
        log = replica.log
        followers = self._lead.status() if self._lead is not None else {}
        return Status(
            node=replica.node,
            role=self._role,
            term=replica.term,
            vote=replica.vote,
            leader=self._leader,
            commit=replica.commit,
            applied=replica.applied,
            first=log.first,
            last=log.last,
            last_term=log.last_term,
            durable=log.durable,
            snapshot=replica.snapshot.meta.index if replica.snapshot is not None else Index(0),
            membership=replica.memberships.current,
            membership_index=replica.memberships.index,
            election_count=self._election_count,
            victory_count=self._victory_count,
            peers={node: peer_status(progress) for node, progress in followers.items()},
        )

    @property
    def granted(self) -> tuple[NodeId, ...]:
        """Who has granted a vote in the election or pre-election under way, sorted; nobody where none is."""
        if self._role not in (Role.CANDIDATE, Role.PRE_CANDIDATE):
            return ()
        return tuple(sorted(node for node, granted in self._votes.items() if granted))

    def reads_by_lease(self, now: int) -> bool:
        """Whether this node, as a leader with a lease, would answer a read at once."""
        return self._lead is not None and self._lead.reads_by_lease(now)

    # messages: terms first

    def step(self, now: int, source: NodeId, message: Message) -> Ready:
        """Take a message from a peer."""
        term = self._replica.term
        if message.term == term:
            self._same_term[type(message)](now, source, message)
        elif message.term > term:
            self._later_term(now, source, message)
        else:
            self._earlier_term(now, source, message)
        return self._idle if self._held else self._finish(now)

    def _handlers(self) -> dict[type, Handler]:
        """What to do with a message of the current term; `_lead_as` adds the answers to a leader's messages."""
        return {
            PreVote: self._on_pre_vote,
            PreVoteReply: self._on_pre_vote_reply,
            Vote: self._on_vote,
            VoteReply: self._on_vote_reply,
            Append: self._on_append,
            Heartbeat: self._on_heartbeat,
            SnapshotChunk: self._on_snapshot,
            Read: self._on_read,
            ReadReply: self._on_read_reply,
            TimeoutNow: self._on_timeout_now,
        }

    def _lead_as(self, lead: Leader | None) -> None:
        """Begin or end a leadership: answers of followers are for the leader alone."""
        self._lead = lead
        self._same_term |= {
            AppendReply: lead.on_append_reply if lead is not None else _ignore,
            AppendReject: lead.on_append_reject if lead is not None else _ignore,
            HeartbeatReply: lead.on_heartbeat_reply if lead is not None else _ignore,
            SnapshotReply: lead.on_snapshot_reply if lead is not None else _ignore,
        }

    def _later_term(self, now: int, source: NodeId, message: Message) -> None:
        leader: NodeId | None = None
        if message.term - self._replica.term > TERM_JUMP_MAX:
            self._replica.mark(marks.IMPLAUSIBLE_TERM)
            return
        match message:
            case PreVote():
                self._on_pre_vote(now, source, message)
                return
            case PreVoteReply(granted=True):
                self._on_pre_vote_reply(now, source, message)
                return
            case Vote():
                if self._is_disruptive(now, message):
                    return
            case Append() | Heartbeat() | SnapshotChunk() | TimeoutNow():
                leader = source
            case _ if source not in members(self._replica.memberships.current):
                return
        self._become_follower(now, message.term, leader)
        self._same_term[type(message)](now, source, message)

    def _earlier_term(self, now: int, source: NodeId, message: Message) -> None:
        """Tell the sender that its term is over; drop answers of an earlier term."""
        replica = self._replica
        reply: Message
        match message:
            case PreVote():
                self._on_pre_vote(now, source, message)
                return
            case Read():
                self._on_read(now, source, message)
                return
            case Vote():
                reply = VoteReply(replica.term, False)
            case Append():
                reply = AppendReject(replica.term, message.prev_index, Term(0), Index(replica.log.last + 1))
            case Heartbeat():
                reply = HeartbeatReply(replica.term, message.round)
            case SnapshotChunk():
                reply = SnapshotReply(replica.term, message.meta.index, message.offset, 0)
            case _:
                return
        replica.out.send_after.append((source, reply))

    # elections

    def _election_timeout(self, now: int) -> None:
        """No leader was heard for too long: campaign, or first ask whether that would help."""
        replica = self._replica
        promised = self._config.reads == "lease" and self._in_contact(now)
        if replica.applied < replica.commit:
            replica.mark(marks.ELECTION_BEFORE_APPLY)
        if self._role is Role.CANDIDATE:
            replica.mark(marks.ELECTION_TIMED_OUT)
        elif self._role is Role.PRE_CANDIDATE:
            replica.mark(marks.PRE_ELECTION_TIMED_OUT)
        if promised or not replica.memberships.may_lead(replica.node, replica.commit):
            if not promised:
                replica.mark(marks.ELECTION_OF_OUTSIDER)
            self._restart_election_timer(now)
        elif self._config.pre_vote:
            self._become_pre_candidate(now)
        else:
            self._become_candidate(now, transfer=False)

    def _become_pre_candidate(self, now: int) -> None:
        """Ask for votes in the next term without entering it (dissertation 9.6)."""
        replica = self._replica
        self._set_role(Role.PRE_CANDIDATE)
        self._set_leader(None)
        self._restart_election_timer(now)
        self._votes = {}
        request = PreVote(Term(replica.term + 1), replica.log.last, replica.log.last_term)
        self._ask_electorate(replica.out.send_now, request)
        self._count_vote(now, replica.node, True)

    def _become_candidate(self, now: int, *, transfer: bool) -> None:
        """Enter the next term, vote for oneself, and ask all other voters for theirs (section 5.2)."""
        replica = self._replica
        self._election_count += 1
        replica.adopt_term(Term(replica.term + 1))
        replica.cast_vote(replica.node)
        self._set_role(Role.CANDIDATE)
        self._set_leader(None)
        self._restart_election_timer(now)
        self._votes = {}
        request = Vote(replica.term, replica.log.last, replica.log.last_term, transfer)
        self._ask_electorate(replica.out.send_after, request)

    def _become_leader(self, now: int) -> None:
        replica = self._replica
        self._victory_count += 1
        self._mark_victory(replica)
        self._set_role(Role.LEADER)
        self._set_leader(replica.node)
        self._votes = {}
        self._election_at_ns = FAR_NS
        self._lead_as(Leader(replica, now))

    @staticmethod
    def _mark_victory(replica: Replica) -> None:
        log, memberships = replica.log, replica.memberships
        if log.durable < log.last:
            replica.mark(marks.WON_NOT_DURABLE)
        if log.last > replica.commit and log.term(Index(replica.commit + 1)) != log.last_term:
            replica.mark(marks.WON_SEVERAL_TERMS)
        if memberships.current.is_joint:
            replica.mark(marks.WON_IN_JOINT)
        if memberships.index > replica.commit:
            replica.mark(marks.WON_UNCOMMITTED_CONFIGURATION)
        if replica.node not in memberships.current.voters:
            replica.mark(marks.WON_LEAVING)

    def _become_follower(self, now: int, term: Term, leader: NodeId | None) -> None:
        """Follow in `term`. A vote already cast in that term stays cast."""
        replica = self._replica
        deposed = term > replica.term
        if deposed:
            replica.adopt_term(term)
        lead = self._lead
        if lead is not None:
            self._lead_as(None)
        self._set_role(Role.FOLLOWER)
        self._set_leader(leader)
        self._votes = {}
        if lead is not None:
            lead.step_down(leader, deposed=deposed)
            self._restart_election_timer(now)

    def _on_pre_vote(self, now: int, source: NodeId, message: PreVote) -> None:
        """Grant iff we too would accept a new election; nothing is promised, so nothing changes here.

        A refusal carries our term even to a node far behind: it adopts that, and its next question is a fair one.
        """
        replica = self._replica
        granted = (
            message.term > replica.term
            and replica.is_up_to_date(message.last_term, message.last_index)
            and not self._in_contact(now)
        )
        if not granted and message.term > replica.term:
            is_fit = replica.is_up_to_date(message.last_term, message.last_index)
            replica.mark(marks.PRE_VOTE_IN_CONTACT if is_fit else marks.PRE_VOTE_SHORTER_LOG)
        reply = PreVoteReply(message.term if granted else replica.term, granted)
        replica.out.send_now.append((source, reply))

    def _on_pre_vote_reply(self, now: int, source: NodeId, message: PreVoteReply) -> None:
        if self._role is not Role.PRE_CANDIDATE:
            return
        if message.granted and message.term != self._replica.term + 1:
            return
        self._count_vote(now, source, message.granted)

    def _on_vote(self, now: int, source: NodeId, message: Vote) -> None:
        """Vote at most once a term, and only for a log at least as complete as ours (section 5.2, 5.4.1).

        Members that only listen answer too: their promotion may be committed and unknown to them.
        """
        replica = self._replica
        if self._is_disruptive(now, message):
            return
        granted = replica.vote in (None, source) and replica.is_up_to_date(message.last_term, message.last_index)
        if granted:
            replica.cast_vote(source)
            self._extend_election_timer(now)
        else:
            replica.mark(marks.VOTE_SHORTER_LOG if replica.vote in (None, source) else marks.VOTE_GIVEN_AWAY)
        if replica.node in replica.memberships.current.learners:
            replica.mark(marks.VOTE_OF_LEARNER)
        replica.out.send_after.append((source, VoteReply(replica.term, granted)))

    def _on_vote_reply(self, now: int, source: NodeId, message: VoteReply) -> None:
        if self._role is Role.CANDIDATE:
            self._count_vote(now, source, message.granted)
        elif self._lead is None:
            self._replica.mark(marks.VOTE_LATE)

    def _on_timeout_now(self, now: int, source: NodeId, message: TimeoutNow) -> None:
        """The leader wants us to succeed it: campaign at once, past pre-votes and stickiness (dissertation 3.10)."""
        replica = self._replica
        if self._lead is None and replica.memberships.may_lead(replica.node, replica.commit):
            replica.mark(marks.ELECTION_BY_ORDER)
            self._become_candidate(now, transfer=True)
        else:
            replica.mark(marks.ORDER_IGNORED)

    def _count_vote(self, now: int, voter: NodeId, granted: bool) -> None:
        """Count a voter's first answer, and act when the election is decided."""
        self._votes.setdefault(voter, granted)
        result = tally(self._replica.memberships.current, self._votes)
        if result is Tally.LOST:
            self._replica.mark(marks.ELECTION_LOST)
            self._become_follower(now, self._replica.term, None)
        elif result is Tally.WON and self._role is Role.PRE_CANDIDATE:
            self._become_candidate(now, transfer=False)
        elif result is Tally.WON:
            self._become_leader(now)

    def _ask_electorate(self, outbox: list[tuple[NodeId, Any]], request: Message) -> None:
        replica = self._replica
        voters = electorate(replica.memberships.current)
        outbox.extend([(voter, request) for voter in voters if voter != replica.node])

    def _is_disruptive(self, now: int, message: Vote) -> bool:
        """Whether to ignore a candidate because there is a leader, which did not ask for this election.

        This holds in whatever term the leader was heard: a lease relies on the promise to grant no vote for a while.
        """
        if self._config.check_quorum and not message.transfer and self._in_contact(now):
            self._replica.mark(marks.VOTE_IN_CONTACT)
            return True
        return False

    def _in_contact(self, now: int) -> bool:
        """Whether a leader was heard within the minimal election timeout; a leader hears itself."""
        return self._lead is not None or now - self._contact_ns < self._config.election_timeout_min_ns

    # a leader's messages

    def _follow(self, now: int, source: NodeId) -> bool:
        """Take `source` for the leader of this term. False if that cannot be."""
        if self._role is not Role.FOLLOWER:
            if self._lead is not None:
                return False
            self._replica.mark(marks.CANDIDATE_FOLLOWS)
            self._become_follower(now, self._replica.term, source)
        elif self._leader != source:
            self._set_leader(source)
        self._contact_ns = now
        self._extend_election_timer(now)
        return True

    def _on_append(self, now: int, source: NodeId, message: Append) -> None:
        if self._follow(now, source):
            self._follower.on_append(source, message)

    def _on_heartbeat(self, now: int, source: NodeId, message: Heartbeat) -> None:
        if self._follow(now, source):
            self._follower.on_heartbeat(source, message)

    def _on_snapshot(self, now: int, source: NodeId, message: SnapshotChunk) -> None:
        if self._follow(now, source):
            self._follower.on_snapshot(source, message)

    # reads

    def _on_read(self, now: int, source: NodeId, message: Read) -> None:
        if self._lead is not None:
            self._lead.on_read(now, source, message)
        else:
            self._replica.mark(marks.FORWARDED_REFUSED)
            reply = ReadReply(self._replica.term, message.context, None)
            self._replica.out.send_after.append((source, reply))

    def _on_read_reply(self, now: int, source: NodeId, message: ReadReply) -> None:
        answers = self._replica.out.answer_after
        for tag in self._forwarded.answered(message.context):
            if message.index is None:
                answers.append(Refused(tag, "not-leader", self._leader))
            else:
                answers.append(ReadAt(tag, message.index))

    # bookkeeping

    def _set_role(self, role: Role) -> None:
        if role is not self._role:
            self._role = role
            self._replica.out.notes.append(("role", role.value, self._replica.term))

    def _set_leader(self, leader: NodeId | None) -> None:
        if leader != self._leader:
            self._leader = leader
            if self._forwarded.count:
                self._replica.mark(marks.FORWARDED_DRAINED)
                self._replica.out.answer_after += self._forwarded.drain(leader)

    def _restart_election_timer(self, now: int) -> None:
        """Begin a new timeout, freshly drawn; if none is in stock, the one offered next counts from now."""
        self._timeout_is_worn = self._offered_ns is None
        if self._offered_ns is not None:
            self._timeout_ns, self._offered_ns = self._offered_ns, None
        self._extend_election_timer(now)

    def _extend_election_timer(self, now: int) -> None:
        self._timer_began_ns = now
        self._election_at_ns = now + self._timeout_ns

    def _refuse(self, tag: Any) -> None:
        replica = self._replica
        known = replica.node in members(replica.memberships.current)
        reason = "not-leader" if known else "not-member"
        if not known:
            replica.mark(marks.REQUEST_TO_STRANGER)
        replica.out.answer_after.append(Refused(tag, reason, self._leader))

    def _ready(self, now: int) -> Ready:
        return self._idle if self._held else self._finish(now)

    def _finish(self, now: int) -> Ready:
        """Send what is due, close the `Ready`, and say when to wake."""
        lead, replica = self._lead, self._replica
        if lead is not None:
            if lead.has_news:
                lead.flush(now)
            if lead.resigned:
                self._become_follower(now, replica.term, None)
        elif self._forwarded.waiting and self._leader is not None:
            read = Read(replica.term, self._forwarded.ask(now))
            replica.out.send_now.append((self._leader, read))
        ready = replica.collect()
        if self._offered_ns is None:
            ready.wants_timeout = True
        ready.wake_at_ns = self._next_wake_ns()
        return ready

    def _nothing(self) -> Ready:
        """What an input gives from which nothing follows."""
        if self._held:
            return self._idle
        return Ready(wants_timeout=self._offered_ns is None, wake_at_ns=self._next_wake_ns())

    def _next_wake_ns(self) -> int:
        """When something is due next."""
        if self._lead is not None:
            return self._lead.next_wake_ns()
        wake_at = self._election_at_ns
        if self._forwarded.deadline_ns < wake_at:
            wake_at = self._forwarded.deadline_ns
        return wake_at


def _ignore(now: int, source: NodeId, message: Message) -> None:
    """An answer to a leader that leads no more."""
