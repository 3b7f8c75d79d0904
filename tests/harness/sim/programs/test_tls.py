"""TLS of Trio programs as they are: OpenSSL draws by the plan, so that a run with handshakes is a function of it."""

from __future__ import annotations

import ctypes
import os
import secrets
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from harness.errors import BadInput
from harness.faults.crashes import Crash
from harness.faults.packets import Corrupt, Loss
from harness.systems.programs import native, openssl
from tests.harness.sim.programs.running import S, bound, drawn, errors, run, run_with, written
from tests.pages import ROOT

SERVER = """
import ssl
from pathlib import Path

HERE = Path(__file__).parent

async def node(name, peers, data_dir):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(HERE / "server.pem")
    await trio.serve_ssl_over_tcp(serve, 443, context)

async def serve(stream):
    try:
        async with stream:
            name = await stream.receive_some()
            await stream.send_all(b"hello " + name + b", " + ssl.RAND_bytes(2).hex().encode())
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass

class client(client):
    async def invoke(self, f, key, value):
        context = ssl.create_default_context(cafile=HERE / "authority.pem")
        stream = await trio.open_ssl_over_tcp_stream(self.server, 443, ssl_context=context)
        async with stream:
            await stream.send_all(self.name.encode())
            told = (await read_all(stream)).decode()
        if trio.current_time() < 4:
            return Completion("fail", error=told)
        return Completion("ok", None if f == "read" else value)  # so that what follows the heal ends soon
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program whose node is `n1`, with its certificate beside it."""
    return certified(tmp_path, trustme.KeyType.ECDSA)


def certified(folder: Path, kind: trustme.KeyType) -> str:
    authority = trustme.CA(key_type=kind)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert("n1", key_type=kind).private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return written(folder, SERVER)


@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_a_program_speaks_tls_as_it_is(kind: trustme.KeyType, tmp_path: Path) -> None:
    told = errors(run_with(certified(tmp_path, kind)))

    assert len(told) > 5
    assert all(answer.startswith("hello c1, ") for answer in told)
    assert len(set(told)) > 5  # what OpenSSL draws is drawn anew each time


FINGERPRINTS = """
import sys
from tests.harness.sim.programs.running import bound, drawn, run
for seed in map(int, sys.argv[2:]):
    print(run(drawn(sys.argv[1], seed, concurrency=3, profile="swarm"), bound(sys.argv[1])).fingerprint)
"""


def test_runs_with_tls_are_equal_in_processes_with_other_hash_seeds_and_in_any_order(program: str) -> None:
    here = [run(drawn(program, seed, concurrency=3, profile="swarm"), bound(program)).fingerprint for seed in (1, 2)]

    def there(hash_seed: str, *seeds: str) -> list[str]:
        command = [sys.executable, "-c", FINGERPRINTS, program, *seeds]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split()

    assert there("0", "1", "2") == here
    assert there("777", "2", "1") == here[::-1]


def test_tls_stands_kills_losses_and_damage(program: str) -> None:
    faults = (
        Loss(id="f1", begin_ns=0, end_ns=3 * S, loss_ppm=50_000),
        Corrupt(id="f2", begin_ns=0, end_ns=3 * S, corrupt_ppm=50_000),
        Crash(id="f3", begin_ns=S, end_ns=S + S // 10, targets=("n1",)),
    )

    outcome = run_with(program, *faults)

    told = errors(outcome)
    assert any(answer.startswith("hello") for answer in told)
    assert all(answer.startswith("hello") or answer in ("connection-lost", "timeout") for answer in told)
    assert set(outcome.fault_outcomes.values()) == {"effective"}
    assert outcome.fingerprint == run_with(program, *faults).fingerprint


def test_a_certificate_of_another_authority_is_refused(program: str, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "authority.pem")

    assert set(errors(run_with(program))) == {"connection-lost"}


def test_openssl_draws_for_nobody_else_and_itself_again_afterwards() -> None:
    with native.refused():
        within = {ssl.RAND_bytes(8) for _ in range(3)}

    assert len(within | {ssl.RAND_bytes(8), secrets.token_bytes(8)}) == 5
    library = ctypes.CDLL(__import__("_ssl").__file__)
    library.RAND_get_rand_method.restype = library.RAND_OpenSSL.restype = ctypes.c_void_p
    assert library.RAND_get_rand_method() == library.RAND_OpenSSL()


def test_tls_is_refused_where_openssl_cannot_be_reached(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "_library", lambda: None)

    with pytest.raises(BadInput, match="TLS under a Python whose OpenSSL cannot be given the chance of a plan"):
        run_with(program)


HYPERCORN = """
import ssl
from pathlib import Path

import anyio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

HERE = Path(__file__).parent

async def node(name, peers, data_dir):
    config = Config()
    config.bind, config.errorlog, config.graceful_timeout = [f"{name}:443"], None, 0
    config.certfile = config.keyfile = str(HERE / "server.pem")
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(request.url.scheme))])
    await serve(app, config, shutdown_trigger=trio.Event().wait)

class client(client):
    async def invoke(self, f, key, value):
        context = ssl.create_default_context(cafile=HERE / "authority.pem")
        calling = anyio.connect_tcp(self.server, 443, ssl_context=context, tls_standard_compatible=False)
        async with await calling as stream:
            await stream.send(b"GET / HTTP/1.1\\r\\nhost: n1\\r\\nconnection: close\\r\\n\\r\\n")
            answer = b""
            while not answer.endswith(b"https"):
                answer += await stream.receive()
        if trio.current_time() < 4:
            return Completion("fail", error=answer.decode().splitlines()[0])
        return Completion("ok", None if f == "read" else value)
"""


def test_hypercorn_and_anyio_speak_tls(program: str, tmp_path: Path) -> None:
    spec = written(tmp_path, HYPERCORN)

    first, second = run_with(spec), run_with(spec)

    assert set(errors(first)) == {"HTTP/1.1 200 "}
    assert first.fingerprint == second.fingerprint
