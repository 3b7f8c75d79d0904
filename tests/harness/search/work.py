"""What worker processes do in the tests of executors: importable by name, because workers are spawned."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from harness.errors import BadInput

_KEPT: list[bytes] = []
"""What a worker still holds after its answer."""


def perform(item: dict[str, Any]) -> Any:
    """Do what the item says."""
    match item["do"]:
        case "square":
            return item["n"] ** 2
        case "pid":
            return os.getpid()
        case "hash":
            return hash("foreshock")
        case "print":
            print("noise")
            return "quiet"
        case "raise":
            raise RuntimeError("a bug in the function")
        case "refuse":
            raise BadInput("a", "b", "c")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "die-once":
            if not Path(item["marker"]).exists():
                Path(item["marker"]).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return "second time"
        case "die-twice":
            marks = [Path(f"{item['marker']}-{number}") for number in (1, 2)]
            for mark in marks:
                if not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            return "third time"
        case "hang":
            if "file" in item:
                with Path(item["file"]).open("a") as tries:
                    tries.write("tried\n")
            while True:
                time.sleep(60)
        case "wait":
            while not Path(item["file"]).exists():
                time.sleep(0.01)
            return "waited"
        case "grow":
            taken = []
            while True:
                taken.append(b"x" * (1 << 20))
                time.sleep(0.001)
        case "swell":
            swollen = b"x" * item["bytes"]
            _KEPT.append(swollen)
            with Path(item["file"]).open("a") as tries:
                tries.write("ran\n")
            return "swollen"
        case "unpicklable":
            return lambda: None
        case "connect":
            socket.create_connection(("127.0.0.1", 9), timeout=1)
    return None
