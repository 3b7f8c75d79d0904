"""Virtual time: one heap of events inside Trio's clock.

Trio asks its clock how long to sleep only when no task is runnable. That is the moment at which the world may move:
the clock pops events and calls them until one of them made a task runnable, and then answers "zero seconds".
Deliveries, disk completions, timers and faults are such callbacks, so a fault always falls between two steps of a
node, never inside one.

Entries are `(time_ns, tie, sequence, callback, argument)`. `tie` comes from the schedule policy:

* fifo: zero, so that entries of one instant run in the order in which they were made;
* random: a keyed draw by (actor, ordinal);
* pct: the priority of the entry's actor (Burckhardt et al., ASPLOS 2010), lowered at `depth` drawn change points.

Faults and phases are known many seconds ahead. They wait in a list of their own until their time is near, so that the
heap holds only what is on its way, and each push and pop compares less.

At nanosecond resolution two entries almost never share an instant, so plans that mean to explore ties round event times
up to a quantum.

Between two events there may be moments (`between`): a redraw of chance, or a checkpoint. They are no events, since a
run that is only forked there must stay the run that it is without, down to the number of its events.

Rules that keep this sound, each learnt from a failure:

* Whatever a callback does to Trio goes through `wake`, `cancel` or `spawn`, which note that a task became runnable; a
  forgotten note lets time jump past the task in silence.
* Nothing is raised inside the clock: Trio would turn it into an internal error. `stop(why, error)` is the one end of a
  run. It closes the clock and freezes the log before anything is cancelled, because Trio asks the clock once more
  after the end, and left-over events would fire into the trace.
* `ceil(d * 1e9) / 1e9` may be less than `d`; the conversion below counts up until it is not.
"""

from __future__ import annotations

import math
from bisect import insort, insort_left
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import Any, Final, Literal

import outcome
import trio

from .draws import Chance, Counter, Draws
from .fingerprint import Log
from .forced_teardown import tear_down
from .livelock import LivelockGuard

FAR: Final = 2**63
"""Later than any event."""

_QUESTIONS_AFTER_END_MAX: Final = 1_000
"""How often Trio may ask the time after the end before the tasks that are left are torn down by force."""

_TEARDOWNS_MAX: Final = 10
"""Tasks nest; a task that survives this many rounds never ends."""

_TASKS_REMAIN: Final = "tasks of the system under test do not end after the run was stopped"

_BATCH: Final = range(1_024)
"""How often, in events, the log is hashed."""

_FAR_AHEAD_NS: Final = 100_000_000
"""From here on an event is far ahead. Faults are planned seconds ahead; kept apart they leave the heap small."""

Callback = Callable[[Any], None]
_Entry = tuple[int, int, int, Callback, Any]
_Moment = tuple[int, Callback, Any]


class Kernel(trio.abc.Clock):
    """Virtual clock, event heap and schedule policy of one run."""

    def __init__(
        self,
        *,
        seed: int,
        log: Log,
        will_redraw: bool = False,
        policy: Literal["fifo", "random", "pct"] = "fifo",
        depth: int = 0,
        quantum_ns: int = 0,
        events_per_second_max: int = 200_000,
        events_max: int = 200_000_000,
    ) -> None:
        self.now = 0  # virtual ns since the start of the run
        self.log = log
        self.chance = Chance(seed, will_redraw=will_redraw)
        self.quantum_ns = quantum_ns
        self.closed = False
        self.why = ""  # why the run ended
        self.error: BaseException | None = None
        self.admits: Callable[[trio.lowlevel.Task], bool] | None = None
        """Which tasks may run now; the others wait in the scheduler, and `rouse` says when to ask again."""
        self.on_thread: Callable[[Callable[[], Any], Callable[[outcome.Outcome[Any]], Any]], bool] | None = None
        """Asked before Trio starts a thread: given what to call in it and who is told what came of that, True takes
        the call over."""
        self._heap: list[_Entry] = []
        self._ahead: list[_Entry] = []  # entries that are far ahead, earliest last
        self._moments: list[_Moment] = []  # earliest last
        self._sequence = 0  # how many entries were ever made
        self._dropped = 0  # entries that were withdrawn, or left over at the end
        self._woke = False
        self._main: trio.lowlevel.Task | None = None
        self._supervisor: trio.lowlevel.Task | None = None  # the same, while it waits
        self._tie = _tie_policy(policy, self.chance, depth) if quantum_ns else None
        self._questions_after_end = 0
        self._guard = LivelockGuard(events_per_second_max=events_per_second_max, events_max=events_max)

    # -- what actors and devices use -----------------------------------------------------------------------------

    def at(self, time_ns: int, actor: int, callback: Callback, argument: Any = None) -> None:
        """Call `callback(argument)` at a virtual time (now, if it is past); `actor` is whom the tie policy ranks."""
        tie = 0
        if self.quantum_ns:
            time_ns = -(-time_ns // self.quantum_ns) * self.quantum_ns
            if self._tie is not None:
                tie = self._tie(actor)
        if time_ns < self.now:
            time_ns = self.now
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (time_ns, tie, sequence, callback, argument))

    def exactly(self, time_ns: int, callback: Callback, argument: Any = None) -> None:
        """Like `at`, without quantum and before everything else of that instant: for faults and phases."""
        self._sequence = sequence = self._sequence + 1
        entry = (max(time_ns, self.now), -1, sequence, callback, argument)
        if time_ns - self.now < _FAR_AHEAD_NS:
            heappush(self._heap, entry)
        else:
            insort(self._ahead, entry, key=_earliest_last)

    def between(self, time_ns: int, callback: Callback, argument: Any = None) -> None:
        """Call after all events that are earlier than a time and before those at that time, in the order of asking.

        It is no event and must make no task runnable: nothing that is counted, and nothing that happens, changes by it.
        It may end the run.
        """
        insort_left(self._moments, (time_ns, callback, argument), key=_moment_earliest_last)

    def forget_moments(self) -> None:
        """Call nothing of what `between` was asked for and has not come."""
        self._moments.clear()

    def withdraw(self) -> list[tuple[Callback, Any]]:
        """Take everything out that was to happen, and give it in its order: callbacks with their arguments."""
        entries = sorted((*self._heap, *self._ahead), key=_in_order)
        self._dropped += len(entries)
        self._heap.clear()
        self._ahead.clear()
        self._moments.clear()
        return [(callback, argument) for *_, callback, argument in entries]

    def wake(self, task: trio.lowlevel.Task, value: outcome.Outcome[Any] | None = None) -> None:
        """Make a waiting task runnable."""
        self._woke = True
        if value is None:
            trio.lowlevel.reschedule(task)
        else:
            trio.lowlevel.reschedule(task, value)

    def cancel(self, scope: trio.CancelScope) -> None:
        """Cancel a scope from a callback."""
        self._woke = True
        scope.cancel()

    def spawn(self, nursery: trio.Nursery, function: Callable[..., Awaitable[Any]], *arguments: Any, name: str) -> None:
        """Start a task from a callback."""
        self._woke = True
        nursery.start_soon(function, *arguments, name=name)

    def rouse(self) -> None:
        """Let Trio's scheduler make a pass: tasks that `admits` held back may run now."""
        self._woke = True

    # -- the one end of a run -------------------------------------------------------------------------------------

    def stop(self, why: str, error: BaseException | None = None) -> None:
        """End the run here and now: close the clock, freeze the log, wake the supervisor. Later calls are ignored."""
        if self.closed:
            return
        self.closed = True
        self.why, self.error = why, error
        self.log.close()
        self._dropped += len(self._heap) + len(self._ahead)
        self._heap.clear()
        self._ahead.clear()
        self._moments.clear()
        if self._supervisor is not None:
            supervisor, self._supervisor = self._supervisor, None
            self.wake(supervisor)

    async def supervise(self) -> None:
        """Wait, in the main task, for the end of the run."""
        self._main = trio.lowlevel.current_task()
        if self.closed:
            return
        self._supervisor = self._main

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._supervisor = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    # -- Trio's side ----------------------------------------------------------------------------------------------

    def start_clock(self) -> None:
        """Nothing to start: time is a number."""

    def current_time(self) -> float:
        """Virtual time in seconds, for Trio's own deadlines."""
        return self.now / 1e9

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Move the world until a task is runnable, or until Trio's own next deadline. Always answers zero."""
        if self.closed:
            self._after_end(deadline)
        else:
            self._advance(_to_ns(deadline))
        return 0.0

    def _advance(self, limit: int) -> None:
        """Call events until one makes a task runnable, ends the run, or the next one is later than the limit."""
        heap, pop = self._heap, heappop
        self._woke = False
        try:
            while heap or self._ahead:
                last = min(self._bring_near(), limit)
                if heap[0][0] > limit:
                    break
                self.log.hash_batches()
                livelock = self._guard.check_events(self.now, self.pops)
                if livelock is not None:
                    self.stop("livelock", livelock)
                until = self._before_moment(last) if self._moments else last
                for _ in _BATCH:
                    if not heap or heap[0][0] > until:
                        if not heap or heap[0][0] > last:
                            break
                        self._pass_moments(heap[0][0])
                        if not heap:
                            break  # the run was ended there
                        until = self._before_moment(last)
                    self.now, _, _, callback, argument = pop(heap)
                    callback(argument)
                    if self._woke:
                        return
            if not self.closed and limit != FAR:
                self._pass_moments(limit)
        except (Exception, SystemExit) as error:
            self.stop("callback", error)
        if self.closed:
            return
        if limit == FAR:
            self.stop("deadlock", Deadlock("no task can run, no event is due, and the run is not over"))
        elif limit > self.now:
            self.now = limit

    def _bring_near(self) -> int:
        """Put into the heap what is no longer far ahead. Returns up to when the heap holds all that will ever come."""
        heap, ahead = self._heap, self._ahead
        first_ns = heap[0][0] if heap else FAR
        if ahead:
            first_ns = min(first_ns, ahead[-1][0])
        until_ns = first_ns + _FAR_AHEAD_NS - 1  # whatever is put aside from now on lies behind that
        while ahead and ahead[-1][0] <= until_ns:
            heappush(heap, ahead.pop())
        return until_ns

    def _before_moment(self, last: int) -> int:
        """Up to when events may be called at a stretch, of those up to `last`."""
        return min(last, self._moments[-1][0] - 1) if self._moments else last

    def _pass_moments(self, time_ns: int) -> None:
        """Call for the moments that come before an event of this time, or of a later one."""
        moments = self._moments
        while moments and moments[-1][0] <= time_ns:
            moment_ns, callback, argument = moments.pop()
            self.now = max(self.now, moment_ns)
            callback(argument)

    @property
    def pops(self) -> int:
        """How many events were taken from the heap."""
        return self._sequence - len(self._heap) - len(self._ahead) - self._dropped

    @property
    def passes(self) -> int:
        """How many passes Trio's scheduler has made."""
        return self._guard.passes

    def note_pass(self) -> None:
        """Called once for each pass of Trio's scheduler: counts, and finds tasks that spin."""
        livelock = self._guard.count_pass(self.now)
        if livelock is not None and self.closed:
            raise RuntimeError(_TASKS_REMAIN)
        if livelock is not None:
            self.stop("livelock", livelock)

    def _after_end(self, deadline: float) -> None:
        if deadline != math.inf:
            self.now = max(self.now, _to_ns(deadline))  # shielded sleeps of tasks being torn down may end
        self._questions_after_end += 1
        teardowns = self._questions_after_end - _QUESTIONS_AFTER_END_MAX
        if teardowns > _TEARDOWNS_MAX:
            raise RuntimeError(_TASKS_REMAIN)
        if teardowns > 0 and self._main is not None:
            tear_down(self._main)


def _in_order(entry: _Entry) -> tuple[int, int, int]:
    return entry[:3]


def _earliest_last(entry: _Entry) -> int:
    return -entry[0]


def _moment_earliest_last(moment: _Moment) -> int:
    return -moment[0]


class Deadlock(Exception):
    """Nothing can ever happen again, and the run is not over."""


def _to_ns(deadline: float) -> int:
    """The least integer number of nanoseconds that is not before a Trio deadline."""
    if deadline == math.inf:
        return FAR
    ns = int(deadline * 1e9)
    while ns / 1e9 < deadline:
        ns += 1
    return ns


def _tie_policy(policy: str, chance: Chance, depth: int) -> Callable[[int], int] | None:
    if policy == "fifo":
        return None
    if policy == "random":
        return _RandomTies(chance)
    return _PriorityTies(chance, depth)


class _RandomTies:
    """A keyed draw by (actor, ordinal of the actor's entries)."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._streams: dict[int, Counter] = {}

    def __call__(self, actor: int) -> int:
        stream = self._streams.get(actor)
        if stream is None:
            stream = self._streams[actor] = Counter(self._chance, "tie", str(actor))
        return stream.take() >> 2


class _PriorityTies:
    """PCT: a drawn priority for each actor; at each change point the actor that comes up falls behind all others."""

    _EVENTS_EXPECTED: Final = 50_000
    """Change points are drawn below this number of entries: about the length of a default run."""

    def __init__(self, chance: Chance, depth: int) -> None:
        self._chance = chance
        self._priorities: dict[int, int] = {}
        self._draws = Draws(chance, "pct")
        self._depth = depth
        self._entries = 0
        self._changes = 0
        self._points = self._draw_points()
        if chance.ahead is not None:
            chance.ahead.append(self._redrawn)

    def __call__(self, actor: int) -> int:
        self._entries = entries = self._entries + 1
        if entries > self._points[self._changes]:
            self._changes += 1
            self._priorities[actor] = 2**32 + self._changes
        priority = self._priorities.get(actor)
        if priority is None:
            priority = self._priorities[actor] = Draws(self._chance, "priority", str(actor)).at(0) >> 33
        return priority

    def _draw_points(self) -> list[int]:
        """The change points: those behind, and those still to come among the entries that are expected."""
        left = max(self._EVENTS_EXPECTED - self._entries, 0)
        drawn = [self._entries + (self._draws.at(i) * left >> 64) for i in range(self._changes, self._depth)]
        return [*(0 for _ in range(self._changes)), *sorted(drawn), FAR]

    def _redrawn(self) -> None:
        self._priorities.clear()
        self._points = self._draw_points()
