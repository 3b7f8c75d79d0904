"""Runs a scenario on the simulated world, with stopped clocks and a network that waits.

Each command is one event of the kernel, and all that it causes at that instant (fsyncs that complete at once, answers
to clients) happens before the next one. The transcript is made from the trace that every run has, and the invariants
that judge a run judge a scenario.
"""

from __future__ import annotations

from typing import Final

import msgspec

from checkers import History, check
from checkers.verdict import Verdict, merge
from harness.errors import BadInput
from harness.sim.replies import Replies
from harness.sim.world import SimWorld
from harness.systems.system import System

from .clients import ScriptedClient
from .commands import COMMANDS, Command, Commands, More
from .frames import Film, Frame
from .language import QUIETLY, Script, Step
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

_NEVER_QUIET: Final = ("nodes", "spare", "preset", "expect", QUIETLY)


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


def perform(script: Script, system: System, *, is_filmed: bool = False) -> Result:
    """Run a scenario. Raises BadInput for a command without sense."""
    runner = ScenarioRunner(script, system, is_filmed=is_filmed)
    runner.run()
    return Result(
        script=script,
        transcripts=runner.transcripts,
        states=runner.states,
        verdict=runner.verdict(),
        frames=runner.film.frames if runner.film is not None else [],
    )


class ScenarioRunner:
    """Performs the commands of one scenario in order."""

    def __init__(self, script: Script, system: System, *, is_filmed: bool = False) -> None:
        self.script = script
        self.transcripts: list[list[str]] = [[] for _ in script.steps]
        self.states: list[StepState] = []
        self._plan = plan_of(script, system)
        self._world = SimWorld(self._plan, {"default": system}, keep_rows=True, manual=True)
        self._transcript = Transcript(self._world, system)
        recorder = self._world.recorder
        self._replies = Replies(self._plan.check.model, recorder)
        self.film = Film(self._world, self._transcript, system) if is_filmed else None
        self._clients = {
            name: ScriptedClient(name, self._plan, system, recorder, self._replies) for name in self._plan.clients
        }
        self._commands = Commands(self._world, system, self._transcript, self.verdict)
        self._next_step = 0
        self._error: BadInput | None = None
        for host in self._world.hosts.values():
            host.clock.stop()
        for name, client in self._clients.items():
            self._world.entrypoints[name] = client.run
        for step in script.steps:
            if step.words[0] == "preset":
                self._guarded(step, Commands.preset)

    def run(self) -> None:
        """From the first command to the last."""
        kernel = self._world.kernel
        self._world.run(lambda: kernel.exactly(_STEP_NS, self._perform_next))
        if self._error is not None:
            raise self._error

    def verdict(self) -> Verdict:
        """The invariants, crashes of the code, and the clients' history if any client had an answer."""
        world = self._world
        world.invariants.finish(world.log.index)
        anomalies = (*world.invariants.anomalies, *world.node_anomalies, *self._replies.anomalies())
        judged = Verdict(validity="invalid" if anomalies else "valid", checker="raft", anomalies=anomalies)
        of_clients = check(History(tuple(world.recorder.history)), self._plan.check.model)
        if of_clients.validity == "unknown" and not any(op.type == "ok" for op in world.recorder.history):
            return judged  # no client had an answer: the scenario is about the nodes alone
        return merge([judged, of_clients])

    # One command after the other.

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
