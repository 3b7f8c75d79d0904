"""The entry point: runs the commands of `harness/commands`, and turns however they end into an exit code.

Scripts depend on three things that this file keeps for all commands. Exit codes are those of `harness.errors.Exit`.
Bad input is one line on stderr; a traceback means a bug of ours. With `--json`, stdout carries exactly one JSON
document, also for errors. Nothing but the standard library is imported before Ctrl-C is answered.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final, NoReturn

from .errors import BadInput, Exit

_INSIST_SECONDS: Final = 5
"""A command has cleared away what it made long before that."""
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    code = run(sys.argv[1:])
    # What is left is the end of the interpreter, which would answer Ctrl-C with a traceback. And if code in a string
    # was interrupted (a named tuple being made, say), it would kill itself by SIGINT, whatever the exit code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code == Exit.INTERRUPTED:
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command line. Returns the exit code."""
    as_json = "--json" in arguments
    try:
        with _interruptible():
            from .commands.group import invoke

            code = invoke(arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        return _leave_closed_pipe()
    except BaseException as error:
        return _report(error, as_json)
    return code


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a run at once.

    Trio replaces Python's own handler of SIGINT by one that waits until Trio asks the operating system for events; a
    simulation hardly ever does. Trio leaves any other handler alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = signal.signal(signal.SIGINT, _interrupt), sys.unraisablehook
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    # Wherever this happens to be raised, a finaliser or a callback may swallow it: then it is raised once more; what
    # the interpreter has to say of the first time helps no one.
    sys.unraisablehook = _tell_unless_interrupt
    signal.signal(signal.SIGALRM, _interrupt)
    signal.alarm(_INSIST_SECONDS)
    raise KeyboardInterrupt


def _tell_unless_interrupt(swallowed: sys.UnraisableHookArgs) -> None:
    if not issubclass(swallowed.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(swallowed)


def _interrupt_in(error: BaseException | None) -> KeyboardInterrupt | None:
    """Ctrl-C, also where Trio made it the cause of an error or one of a group."""
    match error:
        case None | KeyboardInterrupt():
            return error
        case BaseExceptionGroup():
            return next(filter(None, map(_interrupt_in, error.exceptions)), None)
    return _interrupt_in(error.__cause__)


def _leave_closed_pipe() -> int:
    """End as SIGPIPE ends other programs: the reader has gone (`foreshock runs | head`), which is no verdict."""
    # What is still buffered goes nowhere, so that the interpreter's last flush does not complain.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    return Exit.CLOSED_PIPE


def _report(error: BaseException, as_json: bool) -> int:
    """Say why a command ended: one line, and for a bug of ours its traceback."""
    if (interrupt := _interrupt_in(error)) is not None:
        # Trio's nurseries were left half-way: what they complain of when they are collected helps no one.
        sys.unraisablehook = lambda _: None
        warnings.simplefilter("ignore")
        print("; ".join(("interrupted", *map(str, interrupt.args))), file=sys.stderr)
        return Exit.INTERRUPTED
    if isinstance(error, BadInput):
        return _refuse(error.found, error.expected, error.where, as_json)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _refuse(
            f"an error of the file system ({error.strerror})", "room to write", error.filename or "stdout", as_json
        )
    return _report_internal_error(error, as_json)


def _refuse(found: str, expected: str, where: str, as_json: bool) -> int:
    found, expected, where = (" ".join(text.split()) for text in (found, expected, where))
    print(f"error: found {found}; expected {expected}; {where}", file=sys.stderr)
    _print_error(found, expected, where, as_json)
    return Exit.BAD_INPUT


def _report_internal_error(error: BaseException, as_json: bool) -> int:
    """Report a bug of ours: the traceback to repair it by, and one line for the end of a log."""
    traceback.print_exception(error, file=sys.stderr)
    last = traceback.extract_tb(error.__traceback__)[-1]
    found = " ".join(f"{type(error).__name__}: {error}".split())
    expected, where = "no internal error", f"{last.filename}:{last.lineno}"
    print(f"internal error: {found}; {where}", file=sys.stderr)
    _print_error(found, expected, where, as_json)
    return Exit.INTERNAL


def _print_error(found: str, expected: str, where: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        error = {"found": found, "expected": expected, "where": where}
        with contextlib.suppress(OSError):  # stdout itself may be what cannot be written
            print(msgspec.json.encode({"error": error}).decode(), flush=True)
