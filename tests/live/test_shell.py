"""`foreshock client --shell` with real processes behind it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.live.cluster import ENVIRONMENT, Cluster, eventually

pytestmark = pytest.mark.slow


class Shell:
    """A shell that is typed into; `said` grows while it speaks. It ends by itself when its input does."""

    def __init__(self, *nodes: str) -> None:
        command = [sys.executable, "-m", "harness", "client", "--shell", *nodes]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def type(self, line: str, expected: str) -> str:
        """Type a line, and wait for something to be said after it."""
        assert self.process.stdin is not None
        before = len(self.said)
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return str(
            eventually(lambda: (found := re.search(expected, self.said[before:], re.MULTILINE)) and found.group())
        )

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def shell(cluster: Cluster) -> Iterator[Shell]:
    cluster.start_all()
    cluster.call("read", "c")
    shell = Shell(*cluster.nodes)
    try:
        yield shell
    finally:
        shell.close()


def test_counters_are_used_by_hand_and_changes_are_seen(cluster: Cluster, shell: Shell) -> None:
    shell.type("create c 5", r"^c is 5$")
    shell.type("create c", r"^c is 5, as before$")
    shell.type("increment c", r"^c is 6$")
    shell.type("decrement c 10", r"^c is -4$")
    shell.type("get c", r"^c is -4$")
    shell.type("dump log 3", r"^\d+ \(\d+\): add-and-get c -10 \[session")
    shell.type("snapshot", r"^n3: snapshot at \d+$")
    shell.type("fly", r"^found 'fly'; commands: create")
    shell.type("increment c much", r"^found 'much'; expected a whole number$")
    assert re.search(
        r"^\[n\d leads in term \d+; first-applied=1, last-applied=\d+, commit-index=\d+, log", shell.said, re.MULTILINE
    )

    cluster.call("add-and-get", "c", "1")
    eventually(lambda: re.search(r"^applied \d+ \(\d+\): add-and-get c 1 \[", shell.said, re.MULTILINE))
    leader = cluster.leader()
    cluster.kill(leader)
    eventually(lambda: len(set(re.findall(r"^n\d leads in term \d+$", shell.said, re.MULTILINE))) == 2)
    shell.type("get c", r"^c is -3$")

    before = len(shell.said)
    cluster.kill(next(iter(cluster.running)))
    eventually(lambda: "no server leads\n" in shell.said[before:])
    shell.type("increment c", r"^refused: no server leads; nothing was done$")
    assert shell.process.stdin is not None
    shell.process.stdin.write("exit\n")
    shell.process.stdin.flush()
    assert shell.process.wait(20) == 0
