"""Live runs of right and wrong programs get the verdict they deserve, and leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.errors import BadInput
from harness.maelstrom import live_run
from harness.maelstrom.live_run import neighbours
from harness.outcome import Outcome
from tests.harness.maelstrom.programs import example, processes_with, python, running_with

Run = Callable[..., Outcome]

NODE = """
import json, sys
for line in sys.stdin:
    m = json.loads(line); b = m["body"]; t = b["type"]
    if t == "init": me = b["node_id"]
    r = {{"type": t + "_ok", "in_reply_to": b["msg_id"]}}
    {answer}
    print(json.dumps({{"src": me, "dest": m["src"], "body": r}}), flush=True)
"""


def node(answer: str) -> list[str]:
    """A node that answers all requests, and each by what a statement adds to `r`."""
    return python(NODE.format(answer=answer))


@pytest.mark.parametrize(
    ("workload", "command", "settings"),
    [
        ("echo", example("echo.py"), {}),
        ("broadcast", example("broadcast.py"), {"faults": ("partition",), "loss_ppm": 50_000, "quiet_ns": 10**9}),
        ("unique-ids", node('r["id"] = [me, m["src"], b["msg_id"]]'), {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_right_programs_are_valid(live: Run, workload: str, command: list[str], settings: dict[str, Any]) -> None:
    outcome = live(workload, command, **settings)

    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.ops.ok > 10


@pytest.mark.parametrize(
    ("workload", "command", "settings", "signature"),
    [
        ("echo", node('r["echo"] = "hello"'), {}, "echo/different"),
        ("unique-ids", node('r["id"] = b["msg_id"]'), {}, "unique-ids/duplicate"),
        ("broadcast", example("broadcast_once.py"), {"loss_ppm": 500_000}, "final-reads/missing"),
        ("g-set", node('r["value"] = []'), {}, "final-reads/missing"),
        ("g-counter", node('r["value"] = 0'), {}, "converging-counter/wrong-sum"),
        ("pn-counter", node('r["value"] = 10**6'), {}, "converging-counter/out-of-bounds"),
        (
            "lin-kv",
            example("lin_kv_local.py"),
            {"latency_ns": 50_000_000, "rate": 40.0},
            "linearizability/nonlinearizable/cas-register/",
        ),
        (
            "kafka",
            node('r.update(offset=b["msg_id"], msgs={}, offsets={})'),
            {},
            "offset-logs/lost",
        ),
        (
            "txn-list-append",
            node('r["txn"] = [[f, k, [] if f == "r" else v] for f, k, v in b.get("txn", [])]'),
            {"rate": 40.0},
            "list-append/",
        ),
        (
            "txn-rw-register",
            node('r["txn"] = [[f, k, -1 if f == "r" else v] for f, k, v in b.get("txn", [])]'),
            {"rate": 40.0},
            "rw-register/",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)
def test_wrong_programs_are_found(
    live: Run, workload: str, command: list[str], settings: dict[str, Any], signature: str
) -> None:
    outcome = live(workload, command, **settings)

    assert outcome.verdict.validity == "invalid", outcome.verdict
    assert [one.signature for one in outcome.anomalies if one.signature.startswith(signature)] != []


@pytest.mark.parametrize(
    ("command", "kind", "said"),
    [
        (python("import sys; print('why', file=sys.stderr); print('hello', flush=True); input()"), "no-message", "why"),
        (node('sys.exit("no more") if t == "echo" else None'), "died", "ended with exit code 1"),
        (node('__import__("os").kill(__import__("os").getpid(), 11) if t == "echo" else None'), "died", "SIGSEGV"),
        (node('r["type"] = "nonsense" if t == "echo" else "init_ok"'), "malformed-answer", "expected echo_ok"),
        (node("pass"), "malformed-answer", "no field 'echo'"),
        (node('me = "n9" if t == "echo" else me'), "no-message", "src is 'n9', not 'n"),
        (node('r["type"] = "error"'), "no-init", "answered init with"),
    ],
    ids=["no message", "exit", "signal", "type", "field", "src", "init"],
)
def test_a_node_that_breaks_the_protocol_is_named(live: Run, command: list[str], kind: str, said: str) -> None:
    outcome = live("echo", command)

    assert outcome.verdict.validity == "invalid"
    assert outcome.primary == f"node/{kind}"
    assert outcome.anomalies[-1].message.startswith("node n")
    assert said in outcome.anomalies[-1].message


def test_a_node_that_never_answers_init_is_named(live: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.maelstrom.live_run.INIT_SECONDS_MAX", 0.3)

    outcome = live("echo", ["sleep", "3611"])

    assert outcome.primary == "node/no-init"
    assert processes_with("3611") == []


def test_a_node_that_answers_nothing_else_is_unknown(live: Run) -> None:
    """Nothing was seen of it, so that nothing can be said of it."""
    outcome = live("echo", node('t == "init" or __import__("time").sleep(3612)'), nodes=1, concurrency=1)

    assert outcome.verdict.validity == "unknown"
    assert "echo, none ok" in outcome.verdict.reason


def test_a_node_that_was_not_read_at_the_end_is_unknown(live: Run) -> None:
    """Two nodes that agree say nothing about the third."""
    silent = 'r["value"] = []\n    if me == "n1" and t == "read": continue'
    outcome = live("g-set", node(silent), rate=4.0, time_limit_ns=200_000_000, seed=3)

    assert outcome.verdict.validity != "valid"
    assert "no final read was answered by n1" in outcome.verdict.reason


STORE = """
import json, sys
done, values, logs, committed = set(), {}, {}, {}
def answer(b):
    t = b["type"]
    if t == "add": done.add(b["element"]) if "element" in b else values.update(sum=values.get("sum", 0) + b["delta"])
    if t == "read": return {"value": WHAT}
    if t == "txn":
        for step in b["txn"]:
            f, k, v = step
            if f == "r": step[2] = values.get(k)
            else: values[k] = values.get(k, []) + [v] if f == "append" else v
        return {"txn": b["txn"]}
    if t == "send":
        logs.setdefault(b["key"], []).append(b["msg"])
        return {"offset": 3 * len(logs[b["key"]])}
    if t == "poll":
        every = {k: [[3 * n + 3, m] for n, m in enumerate(logs.get(k, []))] for k in b["offsets"]}
        return {"msgs": {k: [e for e in every[k] if e[0] >= o][:5] for k, o in b["offsets"].items()}}
    if t == "commit_offsets": committed.update(b["offsets"])
    if t == "list_committed_offsets": return {"offsets": {k: committed[k] for k in b["keys"] if k in committed}}
    return {}
for line in sys.stdin:
    m = json.loads(line); b = m["body"]
    if b["type"] == "init": me = b["node_id"]
    r = {"type": b["type"] + "_ok", "in_reply_to": b["msg_id"], **answer(b)}
    print(json.dumps({"src": me, "dest": m["src"], "body": r}), flush=True)
"""


@pytest.mark.parametrize(
    ("workload", "what"),
    [
        ("g-set", "sorted(done)"),
        ("g-counter", "values.get('sum', 0)"),
        ("pn-counter", "values.get('sum', 0)"),
        ("txn-list-append", "0"),
        ("txn-rw-register", "0"),
        ("kafka", "0"),
    ],
)
def test_one_node_with_one_state_keeps_every_promise(live: Run, workload: str, what: str) -> None:
    outcome = live(workload, python(STORE.replace("WHAT", what)), nodes=1, concurrency=4)

    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.ops.fail == outcome.ops.info == 0


def test_an_acknowledged_end_of_a_log_that_nobody_gets_is_lost(live: Run) -> None:
    """It shows only to who has read up to there: one poll from the start of a log returns something."""
    forgetful = STORE.replace("for n, m in enumerate(logs.get(k, []))]", "for n, m in enumerate(logs.get(k, [])[:4])]")

    outcome = live("kafka", python(forgetful), nodes=1, concurrency=4)

    assert outcome.primary == "offset-logs/lost", outcome.verdict


def test_faults_bite(live: Run) -> None:
    """A node that is killed comes back without its memory, a paused one goes on, and both are told."""
    killed = live("echo", example("echo.py"), faults=("kill", "pause"), time_limit_ns=2_000_000_000)

    assert killed.verdict.validity == "valid", killed.verdict
    assert set(killed.fault_outcomes.values()) == {"effective"}
    assert killed.ops.info > 0


def test_our_raft_behind_maelstroms_messages_answers(live: Run) -> None:
    """Whatever it takes of `raft_impl` is still there; what faults do to it is a longer run."""
    outcome = live("lin-kv", example("lin_kv_raft.py"), nodes=3, time_limit_ns=1_500_000_000)

    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.ops.ok > 0


@pytest.mark.slow
def test_our_raft_behind_maelstroms_messages_survives_kills_and_partitions(live: Run) -> None:
    """Its logs are in the folders that each node keeps."""
    outcome = live(
        "lin-kv", example("lin_kv_raft.py"), nodes=3, faults=("partition", "kill"), time_limit_ns=8_000_000_000
    )

    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.ops.ok > 10
    assert set(outcome.fault_outcomes.values()) == {"effective"}


def test_what_a_killed_node_forgets_is_lost(live: Run) -> None:
    one = {"nodes": 1, "concurrency": 2, "faults": ("kill",), "time_limit_ns": 1_000_000_000}
    outcome = live("broadcast", example("broadcast.py"), **one)

    assert outcome.verdict.validity == "invalid"
    assert "final-reads/missing" in [anomaly.signature for anomaly in outcome.anomalies]


def test_a_command_that_is_none_is_bad_input(live: Run) -> None:
    with pytest.raises(BadInput, match="cannot be started"):
        live("echo", ["./no-such-program"])


def test_grandchildren_end_with_their_node(live: Run) -> None:
    outcome = live("echo", ["sh", "-c", f"sleep 3613 & exec {sys.executable} {example('echo.py')[1]}"])

    assert outcome.verdict.validity == "valid"
    assert processes_with("3613") == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_nothing_is_left_when_the_harness_is_ended(number: int, code: int, tmp_path: Path) -> None:
    mark = f"36{40 + number}"
    program = ["sh", "-c", f"sleep {mark} & exec {sys.executable} {example('echo.py')[1]}"]
    harness = subprocess.Popen(
        [sys.executable, "-m", "harness", "maelstrom", "-w", "echo", "--time-limit", "60s", "--", *program],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "FORESHOCK_RESULTS": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while len(running_with(mark, whole=True)) < 3 and time.monotonic() < deadline:  # one beside each node
        time.sleep(0.05)

    harness.send_signal(number)

    assert harness.wait(20) == code
    deadline = time.monotonic() + 10  # after SIGKILL it is the guardian that ends them
    while processes_with(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(mark) == []


def test_sigterm_never_comes_in_the_midst_of_trios_own_work(live: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that raised there would have Trio break down, and hang now and then."""
    whole: list[bool] = []

    @trio.lowlevel.enable_ki_protection
    def as_trio_itself() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        whole.append(True)

    async def phases(run: live_run.LiveRun) -> None:
        as_trio_itself()
        await trio.sleep(5)

    monkeypatch.setattr(live_run.LiveRun, "_phases", phases)
    with pytest.raises(KeyboardInterrupt, match="terminated"):
        live("echo", example("echo.py"))

    assert whole == [True]


UNTOLD = """
import os, sys
from pathlib import Path
import trio
from harness.maelstrom.os_processes import NodeProcesses

processes = NodeProcesses(["sleep", "3699"], Path(sys.argv[1]))
processes.__enter__()
processes._tell_guardian = lambda line: None
trio.run(processes.start, "n1")
os._exit(7)
"""


def test_a_node_of_which_there_was_no_time_to_tell_the_guardian_ends_as_well(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", UNTOLD, str(tmp_path)], cwd=Path(__file__).parents[3], check=False)

    assert ended.returncode == 7
    deadline = time.monotonic() + 10
    while processes_with("3699") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with("3699") == []


def test_a_grid_is_connected_both_ways() -> None:
    nodes = [f"n{number}" for number in range(5)]

    for topology in ("grid", "line", "total"):
        beside = neighbours(nodes, topology)
        assert all(name in beside[other] for name in nodes for other in beside[name])
        reached, waiting = {"n0"}, ["n0"]
        while waiting:
            new = set(beside[waiting.pop()]) - reached
            reached |= new
            waiting += new
        assert reached == set(nodes)
