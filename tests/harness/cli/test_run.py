"""`run`, `replay` and `check`: the plan, the verdict, the folder, and the same run again."""

from __future__ import annotations

import gzip
import json
import shlex
from pathlib import Path

import pytest

from tests.harness.cli.conftest import SHORT, Foreshock

ROOT = Path(__file__).resolve().parents[3]
SHORT_RUN = ("run", "--seed", "1", *SHORT)


def test_a_run_prints_its_plan_its_verdict_where_it_is_and_how_to_repeat_it(
    foreshock: Foreshock, results: Path
) -> None:
    ran = foreshock(*SHORT_RUN)

    assert ran.code == 0
    assert "plan        seed 1, profile calm, workload register" in ran.out
    assert "verdict     valid (tolerable plan)" in ran.out
    (folder,) = [line.split()[1] for line in ran.out.splitlines() if line.startswith("run ")]
    assert (results / Path(folder).name / "plan.json").is_file()


def test_the_line_that_reproduces_a_run_reproduces_it(foreshock: Foreshock) -> None:
    first = foreshock(*SHORT_RUN, "-o", "reads=lease", "--json").json

    words = shlex.split(first["reproduce"])
    again = foreshock(*words[1:], "--json").json

    assert words[0] == "foreshock"
    assert again["plan_sha256"] == first["plan_sha256"]
    assert again["fingerprint"] == first["fingerprint"]


def test_json_is_one_document_with_the_promised_keys(foreshock: Foreshock) -> None:
    ran = foreshock(*SHORT_RUN, "--json")

    promised = (
        "run path seed plan_sha256 fingerprint history_sha256 verdict class anomalies ops faults messages "
        "simulated_seconds wall_seconds recovery_ms resolved_options"
    )
    assert set(promised.split()) <= set(ran.json)
    assert ran.json["verdict"] == "valid"
    assert ran.json["ops"].keys() == {"ok", "fail", "info"}
    assert ran.json["faults"].keys() == {"planned", "effective", "no_target", "no_effect"}
    assert ran.json["resolved_options"]["reads"] == "quorum"


def test_a_run_without_a_seed_draws_one_and_says_which(foreshock: Foreshock) -> None:
    seeds = {foreshock("run", *SHORT, "--json").json["seed"] for _ in range(2)}

    assert len(seeds) == 2


def test_pinning_an_option_changes_no_other_draw(foreshock: Foreshock, results: Path) -> None:
    plans = []
    for explicit in ((), ("-o", "max_inflight=3")):
        document = foreshock("run", "--seed", "5", "--duration", "1s", *explicit, "--json").json
        plans.append(json.loads((Path(document["path"]) / "plan.json").read_text()))

    assert plans[1]["options"].pop("max_inflight") == 3
    plans[0]["options"].pop("max_inflight", None)
    for plan in plans:
        plan["drawn"].pop("explicit")
    assert plans[0] == plans[1]


def test_a_plan_file_runs_as_the_run_it_came_from(foreshock: Foreshock) -> None:
    first = foreshock(*SHORT_RUN, "--json").json

    again = foreshock("run", "--plan", Path(first["path"]) / "plan.json", "--json").json

    assert again["fingerprint"] == first["fingerprint"]
    assert again["run"] != first["run"]


@pytest.mark.parametrize("which", ["latest", "id", "plan"])
def test_replay_says_whether_it_is_the_same_run(foreshock: Foreshock, which: str) -> None:
    first = foreshock(*SHORT_RUN, "--json").json
    name = {"latest": "latest", "id": first["run"], "plan": str(Path(first["path"]) / "plan.json")}[which]

    again = foreshock("replay", name, "--repeat", "2", "--json")

    assert again.code == 0
    assert again.json["fingerprint"] == first["fingerprint"]
    assert again.json["identical"] is (None if which == "plan" else True)
    assert again.json["fingerprints"] == [first["fingerprint"]]


def test_replay_with_other_code_shows_the_first_difference(foreshock: Foreshock, hasty_copy: Path) -> None:
    foreshock(*SHORT_RUN)

    again = foreshock("replay", "latest", "--system", f"path:{hasty_copy}", "--json")
    required = foreshock("replay", "latest", "--system", f"path:{hasty_copy}", "--require-identical")

    assert again.code == 0
    assert again.json["identical"] is False
    assert again.json["differs"] == ["code"]
    difference = again.json["first_difference"]
    assert difference["before"] != difference["now"]
    assert required.code == 1
    assert "identical   no; what else differs: code" in required.out


@pytest.mark.parametrize("damage", ["trace", "history"])
def test_replay_refuses_a_damaged_run_in_one_line(foreshock: Foreshock, hasty_copy: Path, damage: str) -> None:
    """What was stored is laid beside what other code does now: it has to be readable."""
    folder = Path(foreshock(*SHORT_RUN, "--json").json["path"])
    for trace in folder.glob("trace.*"):
        trace.unlink()
    if damage == "trace":
        packed = bytearray(gzip.compress(b'{"index":0,"time":0,"actor":"n1","kind":"start"}\n' * 20))
        packed[40] ^= 0xFF
        (folder / "trace.jsonl.gz").write_bytes(packed)
    else:
        (folder / "history.jsonl").write_bytes(b'{"index":0}\n')

    again = foreshock("replay", folder, "--system", f"path:{hasty_copy}", "--json")

    assert again.code == 254
    assert again.json["error"]["found"].startswith(f"a damaged {damage} (")


def test_another_run_from_the_same_everything_is_an_internal_error(foreshock: Foreshock) -> None:
    first = foreshock(*SHORT_RUN, "--json").json
    verdict = Path(first["path"]) / "verdict.json"
    verdict.write_text(verdict.read_text().replace(first["fingerprint"], "0" * 64))

    again = foreshock("replay", first["run"], "--json")

    assert again.code == 255
    assert again.json["error"]["expected"] == "the same run from the same plan, code, harness and interpreter"


@pytest.mark.parametrize(("until", "key"), [("500ms", "time"), ("40", "index")])
def test_replay_stops_where_it_is_told(foreshock: Foreshock, until: str, key: str) -> None:
    first = foreshock(*SHORT_RUN, "--json").json

    stopped = foreshock("replay", "latest", "--until", until, "--json").json

    assert stopped["events"]
    assert stopped["simulated_seconds"] < first["simulated_seconds"]
    assert stopped["stopped"] == "until"
    if key == "time":
        assert all(event["time"] <= 500_000_000 for event in stopped["events"])


def test_the_history_of_a_run_checks_as_the_run_did(foreshock: Foreshock) -> None:
    first = foreshock(*SHORT_RUN, "--json").json

    checked = foreshock("check", Path(first["path"]) / "history.jsonl", "--model", "cas-register", "--json")

    assert checked.code == 0
    assert checked.json["verdict"] == "valid"
    assert set(checked.json) >= {"verdict", "model", "ops", "engine", "anomalies", "seconds"}


def test_check_explains_a_history_that_no_order_explains(foreshock: Foreshock, tmp_path: Path) -> None:
    lines = [
        '{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}',
        '{"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}',
        '{"index":2,"time":2,"process":1,"type":"invoke","f":"read"}',
        '{"index":3,"time":3,"process":1,"type":"ok","f":"read","value":null}',
    ]
    (tmp_path / "stale.jsonl").write_text("\n".join(lines) + "\n")

    checked = foreshock("check", tmp_path / "stale.jsonl", "--model", "register", "--json")
    printed = foreshock("check", tmp_path / "stale.jsonl", "--model", "register")

    assert checked.code == printed.code == 1
    assert checked.json["anomalies"][0]["index"] == 3
    assert checked.json["anomalies"][0]["signature"].startswith("linearizability/")
    assert "verdict     invalid" in printed.out


def test_check_reads_histories_of_other_tools(foreshock: Foreshock, tmp_path: Path) -> None:
    lines = [
        "{:process 0, :type :invoke, :f :write, :value 1}",
        "{:process 0, :type :ok, :f :write, :value 1}",
        "{:process 1, :type :invoke, :f :read, :value nil}",
        "{:process 1, :type :ok, :f :read, :value 2}",
    ]
    (tmp_path / "history.edn").write_text("\n".join(lines) + "\n")

    checked = foreshock("check", tmp_path / "history.edn", "--model", "register", "--json")

    assert checked.code == 1
    assert checked.json["ops"] == 2


def test_the_history_of_a_stored_run_is_checked_again(foreshock: Foreshock) -> None:
    first = foreshock("run", "--seed", "1", "--workload", "register", "-o", "reads=local", "--json").json

    again = foreshock("recheck", "latest", "--json")
    assert again.json["changed"] is False
    assert [anomaly["signature"] for anomaly in again.json["anomalies"]] == again.json["before"]
    assert again.code == {"valid": 0, "invalid": 1}[again.json["verdict"]]
    assert set(again.json["before"]) <= {anomaly["signature"] for anomaly in first["anomalies"]}


def test_recheck_tells_what_today_s_checkers_see_otherwise(foreshock: Foreshock) -> None:
    """Change an answer in the stored history to a value that no client wrote."""
    first = foreshock(*SHORT_RUN, "--json").json
    path = Path(first["path"]) / "history.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"type":"ok"' in line and '"f":"read"' in line)
    lines[at] = json.dumps({**json.loads(lines[at]), "value": 99_999}) + "\n"
    path.write_text("".join(lines))

    again = foreshock("recheck", first["run"])

    assert again.code == 1
    assert "(changed)" in again.out


def test_runs_are_listed_filtered_and_deleted(foreshock: Foreshock, results: Path) -> None:
    for seed in ("1", "2"):
        foreshock("run", "--seed", seed, *SHORT)

    listed = foreshock("runs", "--json").json["runs"]
    one = foreshock("runs", "--seed", "1", "--json").json["runs"]
    deleted = foreshock("runs", "--delete", one[0]["run"])

    assert [run["seed"] for run in listed] == [2, 1]
    assert deleted.code == 0
    assert not (results / one[0]["run"]).exists()
    assert [run["seed"] for run in foreshock("runs", "--json").json["runs"]] == [2]
    assert foreshock("runs", "--older-than", "1h", "--delete", "--json").json["deleted"] == []
    assert len(foreshock("runs", "--older-than", "0s", "--delete", "--json").json["deleted"]) == 1


def test_the_doctor_finds_this_machine_able(foreshock: Foreshock) -> None:
    examined = foreshock("doctor", "--json")

    findings = {finding["name"]: finding["state"] for finding in examined.json["findings"]}
    assert examined.code == 0
    assert findings["determinism"] == findings["trio"] == findings["results"] == "ok"


def test_a_failing_run_has_a_page_and_names_it(foreshock: Foreshock, results: Path) -> None:
    system = f"{ROOT}/docs/examples/systems/primary_backup.py:PrimaryBackup"
    ran = foreshock("run", "--seed", 1, "--workload", "register", "--system", system)
    assert ran.code == 1
    line = next(line for line in ran.out.splitlines() if line.startswith("report "))
    page = Path(line.split()[-1])

    again = foreshock("report", "latest", "--html", results / "copy.html", "--json")

    assert page == (results / "latest").resolve() / "report.html"
    assert "foreshock run --seed" in page.read_text()
    assert again.code == 0
    assert again.json == {"report": str(results / "copy.html"), "bytes": (results / "copy.html").stat().st_size}


def test_a_valid_run_has_a_page_when_it_is_asked_for(foreshock: Foreshock, results: Path) -> None:
    assert foreshock("run", "--seed", 1, *SHORT).code == 0
    folder = (results / "latest").resolve()
    assert not (folder / "report.html").exists()

    assert foreshock("report", "latest").code == 0

    assert 'class="verdict valid"' in (folder / "report.html").read_text()
    assert foreshock("report", "nothing").code == 254
