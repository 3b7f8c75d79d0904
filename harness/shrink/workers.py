"""Workers: trials in worker processes, which survive a plan that hangs or kills its process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType

from harness.plans.plan import Plan
from harness.search.executors import Pool
from harness.systems.binding import Binding

from .trial import Answer, Trial, perform


class Workers:
    """Runs trials of one binding in worker processes; use as a context manager."""

    def __init__(self, binding: Binding, *, jobs: int | None = None) -> None:
        self._binding = binding
        self._pool: Pool[Trial, Answer] = Pool(perform, jobs=jobs)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, traceback)

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        """Give the answer for each plan with its position, as soon as it is there."""
        trials = (Trial(number=number, plan=plan, binding=self._binding) for number, plan in enumerate(plans))
        for done in self._pool.map(trials):
            yield done.item.number, done.result or Answer(signature=None, error=done.error)
