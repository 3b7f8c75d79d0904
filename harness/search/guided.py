"""Guided search: plans that reached something rare are kept and varied.

A campaign that is guided runs its seeds in generations. The first seeds are drawn, as without a guide; later, in each
generation every other seed is a variation (`variations`) of a plan that was kept. A plan is kept for what it reached:
coverage marks, and pairs of marks that are both rare. What to vary is chosen backwards: first something that was
reached, the more often the fewer runs reached it, then one of the plans that reached it, the one with the fewest
children first. So the rarest situations get most of the runs, whatever plans happen to be many.

All of this is a function of the first seed and of what the runs of earlier generations reached, in the order of their
seeds. Neither the number of workers nor the order of their answers matters, and a campaign that is resumed goes on as
if it had never stopped.

References: American fuzzy lop (Zalewski) for keeping and varying what reaches something new; AFLFast (Böhme, Pham and
Roychoudhury, CCS 2016) for preferring what is rare; swarm testing (Groce et al., ISSTA 2012) for what is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import Final, Literal

import msgspec

from harness.plans.plan import Plan, decode
from harness.plans.rng import Stream

from .variations import vary

Way = Literal["random", "guided"]
WAYS: Final[tuple[Way, ...]] = ("random", "guided")

DRAWN_FIRST: Final = 32
"""Seeds before the first variation: whatever is easy is found by these, in the same run as without a guide."""
GENERATION: Final = 32
"""Seeds that are decided upon together; a multiple of the workers of most machines."""
_DRAWN_EVERY: Final = 3
"""One seed in this number stays drawn, so that what no variation leads to is still found."""
_RARE_PARTS: Final = 8
"""A mark is rare while at most one run in this number has hit it; pairs of rare ones are counted."""
_KEPT: Final = 6
"""Plans that are kept for each mark, and for each pair."""
_WEIGHT: Final = 1_000_000
_PAIRS_PPM: Final = 300_000
"""How often a pair of marks is chosen instead of a single one."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a varied plan is made: of two plans, as JSON, and the number of a seed, which is its own from then on."""

    parent: bytes
    donor: bytes
    seed: int
    root: int
    """The seed that drew the first of its ancestors, and so its workload."""

    def plan(self) -> Plan:
        """Make the plan."""
        made = vary(decode(self.parent, "a kept plan"), decode(self.donor, "a kept plan"), self.seed)
        return decode(made.to_json(), f"the plan of seed {self.seed}")


class _Kept:
    """A plan that reached something rare, and how often it was varied."""

    __slots__ = ("children", "plan", "root", "seed")

    def __init__(self, seed: int, root: int, plan: bytes) -> None:
        self.seed = seed
        self.root = root
        self.plan = plan
        self.children = 0


class _Reached:
    """How many runs reached each thing of one sort, and which plans are kept for it."""

    def __init__(self) -> None:
        self.runs: Counter[tuple[str, ...]] = Counter()
        self.kept: dict[tuple[str, ...], list[_Kept]] = {}

    def choose(self, stream: Stream) -> _Kept | None:
        """One of the plans for something rare."""
        if not self.kept:
            return None
        things = [(thing, max(1, _WEIGHT // self.runs[thing])) for thing in self.kept]
        plans = self.kept[stream.weighted(things)]
        fewest = min(plan.children for plan in plans)
        return next(plan for plan in plans if plan.children == fewest)


class Guide:
    """Decides what each seed of a campaign runs, by what the runs before it reached."""

    def __init__(self, first: int, draw: Callable[[int], Plan]) -> None:
        """`first` is the first seed of the campaign; `draw` gives the plan that a seed means without a guide."""
        self._first = first
        self._draw = draw
        self._runs = 0
        self._recipes: dict[int, Recipe] = {}  # of the generation that is under way
        self._marks = _Reached()
        self._pairs = _Reached()

    def generations(self, seeds: Iterable[int]) -> Iterator[Sequence[int]]:
        """The seeds in generations; `learn` must be told of each one before the next is asked for."""
        source = iter(seeds)
        size = DRAWN_FIRST
        while generation := list(islice(source, size)):
            self._recipes = {seed: recipe for seed in generation if (recipe := self._recipe(seed)) is not None}
            yield generation
            size = GENERATION

    def recipe(self, seed: int) -> Recipe | None:
        """How the plan of a seed of this generation is made; None: it is drawn."""
        return self._recipes.get(seed)

    def learn(self, reached: Mapping[int, Iterable[str]]) -> None:
        """Take what the runs of a generation reached: the marks that were hit, by seed. A run that failed may lack."""
        for seed, hit in sorted(reached.items()):
            self._runs += 1
            marks = sorted(set(hit))
            self._count(self._marks, seed, [(mark,) for mark in marks])
            rare = [mark for mark in marks if self._marks.runs[mark,] * _RARE_PARTS <= self._runs + _RARE_PARTS]
            self._count(self._pairs, seed, list(combinations(rare, 2)))

    def _count(self, reached: _Reached, seed: int, things: Sequence[tuple[str, ...]]) -> None:
        kept: _Kept | None = None
        for thing in things:
            reached.runs[thing] += 1
            plans = reached.kept.setdefault(thing, [])
            if len(plans) >= _KEPT:
                if reached.runs[thing] * _RARE_PARTS > self._runs:
                    continue
                # The one that was varied most has shown what it can.
                plans.remove(max(plans, key=lambda plan: (plan.children, -plan.seed)))
            kept = kept or self._keep(seed)
            plans.append(kept)

    def _keep(self, seed: int) -> _Kept:
        recipe = self._recipes.get(seed)
        plan, root = (self._draw(seed), seed) if recipe is None else (recipe.plan(), recipe.root)
        return _Kept(seed, root, plan.to_json())

    def _recipe(self, seed: int) -> Recipe | None:
        place = seed - self._first
        if place < DRAWN_FIRST or place % _DRAWN_EVERY == 0:
            return None
        stream = Stream(seed, "guide")
        parent = self._choose(stream)
        donor = self._choose(stream)
        if parent is None or donor is None:
            return None
        parent.children += 1
        return Recipe(parent=parent.plan, donor=donor.plan, seed=seed, root=parent.root)

    def _choose(self, stream: Stream) -> _Kept | None:
        if stream.chance_ppm(_PAIRS_PPM):
            return self._pairs.choose(stream) or self._marks.choose(stream)
        return self._marks.choose(stream)
