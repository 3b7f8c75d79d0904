"""A cluster of processes that no test leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.cluster import Cluster


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Makes clusters, each in a folder of its own."""
    made: list[Cluster] = []

    def make(*flags: str, names: tuple[str, ...] = ("n1", "n2", "n3")) -> Cluster:
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir()
        made.append(Cluster(folder, names, *flags))
        return made[-1]

    try:
        yield make
    finally:
        for cluster in made:
            cluster.close()


@pytest.fixture
def cluster(clusters: Callable[..., Cluster]) -> Cluster:
    """Three nodes, not started."""
    return clusters()
