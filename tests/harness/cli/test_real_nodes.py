"""`node`, `client` and `cluster` hand over what was typed to the package's own program, word for word."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from harness.commands import client, cluster, node, real_nodes
from harness.commands.group import invoke
from harness.errors import BadInput
from raft_impl.machines import CATALOG
from raft_impl.program import _parser, main

NODE = "--node=n1=127.0.0.1:7101"


class HandedOver(Exception):
    """Instead of another program."""


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What a command line becomes."""

    def become(program: str, words: list[str]) -> None:
        raise HandedOver(words[words.index("raft_impl") + 1 :])

    def given(*words: str) -> list[str]:
        with pytest.raises(HandedOver) as found:
            invoke(words)
        taken: list[str] = found.value.args[0]
        return taken

    monkeypatch.setattr(real_nodes.os, "execv", become)
    return given


def test_a_node_is_given_all_that_was_typed_and_nothing_else(handed_over: Callable[..., list[str]]) -> None:
    words = ["--name=n1", "--data=d", NODE, "--machine=map", "--join", "--http-peer=n2=h:1", "-ostorage=async"]

    assert handed_over("node", "--name", "n1", "--data", "d") == ["serve", "--name=n1", "--data=d"]
    assert handed_over("node", *words) == ["serve", *words]
    assert handed_over("node", "verify", "--data", "d", "--json") == ["verify", "--data=d", "--json"]
    assert handed_over("node", "dump", "--data", "d", "--group=g1") == ["dump", "--data=d", "--group=g1"]


def test_a_client_takes_negative_numbers_for_values(handed_over: Callable[..., list[str]]) -> None:
    common = ["call", NODE, "--group=g0"]

    assert handed_over("client", NODE, "add-and-get", "c", "-5") == [*common, "--", "add-and-get", "c", "-5"]
    assert handed_over("client", NODE, "--", "write", "-x", "1") == [*common, "--", "write", "-x", "1"]
    assert handed_over("client", NODE, "--json", "size") == [*common, "--json", "--", "size"]
    assert handed_over("client", "--shell", NODE) == ["shell", NODE, "--group=g0"]


def test_cluster_commands_are_handed_over(handed_over: Callable[..., list[str]]) -> None:
    common = [NODE, "--group=g0"]

    assert handed_over("cluster", "members", NODE) == ["cluster", "members", *common]
    assert handed_over("cluster", "status", NODE, "--json") == ["cluster", "status", *common, "--json"]
    replacing = handed_over("cluster", "replace", NODE, "n3", "n3=h:1")
    assert replacing == ["cluster", "replace", *common, "--", "n3", "n3=h:1"]
    adding = handed_over("cluster", "add", NODE, "--timeout=3", "n4=h:1", "--learner")
    assert sorted(adding[:-2]) == sorted(["cluster", "add", *common, "--timeout=3.0", "--learner"])
    assert adding[-2:] == ["--", "n4=h:1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("node",), "no name; expected foreshock node --name NAME"),
        (("node", "--name", "n1"), "no data; expected foreshock node --data DIR"),
        (("node", "--name", "n1", "--data", "d", "--machine", "toaster"), "'toaster' is not one of 'counter'"),
        (("node", "--name", "n1", "--data", "d", "--voter", "n1"), "or --voters"),
        (("client", NODE), "no command to call"),
        (("client", NODE, "write", "--grup", "g1"), "option --grup"),
        (("client", "read", "x"), "no node; expected foreshock client --node NAME=HOST:PORT"),
        (("client", NODE, "--shell", "write"), "--shell with a command"),
    ],
)
def test_what_is_mistyped_is_refused_before_anything_starts(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadInput) as found:
        invoke(words)

    assert message in str(found.value)


def test_the_state_machines_of_the_help_are_those_there_are() -> None:
    assert sorted(CATALOG) == list(node.MACHINES)


@pytest.mark.parametrize("command", [node.command, client.command, *cluster.command.commands.values()])
def test_every_option_says_what_it_is_for(command: object) -> None:
    assert all(one.help for one in command.params if one.param_type_name == "option")  # type: ignore[attr-defined]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The package's own commands by name, those of `cluster` among them."""

    def under(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
        found = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        return dict(found[0].choices) if found else {}

    named = under(_parser())
    return {**named, **{f"cluster {name}": one for name, one in under(named["cluster"]).items()}}


PAIRS = {
    "serve": node.command,
    "dump": node.command.commands["dump"],
    "verify": node.command.commands["verify"],
    "call": client.command,
    **{f"cluster {name}": one for name, one in cluster.command.commands.items()},
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_help_shows_exactly_the_options_and_arguments_that_the_package_takes(name: str) -> None:
    shown, taken = PAIRS[name], parsers()[name]

    offered = {one.opts[0]: (one.multiple, one.is_flag) for one in shown.params if isinstance(one, click.Option)}
    offered.pop("--shell", None)
    accepted = {
        action.option_strings[0]: (isinstance(action, argparse._AppendAction), action.nargs == 0)
        for action in taken._actions
        if action.option_strings and action.option_strings[0] != "-h"
    }
    assert offered == accepted
    required = [(one.required, one.nargs) for one in shown.params if isinstance(one, click.Argument)]
    positions = [action for action in taken._actions if not action.option_strings]
    assert len(required) == len(positions)


def test_no_command_of_the_package_lacks_a_face() -> None:
    assert parsers().keys() - {"cluster", "shell"} == PAIRS.keys()


def test_the_shell_takes_what_a_client_takes() -> None:
    offered = {option for one in client.command.params for option in one.opts}
    accepted = {option for action in parsers()["shell"]._actions for option in action.option_strings}

    assert accepted - {"-h", "--help"} <= offered


@pytest.mark.parametrize(
    ("words", "found", "expected", "where"),
    [
        (("call", "--node=n1", "--json", "read"), "--node is 'n1'", "NAME=HOST:PORT", "foreshock client"),
        (("verify", "--data=nix", "--json"), "--data is 'nix'", "a directory", "foreshock node verify"),
        (
            ("cluster", "add", NODE, "--json", "n4"),
            "NAME is n4, whose address is not known",
            "n4=HOST:PORT",
            "foreshock cluster add",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_one_json_document(
    words: tuple[str, ...], found: str, expected: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 254

    said = capsys.readouterr()
    assert said.err == f"error: {found}; expected {expected}\n"
    assert json.loads(said.out) == {"error": {"found": found, "expected": expected, "where": where}}


def test_a_failed_call_and_looked_at_data_are_one_json_document(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failed = main(["call", "--node=n1=127.0.0.1:1", "--json", "-o", "client_timeout_ms=50", "read", "x"])
    said = json.loads(capsys.readouterr().out)
    looked = main(["verify", "--json", "--data", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)

    assert (failed, said["outcome"], bool(said["word"]), "n1" in said["hint"]) == (1, "refused", True, True)
    assert (looked, found) == (0, {"findings": []})


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("foreshock node --m", {"--machine", "--max-request-bytes"}),
        ("foreshock node --machine co", {"counter", "counter-explicit"}),
        ("foreshock node ver", {"verify"}),
        ("foreshock client --sh", {"--shell"}),
        ("foreshock client --tls", {"--tls-cert", "--tls-key", "--tls-ca"}),
        ("foreshock cluster re", {"remove", "replace"}),
    ],
)
def test_a_shell_is_offered_what_fits(typed: str, offered: set[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness"],
        env={
            "_FORESHOCK_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


def test_a_folder_of_the_same_name_is_not_taken_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "raft_impl").mkdir()
    (tmp_path / "raft_impl" / "__init__.py").write_text("print('a stranger')\n")
    (tmp_path / "raft_impl" / "__main__.py").write_text("print('a stranger')\n")
    command = "import sys; del sys.path[0]; from harness.cli import main; main()"  # as the installed command begins
    words = ("node", "verify", "--data", str(tmp_path))

    done = subprocess.run(
        [sys.executable, "-c", command, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "a stranger" not in done.stdout
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("wait_seconds", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
def test_ctrl_c_ends_a_client_with_130_and_one_line_whenever_it_comes(wait_seconds: float) -> None:
    """The command, the moment in which it becomes another program, the imports of that, and its waiting."""
    command = [sys.executable, "-m", "harness", "client", "--node=n1=127.0.0.1:1", "read", "x"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "msgspec" not in Path(f"/proc/{client.pid}/maps").read_text():  # before, it is the interpreter's affair
        time.sleep(0.002)
    time.sleep(wait_seconds)

    client.send_signal(signal.SIGINT)
    _, err = client.communicate(timeout=60)

    assert (client.returncode, len(err.splitlines())) == (130, 1), err
    assert "interrupted" in err
