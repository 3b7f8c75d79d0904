"""Every way in which a process can end, in one line for people and one word for programs.

    error: disk-full: write: no space left; what was acknowledged is safe, make room and start again

The word also stands in the JSON log of a node, as `word` of the event `died`. What is our own fault says where it
happened; the whole traceback goes into that log record, since a person cannot do anything with it.
"""

from __future__ import annotations

import traceback
from typing import Any, Final

import msgspec

from ..errors import Corrupt, DiskFailed
from ..protocol.errors import MisuseError, SafetyError
from ..runtime.wal import disk_word
from .arguments import BadArguments

EXIT_FAILED: Final = 1
EXIT_BAD_ARGUMENTS: Final = 254
EXIT_INTERNAL: Final = 255
EXIT_INTERRUPTED: Final = 130

_DISK_HINTS: Final = {
    "disk-full": "no space is left; what was acknowledged is safe: make room, and start again",
    "io-error": "the disk reported an error; what was acknowledged is safe on a quorum: check the disk",
    "read-only": "the file system is read-only",
    "not-permitted": "this user may not write there",
    "too-many-open-files": "this process may open no more files: raise its limit (ulimit -n)",
    "in-use": "another process uses this data directory",
}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why a process ended."""

    word: str
    sentence: str
    exit_code: int
    traceback: str = ""
    """Of our own faults only."""

    @property
    def line(self) -> str:
        """What a person reads, who needs no word for a mistake that the sentence names."""
        is_named = self.exit_code == EXIT_BAD_ARGUMENTS
        return f"error: {self.sentence}" if is_named else f"error: {self.word}: {self.sentence}"

    def document(self, where: str) -> dict[str, dict[str, str]]:
        """The same for programs, in the form of the whole command line; `where` is the command."""
        found, _, expected = self.sentence.partition("; expected ")
        word = {} if self.exit_code == EXIT_BAD_ARGUMENTS else {"word": self.word}
        return {"error": {"found": found, "expected": expected, "where": where, **word}}


class CannotStart(Exception):
    """Something outside of this process is not as it must be. `word` and one sentence."""

    def __init__(self, word: str, sentence: str) -> None:
        super().__init__(sentence)
        self.word = word


def ending_of(error: BaseException) -> Ending:
    """Name an error that ends this process. Of several at once, the first that is not a mere consequence."""
    error = _first(error)
    match error:
        case KeyboardInterrupt():
            return Ending(word="interrupted", sentence="stopped by Ctrl-C", exit_code=EXIT_INTERRUPTED)
        case CannotStart():
            return Ending(word=error.word, sentence=str(error), exit_code=EXIT_FAILED)
        case Corrupt():
            return Ending(word=error.word, sentence=error.where or "the data cannot be trusted", exit_code=EXIT_FAILED)
        case DiskFailed():
            return Ending(word=error.word, sentence=_disk_sentence(error), exit_code=EXIT_FAILED)
        case SafetyError():
            sentence = f"{error}; going on could lose what was acknowledged: keep the data directory, and report this"
            return _internal("safety-violated", sentence, error)
        case MisuseError():
            return _internal("contract-broken", f"{error}; please report this", error)
        case MemoryError():
            return Ending(word="out-of-memory", sentence="this machine has no memory left", exit_code=EXIT_FAILED)
        case OSError():
            return Ending(word=disk_word(error).replace("disk-error", "os-error"), sentence=str(error), exit_code=1)
        case BadArguments():
            return Ending(word="bad-arguments", sentence=str(error), exit_code=EXIT_BAD_ARGUMENTS)
        case _:
            sentence = f"{type(error).__name__}: {_short(error)} {_place(error)}; please report this"
            return _internal("internal-error", sentence, error)


def _internal(word: str, sentence: str, error: BaseException) -> Ending:
    lines = "".join(traceback.format_exception(error))
    return Ending(word=word, sentence=" ".join(sentence.split()), exit_code=EXIT_INTERNAL, traceback=lines)


def _disk_sentence(error: DiskFailed) -> str:
    hint = _DISK_HINTS.get(error.word, "")
    cause = f" ({error.__cause__.strerror})" if isinstance(error.__cause__, OSError) and not hint else ""
    return f"{error.operation}{cause}{': ' if hint else ''}{hint}"


def _first(error: BaseException) -> BaseException:
    """The error inside groups; a cancellation or a broken pipe beside a real error is its consequence."""
    while isinstance(error, BaseExceptionGroup):
        ranked: list[Any] = sorted(error.exceptions, key=lambda one: isinstance(one, KeyboardInterrupt))
        error = ranked[0]
    return error


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:200] + "..."


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    file = last.filename.rpartition("raft_impl/")[2]
    return f"(in {last.name}, {file}:{last.lineno})"
