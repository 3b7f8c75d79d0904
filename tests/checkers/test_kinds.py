"""Values that Python takes for one, and that were two: refused, wherever they meet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkers import History, MalformedHistory, Model, admission, check, check_file
from checkers.json_lines import read_lines
from checkers.kinds import Watch
from checkers.models import maps
from checkers.op import Op
from checkers.streaming import StreamingChecker

REFUSED = "which would compare as equal"


def lines(*done: tuple[str, Any, Any, Any]) -> bytes:
    """Each operation (f, key, asked, told) after the other."""
    rows = []
    for process, (f, key, asked, told) in enumerate(done):
        named = {"process": process, "f": f} | ({} if key is None else {"key": key})
        rows += [named | {"type": "invoke", "value": asked}, named | {"type": "ok", "value": told}]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def ops(text: bytes) -> list[Op]:
    return list(History.from_jsonl(text))


CONFUSED = [
    ("register", [("write", None, 1, 1), ("read", None, None, True)]),
    ("register", [("write", None, True, True), ("read", None, None, 1)]),
    ("register", [("write", None, 0.0, 0.0), ("read", None, None, False)]),
    ("register", [("write", None, [1, "a"], None), ("read", None, None, [True, "a"])]),
    ("register", [("write", None, {"a": 1}, None), ("read", None, None, {"a": True})]),
    ("cas-register", [("write", None, 0, 0), ("cas", None, [False, 3], [False, 3])]),
    ("map", [("write", True, 5, 5), ("read", 1, None, 5)]),
    ("map", [("write", "x", 1, 1), ("replace", "x", 2, True)]),
    ("mutex", [("acquire", True, None, None), ("release", 1, None, None)]),  # two locks
    ("set", [("add", None, 1, 1), ("read", None, None, [True])]),
    ("queue", [("enqueue", None, 1, 1), ("dequeue", None, None, True)]),
    ("list", [("append", None, 0, 0), ("read", None, None, [False])]),
    (
        "rw-register",
        [("txn", None, [["w", "x", 1]], [["w", "x", 1]]), ("txn", None, [["r", "x", None]], [["r", "x", True]])],
    ),
    (
        "list-append",
        [
            ("txn", None, [["append", "x", 1]], [["append", "x", 1]]),
            ("txn", None, [["r", "x", None]], [["r", "x", [True]]]),
        ],
    ),
]
KEPT_APART = [
    ("register", [("write", None, 1, True), ("read", None, None, 1)]),  # acknowledged by true
    ("register", [("write", None, True, None), ("read", None, None, True)]),
    ("register", [("write", None, [1, True], None), ("read", None, None, [1, True])]),
    ("register", [("write", None, 1, 1), ("read", None, None, 1.0)]),  # JSON has one kind of number
    ("map", [("write", 1, True, True), ("read", 1, None, True)]),  # a key and a value
    ("map", [("write", "x", True, True), ("size", None, None, 1)]),
    ("set", [("add", None, 1, True), ("read", None, None, [1])]),
    ("mutex", [("acquire", None, None, 1), ("release", None, None, True)]),  # a fencing token
    ("mutex", [("acquire", "a", 1, True), ("release", "a", True, 1)]),
    ("owned-mutex", [("acquire", None, None, 1), ("acquire", "b", 1, True)]),
    (
        "rw-register",
        [("txn", None, [["w", 1, True]], [["w", 1, True]]), ("txn", None, [["r", 1, None]], [["r", 1, True]])],
    ),
]


@pytest.mark.parametrize(("model", "done"), CONFUSED)
def test_true_is_not_taken_for_1(model: str, done: list[Any]) -> None:
    with pytest.raises(MalformedHistory, match=REFUSED) as refused:
        check_file(lines(*done), model, source="h")

    assert refused.value.where in ("h:3", "h:4")  # where the second one was asked or told


@pytest.mark.parametrize("where", ["asked", "told", "key"])
def test_long_histories_are_refused_as_short_ones(where: str) -> None:
    """They would be judged from columns."""
    last = {"asked": ("write", "x", True, True), "told": ("read", "x", None, True), "key": ("write", True, 5, 5)}[where]
    text = lines(("write", "x", 1, 1), ("write", 1, 4, 4), *(("write", n, n, n) for n in range(10, 3_000)), last)

    for judge in (lambda: check_file(text, "map"), lambda: check(ops(text), "map")):
        with pytest.raises(MalformedHistory, match=REFUSED):
            judge()


@pytest.mark.parametrize(("model", "done"), KEPT_APART)
def test_what_a_model_never_compares_may_be_of_any_kind(model: str, done: list[Any]) -> None:
    assert check(ops(lines(*done)), model).validity == "valid"


@pytest.mark.parametrize(
    ("model", "done", "is_refused"),
    [(*case, cases is CONFUSED) for cases in (CONFUSED, KEPT_APART) for case in cases],
)
def test_a_stream_refuses_what_a_whole_history_is_refused_for(model: str, done: list[Any], is_refused: bool) -> None:
    stream = StreamingChecker(model)

    def feed() -> str:
        for op in ops(lines(*done)):
            stream.feed(op)
        return stream.finish().validity

    if is_refused:
        with pytest.raises(MalformedHistory, match=REFUSED):
            feed()
    else:
        assert feed() == "valid"


@pytest.mark.parametrize(
    ("model", "initial", "done"),
    [
        ("register", 1, ("read", None, None, True)),
        ("register", True, ("read", None, None, 1)),
        ("map", [[True, 5]], ("read", 1, None, 5)),
        ("map", [["x", True]], ("read", "x", None, 1)),
        ("set", [True], ("read", None, None, [1])),
        ("list-append", {"x": [True]}, ("txn", None, [["r", "x", None]], [["r", "x", [1]]])),
    ],
)
def test_an_initial_state_has_its_kind_too(model: str, initial: Any, done: tuple[str, Any, Any, Any]) -> None:
    with pytest.raises(MalformedHistory, match=REFUSED):
        check(ops(lines(done)), model, initial=initial)
    stream = StreamingChecker(model, initial=initial)
    invoke, completion = ops(lines(done))
    stream.feed(invoke)
    with pytest.raises(MalformedHistory, match=REFUSED):
        stream.feed(completion)


def test_a_stream_watches_kinds_itself_and_asks_each_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long initial state was read anew for every operation, twice."""
    calls: list[str] = []
    monkeypatch.setattr(admission, "require_one_kind", lambda *_: calls.append("kinds"))
    monkeypatch.setattr(maps, "require_keys_of_their_type", lambda _, keys: calls.extend(map(repr, keys)))
    stream = StreamingChecker("map", initial={str(key): key for key in range(300)})

    for op in ops(lines(*[("write", key, 1, 1) for key in ("1", "2", "1", 7.0, 7, "2", 7)])):
        stream.feed(op)

    assert stream.finish().validity == "valid"
    assert calls == ["'1'", "'2'", "7.0", "7"]


@pytest.mark.parametrize(
    ("model", "f", "value"),
    [
        *((model, "cas", value) for model in ("cas-register", "map") for value in (5, None, True)),
        *((model, "txn", value) for model in ("list-append", "rw-register") for value in ([1], [[1], 2], [["r", 1]])),
    ],
)
def test_a_stream_refuses_a_value_of_another_shape_as_a_whole_history_does(model: str, f: str, value: Any) -> None:
    """Its parts were looked at before its shape: an error of ours."""
    text = lines((f, "x" if model == "map" else None, value, value))

    with pytest.raises(MalformedHistory, match=f"found {f}"):
        feed_all(StreamingChecker(model), text)
    with pytest.raises(MalformedHistory, match=f"found {f}"):
        check_file(text, model)


def test_what_is_left_out_meets_nothing() -> None:
    """Of an answer to another request nothing is judged, in a stream as in a whole history."""
    text = lines(("write", None, True, 2), ("write", None, 1, 1), ("read", None, None, 1))
    stream = StreamingChecker("register", mismatched="anomaly")
    feed_all(stream, text)
    whole = check_file(text, "register", mismatched="anomaly")

    assert [anomaly.kind for anomaly in stream.finish().anomalies] == ["mismatched-completion"]
    assert [anomaly.kind for anomaly in whole.anomalies] == ["mismatched-completion"]


def test_a_stream_too_refuses_an_initial_state_whose_text_names_no_number() -> None:
    stream = StreamingChecker("map", initial={"1": 5})
    invoke, _ = ops(lines(("read", 1, None, 5)))

    with pytest.raises(MalformedHistory, match=r"pairs, such as \[\[1, 5\]\]"):
        stream.feed(invoke)


EDN = "{:process 0, :type :invoke, :f :write, :value %s}\n{:process 0, :type :ok, :f :write, :value %s}\n"
READ = "{:process 1, :type :invoke, :f :read, :value nil}\n{:process 1, :type :ok, :f :read, :value %s}\n"


def in_edn(written: str, read: str, before: str = "") -> bytes:
    return (before + EDN % (written, written) + READ % read).encode()


@pytest.mark.parametrize(
    ("written", "read", "found"),
    [
        ("1.0", "1", REFUSED),
        ("true", "1", REFUSED),
        ("[1 2.0]", "[1 2]", REFUSED),
        ("##NaN", "##NaN", "##NaN in a value"),
        ("##Inf", "##Inf", "##Inf in a value"),
        ("1e400", "1e401", "the number inf"),
        ("010", "10", "'010' in a value"),
        ("0x10", "16", "'0x10' in a value"),
        ("^{:a 1} [1]", "^{:b 1} [2]", r"'\^' in a value"),
        ("@a", "a", "'@a' in a value"),
        ("'a", "a", '"\'a" in a value'),
        (r'"\ud83d"', r'"\ud83d"', "half of a character"),
        ("#a [1]", "#b [1]", "#b before a value, and #a before another"),
    ],
)
@pytest.mark.parametrize("before", ["", "".join(EDN % (n, n) for n in range(100, 3_000))])
def test_edn_refuses_values_that_are_not_what_they_would_be_taken_for(
    written: str, read: str, found: str, before: str
) -> None:
    with pytest.raises(MalformedHistory, match=found):
        check_file(in_edn(written, read, before), "register")


@pytest.mark.parametrize(
    ("written", "read", "validity"),
    [
        ("#foo 1", "#foo 1", "valid"),
        ("#foo 1", "#bar 1", "invalid"),
        ("#foo 1", "1", "invalid"),
        ('#inst "2020"', '"2020"', "invalid"),
        ("#r {:a 1}", "#r {:a 1}", "valid"),
        ("#r {:a 1}", "#s {:a 1}", "invalid"),
        ("#r {:a 1}", "{:a 1}", "invalid"),
        (r'"\ud83d\ude00"', '"\U0001f600"', "valid"),
        ("1N", "1", "valid"),
        ("1.5", "1.5", "valid"),
        ("a/b", "a/b", "valid"),
        ("-", "-", "valid"),
    ],
)
def test_edn_keeps_apart_what_its_source_kept_apart(written: str, read: str, validity: str) -> None:
    assert check_file(in_edn(written, read), "register").validity == validity


def test_fields_that_no_model_looks_at_may_hold_anything_of_clojure() -> None:
    text = in_edn("1", "1").replace(b":value 1}", b':value 1, :error #object[Foo 0x5f "Foo@5f"]}')

    assert check_file(text, "register").validity == "valid"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, float("nan")], {"a": float("-inf")}])
@pytest.mark.parametrize("completed", [True, False])
def test_a_number_that_json_has_not_is_refused_with_its_place(value: Any, completed: bool) -> None:
    found = [Op(index=0, time=0, process=0, type="invoke", f="write", value=value)]
    if completed:
        found.append(Op(index=1, time=0, process=0, type="ok", f="write", value=value))

    with pytest.raises(MalformedHistory, match="a finite number") as refused:
        History(found, source="h")

    assert refused.value.where == f"h: op {len(found) - 1}"


@pytest.mark.parametrize("depth", [101, 450, 900])
@pytest.mark.parametrize("model", ["register", "own"])
def test_a_value_that_is_nested_too_deep_is_refused_with_its_line(depth: int, model: str) -> None:
    """Deep ones exhausted the stack where values are compared or shown."""
    own = Model(name="own", init=0, step=lambda state, operation: operation.value or state)
    deep = lines(("write", None, 1, 1), ("write", None, json.loads("[" * depth + "]" * depth), None))

    with pytest.raises(MalformedHistory, match="nested") as refused:
        check_file(deep, own if model == "own" else model, source="h")
    assert refused.value.where == "h:4"

    stream = StreamingChecker(own if model == "own" else model)
    with pytest.raises(MalformedHistory, match="nested"):
        feed_all(stream, deep)


@pytest.mark.parametrize("model", ["cas-register", "list-append"])
def test_a_deep_value_of_another_shape_is_refused_too(model: str) -> None:
    """To say what was found exhausted the stack."""
    f = "cas" if model == "cas-register" else "txn"
    deep = lines((f, None, json.loads("[" * 900 + "]" * 900), None))

    for judge in (lambda: check_file(deep, model), lambda: feed_all(StreamingChecker(model), deep)):
        with pytest.raises(MalformedHistory):
            judge()


def test_plain_values_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    is_odd = Watch.is_odd
    monkeypatch.setattr(Watch, "is_odd", lambda watch, o, where: looked.append(o.value) or is_odd(watch, o, where))

    check(ops(lines(("write", "x", 1, None), ("write", "y", "one", None), ("write", "z", [3], None))), "map")

    assert looked == [(3,)]


def feed_all(stream: StreamingChecker, text: bytes) -> None:
    for number, op in read_lines(text.splitlines(), source="h"):
        stream.feed(op, f"h:{number}")


def test_a_value_as_deep_as_edn_may_be_is_judged() -> None:
    value = json.loads("[" * 100 + "]" * 100)
    assert check_file(lines(("write", None, value, None), ("read", None, None, value)), "register").validity == "valid"
