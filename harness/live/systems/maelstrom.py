"""A program of the Maelstrom protocol as a live system: `--world live --system "maelstrom:COMMAND"`.

`foreshock maelstrom` is where that protocol is taught, with a network, services and workloads of its own. Here
such a program is one system among others: each node a process of its own with the program below it (`maelstrom_node`),
the same plans, faults, suites and comparisons as for any other, and linearizable registers as `lin-kv` has them.
"""

from __future__ import annotations

import itertools
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from checkers.importers.maelstrom import DEFINITE, INDEFINITE
from harness.errors import BadInput
from harness.live.specs import MAELSTROM
from harness.live.supervisor import Launch
from harness.systems.binding import Code
from harness.systems.system import Completion

from .maelstrom_node import Settings
from .processes import NodeSite, Processes, ask
from .programs import OUR_CODE, command_code
from .system import Site

_NODE: Final = "harness.live.systems.maelstrom_node"
_ABSENT: Final = "absent"


class Maelstrom(Processes):
    """The nodes of one program."""

    name = "maelstrom"
    workloads: tuple[str, ...] = ("register",)

    def __init__(self, spec: str) -> None:
        """Raises BadInput for a command that cannot be read."""
        self.spec = spec
        self._folder = Path.cwd()
        try:
            self._program = tuple(shlex.split(spec.removeprefix(MAELSTROM)))
        except ValueError as error:
            raise BadInput(str(error), "a command line", spec) from None
        if not self._program:
            raise BadInput("no command", "maelstrom:COMMAND, such as 'maelstrom:python3 kv.py'", spec)
        self._clients = itertools.count(1)

    @property
    def code(self) -> Code:
        """The files that the command names."""
        return command_code(self.spec, self._folder, self._program)

    def command(self, node: NodeSite) -> Sequence[str]:
        """The process that runs the program."""
        settings = Settings(
            name=node.name,
            own=_address(node.listens),
            told={name: _address(where) for name, where in node.others.items()},
            command=self._program,
            folder=str(self._folder),
        )
        return (sys.executable, "-m", _NODE, msgspec.json.encode(settings).decode())

    def launch(self, site: Site, node: str) -> Launch:
        """As for other processes; the program finds its folder in $FORESHOCK_DATA."""
        environment = {**OUR_CODE, "FORESHOCK_DATA": str(site.data / node)}
        return Launch(command=super().launch(site, node).command, environment=environment)

    async def perform(self, address: tuple[str, int], f: str, key: str | None, value: Any) -> Completion:
        """Ask the node there, as a client that nobody has been."""
        arguments = {"value": value} if f == "write" else {"from": value[0], "to": value[1]} if f == "cas" else {}
        body = {"type": f, "key": key, "msg_id": 1, **arguments}
        answer = await ask(address, {"src": f"c{next(self._clients)}", "dest": "", "body": body})
        return completion(f, value, answer["body"])


def completion(f: str, value: Any, body: Mapping[str, Any]) -> Completion:
    """Say what an operation came to by the body of its answer. Raises ValueError for what is none."""
    if body["type"] == "error":
        code = body["code"]
        if f == "read" and DEFINITE.get(code) == _ABSENT:
            return Completion("ok", value=None)
        unclear = Completion("info", error=INDEFINITE.get(code, "unknown-error"))
        return Completion("fail", error=DEFINITE[code]) if code in DEFINITE else unclear
    if body["type"] != f"{f}_ok" or (f == "read" and "value" not in body):
        raise ValueError(f"a {f} was answered with {json.dumps(body)}")
    return Completion("ok", value=body["value"] if f == "read" else value)


def _address(spelled: str) -> tuple[str, int]:
    host, _, port = spelled.rpartition(":")
    return host, int(port)
