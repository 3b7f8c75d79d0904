"""Who does not belong to a cluster is not heard in it, and both sides are told why."""

from __future__ import annotations

import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio
import trustme

from raft_impl.protocol.messages import Append, Heartbeat
from raft_impl.protocol.state import Index, Term
from raft_impl.runtime.wire import encode
from raft_impl.server.framing import FrameReader, PeerFault
from raft_impl.server.handshake import HandshakeRefused, Party, Role, dial
from tests.live.cluster import Cluster, eventually, raft_impl

FORGED = Append(Term(1000), Index(0), Term(0), Index(0))


def with_secret(cluster: Cluster, text: str = "a secret that is long enough") -> None:
    path = cluster.folder / "secret"
    path.write_text(text + "\n")
    cluster.flags = cluster.client_flags = (f"--secret-file={path}",)


def words(cluster: Cluster, name: str, event: str) -> set[str]:
    return {record["word"] for record in cluster.events(name, event)}


async def anybody(party: Party) -> None:
    """Judge nobody."""


def speak(port: int, role: Role, name: str, frame: bytes, secret: bytes | None = None, cluster: str = "") -> str:
    """Say one frame to n1 after a correct handshake. "heard", or the word with which it was refused."""

    async def body() -> str:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            reader = FrameReader(stream)
            me = Party(name=name, role=role, cluster=cluster, instance="forged", ping_ms=10_000)
            try:
                await dial(reader, stream.send_all, me, "n1", secret, anybody)
                await stream.send_all(struct.pack(">I", len(frame)) + frame)
                with trio.move_on_after(1):
                    await reader.some()
            except HandshakeRefused as refused:
                return refused.word
            except (PeerFault, trio.BrokenResourceError):
                return "hung-up"
            return "heard"

    return trio.run(body)


def test_a_stranger_is_refused_and_its_append_reaches_nobody(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    port = cluster.ports["n1"]
    forged = encode("g0", FORGED)

    as_node = speak(port, "node", "evil", forged)
    as_client = speak(port, "client", "evil", forged)
    as_old = speak(port, "client", "n2", encode("g0", Heartbeat(Term(1000), 1, Index(0))))
    as_known = speak(port, "node", "n2", forged)

    assert (as_node, as_client, as_old, as_known) == ("stranger", "hung-up", "hung-up", "identity-lost")
    assert cluster.call("read", "c") == "5"
    assert {"stranger", "identity-lost"} <= words(cluster, "n1", "refused")
    assert "not-a-node" in words(cluster, "n1", "peer-fault")
    assert max(record["fields"][1] for record in cluster.events("n1", "term")) < 1000


def test_who_does_not_know_the_secret_is_refused_in_both_directions(cluster: Cluster) -> None:
    with_secret(cluster)
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    right, cluster.client_flags = cluster.client_flags, ()
    without = cluster.try_call("read", "c")
    other = cluster.folder / "other"
    other.write_text("another secret of that length")
    cluster.client_flags = (f"--secret-file={other}",)
    wrong = cluster.try_call("read", "c")
    cluster.client_flags = right

    assert [without.returncode, wrong.returncode] == [1, 1]
    assert without.stderr.startswith("refused: wrong-secret: n1 has a secret and client-")
    assert "does not know the secret of this cluster" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
    assert "wrong-secret" in words(cluster, "n1", "refused")
    cluster.kill("n3")
    cluster.flags = (f"--secret-file={other}",)
    cluster.start("n3")
    eventually(lambda: "wrong-secret" in words(cluster, "n3", "refused-by-peer"))
    assert cluster.call("read", "c") == "5"


def test_only_the_holder_of_a_certificate_of_its_name_is_that_node(cluster: Cluster) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(cluster.folder / "ca.pem")

    def flags(name: str, ca: trustme.CA = authority) -> tuple[str, ...]:
        certificate = ca.issue_cert(name)
        key, chain = cluster.folder / f"{name}.key", cluster.folder / f"{name}.pem"
        certificate.private_key_pem.write_to_path(key)
        chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        return f"--tls-cert={chain}", f"--tls-key={key}", f"--tls-ca={cluster.folder / 'ca.pem'}"

    for name in cluster.names:
        cluster.start(name, *flags(name))
    cluster.client_flags = flags("a-client")
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    cluster.client_flags = ()
    plain = cluster.try_call("read", "c", timeout_ms=2000)
    cluster.client_flags = flags("other-client", trustme.CA())
    foreign = cluster.try_call("read", "c", timeout_ms=2000)
    cluster.kill("n3")
    cluster.start("n3", *flags("n4"))

    eventually(lambda: "wrong-certificate" in words(cluster, "n3", "refused-by-peer"))
    assert [plain.returncode, foreign.returncode] == [1, 1]
    assert "tls" in words(cluster, "n1", "refused")
    assert len(foreign.stderr.splitlines()) == 1


def test_without_proof_a_node_listens_on_loopback_only(tmp_path: Path) -> None:
    refused = raft_impl("serve", "--name=n1", f"--data={tmp_path}/n1", "--node=n1=0.0.0.0:0")
    short = tmp_path / "short"
    short.write_text("short")
    too_short = raft_impl(
        "serve", "--name=n1", f"--data={tmp_path}/n1", "--node=n1=127.0.0.1:0", f"--secret-file={short}"
    )

    assert refused.returncode == too_short.returncode == 254
    assert "n1 listens on 0.0.0.0 with nothing to keep strangers out" in refused.stderr.splitlines()[-1]
    assert "has a secret of 5 bytes; expected at least 16" in too_short.stderr
    assert not (tmp_path / "n1" / "identity.json").exists()


def test_two_clusters_wired_together_refuse_each_other(clusters: Callable[..., Cluster]) -> None:
    ours, theirs = clusters(), clusters()
    ours.start_all()
    theirs.start_all()
    assert ours.call("add-and-get", "c", "5") == "[5,5]"
    assert theirs.call("add-and-get", "c", "7") == "[7,7]"
    ours.kill("n3")

    ours.start("n3", nodes=[*ours.nodes[:1], theirs.nodes[1], ours.nodes[2]])

    assert ours.call("add-and-get", "c", "1") == "[1,6]", "by its log it knows where n2 is, whatever was typed"
    ours.kill("n1")
    ours.kill("n2")  # and only when it is not there, the address that was typed is tried
    eventually(lambda: "other-cluster" in words(ours, "n3", "refused-by-peer"))
    eventually(lambda: "other-cluster" in words(theirs, "n2", "refused"))
    ours.start("n1")
    ours.start("n2")
    both = raft_impl("call", ours.nodes[0], theirs.nodes[1], "-o", "client_timeout_ms=4000", "read", "c")
    assert both.stdout in ("6\n", "7\n", "")
    assert [ours.call("read", "c"), theirs.call("read", "c")] == ["6", "7"]


def test_a_wiped_disk_does_not_come_back_under_its_old_name(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    cluster.kill("n2")
    shutil.rmtree(cluster.folder / "n2")

    cluster.start("n2")
    code, line = cluster.ended("n2")

    assert code == 1
    assert line.startswith("error: identity-lost: n2 comes with another data directory than it had")
    assert "add it under a new name" in line
    assert "identity-lost" in {word for name in ("n1", "n3") for word in words(cluster, name, "refused")}
    assert cluster.call("read", "c") == "5"


def test_who_speaks_something_else_is_hung_up_on(cluster: Cluster) -> None:
    cluster.start("n1")
    eventually(lambda: cluster.events("n1", "introducing"))

    with socket.create_connection(("127.0.0.1", cluster.ports["n1"]), timeout=10) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: n1\r\n\r\n")
        assert stream.recv(100) == b""

    eventually(lambda: "garbage" in words(cluster, "n1", "peer-fault"))
    assert msgspec.json.decode((cluster.folder / "n1" / "identity.json").read_bytes().splitlines()[0])


@pytest.mark.parametrize(
    ("party", "word"),
    [
        (Party(name="n2", role="node", cluster="elsewhere"), "other-cluster"),
        (Party(name="n2", role="node", machines={"g0": "map"}), "other-machine"),
        (Party(name="n1", role="node"), "own-name"),
        (Party(name="n" * 65, role="client"), "bad-name"),
        (Party(name="line\nbreak", role="client"), "bad-name"),
    ],
)
def test_what_does_not_fit_is_named(cluster: Cluster, party: Party, word: str) -> None:
    cluster.start("n1")
    eventually(lambda: cluster.events("n1", "introducing"))

    async def body() -> str:
        async with await trio.open_tcp_stream("127.0.0.1", cluster.ports["n1"]) as stream:
            with pytest.raises(HandshakeRefused) as refused:
                await dial(FrameReader(stream), stream.send_all, party, "n1", None, anybody)
            return refused.value.word

    assert trio.run(body) == word
