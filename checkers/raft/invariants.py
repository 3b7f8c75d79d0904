"""Raft's safety, judged at every event of the trace.

`Invariants` is fed one trace row at a time and collects an `Anomaly` at the very row where a violation became certain.
It believes no replica about the others: what a replica says of itself (`role`, `term`, `vote`, `log-append`, ...) is
compared with what all replicas ever said, and with what the disk model says is durable (`fsync` rows).

What is judged
--------------
The five properties of Figure 3 of the Raft paper (Ongaro and Ousterhout, USENIX ATC 2014): `election-safety`,
`leader-append-only`, `log-matching`, `leader-completeness`, `state-machine-safety`. Then what they rest on:

* `state-digest`: equal applied index means equal state digest, on every replica and every version of the code.
* `payload-reuse`: no (index, term) is ever seen with two payloads, in any log at any time, even in two logs that never
  exist together. It finds re-used indexes that checks of the present state cannot see.
* `own-term-commit`: a leader commits by counting replicas only at an entry of its own term (section 5.4.2, Figure 8).
* `term-monotone`, `commit-monotone`, `commit-bound`, `apply-order`: indexes and terms never go back within one
  incarnation of a replica; applied <= commit <= last; a follower never commits what no leader has committed.
* `vote-once`: one vote a term, also across restarts once the vote was durable.
* `elected-on-quorum`: a leader's votes are durable on a majority when it takes office; judged in groups of which the
  disk model has ever reported a vote.
* `durable-ack`: after a restart, term, vote and log are at least what the disk model reported durable.
* `committed-on-quorum`: the committed prefix is on a durable quorum, when it is committed and ever after.
* `one-config`: at most one uncommitted configuration in a log; voters change at once only where majorities overlap, and
  behind an entry of the leader's own term.
* `in-force`: the configuration that a replica uses is the latest in its own log, as the disks show it; who wins an
  election has a vote in it or in one that may still replace it (`elected-outside`), and a leader that has committed a
  configuration without itself appends no more (`leads-outside`).
* `wire-pre-vote`, `wire-append`, and `wire-vote/refused`: what arrived is answered by the rules, and never forgotten.
* `wire-term`, `wire-vote`, `wire-ack`, `wire-leader`, `wire-commit`, `wire-snapshot`: what nodes say to each other
  agrees with their disks when it leaves, with what others hold, and with what is noted.

Where it is judged
------------------
`rules/` has the rules by what they are about: `elections`, `log`, `configurations`, `commits`, `durability`. They share
one `ledger`, the record of what was said of groups, logs and disks, and one place for what was found (`findings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from checkers.trace import Row
from checkers.verdict import Verdict

from .findings import Findings
from .ledger import Group, Replicas
from .rules.commits import Commits
from .rules.configurations import Configurations
from .rules.durability import Durability
from .rules.elections import Elections
from .rules.log import LogRules
from .rules.questions import Questions
from .rules.wire import Wire

Handler = Callable[[int, Row], None]
Arrival = Callable[[int, str, str, str, int, Any, bool], None]

LAST_STEP_ROWS: Final = 1_000
"""More rows than one step makes. Of a run that ended within one, its notes may be missing."""


class Invariants:
    """Judge the safety of every group, event by event.

    `HANDLERS` maps each kind of row that matters to a bound method, so that a caller with its own dispatch never pays
    for the others. `anomalies` holds the first violation of each kind in each group, in order of discovery; `counts`
    says how often each (group, kind) was violated.

    With `durable_facts=False` nothing is concluded from `fsync` rows: for worlds that cannot look below a replica.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        *,
        learners: Mapping[str, Sequence[str]] | None = None,
        durable_facts: bool = True,
    ) -> None:
        """`groups` are the initial voters of each group, `learners` its initial learners, if it has any."""
        findings = Findings()
        listening = learners or {}
        replicas = Replicas({name: Group(name, voters, listening.get(name, ())) for name, voters in groups.items()})
        durability = Durability(replicas, findings, durable_facts=durable_facts)
        configurations = Configurations(replicas, findings, durability)
        durability.on_configs = configurations.on_durable
        elections = Elections(replicas, findings, durability, configurations)
        log = LogRules(replicas, findings, durability)
        commits = Commits(replicas, findings, durability, elections, configurations)
        self.anomalies = findings.anomalies
        self.counts = findings.counts
        self.HANDLERS: Final[dict[str, Handler]] = {
            "start": durability.on_start,
            "stop": durability.on_end,
            "crash": durability.on_end,
            "role": elections.on_role,
            "term": elections.on_term,
            "vote": elections.on_vote,
            "log-append": log.on_log_append,
            "log-truncate": log.on_log_truncate,
            "config": configurations.on_config,
            "snapshot": log.on_snapshot,
            "commit": commits.on_commit,
            "apply": commits.on_apply,
            "fsync": durability.on_fsync,
        }
        self._replicas = replicas
        self._durability = durability
        questions = Questions(replicas, findings)
        self._wire = Wire(replicas, findings, durability, questions)
        self.on_send = self._wire.on_send
        """What a message says that carries a promise, as it is sent: (row, source, target, group, kind, term, said)."""
        self.on_arrival: Final[Mapping[str, Arrival]] = {
            "vote": questions.on_vote_asked,
            "pre-vote": questions.on_pre_vote_asked,
            "append-reply": questions.on_acknowledged,
        }
        """By kind, of messages of which it matters that they arrive as they were sent: the same without the kind, and
        whether the target is slow, and reads it later than what comes when it is not."""

    def observe(self, index: int, row: Row) -> None:
        """Judge the trace row at position `index`; kinds that say nothing of Raft are ignored."""
        handler = self.HANDLERS.get(row[1])
        if handler is not None:
            handler(index, row)

    def progress(self, group: str, actor: str) -> tuple[int, int, bytes]:
        """What a replica said in this incarnation: (committed up to, applied up to, digest of its state there)."""
        replica = self._replicas.get((group, actor))
        return (replica.commit, replica.applied, replica.state) if replica is not None else (0, 0, b"")

    def term(self, group: str, actor: str) -> int:
        """The term that a replica has entered, or the one on its disk while it has not said any since its start."""
        replica = self._replicas.get((group, actor))
        return max(replica.term, replica.disk.term) if replica is not None else 0

    def finish(self, index: int) -> None:
        """Close what waits for a next row: recoveries that were still going on when the trace ended at `index`.

        What messages said is asked of the notes now; of the last step, whose notes may be missing, it is not.
        """
        for replica in self._replicas.values():
            if replica.recovering and replica.recovered_at is not None:
                self._durability.close_recovery(index, replica)
        self._wire.finish(index - LAST_STEP_ROWS)

    def release(self) -> None:
        """Give up every entry that was seen, some 90 bytes each at five nodes; for after `finish`.

        What was found stays, and so do `progress` and `term`. A row that is judged later raises AttributeError.
        """
        self._replicas.release()

    def verdict(self) -> Verdict:
        """Say what was found so far."""
        return Verdict(
            validity="invalid" if self.anomalies else "valid",
            checker="raft",
            engine="incremental",
            anomalies=tuple(self.anomalies),
            details={"counts": {f"{group}/{kind}": count for (group, kind), count in self.counts.items()}},
        )
