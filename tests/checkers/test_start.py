"""From the start of the command to the verdict on a short history: nothing is imported that it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VALID = """{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":1,"type":"invoke","f":"read","value":null}
{"process":1,"type":"ok","f":"read","value":1}
"""

UNNEEDED = (
    "checkers.atomic_commit",
    "checkers.columns",
    "checkers.consistency",
    "checkers.importers.jepsen",
    "checkers.importers.maelstrom",
    "checkers.importers.porcupine",
    "checkers.importers.table",
    "checkers.linearizability.explain",
    "checkers.linearizability.fast.counters",
    "checkers.linearizability.fast.queues",
    "checkers.linearizability.search",
    "checkers.raft",
    "checkers.streaming",
    "checkers.transactions",
    "click.shell_completion",
    "difflib",
    "harness.faults",
    "harness.plans",
    "harness.run",
    "harness.sim",
    "harness.systems",
    "hashlib",
    "importlib.metadata",
    "importlib.resources",
    "lzma",
    "networkx",
    "numpy",
    "raft_impl",
    "random",
    "scipy",
    "shutil",
    "tempfile",
    "trio",
    "workloads",
)
"""What other histories, formats and commands need: with all of it the command takes twice as long to begin."""

CHECK = """
import sys
from harness.commands.group import cli
cli(["check", sys.argv[1]], standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""


def test_a_short_history_is_judged_without_what_it_does_not_need(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(VALID)

    done = subprocess.run([sys.executable, "-c", CHECK, str(file)], capture_output=True, text=True, check=True)
    imported = set(done.stderr.split())

    assert done.stdout.startswith("verdict     valid")
    assert "checkers.linearizability.fast.registers" in imported
    assert sorted(imported & set(UNNEEDED)) == []
