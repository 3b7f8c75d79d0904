"""The session layer: each command takes effect once, on all replicas alike, whatever is repeated or restored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.machines import CATALOG
from raft_impl.machines.base import pack
from raft_impl.machines.commands import Action, Command, encode_command
from raft_impl.machines.sessions import SessionedMachine

SECOND = 1_000_000_000


def counting() -> SessionedMachine:
    return SessionedMachine(CATALOG["counter"]())


def open_session(machine: SessionedMachine, index: int, time_ns: int = 0, idle_ns: int = 0) -> int:
    word, session = machine.apply(index, encode_command(Command(Action.OPEN, time_ns, idle_ns=idle_ns)))
    assert (word, session) == ("ok", index)
    return index


def add(machine: SessionedMachine, session: int, sequence: int, amount: int = 1, time_ns: int = 0) -> tuple[str, Any]:
    call = pack(("add-and-get", "c", amount))
    return machine.apply(99, encode_command(Command(Action.CALL, time_ns, session, sequence, call)))


def value(machine: SessionedMachine) -> Any:
    return machine.read(pack(("read", "c", None)))[1]


def restored(machine: SessionedMachine) -> SessionedMachine:
    copy = counting()
    copy.restore(machine.snapshot())
    return copy


def test_a_repeated_command_has_one_effect_and_the_first_answer() -> None:
    machine = counting()
    session = open_session(machine, 5)

    first = add(machine, session, 1)
    add(machine, open_session(machine, 6), 1, 10)
    again = add(machine, session, 1)

    assert first == again == ("ok", [1, 1])
    assert value(machine) == 11


def test_a_negative_answer_is_remembered_too() -> None:
    machine = counting()
    session = open_session(machine, 5)
    cas = Command(Action.CALL, 0, session, 1, pack(("cas", "c", [7, 8])))

    assert machine.apply(6, encode_command(cas)) == ("precondition-failed", None)
    machine.apply(7, encode_command(Command(Action.CALL, 0, 0, 0, pack(("set", "c", 7)))))

    assert machine.apply(8, encode_command(cas)) == ("precondition-failed", None)
    assert value(machine) == 7


def test_an_older_sequence_is_stale_and_has_no_effect() -> None:
    machine = counting()
    session = open_session(machine, 5)
    add(machine, session, 1)
    add(machine, session, 2)

    assert add(machine, session, 1) == ("stale", None)
    assert value(machine) == 2


@pytest.mark.parametrize("sequence", [0, -1])
def test_a_sequence_below_one_is_malformed(sequence: int) -> None:
    machine = counting()

    assert add(machine, open_session(machine, 5), sequence) == ("malformed", None)


def test_an_unknown_session_is_refused_and_never_made() -> None:
    """Making it anew would forget that the command may have had its effect before the session expired (RB130)."""
    machine = counting()

    assert add(machine, 5, 1) == ("no-session", None)
    assert add(machine, 5, 2) == ("no-session", None)
    assert (machine.session_count, value(machine)) == (0, 0)


def test_without_a_session_every_copy_counts() -> None:
    machine = counting()

    add(machine, 0, 0)
    add(machine, 0, 0)

    assert value(machine) == 2


def test_a_session_expires_after_idle_log_time_and_not_before() -> None:
    machine = counting()
    session = open_session(machine, 5, 0, idle_ns=10 * SECOND)

    assert add(machine, session, 1, time_ns=9 * SECOND)[0] == "ok"
    assert add(machine, session, 2, time_ns=18 * SECOND)[0] == "ok"
    assert add(machine, session, 2, time_ns=28 * SECOND)[0] == "no-session"


def test_log_time_never_goes_back() -> None:
    machine = counting()
    session = open_session(machine, 5, 50 * SECOND, idle_ns=10 * SECOND)

    add(machine, session, 1, time_ns=20 * SECOND)

    assert machine.time_ns == 50 * SECOND
    assert add(machine, session, 2, time_ns=59 * SECOND)[0] == "ok"


def test_a_closed_session_is_unknown() -> None:
    machine = counting()
    session = open_session(machine, 5)

    machine.apply(6, encode_command(Command(Action.CLOSE, 0, session)))

    assert add(machine, session, 1) == ("no-session", None)


def test_log_time_is_in_the_snapshot() -> None:
    """A replica that forgot it would expire sessions at other indexes than its peers (RB073)."""
    machine = counting()
    session = open_session(machine, 5, 0, idle_ns=10 * SECOND)
    machine.apply(6, encode_command(Command(Action.CALL, 8 * SECOND, 0, 0, pack(("set", "d", 1)))))

    copy = restored(machine)

    assert copy.time_ns == 8 * SECOND
    for replica in (machine, copy):
        add(replica, 0, 0, time_ns=3 * SECOND)
        assert add(replica, session, 1, time_ns=10 * SECOND)[0] == "no-session"
    assert machine.digest == copy.digest


@pytest.mark.parametrize("call", [b"", b"\xc1", pack(1), pack(["add", "c"]), pack([{}, None, None])])
def test_a_call_that_cannot_be_read_is_malformed(call: bytes) -> None:
    machine = counting()
    session = open_session(machine, 5)
    before = machine.read(pack(("read", "c", None)))

    assert machine.apply(6, encode_command(Command(Action.CALL, 0, session, 1, call))) == ("malformed", None)
    assert machine.read(call) == ("malformed", None)
    assert machine.read(pack(("read", "c", None))) == before


steps = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 30)),
        st.tuples(st.just("add"), st.integers(0, 3), st.integers(1, 5), st.integers(0, 30)),
        st.tuples(st.just("restore")),
    ),
    max_size=40,
)


@settings(max_examples=80)
@given(steps)
def test_replicas_agree_and_nothing_counts_twice(script: list[Any]) -> None:
    """One replica runs through; another is restored from snapshots at drawn moments. A plain table is the judge."""
    replicas = [counting(), counting()]
    sessions: list[int] = []
    table: dict[int, tuple[int, int]] = {}  # session -> (latest sequence, deadline)
    total, now = 0, 0
    for index, step in enumerate(script, 1):
        if step[0] == "restore":
            replicas[1] = restored(replicas[1])
            continue
        if step[0] == "add" and not sessions:
            continue
        now = max(now, step[-1] * SECOND)
        table = {session: entry for session, entry in table.items() if entry[1] > now}
        if step[0] == "open":
            for replica in replicas:
                open_session(replica, index, step[-1] * SECOND, idle_ns=10 * SECOND)
            sessions.append(index)
            table[index] = (0, now + 10 * SECOND)
        else:
            session, sequence = sessions[step[1] % len(sessions)], step[2]
            answers = [add(replica, session, sequence, time_ns=step[-1] * SECOND) for replica in replicas]
            known = table.get(session)
            if known is not None and sequence > known[0]:
                total += 1
                table[session] = (sequence, now + 10 * SECOND)
            assert answers[0] == answers[1]
            assert (answers[0][0] == "no-session") == (known is None)
        assert replicas[0].digest == replicas[1].digest
        assert replicas[0].session_count == len(table)
    assert [value(replica) for replica in replicas] == [total, total]


@pytest.mark.parametrize(
    ("machine", "f", "key", "value", "contents"),
    [
        ("register", "write", "x", 1, [["x", 1]]),
        ("counter", "add", "n", 2, [["n", 2]]),
        ("map", "write", "k", "v", [["k", "v"]]),
        ("set", "add", "s", 3, [["s", [3]]]),
        ("queue", "enqueue", "q", 4, [["q", 0, [4]]]),
        ("list", "append", "l", 5, [["l", [5]]]),
    ],
)
def test_contents_are_the_records_in_readable_form(machine: str, f: str, key: str, value: Any, contents: Any) -> None:
    sessioned = SessionedMachine(CATALOG[machine]())
    command = encode_command(Command(Action.CALL, 0, call=pack((f, key, value))))

    sessioned.apply(1, command)

    assert sessioned.contents() == contents
