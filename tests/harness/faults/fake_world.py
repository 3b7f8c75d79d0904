"""A world without processes, links or time of its own: it writes down what a fault does to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Any

from harness.faults.fault import Fault, FaultState
from harness.faults.world import Edge, Effect


class FakeDisk:
    """A disk that writes down what a fault does to it."""

    def __init__(self, name: str, done: list[tuple[Any, ...]]) -> None:
        self._name, self._done = name, done

    def fail(self, fault: str, operation: str, dropped: str = "clean") -> None:
        self._done.append(("fail", self._name, operation, dropped))

    def fill(self, fault: str, room_bytes: int) -> None:
        self._done.append(("fill", self._name, room_bytes))

    def delay(self, fault: str, late_ns: int) -> None:
        self._done.append(("delay", self._name, late_ns))

    def lie(self, fault: str) -> None:
        self._done.append(("lie", self._name))

    def end(self, fault: str) -> None:
        self._done.append(("end", self._name))


class FakeDamage:
    """A disk that says of itself whether it holds anything of a region."""

    def __init__(self, name: str, done: list[tuple[Any, ...]]) -> None:
        self._name, self._done = name, done
        self.holds: tuple[str, ...] = ("log", "hard-state", "snapshot")

    def rot(self, fault: str, region: str, part: str) -> bool:
        return self._try("rot", region, part)

    def misdirect(self, fault: str, region: str) -> bool:
        return self._try("misdirect", region)

    def lose_write(self, fault: str, region: str, *, is_last: bool) -> bool:
        return self._try("lose-write", region, is_last)

    def _try(self, what: str, region: str, *more: Any) -> bool:
        if region in self.holds:
            self._done.append((what, self._name, region, *more))
        return region in self.holds


class FakeHost:
    """A machine that is up or down."""

    def __init__(self, name: str, done: list[tuple[Any, ...]]) -> None:
        self.name, self._done = name, done
        self.is_up, self.refused = True, ""
        self.armed: dict[str, Callable[[], None]] = {}
        self.disk = FakeDisk(name, done)
        self.damage = FakeDamage(name, done)
        self.waits: dict[str, tuple[str, Callable[[], None]]] = {}

    def arm(self, fault: str, moment: str, crash: Callable[[], None]) -> None:
        self.waits[fault] = (moment, crash)

    def disarm(self, fault: str) -> bool:
        return self.waits.pop(fault, None) is not None

    def pause(self, fault: str, *, stop_clock: bool) -> None:
        self._done.append(("pause", self.name, stop_clock))

    def unpause(self, fault: str) -> None:
        self._done.append(("unpause", self.name))

    def slow_down(self, fault: str, processing_ns: int) -> None:
        self._done.append(("slow-down", self.name, processing_ns))

    def speed_up(self, fault: str) -> None:
        self._done.append(("speed-up", self.name))

    def slow_background(self, fault: str, late_ns: int) -> None:
        self._done.append(("slow-background", self.name, late_ns))

    def hurry_background(self, fault: str) -> None:
        self._done.append(("hurry-background", self.name))


class FakeNetwork:
    """Links that remember which edges a fault was put on."""

    def __init__(self) -> None:
        self.edges: dict[str, tuple[Edge, ...]] = {}
        self.effects: dict[str, Effect] = {}

    def cut(self, fault: str, edges: tuple[Edge, ...]) -> None:
        self.edges[fault] = edges

    def clog(self, fault: str, edges: tuple[Edge, ...]) -> None:
        self.edges[fault] = edges

    def lie(self, fault: str, edges: tuple[Edge, ...]) -> None:
        self.edges[fault] = edges

    def limit(self, fault: str, bytes_per_s: int, edges: tuple[Edge, ...]) -> None:
        self.edges[fault] = edges

    def affect(self, fault: str, effect: Effect, edges: tuple[Edge, ...]) -> None:
        self.edges[fault], self.effects[fault] = edges, effect

    def mend(self, fault: str, keep: Callable[[str, str], bool] = lambda source, target: False) -> None:
        self.edges[fault] = tuple(edge for edge in self.edges.get(fault, ()) if keep(*edge))


class FakeWorld:
    """Three nodes and a client. `takes` says of each command whether it is taken."""

    heal_ns = 1_000
    nodes = ("n1", "n2", "n3")
    clients = ("c1",)

    def __init__(self) -> None:
        self.healed = False
        self.administered = False
        self.done: list[tuple[Any, ...]] = []
        self.hosts = {name: FakeHost(name, self.done) for name in (*self.nodes, *self.clients)}
        self.network = FakeNetwork()
        self.atlas: dict[str, tuple[str, ...]] = {}
        self.roles: dict[str, tuple[str, ...]] = {}
        self.configuration: tuple[Sequence[str], Sequence[str]] = (self.nodes, ())
        self.behind: set[str] = set()  # who has noted another configuration
        self.takes: Callable[[str, dict[str, Any]], bool] = lambda command, arguments: True
        self.codes: dict[str, str] = {}
        self.outdated: list[str] = []
        self._now_ns = 0
        self._sequence = count()
        self._calls: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._idle: list[Callable[[], None]] = []

    def begin(self, fault: Fault) -> tuple[FaultState, bool]:
        """Begin a fault as the nemesis does."""
        state = FaultState(fault)
        state.targets = self.resolve(fault.aimed_at)
        return state, fault.begin(self, state)

    def run_until(self, time_ns: int) -> None:
        """Make the calls that are due, in order."""
        while self._calls and min(self._calls)[0] <= time_ns:
            self._now_ns, _, call, argument = self._calls.pop(self._calls.index(min(self._calls)))
            call(argument)
        self._now_ns = time_ns

    def become_idle(self) -> None:
        """The disks are done."""
        calls, self._idle = self._idle, []
        for call in calls:
            call()

    def now_ns(self) -> int:
        return self._now_ns

    def call_at(self, time_ns: int, call: Callable[[Any], None], argument: Any) -> None:
        self._calls.append((time_ns, next(self._sequence), call, argument))

    def resolve(self, targets: Sequence[str]) -> tuple[str, ...]:
        found = (self.roles.get(name, ()) if name.startswith("@") else (name,) for name in targets)
        return tuple(dict.fromkeys(name for names in found for name in names))

    def up(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self.hosts[name].is_up]

    def edges_of(self, names: Sequence[str]) -> tuple[Edge, ...]:
        everyone = (*self.nodes, *self.clients)
        every = ((a, b) for a in everyone for b in everyone if a != b)
        return tuple(edge for edge in every if not names or edge[0] in names or edge[1] in names)

    def leader(self, group: str) -> str | None:
        return next(iter(self.roles.get("@leader", ())), None)

    def members(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.nodes, ()

    def is_in_force(self, group: str, node: str, voters: Sequence[str], learners: Sequence[str]) -> bool:
        return self.configuration == (voters, learners) and node not in self.behind

    def start(self, name: str, code: str | None = None) -> None:
        self.hosts[name].is_up = True
        self.done.append(("start", name, code))

    def code_of(self, name: str) -> str:
        return self.codes.get(name, "old")

    def install(self, name: str, code: str) -> None:
        if code != self.code_of(name) and name in self.outdated:
            self.outdated.remove(name)
            self.hosts[name].refused = ""
        self.codes[name] = code
        self.done.append(("install", name, code))

    def is_outdated(self, name: str) -> bool:
        return name in self.outdated

    def crash(self, name: str, *, power: bool) -> None:
        self.hosts[name].is_up = False
        self.done.append(("crash", name, power))

    def cut_power(self, name: str, *, keeps: str) -> None:
        self.hosts[name].is_up = False
        self.done.append(("cut-power", name, keeps))

    def wipe(self, name: str, *, comes_back: bool) -> bool:
        self.hosts[name].is_up = False
        self.hosts[name].refused = "" if comes_back else "disk-wiped"
        self.done.append(("wipe", name, comes_back))
        return True

    def damageable(self, region: str) -> tuple[str, ...]:
        return self.atlas.get(region, ())

    def command(self, name: str, group: str, command: str, arguments: dict[str, Any]) -> bool:
        taken = self.takes(command, arguments)
        self.done.append((command, name, arguments, taken))
        return taken

    def when_idle(self, name: str, call: Callable[[], None]) -> None:
        self._idle.append(call)

    def set_rate(self, fault: str, name: str, rate_ppm: int | None) -> None:
        self.done.append(("rate", name, rate_ppm))

    def step_wall(self, fault: str, name: str, step_ns: int) -> None:
        self.done.append(("step", name, step_ns))

    def release_wall(self, fault: str, name: str) -> None:
        self.done.append(("release", name))

    def take_hits(self, fault: str, names: Sequence[str]) -> int:
        return 0

    def heal(self, within: Collection[str] | None) -> None:
        self.healed = True

    def record(self, kind: str, actor: str, *fields: Any) -> None:
        self.done.append((kind, actor, *fields))
