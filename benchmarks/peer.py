"""Another checker beside ours: a program that is given the same history as a file, and its time.

    python -m benchmarks.checkers --porcupine PATH [WORD ...]

PATH is any program that is called as `PATH MODEL FILE SECONDS` and prints one line of JSON:

    {"verdict": "valid", "seconds": 0.0123}

`verdict` is valid, invalid or unknown (SECONDS were not enough), and `seconds` is what the check took, without reading.
MODEL is register, cas-register, counter or kv. FILE has one operation a line, in the order of calls, in the shape of
Porcupine's `Operation` that `foreshock check --format porcupine` reads too, but for the answers of a cas:

    {"ClientId": 0, "Input": {"op": "cas", "key": "k1", "value": [1, 2]}, "Call": 7, "Output": false, "Return": 9}

* `op` is get, put, append, cas, add or add-and-get. A get answers the value (null: nothing was there, and in kv the
  empty text), a cas whether it applied, an add-and-get [delta, sum], and anything else null.
* `key` is left out where there is one object. `Call` and `Return` are places in the history, all different.
* An operation that never returned has the return -1 and no output: it may have happened at any time after its call.

For Porcupine itself this program is some fifty lines of Go around its library: `go mod init peer`, `go get
github.com/anishathalye/porcupine`, read the lines into `[]porcupine.Operation` with -1 replaced by the largest integer,
name a `porcupine.Model` whose `Partition` divides by key, call `porcupine.CheckOperationsTimeout` between two looks at
the clock, print the line, `go build`. Where the library can hash states (`CheckOperationsTimeout` of a fork, or a model
that interns them), measure with it: that is the faster peer.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.histories import Recording
from checkers.operation import INF

NAMES: Final = {"read": "get", "write": "put"}

SECONDS: Final = 20
"""What a peer may take for one history, as in the table of its aims."""


class PeerFailed(Exception):
    """The program did not do what its caller expects; one line."""


class PeerAnswer(msgspec.Struct, frozen=True):
    """What a peer says of one history."""

    verdict: str
    seconds: float


def store(made: Recording, file: Path) -> None:
    """Write a recording as a peer reads it."""
    columns = made.keys, made.functions, made.values, made.outcomes, made.told, made.calls, made.returns
    rows = (_row(client, *row) for client, row in enumerate(zip(*columns, strict=True)))
    file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _row(client: int, key: Any, f: str, value: Any, outcome: str, told: Any, call: int, ret: int) -> dict[str, Any]:
    asked = {"op": NAMES.get(f, f), "value": value} | ({} if key is None else {"key": key})
    row = {"ClientId": client, "Input": asked, "Call": call, "Return": -1 if ret == INF else ret}
    if outcome == "info":
        return row
    answers = {"read": told, "cas": outcome == "ok", "add-and-get": told}
    return row | {"Output": answers.get(f)}


def ask(program: Path, model: str, file: Path, seconds: float = SECONDS) -> PeerAnswer:
    """Let a peer check a file; one that takes twice its time does not know.

    Raises `PeerFailed` where it ends otherwise than with its line.
    """
    command = [str(program), model, str(file), f"{seconds:g}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=2 * seconds + 10, check=False)
        answer = msgspec.json.decode(done.stdout, type=PeerAnswer) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        return PeerAnswer(verdict="unknown", seconds=seconds)
    except (OSError, msgspec.DecodeError) as error:
        raise PeerFailed(f"{program}: {error}; expected one line of JSON with verdict and seconds") from None
    if answer is None:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing on stderr"]
        raise PeerFailed(f"{program} ended with status {done.returncode} ({last[0]}); expected 0")
    if answer.verdict not in ("valid", "invalid", "unknown"):
        raise PeerFailed(f"{program}: verdict {answer.verdict!r}; expected valid, invalid or unknown")
    return answer
