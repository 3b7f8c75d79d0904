"""Where everybody is: a loopback network of the run's own.

All of 127.0.0.0/8 is this machine. A run takes a /24 of it by chance, so that runs beside each other never meet:

| address | is |
| --- | --- |
| 127.a.b.1 and up | where the process of a node listens |
| 127.a.b.101 and up | where others reach that node: its proxy listens there |
| 127.a.b.201 and up | from where a client calls |

Where each node has a network namespace of its own (`namespaces`), it is 10.231.0.0/24 instead, nothing stands before a
node, and others reach it where it listens; the harness itself has the last address, which no fault cuts off.

A system may have several ports (one between nodes, one for clients); they are the same at each node.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from typing import Final

from harness.errors import BadInput

_NODES_MAX: Final = 99
_CLIENTS_MAX: Final = 50
_FIRST_PORT: Final = 7000
"""Below the ports that the operating system gives to whoever calls."""
_APART: Final = "10.231.0"
_TRIES_MAX: Final = 50


class Addresses:
    """The addresses of one run. Raises BadInput for more nodes or clients than there are."""

    def __init__(
        self, nodes: Sequence[str], clients: Sequence[str], ports: Sequence[str], *, has_namespaces: bool = False
    ) -> None:
        if len(nodes) > _NODES_MAX:
            raise BadInput(f"{len(nodes)} nodes", f"at most {_NODES_MAX} in a live world", "--nodes")
        if len(clients) > _CLIENTS_MAX:
            raise BadInput(f"{len(clients)} clients", f"at most {_CLIENTS_MAX} in a live world", "--concurrency")
        self.nodes, self.clients, self.ports = tuple(nodes), tuple(clients), tuple(ports)
        network = _APART if has_namespaces else _free_network()
        self.has_namespaces = has_namespaces
        self.of_harness = f"{network}.254"
        """From where the harness itself calls."""
        self._own = {name: f"{network}.{number}" for number, name in enumerate(nodes, 1)}
        first_told = 1 if has_namespaces else 101
        self._told = {name: f"{network}.{number}" for number, name in enumerate(nodes, first_told)}
        self._clients = {name: f"{network}.{number}" for number, name in enumerate(clients, 201)}
        self._client_at = {host: name for name, host in self._clients.items()}

    def own(self, node: str, port: str) -> tuple[str, int]:
        """Where the process of a node listens."""
        return self._own[node], self._number(port)

    def told(self, node: str, port: str) -> tuple[str, int]:
        """Where others reach it."""
        return self._told[node], self._number(port)

    def of_client(self, client: str) -> str:
        """From where a client calls."""
        return self._clients[client]

    def client_at(self, host: str) -> str | None:
        """Who calls from there, if it is a client."""
        return self._client_at.get(host)

    def _number(self, port: str) -> int:
        return _FIRST_PORT + self.ports.index(port)


def spelled(address: tuple[str, int]) -> str:
    """HOST:PORT."""
    return f"{address[0]}:{address[1]}"


def _free_network() -> str:
    """A /24 in which nobody listens where the first proxy would."""
    for _ in range(_TRIES_MAX):
        network = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}"
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((f"{network}.101", _FIRST_PORT))
            except OSError:
                continue
            return network
    raise BadInput("no free loopback network", "Linux, where all of 127.0.0.0/8 is this machine", "--world live")
