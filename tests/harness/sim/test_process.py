"""An actor's environment: waiting, pauses, clocks, and a death that leaves no mark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import trio

from harness.faults.pauses import Pause
from harness.plans.plan import DiskSpec, LinkSpec, Schedule
from harness.run.runner import RunOptions
from harness.sim.process import SimProcess
from harness.sim.world import LingeringTask
from tests.harness.sim import toy
from tests.harness.sim.scripted_world import ScriptedWorld, sender
from tests.harness.sim.task_driver import task_lane
from tests.harness.sim.toy import MS

Lane = Callable[[], AbstractContextManager[None]]

EXACT: dict[str, Any] = {"links": LinkSpec(delay_min_ns=10 * MS, delay_max_ns=10 * MS)}
"""Every message takes 10 ms."""

SLOW_DISK = DiskSpec(fsync_min_ns=50 * MS, fsync_max_ns=50 * MS)
"""Every fsync takes 50 ms."""


# -- waiting --------------------------------------------------------------------------------------------------------


def test_recv_gives_datagrams_in_order_of_arrival_and_none_at_its_deadline() -> None:
    async def waiter(env: SimProcess) -> None:
        deadline_ns = env.clock.monotonic_ns() + 200 * MS
        while (datagram := await env.recv(deadline_ns)) is not None:
            scripted.note(*datagram)
        scripted.note("deadline")
        assert await env.recv(deadline_ns) is None  # at once: it has passed
        scripted.note("still")

    scripted = ScriptedWorld(n1=waiter, n2=sender(50, 50, 90), plan=EXACT)
    scripted.play(until_ms=500)

    assert scripted.seen == [
        (60, "n2", b"gossip 0"),
        (60, "n2", b"gossip 1"),
        (100, "n2", b"gossip 2"),
        (200, "deadline"),
        (200, "still"),
    ]


def test_until_leaves_datagrams_for_recv() -> None:
    async def waiter(env: SimProcess) -> None:
        await env.until(150 * MS)
        scripted.note("awake")
        for _ in range(2):
            scripted.note(await env.recv(None))

    scripted = ScriptedWorld(n1=waiter, n2=sender(10, 20), plan=EXACT)
    scripted.play(until_ms=500)

    assert scripted.seen == [(150, "awake"), (150, ("n2", b"gossip 0")), (150, ("n2", b"gossip 1"))]


def test_recv_does_not_give_up_early_because_an_earlier_wait_was_interrupted() -> None:
    """Every datagram that came during `until` used to leave an alarm behind, which then ended a later `recv`."""

    async def waiter(env: SimProcess) -> None:
        await env.until(150 * MS)
        for _ in range(3):
            scripted.note(await env.recv(env.clock.monotonic_ns() + 100 * MS))

    scripted = ScriptedWorld(n1=waiter, n2=sender(10, 20), plan=EXACT)
    scripted.play(until_ms=500)

    assert scripted.seen == [(150, ("n2", b"gossip 0")), (150, ("n2", b"gossip 1")), (250, None)]


def test_recv_does_not_give_up_early_because_a_datagram_ended_a_wait_at_its_very_instant() -> None:
    async def waiter(env: SimProcess) -> None:
        await env.until(45 * MS)
        await env.until(50 * MS)  # the datagram of this instant comes before the alarm
        for _ in range(2):
            scripted.note(await env.recv(env.clock.monotonic_ns() + 100 * MS))

    scripted = ScriptedWorld(n1=waiter, n2=sender(40), plan=EXACT)
    scripted.play(until_ms=500)

    assert scripted.seen == [(50, ("n2", b"gossip 0")), (150, None)]


def test_a_timer_that_is_put_off_again_and_again_fires_once_at_its_last_deadline() -> None:
    async def waiter(env: SimProcess) -> None:
        start_ns = env.clock.monotonic_ns()
        for number in range(5):
            assert await env.recv(start_ns + (100 + 30 * number) * MS) is not None
        scripted.note(await env.recv(start_ns + 300 * MS))

    scripted = ScriptedWorld(n1=waiter, n2=sender(20, 40, 60, 80, 100), plan=EXACT)
    scripted.play(until_ms=500)

    assert scripted.seen == [(300, None)]


# -- pauses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clock", "timer_ms", "shown_ms"), [("runs", 300, 500), ("stops", 400, 300)])
def test_a_pause_holds_deliveries_timers_and_disk_completions(clock: Any, timer_ms: int, shown_ms: int) -> None:
    async def receiver(env: SimProcess) -> None:
        scripted.note("received", await env.recv(None))
        await env.until(500 * MS)
        scripted.note("clock", (env.clock.monotonic_ns() - start["n1"]) / MS)

    async def syncer(env: SimProcess) -> None:
        env.disk.append("file", b"data")
        await env.until(80 * MS)
        await env.disk.fsync("file")
        scripted.note("synced")

    async def timer(env: SimProcess) -> None:
        scripted.note("timer", await env.recv(env.clock.monotonic_ns() + 200 * MS))

    start = {}
    pause = Pause(id="f1", begin_ns=100 * MS, end_ns=300 * MS, targets=("n1", "n2", "n3"), clock=clock)
    plan: dict[str, Any] = {"nodes": 4, "faults": (pause,), **EXACT}
    scripted = ScriptedWorld(n1=receiver, n2=syncer, n3=timer, n4=sender(95), plan=plan)
    start["n1"] = scripted.host("n1").clock.monotonic_ns()
    scripted.host("n2").device.spec = SLOW_DISK
    scripted.play(until_ms=600)

    assert sorted(scripted.seen, key=lambda seen: (seen[0], seen[1])) == sorted(
        [
            (300, "received", ("n4", b"gossip 0")),
            (300, "synced"),
            (timer_ms, "timer", None),
            (500, "clock", shown_ms),
        ],
        key=lambda seen: (seen[0], str(seen[1])),
    )
    assert scripted.world.nemesis.finish() == {"f1": "effective"}


@pytest.mark.parametrize("policy", ["fifo", "random", "pct"])
def test_what_was_held_comes_in_its_old_order(policy: Any) -> None:
    async def receiver(env: SimProcess) -> None:
        while True:
            scripted.note(*(await env.recv(None) or ()))

    pause = Pause(id="f1", begin_ns=50 * MS, end_ns=300 * MS, targets=("n1",))
    schedule = Schedule(seed=2, policy=policy, quantum_ns=MS)
    plan = {**EXACT, "faults": (pause,), "schedule": schedule}
    scripted = ScriptedWorld(n1=receiver, n2=sender(60, 70, 80, 90), plan=plan)
    scripted.play(until_ms=600)

    assert scripted.seen == [(300, "n2", b"gossip %d" % number) for number in range(4)]


def test_overlapping_pauses_end_with_the_last_one() -> None:
    async def receiver(env: SimProcess) -> None:
        scripted.note(*(await env.recv(None) or ()))
        scripted.note((env.clock.monotonic_ns() - start) / MS)

    pauses = (
        Pause(id="f1", begin_ns=50 * MS, end_ns=300 * MS, targets=("n1",), clock="stops"),
        Pause(id="f2", begin_ns=100 * MS, end_ns=400 * MS, targets=("n1",), clock="runs"),
    )
    scripted = ScriptedWorld(n1=receiver, n2=sender(60, 350), plan={**EXACT, "faults": pauses})
    start = scripted.host("n1").clock.monotonic_ns()
    scripted.play(until_ms=600)

    assert scripted.seen == [(400, "n2", b"gossip 0"), (400, 150)]  # it stood from 50 to 300


# -- clocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_ppm", "fires_ms"), [(2_000_000, 75), (500_000, 150), (1_000_000, 100)])
def test_a_change_of_rate_aims_timers_anew(rate_ppm: int, fires_ms: int) -> None:
    async def timer(env: SimProcess) -> None:
        scripted.note(await env.recv(env.clock.monotonic_ns() + 100 * MS))

    scripted = ScriptedWorld(n1=timer)
    scripted.at(50, lambda: scripted.host("n1").set_rate(rate_ppm))
    scripted.play(until_ms=500)

    assert scripted.seen == [(fires_ms, None)]


def test_clients_programs_live_on_true_time_whatever_their_clocks_say() -> None:
    async def program(env: SimProcess) -> None:
        await env.until(100 * MS)
        scripted.note()

    scripted = ScriptedWorld(c1=program)
    scripted.at(50, lambda: scripted.host("c1").set_rate(3_000_000))
    scripted.play(until_ms=500)

    assert scripted.seen == [(100,)]


def test_each_actor_has_clocks_of_its_own() -> None:
    scripted = ScriptedWorld()
    shown = [scripted.host(name).clock.monotonic_ns() for name in ("n1", "n2", "c1")]

    assert len(set(shown)) == 3


def test_draws_for_one_purpose_do_not_shift_another() -> None:
    drawn = []
    for extra in (0, 3):

        async def entrypoint(env: SimProcess, extra: int = extra) -> None:
            for _ in range(extra):
                env.randomness.below(100, "backoff")
            drawn.append([env.randomness.below(10**9, "election") for _ in range(3)])

        ScriptedWorld(n1=entrypoint).play(until_ms=1)

    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3


def test_each_incarnation_draws_anew() -> None:
    async def entrypoint(env: SimProcess) -> None:
        scripted.note(env.randomness.below(10**9, "election"))
        await env.until(10**18)

    scripted = ScriptedWorld(n1=entrypoint)
    scripted.at(50, lambda: scripted.world.crash("n1", power=False, reason="kill"))
    scripted.at(60, lambda: scripted.world.start("n1"))
    scripted.play(until_ms=100)

    (_, first), (_, second) = scripted.seen
    assert first != second


# -- death ----------------------------------------------------------------------------------------------------------


def test_a_crash_inside_an_fsync_ends_it_without_a_trace() -> None:
    async def syncer(env: SimProcess) -> None:
        env.disk.append("file", b"data")
        await env.disk.fsync("file")
        scripted.note("synced")

    scripted = ScriptedWorld(n1=syncer)
    scripted.host("n1").device.spec = SLOW_DISK
    scripted.at(20, lambda: scripted.world.crash("n1", power=False, reason="kill"))
    scripted.play(until_ms=500)

    assert scripted.seen == []
    assert scripted.rows_of("fsync", "n1") == []
    assert scripted.rows_of("crash", "n1") == [(20, 1, "kill")]
    assert scripted.host("n1").device.disk.has_unsynced  # the operating system goes on, and has it


def test_a_restart_in_the_instant_of_the_crash_is_another_incarnation() -> None:
    async def entrypoint(env: SimProcess) -> None:
        scripted.note("incarnation", scripted.host("n1").incarnation)
        try:
            scripted.note(*(await env.recv(None) or ()))
        finally:
            env.network.send("n2", b"gossip 99")

    def again() -> None:
        scripted.world.crash("n1", power=False, reason="kill")
        scripted.world.start("n1")

    scripted = ScriptedWorld(n1=entrypoint, n2=sender(60), plan=EXACT)
    for _ in range(3):
        scripted.at(50, again)
    scripted.play(until_ms=500)

    assert [row[1:] for row in scripted.rows if row[1] in ("start", "crash") and row[2] == "n1"] == [
        ("start", "n1", 1, "default"),
        *[
            (kind, "n1", *rest)
            for incarnation in (1, 2, 3)
            for kind, *rest in (("crash", incarnation, "kill"), ("start", incarnation + 1, "default"))
        ],
    ]
    assert scripted.seen[-1] == (70, "n2", b"gossip 0")  # delivered to the last incarnation, once
    assert [sent[2] for sent in scripted.rows_of("send", "n1")] == ["n2"]  # the last incarnation's own clean-up
    assert scripted.rows_of("send", "n1")[0][0] == 70


async def send(env: SimProcess) -> None:
    env.network.send("n2", b"gossip 7")


async def write(env: SimProcess) -> None:
    env.disk.append("file", b"from the grave")
    env.disk.write("file", b"from the grave")
    env.disk.truncate("file", 0)
    env.disk.rename("file", "other")
    env.disk.unlink("file")


async def sync(env: SimProcess) -> None:
    await env.disk.fsync("file")


async def sync_directory(env: SimProcess) -> None:
    await env.disk.fsync_directory()


async def receive(env: SimProcess) -> None:
    await env.recv(None)


async def wait(env: SimProcess) -> None:
    await env.until(10**18)


async def sleep(_: SimProcess) -> None:
    await trio.sleep(0.01)


def dying(
    last_act: Callable[[SimProcess], Awaitable[None]], *, shield: bool
) -> Callable[[SimProcess], Awaitable[None]]:
    """An entrypoint whose clean-up code does something."""

    async def entrypoint(env: SimProcess) -> None:
        env.disk.append("file", b"data")
        try:
            await env.recv(None)
        finally:
            with trio.CancelScope(shield=shield):
                await last_act(env)

    return entrypoint


LAST_ACTS = [send, write, sync, sync_directory, receive, wait, sleep]


@pytest.mark.parametrize("shield", [False, True])
@pytest.mark.parametrize("last_act", LAST_ACTS)
def test_the_dead_leave_no_mark(last_act: Callable[[SimProcess], Awaitable[None]], shield: bool) -> None:
    """A shielded wait that outlives its killed actor ends the run with a plain error; nothing is recorded before."""
    scripted = ScriptedWorld(n1=dying(last_act, shield=shield))
    scripted.at(50, lambda: scripted.world.crash("n1", power=False, reason="kill"))
    if shield and last_act not in (send, write):
        with pytest.raises(LingeringTask, match="the task of n1 did not end"):
            scripted.play(until_ms=500)
        scripted.world.log.close()
    else:
        scripted.play(until_ms=500)

    disk = scripted.host("n1").device.disk
    assert [row[1] for row in scripted.rows if row[2] == "n1"] == ["start", "crash"]
    assert disk.names() == ["file"]
    assert disk.read("file") == b"data"


def test_what_is_on_its_way_to_the_dead_is_dropped() -> None:
    scripted = ScriptedWorld(n2=sender(45), plan=EXACT)
    scripted.at(50, lambda: scripted.world.crash("n1", power=False, reason="kill"))
    scripted.play(until_ms=100)

    assert scripted.rows_of("drop", "n1") == [(55, 1, "down")]


# -- servers --------------------------------------------------------------------------------------------------------


LANES = [nullcontext, task_lane]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("storage", ["sync", "async"])
def test_a_bug_in_a_servers_step_is_a_crash_of_that_server_and_an_anomaly(lane: Lane, storage: str) -> None:
    planned = toy.plan(options={"raise_at": 5, "storage": storage})
    with lane():
        simulation = toy.simulate(planned)

    outcome = simulation.judge()

    crashes = [row for row in simulation.world.log.kept if row[1] == "crash"]
    assert crashes
    assert {row[4] for row in crashes} == {"RuntimeError"}
    assert outcome.verdict.validity == "invalid"
    assert outcome.primary == "node/exception/RuntimeError"
    starts = [row for row in simulation.world.log.kept if row[1] == "start" and row[2] == crashes[0][2]]
    assert starts[1][0] - crashes[0][0] == 1_000 * MS  # a supervisor starts it again


@pytest.mark.parametrize("lane", LANES)
def test_commands_are_refused_by_servers_that_are_busy_paused_or_down(lane: Lane) -> None:
    taken = []
    planned = toy.plan(ops=0, schedule=Schedule(seed=1, policy="fifo"))
    simulation = toy.ToySimulation(planned, {"default": toy.ToySystem()}, RunOptions(until_ns=500 * MS))  # type: ignore[dict-item]
    world = simulation.world

    def command(_: str) -> None:
        taken.append(world.command("n1", "g0", "compact", {}))

    world.kernel.exactly(100 * MS, command, "idle")
    world.kernel.exactly(100 * MS + 1, command, "awaits the disk for the one before")
    world.kernel.exactly(200 * MS, command, "idle")
    world.kernel.exactly(300 * MS, lambda _: world.hosts["n1"].pause("p", stop_clock=False))
    world.kernel.exactly(301 * MS, command, "paused")
    world.kernel.exactly(302 * MS, lambda _: world.hosts["n1"].unpause("p"))
    world.kernel.exactly(400 * MS, lambda _: world.crash("n1", power=False, reason="kill"))
    world.kernel.exactly(401 * MS, command, "down")
    with lane():
        simulation.run()

    assert taken == [True, False, True, False, False]


# -- steps that raise -------------------------------------------------------------------------------------------------


def test_what_a_step_noted_before_it_raised_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages have left: a leader that refuses while it applies has told of its commit (seed 940024, upgraded)."""
    process = toy.ToyServer.process

    def raising(self: toy.ToyServer, messages: list[tuple[str, bytes]]) -> bool:
        process(self, messages)
        if messages:
            self.notes.append(("commit", "g0", 7))
            raise ValueError("what was committed cannot be applied")
        return False

    monkeypatch.setattr(toy.ToyServer, "process", raising)

    simulation = toy.simulate(toy.plan())

    rows = simulation.world.log.kept
    assert {anomaly.signature for anomaly in simulation.world.node_anomalies} == {"node/exception/ValueError"}
    assert [row[4] for row in rows if row[1] == "commit" and row[4] == 7]


# -- work in the background ------------------------------------------------------------------------------------------


def test_work_in_the_background_is_done_when_the_step_is_over_that_asked_for_it() -> None:
    """So an image that shares something with its machine is not what was there when it was asked for."""

    async def worker(env: SimProcess) -> None:
        shared, copied = ["before"], ("before",)
        env.background(lambda: (*shared, *copied), lambda result: scripted.note("done", *result))
        shared.append("after")
        scripted.note("asked")
        await env.until(20 * MS)

    scripted = ScriptedWorld(n1=worker, plan=EXACT)
    scripted.play(until_ms=50)

    assert scripted.seen == [(0, "asked"), (0, "done", "before", "after", "before")]


def test_work_in_the_background_takes_as_long_as_the_faults_say_that_lie_on_it_when_it_begins() -> None:
    async def worker(env: SimProcess) -> None:
        for place in range(4):
            env.background(lambda place=place: place, lambda place: scripted.note("done", place))  # type: ignore[misc]
            await env.until((place + 1) * 10 * MS)
        await env.until(100 * MS)

    scripted = ScriptedWorld(n1=worker, plan=EXACT)
    host = scripted.world.hosts["n1"]
    for at_ms, change in (
        (5, lambda _: host.slow_background("f1", 12 * MS)),
        (15, lambda _: host.slow_background("f2", 5 * MS)),
        (25, lambda _: host.hurry_background("f1")),
        (26, lambda _: host.hurry_background("f2")),
    ):
        scripted.world.kernel.exactly(at_ms * MS, change)
    scripted.play(until_ms=100)

    assert scripted.seen == [(0, "done", 0), (22, "done", 1), (30, "done", 3), (37, "done", 2)]
    assert host.hits == {"f1": 2, "f2": 1}


def test_slow_work_in_the_background_is_over_with_its_process() -> None:
    async def worker(env: SimProcess) -> None:
        env.background(lambda: None, lambda _: scripted.note("done"))
        await env.until(100 * MS)

    scripted = ScriptedWorld(n1=worker, plan=EXACT)
    scripted.world.hosts["n1"].slow_background("f1", 50 * MS)
    scripted.world.kernel.exactly(20 * MS, lambda _: scripted.world.crash("n1", power=False, reason="kill"))
    scripted.play(until_ms=100)

    assert scripted.seen == []


def test_what_work_in_the_background_raises_ends_its_server_as_if_a_step_had_raised_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> None:
        raise ValueError("an image that cannot be read")

    process = toy.ToyServer.process

    def asking(self: toy.ToyServer, messages: list[tuple[str, bytes]]) -> bool:
        if messages:
            self.env.background(fails, lambda result: None)
        return process(self, messages)

    monkeypatch.setattr(toy.ToyServer, "process", asking)

    simulation = toy.simulate(toy.plan())
    simulation.run()

    assert {anomaly.signature for anomaly in simulation.world.node_anomalies} == {"node/exception/ValueError"}
