"""Two-phase commit over two groups: whoever is gone in between, the next client finishes from the logs."""

from __future__ import annotations

from typing import Any

import pytest

from raft_impl import surface
from raft_impl.errors import Refused, Unknown
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.fakes import FakeEnv

SHARDS = ("g0", "g1")


class Store:
    """A cluster of two shards, its coordinators, and clients that play a coordinator which dies half-way."""

    def __init__(self, **options: Any) -> None:
        self.cluster = Cluster(3, machine="participant", groups=SHARDS, options=options)
        self.coordinators = 0

    def coordinator(self) -> tuple[FakeEnv, surface.Coordinator]:
        self.coordinators += 1
        env = self.cluster.world.env(f"k{self.coordinators}")
        made = surface.make_coordinator(env, groups=SHARDS, servers=self.cluster.names, options=self.cluster.options)
        self.cluster.run(env, made.open())
        return env, made

    def append(self, name: int, home: str = "g0") -> None:
        env, coordinator = self.coordinator()
        self.cluster.run(env, coordinator.append(name, home=home, key="x", element=name, shards=SHARDS))

    def look(self) -> dict[str, list[int]]:
        env, coordinator = self.coordinator()
        found: dict[str, list[int]] = self.cluster.run(env, coordinator.look("x", SHARDS))
        return found

    def say(self, shard: str, f: str, key: Any, value: Any = None) -> Any:
        """One request, as a coordinator that then dies would send it; again if no leader took it."""
        env, client = self.cluster.client(group=shard)
        self.cluster.run(env, client.open())
        for _ in range(20):
            try:
                return self.cluster.run(env, client.call(f, key, value))
            except (Refused, Unknown):
                self.cluster.world.run_for(100)
        raise AssertionError(f"{shard} has no leader")

    def prepare(self, shard: str, name: int, home: str) -> Any:
        return self.say(shard, "prepare", name, [home, list(SHARDS), "x", name])


@pytest.fixture(name="store", params=["on", "off"], ids=["sessions", "no-sessions"])
def _store(request: pytest.FixtureRequest) -> Store:
    return Store(sessions=request.param)


@pytest.mark.parametrize("home", SHARDS)
def test_a_transaction_stands_in_both_shards(store: Store, home: str) -> None:
    store.append(1, home)
    store.append(2, home)

    assert store.look() == {"g0": [1, 2], "g1": [1, 2]}


def test_the_same_transaction_again_is_no_second_one(store: Store) -> None:
    store.append(1)
    store.append(1)

    assert store.look() == {"g0": [1], "g1": [1]}


@pytest.mark.parametrize("home", SHARDS)
@pytest.mark.parametrize("prepared", [SHARDS[:1], SHARDS])
def test_what_was_not_decided_is_rolled_back_for_ever(store: Store, home: str, prepared: tuple[str, ...]) -> None:
    for shard in prepared:
        assert store.prepare(shard, 1, home) == ["prepared", None]

    assert store.look() == {"g0": [], "g1": []}
    assert store.prepare(home, 1, home) == ["aborted", None]
    with pytest.raises(Refused, match="aborted"):
        store.append(1, home)
    assert store.look() == {"g0": [], "g1": []}


@pytest.mark.parametrize("home", SHARDS)
def test_what_was_decided_is_carried_on_from_the_log_after_everything_crashed(store: Store, home: str) -> None:
    for shard in SHARDS:
        store.prepare(shard, 1, home)
    assert store.say(home, "commit", 1) == "committed"
    for name in store.cluster.names:
        store.cluster.restart(name)

    assert store.look() == {"g0": [1], "g1": [1]}


def test_a_transaction_gets_past_a_lock_whose_owner_is_gone(store: Store) -> None:
    store.prepare("g0", 1, "g1")

    store.append(2)

    assert store.look() == {"g0": [2], "g1": [2]}


def test_a_coordinator_that_was_only_slow_finds_its_transaction_aborted(store: Store) -> None:
    """All is prepared, then another client needs the lists, then the commit comes."""
    for shard in SHARDS:
        store.prepare(shard, 1, "g1")
    store.append(2)

    assert store.say("g1", "commit", 1) == "aborted"
    assert store.look() == {"g0": [2], "g1": [2]}


def test_an_outcome_can_be_asked_for(store: Store) -> None:
    assert store.say("g0", "outcome", 1) == "unknown"
    store.prepare("g0", 1, "g0")
    assert store.say("g0", "outcome", 1) == "prepared"
    store.say("g0", "commit", 1)
    assert store.say("g0", "outcome", 1) == "committed"


def test_transactions_at_once_are_in_the_same_order_in_both_shards(store: Store) -> None:
    clients = [store.coordinator() for _ in range(4)]
    for number, (env, coordinator) in enumerate(clients):
        home = SHARDS[number % 2]
        env.start(coordinator.append(number, home=home, key="x", element=number, shards=SHARDS))
    store.cluster.world.run_for(20_000)

    found = store.look()

    assert found["g0"] == found["g1"]
    assert sorted(found["g0"]) == [0, 1, 2, 3]


def test_without_the_second_shard_nothing_is_committed() -> None:
    """Its coordinator gives up in time, says so with certainty, and leaves no lock."""
    store = Store()
    env, coordinator = store.coordinator()
    store.cluster.world.delay = lambda source, target, frame: (
        None if target == "k1" and surface.kind_of(frame) == "reply" and b"g1" in frame else 1_000_000
    )

    with pytest.raises(Refused, match="aborted"):
        store.cluster.run(env, coordinator.append(1, home="g0", key="x", element=1, shards=SHARDS))

    store.cluster.world.delay = lambda source, target, frame: 1_000_000
    assert store.look() == {"g0": [], "g1": []}


def test_a_coordinator_needs_two_groups() -> None:
    env = Store().cluster.world.env("k")

    with pytest.raises(ValueError, match="at least 2"):
        surface.make_coordinator(env, groups=("g0",), servers=("n1",), options={})
