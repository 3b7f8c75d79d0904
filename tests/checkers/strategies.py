"""Hypothesis strategies for small histories: any overlap, any answer, true or not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from checkers.history import INF, Operation

Answer = tuple[str, Any, str, Any, Any]
"""(f, value, type, result, error)"""


def _small(low: int = 0, high: int = 2) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def _ok(f: str, value: st.SearchStrategy[Any], result: st.SearchStrategy[Any]) -> st.SearchStrategy[Answer]:
    return st.tuples(st.just(f), value, st.just("ok"), result, st.none())


def _no(f: str, value: st.SearchStrategy[Any], word: str) -> st.SearchStrategy[Answer]:
    return st.tuples(st.just(f), value, st.just("fail"), st.none(), st.just(word))


def _crashed(f: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Answer]:
    return st.tuples(st.just(f), value, st.just("info"), st.none(), st.none())


_null = st.none()
_value = _small()
_pair = st.tuples(_small(), _small())
_list = st.lists(_small(), max_size=3).map(tuple)
_delta = _small(-2, 2)
_either = st.one_of(_null, _value)

ANSWERS: dict[str, st.SearchStrategy[Answer]] = {
    "cas-register": st.one_of(
        _ok("read", _null, _either),
        _ok("write", _value, _null),
        _crashed("write", _value),
        _ok("cas", _pair, _null),
        _no("cas", _pair, "precondition-failed"),
        _crashed("cas", _pair),
    ),
    "counter": st.one_of(
        _ok("read", _null, _small(-3, 3)),
        _ok("add", _delta, _null),
        _crashed("add", _delta),
        st.tuples(_delta, _small(-3, 3)).map(lambda pair: ("add-and-get", pair[0], "ok", pair, None)),
        _crashed("add-and-get", _delta),
        _ok("set", _value, _null),
        _crashed("cas", _pair),
        _no("cas", _pair, "precondition-failed"),
    ),
    "map": st.one_of(
        _ok("read", _null, _either),
        _ok("write", _value, _null),
        _crashed("write", _value),
        _ok("put-if-absent", _value, _null),
        _no("put-if-absent", _value, "exists"),
        _crashed("put-if-absent", _value),
        _ok("replace", _value, _value),
        _no("replace", _value, "absent"),
        _crashed("replace", _value),
        _ok("remove", _null, _either),
        _crashed("remove", _null),
        _no("cas", _pair, "precondition-failed"),
        _ok("size", _null, _small(0, 1)),
    ),
    "set": st.one_of(_ok("read", _null, _list), _ok("add", _value, _null), _crashed("add", _value)),
    "queue": st.one_of(
        _ok("enqueue", _value, _null),
        _crashed("enqueue", _value),
        _ok("dequeue", _null, _value),
        _no("dequeue", _null, "empty"),
        _crashed("dequeue", _null),
    ),
    "list": st.one_of(_ok("read", _null, _list), _ok("append", _value, _null), _crashed("append", _value)),
    "mutex": st.one_of(
        _ok("acquire", _null, _null),
        _no("acquire", _null, "held"),
        _crashed("acquire", _null),
        _ok("release", _null, _null),
        _no("release", _null, "absent"),
        _crashed("release", _null),
    ),
    "owned-mutex": st.one_of(
        _ok("acquire", _null, _null),
        _no("acquire", _null, "held"),
        _ok("release", _null, _null),
        _no("release", _null, "absent"),
        _crashed("acquire", _null),
        _crashed("release", _null),
    ),
}


@st.composite
def operations(draw: st.DrawFn, model: str, *, count: int = 6) -> list[Operation]:
    """Draw a few operations that overlap in any way. Their instants are unique, as lines are."""
    answers = draw(st.lists(ANSWERS[model], min_size=1, max_size=count))
    instants = draw(st.permutations(range(2 * len(answers))))
    found = []
    for number, (f, value, kind, result, error) in enumerate(answers):
        call, ret = sorted(instants[2 * number : 2 * number + 2])
        process = number if model != "owned-mutex" else number % 2
        ret = INF if kind == "info" else ret
        found.append(Operation(process, f, None, value, result, kind, error, call, ret))  # type: ignore[arg-type]
    return sorted(found, key=lambda operation: operation.call)
