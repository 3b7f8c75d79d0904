"""The transcript: what happened on the stage since one last looked, in lines for people."""

from __future__ import annotations

from typing import Any

from checkers.trace import Row
from harness.sim.network import Link
from harness.sim.world import SimWorld
from harness.systems.system import System


class _Remembering(dict[int, tuple[Link, str, bytes]]):
    """The messages that wait, which also remembers what every one of them said."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: dict[int, bytes] = {}

    def __setitem__(self, message: int, entry: tuple[Link, str, bytes]) -> None:
        self.frames[message] = entry[2]
        super().__setitem__(message, entry)


class Transcript:
    """Reads the world's trace, and keeps each node's log as its notes told it."""

    def __init__(self, world: SimWorld, system: System) -> None:
        self._world = world
        self._system = system
        self._waiting = world.network.waiting = _Remembering()
        self._read = 0  # rows that were turned into lines
        self._lines: list[str] = []
        self._logs: dict[str, dict[int, int]] = {name: {} for name in world.plan.replicas}
        self._applied: dict[str, int] = {}
        self._commits: dict[str, int] = {}

    def say(self, line: str) -> None:
        """Add a line, after what happened so far."""
        self._catch_up()
        self._lines.append(line)

    def take(self) -> list[str]:
        """The lines since the last call."""
        self._catch_up()
        lines, self._lines = self._lines, []
        return lines

    def describe(self, data: bytes) -> str:
        """A message in words."""
        return self._system.describe_frame(data)

    def show(self) -> None:
        """A table of all replicas."""
        self._catch_up()
        table = [("node", "role", "term", "vote", "log", "commit", "applied")]
        for name in self._world.plan.replicas:
            log = self._logs[name]
            terms = "".join(str(log[i]) + "," for i in sorted(log)).rstrip(",")
            first = f"{min(log)}:" if log and min(log) > 1 else ""
            commit, applied = self._commits.get(name, 0), self._applied.get(name, 0)
            seat = self._world.seats[name]
            if seat.server is None:
                state = ("down" if not seat.refused else f"refuses ({seat.refused})", "-", "-")
            else:
                status = seat.server.inspect()["g0"]
                state = (str(status["role"]), str(status["term"]), str(status["vote"] or "-"))
            table.append((name, *state, f"[{first}{terms}]", str(commit), str(applied)))
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table:
            self._lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def _catch_up(self) -> None:
        log = self._world.log
        fresh = log.kept[self._read :] + log.rows if self._read < log.base else log.rows[self._read - log.base :]
        for row in list(fresh):
            line = self._line(row)
            if line is not None:
                self._lines.append(line)
        self._read = log.index

    def _line(self, row: Row) -> str | None:
        kind, actor, fields = row[1], row[2], row[3:]
        teller = getattr(self, "_tell_" + kind.replace("-", "_"), None)
        return teller(actor, *fields) if teller is not None else None

    def _tell_start(self, actor: str, incarnation: int, code: str) -> str | None:
        if actor in self._logs:
            self._logs[actor] = {}
            self._commits.pop(actor, None)
            self._applied.pop(actor, None)
        return f"{actor} starts again" if incarnation > 1 else None

    def _tell_crash(self, actor: str, incarnation: int, reason: str) -> str:
        return f"{actor} crashes ({reason})"

    def _tell_refuse(self, actor: str, incarnation: int, reason: str) -> str:
        return f"{actor} refuses to start: {reason}"

    def _tell_role(self, actor: str, group: str, role: str, term: int) -> str:
        return f"{actor} {role} t{term}"

    def _tell_term(self, actor: str, group: str, term: int) -> str:
        return f"{actor} enters t{term}"

    def _tell_vote(self, actor: str, group: str, term: int, candidate: str) -> str:
        return f"{actor} votes for {candidate} in t{term}"

    def _tell_log_append(self, actor: str, group: str, first: int, entries: tuple[tuple[int, bytes], ...]) -> str:
        for index, (term, _) in enumerate(entries, first):
            self._logs[actor][index] = term
        terms = ",".join(str(term) for term, _ in entries)
        last = first + len(entries) - 1
        return f"{actor} appends {first} [{terms}]" if last == first else f"{actor} appends {first}..{last} [{terms}]"

    def _tell_log_truncate(self, actor: str, group: str, first: int) -> str:
        log = self._logs[actor]
        gone = [index for index in log if index >= first]
        for index in gone:
            del log[index]
        return f"{actor} truncates from {first}"

    def _tell_commit(self, actor: str, group: str, index: int) -> str:
        self._commits[actor] = index
        return f"{actor} commits {index}"

    def _tell_apply(self, actor: str, group: str, index: int, command: bytes, state: bytes) -> str | None:
        self._applied[actor] = index
        return None

    def _tell_config(self, actor: str, group: str, index: int, voters: Any, outgoing: Any, learners: Any) -> str | None:
        if not index:
            return None
        joint = f" from {','.join(outgoing)}" if outgoing else ""
        listening = f" learners {','.join(learners)}" if learners else ""
        return f"{actor} members {','.join(voters)}{joint}{listening}"

    def _tell_snapshot(self, actor: str, group: str, how: str, index: int, term: int, state: bytes) -> str:
        if how != "taken":
            log = self._logs[actor]
            gone = [i for i in log if i <= index] if log.get(index) == term else list(log)
            for i in gone:
                del log[i]
            self._applied[actor] = self._commits[actor] = index
        return f"{actor} snapshot {how} at {index} (t{term})"

    def _tell_send(self, actor: str, message: int, target: str, kind: str, size: int) -> str | None:
        frame = self._waiting.frames.get(message)
        return f"{actor}>{target} {self.describe(frame)}" if frame is not None else None

    def _tell_drop(self, actor: str, message: int, reason: str) -> str | None:
        return None if reason == "script" else f"lost on the way to {actor} ({reason})"

    def _tell_probe(self, actor: str, name: str, *_: Any) -> str | None:
        return f"{actor} ({name})" if "repair" in name or "torn" in name else None

    def _tell_op(self, _: str, op: tuple[Any, ...]) -> str | None:
        process, kind, f, key, value, error = op
        if kind == "invoke":
            return None
        what = " ".join(str(part) for part in (f, key, value) if part is not None)
        return f"client {process}: {what} -> {kind}" + (f" ({error})" if error else "")
