"""What is typed about a cluster: names, addresses, members. Each mistake is one line that says what was expected."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Final

Address = tuple[str, int]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST_LENGTH_MAX: Final = 253
_PORT_MAX: Final = 65535


class BadArguments(ValueError):
    """What was typed cannot be meant. One line for people."""


def parse_nodes(texts: Sequence[str], flag: str = "--node") -> dict[str, Address]:
    """The address book in NAME=HOST:PORT, an item a node. Raises BadArguments."""
    nodes: dict[str, Address] = {}
    for text in texts:
        name, is_there, address = text.partition("=")
        if not is_there:
            raise BadArguments(f"{flag} is {text!r}; expected NAME=HOST:PORT")
        check_name(flag, name)
        if name in nodes:
            raise BadArguments(f"{flag} names {name} twice; expected each node once")
        nodes[name] = parse_address(f"{flag} {name}", address)
    return nodes


def parse_address(flag: str, text: str) -> Address:
    """HOST:PORT, with an IPv6 address in brackets. Raises BadArguments."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= _PORT_MAX):
        raise BadArguments(f"{flag} is {text!r}; expected NAME=HOST:PORT with a port from 0 to {_PORT_MAX}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not (_is_ip(host) or _is_host_name(host)):
        raise BadArguments(f"{flag} has the host {host[:80]!r}; expected a host name or an IP address")
    return host, int(port)


def parse_names(flag: str, text: str) -> tuple[str, ...]:
    """Names of nodes, separated by commas. Raises BadArguments for an empty one and for one that comes twice."""
    names = tuple(text.split(",")) if text else ()
    for name in names:
        check_name(flag, name)
        if names.count(name) > 1:
            raise BadArguments(f"{flag} names {name} twice; expected each node once")
    return names


def check_name(flag: str, name: str) -> None:
    """Raise BadArguments unless `name` can be that of a node, a group or a cluster."""
    if not _NAME.fullmatch(name):
        raise BadArguments(f"{flag} has the name {name[:80]!r}; expected 1 to 64 letters, digits, '_', '.' or '-'")


def check_members(name: str, voters: Sequence[str], learners: Sequence[str], nodes: Mapping[str, Address]) -> None:
    """Raise BadArguments unless a group of these can begin at node `name`."""
    if name not in nodes:
        known = f"one of the nodes {', '.join(nodes)}, or " if nodes else ""
        raise BadArguments(f"--name is {name!r}; expected {known}--node {name}=HOST:PORT")
    for flag, names in (("--voters", voters), ("--learners", learners)):
        for member in names:
            if member not in nodes:
                raise BadArguments(f"{flag} names {member}, which has no address; expected --node {member}=HOST:PORT")
    for member in learners:
        if member in voters:
            raise BadArguments(f"--learners names {member}, which is a voter; expected one or the other")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def is_unspecified(host: str) -> bool:
    """Whether an address says "every interface of this machine", and so nothing to others."""
    return _is_ip(host) and ipaddress.ip_address(host).is_unspecified


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_host_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    # Four numbers that are no IP address are a mistyped one, and no name.
    return len(host) <= _HOST_LENGTH_MAX and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdecimal()
