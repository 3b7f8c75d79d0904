"""Guided search against random search: seeds to the first find, on the same budget and the same mutants.

Each trial searches every mutant twice over the same number of seeds, once with every seed drawn and once with a guide
that knows nothing when it begins. A search that found nothing counts with all its seeds, so that the mean is that of a
budget that ends (a restricted mean). The ratio of the means is over all mutants, and its interval is a bootstrap over
mutants: another corpus would have been another sample of bugs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from harness.plans.rng import Stream
from harness.run.drawing import Abilities, Drawing

from .detection import Ledger, Search, search, search_guided

APART: Final = 1_000_000
"""Between the first seeds of two trials."""
_SAMPLES: Final = 2_000


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One mutant: in how many trials each way found it, and the mean of the seeds that it took."""

    name: str
    trials: int
    random_found: int
    random_seeds: float
    guided_found: int
    guided_seeds: float


class Versus(msgspec.Struct, frozen=True, kw_only=True):
    """All mutants: `ratio` is the seeds of guided search over those of random search; below 1, guided needs fewer."""

    budget: int
    trials: int
    mutants: tuple[Compared, ...]
    ratio: float
    ratio_low: float
    ratio_high: float


def compare(
    searches: Sequence[Search],
    cells: Sequence[Drawing],
    seeds: range,
    able: Abilities,
    advance: Callable[[str], None],
    *,
    trials: int = 1,
    ledger: Ledger | None = None,
    tell: Callable[[str], None] = lambda _: None,
    jobs: int | None = None,
) -> Versus:
    """Search all mutants in both ways, as often as there are trials."""
    needed: dict[str, tuple[list[int | None], list[int | None]]] = {one.mutant.name: ([], []) for one in searches}
    for trial in range(trials):
        part = range(seeds[0] + trial * APART, seeds[-1] + 1 + trial * APART)
        for way in (0, 1):
            fresh = [Search(mutant=one.mutant, binding=one.binding, answers={}, errors={}) for one in searches]
            if way == 0:
                search(fresh, cells, part, advance, ledger=ledger, tell=tell, jobs=jobs)
            else:
                search_guided(fresh, cells, part, advance, able, ledger=ledger, tell=tell, jobs=jobs)
            for one in fresh:
                first = one.first_failure
                needed[one.mutant.name][way].append(None if first is None else first - part[0] + 1)
    return versus(needed, budget=len(seeds))


def versus(needed: dict[str, tuple[list[int | None], list[int | None]]], *, budget: int) -> Versus:
    """Say what came of it: by mutant, the seeds that each trial took by chance and with a guide; None: not found."""
    compared = [
        Compared(
            name=name,
            trials=len(by_chance),
            random_found=sum(one is not None for one in by_chance),
            random_seeds=_mean(by_chance, budget),
            guided_found=sum(one is not None for one in guided),
            guided_seeds=_mean(guided, budget),
        )
        for name, (by_chance, guided) in needed.items()
    ]
    stream = Stream(0, "versus")
    ratios = sorted(_ratio([stream.choice(compared) for _ in compared]) for _ in range(_SAMPLES))
    return Versus(
        budget=budget,
        trials=max((one.trials for one in compared), default=0),
        mutants=tuple(compared),
        ratio=_ratio(compared),
        ratio_low=ratios[_SAMPLES * 25 // 1000],
        ratio_high=ratios[_SAMPLES * 975 // 1000],
    )


def _mean(needed: Sequence[int | None], budget: int) -> float:
    return sum(budget if one is None else one for one in needed) / len(needed)


def _ratio(compared: Sequence[Compared]) -> float:
    return sum(one.guided_seeds for one in compared) / sum(one.random_seeds for one in compared)
