"""A pool of workers loses no item, whatever its workers do."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput
from harness.search import executors, memory
from harness.search.executors import Done, Pool
from tests.harness.search.work import perform


def run(items: list[dict[str, Any]], jobs: int = 2, seconds_max: float = 60) -> list[Done[dict[str, Any], Any]]:
    with Pool(perform, jobs=jobs, seconds_max=seconds_max) as pool:
        return list(pool.map(items))


def test_every_item_is_answered_once() -> None:
    done = run([{"do": "square", "n": n} for n in range(50)])

    assert sorted(one.result or 0 for one in done) == [n**2 for n in range(50)]
    assert all(not one.error for one in done)


def test_workers_are_separate_processes_with_hash_seeds_of_their_own() -> None:
    with Pool(perform, jobs=1) as first, Pool(perform, jobs=1) as second:
        hashes = {one.result for pool in (first, second) for one in pool.map([{"do": "hash"}])}

    assert len(hashes) == 2


def test_a_killed_worker_costs_nothing_but_a_second_try(tmp_path: Path) -> None:
    items = [{"do": "square", "n": n} for n in range(6)]
    items.insert(2, {"do": "die-once", "marker": str(tmp_path / "died")})

    done = run(items)

    assert sorted(str(one.result) for one in done) == sorted([*(str(n**2) for n in range(6)), "second time"])


def test_an_item_that_two_kills_meet_by_chance_is_still_done(tmp_path: Path) -> None:
    """Twenty kills of a suite met the same seed twice, which was called an error of it."""
    items = [{"do": "die-twice", "marker": str(tmp_path / "died")}, {"do": "square", "n": 3}]

    done = run(items)

    assert sorted(str(one.result) for one in done) == ["9", "third time"]


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("die", "the worker was killed by SIGKILL, 5 workers in turn"),
        ("raise", "RuntimeError: a bug in the function"),
        ("unpicklable", "pickle"),
        ("connect", "a worker has no network"),
    ],
)
def test_an_item_that_fails_twice_is_reported_and_the_others_are_done(do: str, reason: str) -> None:
    items: list[dict[str, Any]] = [
        {"do": "square", "n": 1},
        {"do": do},
        {"do": "square", "n": 2},
        {"do": "square", "n": 3},
    ]

    done = run(items, seconds_max=2)

    assert sorted(one.result or 0 for one in done if not one.error) == [1, 4, 9]
    (failed,) = [one for one in done if one.error]
    assert failed.item == {"do": do}
    assert reason in failed.error


def test_an_item_that_hangs_costs_its_time_once_and_the_others_are_done(tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [{"do": "hang", "file": str(tmp_path / "tries")}, {"do": "square", "n": 2}]

    done = run(items, seconds_max=2)

    assert [one.result for one in done if not one.hung] == [4]
    (hung,) = [one for one in done if one.hung]
    assert hung.error == "no answer within 2 s"
    assert (tmp_path / "tries").read_text() == "tried\n"


def test_an_item_that_takes_all_memory_is_named_and_the_others_are_done() -> None:
    items: list[dict[str, Any]] = [{"do": "square", "n": n} for n in range(6)]
    items.insert(1, {"do": "grow"})

    with Pool(perform, jobs=2, memory_bytes_max=taken_by_pool(2) + (100 << 20)) as pool:
        done = list(pool.map(items))

    (grown,) = [one for one in done if one.item["do"] == "grow"]
    assert sorted(one.result for one in done if one is not grown) == [n**2 for n in range(6)]
    assert grown.result is None
    assert not grown.hung
    assert re.fullmatch(
        r"(its worker took [\d.]+ MiB, the most of all, when the suite took [\d.]+ MiB; "
        r"the memory budget is [\d.]+ MiB\n?){2}",
        grown.error,
    )


def test_a_worker_whose_answer_has_come_is_not_ended_for_its_memory(tmp_path: Path) -> None:
    """Its answer came while the caller was busy with the one before: it would be run again, and then be an error."""
    file = tmp_path / "tries"
    items = [{"do": "square", "n": 3}, {"do": "swell", "bytes": 300 << 20, "file": str(file)}]

    with Pool(perform, jobs=1, memory_bytes_max=taken_by_pool(1) + (100 << 20)) as pool:
        answers = pool.map(items)
        results = [next(answers).result]
        while not file.exists():
            time.sleep(0.01)
        time.sleep(1.0)  # longer than memory is left unweighed
        results += [done.result for done in answers]

    assert results == [9, "swollen"]
    assert file.read_text() == "ran\n"


def test_a_worker_whose_answer_has_come_is_not_overdue(tmp_path: Path) -> None:
    """Its answer came while the caller was busy with another worker's, and longer than a run may take."""
    first, second = tmp_path / "first", tmp_path / "second"
    waits = [{"do": "wait", "file": str(file)} for file in (first, second)]

    with Pool(perform, jobs=2, seconds_max=600) as pool:
        answers = pool.map([{"do": "pid"}, {"do": "pid"}, *waits])
        next(answers), next(answers)
        first.touch()
        results = [next(answers).result]
        second.touch()
        assert pool._workers[1].connection.poll(60)
        pool._seconds_max = 0.0
        found = list(answers)

    assert results + [done.result for done in found] == ["waited", "waited"]
    assert [done.item for done in found] == [waits[1]]


def test_memory_in_which_not_even_idle_workers_fit_is_refused() -> None:
    with (
        Pool(perform, jobs=2, memory_bytes_max=20 << 20) as pool,
        pytest.raises(BadInput, match=r"a memory budget of 20 MiB; expected more than .* and 2 workers take before"),
    ):
        list(pool.map([{"do": "square", "n": 1}]))


def taken_by_pool(jobs: int) -> int:
    """What this process and workers of a pool take that have done nothing yet."""
    with Pool(perform, jobs=jobs) as pool:
        pids = {done.result for done in pool.map([{"do": "pid"}])}
        return memory.resident_bytes(os.getpid()) + jobs * max(map(memory.resident_bytes_with_children, pids))


def test_memory_of_children_counts_and_of_what_has_ended_does_not() -> None:
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        alone, below = memory.resident_bytes(os.getpid()), memory.resident_bytes(child.pid)
        assert below > 1 << 20
        assert memory.resident_bytes_with_children(os.getpid()) >= alone + below
        child.kill()
        child.wait()

    assert memory.resident_bytes_with_children(child.pid) == 0


def test_bad_input_found_by_a_worker_is_the_callers_bad_input() -> None:
    with pytest.raises(BadInput, match="found a; expected b; in c"):
        run([{"do": "refuse"}])


def test_items_are_drawn_only_as_workers_have_room() -> None:
    drawn = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield {"do": "square", "n": drawn}

    with Pool(perform, jobs=2) as pool:
        results = pool.map(endless())
        first = [next(results) for _ in range(10)]

    assert len(first) == 10
    assert drawn <= 10 + 4


def test_what_a_worker_prints_never_reaches_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    assert [one.result for one in run([{"do": "print"}], jobs=1)] == ["quiet"]

    captured = capfd.readouterr()
    assert captured.out == ""
    assert "noise" in captured.err


def test_leaving_the_pool_ends_its_workers_at_once() -> None:
    began = time.monotonic()

    with Pool(perform, jobs=1) as pool:
        results = pool.map([{"do": "pid"}, {"do": "hang"}])
        pid = next(results).result

    assert time.monotonic() - began < 30
    assert not Path(f"/proc/{pid}").exists()


def test_ctrl_c_while_a_worker_starts_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal is held back meanwhile and raised just afterwards. Such a worker used to outlive the command."""

    @contextlib.contextmanager
    def interrupted() -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    before = set(multiprocessing.active_children())
    monkeypatch.setattr(executors, "_sigint_blocked", interrupted)

    with pytest.raises(KeyboardInterrupt), Pool(perform, jobs=1) as pool:
        list(pool.map([{"do": "square", "n": 2}]))

    assert set(multiprocessing.active_children()) <= before
