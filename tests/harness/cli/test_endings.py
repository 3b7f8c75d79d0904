"""How a command ends when it is not let finish: Ctrl-C, a closed pipe, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.cli.conftest import SHORT, Foreshock
from tests.harness.conftest import ROOT

LONG_RUN = ("run", "--seed", "1", "--profile", "calm", "--duration", "3000s")
STARTED_SECONDS = 1.5


@pytest.mark.parametrize("wait_seconds", [0, STARTED_SECONDS], ids=["importing", "running"])
@pytest.mark.parametrize(
    "words",
    [
        LONG_RUN,
        ("suite", "--seeds", "1..100000", "--workload", "register"),
        ("compare", "path:.", "path:.", "--seeds", "1..10000"),
        ("mutants", str(ROOT / "tests" / "mutants")),
        ("replay", "latest", "--repeat", "100000"),
        ("recheck", "latest"),
        ("scenario", "long.txt"),
        ("check", "fifo", "--model", "register"),
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_ends_with_130_and_one_line(
    foreshock: Foreshock, results: Path, tmp_path: Path, words: tuple[str, ...], wait_seconds: float
) -> None:
    """No wait meets the imports of a command, a longer one its work; files that never end hold up the others."""
    if words[0] in ("replay", "recheck"):
        foreshock("run", "--seed", "1", *SHORT)
        if words[0] == "recheck":
            history = results / "latest" / "history.jsonl"
            history.unlink()
            os.mkfifo(history)  # a reader waits
    if words[0] == "scenario":
        script = (ROOT / "harness" / "scenarios" / "walkthrough_1_election.txt").read_text()
        (tmp_path / "long.txt").write_text(script + "> show\n" * 300_000)
        words = ("scenario", str(tmp_path / "long.txt"))
    if "fifo" in words:  # it never says anything
        os.mkfifo(tmp_path / "fifo")
        words = tuple(str(tmp_path / "fifo") if word == "fifo" else word for word in words)
    command = subprocess.Popen(
        [sys.executable, "-m", "harness", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        start_new_session=True,
    )
    _wait_until_main_has_begun(command)
    time.sleep(wait_seconds)

    os.killpg(command.pid, signal.SIGINT)  # as a terminal does: worker processes get it too
    _, err = command.communicate(timeout=30)

    assert (command.returncode, len(err.splitlines())) == (130, 1), err
    assert "interrupted" in err


def _wait_until_main_has_begun(command: subprocess.Popen[str]) -> None:
    """Until then Ctrl-C is the interpreter's affair. The first library that is loaded afterwards is msgspec's."""
    deadline = time.monotonic() + 60
    while "msgspec" not in Path(f"/proc/{command.pid}/maps").read_text():
        assert command.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.01)


def test_a_closed_pipe_is_no_verdict(foreshock: Foreshock) -> None:
    foreshock("run", "--seed", "1", *SHORT)
    for words in (("run", "--seed", "1", *SHORT), ("runs",), ("doctor",), ("scenario",)):
        reader, writer = os.pipe()
        os.close(reader)

        ran = subprocess.run(
            [sys.executable, "-m", "harness", *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writer)

        assert (words, ran.returncode, ran.stderr) == (words, 141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_without_room_is_one_line(foreshock: Foreshock) -> None:
    for words in (("run", "--seed", "1", *SHORT), ("run", "--seed", "1", *SHORT, "--json"), ("--help",)):
        with open("/dev/full", "w") as full:
            ran = subprocess.run(
                [sys.executable, "-m", "harness", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )

        assert (words, ran.returncode, ran.stderr.count("\n")) == (words, 254, 1)
        assert "No space left on device" in ran.stderr


def test_the_version_is_told(foreshock: Foreshock) -> None:
    ran = foreshock("--version")

    assert ran.code == 0
    assert ran.out.startswith("foreshock ")


@pytest.mark.parametrize(("typed", "offered"), [("ru", {"run", "runs"}), ("run --work", {"--workload"})])
def test_a_shell_is_offered_completions(typed: str, offered: set[str]) -> None:
    words = ("foreshock", *typed.split())
    environment = {
        **os.environ,
        "_FORESHOCK_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }

    ran = subprocess.run([sys.executable, "-m", "harness"], env=environment, capture_output=True, text=True, check=True)

    assert {line.split(",")[1] for line in ran.stdout.splitlines()} == offered
