"""A wrong Trio program is refused in one line, whether that shows when it is loaded or in the middle of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from tests.harness.sim.programs.running import written

SERVES = """
async def serve(stream):
    await stream.send_all(b"hello")

class client(client):
    async def invoke(self, f, key, value):
        return Completion("fail", error="unsupported")
"""


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("async def node(name, peers, data_dir)", "async def node(name)", "found node(name); expected node(name, pee"),
        ("class client(client):", "def client(name):", "found client(name); expected client(name, servers)"),
        ("invoke(self, f, key, value)", "invoke(self, f)", "found client.invoke(self, f); expected client.invoke(self"),
        ("    async def invoke", "    def invoke", "found client.invoke, which is not async"),
        ("class client(client):", "class Other(client):", "found no client.invoke; expected async def invoke"),
        (
            "class client(client):",
            "def client(*_): return 7\nclass Other(object):",
            "no int.invoke; expected async def",
        ),
        ('workloads = ("register",)', 'workloads, capabilities = ("register",), ("dsk",)', "perhaps disk"),
        (
            'workloads = ("register",)',
            'workloads, capabilities = ("register",), None',
            "found capabilities None; expected",
        ),
        ('workloads = ("register",)', "workloads = 5", "found workloads 5; expected a tuple with one name at least"),
        ('return Completion("fail", error="unsupported")', "return 7", "found 7; expected a Completion of ok, fail"),
        ('return Completion("fail", error="unsupported")', "return 1 / 0", "ZeroDivisionError: division by zero"),
        (
            "    await trio.serve_tcp",
            "    import time; time.sleep(1)\n    await trio.serve_tcp",
            "found time.sleep, which",
        ),
        *(
            ("    await trio.serve_tcp", f"    {call}\n    await trio.serve_tcp", found)
            for call, found in (
                ("import os; os.fork()", "found os.fork; expected"),
                ("import os; os._exit(3)", "found os._exit, which ends the harness as well"),
                ("import posix; posix.abort()", "found os.abort, which ends the harness as well"),
                ("import os; os.kill(os.getpid(), 15)", "found os.kill, a signal to a process of the machine"),
                ("import signal; signal.raise_signal(15)", "found signal.raise_signal, which"),
                ("import signal; signal.setitimer(signal.ITIMER_REAL, 9)", "found signal.setitimer, which"),
                ("import os; os.chdir('/')", "found os.chdir, which moves the harness as well"),
                ("import _thread; _thread.start_new_thread(print, ())", "found a thread that Trio does not start"),
            )
        ),
        (
            'return Completion("fail", error="unsupported")',
            "raise SystemExit(3)",
            "found sys.exit(3); expected a client that answers each op",
        ),
    ],
)
def test_a_wrong_program_is_refused_in_one_line(
    old: str, new: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, SERVES)
    file = tmp_path / "program.py"
    text = file.read_text().replace("async def invoke", "async def first_invoke", 1)  # that of the common head
    assert old in text
    file.write_text(text.replace(old, new))
    words = ["--nodes", "1", "--seed", "1", "--duration", "2s", "--rate", "5", "--results", str(tmp_path / "results")]

    code = cli.run(["run", "--system", spec, *words])

    output = capsys.readouterr()
    assert code == 254, output.err
    assert found in output.err.splitlines()[-1]


@pytest.mark.parametrize(
    "kind",
    ["    @counted\n    async def invoke(self, f", "    @staticmethod\n    async def invoke(f"],
    ids=["passed on", "static"],
)
def test_a_client_may_be_decorated(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = """
import functools

def counted(method):
    @functools.wraps(method)
    def call(*arguments):
        return method(*arguments)
    return call
"""
    spec = written(tmp_path, counted + SERVES.replace("    async def invoke(self, f", kind))
    words = ["--nodes", "1", "--seed", "1", "--duration", "2s", "--rate", "5", "--results", str(tmp_path / "results")]

    code = cli.run(["run", "--system", spec, *words])

    output = capsys.readouterr()
    assert code == 1, output.err
    assert "is refused (unsupported)" in output.out, "as without the decorator"


def test_a_node_that_ends_itself_has_failed_and_is_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = "async with await trio.open_tcp_stream(self.server, 80) as stream: await self.ask(stream)"
    text = SERVES.replace("        return Completion", f"        {asks}\n        return Completion")
    spec = written(
        tmp_path, text.replace('stream.send_all(b"hello")', 'stream.send_all(b"hello"); raise SystemExit(3)')
    )
    words = ["--nodes", "1", "--seed", "1", "--duration", "2s", "--rate", "5", "--results", str(tmp_path / "results")]

    code = cli.run(["run", "--system", spec, *words])

    output = capsys.readouterr()
    assert code == 1, output.err
    assert "node/exception/NodeEnded" in output.out
    assert "the program called sys.exit(3)" in output.out


def test_what_differs_between_processes_is_shown_by_the_first_event_that_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one process the order of a set of strings is the same every time."""
    order = "sum(place * ord(name[0]) for place, name in enumerate({letter * 3 for letter in 'abcdefghijklmnop'}))"
    asks = "async with await trio.open_tcp_stream(self.server, 80) as stream: await self.ask(stream)"
    text = SERVES.replace("        return Completion", f"        {asks}\n        return Completion")
    spec = written(tmp_path, text.replace('b"hello"', f"b'h' * ({order} % 1000 + 1)"))
    words = ["--nodes", "1", "--seed", "1", "--duration", "2s", "--rate", "5", "--results", str(tmp_path / "results")]

    code = cli.run(["run", "--system", spec, *words])

    output = capsys.readouterr()
    assert code == 254, output.err
    assert "found two runs of one plan in two processes that differ at event" in output.err.splitlines()[-1]
