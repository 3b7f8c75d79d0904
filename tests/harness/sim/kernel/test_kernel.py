"""The kernel: events run in order inside Trio's clock, and every run ends, whatever goes wrong in it."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio._core import _run

from harness.sim.kernel import trio_seam
from harness.sim.kernel.events import FAR, Deadlock, Kernel, _to_ns
from harness.sim.kernel.fingerprint import Log
from harness.sim.kernel.livelock import Livelock

MS = 1_000_000


def new_kernel(**arguments: Any) -> Kernel:
    settings: dict[str, Any] = {"seed": 1, "log": Log(keep=True)}
    return Kernel(**settings | arguments)


def run(kernel: Kernel, *tasks: Callable[[], Awaitable[None]]) -> None:
    """Run tasks and events until the kernel is stopped."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for task in tasks:
                nursery.start_soon(task)
            await kernel.supervise()
            nursery.cancel_scope.cancel()

    trio_seam.run(main, kernel)


# -- order ----------------------------------------------------------------------------------------------------------


def test_events_run_in_the_order_of_time_and_then_of_making() -> None:
    kernel, seen = new_kernel(), list[tuple[int, str]]()
    for time_ns, name in [(3, "d"), (1, "a"), (2, "b"), (3, "e"), (2, "c")]:
        kernel.at(time_ns, 0, lambda name: seen.append((kernel.now, name)), name)
    kernel.at(9, 0, lambda _: kernel.stop("done"))

    run(kernel)

    assert seen == [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (3, "e")]
    assert (kernel.why, kernel.error, kernel.now, kernel.pops) == ("done", None, 9, 6)


def test_a_moment_comes_before_the_events_of_its_instant_and_is_none() -> None:
    kernel, seen = new_kernel(), list[tuple[int, str]]()
    for time_ns, name in [(3, "b"), (2, "a"), (3_000_000_000, "c")]:
        kernel.exactly(time_ns, lambda name: seen.append((kernel.now, name)), name)
    for time_ns, name in [(3, "M"), (3, "N"), (4, "O"), (0, "L"), (3_000_000_000, "P"), (4_000_000_000, "Q")]:
        kernel.between(time_ns, lambda name: seen.append((kernel.now, name)), name)
    kernel.exactly(3_000_000_000, lambda _: kernel.stop("done"))

    run(kernel)

    assert [name for _, name in seen] == ["L", "a", "M", "N", "b", "O", "P", "c"]
    assert [now for now, _ in seen] == [0, 2, 3, 3, 3, 4, 3_000_000_000, 3_000_000_000]
    assert kernel.pops == 4


def test_a_moment_comes_before_what_a_task_does_by_a_deadline_of_its_own() -> None:
    kernel, seen = new_kernel(), list[str]()

    async def sleeper() -> None:
        await trio.sleep(1)
        seen.append("task")
        kernel.stop("done")

    kernel.between(MS, seen.append, "moment")
    run(kernel, sleeper)

    assert seen == ["moment", "task"]


@pytest.mark.parametrize("moments", [(1, 2, 3), range(0, 900, 7)])
def test_a_livelock_is_seen_at_the_same_event_whatever_moments_there_are(moments: Sequence[int]) -> None:
    def stopped(moments: Sequence[int]) -> tuple[str, int, int]:
        kernel = new_kernel(events_per_second_max=10_000)

        def again(_: None) -> None:
            kernel.at(kernel.now + 50_000, 0, again)

        again(None)
        for moment in moments:
            kernel.between(moment * MS, lambda _: None)
        run(kernel)
        return kernel.why, kernel.now, kernel.pops

    found = stopped(moments)

    assert found[0] == "livelock"
    assert found == stopped(())


def test_a_run_may_be_ended_at_a_moment() -> None:
    kernel, seen = new_kernel(), list[int]()
    for time_ns in (1, 5, 6):
        kernel.at(time_ns, 0, seen.append, time_ns)
    kernel.between(4, lambda _: kernel.stop("there"))
    kernel.between(5, seen.append, 0)

    run(kernel)

    assert (kernel.why, kernel.error, kernel.now, seen) == ("there", None, 4, [1])


def test_forgotten_moments_do_not_come() -> None:
    kernel, seen = new_kernel(), list[str]()
    kernel.between(5, seen.append, "forgotten")
    kernel.at(4, 0, lambda _: kernel.forget_moments())
    kernel.at(9, 0, lambda _: kernel.stop("done"))

    run(kernel)

    assert seen == []


def test_an_event_in_the_past_runs_now() -> None:
    kernel, seen = new_kernel(), list[int]()

    def late(_: None) -> None:
        kernel.at(1, 0, lambda _: seen.append(kernel.now))
        kernel.exactly(2, lambda _: seen.append(kernel.now))

    kernel.at(5, 0, late)
    kernel.at(9, 0, lambda _: kernel.stop("done"))

    run(kernel)

    assert seen == [5, 5]


def quantised_order(policy: str, seed: int = 1) -> list[tuple[int, int, int]]:
    """The order in which 4 actors' 25 entries each run; all entries of 1 ms share an instant."""
    kernel, seen = new_kernel(policy=policy, seed=seed, depth=3, quantum_ns=MS), list[tuple[int, int, int]]()
    for number in range(25):
        for actor in range(4):
            due_ns = number * MS // 5 + actor
            kernel.at(due_ns, actor, lambda who: seen.append((kernel.now, *who)), (actor, number))
    kernel.exactly(100 * MS, lambda _: kernel.stop("done"))
    run(kernel)
    return seen


def test_policies_order_one_instant_differently() -> None:
    orders = {policy: quantised_order(policy) for policy in ("fifo", "random", "pct")}

    assert len({tuple(order) for order in orders.values()}) == 3
    for order in orders.values():
        assert [now for now, _, _ in order] == sorted(now for now, _, _ in order)
        assert sorted(order) == sorted(orders["fifo"])  # what happens at which instant is the same


@pytest.mark.parametrize("policy", ["fifo", "random", "pct"])
def test_a_policy_orders_the_same_entries_the_same_way_again(policy: str) -> None:
    assert quantised_order(policy) == quantised_order(policy)


@pytest.mark.parametrize(("policy", "depends"), [("fifo", False), ("random", True), ("pct", True)])
def test_other_seeds_order_otherwise(policy: str, depends: bool) -> None:
    assert (quantised_order(policy, 1) != quantised_order(policy, 2)) is depends


def test_pct_runs_actors_by_priority_and_changes_priorities_at_few_points() -> None:
    """Burckhardt et al., ASPLOS 2010: priorities of threads, lowered at `depth` change points."""
    kernel = new_kernel(policy="pct", depth=3, quantum_ns=MS)
    leaders = list[int]()
    for instant in range(15_000):
        first = list[int]()
        for actor in range(4):
            kernel.at(instant * MS, actor, lambda who: who[1].append(who[0]), (actor, first))
        kernel.exactly(instant * MS + 1, lambda first: leaders.append(first[0]), first)
    kernel.exactly(15_000 * MS, lambda _: kernel.stop("done"))

    run(kernel)

    changes = sum(1 for before, after in pairwise(leaders) if before != after)
    assert len(leaders) == 15_000
    assert changes <= 3


def test_a_quantum_rounds_up_and_faults_stay_exact_and_first() -> None:
    kernel, seen = new_kernel(quantum_ns=MS), list[tuple[int, str]]()

    def note(name: str) -> None:
        seen.append((kernel.now, name))

    kernel.at(1, 0, note, "rounded")
    kernel.at(MS, 0, note, "on the quantum")
    kernel.exactly(MS, note, "fault")
    kernel.exactly(MS + 1, note, "fault between")
    kernel.exactly(3 * MS, lambda _: kernel.stop("done"))

    run(kernel)

    assert seen == [(MS, "fault"), (MS, "rounded"), (MS, "on the quantum"), (MS + 1, "fault between")]


# -- Trio's own sleeps ----------------------------------------------------------------------------------------------


def test_trio_sleeps_and_timeouts_run_on_virtual_time() -> None:
    kernel, seen = new_kernel(), list[tuple[str, int]]()

    async def sleeper() -> None:
        await trio.sleep(0.25)
        seen.append(("slept", kernel.now))
        with trio.move_on_after(3600):
            await trio.sleep_forever()
        seen.append(("timed out", kernel.now))
        kernel.stop("done")

    kernel.at(250 * MS, 0, lambda _: seen.append(("event", kernel.now)))

    run(kernel, sleeper)

    assert [name for name, _ in seen] == ["event", "slept", "timed out"]  # events of an instant precede its deadlines
    assert seen[1][1] == 250 * MS
    assert abs(seen[2][1] - 3_600_250 * MS) <= 1_000  # Trio's floats; exact only in the kernel's own timers


@given(st.floats(min_value=0, max_value=1e6) | st.integers(0, 10**15).map(lambda ns: ns / 1e9))
def test_a_deadline_is_converted_to_the_first_instant_that_reaches_it(deadline: float) -> None:
    """`ceil(d * 1e9) / 1e9` may be less than d, and a clock that stops there is asked again without end."""
    ns = _to_ns(deadline)

    assert ns / 1e9 >= deadline
    assert ns <= int(deadline * 1e9) + 2


def test_no_deadline_is_later_than_any_event() -> None:
    assert _to_ns(float("inf")) == FAR


# -- every run ends -------------------------------------------------------------------------------------------------


class Bug(Exception):
    """What a test breaks on purpose."""


def raise_in_callback(kernel: Kernel) -> None:
    def bug(_: None) -> None:
        raise Bug("callback")

    kernel.at(5, 0, bug)


def raise_twice(kernel: Kernel) -> None:
    raise_in_callback(kernel)
    raise_in_callback(kernel)


def never_let_time_move(kernel: Kernel) -> None:
    def again(_: None) -> None:
        kernel.at(kernel.now, 0, again)

    kernel.at(5, 0, again)


def run_many_events(kernel: Kernel) -> None:
    def again(_: None) -> None:
        kernel.at(kernel.now + 1_000, 0, again)

    kernel.at(5, 0, again)


def wait_for_nothing(_: Kernel) -> None:
    """No event at all."""


@pytest.mark.parametrize(
    ("arrange", "why", "error"),
    [
        (raise_in_callback, "callback", Bug),
        (raise_twice, "callback", Bug),
        (never_let_time_move, "livelock", Livelock),
        (run_many_events, "livelock", Livelock),
        (wait_for_nothing, "deadlock", Deadlock),
    ],
)
def test_a_run_that_goes_wrong_ends_with_the_plain_exception(
    arrange: Callable[[Kernel], None], why: str, error: type[Exception]
) -> None:
    kernel = new_kernel(events_per_second_max=5_000, events_max=20_000)
    arrange(kernel)

    run(kernel, trio.sleep_forever)

    assert kernel.why == why
    assert type(kernel.error) is error
    assert kernel.pops < 30_000


def test_the_budget_of_a_whole_run_counts_events_however_slowly_they_come() -> None:
    kernel = new_kernel(events_max=3_000)

    def again(_: None) -> None:
        kernel.at(kernel.now + 1_000 * MS, 0, again)

    again(None)
    run(kernel)

    assert type(kernel.error) is Livelock
    assert 3_000 <= kernel.pops <= 5_000


async def spin() -> None:
    while True:
        await trio.lowlevel.checkpoint()


def test_a_task_that_spins_is_found_and_cancelled() -> None:
    kernel = new_kernel()
    kernel.at(1, 0, lambda _: pytest.fail("time must not move"))

    run(kernel, spin)

    assert type(kernel.error) is Livelock
    assert kernel.passes < 6_000


async def sleep_shielded() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()


async def sleep_shielded_in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep_shielded)
        await sleep_shielded()


async def sleep_shielded_twice() -> None:
    try:
        await sleep_shielded()
    finally:
        await sleep_shielded()


@pytest.mark.parametrize("task", [sleep_shielded, sleep_shielded_in_a_nursery, sleep_shielded_twice])
def test_tasks_that_survive_cancellation_do_not_hold_up_the_end(task: Callable[[], Awaitable[None]]) -> None:
    kernel = new_kernel()
    kernel.at(5, 0, lambda _: kernel.stop("callback", Bug("the reason")))

    run(kernel, task, task)

    assert (kernel.why, kernel.now) == ("callback", 5)
    assert kernel.passes < 3_000


GIVE_UP = """
import trio
from harness.sim.kernel import trio_seam
from harness.sim.kernel.events import Kernel
from harness.sim.kernel.fingerprint import Log
from harness.sim.kernel.livelock import Livelock

def run(task):
    kernel = Kernel(seed=1, log=Log(keep=False))
    kernel.at(5, 0, lambda _: kernel.stop("done"))
    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            await kernel.supervise()
            nursery.cancel_scope.cancel()
    trio_seam.run(main, kernel)
    return kernel.why

async def spin_shielded():
    with trio.CancelScope(shield=True):
        while True:
            await trio.lowlevel.checkpoint()

try:
    run(spin_shielded)
except Livelock:
    print("livelock", run(trio.sleep_forever))
"""


def test_a_task_that_nothing_can_end_leaves_the_process_fit_for_another_run() -> None:
    """In a process of its own, because what is left of Trio complains when it is collected."""
    shown = subprocess.run([sys.executable, "-c", GIVE_UP], capture_output=True, text=True, check=True, timeout=60)

    assert shown.stdout == "livelock done\n"


def test_a_shielded_sleep_may_end_after_the_end() -> None:
    kernel, seen = new_kernel(), list[int]()

    async def tidy_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
            seen.append(kernel.now)

    kernel.at(5, 0, lambda _: kernel.stop("done"))

    run(kernel, tidy_up)

    assert len(seen) == 1
    assert seen[0] >= 5_000 * MS


def test_nothing_fires_and_nothing_is_recorded_after_the_end() -> None:
    """Trio asks the clock once more when main has ended; whatever was left in the heap would fire into the trace."""
    kernel, fired = new_kernel(), list[str]()

    async def tidy_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            kernel.log.append((kernel.now, "note", "clean-up"))
            kernel.at(kernel.now, 0, fired.append, "made by clean-up")

    kernel.at(5, 0, lambda _: kernel.log.append((kernel.now, "note", "in time")))
    kernel.at(5, 0, lambda _: kernel.stop("done"))
    kernel.at(5, 0, fired.append, "left over")
    kernel.at(6, 0, fired.append, "left over")

    run(kernel, tidy_up)

    assert fired == []
    assert kernel.log.kept == [(5, "note", "in time")]
    assert (kernel.why, kernel.now) == ("done", 5)


def test_the_first_stop_counts() -> None:
    kernel = new_kernel()

    def stop_twice(_: None) -> None:
        kernel.stop("first")
        kernel.stop("second", Bug("late"))

    kernel.at(5, 0, stop_twice)
    run(kernel)

    assert (kernel.why, kernel.error) == ("first", None)


def test_a_stop_before_a_task_waits_for_it_ends_the_run() -> None:
    kernel = new_kernel()
    kernel.stop("early")

    run(kernel, trio.sleep_forever)

    assert kernel.why == "early"


# -- waking ---------------------------------------------------------------------------------------------------------


def test_a_woken_task_runs_before_time_moves_on() -> None:
    kernel, seen = new_kernel(), list[tuple[str, int]]()
    event = list[trio.lowlevel.Task]()

    async def waiter() -> None:
        event.append(trio.lowlevel.current_task())
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)
        seen.append(("task", kernel.now))

    def begin(_: None) -> None:
        kernel.wake(event.pop())
        seen.append(("callback", kernel.now))

    kernel.at(5, 0, begin)
    kernel.at(5, 0, lambda _: seen.append(("next event", kernel.now)))
    kernel.at(6, 0, lambda _: kernel.stop("done"))

    run(kernel, waiter)

    assert seen == [("callback", 5), ("task", 5), ("next event", 5)]


def test_a_batch_of_tasks_runs_in_order_of_creation() -> None:
    kernel, seen = new_kernel(), list[str]()

    async def named(name: str) -> None:
        seen.append(name)

    async def starter() -> None:
        async with trio.open_nursery() as nursery:

            def start_all(_: None) -> None:
                for name in "edcba":
                    kernel.spawn(nursery, named, name, name=name)

            kernel.at(5, 0, start_all)
            kernel.at(6, 0, lambda _: kernel.stop("done"))
            await trio.sleep_forever()

    run(kernel, starter)

    assert seen == list("edcba")


# -- Trio's private names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_trio_is_left_as_it_was_found(fails: bool) -> None:
    private: Any = _run
    before = private._ALLOW_DETERMINISTIC_SCHEDULING, private._r, gc.isenabled()
    during = list[tuple[Any, ...]]()
    kernel = new_kernel()

    async def look() -> None:
        during.append((private._ALLOW_DETERMINISTIC_SCHEDULING, gc.isenabled()))
        if fails:
            raise Bug("in a task without a watcher")
        kernel.stop("done")

    if fails:
        with pytest.RaisesGroup(Bug):
            run(kernel, look)
    else:
        run(kernel, look)

    assert during == [(True, False)]
    assert (private._ALLOW_DETERMINISTIC_SCHEDULING, private._r, gc.isenabled()) == before


@pytest.mark.parametrize("name", ["_ALLOW_DETERMINISTIC_SCHEDULING", "_r"])
def test_a_trio_without_the_private_names_is_refused_in_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(_run, name)
    assert trio_seam.__file__ is not None
    spec = importlib.util.spec_from_file_location("harness.sim.kernel.another_trio_seam", trio_seam.__file__)
    assert spec is not None
    assert spec.loader is not None

    with pytest.raises(ImportError, match=rf"has no trio\._core\._run\.{name}; .*install one of these"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
