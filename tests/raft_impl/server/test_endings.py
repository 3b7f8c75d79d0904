"""Every way to die has one line, one word and an exit code."""

from __future__ import annotations

import errno

import pytest

from raft_impl.errors import Corrupt, DiskFailed
from raft_impl.protocol.errors import MisuseError, SafetyError
from raft_impl.server.arguments import BadArguments
from raft_impl.server.endings import CannotStart, ending_of

NESTED = ExceptionGroup("outer", [ExceptionGroup("inner", [DiskFailed("fsync", "io-error")])])


@pytest.mark.parametrize(
    ("error", "word", "code"),
    [
        (CannotStart("identity-lost", "n2 comes anew"), "identity-lost", 1),
        (Corrupt("log-corrupt", "g0-00000001.wal at 7"), "log-corrupt", 1),
        (DiskFailed("fsync", "io-error"), "io-error", 1),
        (NESTED, "io-error", 1),
        (SafetyError("the leader contradicts a committed entry"), "safety-violated", 255),
        (MisuseError("write 7 was acknowledged"), "contract-broken", 255),
        (OverflowError("int too big to convert"), "internal-error", 255),
        (RecursionError("maximum recursion depth exceeded"), "internal-error", 255),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "internal-error", 255),
        (ValueError("a line\nand another"), "internal-error", 255),
        (KeyError("x"), "internal-error", 255),
        (MemoryError(), "out-of-memory", 1),
        (OSError(errno.EMFILE, "Too many open files"), "too-many-open-files", 1),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full", 1),
        (PermissionError(errno.EACCES, "Permission denied"), "not-permitted", 1),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "os-error", 1),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_error_has_one_line(error: BaseException, word: str, code: int) -> None:
    ending = ending_of(error)

    assert (ending.word, ending.exit_code) == (word, code)
    assert len(ending.line.splitlines()) == 1
    assert ending.line.startswith(f"error: {word}")
    assert bool(ending.traceback) == (code == 255)


def test_a_mistake_has_a_word_for_programs_and_a_sentence_for_people() -> None:
    ending = ending_of(BadArguments("--name is 'n9'; this data directory began with 'n2'"))

    assert (ending.word, ending.exit_code) == ("bad-arguments", 254)
    assert ending.line == "error: --name is 'n9'; this data directory began with 'n2'"


def test_our_own_fault_says_where_it_happened() -> None:
    def fail() -> None:
        raise OverflowError("int too big to convert")

    with pytest.raises(OverflowError) as caught:
        fail()

    assert "OverflowError: int too big to convert (in fail, " in ending_of(caught.value).sentence
