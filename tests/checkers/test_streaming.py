"""The streaming checker says what the whole-history checker says, and holds no more than a window."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from benchmarks import histories
from checkers import History, MalformedHistory, Op, check, streaming
from checkers.linearizability.search import beam
from checkers.streaming import StreamingChecker
from tests.checkers import engine_agreement
from tests.checkers.mini import ops
from tests.checkers.objects import OBJECTS, damaged, record

STREAMED = ["cas-register", "counter", "map-by-key", "set", "queue", "mutex"]


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("encoding_limit", [4096, 3])
def test_a_stream_gets_the_verdict_of_the_whole_history(
    name: str, encoding_limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a small encoding limit everything is forgotten and made anew all the time."""
    monkeypatch.setattr(streaming, "ENCODING_LIMIT", encoding_limit)
    for seed in range(60):
        rng = random.Random(seed)
        lines = record(rng, name, count=25, processes=4, values=3, crash=0.05, void=0.05)
        for _ in range(seed % 3):
            lines = damaged(rng, lines, 3)
        model = OBJECTS[name][0]
        checker = StreamingChecker(model, independent=True)

        found = [anomaly for op in lines for anomaly in checker.feed(op)]
        verdict = checker.finish()
        whole = check(History(lines), model, explain=False)

        assert verdict.validity == whole.validity
        assert list(verdict.anomalies[: len(found)]) == found
        assert {a.evidence["key"] for a in verdict.anomalies} == {a.evidence["key"] for a in whole.anomalies}


@pytest.mark.parametrize(
    ("text", "validity"),
    [
        ("0:k5 0' 0:r 0'5", "valid"),
        ("0:k5 1:r 0' 1!absent 2:r 2'5", "valid"),
        ("0:k5 0' 1:r 1!absent", "invalid"),
        ("0:k5 0? 1:r 1'5 2:r 2!absent", "invalid"),
    ],
)
def test_a_counter_that_is_created_first_begins_as_missing(text: str, validity: str) -> None:
    checker = StreamingChecker("counter")
    for op in ops(text):
        checker.feed(op)

    assert checker.finish().validity == check(History(ops(text)), "counter").validity == validity


@pytest.mark.parametrize("text", ["0:r 0!absent 0:k5 0'", "0:r 0'0 0:k5 0'", "0:r 1:k5 0!absent 1'"])
def test_a_counter_that_is_created_later_is_refused(text: str) -> None:
    """The whole history begins as missing: what was said of a counter that begins at 0 would be wrong."""
    checker = StreamingChecker("counter")

    with pytest.raises(MalformedHistory, match=r"^op \d: found .* first of all"):
        list(map(checker.feed, ops(text)))


@given(st.sampled_from(STREAMED), st.integers(0, 1 << 32), st.integers(1, 25), st.sampled_from((4, 8, 16)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_stream_that_forgets_agrees_with_the_whole_history(name: str, seed: int, count: int, kept: int) -> None:
    """A complete frontier stands for what was forgotten, so the verdict is that of all, for each object."""
    try:
        assert engine_agreement.stream_disagreement(name, seed, count, kept) is None
    except engine_agreement.GaveUp:
        reject()


@pytest.mark.parametrize("name", STREAMED)
def test_a_beam_is_never_wrong_but_may_not_know(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps next to nothing, and no complete frontier; where it knows, it says what the whole history says."""
    monkeypatch.setattr(streaming, "KEPT", 4)
    monkeypatch.setattr(streaming, "KEPT_AT_LEAST", 4)
    monkeypatch.setattr(beam, "STRIDE", 2)
    monkeypatch.setattr(beam, "SETTLE_STEPS", 1)
    monkeypatch.setattr(beam, "WIDEST", 1)
    known = 0
    for seed in range(60):
        rng = random.Random(seed)
        lines = record(rng, name, count=25, processes=4, values=3, crash=0.05, void=0.05)
        for _ in range(seed % 3):
            lines = damaged(rng, lines, 3)
        checker = StreamingChecker(OBJECTS[name][0], independent=True)
        for op in lines:
            checker.feed(op)
        verdict = checker.finish()

        if verdict.validity != "unknown":
            assert verdict.validity == check(History(lines), OBJECTS[name][0], explain=False).validity
            known += 1
    assert known > 15


def with_timeouts(history: History, after: int = 30) -> list[Op]:
    """Give each operation that never returns an info line, some lines after its call."""
    completed = {op.process for op in history if op.type != "invoke"}
    placed = [(float(place), op) for place, op in enumerate(history)]
    placed += [
        (place + after + 0.5, msgspec.structs.replace(op, type="info"))
        for place, op in enumerate(history)
        if op.process not in completed
    ]
    placed.sort(key=lambda pair: pair[0])
    return [msgspec.structs.replace(op, index=index, time=index) for index, (_, op) in enumerate(placed)]


def test_a_long_history_of_few_values_and_crashes_ends() -> None:
    """What pending and crashed operations may have done is too much to keep, and not needed to find an order."""
    made = histories.record(histories.Registers((4, 2, 4), values=5), 1_500, concurrency=10, crashed=0.02)
    checker = StreamingChecker("cas-register")
    for op in with_timeouts(made.history()):
        checker.feed(op)

    verdict = checker.finish()

    assert checker.waiting == 0
    assert verdict.validity == "valid"
    assert verdict.details["states"] < streaming.STATE_LIMIT


def test_a_stream_ends_at_its_limit_of_memory() -> None:
    calls = " ".join(f"{process}:e{process}" for process in range(9))
    returns = " ".join(f"{process}'" for process in range(9))
    checker = StreamingChecker("queue", memory_limit_bytes=1)

    for op in ops(f"{calls} {returns} 9:d 9'77"):
        checker.feed(op)
    verdict = checker.finish()

    assert checker.is_out_of_limits
    assert (verdict.validity, verdict.machine_dependent) == ("unknown", True)


def test_a_violation_is_told_with_the_line_that_makes_it_certain() -> None:
    checker = StreamingChecker("register")
    told = {op.index: [anomaly.index for anomaly in checker.feed(op)] for op in ops("0:w1 0' 0:w2 1:r 1'2 1:r 1'1 0'")}

    assert told == {0: [], 1: [], 2: [], 3: [], 4: [], 5: [], 6: [], 7: [6]}
    anomaly = checker.finish().anomalies[0]
    assert anomaly.signature == "linearizability/nonlinearizable/register/read"
    assert (anomaly.evidence["cut"], anomaly.evidence["cut_states"]) == (1, ["1"])
    assert [row["text"] for row in anomaly.evidence["window"]] == ["write 2", "read -> 2", "read -> 1"]
    assert anomaly.message.startswith("process 1 read 1 after process 1 had read 2, which was written later.\n")


def test_a_sentence_says_nothing_of_what_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stream has forgotten may have written the value; so only the state that was possible is told."""
    monkeypatch.setattr(streaming, "KEPT", 8)
    monkeypatch.setattr(streaming, "KEPT_AT_LEAST", 8)
    monkeypatch.setattr(beam, "STRIDE", 2)
    checker = StreamingChecker("register")
    written = " ".join(f"0:w{number} 0'" for number in range(1, 30))

    found = [anomaly for op in ops(f"{written} 0:r 0'1") for anomaly in checker.feed(op)]

    assert [anomaly.index for anomaly in found] == [59]
    assert found[0].message.startswith("read -> 1 of process 0 is impossible: by then the state could only be 29.")


def test_a_stream_may_go_back_behind_what_crashed_long_ago() -> None:
    """One flipped cas among few values and crashed operations: the whole history takes half a second."""
    made = histories.record(histories.Registers((5, 1, 4), values=5), 10_000, concurrency=10, crashed=0.01, seed=7)
    histories.flip_failed_cas(made, random.Random(7))
    checker = StreamingChecker("cas-register")

    for op in with_timeouts(made.history()):
        checker.feed(op)
        assert len(checker._objects[None].beam.events) <= streaming.KEPT
    verdict = checker.finish()

    assert verdict.validity == "valid"
    assert verdict.steps < 400_000


def test_memory_is_bounded_by_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty-five thousand writes of as many values: what is held does not grow with them."""
    monkeypatch.setattr(streaming, "KEPT", 1_000)
    checker = StreamingChecker("register")
    index, waiting, size = 0, 0, 0
    for number in range(25_000):
        process = number % 3
        for kind in ("invoke", "ok"):
            checker.feed(Op(index=index, time=index, process=process, type=kind, f="write", value=number))  # type: ignore[arg-type]
            index += 1
        waiting = max(waiting, checker.waiting)
        thing = checker._objects[None]
        size = max(size, len(thing.encoding.states) + len(thing.encoding.sorts) + len(thing.beam.events))

    assert checker.finish().validity == "valid"
    assert waiting <= 2
    assert size <= 1_000 + 4 * streaming.ENCODING_LIMIT


def test_an_operation_without_answer_holds_the_stream_back_until_it_is_known_lost() -> None:
    checker = StreamingChecker("register")
    for op in ops("0:w1 1:w2 1' 2:r 2'7 2:r 2'1"):
        assert checker.feed(op) == []

    assert checker.waiting > 0
    assert checker.finish().validity == "invalid"


def test_an_object_that_outgrows_its_limit_is_unknown_and_others_go_on() -> None:
    """Eight concurrent enqueues have 40,320 orders; to refute them all a complete frontier has to hold them."""
    calls = " ".join(f"{process}:x.e{process}" for process in range(8))
    returns = " ".join(f"{process}'" for process in range(8))
    checker = StreamingChecker("queue", state_limit=1000)

    for op in ops(f"{calls} {returns} 8:x.d 8'77 9:y.e1 9' 9:y.d 9'1"):
        checker.feed(op)
    unknown = checker.finish()
    for op in ops(f"{calls} {returns} 8:x.d 8'77 9:y.e1 9' 9:y.d 9'2"):
        checker.feed(msgspec.structs.replace(op, index=op.index + 1000))

    assert unknown.validity == "unknown"
    assert "state limit of 1000 reached" in unknown.reason
    assert unknown.reason.endswith('(key "x")')
    assert checker.finish().validity == "invalid"


@pytest.mark.parametrize(
    ("kinds", "message"),
    [(["ok"], "a completion \\(ok\\) of process 0 without invoke"), (["invoke", "invoke"], "no completion")],
)
def test_a_malformed_stream_is_refused(kinds: list[Any], message: str) -> None:
    checker = StreamingChecker("register")
    lines = [Op(index=index, time=0, process=0, type=kind, f="read") for index, kind in enumerate(kinds)]

    for op in lines[:-1]:
        checker.feed(op)

    with pytest.raises(MalformedHistory, match=message):
        checker.feed(lines[-1])


def test_what_waits_for_the_end_is_taken_in_order_at_once() -> None:
    """The first operation never returns, so all others wait until it is known lost; they are not searched through."""
    checker = StreamingChecker("register")
    for op in ops("9:w9"):
        checker.feed(op)
    for index in range(1, 40_001):
        kind: Any = "ok" if index % 2 == 0 else "invoke"
        checker.feed(Op(index=index, time=index, process=0, type=kind, f="write", value=(index + 1) // 2))
    waited = checker.waiting

    verdict = checker.finish()

    assert waited >= 20_000
    assert (verdict.validity, checker.waiting) == ("valid", 0)
