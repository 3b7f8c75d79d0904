"""Libraries of a program see its time, chance and sockets while it runs, and the real ones before and after."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
import pytest

from harness import cli
from tests.harness.sim.programs.running import EXAMPLES, bound, drawn, errors, run, run_with, written

LIBRARY = """
import random
import time
from os import urandom
from time import time as now

def seen():
    return repr((time.time(), now(), random.random(), urandom(2)))

def saved(path):
    with open(path, "w") as file:
        file.write("x")
    return open(path).read()
"""
USES = """
import lib_of_test

async def node(name, peers, data_dir):
    global folder
    folder = data_dir
    await trio.serve_tcp(serve, 80)

async def serve(stream):
    await stream.send_all((lib_of_test.seen() + lib_of_test.saved(folder + "/f")).encode())
"""


def test_a_library_sees_what_the_program_sees_and_only_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib_of_test.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    spec = written(tmp_path, USES)

    first, second = errors(run_with(spec)), errors(run_with(spec))

    assert first == second
    assert all(answer.endswith("x") for answer in first)
    library = sys.modules["lib_of_test"]
    assert library.time is time
    assert library.now is time.time
    assert "open" not in vars(library)


def test_anyio_listens_and_connects(tmp_path: Path) -> None:
    text = """
    import anyio

    async def node(name, peers, data_dir):
        async def answer(stream):
            async with stream:
                await stream.send(b"from anyio")
        listener = await anyio.create_tcp_listener(local_host=name, local_port=80, family=anyio.abc.socket.AF_INET)
        await listener.serve(answer)

    class client(client):
        async def invoke(self, f, key, value):
            async with await anyio.connect_tcp(self.server, 80) as stream:
                return Completion("fail", error=(await stream.receive()).decode())
    """.replace("anyio.abc.socket.AF_INET", repr(int(anyio.connect_tcp.__globals__["socket"].AF_INET)))

    assert "from anyio" in errors(run_with(written(tmp_path, text)))


HTTP = f"trio:{EXAMPLES / 'http_register.py'}"


@pytest.mark.parametrize(("name", "verdict"), [("Durable", "valid"), ("Unsynced", "invalid")])
def test_starlette_under_hypercorn_with_and_without_the_sync(name: str, verdict: str) -> None:
    spec = f"{HTTP}:{name}"
    plan = drawn(spec, 2, nodes=1, concurrency=4, profile="swarm")

    outcome = run(plan, bound(spec))

    assert outcome.verdict.validity == verdict
    assert outcome.fingerprint == run(plan, bound(spec)).fingerprint


def test_a_suite_runs_a_program_in_worker_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["suite", "--workload", "register", "--system", f"{HTTP}:Durable", "--nodes", "1", "--profile", "calm"]

    code = cli.run([*words, "--duration", "2s", "--count", "2", "--jobs", "2", "--results", str(tmp_path)])

    assert code == 0
    assert "2 valid" in capsys.readouterr().out
