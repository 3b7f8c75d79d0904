"""Trio programs in the simulated world: TCP under faults, kills, pauses, time and chance, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import cli
from harness.errors import BadInput
from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.packets import Bandwidth, Corrupt, Delay, Duplicate, Loss, Reorder
from harness.faults.pauses import Pause
from harness.plans.plan import decode
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, run
from harness.systems.catalog import load_systems
from tests.harness.sim.programs.running import EXAMPLES, S, bound, drawn, errors, run_with, written
from tests.pages import ROOT

EAGER = f"trio:{EXAMPLES / 'tcp_register.py'}:Eager"

ECHO = """
import hashlib

class client(client):
    async def ask(self, stream):
        sent = bytes(range(256)) * 100
        async with trio.open_nursery() as nursery:
            async def send():
                await stream.send_all(sent)
                await stream.send_eof()
            nursery.start_soon(send)
            came = await read_all(stream)
        return "same" if came == sent else f"{len(came)} bytes"

async def serve(stream):
    with trio.move_on_after(60):
        async for chunk in stream:
            await stream.send_all(chunk)
        await stream.send_eof()
"""


def between(begin_s: float, end_s: float) -> dict[str, int]:
    return {"begin_ns": int(begin_s * S), "end_ns": int(end_s * S)}


# -- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Loss(id="f1", **between(0, 3), loss_ppm=50_000),
        Duplicate(id="f1", **between(0, 3), duplicate_ppm=300_000, spread_ns=S // 10),
        Reorder(id="f1", **between(0, 3), reorder_ppm=300_000, hold_ns=S // 10),
        Corrupt(id="f1", **between(0, 3), corrupt_ppm=50_000),
        Delay(id="f1", **between(0, 3), extra_ns=S // 20, jitter_ns=S // 20),
        Bandwidth(id="f1", **between(0, 3), targets=(), bytes_per_s=1_000_000),
    ],
    ids=lambda fault: fault.kind,
)
def test_bytes_arrive_in_order_and_once_whatever_a_link_does(tmp_path: Path, fault: Fault) -> None:
    outcome = run_with(written(tmp_path, ECHO), fault)

    told = errors(outcome)
    assert "same" in told
    assert set(told) <= {"same", "timeout", "connection-lost"}
    assert outcome.fault_outcomes == {"f1": "effective"}


GREETER = """
async def serve(stream):
    await stream.send_all(b"hello")
    await trio.sleep(0.3)
"""


def test_a_link_that_carries_nothing_for_a_while_stalls_a_stream(tmp_path: Path) -> None:
    spec = written(tmp_path, GREETER)
    outcome = run_with(spec, Loss(id="f1", **between(1, 3), loss_ppm=1_000_000))

    ended = [op for op in outcome.history if op.type != "invoke" and op.time > S + S // 2]
    assert ended[0].time > 3 * S
    assert ended[0].error == "hello"


def test_nobody_listens_and_no_such_name_are_errors_at_once(tmp_path: Path) -> None:
    spec = written(
        tmp_path,
        """
        async def node(name, peers, data_dir):
            await trio.sleep_forever()

        class client(client):
            async def invoke(self, f, key, value):
                words = []
                for host in (self.server, "nobody"):
                    try:
                        await trio.open_tcp_stream(host, 80)
                    except OSError as error:
                        words.append(type(error).__name__)
                return Completion("fail", error=" ".join(words))
        """,
    )

    assert set(errors(run_with(spec))) == {"OSError gaierror"}


HOLDER = """
class client(client):
    async def ask(self, stream):
        came = b""
        try:
            with trio.move_on_after(4):
                async for chunk in stream:
                    came += chunk
            return "waited"
        except trio.BrokenResourceError:
            return "reset"

async def serve(stream):
    await trio.sleep_forever()
"""


@pytest.mark.parametrize(("power", "told"), [(False, "reset"), (True, "waited")])
def test_a_kill_resets_connections_and_a_power_loss_does_not(tmp_path: Path, power: bool, told: str) -> None:
    crash = Crash(id="f1", **between(1.0, 1.2), targets=("n1",), power=power)

    assert errors(run_with(written(tmp_path, HOLDER), crash))[0] == told


def test_segments_are_cut_anywhere(tmp_path: Path) -> None:
    spec = written(
        tmp_path,
        """
        class client(client):
            async def ask(self, stream):
                return str(len(await stream.receive_some(1000)))

        async def serve(stream):
            await stream.send_all(bytes(1000))
        """,
    )

    assert len(set(errors(run_with(spec)))) > 5


# -- incarnations -----------------------------------------------------------------------------------------------------

COUNTER = """
counts = []

async def serve(stream):
    counts.append(1)
    await stream.send_all(str(len(counts)).encode())
"""


def test_memory_is_of_one_incarnation(tmp_path: Path) -> None:
    crash = Crash(id="f1", **between(1.0, 1.2), targets=("n1",), power=False)

    counts = [int(word) for word in errors(run_with(written(tmp_path, COUNTER), crash)) if word.isdigit()]

    restart = counts.index(1, 1)
    assert counts[:restart] == list(range(1, restart + 1))
    assert counts[restart:] == list(range(1, len(counts) - restart + 1))


@pytest.mark.parametrize("way", ["trio.CancelScope(shield=True)", "trio.move_on_after(9, shield=True)"])
def test_a_killed_program_cleans_nothing_up(tmp_path: Path, way: str) -> None:
    text = f"""
    async def serve(stream):
        try:
            await trio.sleep_forever()
        finally:
            with {way}:
                await trio.sleep(8)
                raise RuntimeError("cleaned up")

    async def node(name, peers, data_dir):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, None)
            nursery.start_soon(serve, None)
    """
    crash = Crash(id="f1", **between(1.0, 1.2), targets=("n1",), power=False)

    outcome = run_with(written(tmp_path, text), crash)

    assert outcome.fault_outcomes == {"f1": "effective"}
    assert not [anomaly for anomaly in outcome.anomalies if anomaly.checker == "node"]


def test_a_paused_node_does_nothing(tmp_path: Path) -> None:
    text = """
    async def node(name, peers, data_dir):
        while True:
            await trio.sleep(0.01)
            with trio.move_on_after(0.005):
                await trio.open_tcp_stream(peers[0], 80)
    """
    pause = Pause(id="f1", **between(1, 2), targets=("n1",))

    outcome = run_with(written(tmp_path, text), pause, nodes=2)

    assert outcome.rows is not None
    sent = [row[0] for row in outcome.rows if row[1:3] == ("send", "n1")]
    assert [time for time in sent if S < time < 2 * S] == []
    assert min(sent) < S // 10
    assert [time for time in sent if 2 * S <= time < 2.1 * S]
    assert outcome.fault_outcomes == {"f1": "effective"}


@pytest.mark.parametrize(
    ("body", "kind"), [("raise ValueError('wrong')", "ValueError"), ("await trio.sleep(1)", "NodeEnded")]
)
def test_a_node_that_raises_or_returns_is_a_finding(tmp_path: Path, body: str, kind: str) -> None:
    outcome = run_with(written(tmp_path, f"async def node(name, peers, data_dir):\n    {body}\n"))

    assert f"node/exception/{kind}" in {anomaly.signature for anomaly in outcome.anomalies}


# -- time and chance --------------------------------------------------------------------------------------------------

VIRTUAL = """
import datetime, os, random, secrets, time, uuid
from time import monotonic

async def serve(stream):
    began = time.time(), monotonic()
    await trio.sleep(0.25)
    drawn = random.random(), random.Random().random(), secrets.token_hex(4), str(uuid.uuid4()), os.urandom(3).hex()
    values = [time.time() - began[0], monotonic() - began[1], time.strftime("%Y"), *drawn]
    is_now = abs(datetime.datetime.now(datetime.UTC).timestamp() - time.time()) < 1
    values += [is_now, isinstance(datetime.datetime.min, datetime.datetime), os.getpid()]
    await stream.send_all(repr(values).encode())
"""


PROCESS = """
import os, time

before = os.environ.setdefault("STARTED", "0")
os.environ["STARTED"] = str(int(before) + 1)

async def serve(stream):
    wall_s = time.clock_gettime(time.CLOCK_REALTIME) - time.time()
    since_s = time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e9 - time.monotonic()
    number = os.environb[b"STARTED"].decode(), os.getenv("STARTED"), len(os.environ), os.environ.get("HOME")
    values = [round(wall_s, 6), round(since_s, 6), number, os.getppid(), os.uname().nodename]
    await stream.send_all(repr(values).encode())
"""


def test_the_environment_and_the_numbers_of_a_process_are_its_own(tmp_path: Path) -> None:
    """Nothing of them comes from the machine, or from a process that ran before."""
    spec = written(tmp_path, PROCESS)
    kill = Crash(id="f1", begin_ns=S, end_ns=S + S // 5, targets=("n1",), power=False)

    told = {error for error in errors(run_with(spec, kill)) if error.startswith("[")}

    assert told == {repr([0.0, 0.0, ("1", "1", 1, None), 1, "n1"])}


SIGNALS = """
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)

async def serve(stream):
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        with trio.move_on_after(0.2):
            async for number in signals:
                raise AssertionError(number)
        word = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        await stream.send_all(f"ignored: {word}".encode())
"""


def test_signals_of_the_machine_belong_to_the_harness(tmp_path: Path) -> None:
    """Nodes that set handlers, and restored them in any order, left one of theirs behind."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    outcome = run_with(written(tmp_path, SIGNALS), nodes=2)

    assert {"ignored: True"} == {error for error in errors(outcome) if error.startswith("ignored")}
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_time_and_chance_are_of_the_actor_and_the_plan(tmp_path: Path) -> None:
    spec = written(tmp_path, VIRTUAL)

    one, again = (errors(run_with(spec)) for _ in range(2))
    other = errors(run_with(spec, seed=2))

    assert one == again
    values = eval(one[0])  # noqa: S307  (what this file's program printed)
    assert [round(value, 3) for value in values[:2]] == [0.25, 0.25]
    assert values[8:10] == [True, True]
    assert len({repr(eval(line)[3:8]) for line in one}) == len(one) > 10  # noqa: S307
    assert one[0] != other[0]


ZONED = """
import datetime, time

async def serve(stream):
    naive = datetime.datetime(2026, 3, 1, 12)
    values = [
        str(datetime.datetime.fromtimestamp(86_400)),
        str(datetime.date.fromtimestamp(86_399)),
        naive.timestamp(),
        naive.astimezone().isoformat(),
        str(datetime.datetime.now() - datetime.datetime.now(datetime.UTC).replace(tzinfo=None))[:7],
        time.mktime(time.gmtime(7)),
        time.strftime("%H", time.localtime(3600)),
        time.timezone,
    ]
    await stream.send_all(repr(values).encode())
"""


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_local_time_is_utc_in_whatever_zone_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        one = errors(run_with(written(tmp_path, ZONED)))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert eval(one[0]) == [  # noqa: S307
        *("1970-01-02 00:00:00", "1970-01-01", 1772366400.0, "2026-03-01T12:00:00+00:00", "0:00:00", 7.0, "01", 0),
    ]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("import threading; threading.Thread(target=print).start()", "a thread that Trio does not start"),
        ("await trio.to_thread.run_sync(trio.from_thread.run, trio.sleep, 0)", "trio.from_thread.run"),
        ("import _socket; _socket.socket()", "a socket of the operating system"),
        ("trio.socket.socket(type=trio.socket.SOCK_RAW)", "neither a stream nor for datagrams"),
        ("import socket; socket.socket().recv(1)", "socket.socket.recv"),
        ("import socket; socket.gethostbyname('n1')", "socket.gethostbyname"),
        ("import subprocess; subprocess.run(['true'])", "a child process"),
        ("await trio.run_process(['true'])", "a child process"),
        ("import time; time.sleep(1)", "time.sleep"),
        ("import sqlite3; sqlite3.connect('x.db')", "an SQLite database"),
    ],
)
def test_what_leaves_the_simulation_is_refused_by_name_even_if_the_program_catches_it(
    tmp_path: Path, body: str, found: str
) -> None:
    text = f"""
    async def node(name, peers, data_dir):
        try:
            {body}
        except Exception:
            pass
        await trio.sleep_forever()
    """

    with pytest.raises(BadInput, match=found) as refusal:
        run_with(written(tmp_path, text))
    assert refusal.value.where == "the program of n1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("node = None", "no async def node"),
        ("client = 3", "no client"),
        ("workloads = ()", "workloads"),
        ("import no_such_module", "No module named"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_program_without_what_it_must_have_is_one_line(tmp_path: Path, text: str, found: str) -> None:
    spec = written(tmp_path, text)

    with pytest.raises(BadInput, match=found):
        load_systems(bound(spec))


@pytest.mark.parametrize("spec", ["trio:no_such_file.py:X", "trio:no.such.module:X", "trio:"])
def test_a_program_that_is_not_there_is_bad_input(spec: str) -> None:
    with pytest.raises(BadInput, match=r"no file|no module"):
        bound(spec)


# -- whole runs -------------------------------------------------------------------------------------------------------


def test_the_bug_of_the_example_is_found_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["run", "--system", EAGER, "--seed", "1", "--results", str(tmp_path)])

    assert code == 1
    assert "nonlinearizable" in capsys.readouterr().out


FINDING_SEED = 2
QUORUM = f"trio:{EXAMPLES / 'quorum_register.py'}"


def verdict_of(spec: str, seed: int) -> str:
    return run(drawn(spec, seed, nodes=3, concurrency=4, profile="swarm"), bound(spec)).verdict.validity


def test_a_missing_sync_is_found_where_the_same_program_with_it_is_right() -> None:
    assert verdict_of(f"{QUORUM}:Quorum", FINDING_SEED) == "valid"
    assert verdict_of(f"{QUORUM}:Forgetful", FINDING_SEED) == "invalid"


LOCKS = f"trio:{EXAMPLES / 'lock_service.py'}"
CRDT = f"trio:{EXAMPLES / 'crdt_counter.py'}"
LEASE = f"trio:{EXAMPLES / 'lease_register.py'}"
FAILOVER = f"trio:{EXAMPLES / 'failover_register.py'}"
GROW_ONLY = "docs/examples/systems/grow_only.py:WORKLOAD"


@pytest.mark.parametrize(
    ("spec", "workload", "profile", "nodes", "seed", "verdict"),
    [
        (f"{LOCKS}:Fenced", "counter", "swarm", 1, 10, "valid"),
        (f"{LOCKS}:Unfenced", "counter", "swarm", 1, 10, "invalid"),
        (f"{CRDT}:Counter", GROW_ONLY, "swarm", 3, 1, "valid"),
        (f"{CRDT}:Doubled", GROW_ONLY, "swarm", 3, 1, "invalid"),
        (f"{LEASE}:Monotonic", "register", "clocks", 3, 10, "valid"),
        (f"{LEASE}:WallClock", "register", "clocks", 3, 10, "invalid"),
        (f"{FAILOVER}:Patient", "register", "partitions", 3, 43, "valid"),
        (f"{FAILOVER}:Hasty", "register", "partitions", 3, 43, "invalid"),
    ],
)
def test_an_example_is_right_and_its_wrong_sister_is_found(
    spec: str, workload: str, profile: str, nodes: int, seed: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    code = bound(spec)
    drawing = Drawing(
        system=spec, workload=workload, nodes=nodes, concurrency=4, rate=20.0, duration_ns=4 * S, profile=profile
    )

    outcome = run(drawing.plan(seed, abilities_of(load_systems(code).values())), code)

    assert outcome.verdict.validity == verdict


def test_the_one_node_of_a_lease_lends_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    outcome = run(drawn(f"{LEASE}:Monotonic", 1, nodes=1, concurrency=4, profile="calm"), bound(f"{LEASE}:Monotonic"))

    assert outcome.primary is None
    assert outcome.verdict.validity == "valid"


@pytest.mark.parametrize(
    ("plan", "spec"),
    [
        ("doubled", f"{CRDT}:Doubled"),
        ("eager", EAGER),
        ("forgetful", f"{QUORUM}:Forgetful"),
        ("hasty", f"{FAILOVER}:Hasty"),
        ("primary_backup", f"{EXAMPLES / 'primary_backup.py'}:PrimaryBackup"),
        ("unfenced", f"{LOCKS}:Unfenced"),
        ("unsynced", f"trio:{EXAMPLES / 'http_register.py'}:Unsynced"),
        ("wall_clock", f"{LEASE}:WallClock"),
    ],
)
def test_the_shrunk_plan_of_a_wrong_example_still_finds_it(
    plan: str, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = (EXAMPLES / "found" / f"{plan}.json").read_bytes()

    outcome = run(decode(text, plan), bound(spec), RunOptions(gates=False))

    assert outcome.primary is not None
    assert outcome.primary.startswith("linearizability/nonlinearizable/")


@pytest.mark.slow
def test_the_right_example_is_never_invalid() -> None:
    assert [seed for seed in range(50) if verdict_of(f"{QUORUM}:Quorum", seed) == "invalid"] == []


FINGERPRINTS = """
import json, sys
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import run
from tests.harness.sim.programs.running import bound, drawn
spec = sys.argv[1]
print(json.dumps([run(drawn(spec, seed, nodes=3, concurrency=4, profile="swarm"), bound(spec)).fingerprint
                  for seed in map(int, sys.argv[2:])]))
"""


def fingerprints(spec: str, *seeds: int, hash_seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", FINGERPRINTS, spec, *map(str, seeds)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        check=True,
    )
    return list(json.loads(done.stdout))


def test_files_do_not_make_a_run_depend_on_the_hash_seed() -> None:
    spec = f"{QUORUM}:Quorum"
    here = [run(drawn(spec, FINDING_SEED, nodes=3, concurrency=4, profile="swarm"), bound(spec)).fingerprint]

    assert fingerprints(spec, FINDING_SEED, hash_seed="777") == here


def test_a_program_in_a_package_may_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shop_of_trio"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "server.py").write_text((EXAMPLES / "tcp_register.py").read_text(encoding="utf-8"), encoding="utf-8")
    (package / "api.py").write_text("from .server import Eager\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    plan = drawn(EAGER, nodes=3)
    spec = "trio:shop_of_trio.api:Eager"
    assert run(plan, bound(spec)).fingerprint == run(plan, bound(EAGER)).fingerprint


def test_runs_are_equal_in_processes_with_other_hash_seeds_and_in_any_order() -> None:
    here = [
        run(drawn(EAGER, seed, nodes=3, concurrency=4, profile="swarm"), bound(EAGER)).fingerprint for seed in range(4)
    ]

    assert fingerprints(EAGER, 0, 1, 2, 3, hash_seed="0") == here
    assert fingerprints(EAGER, 3, 2, 1, 0, hash_seed="777") == here[::-1]
