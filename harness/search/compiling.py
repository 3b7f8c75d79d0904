"""Compiled code for long campaigns: made once for each version, and used only where it leaves what the sources leave.

Compiling the harness and a version of `raft_impl` takes minutes of a processor, as much as some thousand seeds gain by
it (`SEEDS_MIN`). So a shorter campaign is interpreted. For a longer one builds lie by digest in a cache of the user's,
outside the results, where later campaigns, resumed ones and all workers find them.

First the first seeds of the campaign are run with the sources, under the guard that keeps code under test away from
real time and chance. Then the same seeds are run with the builds, one build more at a time. One with which anything
differs is set aside, and what it was made of stays interpreted. So does what cannot be compiled here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from harness.compiled.build import OPTIMISE_MAX, build_code, build_harness, user_cache
from harness.compiled.finder import VARIABLE, code_build, folder, harness_build, modules_in
from harness.errors import BadInput
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.systems.binding import Binding
from harness.systems.catalog import alias_of, load_systems
from harness.systems.guard import SHADOWED

from .executors import Pool

SEEDS_MIN: Final = 3_000
"""From how many seeds on compiling pays: `python -m benchmarks.compiled` prints what it costs and gains."""
BUDGET_MIN_NS: Final = 30 * 60 * 1_000_000_000
"""A shorter time budget ends before that many seeds have run."""
TRIALS_MAX: Final = 12
"""Seeds that are run both ways."""
_BUILD_SECONDS_MAX: Final = 1_800.0
_TRIAL_NS: Final = 4_000_000_000
"""Faults of `short_runs`: enough for elections, crashes and snapshots, and done in a second."""

_ROOT: Final = Path(__file__).parents[2]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What can be compiled into `builds`: a version of `raft_impl`, or without `package` the harness."""

    name: str
    builds: str
    package: str = ""
    alias: str = ""
    optimise: int = OPTIMISE_MAX


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A seed that is run both ways."""

    binding: Binding
    drawing: Drawing
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        """Tells it from the same seed with other code."""
        return self.binding.code_digest, self.seed


Left = dict[tuple[str, int], str]
"""What seeds left, by their keys."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a source: its build, or why there is none."""

    name: str
    build: Path | None = None
    why: str = ""


def pays(seeds: int | None, budget_ns: int | None = None) -> bool:
    """Whether a campaign is so long that compiling its code first makes it shorter; `seeds` None: without end."""
    return (seeds is None or seeds >= SEEDS_MIN) and (budget_ns is None or budget_ns >= BUDGET_MIN_NS)


def code(
    trials: Sequence[Trial],
    told: Callable[[str], None],
    *,
    seeds: int | None,
    budget_ns: int | None = None,
    no_compile: bool = False,
    jobs: int | None = None,
) -> AbstractContextManager[None]:
    """How workers run what they are given that are started meanwhile: compiled if that pays, else as it was asked for.

    `no_compile` has them run the sources. `told` is called with a line for what is made, used and refused.
    """
    if no_compile:
        return _in_use([])
    return _compiled(trials, told, jobs) if pays(seeds, budget_ns) else contextlib.nullcontext()


@contextlib.contextmanager
def _compiled(trials: Sequence[Trial], told: Callable[[str], None], jobs: int | None) -> Iterator[None]:
    """Use builds, as far as these seeds leave with them what they leave with the sources."""
    used: list[Path] = []
    for part in make(folder() or user_cache(), trials, told, jobs):
        if part.build is None:
            told(f"not {part.name}, which stays interpreted: {part.why}")
        else:
            used.append(part.build)
            told(f"{part.name}, {len(modules_in(part.build))} modules")
    with _in_use(used):
        yield


def make(
    builds: Path,
    trials: Sequence[Trial],
    told: Callable[[str], None] = lambda _: None,
    jobs: int | None = None,
    *,
    optimise: int = OPTIMISE_MAX,
) -> list[Part]:
    """Make the builds that are missing, of all that these seeds run, and try them out with these seeds."""
    expected = leaves(trials, [], jobs)
    found = _sources(builds, [trial.binding for trial in trials])
    sources = [msgspec.structs.replace(source, optimise=optimise) for source in found]
    if not expected:  # compiling takes minutes, and could not be tried out
        return [Part(name=source.name, why="no seed was run to its end with the sources") for source in sources]
    return tried(_built(sources, told, jobs), expected, lambda chosen: leaves(trials, chosen, jobs))


def tried(parts: Iterable[Part], expected: Left, left: Callable[[Sequence[Path]], Left]) -> list[Part]:
    """Add one build after the other to those in use. With which anything but the expected is left, is set aside."""
    kept: list[Path] = []
    result = []
    for part in parts:
        if part.build is None:
            result.append(part)
            continue
        found = left([*kept, part.build])
        differing = next((key for key in expected if found.get(key) != expected[key]), None)
        if differing is None:
            kept.append(part.build)
            result.append(part)
            continue
        part.build.rename(refused(part.build))
        ran = found.get(differing, "no end")
        result.append(Part(name=part.name, why=f"compiled it left {ran}, and interpreted {expected[differing]}"))
    return result


def refused(build: Path) -> Path:
    """Where a build is put that must not be used, so that nobody makes it again in vain."""
    return build.with_name(f"{build.name}.refused")


def leaves(trials: Sequence[Trial], chosen: Sequence[Path], jobs: int | None = None) -> Left:
    """What each seed leaves with these builds and no others. One whose run did not end leaves nothing."""
    with _in_use(chosen), Pool(leave, jobs=jobs) as pool:
        return {done.item.key: done.result for done in pool.map(trials) if done.result is not None}


def leave(trial: Trial) -> str:
    """Run a seed in this process, and name what must not depend on how."""
    plan = trial.drawing.plan(trial.seed, abilities_of(load_systems(trial.binding).values()))
    outcome = execute(plan, trial.binding)
    signatures = (anomaly.signature for anomaly in outcome.anomalies)
    judged = () if outcome.verdict.machine_dependent else (outcome.verdict.validity, *signatures)
    return " ".join((outcome.fingerprint, outcome.history_sha256, *judged))


def places(builds: Path, binding: Binding) -> list[Path]:
    """Where the builds lie that `make` makes."""
    return [_place(source) for source in _sources(builds, [binding])]


def build(source: Source) -> None:
    """Compile a source in this process."""
    if source.package:
        build_code(Path(source.builds), Path(source.package), source.alias, SHADOWED, optimise=source.optimise)
    else:
        build_harness(Path(source.builds), _ROOT, optimise=source.optimise)


def first_seeds(binding: Binding, cells: Sequence[Drawing], seeds: Iterable[int]) -> list[Trial]:
    """The first seeds of a campaign."""
    first = itertools.islice(seeds, TRIALS_MAX)
    return [Trial(binding=binding, drawing=cells[seed % len(cells)], seed=seed) for seed in first]


def short_runs(binding: Binding) -> list[Trial]:
    """A short run of each workload."""
    names = next(iter(load_systems(binding).values())).workloads
    cells = [Drawing(workload=name, profile="swarm", duration_ns=_TRIAL_NS) for name in names]
    return first_seeds(binding, cells, range(1, len(cells) + 1))


def _sources(builds: Path, bindings: Sequence[Binding]) -> list[Source]:
    """The harness, and each version of `raft_impl` once."""
    codes = {code.digest: code for binding in bindings for code in binding.codes.values() if not code.is_foreign}
    return [
        Source(name="harness", builds=str(builds)),
        *(
            Source(name=code.spec, builds=str(builds), package=code.directory, alias=alias_of(code.digest))
            for code in codes.values()
        ),
    ]


def _built(sources: Sequence[Source], told: Callable[[str], None], jobs: int | None) -> list[Part]:
    """Compile what has no build yet, each in a process of its own."""
    places = {source.name: _place(source) for source in sources}
    missing = [one for one in sources if not modules_in(places[one.name]) and not refused(places[one.name]).exists()]
    failed: dict[str, str] = {}
    if missing:
        told(f"{', '.join(one.name for one in missing)}, once, into {missing[0].builds}")
        with Pool(build, jobs=jobs, seconds_max=_BUILD_SECONDS_MAX) as pool:
            try:
                failed = {one.item.name: _last_line(one.error) for one in pool.map(missing) if one.error}
            except BadInput as error:
                failed = {one.name: f"{error.found}; needs {error.expected}" for one in missing}
    return [_part(source, places[source.name], failed) for source in sources]


def _part(source: Source, place: Path, failed: Mapping[str, str]) -> Part:
    if modules_in(place):
        return Part(name=source.name, build=place)
    if refused(place).exists():
        return Part(name=source.name, why=f"it ran differently before: {refused(place)}")
    return Part(name=source.name, why=failed.get(source.name, f"{place} is no finished build"))


def _place(source: Source) -> Path:
    builds = Path(source.builds)
    return code_build(builds, source.alias) if source.package else harness_build(builds, _ROOT)


def _last_line(error: str) -> str:
    return error.strip().rpartition("\n")[2]


@contextlib.contextmanager
def _in_use(chosen: Sequence[Path]) -> Iterator[None]:
    """Let new processes use these builds and no others."""
    before = os.environ.pop(VARIABLE, None)
    with tempfile.TemporaryDirectory(prefix="foreshock-") as builds:
        if chosen:
            os.environ[VARIABLE] = builds
        for one in chosen:
            Path(builds, one.name).symlink_to(one.absolute(), target_is_directory=True)
        try:
            yield
        finally:
            os.environ.pop(VARIABLE, None)
            if before is not None:
                os.environ[VARIABLE] = before
