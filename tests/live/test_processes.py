"""Processes of other people's files: what a file must have, and what is known of an operation without an answer."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from harness import cli
from harness.errors import BadInput
from harness.live.systems.catalog import abilities_of_live, live_system
from harness.live.systems.processes import Completion, NodeSite, Processes, Unanswered, ask
from harness.plans.plan import Actor
from harness.systems import catalog
from harness.systems.catalog import load_systems
from harness.systems.checkouts import Checkouts

HEAD = "from harness.live.systems.processes import Processes\n\n"
WHOLE = """
class Store(Processes):
    workloads = ("register",)

    def command(self, node):
        return ("store", node.listens)

    async def perform(self, address, f, key, value):
        raise NotImplementedError
"""


def found(folder: Path, text: str) -> Any:
    (folder / "store.py").write_text(HEAD + text)
    with Checkouts() as checkouts:
        return live_system(f"{folder}/store.py:Store", checkouts)


def test_a_class_of_a_file_is_a_system_that_nobody_knows_the_leader_of(tmp_path: Path) -> None:
    system = found(tmp_path, WHOLE)

    able = abilities_of_live(system, "proxies")
    assert (able.workloads, able.has_leader) == (("register",), False)
    assert {"crash", "pause", "partition"} <= set(able.fault_kinds)
    assert system.code.is_foreign
    before = system.code.digest
    assert found(tmp_path, WHOLE + "# changed").code.digest != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Store = 1", "Store, which is no type"),
        ("class Store: pass", "Store, which is no Processes; expected a class based on it"),
        (WHOLE.replace("command", "commands"), "abstract method"),
        (WHOLE.replace("workloads", "work"), "Store without workloads"),
        ("class Other(Processes): pass", "no name 'Store'"),
        ("import nothing_like_that", "ModuleNotFoundError"),
        (WHOLE + "    def __init__(self):\n        {}['folder']\n", "KeyError: 'folder'; expected a class with"),
        (WHOLE + "    name = property(lambda self: 'mine')\n", "AttributeError: .*; expected a class with"),
        (WHOLE.replace('("register",)', "5"), "workloads 5; expected a tuple with one name at least"),
        (WHOLE.replace('("register",)', '"register"'), "workloads 'register'; expected a tuple with one name at least"),
        (WHOLE + "    def __init__(self):\n        raise SystemExit(3)\n", "SystemExit: 3; expected a class with"),
        ("class Store(Processes): pass\nraise SystemExit(3)", "SystemExit: 3; expected a file that can be imported"),
        (WHOLE + "    options = None\n", "options None; expected a tuple of OptionSpec"),
        (WHOLE + "    options = ('copy',)\n", "option 'copy'; expected an OptionSpec"),
        (
            WHOLE + "    options = ()\n",
            r"no option client_timeout_ms of type int; expected options = \(\*Processes.options, ...\)",
        ),
        (
            WHOLE + "    options = (Processes.options[0].__replace__(type='word'),)\n",
            "no option client_timeout_ms of type int; expected options",
        ),
        (WHOLE + "    fault_kinds = 'crash'\n", "fault_kinds 'crash'; expected a tuple of words"),
        (WHOLE + "    fault_kinds = ('crahs',)\n", "fault 'crahs'; expected .*crash"),
        (WHOLE + "    ports = ('peer',)\n", "no port 'main'"),
        (
            WHOLE + "    def is_ready(self, site):\n        return True\n",
            "Store.is_ready, which is not async; expected asy",
        ),
        (
            WHOLE + "    async def launch(self, site, node):\n        pass\n",
            "Store.launch, which is async; expected def",
        ),
        (
            WHOLE + "    async def is_ready(self):\n        return True\n",
            r"Store.is_ready\(self\); expected async def is_r",
        ),
        (WHOLE.replace("self, node", "self"), r"Store.command\(self\); expected def command\(self, node\)"),
        (WHOLE.replace("async def perform", "def perform"), "Store.perform, which is not async; expected async def"),
        (WHOLE + "    watch = None\n", r"Store.watch None; expected async def watch\(self, site, tell\)"),
    ],
)
def test_a_wrong_class_gets_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        found(tmp_path, text)
    assert len(str(refused.value).splitlines()) == 1


RUNS = WHOLE.replace('"store", node.listens', '"sleep", "60"')
READY = "    async def is_ready(self, site):\n        return True\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("    async def is_ready(self, site):\n        return {}['n1']\n", "found KeyError: 'n1'; expected methods"),
        ("    async def is_ready(self, site):\n        raise SystemExit(3)\n", "found SystemExit: 3; expected methods"),
        (READY + "    async def watch(self, site, tell):\n        return 1 / 0\n", "found ZeroDivisionError: division"),
        (READY + "    def client(self, *_):\n        return 1 / 0\n", "found ZeroDivisionError: division by zero"),
        (
            READY + "    def client(self, *_):\n        return None\n",
            "found NoneType without invoke, open; expected what",
        ),
        ("    def launch(self, site, node):\n        return 7\n", "found 7; expected `launch` to return a Launch"),
        ("    def is_out(self, site, node):\n        return node.missing\n", "found AttributeError: 'str' object"),
    ],
)
def test_what_a_method_raises_in_the_midst_of_a_run_gets_one_line(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store.py").write_text(HEAD + RUNS + text)
    words = ["--system", f"{tmp_path}/store.py:Store", "--seed", "1", "--duration", "1s", "--results", str(tmp_path)]

    code = cli.run(["run", "--world", "live", *words])

    output = capsys.readouterr()
    assert code == 254, output.err
    assert said in output.err.splitlines()[-1]


def test_a_class_need_not_call_the_one_that_it_is_based_on(tmp_path: Path) -> None:
    system = found(tmp_path, WHOLE + "    def __init__(self):\n        self.asked = 0\n")

    assert (system.name, system.spec) == ("Store", f"{tmp_path}/store.py:Store")
    system.last_words(None, "n1", lambda node, rows: None)


def test_a_class_that_asks_in_its_own_way_needs_no_option_for_it(tmp_path: Path) -> None:
    text = WHOLE + "    options = ()\n    def client(self, site, name, actor, nursery):\n        return None\n"

    assert found(tmp_path, text).options == ()


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("()", "found (); expected `command` to return a command line"),
        ("'sleep 60'", "found 'sleep 60'; expected `command` to return a command line"),
        ("b'sleep'", "found b'sleep'; expected `command` to return a command line"),
        ("None", "found TypeError: 'NoneType' object is not iterable; expected `command` to return a command line"),
        ("{}['port']", "found KeyError: 'port'; expected `command` to return a command line"),
    ],
)
def test_what_is_no_command_line_gets_one_line(tmp_path: Path, returned: str, said: str) -> None:
    system = found(tmp_path, WHOLE.replace('("store", node.listens)', returned))
    addresses = SimpleNamespace(nodes=("n1",), own=lambda name, port: ("127.0.0.1", 1))

    with pytest.raises(BadInput, match=re.escape(said)):
        system.launch(SimpleNamespace(addresses=addresses, data=tmp_path, options={}), "n1")


def test_a_neighbour_of_the_class_in_its_package_is_code_that_runs(tmp_path: Path) -> None:
    """A campaign goes on only with the code that it began with."""
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "wire.py").write_text("PORT = 1\n")
    before = found(tmp_path, WHOLE).code.digest

    (tmp_path / "wire.py").write_text("PORT = 2\n")

    assert found(tmp_path, WHOLE).code.digest != before


def test_a_file_that_is_not_there_is_named() -> None:
    with Checkouts() as checkouts, pytest.raises(BadInput, match=r"no file nowhere\.py"):
        live_system("nowhere.py:Store", checkouts)


def test_the_simulated_world_says_where_such_a_system_runs(tmp_path: Path) -> None:
    (tmp_path / "store.py").write_text(HEAD + WHOLE)
    with (
        Checkouts() as checkouts,
        pytest.raises(BadInput, match="Store, which starts processes; expected --world live"),
    ):
        load_systems(catalog.bind(f"{tmp_path}/store.py:Store", checkouts))


# -- clients -----------------------------------------------------------------------------------------------------------


class Scripted(Processes):
    """A system whose nodes are asked by a function."""

    workloads = ("register",)

    def __init__(self, asked: Callable[[tuple[str, int]], Awaitable[Completion]]) -> None:
        super().__init__()
        self._asked = asked

    def command(self, node: NodeSite) -> tuple[str, ...]:
        return (sys.executable, "--version")

    async def perform(self, address: tuple[str, int], f: str, key: str | None, value: Any) -> Completion:
        return await self._asked(address)


def asked(system: Processes, *ops: str, routing: Any = "leader") -> list[Completion]:
    """What a client whose home is n2 is told."""
    told = {"n1": ("host", 1), "n2": ("host", 2), "n3": ("host", 3)}
    addresses = SimpleNamespace(nodes=tuple(told), told=lambda name, port: told[name])
    site: Any = SimpleNamespace(addresses=addresses, options={"client_timeout_ms": 50})

    async def run() -> list[Completion]:
        async with trio.open_nursery() as nursery:
            client = system.client(site, "c1", Actor(kind="client", home="n2", routing=routing), nursery)
            return [await client.invoke(f, "x", 1) for f in ops]

    return trio.run(run)


def raising(error: BaseException) -> Processes:
    async def perform(address: tuple[str, int]) -> Completion:
        raise error

    return Scripted(perform)


@pytest.mark.parametrize(
    ("error", "write", "read"),
    [
        (Unanswered(was_sent=True), "info", "fail"),
        (Unanswered(was_sent=False), "fail", "fail"),
        (trio.BrokenResourceError(), "info", "fail"),
        (ConnectionResetError(), "info", "fail"),
    ],
    ids=["sent", "not sent", "broken", "reset"],
)
def test_what_was_not_answered_is_in_doubt_unless_it_was_not_sent(error: Exception, write: str, read: str) -> None:
    system = raising(error)

    assert [completion.type for completion in asked(system, "write", "read")] == [write, read]


@pytest.mark.parametrize(
    ("perform", "said"),
    [
        (lambda: {}["missing"], "found KeyError: 'missing'; expected `perform` to return a Completion of write"),
        (lambda: None, "found None; expected `perform` to return a Completion of ok, fail, info"),
        (lambda: Completion("okay"), "expected `perform` to return a Completion of ok, fail, info"),
    ],
    ids=["raises", "nothing", "another type"],
)
def test_a_mistake_in_perform_gets_one_line(perform: Callable[[], Any], said: str) -> None:
    async def performed(address: tuple[str, int]) -> Any:
        return perform()

    with pytest.raises(BaseExceptionGroup) as refused:
        asked(Scripted(performed), "write")

    assert refused.group_contains(BadInput, match=re.escape(said), depth=None)


def test_an_answer_that_takes_too_long_is_in_doubt() -> None:
    async def perform(address: tuple[str, int]) -> Completion:
        await trio.sleep_forever()

    completions = asked(Scripted(perform), "write", "read")

    assert [(one.type, one.error) for one in completions] == [("info", "timeout"), ("fail", "timeout")]


@pytest.mark.parametrize(
    ("routing", "expected"), [("home", [2, 2, 2]), ("leader", [2, 2, 3]), ("any", [2, 3, 1])], ids=str
)
def test_a_client_keeps_to_a_node_as_the_plan_says(routing: str, expected: list[int]) -> None:
    ports: list[int] = []

    async def perform(address: tuple[str, int]) -> Completion:
        ports.append(address[1])
        if len(ports) == 2:
            raise Unanswered(was_sent=True)
        return Completion("ok", value=1)

    asked(Scripted(perform), "write", "write", "write", routing=routing)

    assert ports == expected


def test_a_line_is_asked_and_answered_and_a_node_that_hangs_up_has_not_answered() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        line = await stream.receive_some()
        await stream.send_all(b'{"found":' if b"half" in line else line[:1])
        await stream.send_all(b"" if b"half" in line else line[1:])

    async def run() -> Any:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            host, port = listeners[0].socket.getsockname()
            answer = await ask((host, port), ["read", "x", None])
            with pytest.raises(Unanswered) as half:
                await ask((host, port), ["half"])
            nursery.cancel_scope.cancel()
        with pytest.raises(Unanswered) as none:
            await ask((host, port), ["read"])
        return answer, half.value.was_sent, none.value.was_sent

    answer, half, none = trio.run(run)

    assert (answer, half, none) == (["read", "x", None], True, False)
