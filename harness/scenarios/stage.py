"""The stage: runs a scenario on the simulated world, with stopped clocks and a network that waits.

Each command is one event of the kernel, and all that it causes at that instant (fsyncs that complete at once, answers
to clients) happens before the next one. What happened is read from the trace, so a transcript shows what the log of
any run shows, and the invariants that judge a run judge a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from checkers import History, check
from checkers.verdict import Anomaly, Verdict, merge
from harness.errors import BadInput
from harness.sim.host import SimHost
from harness.sim.kernel.events import FAR
from harness.sim.process import SimProcess
from harness.sim.world import SimWorld
from harness.systems.system import System

from .cast import GROUP, plan_of
from .clients import ScriptedClient
from .language import QUIETLY, Script, Step, duration_ns, read_terms, settings, whole
from .picture import NodePicture
from .transcript import Transcript

_STEP_NS: Final = 1_000_000
_ROUNDS_MAX: Final = 5_000
"""More messages than any exchange that comes to an end takes; nodes that talk for ever end here."""

_NEVER_QUIET: Final = ("nodes", "spare", "preset", "expect", QUIETLY)

More = Callable[[], bool]
"""Continues a command in another round; False when there is nothing left to do."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The stage when a command was over: every replica, and the messages that wait."""

    nodes: list[NodePicture]
    waiting: list[str]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario did: a transcript and a last scene for each command, and the verdict over all of it."""

    script: Script
    transcripts: list[list[str]]
    scenes: list[Scene]
    verdict: Verdict

    @property
    def reads_as_expected(self) -> bool:
        """Whether every transcript is the one in the file."""
        return [list(step.expected) for step in self.script.steps] == self.transcripts

    @property
    def violations(self) -> tuple[str, ...]:
        """The signatures that were found, sorted."""
        return tuple(sorted({anomaly.signature for anomaly in self.verdict.anomalies}))

    @property
    def is_judged_as_expected(self) -> bool:
        """Whether the verdict is valid, or shows exactly the violations that the script expects."""
        decided = self.verdict.validity != "unknown"
        return decided and self.violations == self.script.violations


def perform(script: Script, system: System) -> Result:
    """Run a scenario. Raises BadInput for a command without sense."""
    stage = Stage(script, system)
    stage.run()
    return Result(script=script, transcripts=stage.transcripts, scenes=stage.scenes, verdict=stage.verdict())


class Stage:
    """One scenario on its way. A method `_do_x` is the command `x`."""

    def __init__(self, script: Script, system: System) -> None:
        self.script = script
        self.transcripts: list[list[str]] = [[] for _ in script.steps]
        self.scenes: list[Scene] = []
        self._system = system
        self._plan = plan_of(script, system)
        self._world = SimWorld(self._plan, {"default": system}, keep_rows=True, manual=True)
        self._transcript = Transcript(self._world, system)
        self._clients = {
            name: ScriptedClient(name, self._plan, system, self._world.recorder) for name in self._plan.clients
        }
        self._next_step = 0
        self._error: BadInput | None = None
        for host in self._world.hosts.values():
            host.clock.stop(0)
        for name, client in self._clients.items():
            self._world.entrypoints[name] = client.live
        for step in script.steps:
            if step.words[0] == "preset":
                self._guarded(step, self._preset)

    def run(self) -> None:
        """From the first command to the last."""
        kernel = self._world.kernel
        self._world.run(lambda: kernel.exactly(_STEP_NS, self._perform_next))
        if self._error is not None:
            raise self._error

    def verdict(self) -> Verdict:
        """Invariants, crashes of code, and the clients' history."""
        world = self._world
        world.invariants.finish(world.log.index)
        anomalies = tuple(world.invariants.anomalies + world.node_anomalies)
        judged = Verdict(validity="invalid" if anomalies else "valid", checker="raft", anomalies=anomalies)
        history = History(tuple(world.recorder.history))
        return merge([judged, check(history, self._plan.check.model)])

    # -- one command after the other ------------------------------------------------------------------------------

    def _perform_next(self, _: None) -> None:
        kernel = self._world.kernel
        told = self._transcript.take()
        if self._next_step:
            self.scenes.append(Scene(nodes=self._transcript.pictures(), waiting=self._transcript.waiting()))
            if self.script.steps[self._next_step - 1].words[0] != QUIETLY:
                self.transcripts[self._next_step - 1] += told
        if self._next_step == len(self.script.steps):
            kernel.stop("done")
            return
        step = self.script.steps[self._next_step]
        self._next_step += 1
        try:
            more = self._perform(step)
        except BadInput as error:
            self._error = error
            kernel.stop("bad input")
            return
        if more is not None:
            kernel.exactly(kernel.now + 1_000, self._go_on, (more, 0))
        else:
            kernel.exactly(kernel.now + _STEP_NS, self._perform_next)

    def _go_on(self, argument: tuple[More, int]) -> None:
        """Repeat a command that takes several rounds, each after what the last one caused."""
        more, rounds = argument
        kernel = self._world.kernel
        if rounds == _ROUNDS_MAX:
            self._transcript.say(f"no end after {rounds} messages")
        elif more():
            kernel.exactly(kernel.now + 1_000, self._go_on, (more, rounds + 1))
            return
        kernel.exactly(kernel.now + _STEP_NS, self._perform_next)

    def _perform(self, step: Step) -> More | None:
        if step.words[0] == QUIETLY:
            if step.actor_or_verb in _NEVER_QUIET:
                raise BadInput(f"`{step.text}`", "quietly before a command that moves something", self._where(step))
            step = msgspec.structs.replace(step, words=step.words[1:])
        client = self._clients.get(step.words[0])
        if client is not None:
            client.ask(step.words[1:], self._where(step))
            environment = self._process(client.name, self._where(step))
            if environment is not None:
                environment.deliver("script", b"")
            return None
        action = getattr(self, "_do_" + step.words[0].replace("-", "_"), None)
        if action is None:
            raise BadInput(
                f"command {step.words[0]!r}", "one of those in harness/scenarios/__init__.py", self._where(step)
            )
        return self._guarded(step, action)

    def _guarded(self, step: Step, action: Callable[[Sequence[str], str], More | None]) -> More | None:
        """Carry out a command. What its words do not fit is the script's fault."""
        try:
            return action(step.words[1:], self._where(step))
        except (IndexError, KeyError) as error:
            found = f"`{step.text}` ({error})"
            raise BadInput(found, "the names and words that this command takes", self._where(step)) from None

    def _where(self, step: Step) -> str:
        return f"{self.script.name}:{step.line}"

    # -- the first commands: the plan was made from them -------------------------------------------------------------

    def _do_nodes(self, words: Sequence[str], where: str) -> None:
        """Done."""

    def _do_spare(self, words: Sequence[str], where: str) -> None:
        """Done."""

    def _do_preset(self, words: Sequence[str], where: str) -> None:
        """Done before anybody started."""

    def _preset(self, words: Sequence[str], where: str) -> None:
        named = settings(words[1:], ("term", "vote", "log"), where)
        host = self._host(words[0], where)
        term, terms = whole(named.get("term", "0"), where), read_terms(named.get("log", ""), where)
        vote = named.get("vote")
        host.device.write_now(lambda disk: self._system.prepare_disk(disk, GROUP, term=term, vote=vote, terms=terms))

    # -- time -----------------------------------------------------------------------------------------------------

    def _do_timer(self, words: Sequence[str], where: str) -> None:
        process = self._process(words[0], where)
        if process is None:
            return
        deadline_ns = process.timer.deadline_ns
        if deadline_ns >= FAR:
            raise BadInput(f"{words[0]} waits for no time", "an actor with a timer", where)
        self._advance(words[0], max(0, deadline_ns - process.clock.monotonic_ns()), where)

    def _do_advance(self, words: Sequence[str], where: str) -> None:
        names = words[0].split(",") if words[0] != "*" else [n for n, host in self._world.hosts.items() if host.is_up]
        for name in names:
            self._advance(name, duration_ns(words[1], where), where)

    def _advance(self, name: str, span_ns: int, where: str) -> None:
        process = self._process(name, where)
        if process is not None:
            self._world.hosts[name].clock.advance(span_ns)
            process.timer.clock_moved()

    # -- messages -------------------------------------------------------------------------------------------------

    def _do_deliver(self, words: Sequence[str], where: str) -> More:
        return self._one_by_one(self._matching(words, where), again=False)

    def _do_again(self, words: Sequence[str], where: str) -> More:
        return self._one_by_one(self._matching(words, where), again=True)

    def _one_by_one(self, messages: list[int], *, again: bool) -> More:
        """Deliver a message a round, so that what it causes is over before the next one arrives."""
        coming = iter(messages)

        def deliver_next() -> bool:
            message = next(coming, None)
            return message is not None and self._world.network.deliver_now(message, again=again)

        return deliver_next

    def _do_drop(self, words: Sequence[str], where: str) -> None:
        for message in self._matching(words, where):
            self._world.network.drop_now(message)

    def _do_settle(self, words: Sequence[str], where: str) -> More:
        names = [self._host(word, where).name for word in words]

        def deliver_oldest() -> bool:
            for message, (link, _, _) in self._world.network.waiting.items():
                if not names or (link.source in names and link.target.name in names):
                    return self._world.network.deliver_now(message)
            return False

        return deliver_oldest

    def _do_cut(self, words: Sequence[str], where: str) -> None:
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

    def _do_mend(self, words: Sequence[str], where: str) -> None:
        self._world.network.mend("script")

    def _do_waiting(self, words: Sequence[str], where: str) -> None:
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

    # -- processes and disks --------------------------------------------------------------------------------------

    def _do_crash(self, words: Sequence[str], where: str) -> None:
        if self._process(words[0], where) is None:
            return
        power = words[1:2] == ("power",)
        self._world.crash(words[0], power=False, reason="power" if power else "kill")
        if power:
            host = self._world.hosts[words[0]]
            host.device.disk.cut_power(whole(words[2], where) if len(words) > 2 else 0)
            host.device.reread()

    def _do_restart(self, words: Sequence[str], where: str) -> None:
        host = self._host(words[0], where)
        if host.is_up:
            self._transcript.say(f"{words[0]} is up")
        host.refused = ""
        self._world.start(words[0])

    def _do_hold_disk(self, words: Sequence[str], where: str) -> None:
        self._host(words[0], where).device.hold()

    def _do_free_disk(self, words: Sequence[str], where: str) -> None:
        self._host(words[0], where).device.release(once=words[1:2] == ("once",))

    def _do_flip(self, words: Sequence[str], where: str) -> None:
        name, file, byte = words
        try:
            self._host(name, where).device.disk.flip(file, whole(byte, where))
        except FileNotFoundError:
            raise BadInput(f"file {file!r}", f"one of those that `files {name}` lists", where) from None

    def _do_files(self, words: Sequence[str], where: str) -> None:
        disk = self._host(words[0], where).device.disk
        for name in disk.names():
            self._transcript.say(f"{words[0]} {name} {len(disk.read(name))} bytes")

    # -- administrators -------------------------------------------------------------------------------------------

    def _do_campaign(self, words: Sequence[str], where: str) -> None:
        self._command(words[0], "campaign", where)

    def _do_compact(self, words: Sequence[str], where: str) -> None:
        self._command(words[0], "compact", where)

    def _do_transfer(self, words: Sequence[str], where: str) -> None:
        self._command(words[0], "transfer", where, target=self._host(words[1], where).name)

    def _do_change(self, words: Sequence[str], where: str) -> None:
        named = settings(words[1:], ("voters", "learners"), where)
        voters, learners = (
            tuple(self._host(name, where).name for name in named.get(role, "").split(",") if name)
            for role in ("voters", "learners")
        )
        self._command(words[0], "change", where, voters=voters, learners=learners)

    def _command(self, node: str, command: str, where: str, **arguments: Any) -> None:
        if self._process(node, where) is None:
            return
        if not self._world.command(node, GROUP, command, arguments):
            self._transcript.say(f"{node} refuses to {command}")

    # -- looking --------------------------------------------------------------------------------------------------

    def _do_show(self, words: Sequence[str], where: str) -> None:
        self._transcript.show()

    def _do_progress(self, words: Sequence[str], where: str) -> None:
        if self._process(words[0], where) is not None:
            self._transcript.show_progress(words[0])

    def _do_expect(self, words: Sequence[str], where: str) -> None:
        """Judge what has happened so far, and say what is wrong with it."""
        if not words:
            raise BadInput("no signature", "those of the anomalies that this scenario shows", where)
        for anomaly in self.verdict().anomalies:
            self._transcript.say(f"{anomaly.signature}: {_first_sentence(anomaly)}")

    # -- helpers --------------------------------------------------------------------------------------------------

    def _host(self, name: str, where: str) -> SimHost:
        host = self._world.hosts.get(name)
        if host is None:
            raise BadInput(f"actor {name!r}", "one of " + ", ".join(self._world.hosts), where)
        return host

    def _process(self, name: str, where: str) -> SimProcess | None:
        """The process of an actor; None, said in the transcript, when it is down."""
        process = self._host(name, where).process
        if process is None:
            self._transcript.say(f"{name} is down")
        return process


def _is_among(name: str, wanted: str) -> bool:
    return wanted == "*" or name in wanted.split(",")


def _first_sentence(anomaly: Anomaly) -> str:
    """What is wrong, without the numbers of this very trace."""
    return anomaly.message.partition(". ")[0].partition("\n")[0].rstrip(".")
