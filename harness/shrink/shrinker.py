"""The shrinker: the smallest plan that fails as a given one does, as far as the passes reach.

Passes are made in the order of their table, again and again, until a whole round changes nothing. The result is
therefore canonical: what a pass proposes depends on the plan alone, so shrinking the result makes exactly the trials of
that last round, and all of them fail to fail.

**Parallel and yet deterministic.** Edits are tried in order, and the first one that may be kept is kept. While trials
are running, those that would follow if they were rejected are run ahead; which ones were run ahead shows in the time it
takes and in nothing else.

**Other draws.** When nothing helps any more, the edits that matter are tried again under a few other seeds of the
schedule, and if one is kept, the rounds begin anew.

**Time limit and resuming.** Every answer is remembered under the hash of its plan. Shrinking that was stopped, or ran
out of time, is made again from the beginning with those answers, which takes no time, and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Final, Protocol

import msgspec

from harness.plans.plan import Plan

from .edits import asked_for
from .passes import PASSES, Edit, Pass
from .size import Size, size_of
from .trial import Answer, Target

REDRAWS: Final = 8
"""How many other seeds of the schedule an edit is tried under: each costs a run, and later ones help less."""


class Judge(Protocol):
    """Runs plans, possibly several at once."""

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        """Give the answer for each plan with its position, in any order.

        Plans are taken from the iterable only when there is room to run them.
        """
        ...


class OutOfTime(Exception):
    """The time limit came before shrinking was done."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One edit that was kept."""

    name: str
    size: Size


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """How far shrinking came. `finished` unset: the time limit came first, and resuming goes on.

    `trials` counts those that the result rests on, also when their answers were remembered.
    """

    plan: Plan
    before: Size
    after: Size
    finished: bool
    trials: int
    rounds: int
    steps: tuple[Step, ...]


class Shrinker:
    """Shrinks one plan."""

    def __init__(
        self,
        plan: Plan,
        target: Target,
        judge: Judge,
        *,
        memory: MutableMapping[str, Answer] | None = None,
        passes: Sequence[Pass] = PASSES,
        redraws: int = REDRAWS,
        out_of_time: Callable[[], bool] = lambda: False,
        advance: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`plan` must meet the target. `memory` holds the answers by the hash of their plans; `advance` is told of
        each trial, with a word on the state.
        """
        self._plan = asked_for(plan, target.signature)
        self._size = self._before = size_of(self._plan)
        self._target = target
        self._judge = judge
        self._memory: MutableMapping[str, Answer] = {} if memory is None else memory
        self._passes = passes
        self._redraws = redraws
        self._out_of_time = out_of_time
        self._advance = advance
        self._trials = 0
        self._rounds = 0
        self._steps: list[Step] = []

    def shrink(self) -> Shrunk:
        """Shrink until nothing helps, or until the time is over."""
        try:
            self._until_nothing_helps()
            finished = True
        except OutOfTime:
            finished = False
        return Shrunk(
            plan=self._plan,
            before=self._before,
            after=self._size,
            finished=finished,
            trials=self._trials,
            rounds=self._rounds,
            steps=tuple(self._steps),
        )

    def _until_nothing_helps(self) -> None:
        while True:
            while self._round(self._passes, (None,)):
                pass
            last_resort = [one for one in self._passes if one.redraws]
            if not self._redraws or not self._round(last_resort, range(self._redraws)):
                return

    def _round(self, passes: Sequence[Pass], seeds: Iterable[int | None]) -> bool:
        """Make each pass once. Returns whether the plan became smaller."""
        self._rounds += 1
        before = self._size
        for one in passes:
            self._make(one, tuple(seeds))
        return self._size < before

    def _make(self, one: Pass, seeds: Sequence[int | None]) -> None:
        proposals = [(edit, seed) for edit in one.edits(self._plan) for seed in seeds]
        position = 0
        while position < len(proposals):
            kept = self._first_that_fails(proposals, position)
            if kept is None:
                return
            position, self._plan, self._size = kept
            self._steps.append(Step(name=one.name, size=self._size))
            # The rest of an edit's seeds has nothing left to do: the edit changes its own result no more.

    def _first_that_fails(
        self, proposals: Sequence[tuple[Edit, int | None]], position: int
    ) -> tuple[int, Plan, Size] | None:
        """The first proposal from a position on that may be kept, and the position behind it."""
        asked: list[tuple[int, Plan, Size]] = []
        known: dict[int, bool] = {}

        def first() -> int | None:
            """Where in `asked` the first is that may be kept, once all before it are known not to be."""
            for at in range(len(asked)):
                if known.get(at) is not False:
                    return at if known.get(at) else None
            return None

        def candidates() -> Iterator[Plan]:
            for at in range(position, len(proposals)):
                if any(known.values()):
                    return
                candidate = self._candidate(*proposals[at])
                if candidate is None:
                    continue
                plan, size = candidate
                asked.append((at + 1, plan, size))
                answer = self._memory.get(plan.sha256)
                if answer is not None:
                    known[len(asked) - 1] = self._target.is_met_by(answer)
                    continue
                if self._out_of_time():
                    raise OutOfTime
                yield plan

        places: list[int] = []

        def noted() -> Iterator[Plan]:
            for plan in candidates():
                places.append(len(asked) - 1)
                yield plan

        for number, answer in self._judge.answers(noted()):
            at = places[number]
            _, plan, _ = asked[at]
            self._memory[plan.sha256] = answer
            known[at] = self._target.is_met_by(answer)
            self._advance(self._state())
        found = first()
        self._trials += len(asked) if found is None else found + 1
        return None if found is None else asked[found]

    def _candidate(self, edit: Edit, seed: int | None) -> tuple[Plan, Size] | None:
        """What an edit makes of the plan; None when that is not smaller, or no longer the same kind of failure."""
        plan = edit(self._plan)
        if plan == self._plan:
            return None
        if seed is not None:
            plan = msgspec.structs.replace(plan, schedule=msgspec.structs.replace(plan.schedule, seed=seed))
        size = size_of(plan)
        return (plan, size) if size < self._size and self._target.could_be(plan) else None

    def _state(self) -> str:
        size = self._size
        return f"{size.faults} faults, {size.ops} ops, {size.nodes} nodes, {size.length_ns / 1e9:.2f} s"
