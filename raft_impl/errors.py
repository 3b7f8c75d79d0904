"""What can go wrong, split by what the reader must do about it.

    RaftError
    +-- Negative      the state machine answered no: an observation, with one of its words
    +-- Refused       the operation surely did not and will not happen
    +-- Unknown       it may have happened, or may happen later; in doubt it is always this one
    +-- NoClient      no session could be opened, so nothing was asked
    +-- Corrupt       what the disk holds cannot be trusted: refuse to start
    |   +-- TooNew    it was written for newer code: install that
    |   +-- TooOld    it was written for older code, which must bring it up to date first
    +-- DiskFailed    a write did not reach the disk: stop at once, and start again from what is durable

Every one carries a word from a short list, because words go into histories and signatures, and sentences do not.
"""

from __future__ import annotations


class RaftError(Exception):
    """The root. `word` names the reason."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Negative(RaftError):
    """The state machine answered no: precondition-failed, absent, exists, empty or held."""


class Refused(RaftError):
    """Every attempt that left the client was refused before it had an effect."""


class Unknown(RaftError):
    """At least one attempt may have had, or may yet have, its effect."""


class NoClient(RaftError):
    """No session could be opened in time."""


class Corrupt(RaftError):
    """The stored state is damaged in a way that no crash explains. `where` says which file and offset, for people."""

    def __init__(self, word: str, where: str = "") -> None:
        super().__init__(word)
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.word}" if self.where else self.word


class TooNew(Corrupt):
    """The group has agreed on something that this code does not know (see `machines.features`)."""


class TooOld(Corrupt):
    """The group is at a level that this code does not know any more."""


class DiskFailed(RaftError):
    """A disk operation failed. Never retried: after a failed fsync it is unknown what is durable (fsyncgate)."""

    def __init__(self, operation: str, word: str) -> None:
        super().__init__(word)
        self.operation = operation

    def __str__(self) -> str:
        return f"{self.operation}: {self.word}"
