"""`foreshock check`: which model is taken, other conditions, standard input, and histories that are still arriving."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import msgspec
import pytest

from checkers.consistency import CONDITIONS
from checkers.importers import FORMATS
from harness.commands import check

Foreshock = Callable[..., Any]


def lines(*ops: tuple[int, str, str, Any]) -> list[bytes]:
    """Own lines without index and time: (process, type, f, value)."""
    return [
        msgspec.json.encode({"process": process, "type": kind, "f": f, "value": value}) + b"\n"
        for process, kind, f, value in ops
    ]


STALE = lines(
    (0, "invoke", "write", 1),
    (0, "ok", "write", 1),
    (0, "invoke", "write", 2),
    (0, "ok", "write", 2),
    (1, "invoke", "read", None),
    (1, "ok", "read", 1),
)
"""Not linearizable, and sequentially consistent."""

LOST = lines((0, "invoke", "add", "a"), (0, "ok", "add", "a"), (1, "invoke", "read", None), (1, "ok", "read", []))

OVER = lines((0, "invoke", "add", 2), (0, "ok", "add", 2), (1, "invoke", "read", None), (1, "ok", "read", 5))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[bytes]], None]:
    """Put lines on standard input."""

    def put(rows: list[bytes]) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(rows))))

    return put


@pytest.mark.parametrize(
    ("rows", "model", "because"),
    [
        (STALE, "register", "the history has write, read"),
        (LOST, "set", "not counter"),
        (OVER, "counter", "the history has add, read"),
    ],
    ids=["register", "set", "counter"],
)
def test_the_model_is_chosen_by_what_the_history_contains(
    foreshock: Foreshock, tmp_path: Path, rows: list[bytes], model: str, because: str
) -> None:
    (tmp_path / "history.jsonl").write_bytes(b"".join(rows))

    ran = foreshock("check", tmp_path / "history.jsonl")

    assert ran.code == 1
    assert f"note        model {model}, chosen because" in ran.out
    assert because in ran.out


def test_a_history_that_no_model_fits_says_which_functions_it_has(foreshock: Foreshock, typed: Any) -> None:
    typed(lines((0, "invoke", "fly", None), (0, "ok", "fly", None)))

    ran = foreshock("check", "-")

    assert ran.code == 254
    assert "a history of fly" in ran.err


@pytest.mark.parametrize("form", ["jsonl", "edn"])
def test_standard_input_is_read_in_every_format(foreshock: Foreshock, typed: Any, form: str) -> None:
    edn = [
        b"{:process 0, :type :invoke, :f :write, :value 1}\n",
        b"{:process 0, :type :ok, :f :write, :value 1}\n",
        b"{:process 1, :type :invoke, :f :read}\n",
        b"{:process 1, :type :ok, :f :read, :value 2}\n",
    ]
    typed(edn if form == "edn" else STALE)

    ran = foreshock("check", "-", "--json")

    assert ran.code == 1
    assert ran.json["model"] == "register"


@pytest.mark.parametrize(
    ("consistency", "rows", "code", "signature"),
    [
        ("sequential", STALE, 0, ""),
        ("staleness", STALE, 1, "staleness/stale-read/versions"),
        ("set-full", LOST, 1, "set-full/lost"),
        ("counter-bounds", OVER, 1, "counter-bounds/out-of-bounds/read"),
    ],
)
def test_other_conditions_than_linearizability_are_judged(
    foreshock: Foreshock, typed: Any, consistency: str, rows: list[bytes], code: int, signature: str
) -> None:
    typed(rows)

    ran = foreshock("check", "-", "--consistency", consistency, "--json")

    assert ran.code == code
    assert (ran.json["anomalies"] == []) == (signature == "")
    assert all(anomaly["signature"].startswith(signature) for anomaly in ran.json["anomalies"])


def test_a_condition_prints_what_it_measured(foreshock: Foreshock, typed: Any) -> None:
    typed(STALE)

    ran = foreshock("check", "-", "--consistency", "staleness")

    assert "measured    stale: 1" in ran.out
    assert "checked for staleness" in ran.out


class Arriving:
    """Standard input that fails the test if it is read beyond some lines."""

    def __init__(self, rows: list[bytes]) -> None:
        self.rows = rows

    def __enter__(self) -> Iterator[bytes]:
        return self._read()

    def __exit__(self, *_: object) -> None:
        pass

    def _read(self) -> Iterator[bytes]:
        yield from self.rows
        pytest.fail("read on after the violation was certain")


def test_the_help_has_an_example_of_each_format(foreshock: Foreshock) -> None:
    text = foreshock("check", "--help").out

    assert [name for name, form in FORMATS.items() if name not in text or form.example not in text] == []


def test_a_stream_ends_at_the_first_violation(foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Arriving(STALE)))

    ran = foreshock("check", "-", "--stream", "--model", "register", "--json")

    assert ran.code == 1
    assert ran.json["engine"] == "stream"
    assert ran.json["anomalies"][0]["index"] == 5


def test_a_stream_that_ends_is_valid(foreshock: Foreshock, typed: Any) -> None:
    typed(STALE[:-1])

    ran = foreshock("check", "-", "--stream", "--model", "register")

    assert ran.code == 0
    assert "3 ops of register" in ran.out


@pytest.mark.parametrize(("cut", "code"), [(None, 0), (-9, 254)])
def test_a_compressed_file_is_streamed(foreshock: Foreshock, tmp_path: Path, cut: int | None, code: int) -> None:
    file = tmp_path / "h.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(lines((0, "invoke", "write", 1), (0, "ok", "write", 1))))[:cut])

    assert foreshock("check", str(file), "--stream", "--model", "register").code == code


def test_a_damaged_line_of_a_stream_is_named(foreshock: Foreshock, typed: Any) -> None:
    typed([*STALE[:2], b"\n", b"{\n", *STALE[2:]])

    ran = foreshock("check", "-", "--stream", "--model", "register")

    assert ran.code == 254
    assert "standard input:4" in ran.err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--stream",), "no model"),
        (("--stream", "--model", "register", "--format", "edn"), "--format edn beside --stream"),
        (("--stream", "--model", "register", "--cross-check"), "--cross-check beside --stream"),
        (("--consistency", "staleness", "--time-limit", "1s"), "--time-limit beside --consistency staleness"),
        (("--consistency", "staleness", "--no-explain"), "--no-explain beside --consistency staleness"),
        (("--consistency", "staleness", "--model", "queue"), "model 'queue'"),
        (("--consistency", "set-full", "--initial", "[1]"), "an initial state"),
        (("--initial", "null"), "null without a model"),
        (("--initial", "null", "--model", "counter"), "initial state null"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_would_do_nothing_is_refused(
    foreshock: Foreshock, typed: Any, arguments: tuple[str, ...], found: str
) -> None:
    typed(STALE)

    ran = foreshock("check", "-", *arguments)

    assert ran.code == 254
    assert found in ran.err


@pytest.mark.parametrize(
    ("name", "expected"), [("form", ["auto", *FORMATS]), ("consistency", ["linearizable", *CONDITIONS])]
)
def test_choices_are_those_of_the_library(name: str, expected: list[str]) -> None:
    (option,) = [parameter for parameter in check.command.params if parameter.name == name]

    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == expected


def test_of_several_files_each_gets_a_line(foreshock: Foreshock, tmp_path: Path) -> None:
    (tmp_path / "stale.jsonl").write_bytes(b"".join(STALE))
    (tmp_path / "fine.jsonl").write_bytes(b"".join(STALE[:4]))
    (tmp_path / "empty.edn").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"nothing that is read")
    stale, fine = str(tmp_path / "stale.jsonl"), str(tmp_path / "fine.jsonl")

    ran = foreshock("check", str(tmp_path))

    assert ran.code == 1
    assert [line.split()[0] for line in ran.out.splitlines() if str(tmp_path) in line] == [
        "unknown",
        "valid",
        "invalid",
    ]
    assert "process 1 read 1 after process 0 had overwritten it with 2" in ran.out
    assert ran.out.endswith("files       3: 1 unknown, 1 valid, 1 invalid\n")
    assert foreshock("check", fine, fine).code == 0
    assert foreshock("check", fine, str(tmp_path / "empty.edn")).code == 2
    assert foreshock("check", fine, stale, "--model", "register", "--json").code == 1


def test_a_file_that_is_refused_does_not_end_the_others(foreshock: Foreshock, tmp_path: Path) -> None:
    fine, broken = tmp_path / "fine.jsonl", tmp_path / "broken.jsonl"
    fine.write_bytes(b"".join(STALE[:4]))
    broken.write_bytes(b"{")

    ran = foreshock("check", str(broken), str(fine), "--json")
    document = msgspec.json.decode(ran.out)

    assert ran.code == 254
    assert document["counts"] == {"refused": 1, "valid": 1}
    assert "found a line that is cut off" in document["files"][0]["error"]
    assert document["files"][1]["report"]["verdict"] == "valid"


@pytest.mark.parametrize("more", [("-",), ("--stream", "--model", "register")])
def test_several_files_are_neither_a_stream_nor_standard_input(
    foreshock: Foreshock, tmp_path: Path, more: tuple[str, ...]
) -> None:
    ran = foreshock("check", str(tmp_path / "a"), str(tmp_path / "b"), *more)

    assert ran.code == 254
    assert "found several files" in ran.err


def test_a_folder_without_files_is_bad_input(foreshock: Foreshock, tmp_path: Path) -> None:
    ran = foreshock("check", str(tmp_path))

    assert ran.code == 254
    assert "found no file" in ran.err


def read_again(count: int, value: str) -> bytes:
    """Reads of 1 in our own lines, where an invoke says this of its value, and a last answer that says two things."""
    wrote = b"".join(lines((0, "invoke", "write", 1), (0, "ok", "write", 1)))
    asked = f'{{"process":0,"type":"invoke","f":"read"{value}}}\n'.encode()
    told = b'{"process":0,"type":"ok","f":"read","value":1}\n'
    return wrote + (asked + told) * count + asked + b'{"process":0,"type":"ok","f":"read","val\\u0075e":2,"value":1}\n'


@pytest.mark.parametrize("value", ["", ',"value":null'])
@pytest.mark.parametrize("count", [0, 2_000])
@pytest.mark.parametrize(
    "words", [(), ("--stream",), ("-",), ("-", "--stream"), ("packed",)], ids=lambda words: " ".join(words) or "file"
)
def test_the_later_of_two_values_is_not_believed(
    foreshock: Foreshock,
    typed: Callable[[list[bytes]], None],
    tmp_path: Path,
    count: int,
    value: str,
    words: tuple[str, ...],
) -> None:
    data = read_again(count, value)
    file = tmp_path / "h.jsonl"
    file.write_bytes(gzip.compress(data) if "packed" in words else data)
    typed([data])
    where = "standard input" if "-" in words else str(file)
    more = [word for word in words if word.startswith("-")]

    ran = foreshock("check", "--model", "register", *more, *([] if "-" in words else [file]))

    place = f"{where}:{4 + 2 * count}"
    found = "found an object with the member 'value' twice; expected each member of an object once"
    assert ran.code == 254
    assert ran.err == f"error: {found}; {place}\n"


def test_an_initial_state_with_a_member_twice_is_refused(foreshock: Foreshock, tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    file.write_bytes(b"".join(STALE))

    ran = foreshock("check", "--model", "map", "--initial", '{"x":1,"x":2}', file)

    assert ran.code == 254
    assert "member 'x' twice" in ran.err
