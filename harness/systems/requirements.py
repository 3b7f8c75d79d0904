"""What a system of other people must have before it runs; for each lack, one line that names the class and the method.

What is wrong otherwise shows while a run goes on: as an exception of the node, which would be called a finding, or as a
traceback of the harness, which would be called its bug.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from harness.errors import BadInput, one_of
from harness.options import OptionSpec

from .adapter import Adapter, Client, Server
from .system import CAPABILITIES, System

_OF_SERVERS: Final = (
    ("start", (), True),
    ("process", ("messages",), False),
    ("sync", (), True),
    ("post", (), False),
)
_OF_CLIENTS: Final = (("open", (), True), ("invoke", ("f", "key", "value"), True))
_UNWRITTEN: Final = (Server.process, Client.invoke)
"""What the base classes leave to those who write an adapter."""


def require_complete(system: System, spec: str) -> None:
    """Raise BadInput for what a system lacks, or has in another form than it is used."""
    name = type(system).__name__
    require_capabilities(system.capabilities, f"{spec}: {name}.capabilities")
    for option in system.options:
        if not isinstance(option, OptionSpec):
            raise BadInput(f"option {option!r}", "an OptionSpec of harness.options", f"{spec}: {name}.options")
    if not isinstance(system, Adapter):
        return
    if type(system).server is Adapter.server:
        _require_methods(system.server_class, "server_class", _OF_SERVERS, spec)
    if type(system).client is Adapter.client:
        _require_methods(system.client_class, "client_class", _OF_CLIENTS, spec)


def require_capabilities(words: Any, where: str) -> None:
    """Raise BadInput for what no fault asks for: a wrong word would mean that no such fault is ever drawn."""
    if isinstance(words, str):
        raise BadInput(f"capabilities {words!r}", "a tuple of words", where)
    for word in words:
        if word not in CAPABILITIES:
            raise BadInput(f"capability {word!r}", one_of(CAPABILITIES, typed=str(word)), where)


def _require_methods(
    owner: object, role: str, methods: tuple[tuple[str, tuple[str, ...], bool], ...], spec: str
) -> None:
    if not isinstance(owner, type):
        raise BadInput(f"{role} {owner!r}", "a class", spec)
    if owner in (Server, Client):
        raise BadInput(f"no {role}", f"{role} = a class with {methods[-1][0] if owner is Client else 'process'}", spec)
    for name, parameters, is_async in methods:
        method = getattr(owner, name, None)
        written = f"{'async ' * is_async}def {name}({', '.join(('self', *parameters))})"
        if not callable(method) or method in _UNWRITTEN:
            raise BadInput(f"{owner.__name__} without {name}", written, spec)
        if inspect.iscoroutinefunction(method) is not is_async:
            raise BadInput(f"{owner.__name__}.{name}, which is {'not ' * is_async}async", written, spec)
        require_callable(method, f"{owner.__name__}.{name}", ("self", *parameters), spec, written)


def require_callable(
    function: Callable[..., Any], name: str, parameters: tuple[str, ...], where: str, written: str = ""
) -> None:
    """Raise BadInput for what cannot be called with these parameters, by place."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # of what is written in C, Python cannot always tell
    try:
        signature.bind(*parameters)
    except TypeError:
        raise BadInput(f"{name}{signature}", written or f"{name}({', '.join(parameters)})", where) from None
