"""`python -m raft_impl`: what `program` describes.

Ctrl-C waits until all modules are there: met by an interpreter that makes their classes, it would be answered with a
traceback, or with a crash of the library that makes them. Who starts this program with SIGINT blocked, as `foreshock
node` does, leaves no moment in which it is not answered with one line.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the program, and leave with its exit code."""
    code = 130
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    from .program import main as run

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        code = run()
    except KeyboardInterrupt:
        print("error: interrupted: stopped by Ctrl-C", file=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left but the end of the interpreter
    sys.exit(code)


if __name__ == "__main__":
    main()
