"""A JSON object with a member twice is refused by every reader of histories, with its line; others are read."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, Verdict, check, columns
from checkers.importers import load
from checkers.json_lines import read_lines
from checkers.linearizability.result import Limits
from checkers.members import require_single_line, require_single_value

WROTE = [
    {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "value": 1},
    {"index": 1, "time": 1, "process": 0, "type": "ok", "f": "write", "value": 1},
    {"index": 2, "time": 2, "process": 0, "type": "invoke", "f": "read"},
]
READ: dict[str, Any] = {"index": 3, "time": 3, "process": 0, "type": "ok", "f": "read", "value": 1}

names = (
    st.sampled_from(("value", "key", "error", "a", ":", '"value":', "", "é", "a\nb", "\\", "valu\u0065")) | st.text()
)
scalars = st.none() | st.booleans() | st.integers() | st.sampled_from(('"value":1,"value":2', "key:1", "a : b", "{}"))
values = st.recursive(
    scalars | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
blanks = st.sampled_from(("", " ", "\t", "  "))


def spelled(draw: st.DrawFn, text: str) -> str:
    """A text of JSON, each letter as it is or escaped."""
    if draw(st.booleans()):
        return json.dumps(text, ensure_ascii=draw(st.booleans()))
    code = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{code[at : at + 2].hex()}" for at in range(0, len(code), 2)) + '"'


def written(draw: st.DrawFn, value: Any, doubled: list[Any]) -> str:
    """JSON of a value, of which the objects that are in `doubled`, by identity, have a member twice."""
    blank = draw(blanks)
    if isinstance(value, list):
        return "[" + f"{blank},".join(written(draw, part, doubled) for part in value) + "]"
    if not isinstance(value, dict):
        return spelled(draw, value) if isinstance(value, str) else json.dumps(value)
    members = list(value.items())
    if any(value is other for other in doubled):
        twin = draw(st.sampled_from(members))
        other = draw(st.just(twin[1]) | scalars)
        members.insert(draw(st.integers(0, len(members))), (twin[0], other))
    inner = f"{blank},{draw(blanks)}".join(
        f"{spelled(draw, name)}{blank}:{draw(blanks)}{written(draw, part, doubled)}" for name, part in members
    )
    return "{" + blank + inner + "}"


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a value that have members."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) and value else []), *itertools.chain(*map(objects, parts))]


@st.composite
def lines(draw: st.DrawFn, *, is_doubled: bool) -> tuple[str, dict[str, Any]]:
    """A last line of a history, and what it says if it says it once."""
    row: dict[str, Any] = {**READ, "value": draw(values)}
    for name in draw(st.sets(st.sampled_from(("error", "node")))):
        row[name] = draw(values)
    for name in draw(st.sets(st.sampled_from(("index", "time")))):
        del row[name]
    doubled = [draw(st.sampled_from(objects(row)))] if is_doubled else []
    return written(draw, row, doubled), row


def whole(last: str) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in WROTE) + last.encode() + b"\n"


def array(last: str) -> bytes:
    return b"[" + b",\n".join(whole(last).splitlines()) + b"]"


def streamed(text: bytes) -> list[Any]:
    return list(read_lines(text.splitlines(), source="h"))


def judged(text: bytes) -> Verdict | None:
    found = columns.judge(text, "register", Limits(), "jsonl")
    return found and msgspec.structs.replace(found, seconds=0.0)


READERS: dict[str, Callable[[str], object]] = {
    "lines": lambda last: load(whole(last), source="h", format="jsonl"),
    "lines, compressed": lambda last: load(gzip.compress(whole(last)), source="h", format="jsonl"),
    "lines, a blank one": lambda last: load(whole(last) + b"\n\n", source="h"),
    "lines, lenient": lambda last: load(whole(last), source="h", lenient=True),
    "array": lambda last: load(array(last), source="h", format="jsonl"),
    "library": lambda last: History.from_jsonl(whole(last), source="h"),
    "stream": lambda last: streamed(whole(last)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
@given(line=lines(is_doubled=True))
def test_a_member_twice_is_refused_with_its_line(read: Callable[[str], object], line: tuple[str, Any]) -> None:
    with pytest.raises(MalformedHistory, match=r"^h:4: found an object with the member .* twice; [^\n]*$"):
        read(line[0])


@given(line=lines(is_doubled=True))
def test_columns_leave_a_member_twice_to_others(line: tuple[str, Any]) -> None:
    assert columns.judge(whole(line[0]), "register", Limits(), "jsonl") is None


@given(line=lines(is_doubled=False))
def test_what_stands_once_is_read_as_it_is(line: tuple[str, dict[str, Any]]) -> None:
    """However it is written; texts may have colons, quotes and names in them."""
    text, row = line
    plain = json.dumps(row)

    assert list(History.from_jsonl(whole(text))) == list(History.from_jsonl(whole(plain)))
    assert streamed(whole(text)) == streamed(whole(plain))
    assert judged(whole(text)) == judged(whole(plain))
    for reader in READERS.values():
        reader(text)


@st.composite
def texts(draw: st.DrawFn) -> tuple[bytes, bool]:
    """JSON, and whether an object in it has a member twice."""
    value = draw(values)
    inside = objects(value)
    is_doubled: bool = draw(st.booleans() if inside else st.just(False))
    return written(draw, value, [draw(st.sampled_from(inside))] if is_doubled else []).encode(), is_doubled


@given(text=texts())
def test_counting_and_looking_agree(text: tuple[bytes, bool]) -> None:
    json_text, is_doubled = text
    with pytest.raises(MalformedHistory) if is_doubled else contextlib.nullcontext():
        require_single_value(json_text, json.loads(json_text), "h")
    with pytest.raises(MalformedHistory) if is_doubled else contextlib.nullcontext():
        require_single_line(json_text, "h")


@pytest.mark.parametrize(
    "last",
    [
        {"value": 1, "error": '"value":2,"value":1'},
        {"value": 1, "error": "timeout: none", "key": None},
        {"value": 1, "key": None, "error": None},
    ],
)
def test_columns_read_what_only_looks_like_a_member_twice(last: dict[str, Any]) -> None:
    text = whole(json.dumps({**READ, **last}))

    verdict = columns.judge(text, "register", Limits())

    assert verdict is not None
    assert verdict.validity == "valid"


@st.composite
def histories_with_nulls(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Lines that write out some of what is absent, and whether one of them has a member twice."""
    rows = [[*row.items()] for row in (*WROTE, READ)]
    for members in rows:
        names = {name for name, _ in members}
        members += [(name, None) for name in draw(st.sets(st.sampled_from(("key", "value", "error")))) - names]
    is_doubled: bool = draw(st.booleans())
    if is_doubled:
        members = draw(st.sampled_from(rows))
        name, value = draw(st.sampled_from(members))
        members.insert(draw(st.integers(0, len(members))), (name, draw(st.sampled_from((value, None)))))
    lines = ("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in row) + "}" for row in rows)
    return "\n".join(lines).encode(), is_doubled


@given(history=histories_with_nulls())
def test_columns_tell_nulls_that_are_written_out_from_a_member_twice(history: tuple[bytes, bool]) -> None:
    """A null that stands twice in one line must not make up for one that is absent from another."""
    text, is_doubled = history

    verdict = columns.judge(text, "register", Limits(), "jsonl")

    assert (verdict is None) == is_doubled


MESSAGES = [
    '{"src":"c1","dest":"n1","body":{"type":"write","key":"x","value":1,"msg_id":1}}',
    '{"src":"n1","dest":"c1","body":{"type":"write_ok","in_reply_to":1}}',
    '{"src":"c1","dest":"n1","body":{"type":"read","key":"x","msg_id":2}}',
]


@pytest.mark.parametrize(
    "last",
    [
        '{"src":"n1","dest":"c1","body":{"type":"read_ok","value":2,"value":1,"in_reply_to":2}}',
        '{"src":"n2","src":"n1","dest":"c1","body":{"type":"read_ok","value":1,"in_reply_to":2}}',
        '{"src":"n1","dest":"c1","note":{"a":1,"\\u0061":1},"body":{"type":"read_ok","value":1,"in_reply_to":2}}',
    ],
)
def test_messages_with_a_member_twice_are_refused(last: str) -> None:
    right = '{"src":"n1","dest":"c1","id":7,"body":{"type":"read_ok","value":1,"in_reply_to":2}}'
    assert check(load("\n".join([*MESSAGES, right]).encode()), "map").validity == "valid"

    with pytest.raises(MalformedHistory, match=r"^h:4: .*twice"):
        load("\n".join([*MESSAGES, last]).encode(), source="h")


@pytest.mark.parametrize("wrap", ["\n".join, lambda rows: "[" + ",\n".join(rows) + "]"])
@pytest.mark.parametrize(
    "members",
    [
        '"Output":"2","Output":"1"',
        '"Output":"2","output":"1"',
        '"Output":{"value":"2","Value":"1"}',
        '"Out_put":1,"Output":1',
    ],
)
def test_operations_with_a_member_twice_are_refused(members: str, wrap: Callable[[list[str]], str]) -> None:
    """Names are read in any case."""
    put = '{"ClientId":0,"Input":{"op":"put","key":"x","value":"1"},"Call":0,"Output":null,"Return":7}'
    get = f'{{"ClientId":0,"Input":{{"op":"get","key":"x"}},"Call":8,{members},"Return":9}}'

    with pytest.raises(MalformedHistory, match=r"^h:2: .*twice"):
        load(wrap([put, get]).encode(), source="h")


def test_cells_with_a_member_twice_are_refused() -> None:
    with pytest.raises(MalformedHistory, match=r"^h:2: .*member 'a' twice"):
        load(b'f,value,call,return\nwrite,"{""a"":1,""a"":2}",0,1\n', source="h")


def test_fields_twice_in_edn_are_refused_in_any_order() -> None:
    """Some orders of fields become JSON in which both stand."""
    row = {"index": "3", "time": "3", "process": "0", "type": ":ok", "f": ":read", "value": "1"}
    twins = {**row, "value": "nil"}
    first = {**row, "index": "0", "time": "0", "type": ":invoke", "value": "nil"}
    for order, separator in itertools.product(list(itertools.permutations(row))[::7], (" ", ", ")):
        begin = "{" + separator.join(f":{name} {first[name]}" for name in order) + "}\n"
        for name, place in itertools.product(row, (0, 3, 5, 6)):
            parts = [f":{one} {row[one]}" for one in order]
            parts.insert(place, f":{name} {twins[name]}")
            with pytest.raises(MalformedHistory, match=rf"^h:2: .*key {name} twice"):
                load((begin + "{" + separator.join(parts) + "}").encode(), source="h", format="edn")
