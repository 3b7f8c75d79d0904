"""The commands of scenarios: what each does to the simulated world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from checkers.verdict import Anomaly, Verdict
from harness.errors import BadInput
from harness.sim.host import SimHost
from harness.sim.kernel.events import FAR
from harness.sim.process import SimProcess
from harness.sim.world import SimWorld
from harness.systems.system import System

from .language import REPLAY, duration_ns, read_terms, settings, whole
from .plan import GROUP
from .transcript import Transcript

More = Callable[[], bool]
"""Continues a command in another round; False when there is nothing left to do."""


class Commands:
    """Executes commands. Each takes its words and its place in the file; names that do not exist raise BadInput."""

    def __init__(self, world: SimWorld, system: System, transcript: Transcript, judge: Callable[[], Verdict]) -> None:
        self._world = world
        self._system = system
        self._transcript = transcript
        self._judge = judge

    def done_before(self, words: Sequence[str], where: str) -> None:
        """The commands that describe the plan and the disks took effect before the nodes started."""

    def preset(self, words: Sequence[str], where: str) -> None:
        """Write what the disk of a node holds before it starts."""
        named = settings(words[1:], ("term", "vote", "log"), where)
        host = self._host(words[0], where)
        term, terms = whole(named.get("term", "0"), where), read_terms(named.get("log", ""), where)
        vote = named.get("vote")
        host.device.write_now(lambda disk: self._system.prepare_disk(disk, GROUP, term=term, vote=vote, terms=terms))

    # Time.

    def timer(self, words: Sequence[str], where: str) -> None:
        """Move an actor's clock to its next deadline."""
        process = self.running(words[0], where)
        if process is None:
            return
        if process.timer.deadline_ns >= FAR:
            raise BadInput(f"{words[0]} waits for no time", "an actor with a timer", where)
        self._advance(words[0], max(0, process.timer.deadline_ns - process.clock.monotonic_ns()), where)

    def advance(self, words: Sequence[str], where: str) -> None:
        """Move the clocks of some actors, or of all that are up."""
        names = words[0].split(",") if words[0] != "*" else [n for n, host in self._world.hosts.items() if host.is_up]
        for name in names:
            self._advance(name, duration_ns(words[1], where), where)

    def _advance(self, name: str, span_ns: int, where: str) -> None:
        process = self.running(name, where)
        if process is not None:
            self._world.hosts[name].clock.advance(span_ns)
            process.timer.clock_moved()

    # Messages.

    def deliver(self, words: Sequence[str], where: str) -> More:
        """Deliver messages that wait now, each once."""
        return self._one_by_one(self._matching(words, where), again=False)

    def again(self, words: Sequence[str], where: str) -> More:
        """Deliver messages and keep them, to be delivered once more."""
        return self._one_by_one(self._matching(words, where), again=True)

    def _one_by_one(self, messages: list[int], *, again: bool) -> More:
        """Deliver a message a round, so that what it causes is over before the next one arrives."""
        coming = iter(messages)

        def deliver_next() -> bool:
            message = next(coming, None)
            return message is not None and self._world.network.deliver_now(message, again=again)

        return deliver_next

    def drop(self, words: Sequence[str], where: str) -> None:
        """Drop messages that wait now."""
        for message in self._matching(words, where):
            self._world.network.drop_now(message)

    def settle(self, words: Sequence[str], where: str) -> More:
        """Deliver the oldest message until none waits, between all nodes or some."""
        names = [self._host(word, where).name for word in words]

        def deliver_oldest() -> bool:
            for message, (link, _, _) in self._world.network.waiting.items():
                if not names or (link.source in names and link.target.name in names):
                    return self._world.network.deliver_now(message)
            return False

        return deliver_oldest

    def cut(self, words: Sequence[str], where: str) -> None:
        """Cut links both ways, or one way."""
        one_way = ">" in words
        if not one_way and "|" not in words:
            raise BadInput(f"cut {' '.join(words)}", "`cut A B | C`, or `cut A > B` for one direction", where)
        middle = words.index(">" if one_way else "|")
        left, right = (
            [self._host(word, where).name for word in part] for part in (words[:middle], words[middle + 1 :])
        )
        edges = [(a, b) for a in left for b in right]
        if not one_way:
            edges += [(b, a) for a, b in edges]
        self._world.network.cut("script", tuple(edges))

    def lie(self, words: Sequence[str], where: str) -> None:
        """Turn round what a node answers from now on."""
        name = self._host(words[0], where).name
        self._world.network.lie("script", tuple((name, other) for other in self._world.plan.nodes if other != name))

    def mend(self, words: Sequence[str], where: str) -> None:
        """Mend every link."""
        self._world.network.mend("script")

    def waiting(self, words: Sequence[str], where: str) -> None:
        """List the messages that wait."""
        for line in self._transcript.waiting():
            self._transcript.say(line)

    def _matching(self, words: Sequence[str], where: str) -> list[int]:
        """The messages that `all`, or `A,B>C [kind] [count]`, means; oldest first."""
        waiting = self._world.network.waiting
        if list(words) == ["all"]:
            return list(waiting)
        sources, arrow, targets = words[0].partition(">")
        if not arrow:
            raise BadInput(f"{words[0]!r}", "a link, such as A>B, or `all`", where)
        rest = list(words[1:])
        count = int(rest.pop()) if rest and rest[-1].isdecimal() else None
        kind = rest.pop() if rest else None
        found = [
            message
            for message, (link, word, _) in waiting.items()
            if _is_among(link.source, sources) and _is_among(link.target.name, targets) and kind in (None, word)
        ]
        if rest:
            raise BadInput(f"{' '.join(words)}", "a link, a kind of message, and how many", where)
        if len(found) < (count or 1):
            self._transcript.say(f"no {' '.join(words)} waits")
        return found[:count]

    # Processes and disks.

    def crash(self, words: Sequence[str], where: str) -> None:
        """Kill a node, or cut its power."""
        if self.running(words[0], where) is None:
            return
        power = words[1:2] == ("power",)
        self._world.crash(words[0], power=False, reason="power" if power else "kill")
        if power:
            host = self._world.hosts[words[0]]
            host.device.disk.cut_power(whole(words[2], where) if len(words) > 2 else 0)
            host.device.reread()

    def restart(self, words: Sequence[str], where: str) -> None:
        """Start a node again."""
        host = self._host(words[0], where)
        if host.is_up:
            self._transcript.say(f"{words[0]} is up")
        host.refused = ""
        self._world.start(words[0])

    def hold_disk(self, words: Sequence[str], where: str) -> None:
        """Keep a node's fsyncs from completing."""
        self._host(words[0], where).device.hold()

    def free_disk(self, words: Sequence[str], where: str) -> None:
        """Let held fsyncs complete: all of them, or those under way."""
        self._host(words[0], where).device.release(once=words[1:2] == ("once",))

    def flip(self, words: Sequence[str], where: str) -> None:
        """Flip the lowest bit of a byte of a file."""
        name, file, byte = words
        try:
            self._host(name, where).device.disk.flip(file, whole(byte, where))
        except FileNotFoundError:
            raise BadInput(f"file {file!r}", f"one of those that `files {name}` lists", where) from None

    def files(self, words: Sequence[str], where: str) -> None:
        """List the files on a node's disk with their sizes."""
        disk = self._host(words[0], where).device.disk
        for name in disk.names():
            self._transcript.say(f"{words[0]} {name} {len(disk.read(name))} bytes")

    # Administrators.

    def campaign(self, words: Sequence[str], where: str) -> None:
        """Order a node to campaign."""
        self._administer(words[0], "campaign", where)

    def compact(self, words: Sequence[str], where: str) -> None:
        """Order a node to take a snapshot."""
        self._administer(words[0], "compact", where)

    def transfer(self, words: Sequence[str], where: str) -> None:
        """Order a leader to transfer its leadership."""
        self._administer(words[0], "transfer", where, target=self._host(words[1], where).name)

    def change(self, words: Sequence[str], where: str) -> None:
        """Order a leader to change the membership."""
        named = settings(words[1:], ("voters", "learners"), where)
        voters, learners = (
            tuple(self._host(name, where).name for name in named.get(role, "").split(",") if name)
            for role in ("voters", "learners")
        )
        self._administer(words[0], "change", where, voters=voters, learners=learners)

    def _administer(self, node: str, command: str, where: str, **arguments: Any) -> None:
        if self.running(node, where) is None:
            return
        if not self._world.command(node, GROUP, command, arguments):
            self._transcript.say(f"{node} refuses to {command}")

    # Looking.

    def show(self, words: Sequence[str], where: str) -> None:
        """Print a table of all nodes."""
        self._transcript.show()

    def progress(self, words: Sequence[str], where: str) -> None:
        """Print a table of what a leader knows of its followers."""
        if self.running(words[0], where) is not None:
            self._transcript.show_progress(words[0])

    def expect(self, words: Sequence[str], where: str) -> None:
        """Judge what has happened so far, and print what is wrong with it."""
        if not words:
            raise BadInput("no signature", "those of the anomalies that this scenario shows", where)
        for anomaly in self._judge().anomalies:
            self._transcript.say(f"{anomaly.signature}: {_first_sentence(anomaly)}")

    # Actors.

    def _host(self, name: str, where: str) -> SimHost:
        host = self._world.hosts.get(name)
        if host is None:
            raise BadInput(f"actor {name!r}", "one of " + ", ".join(self._world.hosts), where)
        return host

    def running(self, name: str, where: str) -> SimProcess | None:
        """The process of an actor; None, with a line in the transcript, when it is down."""
        process = self._host(name, where).process
        if process is None:
            self._transcript.say(f"{name} is down")
        return process


Command = Callable[[Commands, Sequence[str], str], More | None]

COMMANDS: Final[dict[str, Command]] = {
    "nodes": Commands.done_before,
    REPLAY: Commands.done_before,
    "spare": Commands.done_before,
    "preset": Commands.done_before,
    "timer": Commands.timer,
    "advance": Commands.advance,
    "deliver": Commands.deliver,
    "again": Commands.again,
    "drop": Commands.drop,
    "settle": Commands.settle,
    "cut": Commands.cut,
    "mend": Commands.mend,
    "lie": Commands.lie,
    "waiting": Commands.waiting,
    "crash": Commands.crash,
    "restart": Commands.restart,
    "hold-disk": Commands.hold_disk,
    "free-disk": Commands.free_disk,
    "flip": Commands.flip,
    "files": Commands.files,
    "campaign": Commands.campaign,
    "compact": Commands.compact,
    "transfer": Commands.transfer,
    "change": Commands.change,
    "show": Commands.show,
    "progress": Commands.progress,
    "expect": Commands.expect,
}
"""Every command but `quietly` and the ops of clients."""


def _is_among(name: str, wanted: str) -> bool:
    return wanted == "*" or name in wanted.split(",")


def _first_sentence(anomaly: Anomaly) -> str:
    """What is wrong, without the numbers of this very trace."""
    return anomaly.message.partition(". ")[0].partition("\n")[0].rstrip(".")
