"""What clients were told that is no answer: a violation of the system under test, and no end of the run.

A client of the system hands its answers to the interpreter. One that cannot be the answer to what was asked, whatever
the state was, says nothing about what became of the op: the history has an `info` there, so that all the rest of it can
still be judged, and the anomaly has what was said.

* `client/malformed-reply/F`: the value of an ok answer to F has not the shape that the model states for F, is no JSON,
  or answers another request (a write of 1 as a write of 2).
* `client/exception/NAME`: the system's client raised after it had received something in this op. One that raises
  without that is an adapter that does not work, and ends the run.

And who gave an answer to a read is told to those who judge that (`checkers.raft.reads`).
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from checkers.models import named
from checkers.raft.reads import LeaderReads
from checkers.values import freeze, show
from checkers.verdict import Anomaly
from harness.errors import BadInput, HarnessError
from harness.plans.plan import Actor
from harness.systems.system import Completion, Leased, SystemClient, SystemServer

from .recorder import Recorder

CHECKER: Final = "client"
MALFORMED: Final = "malformed-reply"
"""The error of the `info` in the place of an answer that is none."""
RAISED: Final = "client-raised"
"""The error of an op whose client raised."""

_ENDINGS: Final = ("ok", "fail", "info")
_INTEGER_MAX: Final = 1 << 63
_SHOWN_MAX: Final = 200


class Mortal(Protocol):
    """What lives until it is killed."""

    @property
    def dead(self) -> bool:
        """Whether it was killed."""
        ...


class Hearing(Protocol):
    """The process of a client, as far as it matters here."""

    @property
    def heard(self) -> int:
        """How many times it has received something."""
        ...

    @property
    def lifetime(self) -> Mortal:
        """Its life, which a kill ends."""
        ...


class Serving(Protocol):
    """A host of a node, as far as it matters here."""

    @property
    def server(self) -> SystemServer | None:
        """The server of the process that runs there, once there is one."""
        ...


def reads_by_lease(hosts: Mapping[str, Serving], group: str, node: str) -> bool:
    """Whether a node would answer a read of a group at this instant by a lease, if it says so."""
    server: object = hosts[node].server
    return isinstance(server, Leased) and server.reads_by_lease(group)


class Replies:
    """The answers of one run that are none, by the model of its workload."""

    def __init__(
        self,
        model: str,
        recorder: Recorder,
        reads: LeaderReads | None = None,
        actors: Mapping[str, Actor] | None = None,
    ) -> None:
        """`reads` judges who answered a read; without `actors` nothing is known of who asks which group."""
        self.reads = reads or LeaderReads({})
        self.judged_reads = 0
        """How many answers of leaders to reads were judged. Clients of several groups are not asked whom they heard."""
        self._group_of = {name: _single(actor.groups) for name, actor in (actors or {}).items()}
        self._functions = named(model).functions
        self._recorder = recorder
        self._malformed: dict[str, Anomaly] = {}  # by function, the first one
        self._times: Counter[str] = Counter()
        self._raised: list[Anomaly] = []

    def anomalies(self) -> list[Anomaly]:
        """What was found: of malformed answers the first one to each function, with their number."""
        malformed = (
            msgspec.structs.replace(anomaly, evidence={"times": self._times[f]})
            for f, anomaly in self._malformed.items()
        )
        return [*malformed, *self._raised]

    async def open(self, environment: Hearing, client: SystemClient, process: int, f: str) -> str | None:
        """Have a client open its session for `f`. Returns why it could not."""
        heard = environment.heard
        try:
            return await client.open()
        except Exception as error:
            self._blame(environment, heard, process, f, error)
            return RAISED

    async def ask(
        self, environment: Hearing, client: SystemClient, process: int, f: str, key: str | None, value: Any
    ) -> Completion:
        """Have a client perform an op. What is no answer becomes an unknown outcome.

        Raises BadInput for a client that does not answer with a Completion, and what a client raises that had received
        nothing.
        """
        heard = environment.heard
        try:
            completion = await client.invoke(f, key, value)
        except Exception as error:
            self._blame(environment, heard, process, f, error)
            return Completion("info", error=RAISED)
        if not isinstance(completion, Completion) or completion.type not in _ENDINGS:
            raise BadInput(
                f"{completion!r}", "a Completion of ok, fail or info", f"{type(client).__name__}.invoke({f!r}, ...)"
            )
        if completion.type != "ok":
            return completion
        wrong = self._wrong(f, value, completion.value)
        if wrong is None:
            return completion
        self._note(process, f, value, *wrong)
        return Completion("info", error=MALFORMED)

    def note_read(self, environment: Any, asked_ns: int) -> None:
        """A read was answered, by whom the client has heard last, and the latest row says so."""
        group = self._group_of[environment.actor] if self._group_of else ""
        if group and self.reads.answered(group, environment.heard_from, asked_ns, self._index):
            self.judged_reads += 1

    def _index(self) -> int:
        """Of the latest row."""
        return self._recorder.index - 1

    def _note(self, process: int, f: str, value: Any, found: str, expected: str) -> None:
        self._times[f] += 1
        if f not in self._malformed:
            message = f"process {process} asked for {f} {_shown(value)} and was answered {found}; expected {expected}"
            index = self._recorder.index
            self._malformed[f] = Anomaly(checker=CHECKER, kind=MALFORMED, detail=f, index=index, message=message)

    def _blame(self, environment: Hearing, heard: int, process: int, f: str, error: Exception) -> None:
        """A client raised. Raises that again if it had received nothing, so that the servers have no part in it."""
        if environment.heard == heard or environment.lifetime.dead or isinstance(error, HarnessError):
            raise error
        name = type(error).__name__
        self._raised.append(
            Anomaly(
                checker=CHECKER,
                kind="exception",
                detail=name,
                index=self._recorder.index,
                message=f"process {process}: the system's client raised {name} in {f}: {error}",
                evidence={"traceback": "".join(traceback.format_exception(error))},
            )
        )

    def _wrong(self, f: str, asked: Any, told: Any) -> tuple[str, str] | None:
        """What was told, and what would have been an answer. None when it is one."""
        try:
            is_json = _is_json(told)
        except RecursionError:
            return "with a value that is nested without end", "a value of JSON"
        if not is_json:
            return f"with a value of type {_kind(told)}", "a value of JSON"
        function = self._functions.get(f)
        if function is None:
            return None
        value, result = freeze(asked), freeze(told)
        if not function.result.fits(result):
            return _shown(told), function.result.words
        if function.value.fits(value) and not function.answers_invoke(value, result):
            return f"as {f} {_shown(told)}", "an answer to what was asked"
        return None


def _single(groups: Sequence[str]) -> str:
    """The group of a client of one, and no name of a group for others."""
    return groups[0] if len(groups) == 1 else ""


def _is_json(value: Any) -> bool:
    """Whether a value is the same once it was stored."""
    match value:
        case None | bool() | str():
            return True
        case int():
            return -_INTEGER_MAX <= value < 2 * _INTEGER_MAX
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(map(_is_json, value))
        case dict():
            return all(type(name) is str and _is_json(item) for name, item in value.items())
    return False


def _kind(value: Any) -> str:
    """The type of what is no JSON, without an address or another thing that differs from run to run."""
    if isinstance(value, (list, tuple, dict)):
        inside = value.items() if isinstance(value, dict) else value
        return next((_kind(item) for item in inside if not _is_json(item)), type(value).__name__)
    return type(value).__name__


def _shown(value: Any) -> str:
    text = show(freeze(value))
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
