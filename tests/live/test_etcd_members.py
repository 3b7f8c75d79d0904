"""Changes of the members of etcd, one answer after the other: who is out, and who is started again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from harness.live.addresses import Addresses, spelled
from harness.live.systems import etcd_members
from harness.live.systems.http_exchange import Broken

pytest.importorskip("h11")

NODES = ("n1", "n2", "n3")


class FakeEtcd:
    """A cluster that does what it is asked; all members know of it at once."""

    def __init__(self, folder: Path, voters: Sequence[str]) -> None:
        self.up = set(voters)
        self.ended: list[tuple[str, str]] = []
        """What was said of processes that were ended."""
        addresses = Addresses(NODES, ("c1",), ("client", "peer"))
        self.url_of = {name: f"http://{spelled(addresses.told(name, 'peer'))}" for name in NODES}
        self.listed = {str(number): (name, False) for number, name in enumerate(voters, 1)}
        """number -> (node, whether it learns)"""
        self._next_number = 100
        self.loses: dict[str, bool] = {}
        """What is not answered once ("add"), and whether it was done all the same."""
        self.refuses: dict[str, int] = {}
        """What is refused once, and with which code."""
        self.never_begun: set[str] = set()
        """Members that have not said their names yet."""
        supervisor = SimpleNamespace(kill=self._kill, on_death=self._ended)
        self.site: Any = SimpleNamespace(addresses=addresses, data=folder, supervisor=supervisor)
        for name in voters:
            (folder / name).mkdir()
        self.members = etcd_members.Members(voters, NODES)

    def _kill(self, name: str) -> bool:
        was_up = name in self.up
        self.up.discard(name)
        return was_up

    def _ended(self, name: str, how: str) -> None:
        assert self.members.is_out(name), "else it is a death that nobody wanted"
        self.ended.append((name, how))

    async def post(self, path: str, document: Mapping[str, Any], timeout_s: float) -> tuple[int, dict[str, Any]]:
        """Answer as the gateway does."""
        what = path.rpartition("/")[2]
        if what in self.loses:
            if self.loses.pop(what):
                self._perform(what, document)
            raise Broken(was_sent=True)
        if what in self.refuses:
            return 503, {"error": "etcdserver: it said no", "code": self.refuses.pop(what)}
        return self._perform(what, document)

    def close(self) -> None:
        """Nothing is open."""

    def _perform(self, what: str, document: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if what == "list":
            return 200, {
                "members": [
                    {"ID": number, "peerURLs": [self.url_of[name]], "isLearner": learns, **self._name_of(name)}
                    for number, (name, learns) in self.listed.items()
                ]
            }
        if what == "add":
            self._next_number += 1
            name = next(name for name, url in self.url_of.items() if url == document["peerURLs"][0])
            if name in self.names:
                return 412, {"error": "etcdserver: Peer URLs already exists", "code": 9}
            self.listed[str(self._next_number)] = (name, document["isLearner"])
            return 200, {}
        if document["ID"] not in self.listed:
            return 404, {"error": "etcdserver: member not found", "code": 5}
        name, _ = self.listed.pop(document["ID"])
        if what == "promote":
            self.listed[document["ID"]] = (name, False)
        return 200, {}

    def _name_of(self, node: str) -> dict[str, str]:
        return {} if node in self.never_begun else {"name": node}

    @property
    def names(self) -> dict[str, bool]:
        """Which members there are, and whether they learn."""
        return dict(self.listed.values())

    def ask(self, voters: Sequence[str], learners: Sequence[str] = ()) -> bool:
        """Ask once for these members; start those that are back, as the run does."""
        were_out = [name for name in NODES if self.members.is_out(name)]
        taken = trio.run(self.members.change, self.site, "n2", voters, learners)
        for name in were_out:
            if not self.members.is_out(name) and name not in self.up:
                assert not (self.site.data / name).exists(), "it begins anew"
                self.up.add(name)
                (self.site.data / name).mkdir()
        return taken


@pytest.fixture
def etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEtcd:
    """Three voters that are up."""
    fake = FakeEtcd(tmp_path, NODES)
    monkeypatch.setattr(etcd_members, "HttpConnection", lambda address: fake)
    return fake


def test_a_voter_that_becomes_a_learner_leaves_and_is_started_again_at_once(etcd: FakeEtcd) -> None:
    taken = [etcd.ask(("n2", "n3"), ("n1",)) for _ in range(3)]

    assert taken == [False, False, True]
    assert etcd.names == {"n2": False, "n3": False, "n1": True}
    assert etcd.up == set(NODES)
    assert etcd.ended == [("n1", "removed")]


def test_the_end_of_a_process_that_is_removed_is_told_once(etcd: FakeEtcd) -> None:
    etcd.up.remove("n1")  # it was faster

    assert etcd.ask(("n2", "n3"))

    assert etcd.members.is_out("n1")
    assert etcd.ended == []
    assert etcd.ask(("n2",))
    assert etcd.ended == [("n3", "removed")]


@pytest.mark.parametrize("was_done", [True, False])
def test_a_node_whose_removal_was_not_answered_may_end_by_itself(etcd: FakeEtcd, was_done: bool) -> None:
    etcd.loses["remove"] = was_done

    assert not etcd.ask(("n2", "n3"))

    assert etcd.members.is_out("n1"), "its end is no finding"
    assert etcd.ask(("n2", "n3"))
    assert etcd.names == {"n2": False, "n3": False}


@pytest.mark.parametrize("was_done", [True, False])
def test_a_node_whose_removal_was_not_answered_comes_back_with_no_data(etcd: FakeEtcd, was_done: bool) -> None:
    """Whether it had left, nobody knows: so it leaves for certain, and begins anew."""
    etcd.loses["remove"] = was_done
    etcd.ask(("n2", "n3"))

    taken = [etcd.ask(NODES) for _ in range(3)]

    assert taken[-1]
    assert not etcd.members.is_out("n1")
    assert etcd.ended == [("n1", "removed")]
    assert etcd.up == set(NODES)
    numbers = {name: number for number, (name, _) in etcd.listed.items()}
    assert numbers["n1"] == "101", "a new member"


def test_a_node_whose_addition_was_not_answered_is_started_once_it_is_listed(etcd: FakeEtcd) -> None:
    etcd.ask(("n2", "n3"))
    etcd.loses["add"] = True

    taken = [etcd.ask(NODES) for _ in range(2)]

    assert taken == [False, True]
    assert not etcd.members.is_out("n1")
    assert etcd.up == set(NODES)
    assert etcd.members.told("n1") == (("n2", "n3", "n1"), True)


def test_a_node_that_was_not_added_is_not_started(etcd: FakeEtcd) -> None:
    etcd.ask(("n2", "n3"))
    etcd.loses["add"] = False

    assert not etcd.ask(NODES)

    assert etcd.members.is_out("n1")
    assert etcd.up == {"n2", "n3"}
    assert [etcd.ask(NODES) for _ in range(2)] == [False, True]
    assert etcd.up == set(NODES)


@pytest.mark.parametrize(("code", "is_certain"), [(14, False), (9, True)])
def test_a_refusal_says_that_nothing_was_done_only_where_etcd_had_not_begun(
    etcd: FakeEtcd, code: int, is_certain: bool
) -> None:
    """A leader that is deposed answers UNAVAILABLE, and what it had begun may be done by the next one."""
    etcd.refuses["remove"] = code

    etcd.ask(("n2", "n3"))

    assert etcd.members.is_out("n1") is not is_certain
    assert etcd.up == set(NODES)


def test_a_member_that_has_not_begun_is_told_of_the_members_as_they_are_by_now(etcd: FakeEtcd) -> None:
    """Etcd refuses to begin as one of three where there are two: that end is none of its own."""
    etcd.ask(("n2", "n3"))
    etcd.never_begun = {"n1"}
    etcd.ask(NODES)
    assert etcd.members.told("n1") == (("n2", "n3", "n1"), True)

    assert etcd.ask(("n1", "n2"))

    assert etcd.members.told("n1") == (("n2", "n1"), True)
    assert etcd.members.is_joining("n1")
    etcd.never_begun.clear()
    assert etcd.ask(("n1", "n2"))
    assert not etcd.members.is_joining("n1")


def test_a_first_member_never_joins(etcd: FakeEtcd) -> None:
    assert not any(etcd.members.is_joining(name) for name in NODES)
