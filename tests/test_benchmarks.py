"""Benchmarks measure what they say: here only that their loads do something."""

from __future__ import annotations

import pytest

from benchmarks.core_steps import BATCH, LOADS, Cores


@pytest.mark.parametrize(("load", "committed"), list(zip(LOADS, (1, BATCH, 0), strict=True)))
def test_a_load_of_the_core_is_committed_everywhere(load: str, committed: int) -> None:
    cores = Cores(3)
    before = cores.core.commit_index

    LOADS[load](cores)
    cores.beat()

    assert cores.core.commit_index == before + committed
    assert {core.commit_index for core in cores._cores.values()} == {before + committed}
