"""Suites: named matrices of workloads and profiles, as data.

    name = "nightly"
    count = 2000
    max_unknown = "0%"

    [[cell]]
    workload = "register"
    profile = "swarm"

    [[cell]]
    workload = "counter"
    profile = "clocks"
    options = { reads = "lease" }

Seed i runs in cell i modulo the number of cells. Suites that come with the harness are named; others are files. A cell
that names no profile has `swarm`, and `live` in the live world.

A key of a cell may have a list of values; then there is a cell for each combination:

    [[cell]]
    system = ["raft_impl", "raft_impl@v1.2"]
    workload = ["register", "counter"]
    profile = ["swarm", "disks"]
    options = [{}, { reads = "lease" }]

`seeds = "nightly"` begins with the seed of the date (UTC) instead of 1, so that nights differ and each can be repeated.

`canaries = ["reads-without-quorum", "snapshot-never-synced"]` names planted bugs that the suite's cells must find, else
its green says nothing: patches that come with the harness, or files of them. `canary_count` says within how many seeds.
With `canaries_a_night = 2`, each night searches the next two of the list, so that all have their turn; a list that goes
through the families of bugs has neighbours of different ones. `canary = "..."` is one that is searched every night.
Where cells test several systems, those of the first that is our Raft search the canaries.

`[budget]` says what a campaign may take (`harness.search.budgets`): `time = "6h"`, `disk = "20GiB"`,
`memory = "4GiB"`. With a time and no `count`, as many seeds are begun as fit.

`search = "guided"` varies plans that reached something rare, instead of drawing every seed (`harness.search.guided`).
"""

from __future__ import annotations

import datetime
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from harness.errors import BadInput, one_of
from harness.options import OptionValues
from harness.quantities import duration, share, size
from harness.run.drawing import SYSTEM, Drawing

from .budgets import Budget
from .guided import Way

DEFAULT: Final = "default"
LIVE: Final = "live"
"""The suite that is meant in the live world when none is named."""
_PROFILES: Final = {"simulated": "swarm", "live": "live"}
"""The profile of cells that name none, by world."""
_COUNT: Final = 500
_SEEDS_A_NIGHT: Final = 1_000_000


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """Cells, with how many seeds and how many unknown verdicts are right for them. `max_unknown` is a share of 1."""

    name: str
    cells: tuple[Drawing, ...]
    count: int | None = _COUNT
    """None: as many as its time budget allows."""
    max_unknown: float = 0.01
    canary: str | None = None
    canary_count: int = 60
    canaries: tuple[str, ...] = ()
    canaries_a_night: int = 0
    seeds: Literal["nightly"] | None = None
    search: Way = "random"
    budget: Budget = Budget()

    @property
    def systems(self) -> tuple[str, ...]:
        """The specs of what its cells test, each once."""
        return tuple(dict.fromkeys(cell.system for cell in self.cells))

    def cell_of(self, seed: int) -> int:
        """Which cell a seed runs in."""
        return seed % len(self.cells)

    def command(self, seed: int) -> str:
        """The line that has the run of a seed again."""
        return self.cells[self.cell_of(seed)].command(seed)

    def canaries_of(self, today: datetime.date) -> tuple[str, ...]:
        """The canaries of a night: `canary`, and of the others the next ones in turn (0 a night: all)."""
        number = self.canaries_a_night or len(self.canaries)
        first = today.toordinal() * number
        turn = (self.canaries[(first + at) % len(self.canaries)] for at in range(number))
        return tuple(dict.fromkeys([*([] if self.canary is None else [self.canary]), *turn]))

    def first_seed(self, today: datetime.date) -> int:
        """The first seed: 1, or of a nightly suite the date's own, such as 20261128000001."""
        return 1 if self.seeds is None else int(f"{today:%Y%m%d}") * _SEEDS_A_NIGHT + 1


_Table = Mapping[str, Any]


class _Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    workload: str
    system: str | None = None
    profile: str | None = None
    nodes: int | None = None
    concurrency: int | None = None
    rate: float | None = None
    duration: str | None = None
    options: OptionValues = {}


class _Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    time: str | None = None
    disk: str | None = None
    memory: str | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    cell: list[_Table]
    count: int | None = None
    budget: _Budget = _Budget()
    max_unknown: str = "1%"
    canary: str | None = None
    canary_count: int = 60
    canaries: tuple[str, ...] = ()
    canaries_a_night: int = 0
    seeds: Literal["nightly"] | None = None
    search: Way = "random"

    def __post_init__(self) -> None:
        if not 0 <= self.canaries_a_night <= len(self.canaries):
            raise ValueError(f"canaries_a_night is {self.canaries_a_night}; there are {len(self.canaries)} canaries")
        if self.seeds == "nightly" and (self.count or 0) >= _SEEDS_A_NIGHT:
            raise ValueError(f"count is {self.count}; a night has less than {_SEEDS_A_NIGHT} seeds")


def named() -> list[str]:
    """Names of the suites that come with the harness."""
    return sorted(
        path.name.removesuffix(".toml") for path in _folder("suites").iterdir() if path.name.endswith(".toml")
    )


def load(name: str, *, world: Literal["simulated", "live"] = "simulated") -> Suite:
    """Read a suite by its name, or from its file. Raises BadInput."""
    path, profile = Path(name), _PROFILES[world]
    if path.suffix == ".toml" or path.is_file():
        try:
            return _decode(path.read_text(encoding="utf-8"), name, profile)
        except OSError as error:
            raise BadInput(f"a file that cannot be read ({error.strerror})", "a suite", name) from None
    if name not in named():
        raise BadInput(f"suite {name!r}", one_of([*named(), "a TOML file"], typed=name), "foreshock suite")
    return _decode((_folder("suites") / f"{name}.toml").read_text(encoding="utf-8"), name, profile)


def canary_patch(canary: str) -> Path:
    """Find the patch of a canary. Raises BadInput."""
    known = {path.stem: path for path in sorted((_folder("suites") / "canaries").rglob("*.patch"))}
    if Path(canary).is_file():
        return Path(canary)
    if canary in known:
        return known[canary]
    names = sorted(known)
    raise BadInput(f"canary {canary!r}", one_of([*names, "the file of a patch"], typed=canary), "the suite")


def _folder(name: str) -> Path:
    """Package data; an installation is always files, because the loader needs files of raft_impl too."""
    return Path(str(resources.files("harness") / name))


def _decode(text: str, where: str, profile: str) -> Suite:
    try:
        return _suite(msgspec.convert(tomllib.loads(text), _File), profile)
    except ValueError as error:
        raise BadInput(f"a malformed suite ({error})", "a suite as docs/cli.md describes it", where) from None


def _suite(file: _File, profile: str) -> Suite:
    if not file.cell:
        raise ValueError("no [[cell]]")
    cells = tuple(
        Drawing(
            system=cell.system or SYSTEM,
            workload=cell.workload,
            profile=cell.profile or profile,
            nodes=cell.nodes,
            concurrency=cell.concurrency,
            rate=cell.rate,
            duration_ns=None if cell.duration is None else duration(cell.duration),
            explicit={key: _text(value) for key, value in cell.options.items()},
        )
        for number, written in enumerate(file.cell, 1)
        for cell in _combinations(number, written)
    )
    return Suite(
        name=file.name,
        cells=cells,
        count=_COUNT if file.count is None and file.budget.time is None else file.count,
        max_unknown=share(file.max_unknown),
        canary=file.canary,
        canary_count=file.canary_count,
        canaries=file.canaries,
        canaries_a_night=file.canaries_a_night,
        seeds=file.seeds,
        search=file.search,
        budget=_budget(file.budget),
    )


def _combinations(number: int, written: _Table) -> Iterator[_Cell]:
    """The cells that a table means, the nth of its file: one for each combination of the values that are listed."""
    listed = [value if isinstance(value, list) else [value] for value in written.values()]
    for name, values in zip(written, listed, strict=True):
        if not values:
            raise ValueError(f"an empty list of {name}, of [[cell]] {number}")
    for chosen in itertools.product(*listed):
        try:
            yield msgspec.convert(dict(zip(written, chosen, strict=True)), _Cell)
        except msgspec.ValidationError as error:
            raise ValueError(f"{error}, of [[cell]] {number}") from None


def _budget(budget: _Budget) -> Budget:
    return Budget(
        time_ns=None if budget.time is None else duration(budget.time),
        disk_bytes=None if budget.disk is None else size(budget.disk),
        memory_bytes=None if budget.memory is None else size(budget.memory),
    )


def _text(value: Any) -> str:
    """Write an option's value as `-o` would have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
