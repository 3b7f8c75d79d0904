"""The adapter gives every actor its address, which is its name, in the first membership and in each change."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

import raft_impl.errors
import raft_impl.surface
from harness.plans.plan import Group
from harness.systems.raft_impl import RaftImpl

GROUP = Group(machine="register", voters=("n1", "n2"), learners=("n3",))


class GroupSpecBefore(msgspec.Struct, frozen=True, kw_only=True):
    """As versions had it whose memberships know no addresses."""

    machine: str
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()


class Asked:
    """A server of n1 and n2 that takes every command."""

    def inspect(self) -> dict[str, Any]:
        return {"g0": {"membership": [["n1", "n2"], [], [], [["n1", "n1"], ["n2", "n2"]]]}}

    def command(self, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        self.arguments = dict(arguments)
        return True


def package(**changes: Any) -> Any:
    """The package with something else in its surface."""
    surface = SimpleNamespace(**{**vars(raft_impl.surface), **changes})
    return SimpleNamespace(surface=surface, errors=raft_impl.errors)


def test_members_and_newcomers_have_their_names_for_addresses() -> None:
    made: list[Any] = []
    system = RaftImpl(package(make_server=lambda env, *, groups, options: made.append(groups)))
    server: Any = Asked()

    system.server(None, None, {"g0": GROUP}, {})  # type: ignore[arg-type]
    taken = system.command(server, "g0", "change", {"voters": ("n1", "n4"), "learners": ("n5",)})

    assert made[0]["g0"].addresses == {"n1": "n1", "n2": "n2", "n3": "n3"}
    assert taken
    assert server.arguments["addresses"] == {"n4": "n4", "n5": "n5"}
    assert server.arguments["leave"] == ("n2",)


def test_a_version_without_addresses_is_given_none() -> None:
    made: list[Any] = []
    system = RaftImpl(
        package(GroupSpec=GroupSpecBefore, make_server=lambda env, *, groups, options: made.append(groups))
    )
    server: Any = Asked()

    system.server(None, None, {"g0": GROUP}, {})  # type: ignore[arg-type]
    system.command(server, "g0", "change", {"voters": ("n1", "n4"), "learners": ()})

    assert made[0]["g0"] == GroupSpecBefore(machine="register", voters=("n1", "n2"), learners=("n3",))
    assert "addresses" not in server.arguments
