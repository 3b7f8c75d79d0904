"""The pytest plugin: a seed of a simulated cluster as a test.

    @pytest.mark.foreshock(system="shop/system.py:Shop", workload="register", seeds=50)
    def test_shop_is_linearizable(foreshock):
        outcome = foreshock.run()
        assert outcome.ops.ok > 100

Each seed is a test of its own, so that xdist spreads them. A run that is invalid fails the test with the verdict, the
minimal history and the line that reproduces it; a run that says nothing (`unknown`) is skipped with its reason. A test
that never calls `run` is given its run when its body is done.

Seeds that failed are kept in pytest's cache and come first the next time, also when they lie outside the range.
`--foreshock-seeds N` runs N seeds of every such test, whatever its marker says; `0` runs only those that failed last.

The plugin is loaded into every test session of an environment that has Foreshock, so it imports nothing of the harness
before a test asks for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from .session import Session

_MARK: Final = "foreshock"
_CACHE: Final = "foreshock/failed"
"""Test -> seeds that failed when they ran last."""
_SEED: Final = "foreshock_seed"
_SEEDS_DEFAULT: Final = 20

_WORDS: Final = ("system", "workload", "profile", "seeds", "nodes", "concurrency", "rate", "duration", "options")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--foreshock-seeds`."""
    group = parser.getgroup("foreshock", "seeds of simulated clusters")
    group.addoption(
        "--foreshock-seeds",
        type=_count,
        metavar="N",
        help="Run N seeds of each test marked foreshock; 0 runs only those that failed last.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and collect failures where the reports arrive."""
    words = ", ".join(f"{word}=..." for word in _WORDS)
    config.addinivalue_line("markers", f"{_MARK}({words}): run the test once for each seed of a simulated cluster")
    if not hasattr(config, "workerinput"):  # with xdist, the process that starts the workers sees all reports
        config.pluginmanager.register(_Failures(config), "foreshock-failures")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each seed: first those that failed last, then those of the marker."""
    marker = metafunc.definition.get_closest_marker(_MARK)
    if marker is None:
        return
    if _MARK not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} is marked {_MARK} and takes no fixture `{_MARK}`")
    unknown = sorted(set(marker.kwargs) - set(_WORDS))
    if marker.args or unknown:
        found = unknown[0] if unknown else repr(marker.args[0])
        raise pytest.UsageError(
            f"found {found}; expected names among {', '.join(_WORDS)}; in the marker of {metafunc.definition.nodeid}"
        )
    asked = metafunc.config.getoption("--foreshock-seeds")
    failed = _failed(metafunc.config).get(metafunc.definition.nodeid, [])
    seeds = dict.fromkeys((*failed, *_seeds(marker.kwargs.get("seeds", _SEEDS_DEFAULT), asked)))
    metafunc.parametrize(_MARK, list(seeds), indirect=True, ids=[f"seed{seed}" for seed in seeds])


@pytest.fixture
def foreshock(request: pytest.FixtureRequest) -> Session:
    """Run the plan of this test's seed, or, in a test without the marker, any plan."""
    from .session import Session

    marker = request.node.get_closest_marker(_MARK)
    if marker is None:
        return Session(None, None, {})
    seed: int = request.param
    request.node.user_properties.append((_SEED, seed))
    return Session(seed, _spec(marker.kwargs.get("system", "raft_impl"), request.path), marker.kwargs)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """After the body of a marked test that has not run its plan: run it."""
    result = yield
    session: Any = pyfuncitem.funcargs.get(_MARK)
    if pyfuncitem.get_closest_marker(_MARK) is not None and session is not None and not session.has_run:
        session.run()
    return result


class _Failures:
    """Keeps which seeds failed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: dict[str, dict[int, bool]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of a seed."""
        seed = dict(report.user_properties).get(_SEED)
        if isinstance(seed, int) and (report.when == "call" or report.failed):
            test = report.nodeid.rpartition("[")[0]
            self._results.setdefault(test, {})[seed] = report.failed

    def pytest_sessionfinish(self) -> None:
        """Store the seeds that failed, and forget those that pass again."""
        cache = _cache(self._config)
        if not self._results or cache is None:
            return
        failed = _failed(self._config)
        for test, results in self._results.items():
            kept = {seed for seed in failed.get(test, []) if results.get(seed, True)}
            failed[test] = sorted(kept | {seed for seed, has_failed in results.items() if has_failed})
        cache.set(_CACHE, {test: seeds for test, seeds in failed.items() if seeds})


def _failed(config: pytest.Config) -> dict[str, list[int]]:
    cache = _cache(config)
    stored: Any = cache.get(_CACHE, {}) if cache is not None else {}
    if not isinstance(stored, Mapping):
        return {}
    return {str(test): [seed for seed in seeds if isinstance(seed, int)] for test, seeds in stored.items()}


def _cache(config: pytest.Config) -> pytest.Cache | None:
    """Pytest's cache, which `-p no:cacheprovider` takes away."""
    return getattr(config, "cache", None)


def _seeds(marked: int | Iterable[int], asked: int | None) -> Iterable[int]:
    """The seeds of a marker: a number of them, from 1 on, or which ones; as many as were asked for."""
    if asked is None:
        return range(1, marked + 1) if isinstance(marked, int) else marked
    if isinstance(marked, int):
        return range(1, asked + 1)
    return list(marked)[:asked]


def _spec(system: str | type, test: Path) -> str:
    """A class stands for itself in its file; a path that leads nowhere from here is one beside the test."""
    if isinstance(system, type):
        return f"{inspect.getfile(system)}:{system.__qualname__}"
    place, _, name = system.rpartition(":")
    beside = test.parent / place
    if place.endswith(".py") and not Path(place).is_file() and beside.is_file():
        return f"{beside}:{name}"
    return system


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value
