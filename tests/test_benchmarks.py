"""Benchmarks measure what they say: here only that their loads do something."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from benchmarks import bounds, bytecodes, checkers, comparison, examples, histories, peer, peer_chaos, suite
from benchmarks.core_steps import BATCH, LOADS, Cores
from harness.compiled.finder import VARIABLE
from harness.errors import BadInput
from harness.outcome import Outcome
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, run
from harness.search.measures import measure
from harness.sim.kernel import events
from harness.systems import catalog
from harness.systems.checkouts import Checkouts


@pytest.mark.parametrize(("load", "committed"), list(zip(LOADS, (1, BATCH, 0), strict=True)))
def test_a_load_of_the_core_is_committed_everywhere(load: str, committed: int) -> None:
    cores = Cores(3)
    before = cores.core.commit_index

    LOADS[load](cores)
    cores.beat()

    assert cores.core.commit_index == before + committed
    assert {core.commit_index for core in cores._cores.values()} == {before + committed}


PEER = """#!{python}
import json, sys
from checkers import check
from checkers.importers import load

model, file, seconds = sys.argv[1:]
assert float(seconds) == 20
verdict = check(load(file, format="porcupine"), model)
print(json.dumps({{"verdict": {verdict}, "seconds": 0.5}}))
"""


def peer_program(folder: Path, verdict: str) -> Path:
    """Make a peer that reads the file as Porcupine's, and answers so."""
    program = folder / "peer"
    program.write_text(PEER.format(python=sys.executable, verdict=verdict))
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    "word", ["register, unique values, one stale", "kv, 1 key, appends, reads and writes, one misread"]
)
def test_a_peer_is_given_the_same_history(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkers, "ROWS", [row for row in checkers.ROWS if row.name.startswith(word)])
    program = peer_program(tmp_path, "verdict.validity")

    status = checkers.main(["--largest", "10000", "--porcupine", str(program)])

    assert status == 0
    assert "invalid" in (out := capsys.readouterr().out)
    assert "(peer 0.500 s, " in out


def test_an_opposite_verdict_of_a_peer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = peer_program(tmp_path, "'invalid'")

    status = checkers.main(["kv, 1 key, appends, reads and writes", "--porcupine", str(program)])

    assert status == 1
    assert "valid, but the peer says invalid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/sh\necho no such model >&2; exit 3\n", "ended with status 3 (no such model); expected 0"),
        ("#!/bin/sh\necho yes\n", "expected one line of JSON with verdict and seconds"),
        ('#!/bin/sh\necho \'{"verdict": "ok", "seconds": 1}\'\n', "verdict 'ok'; expected valid, invalid or unknown"),
    ],
)
def test_a_peer_that_does_not_answer_is_refused(text: str, message: str, tmp_path: Path) -> None:
    program = tmp_path / "peer"
    program.write_text(text)
    program.chmod(0o755)
    made = histories.record(histories.Registers((1, 1, 1)), 10, concurrency=2, crashed=0.0)
    peer.store(made, tmp_path / "history.jsonl")

    with pytest.raises(peer.PeerFailed) as failed:
        peer.ask(program, "register", tmp_path / "history.jsonl")

    assert message in str(failed.value)


def test_how_near_runs_come_to_their_bounds_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bounds", "--seeds", "1..1"])
    monkeypatch.setattr(events, "LivelockGuard", events.LivelockGuard)

    bounds.main()

    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["events in a second", "events in ten"]
    assert all(0 < float(line.split("%")[0].split()[-1]) < 100 for line in lines[:2])
    assert lines[-1] == "anomalies: none"


CALM = Drawing(profile="calm", nodes=3, concurrency=2, rate=40.0, duration_ns=2_000_000_000)


def outcome_of(system: str) -> Outcome:
    with Checkouts() as checkouts:
        binding = catalog.bind(system, checkouts)
        plan = CALM.plan(1, abilities_of(catalog.load_systems(binding).values()))
        return run(plan, binding, RunOptions(explain=False))


def times(before: Outcome, after: Outcome, name: str) -> float:
    """By what a measure was multiplied."""
    a, b = (measure(outcome)[name] for outcome in (before, after))
    assert a is not None
    assert b is not None
    return b / a


@pytest.mark.parametrize(
    ("change", "is_other_run"),
    [
        ("streams renamed, 1", True),
        ("1 draws used up first", True),
        ("refactored, 1", False),
        ("latency: every answer waits for the next message", True),
        ("fsyncs: all twice", True),
        ("throughput: an fsync takes as long as 16", True),
        ("availability: 1 of 5 answers never sent", True),
        ("messages: all sent twice", True),
        ("safety: all replicas read what they have", True),
    ],
)
def test_a_change_that_comparisons_are_measured_with_is_what_it_says(
    change: str, is_other_run: bool, tmp_path: Path
) -> None:
    """Harmless ones stay valid; a refactoring runs alike; regressions are worse in what they name."""
    name, text, size = next(one for one in (*comparison.HARMLESS, *comparison.REGRESSIONS) if one[0] == change)
    comparison.copy_with(text.format(size=size), tmp_path)

    before, after = outcome_of("raft_impl"), outcome_of(f"path:{tmp_path}")

    assert (before.history_sha256 != after.history_sha256) is is_other_run
    if name.startswith("messages"):
        assert after.messages > 1.5 * before.messages
    elif name.startswith("latency"):
        assert times(before, after, "latency_p50_ms") > 1.1
        assert times(before, after, "availability") > 0.95
    elif name.startswith("fsyncs"):
        assert 1.8 < times(before, after, "fsyncs_per_op") < 2.2
        assert times(before, after, "latency_p99_ms") > 1.05
    elif name.startswith("throughput"):
        assert times(before, after, "latency_p50_ms") > 2
        assert times(before, after, "throughput") < 1
    elif name.startswith("availability"):
        assert after.ops.info + after.ops.fail > before.ops.info + before.ops.fail or after.messages != before.messages
    else:
        assert after.verdict.validity == "valid"


def test_the_tables_of_comparisons_count_accusations_and_what_was_found() -> None:
    harmless = [
        comparison.Row(change=name, plans=12, first=1, exit=code, why=why)
        for (name, _, _), code, why in zip(
            comparison.HARMLESS, (0, 1, 2, 0), ((), ("latency_p50_ms",), (), ()), strict=False
        )
    ]
    found = comparison.Row(
        change="messages: all sent twice", plans=12, first=1, exit=1, why=("messages_per_op",), stopped=10
    )

    page = comparison.tables([*harmless, found], 12)

    assert "| at the end | 1 | 1 | 4.6% to 69.9% |" in page
    assert "| looked at after each pair | 0 | | 0.0% to 49.0% |" in page
    assert "Accused at the end: streams renamed, 2, for latency_p50_ms." in page
    assert "| messages: all sent twice | 1 of 1 | `messages_per_op` 1 | 1 of 1 | 10 |" in page
    assert "| fsyncs: all twice | 0 of 0 |  | 0 of 0 |  |" in page


def test_the_tables_of_comparisons_go_where_the_page_says() -> None:
    text = f"before\n{comparison.BEGINS}\nold\n{comparison.ENDS}\nafter\n"

    once = comparison.placed(text, "| new |\n")

    assert once == f"before\n{comparison.BEGINS}\n\n| new |\n\n{comparison.ENDS}\nafter\n"
    assert comparison.placed(once, "| new |\n") == once
    with pytest.raises(ValueError, match="no lines"):
        comparison.placed("nothing", "| new |\n")


def test_what_a_suite_costs_is_told_and_its_bounds_are_held() -> None:
    pair = (suite.Timed(wall=20.0, cpu=20.0, in_runs=19.0), suite.Timed(wall=10.5, cpu=21.0, in_runs=19.5))
    samples = [suite.Sample(runs=1000, rss_kib=60_000), suite.Sample(runs=20_000, rss_kib=61_000)]
    memory = suite.Memory(samples=samples, cpu_ms_a_run=0.8, index_bytes_a_run=3000.0)
    grown = msgspec.structs.replace(memory, samples=[samples[0], suite.Sample(runs=20_000, rss_kib=67_000)])
    idle = (suite.Timed(wall=20.0, cpu=20.0, in_runs=17.0), suite.Timed(wall=14.0, cpu=21.0, in_runs=19.5))

    page = suite.tables([pair], memory, 100)

    assert "| one worker | 20.0 | 20.0 | 95.0% | 0.200 |" in page
    assert "Two workers are 1.90 times as fast as one." in page
    assert "| 20,000 | 59.6 |" in page
    assert suite.misses([pair], memory, cores=True) == []
    assert suite.misses([pair], grown, cores=True) == ["the coordinator grew by 11.7%; at most 10%"]
    assert suite.misses([idle], memory, cores=True) == [
        "85.0% of the CPU time in runs; at least 90%",
        "two workers are 1.43 times as fast as one; at least 1.8",
    ]


def test_the_memory_of_a_campaign_is_sampled_at_its_end_and_no_run_of_it_is_an_error() -> None:
    """Seeds are proved in other workers than they were run in, which have other runs in stock."""
    many = suite.FIRST_SAMPLE + 150

    memory = suite._memory(many)

    assert [sample.runs for sample in memory.samples] == [suite.FIRST_SAMPLE, many]


def test_a_campaign_too_short_for_two_samples_of_its_memory_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(["--many", "1000"])

    assert "--many 1000; more than 1000" in capsys.readouterr().err


PEER_CAMPAIGN = """
import functools

async def campaign():
    pass

@functools.wraps(campaign)
def test_chaos_campaign_holds_the_invariants():
    raise AssertionError("the decorated test runs a fixed number of seeds")
"""
SIMLOOP = """
from types import SimpleNamespace

def explore(workload, seeds):
    workload().close()
    return SimpleNamespace(seed=12) if 12 in seeds else None
"""


def test_the_peers_chaos_is_run_by_its_own_explore(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_chaos_campaign.py").write_text(PEER_CAMPAIGN)
    (tmp_path / "simloop.py").write_text(SIMLOOP)
    command = [sys.executable, peer_chaos.__file__, str(tmp_path)]

    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, input="1 5\n6 5\n11 5\n", env=environment, capture_output=True, text=True, check=False
    )

    assert [float(line) >= 0 for line in done.stdout.splitlines()] == [True, True]
    assert done.returncode == 1
    assert done.stderr == "seed 12 of the peer failed\n"


def test_every_class_of_the_examples_of_systems_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(examples.ROOT)
    sources = {path.name: path.read_text() for path in Path(examples.FOLDER).glob("*.py")}

    measured = {example.file for example in examples.EXAMPLES if example.file}

    assert measured == set(sources) - {"grow_only.py"}
    assert all(f"class {example.name}" in sources[example.file] for example in examples.EXAMPLES if example.file)
    assert max(len(source.splitlines()) for source in sources.values()) < 120
    (ran,) = examples.run_seeds(examples.BY_NAME["PrimaryBackup"], [2])
    assert (ran.seed, ran.verdict) == (2, "invalid")
    assert ran.simulated_s > 4


@pytest.mark.parametrize(
    ("kind", "failing", "differing", "faults"),
    [
        ("right", (), (), []),
        ("right", (7,), (), ["x: seed 7: invalid"]),
        ("wrong", (7,), (), []),
        ("wrong", (), (), ["x: not found within 10 seeds"]),
        ("ours", (7,), (3,), ["x: seed 3: another fingerprint in another process", "x: seed 7: invalid"]),
    ],
)
def test_the_gate_of_the_examples(
    kind: str, failing: tuple[int, ...], differing: tuple[int, ...], faults: list[str]
) -> None:
    measured = msgspec.convert(
        {
            "example": {"name": "x", "file": "x.py", "kind": kind},
            "verdicts": {"valid": 10 - len(failing), "invalid": len(failing)},
            "failing_seeds": failing,
            "signatures": {},
            "simulated_s": 80.0,
            "cpu_s": 2.0,
            "sampled": 10,
            "differing": differing,
        },
        examples.Measured,
    )

    assert measured.faults == faults
    assert examples.row(measured)[7:9] == ("40", f"{10 - len(differing)} of 10")


@pytest.mark.parametrize(
    ("kind", "verdicts", "faults"),
    [
        ("right", {"valid": 1, "unknown": 9}, []),
        ("right", {"unknown": 10}, ["x: no run was valid"]),
        ("ours", {"unknown": 10}, ["x: no run was valid"]),
    ],
)
def test_the_gate_of_the_examples_wants_a_valid_run(kind: str, verdicts: dict[str, int], faults: list[str]) -> None:
    """An example that answers nothing is never invalid either."""
    measured = msgspec.convert(
        {
            "example": {"name": "x", "file": "x.py", "kind": kind},
            "verdicts": verdicts,
            "failing_seeds": (),
            "signatures": {},
            "simulated_s": 80.0,
            "cpu_s": 2.0,
            "sampled": 10,
            "differing": (),
        },
        examples.Measured,
    )

    assert measured.faults == faults


def test_bytecodes_are_counted_of_the_sources_whatever_build_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(bytecodes, "_COUNT", "import json, os; print(json.dumps(dict.fromkeys(os.environ, 1)))")

    names = bytecodes.count(tmp_path, [])

    assert VARIABLE not in names
    assert names["PATH"] == 1


def test_bytecodes_of_a_commit_are_counted_in_all_of_its_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[list[str]] = []

    def count(tree: Path, plans: list[str]) -> Counter[str]:
        counted.append([Path(plan).name for plan in plans])
        assert (tree / "benchmarks" / "simulator.py").is_file()
        assert tree == bytecodes.ROOT or not (tree / ".git").exists()  # no worktree, of which git keeps a list
        return Counter()

    monkeypatch.setattr(bytecodes, "count", count)
    assert len(list(bytecodes.measure(["HEAD"], 2))) == 2

    assert counted == [["1.json", "2.json"]] * 2
    with pytest.raises(BadInput, match="no commit 'no-such-ref'"):
        next(bytecodes.measure(["HEAD", "no-such-ref"], 2))


def test_bytecodes_are_told_commit_by_commit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    totals = iter((100.0, 103.0, 98.0))
    monkeypatch.setattr(bytecodes, "count", lambda tree, plans: Counter({"all": next(totals)}))

    bytecodes.walk(["HEAD", "HEAD"], 1)

    first, second, last = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["100.0", "+0.0%", "+0.0%"]
    assert second.split()[:3] == ["103.0", "+3.0%", "+3.0%"]
    assert last.split() == ["98.0", "-2.0%", "-5.0%", "this", "tree"]


def test_bytecodes_are_compared_by_folder_whatever_file_a_rule_has_moved_to(capsys: pytest.CaptureFixture[str]) -> None:
    before = Counter({"harness/sim/a.py f": 60.0, "checkers/raft/invariants.py g": 40.0})
    now = Counter({"harness/sim/b.py f": 60.0, "checkers/raft/rules/log.py g": 50.0})

    bytecodes.show(bytecodes.by_folder(before), bytecodes.by_folder(now), 1)

    assert capsys.readouterr().out.splitlines() == [
        "100.0 bytecodes a delivery before, 110.0 now: +10.0%",
        "",
        "   before      now  differs",
        "     40.0     50.0   +10.0%  checkers/raft",
    ]
