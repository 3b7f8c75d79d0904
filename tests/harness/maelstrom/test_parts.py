"""The parts of a live run that need no process: services, plans, messages, and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli import run
from harness.commands import maelstrom as command
from harness.errors import BadInput
from harness.live.maelstrom_protocol import NotAMessage, decode
from harness.maelstrom import drawing
from harness.maelstrom.services import services
from harness.maelstrom.workloads import WORKLOADS
from tests.harness.maelstrom.programs import example


def test_lin_kv_answers_as_maelstrom_does() -> None:
    ask = services(1)["lin-kv"]

    assert ask("n0", {"type": "read", "key": "x"})["code"] == 20
    assert ask("n0", {"type": "cas", "key": "x", "from": 0, "to": 1})["code"] == 20
    assert ask("n0", {"type": "cas", "key": "x", "from": 0, "to": 1, "create_if_not_exists": True})["type"] == "cas_ok"
    assert ask("n1", {"type": "cas", "key": "x", "from": 0, "to": 2})["code"] == 22
    assert ask("n1", {"type": "cas", "key": "x", "from": 1, "to": [2]})["type"] == "cas_ok"
    assert ask("n0", {"type": "read", "key": "x"}) == {"type": "read_ok", "value": [2]}
    assert ask("n0", {"type": "read"})["code"] == 12
    assert ask("n0", {"type": "delete", "key": "x"})["code"] == 10


def test_seq_kv_is_behind_and_never_goes_back() -> None:
    ask = services(1)["seq-kv"]
    for value in range(20):
        ask("writer", {"type": "write", "key": "x", "value": value})

    seen = [ask("reader", {"type": "read", "key": "x"}).get("value", -1) for _ in range(100)]
    own = ask("writer", {"type": "read", "key": "x"})

    assert seen == sorted(seen)
    assert seen[0] < 19
    assert own["value"] == 19


def test_lww_kv_forgets_writes() -> None:
    """Two clients that add one each do not always see the sum: that is what it is there for."""
    ask = services(1)["lww-kv"]
    ask("n0", {"type": "write", "key": "x", "value": 0})
    for value in range(1, 50):
        ask("n0", {"type": "write", "key": "x", "value": value})
        if ask("n0", {"type": "read", "key": "x"}).get("value") != value:
            return
    pytest.fail("50 reads in a row saw the last write")


def test_timestamps_grow() -> None:
    ask = services(1)["lin-tso"]

    assert [ask("n0", {"type": "ts"})["ts"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello", "malformed"),
        (b'{"src": "n1", "dest": "c1"}', "body"),
        (b'{"src": "n2", "dest": "c1", "body": {"type": "x"}}', "src is 'n2', not 'n1'"),
        (b'{"src": "n1", "dest": "c1", "body": {}}', "no type"),
    ],
)
def test_what_is_no_message_is_refused(line: bytes, why: str) -> None:
    with pytest.raises(NotAMessage, match=why):
        decode(line, "n1")


def settings(**values: Any) -> drawing.Settings:
    return drawing.Settings(**({"nodes": 5, "concurrency": 5, "rate": 50.0, "time_limit_ns": 4 * 10**9} | values))


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_decides_the_plan(name: str) -> None:
    chosen = settings(faults=("partition", "kill", "pause"))

    plan = drawing.draw(chosen, WORKLOADS[name], 7)

    assert plan == drawing.draw(chosen, WORKLOADS[name], 7)
    assert plan != drawing.draw(chosen, WORKLOADS[name], 8)
    assert len(plan.faults) == 4
    assert {fault.kind for fault in plan.faults} == {"partition", "crash", "pause"}
    assert sum(len(program.ops) for program in plan.programs) > 100
    assert all(earlier.end_ns <= later.begin_ns for earlier, later in zip(plan.faults, plan.faults[1:], strict=False))


def test_help_names_every_workload() -> None:
    assert tuple(WORKLOADS) == command._WORKLOADS


def test_one_node_has_no_partition() -> None:
    with pytest.raises(BadInput, match="a partition of one node"):
        drawing.draw(settings(nodes=1, faults=("partition",)), WORKLOADS["echo"], 1)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["-w", "ehco"], "perhaps echo"),
        (["-w", "echo", "--nemesis", "partitoin"], "perhaps partition"),
        (["-w", "echo", "--expect", "serializable"], "a workload of transactions"),
        (["-w", "txn-list-append", "--expect", "serialisable"], "perhaps serializable"),
        (["-w", "g-set", "--concurrency", "2"], "at least 3"),
        (["-w", "echo", "--time-limit", "0"], "a time"),
        (["-w", "echo", "--loss", "2"], "no share"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["maelstrom", *arguments, "--results", str(tmp_path), "cat"])

    error = capsys.readouterr().err
    assert code == 254
    assert found in error
    assert error.count("\n") == 1


def test_a_run_is_stored_checked_again_and_not_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--results", str(tmp_path), "--json"]
    program = example("lin_kv_local.py")
    asked = ["maelstrom", "-w", "lin-kv", "--time-limit", "500ms", "--rate", "40", "--latency", "50ms", "--seed", "1"]
    code = run([*asked, *options, "--", *program])
    record = json.loads(capsys.readouterr().out)
    folder = Path(record["path"])

    assert code == 1
    assert record["live"] is True
    assert "--latency 50ms --seed 1 -- " in record["reproduce"]
    assert run(["recheck", "latest", *options]) == 1
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert run(["check", str(folder / "messages.jsonl"), "--model", "cas-register"]) == 1
    capsys.readouterr()
    assert run(["replay", "latest", "--results", str(tmp_path)]) == 254
    assert "runs live only" in capsys.readouterr().err
