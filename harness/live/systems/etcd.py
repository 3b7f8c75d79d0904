"""etcd as a live system: members of Debian's `etcd-server`, asked through the JSON gateway of its API version 3.

Each member advertises the addresses of its proxies and listens elsewhere, which etcd allows for itself. Who leads is
asked from each member now and then; as leader and term are not told in one breath, that is for faults to aim by, and
not judged.

| option | means |
| --- | --- |
| `reads` | `linearizable`, etcd's default, or `serializable`: from the state of the member that is asked |
| `election_timeout_ms` | `--election-timeout`; heartbeats come ten times as often |
| `snapshot_threshold` | `--snapshot-count` |
| `client_timeout_ms` | how long a client waits for an operation |
| `lease_ttl_s` | how long a lock outlives its silent holder (workload `lock`) |
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Final

import trio

from harness.errors import BadInput
from harness.live.addresses import spelled
from harness.live.fault_world import KINDS
from harness.live.supervisor import Launch
from harness.options import OptionSpec
from harness.plans.plan import Actor
from harness.systems.binding import Code

from .etcd_client import EtcdClient
from .etcd_members import Members
from .http_exchange import Broken, HttpConnection
from .polling import Polled
from .programs import program_code
from .system import LiveClient, Site, Tell

_PROGRAM: Final = "etcd"
_STATUS_SECONDS_MAX: Final = 0.5
_HEARTBEATS: Final = 10
"""In an election timeout; etcd wants five at least."""

_OTHER_MEMBERS: Final = "member count is unequal"

_MISSING: Final = "no program etcd"


class Etcd(Polled):
    """A cluster of etcd."""

    name: str = "etcd"
    ports: tuple[str, ...] = ("client", "peer")
    fault_kinds: tuple[str, ...] = (*KINDS, "membership")
    tells_terms: bool = False
    workloads: tuple[str, ...] = ("register", "counter", "set", "list", "list-append", "lock")
    options: tuple[OptionSpec, ...] = (
        OptionSpec(
            name="reads",
            type="word",
            default="linearizable",
            neutral="linearizable",
            words=("linearizable", "serializable"),
        ),
        OptionSpec(
            name="election_timeout_ms", type="int", default=1000, neutral=1000, minimum=100, maximum=50_000, unit="ms"
        ),
        OptionSpec(name="snapshot_threshold", type="int", default=1000, neutral=100_000, minimum=1),
        OptionSpec(name="client_timeout_ms", type="int", default=3000, neutral=3000, minimum=1, unit="ms"),
        OptionSpec(name="lease_ttl_s", type="int", default=2, neutral=2, minimum=1, maximum=3600, unit="s"),
    )

    def __init__(self) -> None:
        """Raises BadInput where etcd is not installed."""
        if shutil.which(_PROGRAM) is None:
            raise BadInput(_MISSING, "an installed one (Debian: apt-get install etcd-server)", "--system etcd")
        super().__init__()
        self._members: Members | None = None  # of the run
        self._tell: Tell = lambda node, rows: None

    @property
    def code(self) -> Code:
        """The program that runs."""
        return program_code(self.name, _PROGRAM)

    def launch(self, site: Site, node: str) -> Launch:
        """The command line of a member. Etcd goes by its data once it has some: who the members are is said to one that
        begins, the first time or after it was removed.
        """
        addresses, timeout_ms = site.addresses, int(site.options["election_timeout_ms"])

        def url(address: tuple[str, int]) -> str:
            return f"http://{spelled(address)}"

        first, later = self._members_of(site).told(node)
        members = ",".join(f"{name}={url(addresses.told(name, 'peer'))}" for name in first)
        return Launch(
            command=(
                _PROGRAM,
                *("--name", node),
                *("--data-dir", str(site.data / node)),
                *("--listen-client-urls", url(addresses.own(node, "client"))),
                *("--advertise-client-urls", url(addresses.told(node, "client"))),
                *("--listen-peer-urls", url(addresses.own(node, "peer"))),
                *("--initial-advertise-peer-urls", url(addresses.told(node, "peer"))),
                *("--initial-cluster", members),
                *("--initial-cluster-state", "existing" if later else "new"),
                *("--initial-cluster-token", node_token(site)),
                *("--election-timeout", str(timeout_ms)),
                *("--heartbeat-interval", str(max(1, timeout_ms // _HEARTBEATS))),
                *("--snapshot-count", str(site.options["snapshot_threshold"])),
                *("--strict-reconfig-check=false",) * any(fault.kind == "membership" for fault in site.plan.faults),
                *("--logger", "zap", "--log-level", "warn"),
            )
        )

    def client(self, site: Site, name: str, actor: Actor, nursery: trio.Nursery) -> LiveClient:
        """A client of the gateways."""
        return EtcdClient(site, actor, nursery)

    def ended_rightly(self, site: Site, node: str) -> str:
        """A member that was added does not begin where the members have changed since it was told of them."""
        said = any(_OTHER_MEMBERS in line for line in site.supervisor.last_lines(node))
        return "members" if said and self._members_of(site).is_joining(node) else ""

    def is_out(self, site: Site, node: str) -> bool:
        """A member that was removed ends by itself, and has to begin anew with no data."""
        return self._members_of(site).is_out(node)

    async def administer(self, site: Site, node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Remove and add members, one after the other, as etcd demands it."""
        if command != "change":
            return False
        voters, learners = arguments["voters"], arguments["learners"]
        has_them = await self._members_of(site).change(site, node, voters, learners)
        if has_them:
            self._tell(node, [("config", next(iter(site.plan.groups)), 0, tuple(voters), (), tuple(learners))])
        return has_them

    async def watch(self, site: Site, tell: Tell) -> None:
        """Ask all members who leads, and say who the members are when that changes."""
        self._tell = tell
        await super().watch(site, tell)

    def _members_of(self, site: Site) -> Members:
        if self._members is None:
            self._members = Members(next(iter(site.plan.groups.values())).voters, site.plan.nodes)
        return self._members

    async def status(self, site: Site, node: str) -> tuple[str, int] | None:
        """Role and term of a member, asked where it listens; None when it does not answer."""
        connection = HttpConnection(site.addresses.own(node, "client"))
        try:
            status, answer = await connection.post("/v3/maintenance/status", {}, _STATUS_SECONDS_MAX)
        except Broken:
            return None
        finally:
            connection.close()
        if status != 200:
            return None
        role = "leader" if answer.get("leader") == answer["header"]["member_id"] else "follower"
        return role, int(answer.get("raftTerm", 0))


def node_token(site: Site) -> str:
    """What keeps members of two runs apart."""
    return f"{site.plan.sha256[:12]}-{spelled(site.addresses.told(site.addresses.nodes[0], 'peer'))}"
