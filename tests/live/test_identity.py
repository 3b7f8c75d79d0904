"""A data directory belongs to one node of one cluster, and a start that says otherwise is refused in one line."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.live.cluster import Cluster, eventually, free_ports, raft_impl


@pytest.fixture
def used(cluster: Cluster) -> Cluster:
    """A cluster that acknowledged a write, and whose n1 is down."""
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    cluster.kill("n1")
    return cluster


def refused(cluster: Cluster, *flags: str, **changes: object) -> tuple[int, str]:
    """What n1 says when it is started like that."""
    before = len(cluster.log("n1"))
    cluster.start("n1", *flags, **changes)  # type: ignore[arg-type]
    code, line = cluster.ended("n1")
    said = cluster.log("n1")[before:].splitlines()
    assert "Traceback" not in "".join(line for line in said if not line.startswith("{"))
    return code, line


def test_flags_that_contradict_the_directory_are_refused(used: Cluster) -> None:
    other_machine = refused(used, machine="map")
    other_voters = refused(used, "--voters=n1,n2")
    other_group = refused(used, "--group=g1")
    other_cluster = refused(used, "--cluster=elsewhere")

    assert other_machine[0] == 254
    assert "--machine is 'map'; this data directory began with 'counter' (identity.json)" in other_machine[1]
    assert other_voters == (
        254,
        "error: --voters is 'n1,n2'; this data directory began with 'n1,n2,n3' (identity.json)",
    )
    assert [other_group[0], other_cluster[0]] == [254, 254]
    used.start("n1", machine=None)
    assert used.call("read", "c") == "5"


def test_a_node_that_is_told_of_itself_alone_is_one_of_three_as_before(used: Cluster) -> None:
    used.start("n1", nodes=[used.nodes[0]], machine=None)
    used.kill("n2")

    assert used.call("add-and-get", "c", "1") == "[1,6]", "with n3, which it knows by its log"
    used.kill("n3")
    alone = used.try_call("add-and-get", "c", "1", timeout_ms=2000)
    assert alone.returncode != 0, "it never leads alone"


def test_the_directory_of_another_node_is_refused(used: Cluster) -> None:
    used.kill("n2")
    shutil.rmtree(used.folder / "n1")
    shutil.copytree(used.folder / "n2", used.folder / "n1")

    code, line = refused(used)

    assert (code, line) == (254, "error: --name is 'n1'; this data directory began with 'n2' (identity.json)")


def test_a_lost_log_or_identity_is_noticed(used: Cluster) -> None:
    directory = used.folder / "n1"
    kept = (directory / "identity.json").read_bytes()
    (directory / "identity.json").unlink()
    without_identity = refused(used)
    (directory / "identity.json").write_bytes(kept.replace(b"n1", b"n2", 1))
    damaged = refused(used)
    (directory / "identity.json").write_bytes(kept)
    for segment in directory.glob("*.wal"):
        segment.unlink()
    without_log = refused(used)

    assert without_identity[0] == damaged[0] == without_log[0] == 1
    assert "error: identity-missing: there is a log of g0 and no identity.json" in without_identity[1]
    assert damaged[1] == "error: identity-corrupt: identity.json: its checksum does not fit"
    assert without_log[1] == "error: log-missing: identity.json says that node n1 had a log of g0"
    assert [record["word"] for record in used.events("n1", "died")] == [
        "identity-missing",
        "identity-corrupt",
        "log-missing",
    ]


def test_old_data_is_taken_over_only_when_told_to(used: Cluster) -> None:
    for name in ("n2", "n3"):
        used.kill(name)
    for name in used.names:
        for path in (used.folder / name).glob("*.json"):
            path.unlink()
    refused(used)

    for name in used.names:
        used.start(name, "--adopt")

    assert used.call("read", "c") == "5"
    eventually((used.folder / "n1" / "identity.json").exists)
    used.kill("n1")
    assert refused(used, "--adopt")[1] == ("error: --adopt: there is an identity.json already; start without it")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--node=n1=127.0.0.1:0", "--voters=n1,n1"], "--voters names n1 twice; expected each node once"),
        (["--node=n1=127.0.0.1:0", "--voters=n1,"], "--voters has the name ''"),
        (["--node=n1=127.0.0.1:0", "--voters=n1,n2"], "--voters names n2, which has no address"),
        (["--node=n1=127.0.0.1:0", "--voters=n1", "--learners=n1"], "--learners names n1, which is a voter"),
        (["--node=n1=127.0.0.1:0", "--node=n1=127.0.0.1:1"], "--node names n1 twice"),
        (["--node=n1=" + "a" * 70 + ":1"], "has the host"),
        (["--node=n1=bad_host!:1"], "has the host 'bad_host!'"),
        (["--node=n1=300.1.1.1:1"], "has the host '300.1.1.1'"),
        (["--node=n1=127.0.0.1:65536"], "a port from 0 to 65535"),
        (["--node=n1=127.0.0.1:0", "--group=../g0"], "--group has the name '../g0'"),
        (["--node=n1=no-such-host.invalid:0"], "expected a host name that this machine can resolve"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_254(tmp_path: object, flags: list[str], message: str) -> None:
    result = raft_impl("serve", "--name=n1", f"--data={tmp_path}/data", *flags)

    assert result.returncode == 254
    said = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert message in said[0]


def test_a_node_that_joins_learns_which_cluster_it_is_of(cluster: Cluster) -> None:
    secret = cluster.folder / "secret"
    secret.write_text("a secret that is long enough\n")
    cluster.flags = cluster.client_flags = (f"--secret-file={secret}",)
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    (port,) = free_ports(1)

    cluster.start("n4", "--join", nodes=[*cluster.nodes, f"--node=n4=127.0.0.1:{port}"], machine=None)
    (started,) = eventually(lambda: cluster.events("n4", "started"))

    assert started["cluster"] == cluster.events("n1", "started")[0]["cluster"]
    identity = json.loads((cluster.folder / "n4" / "identity.json").read_text().splitlines()[0])
    assert (identity["machine"], identity["voters"], identity["has_log"]) == ("counter", [], True)
    assert cluster.call("read", "c") == "5"
