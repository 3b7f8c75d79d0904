"""Runs a scenario on the simulated world, with stopped clocks and a network that waits.

Each command is one event of the kernel, and all that it causes at that instant (fsyncs that complete at once, answers
to clients) happens before the next one. The transcript is made from the trace that every run has, and the invariants
that judge a run judge a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from checkers import History, check
from checkers.malformed import MalformedHistory
from checkers.verdict import Verdict, merge
from harness.errors import BadInput
from harness.options import OptionValues
from harness.sim.drivers import Entrypoint
from harness.sim.replies import Replies
from harness.sim.world import SimWorld
from harness.systems.system import System

from .clients import ScriptedClient
from .commands import COMMANDS, Command, Commands, More
from .frames import Film, Frame
from .language import QUIETLY, REPLAY, Script, Step
from .node_state import NodeState
from .plan import plan_of
from .transcript import Transcript

_STEP_NS: Final = 1_000_000
_ROUNDS_MAX: Final = 5_000
"""More messages than any exchange that ends takes; an exchange that does not end is stopped here."""

_BEFORE_THE_START: Final = ("spare", "preset")
"""What these describe is there when the nodes start, with the first command."""

_LOOKING: Final = ("show", "progress", "waiting", "files")
"""These change nothing."""

_NEVER_QUIET: Final = ("nodes", REPLAY, "spare", "preset", "expect", QUIETLY)


class StepState(msgspec.Struct, frozen=True, kw_only=True):
    """The state after a command: every node, and the messages that wait."""

    nodes: list[NodeState]
    waiting: list[str]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario did: a transcript and a state for each command, and the verdict over all of it."""

    script: Script
    transcripts: list[list[str]]
    states: list[StepState]
    verdict: Verdict
    options: OptionValues
    clients: tuple[str, ...]
    """All that can be told to do something; a script names some of them."""
    frames: list[Frame] = []
    """A picture after each thing that happened, where a film was asked for."""

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


class ScriptedWorld(Protocol):
    """The world in which a script is performed."""

    world: SimWorld
    replies: Replies

    def run(self, begin: Callable[[Sequence[str]], None], entrypoints: dict[str, Entrypoint]) -> None:
        """Run it to its end. When time stands still, clients do as they are told, and `begin` is called with lines."""
        ...


class FreshWorld:
    """A cluster that starts with the script."""

    def __init__(self, script: Script, system: System) -> None:
        if script.is_of_a_run:
            raise BadInput("a scenario that goes on from a run", "one that begins with `> nodes A B C`", script.name)
        plan = plan_of(script, system)
        self.world = SimWorld(plan, {"default": system}, keep_rows=True, manual=True)
        self.replies = Replies(plan.check.model, self.world.recorder)
        for host in self.world.hosts.values():
            host.clock.stop()

    def run(self, begin: Callable[[Sequence[str]], None], entrypoints: dict[str, Entrypoint]) -> None:
        """Run it to its end."""
        self.world.entrypoints.update(entrypoints)
        self.world.run(lambda: self.world.kernel.exactly(_STEP_NS, lambda _: begin(())))


def perform(script: Script, system: System, *, is_filmed: bool = False, within: ScriptedWorld | None = None) -> Result:
    """Run a scenario, in a world of its own unless one is given. Raises BadInput for a command without sense."""
    runner = ScenarioRunner(script, system, within or FreshWorld(script, system), is_filmed=is_filmed)
    runner.run()
    return Result(
        script=script,
        transcripts=runner.transcripts,
        states=runner.states,
        verdict=runner.verdict(),
        options=runner.plan.options,
        clients=runner.plan.clients,
        frames=runner.film.frames if runner.film is not None else [],
    )


class ScenarioRunner:
    """Performs the commands of one scenario in order."""

    def __init__(self, script: Script, system: System, scripted: ScriptedWorld, *, is_filmed: bool = False) -> None:
        self.script = script
        self.plan = scripted.world.plan
        self.transcripts: list[list[str]] = [[] for _ in script.steps]
        self.states: list[StepState] = []
        self._scripted, self._world = scripted, scripted.world
        self._transcript = Transcript(self._world, system)
        self.film = Film(self._world, self._transcript, system) if is_filmed else None
        self._clients = {
            name: ScriptedClient(name, self.plan, system, self._world.recorder, scripted.replies)
            for name in self.plan.clients
        }
        self._commands = Commands(self._world, system, self._transcript, self.verdict)
        self._next_step = 0
        self._error: BadInput | None = None
        for step in script.steps:
            if step.words[0] == "preset":
                self._guarded(step, Commands.preset)

    def run(self) -> None:
        """From the first command to the last."""
        self._scripted.run(self._begin, {name: client.run for name, client in self._clients.items()})
        if self._error is not None:
            raise self._error

    def verdict(self) -> Verdict:
        """The invariants, crashes of the code, and the clients' history if any client had an answer.

        Raises BadInput for ops that the model of the machine does not know.
        """
        world = self._world
        world.invariants.finish(world.log.index)
        anomalies = (*world.invariants.anomalies, *world.node_anomalies, *self._scripted.replies.anomalies())
        judged = Verdict(validity="invalid" if anomalies else "valid", checker="raft", anomalies=anomalies)
        try:
            of_clients = check(History(tuple(world.recorder.history)), self.plan.check.model)
        except MalformedHistory as error:
            raise BadInput(error.found, error.expected, self.script.name) from error
        if of_clients.validity == "unknown" and not any(op.type == "ok" for op in world.recorder.history):
            return judged  # no client had an answer: the scenario is about the nodes alone
        return merge([judged, of_clients])

    # One command after the other.

    def _begin(self, lines: Sequence[str]) -> None:
        """Time stands still. What happened before is in no transcript; `lines` are what is to be said of it."""
        if self.script.is_of_a_run and self.film is not None:
            self.film.begin_here()
        for client in self._clients.values():
            client.go_on_after(self._world.recorder.history)
        self._perform_next(None)
        for line in lines:
            self._transcript.say(line)

    def _perform_next(self, _: None) -> None:
        kernel = self._world.kernel
        self._look(ends=True)
        if self._next_step:
            self.states.append(StepState(nodes=self._transcript.node_states(), waiting=self._transcript.waiting()))
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
        if rounds:
            self._look(ends=False)
        if rounds == _ROUNDS_MAX:
            self._transcript.say(f"no end after {rounds} messages")
        elif more():
            kernel.exactly(kernel.now + 1_000, self._go_on, (more, rounds + 1))
            return
        kernel.exactly(kernel.now + _STEP_NS, self._perform_next)

    def _look(self, *, ends: bool) -> None:
        """Take down what has happened since the last look, at the end of a step or between its rounds."""
        lines = self._transcript.drain()
        if not self._next_step:
            return
        place = self._next_step - 1
        step = self.script.steps[place]
        is_quiet = step.words[0] == QUIETLY
        if not is_quiet:
            self.transcripts[place] += lines
        if self.film is not None and (ends or not is_quiet) and step.actor_or_verb not in _BEFORE_THE_START:
            acts = step.words[0] not in _LOOKING or bool(step.before)
            self.film.take(place, lines, acts=acts, still=is_quiet)

    def _perform(self, step: Step) -> More | None:
        if step.words[0] == QUIETLY:
            if step.actor_or_verb in _NEVER_QUIET:
                raise BadInput(f"`{step.text}`", "quietly before a command that moves something", self._where(step))
            step = msgspec.structs.replace(step, words=step.words[1:])
        client = self._clients.get(step.words[0])
        if client is not None:
            client.ask(step.words[1:], self._where(step))
            process = self._commands.running(client.name, self._where(step))
            if process is not None:
                process.deliver("script", b"")
            return None
        command = COMMANDS.get(step.words[0])
        if command is None:
            raise BadInput(
                f"command {step.words[0]!r}", "one of those in harness/scenarios/__init__.py", self._where(step)
            )
        return self._guarded(step, command)

    def _guarded(self, step: Step, command: Command) -> More | None:
        """Carry out a command. Words that do not fit it are an error of the script."""
        try:
            return command(self._commands, step.words[1:], self._where(step))
        except (IndexError, KeyError) as error:
            found = f"`{step.text}` ({error})"
            raise BadInput(found, "the names and words that this command takes", self._where(step)) from None

    def _where(self, step: Step) -> str:
        return f"{self.script.name}:{step.line}"
