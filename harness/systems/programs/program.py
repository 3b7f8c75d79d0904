"""A Trio program as a system under test: `--system trio:FILE.py:NAME`, `trio:FILE.py`, `trio:MODULE:NAME`.

NAME is a class that is made without arguments; without a NAME it is the module itself. It has

    workloads = ("register",)                     the workloads that its client understands
    async def node(name, peers, data_dir)         one node, until it is cancelled
    client(name, servers)                         one session: `async invoke(f, key, value) -> Completion`

The code is loaded anew for every incarnation of every actor, under a name of its own, so that nothing in memory is
shared by nodes or outlives a kill, as with processes of an operating system. docs/trio.md is the guide.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import trio

from harness.errors import BadInput
from harness.plans.plan import Actor, Group
from harness.systems.adapter import Adapter
from harness.systems.binding import Code
from harness.systems.environment import Environment
from harness.systems.loader import code_digest, file_digest, first_line_of, load_file, unload
from harness.systems.requirements import (
    is_async,
    parameters_of,
    require_callable,
    require_capabilities,
    require_words,
)
from harness.systems.system import Completion, SystemClient, SystemServer

from .incarnation import current
from .libraries import Libraries
from .shadows import FUNCTIONS, program_builtins, shadows

PREFIX: Final = "trio:"
OP_SECONDS_MAX: Final = 5
"""An op that takes longer is of unknown outcome: a client that waits for ever would hide what comes after."""

_OF_INVOKE: Final = ("f", "key", "value")
_LOST: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, trio.EndOfChannel)
"""What a client raises when the network or the server failed it, and nobody can know how the op ended."""


def locate(spec: str) -> Code:
    """Find a program without running it. Raises BadInput."""
    file = _file_of(spec)
    top = _top_package(file)
    digest = code_digest(top) if top is not None else file_digest(file)
    return Code(spec=spec, directory=str(top or file.parent), digest=digest, is_foreign=True)


def load(code: Code) -> TrioProgram:
    """A located program as a system. Raises BadInput with one line for what is missing."""
    return TrioProgram(code)


class TrioProgram(Adapter):
    """The program, as the harness sees it. Its nodes and clients are run by `harness.sim.programs`."""

    def __init__(self, code: Code) -> None:
        self._spec = code.spec
        self._file = _file_of(code.spec)
        self._alias = f"_foreshock_program_{code.digest[:12]}"
        self._libraries = Libraries(shadows(), FUNCTIONS)
        found = self.load("looked-at")
        unload(f"{self._alias}_looked-at")
        self.name = getattr(found, "name", "") or self._file.stem.replace("_", "-")
        self.workloads = require_words(getattr(found, "workloads", None), "workloads", code.spec, least=1)
        capabilities = getattr(found, "capabilities", ())
        require_capabilities(capabilities, f"{code.spec}: capabilities")
        self.capabilities = tuple(capabilities)

    def load(self, incarnation: str) -> Any:
        """The module, or an instance of the class, with `node` and `client`, for one incarnation. Raises BadInput."""
        found: Any = load_file(self._file, f"{self._alias}_{incarnation}", program_builtins)
        _, _, name = _place_and_name(self._spec)
        if name:
            if not hasattr(found, name):
                raise BadInput(f"no name {name!r}", "a class with node and client", self._spec)
            found = getattr(found, name)
        if isinstance(found, type):
            try:
                found = found()
            except (Exception, SystemExit) as error:
                raise BadInput(first_line_of(error), "a class that is made without arguments", self._spec) from error
        if not is_async(getattr(found, "node", None)):
            raise BadInput("no async def node", "async def node(name, peers, data_dir)", self._spec)
        if not callable(getattr(found, "client", None)):
            raise BadInput("no client", "client(name, servers), a class or a function", self._spec)
        require_callable(found.node, "node", ("name", "peers", "data_dir"), self._spec)
        require_callable(found.client, "client", ("name", "servers"), self._spec)
        if isinstance(found.client, type):
            _require_invoke(found.client, self._spec)
        return found

    @contextlib.contextmanager
    def loaded(self, incarnation: str) -> Iterator[Any]:
        """While this lasts, the code of an incarnation is loaded, and its libraries are simulated. Raises BadInput."""
        alias = f"{self._alias}_{incarnation}"
        try:
            found = self.load(incarnation)
            with self._libraries.changed(alias):
                yield found
        finally:
            unload(alias)

    def kind_of(self, frame: bytes) -> str:
        """The kind of a message: all are segments of TCP."""
        return "segment"

    def server(
        self, env: Environment, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]
    ) -> SystemServer:
        """Refuse: a Trio program is not stepped."""
        raise BadInput("a Trio program", "a world that runs tasks: run, suite, replay and shrink do", self._spec)

    def client(
        self, env: Environment, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> SystemClient:
        """A client of the program, in the incarnation whose code runs now."""
        home = actor.home or servers[0]
        return Session(env.actor, (home, *(name for name in servers if name != home)))


class Session:
    """One session of a program's client, for the interpreter."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self._name, self._servers = name, servers
        self._session: Any = None

    async def open(self) -> str | None:
        """Nothing: a session opens with its first op."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op. What the network did to it is `info`, and `fail` for a read, which changes nothing."""
        if self._session is None:
            session = current().program.client(self._name, self._servers)
            _require_invoke(session, "client(name, servers)")
            self._session = session
        try:
            with trio.fail_after(OP_SECONDS_MAX):
                return await self._session.invoke(f, key, value)  # type: ignore[no-any-return]
        except Exception as error:
            if not _is_lost(error):
                raise
            await self._close()
            return Completion("fail" if f == "read" else "info", error=_word_of(error))

    async def _close(self) -> None:
        session, self._session = self._session, None
        close = getattr(session, "aclose", None)
        if close is None:
            return
        with trio.CancelScope() as scope, contextlib.suppress(*_LOST):
            scope.cancel()
            await close()


def _require_invoke(owner: Any, where: str) -> None:
    name = f"{getattr(owner, '__name__', type(owner).__name__)}.invoke"
    invoke = getattr(owner, "invoke", None)
    if not callable(invoke):
        raise BadInput(f"no {name}", "async def invoke(self, f, key, value)", where)
    if not is_async(invoke):
        raise BadInput(f"{name}, which is not async", "async def invoke(self, f, key, value)", where)
    require_callable(invoke, name, parameters_of(owner, "invoke", _OF_INVOKE), where)


def _is_lost(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_lost(leaf) for leaf in error.exceptions)
    return isinstance(error, _LOST)


def _word_of(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return "timeout" if isinstance(error, trio.TooSlowError) else "connection-lost"


def _place_and_name(spec: str) -> tuple[str, bool, str]:
    """Where the code is, whether that is a file, and the name in it, which may be empty."""
    place, _, name = spec.removeprefix(PREFIX).partition(":")
    return place, place.endswith(".py"), name


def _file_of(spec: str) -> Path:
    place, is_file, _ = _place_and_name(spec)
    if is_file:
        file = Path(place)
        if not file.is_file():
            raise BadInput(f"no file {place}", "a Python file, such as trio:my/server.py", spec)
        return file.resolve()
    try:
        found = importlib.util.find_spec(place) if place else None
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise BadInput(f"no module {place!r}", "trio:FILE.py:NAME, or trio:MODULE:NAME of one in Python", spec)
    return Path(found.origin)


def _top_package(file: Path) -> Path | None:
    """The outermost package around a file."""
    top = None
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        top = folder
    return top
