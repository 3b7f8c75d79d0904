"""Real nodes of two releases: the feature level of a cluster, and what older code says to it.

The older release is the checkout's code, patched to know level 1 only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.systems.catalog import own_package
from harness.systems.checkouts import Checkouts
from harness.systems.patches import patched
from tests.live.cluster import ROOT, Cluster, eventually, raft_impl

pytestmark = pytest.mark.slow


@pytest.fixture
def older() -> Iterator[Path]:
    """The folder of the older release."""
    with Checkouts() as checkouts:
        package, _ = patched(ROOT / "tests" / "upgrades" / "older.patch", own_package(), checkouts)
        yield package.parent


def levels(cluster: Cluster) -> dict[str, tuple[int, int]]:
    """The level of the group at each node that answers, and the highest that the node knows."""
    done = raft_impl("cluster", "status", *cluster.nodes, "--json")
    nodes: dict[str, Any] = json.loads(done.stdout)["nodes"] if done.stdout else {}
    return {name: (one["feature_level"], one["known_level"]) for name, one in nodes.items()}


def test_a_cluster_that_has_raised_its_level_refuses_older_code_in_one_line(
    clusters: Callable[..., Cluster], older: Path
) -> None:
    cluster = clusters(names=("n1", "n2", "n3", "n4"))
    for name in ("n1", "n2", "n3"):
        cluster.start(name, "--voters", "n1,n2,n3", "--cluster", "levels")
    cluster.call("add-and-get", "c", "1")
    eventually(lambda: levels(cluster) == dict.fromkeys(("n1", "n2", "n3"), (2, 2)))

    cluster.kill("n3")
    cluster.start("n3", machine=None, nodes=(), code=older)
    code, line = cluster.ended("n3")
    assert (code, line.split(": ")[:2]) == (1, ["error", "feature-unknown"])
    assert line.endswith("of feature level 2, this code knows 1 to 1; start newer code on this data")

    cluster.start("n4", "--join", "--cluster", "levels", code=older)
    code, line = cluster.ended("n4")
    assert (code, line.split(" at ")[0]) == (1, "error: feature-unknown: g0")
    assert line.endswith("is of feature level 2, this code knows 1 to 1; start newer code on this data")

    cluster.start("n3")
    assert cluster.call("add-and-get", "c", "1") == "[1,2]"


def test_a_cluster_that_is_kept_at_the_first_level_can_go_back(clusters: Callable[..., Cluster], older: Path) -> None:
    cluster = clusters("-o", "feature_level=1")
    cluster.start_all()
    cluster.call("add-and-get", "c", "1")
    cluster.kill("n3")

    cluster.start("n3", code=older)

    assert cluster.call("add-and-get", "c", "1") == "[1,2]"
    eventually(lambda: levels(cluster) == {"n1": (1, 2), "n2": (1, 2), "n3": (1, 1)})
