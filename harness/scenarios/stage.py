"""The stage: runs a scenario on the simulated world, with stopped clocks and a network that waits.

Each command is one event of the kernel, and all that it causes at that instant (fsyncs that complete at once, answers
to clients) happens before the next one. What happened is read from the trace, so a transcript shows what the log of
any run shows, and the invariants that judge a run judge a scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from checkers import History, check
from checkers.verdict import Anomaly, Verdict, merge
from harness.errors import BadInput
from harness.plans.plan import (
    Actor,
    Check,
    Clocks,
    Disks,
    DiskSpec,
    Drawn,
    Group,
    Links,
    LinkSpec,
    Phases,
    Plan,
    Schedule,
)
from harness.sim.environment import SimEnvironment
from harness.sim.world import SimWorld
from harness.systems.system import System

from .language import Script, Step, duration_ns
from .transcript import Transcript

_STEP_NS: Final = 1_000_000
_SETTLE_ROUNDS_MAX: Final = 1_000
_GROUP: Final = "g0"
_MODELS: Final = {"register": "cas-register"}


class Result:
    """What a scenario did: a transcript for each command, and the verdict over all of it."""

    def __init__(self, transcripts: list[list[str]], verdict: Verdict) -> None:
        self.transcripts = transcripts
        self.verdict = verdict


def perform(script: Script, system: System) -> Result:
    """Run a scenario. Raises BadInput for a command that makes no sense where it stands."""
    stage = Stage(script, system)
    stage.run()
    return Result(stage.transcripts, stage.verdict())


class Stage:
    """One scenario on its way."""

    def __init__(self, script: Script, system: System) -> None:
        self.script = script
        self.system = system
        self.transcripts: list[list[str]] = [[] for _ in script.steps]
        self._plan = _plan(script)
        self.world = SimWorld(self._plan, {"default": system}, keep_rows=True, manual=True)
        self.transcript = Transcript(self.world, system)
        self._calls: dict[str, list[tuple[str, str | None, Any]]] = {name: [] for name in self._plan.clients}
        self._homes: dict[str, str] = {}
        self._process = {name: number for number, name in enumerate(self._plan.clients)}
        self._next_step = 0
        self._error: BadInput | None = None
        for name, seat in self.world.seats.items():
            seat.clock.stop(0)
            if name in self._calls:
                self.world.lives[name] = self._client_life(name)
        self._preset()

    def run(self) -> None:
        """From the first command to the last."""
        kernel = self.world.kernel
        self.world.run(lambda: kernel.exactly(_STEP_NS, self._perform_next))
        if self._error is not None:
            raise self._error

    def verdict(self) -> Verdict:
        """Invariants, crashes of code, and the clients' history."""
        world = self.world
        machine = self._plan.groups[_GROUP].machine
        history = History(tuple(world.recorder.history))
        anomalies = tuple(world.invariants.anomalies + world.node_anomalies)
        return merge([_judged("raft", anomalies), check(history, _MODELS.get(machine, machine))])

    # -- one command after the other ------------------------------------------------------------------------------

    def _perform_next(self, _: None) -> None:
        kernel = self.world.kernel
        if self._next_step:
            self.transcripts[self._next_step - 1] += self.transcript.take()
        if self._next_step == len(self.script.steps):
            kernel.stop("done")
            return
        step = self.script.steps[self._next_step]
        self._next_step += 1
        if self._next_step == 1:
            self.transcript.take()
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

    def _go_on(self, argument: tuple[Callable[[], bool], int]) -> None:
        """Repeat a command that takes several rounds, each after what the last one caused."""
        more, rounds = argument
        kernel = self.world.kernel
        if rounds < _SETTLE_ROUNDS_MAX and more():
            kernel.exactly(kernel.now + 1_000, self._go_on, (more, rounds + 1))
        else:
            kernel.exactly(kernel.now + _STEP_NS, self._perform_next)

    def _perform(self, step: Step) -> Callable[[], bool] | None:
        where = f"{self.script.name}:{step.line}"
        verb, words = step.words[0], step.words[1:]
        if verb in self._calls:
            self._call(verb, words, where)
            return None
        action = getattr(self, "_do_" + verb.replace("-", "_"), None)
        if action is None:
            raise BadInput(f"command {verb!r}", "one of those in harness/scenarios/__init__.py", where)
        try:
            result: Callable[[], bool] | None = action(words, where)
        except (IndexError, KeyError) as error:
            raise BadInput(f"`{step.text}` ({error})", "names and words that this command takes", where) from None
        return result

    # -- time -----------------------------------------------------------------------------------------------------

    def _do_timer(self, words: tuple[str, ...], where: str) -> None:
        environment = self._environment(words[0], where)
        self._advance(words[0], max(0, environment.deadline_ns - environment.clock.monotonic_ns()), where)

    def _do_advance(self, words: tuple[str, ...], where: str) -> None:
        self._advance(words[0], duration_ns(words[1], where), where)

    def _advance(self, name: str, span_ns: int, where: str) -> None:
        environment = self._environment(name, where)
        self.world.seats[name].clock.advance(span_ns)
        environment.ring()

    # -- messages -------------------------------------------------------------------------------------------------

    def _do_deliver(self, words: tuple[str, ...], where: str) -> None:
        for message in self._matching(words, where):
            self.world.network.deliver_now(message)

    def _do_again(self, words: tuple[str, ...], where: str) -> None:
        for message in self._matching(words, where):
            self.world.network.deliver_now(message, again=True)

    def _do_drop(self, words: tuple[str, ...], where: str) -> None:
        for message in self._matching(words, where):
            self.world.network.drop_now(message)

    def _do_settle(self, words: tuple[str, ...], where: str) -> Callable[[], bool]:
        def deliver_all() -> bool:
            waiting = list(self.world.network.waiting)
            for message in waiting:
                self.world.network.deliver_now(message)
            return bool(waiting)

        return deliver_all

    def _do_cut(self, words: tuple[str, ...], where: str) -> None:
        if ">" in words:
            middle = words.index(">")
            edges = [(a, b) for a in words[:middle] for b in words[middle + 1 :]]
        else:
            middle = words.index("|") if "|" in words else len(words)
            left, right = words[:middle], words[middle + 1 :]
            edges = [pair for a in left for b in right for pair in ((a, b), (b, a))]
        if not edges:
            raise BadInput("no links", "`cut A B | C` or `cut A > B`", where)
        self.world.network.cut("script", tuple(edges))

    def _do_mend(self, words: tuple[str, ...], where: str) -> None:
        self.world.network.mend("script")

    def _do_waiting(self, words: tuple[str, ...], where: str) -> None:
        for link, _, data in self.world.network.waiting.values():
            self.transcript.say(f"{link.source}>{link.target.name} {self.transcript.describe(data)}")

    def _matching(self, words: tuple[str, ...], where: str) -> list[int]:
        if words == ("all",):
            return list(self.world.network.waiting)
        source, _, target = words[0].partition(">")
        kind = words[1] if len(words) > 1 else None
        found = [
            message
            for message, (link, word, _) in self.world.network.waiting.items()
            if source in ("*", link.source) and target in ("*", link.target.name) and kind in (None, word)
        ]
        if not found:
            raise BadInput(f"no message {' '.join(words)} waits", "a message that waits (see `waiting`)", where)
        return found

    # -- lives and disks ------------------------------------------------------------------------------------------

    def _do_crash(self, words: tuple[str, ...], where: str) -> None:
        self._environment(words[0], where)
        power = "power" in words[1:]
        self.world.crash(words[0], power=power, reason="power" if power else "kill")

    def _do_restart(self, words: tuple[str, ...], where: str) -> None:
        seat = self.world.seats[words[0]]
        seat.refused = ""
        self.world.start(words[0])

    def _do_hold_disk(self, words: tuple[str, ...], where: str) -> None:
        self.world.seats[words[0]].hold_disk()

    def _do_free_disk(self, words: tuple[str, ...], where: str) -> None:
        self.world.seats[words[0]].free_disk()

    def _do_flip(self, words: tuple[str, ...], where: str) -> None:
        name, file, byte = words
        self.world.seats[name].disk.flip(file, int(byte))

    # -- clients and administrators -------------------------------------------------------------------------------

    def _call(self, client: str, words: tuple[str, ...], where: str) -> None:
        if "at" in words:
            middle = words.index("at")
            self._homes[client] = words[middle + 1]
            words = words[:middle]
        if not words:
            return
        f, rest = words[0], words[1:]
        key = rest[0] if rest else None
        values = [int(word) for word in rest[1:]]
        value = values if f == "cas" else (values[0] if values else None)
        self._calls[client].append((f, key, value))
        self._environment(client, where).deliver("script", b"")

    def _client_life(self, name: str) -> Callable[[SimEnvironment], Any]:
        async def life(environment: SimEnvironment) -> None:
            client, home = None, None
            while True:
                while not self._calls[name]:
                    await environment.recv(None)
                f, key, value = self._calls[name].pop(0)
                if client is None or self._homes.get(name) != home:
                    home = self._homes.get(name)
                    actor = Actor(kind="client", home=home, routing="home" if home else "leader")
                    servers = self._plan.replicas
                    client = self.system.client(environment, actor, _GROUP, servers, self._plan.options)
                    refusal = await client.open()
                    if refusal is not None:
                        self.transcript.say(f"{name}: no session ({refusal})")
                        client = None
                        continue
                record, process = self.world.recorder.op, self._process[name]
                record(process, "invoke", f, key, value)
                done = await client.invoke(f, key, value)
                ok = done.type == "ok"
                record(process, done.type, f, key, done.value if ok else value, done.error)  # type: ignore[arg-type]
                if done.type == "info":
                    self._process[name] += len(self._calls)
                    client = None

        return life

    def _do_campaign(self, words: tuple[str, ...], where: str) -> None:
        self._command(words[0], "campaign", where)

    def _do_compact(self, words: tuple[str, ...], where: str) -> None:
        self._command(words[0], "compact", where)

    def _do_transfer(self, words: tuple[str, ...], where: str) -> None:
        self._command(words[0], "transfer", where, target=words[1])

    def _do_change(self, words: tuple[str, ...], where: str) -> None:
        named = dict(word.split("=", 1) for word in words[1:])
        voters = tuple(named["voters"].split(","))
        learners = tuple(name for name in named.get("learners", "").split(",") if name)
        self._command(words[0], "change", where, voters=voters, learners=learners)

    def _command(self, node: str, command: str, where: str, **arguments: Any) -> None:
        self._environment(node, where)
        if not self.world.command(node, _GROUP, command, arguments):
            self.transcript.say(f"{node} refuses to {command}")

    def _do_show(self, words: tuple[str, ...], where: str) -> None:
        self.transcript.show()

    def _do_nodes(self, words: tuple[str, ...], where: str) -> None:
        """The first command: the plan was made from it."""

    def _do_spare(self, words: tuple[str, ...], where: str) -> None:
        """Part of the plan."""

    def _do_preset(self, words: tuple[str, ...], where: str) -> None:
        """Done before anybody started."""

    # -- helpers --------------------------------------------------------------------------------------------------

    def _preset(self) -> None:
        for step in self.script.steps:
            if step.words[0] == "preset":
                named = dict(word.split("=", 1) for word in step.words[2:])
                terms = [int(word) for word in named.get("log", "").split(",") if word]
                self.world.seats[step.words[1]].write_now(
                    lambda disk, named=named, terms=terms: self.system.prepare_disk(  # type: ignore[misc]
                        disk, _GROUP, term=int(named.get("term", 0)), vote=named.get("vote"), terms=terms
                    )
                )

    def _environment(self, name: str, where: str) -> SimEnvironment:
        seat = self.world.seats.get(name)
        if seat is None:
            raise BadInput(f"actor {name!r}", "one of " + ", ".join(self.world.seats), where)
        if seat.environment is None:
            raise BadInput(f"{name} is down", "a node that is up", where)
        return seat.environment


def _judged(checker: str, anomalies: tuple[Anomaly, ...]) -> Verdict:
    return Verdict(validity="invalid" if anomalies else "valid", checker=checker, anomalies=anomalies)


def _plan(script: Script) -> Plan:
    """The plan of a scenario: no programs, no faults, no delays."""
    words = script.steps[0].words[1:]
    voters = tuple(word for word in words if "=" not in word)
    named = dict(word.split("=", 1) for word in words if "=" in word)
    spares = tuple(name for step in script.steps if step.words[0] == "spare" for name in step.words[1:])
    clients = sorted(
        {step.words[0] for step in script.steps if step.words[0][:1] == "c" and step.words[0][1:].isdigit()}
    )
    machine = named.pop("machine", "register")
    options = {"sessions": "off", **{name: _value(text) for name, text in named.items()}}
    actors = {name: Actor(kind="replica") for name in voters + spares}
    actors |= {name: Actor(kind="client") for name in clients}
    link = LinkSpec(delay_min_ns=0, delay_max_ns=0)
    forever_ns = 10**15
    return Plan(
        drawn=Drawn(seed=0, profile="scenario", workload=machine, flavour=script.name),
        groups={_GROUP: Group(machine=machine, voters=voters)},
        actors=actors,
        options=options,
        programs=(),
        phases=Phases(warmup_ns=0, faults_ns=forever_ns, recovery_ns=0, final_ns=0),
        links=Links(replica=link, client=link),
        clocks=Clocks(),
        disks=Disks(default=DiskSpec(fsync_min_ns=0, fsync_max_ns=0)),
        schedule=Schedule(seed=0, policy="fifo"),
        check=Check(model=_MODELS.get(machine, machine), liveness=False),
    )


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return text
