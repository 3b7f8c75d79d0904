"""The incremental invariants agree with a slow checker that keeps every state and scans all of it at every row."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.raft.invariants import Invariants

ACTORS = ("a", "b", "c")
Entries = tuple[tuple[int, bytes], ...]


class WholeStates:
    """Say, for each row, which properties the whole past breaks: logs are tuples, prefixes are compared whole."""

    def __init__(self) -> None:
        self.log: dict[str, Entries] = dict.fromkeys(ACTORS, ())
        self.disk: dict[str, Entries] = dict.fromkeys(ACTORS, ())
        self.safe: dict[str, int] = dict.fromkeys(ACTORS, 0)  # durable entries that no later truncation has touched
        self.role = dict.fromkeys(ACTORS, "follower")
        self.term = dict.fromkeys(ACTORS, 0)
        self.disk_term = dict.fromkeys(ACTORS, 0)
        self.commit = dict.fromkeys(ACTORS, 0)
        self.committed: Entries = ()
        self.committed_in: list[tuple[int, int]] = []  # (term of the reporter, length then)
        self.life = dict.fromkeys(ACTORS, 0)
        self.won: dict[int, tuple[str, int]] = {}
        self.winners: set[tuple[str, int]] = set()
        self.prefixes: list[Entries] = [()]  # every log prefix that ever existed
        self.broken: dict[str, int] = {}

    def observe(self, index: int, kind: str, actor: str, *fields: Any) -> None:
        before = dict(self.disk)
        broken: set[str] = getattr(self, kind.replace("-", "_"))(actor, *fields) or set()
        if before != self.disk and self._lost(before, actor):
            broken.add("committed-on-quorum")
        for what in broken:
            self.broken.setdefault(what, index)

    def _holders(self) -> int:
        size = len(self.committed)
        return sum(self.disk[actor][:size] == self.committed for actor in ACTORS)

    def _lost(self, before: dict[str, Entries], actor: str) -> bool:
        size = len(self.committed)
        return before[actor][:size] == self.committed != self.disk[actor][:size] and self._holders() < 2

    def term_(self, actor: str, term: int) -> set[str]:
        broken = {"term-monotone"} if term < self.term[actor] else set()
        self.term[actor] = term
        return broken

    def role_(self, actor: str, role: str, term: int) -> set[str]:
        broken = self.term_(actor, term)
        if role == "leader":
            winner = (actor, self.life[actor])
            self.winners.add((actor, term))
            if self.won.setdefault(term, winner) != winner:
                broken.add("election-safety")
            due = max((size for earlier, size in self.committed_in if earlier < term), default=0)
            if self.log[actor][:due] != self.committed[:due]:
                broken.add("leader-completeness")
        self.role[actor] = role
        return broken

    def log_append(self, actor: str, entries: Entries) -> set[str]:
        broken = set()
        if self.role[actor] == "leader" and (actor, self.term[actor]) not in self.winners:
            broken.add("leader-append-only")
        for term, digest in entries:
            log = self.log[actor]
            grown = (*log, (term, digest))
            rivals = [other for other in self.prefixes if len(other) == len(grown) and other[-1][0] == term]
            if grown not in self.prefixes and rivals:
                broken.add("payload-reuse" if rivals[0][-1][1] != digest else "log-matching")
            if self.role[actor] == "leader" and term != self.term[actor]:
                broken.add("leader-append-only")
            if term > self.term[actor] and (term, digest) == entries[-1]:
                broken.add("term-monotone")
            if log and grown not in self.prefixes and log[-1][0] > term:
                broken.add("term-monotone")
            self.log[actor] = grown
            if grown not in self.prefixes:
                self.prefixes.append(grown)
        return broken

    def log_truncate(self, actor: str, keep: int) -> set[str]:
        if keep >= len(self.log[actor]):
            return set()
        broken = {"leader-append-only"} if self.role[actor] == "leader" else set()
        if keep < self.commit[actor]:
            broken.add("commit-monotone")
        self.log[actor] = self.log[actor][:keep]
        self.safe[actor] = min(self.safe[actor], keep)
        return broken

    def commit_(self, actor: str, commit: int) -> set[str]:
        before = self.commit[actor]
        if commit == before:
            return set()
        if commit < before:
            return {"commit-monotone"}
        self.commit[actor] = commit
        log = self.log[actor]
        if commit > len(log):
            return {"commit-bound"}
        agreed = min(commit, len(self.committed))
        if log[:agreed] != self.committed[:agreed]:
            return {"state-machine-safety"}
        leads = self.role[actor] == "leader"
        broken = {"own-term-commit"} if leads and log[commit - 1][0] != self.term[actor] else set()
        if commit > agreed:
            self.committed = log[:commit]
            self.committed_in.append((self.term[actor], commit))
            if not leads:
                broken.add("commit-bound")
            if self._holders() < 2:
                broken.add("committed-on-quorum")
            for other in ACTORS:
                later = self.role[other] == "leader" and self.term[other] > self.term[actor]
                if later and self.log[other][:commit] != self.committed:
                    broken.add("leader-completeness")
        return broken

    def fsync(self, actor: str, last: int) -> None:
        self.disk[actor] = self.log[actor][:last]
        self.safe[actor] = len(self.disk[actor])
        self.disk_term[actor] = self.term[actor]

    def restart(self, actor: str, kept: int) -> set[str]:
        """Recover the first `kept` entries of what memory held."""
        recovered = self.log[actor][:kept]
        safe = self.disk[actor][: self.safe[actor]]
        forgets = recovered[: len(safe)] != safe or self.term[actor] < self.disk_term[actor]
        broken = {"durable-ack"} if forgets else set()
        self.disk_term[actor] = self.term[actor]
        self.log[actor] = self.disk[actor] = recovered
        self.safe[actor] = kept
        self.role[actor], self.commit[actor] = "follower", 0
        self.life[actor] += 1
        return broken

    def feed(self, index: int, row: tuple[Any, ...]) -> None:
        kind, actor, *fields = row
        self.observe(index, {"term": "term_", "role": "role_", "commit": "commit_"}.get(kind, kind), actor, *fields)


@st.composite
def traces(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Rows that are loosely Raft's: appends are contiguous, all else may be wrong."""
    sizes = dict.fromkeys(ACTORS, 0)
    terms = dict.fromkeys(ACTORS, 0)
    rows: list[tuple[Any, ...]] = []
    kinds = st.sampled_from(
        ["term", "role", "log-append", "log-append", "fsync", "fsync", "commit", "commit", "cut", "restart"]
    )
    for _ in range(draw(st.integers(1, 30))):
        actor, kind = draw(st.sampled_from(ACTORS)), draw(kinds)
        size = sizes[actor]
        if kind in ("term", "role"):
            term = terms[actor] = max(0, terms[actor] + draw(st.sampled_from([0, 1, 1, 1, -1])))
            rows.append(
                (kind, actor, term)
                if kind == "term"
                else (kind, actor, draw(st.sampled_from(["leader", "follower"])), term)
            )
        elif kind == "log-append":
            entry = st.tuples(
                st.sampled_from([terms[actor], terms[actor], max(0, terms[actor] - 1)]),
                st.sampled_from([b"x", b"x", b"y"]),
            )
            entries = tuple(draw(st.lists(entry, min_size=1, max_size=2)))
            sizes[actor] += len(entries)
            rows.append((kind, actor, entries))
        elif kind == "cut" and size:
            sizes[actor] = draw(st.integers(0, size - 1))
            rows.append(("log-truncate", actor, sizes[actor]))
        elif kind == "restart":
            sizes[actor] = draw(st.integers(0, size))
            rows.append((kind, actor, sizes[actor]))
        elif kind in ("fsync", "commit"):
            rows.append((kind, actor, draw(st.integers(0, size + (kind == "commit")))))
    return rows


def incremental(rows: list[tuple[Any, ...]]) -> dict[str, int]:
    """Translate the rows into trace rows, keeping one index a row, and say where each kind was first broken."""
    invariants = Invariants({"g0": ACTORS})
    logs: dict[str, list[tuple[int, bytes]]] = {actor: [] for actor in ACTORS}
    terms = dict.fromkeys(ACTORS, 0)
    for actor in ACTORS:
        invariants.observe(-1, (0, "role", actor, "g0", "follower", 0))
        invariants._durability.close_recovery(-1, invariants._replicas["g0", actor])
    for index, (kind, actor, *fields) in enumerate(rows):
        log, time_ns = logs[actor], index + 1
        if kind == "log-append":
            fields = [len(log) + 1, fields[0]]
            log.extend(fields[1])
        elif kind == "log-truncate":
            del log[fields[0] :]
            fields = [fields[0] + 1]
        elif kind in ("term", "role"):
            terms[actor] = fields[-1]
        if kind == "fsync":
            invariants.observe(index, (time_ns, kind, actor, 1, (("g0", fields[0], terms[actor], None),)))
        elif kind == "restart":
            del log[fields[0] :]
            invariants.observe(index, (time_ns, "start", actor, 2, "default"))
            invariants.observe(index, (time_ns, "role", actor, "g0", "follower", terms[actor]))
            if log:
                invariants.observe(index, (time_ns, "log-append", actor, "g0", 1, tuple(log)))
            invariants.finish(index)
        else:
            invariants.observe(index, (time_ns, kind, actor, "g0", *fields))
    return {anomaly.kind: anomaly.index for anomaly in invariants.anomalies if anomaly.index is not None}


@settings(max_examples=400, deadline=None)
@given(traces())
def test_incremental_and_whole_state_checking_agree(rows: list[tuple[Any, ...]]) -> None:
    states = WholeStates()
    for index, row in enumerate(rows):
        states.feed(index, row)

    assert incremental(rows) == states.broken
