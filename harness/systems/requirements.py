"""What a system of other people must have before it runs; for each lack, one line that names the class and the method.

What is wrong otherwise shows while a run goes on: as an exception of the node, which would be called a finding, or as a
traceback of the harness, which would be called its bug.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
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
    require_options(system.options, f"{spec}: {name}.options")
    if not isinstance(system, Adapter):
        return
    if type(system).server is Adapter.server:
        _require_methods(system.server_class, "server_class", _OF_SERVERS, spec)
    if type(system).client is Adapter.client:
        _require_methods(system.client_class, "client_class", _OF_CLIENTS, spec)


def require_words(words: Any, what: str, where: str, *, least: int = 0) -> tuple[str, ...]:
    """What a person wrote as a tuple of words, `least` of them at least. Raises BadInput for anything else."""
    is_listed = isinstance(words, Collection) and not isinstance(words, str | bytes)
    if not is_listed or len(words) < least or not all(isinstance(word, str) for word in words):
        raise BadInput(f"{what} {words!r}", "a tuple with one name at least" if least else "a tuple of words", where)
    return tuple(words)


def require_capabilities(words: Any, where: str) -> None:
    """Raise BadInput for what no fault asks for: a wrong word would mean that no such fault is ever drawn."""
    require_known(words, "capabilities", "capability", CAPABILITIES, where)


def require_known(words: Any, what: str, one: str, known: Collection[str], where: str) -> None:
    """Raise BadInput for what is no tuple of words, or a word of it that is not one of the known ones."""
    for word in require_words(words, what, where):
        if word not in known:
            raise BadInput(f"{one} {word!r}", one_of(known, typed=word), where)


def require_options(options: Any, where: str) -> None:
    """Raise BadInput for what is no tuple of options."""
    if not isinstance(options, tuple | list):
        raise BadInput(f"options {options!r}", "a tuple of OptionSpec", where)
    for option in options:
        if not isinstance(option, OptionSpec):
            raise BadInput(f"option {option!r}", "an OptionSpec of harness.options", where)


def _require_methods(
    owner: object, role: str, methods: tuple[tuple[str, tuple[str, ...], bool], ...], spec: str
) -> None:
    if not isinstance(owner, type):
        raise BadInput(f"{role} {owner!r}", "a class", spec)
    if owner in (Server, Client):
        raise BadInput(f"no {role}", f"{role} = a class with {methods[-1][0] if owner is Client else 'process'}", spec)
    for name, parameters, awaited in methods:
        method = getattr(owner, name, None)
        written = f"{'async ' * awaited}def {name}({', '.join(('self', *parameters))})"
        if not callable(method) or method in _UNWRITTEN:
            raise BadInput(f"{owner.__name__} without {name}", written, spec)
        if not is_async(method) if awaited else inspect.iscoroutinefunction(method):
            raise BadInput(f"{owner.__name__}.{name}, which is {'not ' * awaited}async", written, spec)
        require_callable(method, f"{owner.__name__}.{name}", parameters_of(owner, name, parameters), spec, written)


def is_async(function: Any) -> bool:
    """Whether what a call returns can be awaited: a decorator may be a plain function that passes that on."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inspect.unwrap(function))


def parameters_of(owner: object, name: str, parameters: tuple[str, ...]) -> tuple[str, ...]:
    """What a method is called with, taken as `owner.name`: that of a class wants the instance as well."""
    if not isinstance(owner, type):
        return parameters
    method = inspect.getattr_static(owner, name)
    is_bound = isinstance(method, staticmethod | classmethod) or not hasattr(type(method), "__get__")
    return parameters if is_bound else ("self", *parameters)


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
