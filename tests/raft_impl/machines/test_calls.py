"""What may be in a command: a leader appends only what every replica can apply, and replicas apply whatever stands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from raft_impl.errors import Corrupt
from raft_impl.machines import CATALOG
from raft_impl.machines.base import pack
from raft_impl.machines.calls import APPLIED_DEPTH_MAX, CALL_BYTES_MAX, DEPTH_MAX, objection, read_call
from raft_impl.machines.commands import Action, Command, encode_command
from raft_impl.machines.sessions import SessionedMachine

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))
KNOWN = sorted({f for make in CATALOG.values() for f in make().commands})


def nested(depth: int) -> bytes:
    """A call whose value is that many lists within one another, made without recursion."""
    return b"\x93" + pack("write") + pack("k") + b"\x91" * (depth - 1) + b"\x90"


def command(call: bytes, session: int = 0, sequence: int = 0) -> bytes:
    return encode_command(Command(Action.CALL, 0, session, sequence, call))


@given(f=st.text(), key=JSON, value=JSON)
def test_what_json_holds_is_appended_and_read_as_it_was(f: str, key: Any, value: Any) -> None:
    call = pack((f, key, value))

    assert objection(call) == ""
    assert read_call(call) == (f, key, value)


@pytest.mark.parametrize(
    "call",
    [
        nested(DEPTH_MAX + 1),
        nested(2000),
        pack(("write", "k", float("nan"))),
        pack(("write", "k", float("-inf"))),
        pack(("write", "k", b"bytes")),
        pack(("write", "k", [1, {"a": msgspec.msgpack.Ext(5, b"x")}])),
        pack(("write", {1: 2}, None)),
        pack(("write", "k", 1 << 63)),
        pack(("write", "k")),
        pack({"write": 1, "k": 2, "v": 3}),
        pack(3),
        pack((5, "k", 1)),
        b"",
        b"\xc1",
        pack(("write", "k", 1)) + b"\x00",
    ],
)
def test_what_json_cannot_hold_is_refused_before_it_is_in_the_log(call: bytes) -> None:
    assert objection(call) == "malformed"


def test_the_deepest_value_that_is_appended() -> None:
    assert objection(nested(DEPTH_MAX)) == ""
    assert objection(pack(("txn", None, [["w", "k", "x" * 200]] * 300))) == ""


def test_a_call_that_is_too_long_is_told_so() -> None:
    longest = CALL_BYTES_MAX - len(pack(("write", "k", ""))) - 4

    assert objection(pack(("write", "k", "x" * longest))) == ""
    assert objection(pack(("write", "k", "x" * (longest + 1)))) == "too-large"


@pytest.mark.parametrize("name", sorted(CATALOG))
@given(call=st.binary(max_size=40) | st.builds(lambda *parts: pack(parts), st.sampled_from(KNOWN), JSON, JSON))
@example(call=nested(APPLIED_DEPTH_MAX + 1))
@example(call=nested(100_000))
def test_any_bytes_in_a_log_are_applied_alike_and_leave_a_state_that_can_be_kept(name: str, call: bytes) -> None:
    replicas = [SessionedMachine(CATALOG[name]()) for _ in range(2)]

    for data in (call, command(call)):
        answers = [replica.apply(1, data) for replica in replicas]

        assert pack(answers[0]) == pack(answers[1])
    copy = SessionedMachine(CATALOG[name]())
    copy.restore(replicas[0].snapshot())
    assert {copy.digest, replicas[1].digest} == {replicas[0].digest}


def test_what_earlier_versions_acknowledged_is_still_applied_and_read_from_any_depth_of_the_stack() -> None:
    deepest = nested(APPLIED_DEPTH_MAX)

    def applied(levels: int) -> bytes:
        """Apply with that many frames on the stack."""
        if levels:
            return applied(levels - 1)
        machine = SessionedMachine(CATALOG["register"]())
        session = machine.apply(1, encode_command(Command(Action.OPEN, 0)))[1]
        word, _ = machine.apply(2, command(deepest, session, 1))
        assert word == "ok"
        assert machine.apply(3, command(deepest, session, 1))[0] == "ok"
        assert machine.read(pack(("read", "k", None)))[0] == "ok"
        assert machine.apply(4, command(nested(APPLIED_DEPTH_MAX + 1), session, 2)) == ("malformed", None)
        return machine.digest

    assert applied(0) == applied(500)


@pytest.mark.parametrize("name", sorted(CATALOG))
@given(data=st.binary(max_size=60))
def test_a_snapshot_of_other_bytes_is_refused_by_name(name: str, data: bytes) -> None:
    assume(not data.startswith(b"\x94"))  # the form of a snapshot; its content may be an empty one

    with pytest.raises(Corrupt, match="snapshot-format"):
        SessionedMachine(CATALOG[name]()).restore(data)


def test_time_in_a_command_is_bounded_so_that_deadlines_can_be_kept() -> None:
    machine = SessionedMachine(CATALOG["register"]())
    for time_ns in (1 << 62, (1 << 64) - 1, -5):
        machine.apply(1, pack((1, time_ns, 0, 0, b"", 1 << 62)))

    assert machine.time_ns == 1 << 62
    copy = SessionedMachine(CATALOG["register"]())
    copy.restore(machine.snapshot())
    assert copy.digest == machine.digest


@given(data=st.binary(max_size=20))
def test_a_feature_level_that_is_none_changes_nothing(data: bytes) -> None:
    machine = SessionedMachine(CATALOG["register"](), known_level=1 << 31)
    before = machine.level

    machine.raise_level(data)

    assert machine.level >= before
    machine.snapshot()
