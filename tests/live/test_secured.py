"""HTTP and the client library of a cluster that has a secret, or TLS."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import trio
import trustme

from raft_impl.client import Map, connect
from raft_impl.errors import RaftError, Refused
from raft_impl.roles import watch
from raft_impl.server.access import load_access
from raft_impl.server.transport import Access
from tests.live.cluster import PATIENCE_S, Cluster, eventually, free_ports, raft_impl

pytest.importorskip("hypercorn")
pytest.importorskip("starlette")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="asks with curl")]


def curl(url: str, *flags: str) -> str:
    """What is answered; empty when nothing is."""
    done = subprocess.run(
        ["curl", "-s", "-m", "20", *flags, url], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout


def issue(folder: Path, authority: trustme.CA, name: str) -> tuple[Path, Path, Path]:
    """Certificate, key and authority of a name, as files."""
    certificate = authority.issue_cert(name, "127.0.0.1")
    chain, key, ca = folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    return chain, key, ca


def flags_of(files: tuple[Path, Path, Path]) -> list[str]:
    return [f"--tls-{what}={path}" for what, path in zip(("cert", "key", "ca"), files, strict=True)]


async def use(cluster: Cluster, access: Access | None, timeout_s: float = PATIENCE_S) -> object:
    """Write and read back through the library, and see who leads."""
    nodes = {"n1": ("127.0.0.1", cluster.ports["n1"])}
    async with connect(nodes, timeout_s=timeout_s, access=access) as connection:
        table = Map(connection)
        await table.put("a", 1)
        async with watch(nodes, access=access) as changes:
            async for roles in changes:
                if roles.leader is not None:
                    break
        return await table.get("a")


def test_with_a_secret_http_works_and_the_library_needs_it(cluster: Cluster) -> None:
    secret = cluster.folder / "secret"
    secret.write_text("a secret that is long enough\n")
    other = cluster.folder / "other"
    other.write_text("another secret, long enough\n")
    ports = dict(zip(cluster.names, free_ports(3), strict=True))
    for name in cluster.names:
        cluster.start(name, f"--secret-file={secret}", f"--http=127.0.0.1:{ports[name]}", machine="map")

    assert trio.run(use, cluster, load_access(secret, None, None, None)) == 1
    for wrong in (None, load_access(other, None, None, None)):
        with pytest.raises(Refused):
            trio.run(use, cluster, wrong, 1.0)
    assert json.loads(curl(f"http://127.0.0.1:{ports['n2']}/get?key=a"))["value"] == 1
    assert json.loads(curl(f"http://127.0.0.1:{ports['n3']}/set?key=b&value=c"))["value"] == "c"


def test_with_tls_the_library_works_and_https_asks_for_a_certificate(cluster: Cluster) -> None:
    authority, foreign = trustme.CA(), trustme.CA()
    ports = dict(zip(cluster.names, free_ports(3), strict=True))
    for name in cluster.names:
        files = issue(cluster.folder, authority, name)
        cluster.start(name, *flags_of(files), "--http-tls", f"--http=127.0.0.1:{ports[name]}", machine="map")
    client = issue(cluster.folder, authority, "a-client")

    assert trio.run(use, cluster, load_access(None, *client)) == 1
    with pytest.raises(RaftError):
        trio.run(use, cluster, None, 1.0)

    chain, key, ca = client
    url = f"https://127.0.0.1:{ports['n2']}/get?key=a"
    shown = ("--cacert", str(ca), "--cert", str(chain), "--key", str(key))
    assert json.loads(eventually(lambda: curl(url, *shown)))["value"] == 1
    assert curl(url, "--cacert", str(ca)) == "", "without a certificate nothing is answered"
    other = cluster.folder / "foreign"
    other.mkdir()
    chain, key, _ = issue(other, foreign, "a-client")
    assert curl(url, "--cacert", str(ca), "--cert", str(chain), "--key", str(key)) == ""
    assert curl(f"http://127.0.0.1:{ports['n2']}/get?key=a") == ""
    assert json.loads(curl(url, *shown))["value"] == 1, "and it goes on"
    assert all(process.poll() is None for process in cluster.running.values())


def test_https_without_certificates_is_refused(tmp_path: Path) -> None:
    done = raft_impl(
        "serve", "--name=n1", "--node=n1=127.0.0.1:0", f"--data={tmp_path}/d", "--http=127.0.0.1:0", "--http-tls"
    )

    assert (done.returncode, done.stderr) == (
        254,
        "error: --http-tls without --http or --tls-cert; expected all of them\n",
    )
