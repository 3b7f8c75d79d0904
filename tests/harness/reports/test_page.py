"""The page of a run as a file: what it holds, what it refuses, and what a hostile history cannot do to it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.op import Op
from checkers.trace import FIELDS, as_event, as_row
from harness.archive.documents import run_record
from harness.archive.find import StoredRun, find
from harness.archive.layout import encode_trace, write_run
from harness.errors import BadInput
from harness.faults.pauses import Pause
from harness.plans import plan as plans
from harness.reports import figures, messages
from harness.reports.clocks import clock_tracks
from harness.reports.document import as_script_data
from harness.reports.packing import BESIDE, RUNNING, packed, packed_steps
from harness.reports.page import Subject, render
from harness.reports.texts import Texts, plain, value_text
from harness.reports.written import write_report
from tests.harness.outcomes import make_outcome, make_plan

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202e\u2028<!--"
)


class Tags(HTMLParser):
    """Collects elements, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._within = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in self.texts:
            self.texts[self._within].append(data)


def data_of(page: str) -> dict[str, Any]:
    """The data that a page holds."""
    found: dict[str, Any] = json.loads(Tags(page).texts["script"][0])
    unpack(found["ops"])
    if found["excerpt"] is not None:
        unpack(found["excerpt"]["messages"])
        for place in (0, 1):
            for step, value in zip(
                found["excerpt"]["steps"], accumulate(step[place] for step in found["excerpt"]["steps"]), strict=True
            ):
                step[place] = value
    return found


def unpack(columns: dict[str, list[int]]) -> None:
    """What the script does with columns of differences."""
    for name in RUNNING:
        if name in columns:
            columns[name] = list(accumulate(columns[name]))
    for name, other in BESIDE.items():
        if name in columns:
            columns[name] = [by + value for by, value in zip(columns[name], columns[other], strict=True)]


def hostile_run(results: Path) -> StoredRun:
    """A stored run whose history, plan and verdict were written by an attacker."""
    ops = (
        Op(index=0, time=10, process=0, type="invoke", f=HOSTILE, key=HOSTILE, value=HOSTILE * 400),
        Op(index=1, time=20, process=0, type="fail", f=HOSTILE, key=HOSTILE, value=[HOSTILE], error=HOSTILE),
        Op(index=2, time=30, process=0, type="invoke", f="write", key="x", value=10**200),
    )
    rows = [(5, "note", "n1", "g0", HOSTILE), (10, "role", "n1", "g0", HOSTILE, 1), (12, "refuse", "n1", 1, HOSTILE)]
    outcome = make_outcome(1, "invalid", "linearizability/nonlinearizable/x/read", history=ops, rows=rows)
    operation = {"process": 0, "call": 0, "ret": 1, "text": HOSTILE}
    evidence = {
        "completing": operation, "minimal_history": [operation], "blocked": operation, "key": HOSTILE,
        "states": [{"state": HOSTILE, "order": [HOSTILE]}], "starts": [HOSTILE], "since": None,
        "between": [{"call": 0, "ret": 1, "states": [HOSTILE], "count": 9}],
    }  # fmt: skip
    anomaly = msgspec.structs.replace(outcome.anomalies[0], message=HOSTILE, evidence=evidence, index=1)
    write_run(results, msgspec.structs.replace(outcome, anomalies=(anomaly,)))
    return find("latest", results)


def test_every_kind_of_event_is_read_again_as_the_row_that_it_was() -> None:
    for kind, names in FIELDS.items():
        row = (7, kind, "n1", *(f"{name} of {kind}" for name in names))

        assert as_row(as_event(3, row)) == row


def test_a_page_is_one_small_file_that_names_no_other(report: Path) -> None:
    page = report.read_text()
    tags = Tags(page)

    assert len(page) < 300_000
    links = [value for _, attributes in tags.found for name, value in attributes.items() if name in ("src", "href")]
    assert links
    assert all(value is not None and value.startswith("#") for value in links)
    assert not re.search(r"@import|url\((?!#)", "".join(tags.texts["style"]))


def test_policy_lets_run_what_has_the_digest_of_our_own_script(report: Path) -> None:
    tags = Tags(report.read_text())
    policies = [
        a["content"] for tag, a in tags.found if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]

    digests = {
        name: base64.b64encode(hashlib.sha256(tags.texts[name][-1].encode()).digest()).decode() for name in tags.texts
    }

    assert policies == [
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; style-src 'sha256-{digests['style']}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ]
    assert not any(name == "style" or name.startswith("on") for _, attributes in tags.found for name in attributes)


def test_a_page_says_verdict_reason_and_how_to_have_the_run_again(report: Path, failing: StoredRun) -> None:
    page = report.read_text()
    assert failing.record is not None

    assert 'class="verdict invalid"' in page
    sentence = failing.record.anomalies[0].message.splitlines()[0]
    assert f'<p class="sentence">{sentence}</p>' in html.unescape(page)
    for command in ("replay", "shrink", "explain"):
        assert f"<code>foreshock {command} {failing.run}</code>" in page


def test_data_hold_every_operation_and_where_it_failed(report: Path, failing: StoredRun) -> None:
    data = data_of(report.read_text())
    assert failing.record is not None

    ops = data["ops"]
    outcomes = [ops["o"].count(number) for number in range(3)]

    assert outcomes[:2] == [failing.record.ops.ok, failing.record.ops.fail]
    assert outcomes[2] >= failing.record.ops.info
    assert {len(column) for column in ops.values()} == {sum(outcomes)}
    assert data["failures"][0][0] == failing.record.anomalies[0].index
    assert len(data["faults"]) == failing.record.faults.planned


def test_tracks_tell_leaders_terms_and_commit_indexes(report: Path) -> None:
    tracks = data_of(report.read_text())["tracks"]

    assert [track["node"] for track in tracks] == ["n1", "n2", "n3", "n4", "n5"]
    roles = {role for track in tracks for role in track["roles"][1::3]}
    assert {"leader", "follower", "down"} <= roles
    for track in tracks:
        assert track["roles"][::3] == sorted(track["roles"][::3])
        assert track["commits"][::2] == sorted(track["commits"][::2])
    assert max(track["commits"][-1] for track in tracks) > 50


def test_messages_of_the_failure_are_there_with_what_nodes_knew(report: Path, blocked: dict[str, Any]) -> None:
    data = data_of(report.read_text())
    excerpt, texts = data["excerpt"], data["texts"]

    steps, columns = excerpt["steps"], excerpt["messages"]

    assert [step[0] for step in steps] == sorted(step[0] for step in steps)
    assert any(step[0] == blocked["ret"] and f"was told {blocked['f']}" in texts[step[3]] for step in steps)
    assert len({len(column) for column in columns.values()}) == 1
    assert {messages.DELIVERED, messages.LOST} <= set(columns["f"])
    for place, (sent, ended) in enumerate(zip(columns["x"], columns["y"], strict=True)):
        assert all(steps[at][4] == place for at in (sent, ended) if at >= 0)
    known = {excerpt["fields"][field] for step in steps for field in step[5][1::3]}
    assert {"state", "role", "term", "vote", "last entry", "commit", "applied", "durable"} <= known


def test_what_nodes_knew_before_the_first_window_is_told_at_its_first_step() -> None:
    rows = [
        (0, "start", "n1", 1, "default"),
        (1_000_000, "role", "n1", "g0", "leader", 4),
        (2_000_000, "send", "n1", 1, "c1", "reply", 9),
        (900_000_000, "deliver", "c1", 1, "n1"),
    ]
    texts = Texts()

    found = messages.excerpt(rows, make_plan(), [(800_000_000, 900_000_000)], texts)

    assert found["windows"] == [[900_000, 900_000]]
    (step,) = found["steps"]
    changes = [
        (found["fields"][field], texts.text(known)) for _, field, known in zip(*[iter(step[5])] * 3, strict=True)
    ]
    assert changes == [("state", "up"), ("role", "leader"), ("term", "4")]
    assert (found["messages"]["a"], found["messages"]["b"], found["messages"]["x"]) == ([2_000], [900_000], [-1])


def test_windows_that_touch_are_one_and_the_latest_stay_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "STEPS_MAX", 3)
    rows = [(at * 10, "vote", f"n{at}", "g0", at, "n1") for at in range(10)]

    joined = messages.windows([(50, 200), (0, 20), (15, 30)], 90)
    found = messages.excerpt(rows, make_plan(), joined, Texts())

    assert joined == [(0, 30), (50, 90)]
    assert [step[0] for step in found["steps"]] == [7, 8, 9]


def test_intervals_stand_in_the_order_of_calls_and_returns() -> None:
    write = {"process": 7, "call": 83, "ret": 153, "text": "write 7"}
    maybe = {"process": 6, "call": 60, "ret": None, "text": "write 10 -> ?"}
    read = {"process": 1, "call": 226, "ret": 260, "text": "read -> 7"}
    evidence = {
        "completing": read, "blocked": read, "minimal_history": [write, read], "helpers": [maybe],
        "between": [{"call": 83, "ret": 153, "states": ["7", "10"], "count": 12}],
    }  # fmt: skip

    figure = figures.intervals(evidence)

    assert figure is not None
    bars = {bar.text: bar for bar in figure.bars}
    assert {text: bar.role for text, bar in bars.items()} == {
        "write 10 -> ?": "helper", "write 7": "kept", "read -> 7": "blocked",
    }  # fmt: skip
    assert bars["write 10 -> ?"].x < bars["write 7"].x
    assert bars["write 7"].x + bars["write 7"].width < bars["read -> 7"].x
    assert bars["write 10 -> ?"].x + bars["write 10 -> ?"].width >= figure.blocked_x  # type: ignore[operator]
    assert [(one.number, one.text, one.states, one.more) for one in figure.moments] == [(1, "write 7", ("7", "10"), 10)]


def test_no_interval_hides_another() -> None:
    """What may have taken effect at any time lasts to the end, and later operations of its process overlap it."""
    spans = [(0, 10, None), (2, 20, None), (0, 30, None), (0, 40, 50), (0, 60, 70), (5, 80, 90)]
    operations = [{"process": at, "call": call, "ret": ret, "text": f"add {call}"} for at, call, ret in spans]

    figure = figures.intervals({"completing": operations[-1], "minimal_history": operations})

    assert figure is not None
    assert [name for name, _ in figure.lanes] == ["process 0", "", "", "process 2", "process 5"]
    assert {bar.text: bar.y for bar in figure.bars} == {
        "add 10": figure.lanes[0][1],
        "add 20": figure.lanes[3][1],
        "add 30": figure.lanes[1][1],
        "add 40": figure.lanes[2][1],
        "add 60": figure.lanes[2][1],
        "add 80": figure.lanes[4][1],
    }
    bottom = figure.lanes[-1][1]
    assert figure.height > bottom + 28


def test_a_cycle_has_a_node_for_each_transaction_and_an_edge_for_each_step() -> None:
    steps = [
        {"type": "wr", "source": "T1", "target": "T5", "because": "T5 read x = 1 of T1"},
        {"type": "rw", "source": "T5", "target": "T1", "because": "T5 did not see T1"},
    ]
    described = [{"name": "T1", "call": 1, "value": [["append", "x", 1]]}, {"name": "T5", "call": 5, "value": []}]

    figure = figures.circle({"cycle": ["T1", "T5"], "steps": steps, "transactions": described})

    assert figure is not None
    assert [(node.name, node.call, node.text) for node in figure.nodes] == [
        ("T1", 1, '[["append","x",1]]'),
        ("T5", 5, "[]"),
    ]
    assert [edge.type for edge in figure.edges] == ["wr", "rw"]
    assert figure.edges[0].path != figure.edges[1].path
    first, second = figure.edges
    assert abs(first.x - second.x) > 7.3 * (len(first.type) + len(second.type)) / 2, "the names lie apart"
    assert figures.circle({"group": "g0"}) is None


def test_a_run_without_trace_has_a_page_without_messages(tmp_path: Path) -> None:
    outcome = make_outcome(1, "unknown", history=(), rows=None)
    write_run(tmp_path, outcome)

    page = write_report(find("latest", tmp_path)).read_text()

    assert 'class="verdict unknown"' in page
    assert "The trace of this run was not kept" in page
    assert data_of(page)["excerpt"] is None


@pytest.mark.parametrize(
    "damage",
    [
        {"between": "x"},
        {"between": [{"call": 1, "ret": 2, "states": [], "count": []}]},
        {"states": ["x"]},
        {"states": 3},
        {"blocked": [1]},
        {"blocked": [1], "completing": None},
        {"starts": 5},
        {"completing": 7},
        {"minimal_history": [{"call": 3}]},
        {"minimal_history": [{"process": 1, "call": 3, "ret": 3}]},
        {"last_placed": []},
        {"steps": ["source target"]},
        {"steps": [{"source": 1, "target": 2}], "transactions": [3], "cycle": 4},
        [],
        "x",
    ],
)
def test_damaged_evidence_is_not_drawn(tmp_path: Path, damage: Any) -> None:
    outcome = make_outcome(1, "invalid", "linearizability/nonlinearizable/cas-register/read")
    read = {"process": 1, "call": 1, "ret": 2, "text": "read -> 1"}
    whole = {"completing": read, "minimal_history": [read], "blocked": read, "states": [], "between": []}
    evidence = {**whole, **damage} if isinstance(damage, dict) else damage
    anomalies = tuple(msgspec.structs.replace(one, evidence=evidence) for one in outcome.anomalies)
    drawn = tuple(msgspec.structs.replace(one, evidence=whole) for one in outcome.anomalies)
    record = run_record(outcome)

    pages = [
        render(
            Subject(
                plan=outcome.plan,
                record=msgspec.structs.replace(record, anomalies=shown),
                history=outcome.history,
                rows=None,
                commands=(),
            )
        )
        for shown in (anomalies, drawn)
    ]

    assert ["<figure class=" in page for page in pages] == [False, True]
    assert all("what is wrong: linearizability" in page for page in pages)
    if isinstance(damage, dict):  # what it says is shown, though no picture is drawn
        assert all(f"<dt>{name}</dt>" in pages[0] for name in evidence)
        assert "<dt>minimal_history</dt>" not in pages[1]


def test_a_hostile_history_stays_text(tmp_path: Path) -> None:
    page = write_report(hostile_run(tmp_path)).read_text()
    tags = Tags(page)

    assert [tag for tag, _ in tags.found].count("script") == 2
    assert not any(tag == "img" for tag, _ in tags.found)
    assert "<script>document" not in page
    assert "\u202e" not in page
    assert "\u2028" not in page
    assert len(page) < 120_000
    assert any("characters)" in text for text in data_of(page)["texts"])


def test_a_history_of_broken_text_is_refused_in_one_line(tmp_path: Path) -> None:
    stored = hostile_run(tmp_path)
    assert stored.folder is not None
    path = stored.folder / "history.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"write"', b'"wr\xff\xfe"'))

    with pytest.raises(BadInput, match=r"history.jsonl:3"):
        write_report(stored)


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "unheard-of"},
        {"kind": []},
        {"time": "n1"},
        {"time": [None]},
        {"time": 1.5},
        {"actor": 7},
        {"group": None, "role": [], "actor": []},
    ],
)
def test_a_damaged_trace_is_refused_in_one_line(tmp_path: Path, event: dict[str, Any]) -> None:
    stored = hostile_run(tmp_path)
    assert stored.folder is not None
    whole = {"index": 0, "time": 1, "actor": "n1", "kind": "role", "group": "g0", "role": "leader", "term": 1}
    (stored.folder / "trace.jsonl").write_text(json.dumps(whole | event) + "\n")

    with pytest.raises(BadInput, match="damaged trace"):
        write_report(stored)


def test_a_damaged_compressed_trace_is_refused_in_one_line(tmp_path: Path) -> None:
    stored = hostile_run(tmp_path)
    assert stored.folder is not None
    (stored.folder / "trace.jsonl").unlink(missing_ok=True)
    damaged = bytearray(gzip.compress(encode_trace([(1, "role", "n1", "g0", "leader", 1)] * 20)))
    damaged[40] ^= 0xFF
    (stored.folder / "trace.jsonl.gz").write_bytes(damaged)

    with pytest.raises(BadInput, match="damaged trace"):
        write_report(stored)


def test_a_plan_file_has_no_page(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(make_plan().to_json())

    with pytest.raises(BadInput, match="a stored run, which has a history"):
        write_report(find(str(path), tmp_path))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x00b", "a\\u{0}b"), ("\u202eabc", "\\u{202e}abc"), ("\ud800", "\\u{d800}"), ("tab\tline\n", "tab\tline\n")],
)
def test_what_deceives_the_eye_is_written_as_its_number(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_long_values_are_cut_and_say_so() -> None:
    assert value_text("x" * 5_000) == '"' + "x" * 139 + "... (5,002 characters)"
    assert value_text({"a": (1, 2)}) == '{"a":[1,2]}'


def test_no_character_of_data_can_end_a_script() -> None:
    written = as_script_data({"<!--": "</script>&\u2028"})

    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == {"<!--": "</script>&\u2028"}


def test_a_run_of_five_thousand_operations_is_below_a_megabyte() -> None:
    ops: list[Op] = []
    for number in range(5_000):
        thread, at = number % 8, number * 1_000_000
        kind = "read" if number % 3 else "write"
        asked = None if number % 3 else number * 1_000_003
        ops.append(
            Op(index=2 * number, time=at, process=thread, type="invoke", f=kind, key=f"k{number % 9}", value=asked)
        )
        answer = number * 999_983
        ops.append(
            Op(
                index=2 * number + 1,
                time=at + 900_000,
                process=thread,
                type="ok",
                f=kind,
                key=f"k{number % 9}",
                value=answer,
            )
        )
    rows: list[Any] = []
    for number in range(15_000):
        at = number * 300_000
        rows.append((at, "send", "n1", number, f"n{number % 3}", "append", 100))
        rows.append((at + 100_000, "deliver", f"n{number % 3}", number, "n1"))
        rows.append((at + 100_000, "commit", f"n{number % 3}", "g0", number))
    outcome = make_outcome(1, "invalid", "raft/made/up", history=tuple(ops), rows=rows)
    subject = Subject(
        plan=outcome.plan, record=run_record(outcome, run="r", path="r"), history=ops, rows=rows, commands=()
    )

    page = render(subject)

    assert len(data_of(page)["ops"]["a"]) == 5_000
    assert len(page) < 1_000_000


@given(st.lists(st.tuples(*[st.integers(-(2**40), 2**40)] * 7), max_size=30))
def test_packing_can_be_undone_for_any_integers(rows: list[tuple[int, ...]]) -> None:
    columns = {name: [row[place] for row in rows] for place, name in enumerate("abijxys")}
    steps = [list(row) for row in rows]

    short, short_steps = packed(columns), packed_steps(steps)
    unpack(short)

    assert short == columns
    assert [step[2:] for step in short_steps] == [step[2:] for step in steps]
    for place in (0, 1):
        assert list(accumulate(step[place] for step in short_steps)) == [step[place] for step in steps]


def test_clocks_are_where_rates_steps_and_stops_put_them() -> None:
    """n1 is 1 % fast, then for a second twice as fast; n2 stands still for a second; n3's wall clock steps."""
    plan = make_plan(
        actors={name: plans.Actor(kind="node") for name in ("n1", "n2", "n3", "n4")}
        | {"c1": plans.Actor(kind="client")},
        clocks=plans.Clocks(actors={"n1": plans.ClockSpec(rate_ppm=1_010_000, wall_offset_ns=5_000_000)}),
        faults=(Pause(id="p", begin_ns=0, end_ns=1, targets=("n2",), clock="stops"),),
    )
    second = 1_000_000_000
    rows = [
        (1 * second, "clock", "n1", "rate", 2_000_000),
        (1 * second, "fault-begin", "", "p", "pause", ("n2",)),
        (2 * second, "clock", "n1", "rate", 1_000_000),
        (2 * second, "fault-end", "", "p", "pause", "effective"),
        (3 * second, "clock", "n3", "step", -7_000_000),
    ]

    fast, stopped, stepped = clock_tracks(plan, rows, 4 * second)

    assert (fast.actor, stopped.actor, stepped.actor) == ("n1", "n2", "n3")
    assert fast.drift == [0, 0, 1_000_000, 10_000, 2_000_000, 1_010_000, 4_000_000, 1_010_000]
    assert fast.wall[:4] == [0, 5_000, 1_000_000, 15_000]
    assert stopped.drift == [0, 0, 1_000_000, 0, 2_000_000, -1_000_000, 4_000_000, -1_000_000]
    assert stepped.drift[1::2] == [0] * 4
    assert stepped.wall == [0, 0, 3_000_000, 0, 3_000_000, -7_000, 4_000_000, -7_000]
