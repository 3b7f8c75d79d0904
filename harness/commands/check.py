"""`foreshock check`: any stored history, also of other tools, or one that is still being written."""

from __future__ import annotations

import contextlib
import gzip
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec

from checkers.json_lines import UNREADABLE
from checkers.located import is_located
from checkers.members import require_single_value
from checkers.verdict import Verdict
from harness import quantities
from harness.errors import BadInput, Exit, one_of
from harness.judged import JudgedAnomaly, judged

from .arguments import json_option, quantity, typed
from .check_many import check_many
from .printing import print_json, say
from .verdicts import print_heading, print_verdict

STANDARD_INPUT: Final = "standard input"

_LIMITS: Final = ("time_limit", "memory_limit")

_SEARCH_ONLY: Final = ("cross_check", "explain", "explain_limit", *_LIMITS)
"""Options of the search for an order, which other conditions do not know."""

_STREAM_REFUSES: Final = ("consistency", "expect", "lenient", "failed_cas", "nil_read", *_SEARCH_ONLY[:-2])


@click.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--model",
    default="auto",
    show_default=True,
    metavar="M",
    help="What the object is: register, cas-register, counter, ..., or FILE.py:NAME; auto chooses by what the history "
    "contains.",
)
@click.option(
    "--consistency",
    type=click.Choice(["linearizable", "sequential", "staleness", "set-full", "counter-bounds"]),
    default="linearizable",
    show_default=True,
    help="What is asked of the history. Registers: sequential, staleness; sets: set-full; counters: counter-bounds.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="MODEL",
    help="What a store of transactions promises: strict-serializable (the default), serializable, snapshot-isolation, "
    "read-committed, ...; docs/transactions.md has all. May be given more than once.",
)
@click.option("--initial", metavar="JSON", help="The state at the start, where it is not the model's own.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "jsonl", "edn", "jepsen-log", "porcupine", "maelstrom", "csv"]),
    default="auto",
    show_default=True,
    help="How the file is written, with or without gzip; see the examples.",
)
@click.option(
    "--failed-cas",
    type=click.Choice(["auto", "constraint", "nothing"]),
    default="auto",
    show_default=True,
    help="What a failed cas says of the state.",
)
@click.option(
    "--nil-read",
    type=click.Choice(["auto", "absent", "anything"]),
    default="auto",
    show_default=True,
    help="What a read of nil says of the state.",
)
@click.option(
    "--mismatched",
    type=click.Choice(["refuse", "anomaly"]),
    default="refuse",
    show_default=True,
    help="What becomes of a completion that does not answer its invoke, such as a write of 1 answered as a write of 2.",
)
@click.option("--lenient", is_flag=True, help="Read a malformed history in its widest sense.")
@click.option(
    "--stream", is_flag=True, help="Judge JSON lines as they arrive; end at the first violation. Needs --model."
)
@click.option("--cross-check", is_flag=True, help="Ask two independent engines; exit 255 when they disagree.")
@click.option("--explain/--no-explain", default=True, help="Say why a history is invalid, or only by which line it is.")
@click.option(
    "--time-limit",
    type=quantity(quantities.duration),
    default="5m",
    show_default=True,
    metavar="TIME",
    help="Say unknown after this time. Under --stream there is none unless it is typed.",
)
@click.option(
    "--memory-limit",
    type=quantity(quantities.size),
    default="4GiB",
    show_default=True,
    metavar="SIZE",
    help="Say unknown above this size.",
)
@click.option(
    "--explain-limit",
    type=quantity(quantities.duration),
    default="10s",
    show_default=True,
    metavar="TIME",
    help="What all explanations may take together, once the verdict is told, within what is left of --time-limit.",
)
@json_option
def command(
    files: tuple[Path, ...],
    model: str,
    consistency: str,
    expect: tuple[str, ...],
    initial: str | None,
    form: str,
    failed_cas: Literal["auto", "constraint", "nothing"],
    nil_read: Literal["auto", "absent", "anything"],
    mismatched: Literal["refuse", "anomaly"],
    lenient: bool,
    stream: bool,
    cross_check: bool,
    explain: bool,
    time_limit: int,
    memory_limit: int,
    explain_limit: int,
    as_json: bool,
) -> int:
    """Decide whether a history is linearizable, or keeps another condition, and show why not.

    FILE is a history, or - for standard input. Its format is found by looking, or is named with --format.
    Of several FILEs, or of a folder, each gets a line; one process checks them all, with the limits for each.

    Example: foreshock check history.jsonl --model register. Exit 0 valid, 1 invalid, 2 unknown.

    \b
    jsonl       our own, one JSON object a line; index and time may be left out
                {"process":0,"type":"invoke","f":"write","key":"x","value":1}
    edn         Jepsen's history.edn, and what Knossos and Elle read
                {:process 0, :type :invoke, :f :write, :value 1}
    jepsen-log  Jepsen's history.txt and jepsen.log
                jepsen worker 0 - jepsen.util 0 :invoke :write 1
    porcupine   its Operation values as JSON, or its key-value logs
                {"ClientId":0,"Input":{"op":"put","key":"x","value":"1"},"Call":0,"Output":null,"Return":7}
    maelstrom   messages of clients and nodes, one JSON object a line
                {"src":"c1","dest":"n1","body":{"type":"write","key":"x","value":1,"msg_id":1}}
    csv         a table with one operation a row, whose first row is
                process,f,key,value,result,call,return
    """
    _refuse_unknown_model(model)
    state = _json(initial)
    if initial is not None and state is None:
        _require_null_state(model)
    if consistency != "linearizable" and not stream:
        _refuse_beside(_SEARCH_ONLY, f"--consistency {consistency}")
    heading = _Heading()

    def judge(file: Path, on_decided: Callable[[str], None] | None = None) -> Report:
        began = time.perf_counter()
        with malformed_is_bad_input():
            if stream:
                verdict = _judge_stream(
                    file,
                    form,
                    model=model,
                    initial=state,
                    mismatched=mismatched,
                    time_limit_s=time_limit / 1e9 if typed("time_limit") else None,
                    memory_limit_bytes=memory_limit,
                )
            else:
                search: dict[str, Any] = {
                    "time_limit_s": time_limit / 1e9,
                    "memory_limit_bytes": memory_limit,
                    "cross_check": cross_check,
                    "explain": explain,
                    "explain_limit_s": explain_limit / 1e9,
                    "on_decided": on_decided,
                }
                verdict = _judge_file(
                    file,
                    model,
                    format=form,
                    lenient=lenient,
                    consistency=consistency,
                    expect=expect,
                    initial=state,
                    failed_cas=failed_cas,
                    nil_read=nil_read,
                    mismatched=mismatched,
                    **(search if consistency == "linearizable" else {}),
                )
        return report(verdict, time.perf_counter() - began)

    if stream:
        _refuse_beside(_STREAM_REFUSES, "--stream")
    if len(files) > 1 or files[0].is_dir():
        if stream or Path("-") in files:
            raise BadInput("several files", f"one beside {'--stream' if stream else '-'}", "foreshock check")
        return check_many(files, judge, as_json=as_json)
    found = judge(files[0], None if as_json else heading.print)
    if as_json:
        print_json(found)
    else:
        _print(found, consistency, heading)
    return Exit.of(found.verdict)


def _refuse_unknown_model(model: str) -> None:
    import checkers
    from checkers import models

    if model not in ("auto", *checkers.MODELS) and not is_located(model) and model not in models.names():
        known = ["auto", *models.names(), "FILE.py:NAME"]
        raise BadInput(f"model {model!r}", one_of(known, typed=model), "--model")


def _require_null_state(model: str) -> None:
    """Refuse null as the initial state where objects do not begin with it: it would silently do nothing."""
    from checkers.models import named

    if model == "auto":
        raise BadInput("null without a model", "--model, which says whether it begins with null", "--initial")
    with malformed_is_bad_input():
        found = named(model)
        if found.init is not None:
            found.starting_at_json(None)


def _refuse_beside(names: Iterable[str], option: str) -> None:
    """What the other way of checking does not know would silently do nothing."""
    both = [name for name in names if typed(name)]
    if both:
        negated = "no-" if click.get_current_context().params.get(both[0]) is False else ""
        raise BadInput(f"--{negated}{both[0].replace('_', '-')} beside {option}", "one of both", "foreshock check")


def _judge_file(file: Path, model: str, **options: Any) -> Verdict:
    """Judge a whole history, from a file or from standard input."""
    import checkers

    if str(file) == "-":
        return checkers.check_file(sys.stdin.buffer.read(), model, source=STANDARD_INPUT, **options)
    return checkers.check_file(file, model, **options)


def _judge_stream(file: Path, form: str, *, model: str, **options: Any) -> Verdict:
    """Judge a history line by line, up to the first violation, the end, or a limit of time or memory."""
    from checkers.json_lines import read_lines
    from checkers.streaming import StreamingChecker

    if model == "auto":
        raise BadInput("no model", "the name of one: what has not arrived cannot be looked at", "--model")
    if form not in ("auto", "jsonl"):
        raise BadInput(f"--format {form} beside --stream", "jsonl, which is read line by line", "--format")
    checker = StreamingChecker(model, **options)
    source = STANDARD_INPUT if str(file) == "-" else str(file)
    try:
        with _opened(file) as lines:
            for number, op in read_lines(lines, source=source):
                if checker.feed(op, f"{source}:{number}") or checker.is_out_of_limits:
                    break
    except (OSError, EOFError, zlib.error) as error:
        found = getattr(error, "strerror", None) or str(error) or "an unreadable file"
        raise BadInput(found, "a history", source) from None
    return checker.finish()


def _opened(file: Path) -> Any:
    """Open a file, or standard input, to be read line by line; what gzip compressed is read as what it was."""
    if str(file) == "-":
        return sys.stdin.buffer
    with file.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
    return gzip.open(file) if is_packed else file.open("rb")


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        value = msgspec.json.decode(text)
    except (*UNREADABLE, UnicodeEncodeError):  # words of a command line may be no UTF-8, either
        raise BadInput(repr(text[:60]), 'JSON, such as 0, null or "a"', "--initial") from None
    with malformed_is_bad_input():
        require_single_value(text.encode(), value, "--initial")
    return value


class _Heading:
    """The line with the verdict, which is printed once, as soon as it is known."""

    def __init__(self) -> None:
        self.is_printed = False

    def print(self, verdict: str) -> None:
        """Print it before the explanations of a violation are looked for."""
        if verdict == "invalid":
            print_heading(verdict)
            sys.stdout.flush()
            self.is_printed = True


def _print(found: Report, consistency: str, heading: _Heading) -> None:
    print_verdict(found, headed=not heading.is_printed)
    asked = "" if consistency == "linearizable" else f" for {consistency}"
    by = f"checked{asked} by {found.engine}, {found.seconds} s"
    say("history", f"{found.ops} ops of {found.model}, {by}")
    if consistency != "linearizable":
        for name, value in found.details.items():
            say("measured", f"{name.replace('_', ' ')}: {_plain(value)}")
    for note in found.notes:
        say("note", note)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items()) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def malformed_is_bad_input() -> Iterator[None]:
    """Turn the checkers' own exception into the harness's: a history from outside is input."""
    from checkers import MalformedHistory

    try:
        yield
    except MalformedHistory as error:
        raise BadInput(error.found, error.expected, error.where) from error


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict on a history, as `check --json` prints it."""

    verdict: str
    model: str
    ops: int
    engine: str
    anomalies: tuple[JudgedAnomaly, ...]
    seconds: float
    reason: str
    steps: int
    machine_dependent: bool
    notes: tuple[str, ...]
    details: dict[str, Any]


def report(verdict: Verdict, seconds: float, allows: Callable[[str], bool] = lambda _: False) -> Report:
    """Describe a verdict; `allows` says which signatures a broken assumption explains."""
    return Report(
        verdict=verdict.validity,
        model=verdict.model,
        ops=verdict.ops,
        engine=verdict.engine,
        anomalies=tuple(judged(anomaly, allowed=allows(anomaly.signature)) for anomaly in verdict.anomalies),
        seconds=round(seconds, 6),
        reason=verdict.reason,
        steps=verdict.steps,
        machine_dependent=verdict.machine_dependent,
        notes=verdict.notes,
        details=verdict.details,
    )
