"""Each node in a network namespace of its own: what the kernel does to packets, in the place of proxies.

The harness itself runs in a namespace that nobody else is in (`enter` starts it once more under `unshare --net`), with
a bridge to which each node's namespace is tied. So nothing of this machine's own network is touched, nothing can leave,
and all of it is gone with the last process: no namespace has a name. The namespace of a node lasts as long as a process
that only holds it.

Faults are rules of nft in the namespaces of nodes, each with a counter, which says whether it has bitten:

| fault | a packet |
| --- | --- |
| partition, clog | is dropped; TCP sends it again, ever more rarely |
| loss | is dropped with that probability |

Packets are dropped where a node receives them, and what goes to a client where the node sends it. They cannot be
delayed, nor can a link be narrow: that would need the kernel's module netem, which is not everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from harness.errors import BadInput
from harness.faults.world import Edge, Effect
from harness.run.drawing import LiveNetwork

from .addresses import Addresses
from .nft import Nft
from .supervisor import Launch, Supervisor

_MISSING: Final = ("delay", "bandwidth")
"""Kinds of faults that the live world has, but not in namespaces."""
_INSIDE: Final = "FORESHOCK_IN_NAMESPACE"
"""Set where the harness has a namespace of its own."""
_PROGRAMS: Final = ("unshare", "nsenter", "ip", "nft")
_BRIDGE: Final = "foreshock0"
_TIE: Final = "eth0"
"""The interface of a node."""
_SECONDS_MAX: Final = 5.0
_WHERE: Final = "--network namespaces"


def kinds_with(network: LiveNetwork, kinds: Iterable[str]) -> tuple[str, ...]:
    """Those of these kinds of faults that there are with this network."""
    return tuple(kind for kind in kinds if network != "namespaces" or kind not in _MISSING)


def enter(words: Sequence[str]) -> None:
    """Be in a namespace of our own: start this command once more there, unless that has been done.

    Raises BadInput where this machine does not allow it.
    """
    if os.environ.get(_INSIDE) == str(os.getpid()):
        return
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise BadInput(f"no program {missing[0]}", "installed ones (Debian: util-linux, iproute2, nftables)", _WHERE)
    tried = subprocess.run(["unshare", "--net", "nft", "list", "ruleset"], capture_output=True, text=True, check=False)
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise BadInput(f"a machine that does not allow it ({why})", "root with nft, or --network proxies", _WHERE)
    _restart(words)


def _restart(words: Sequence[str]) -> NoReturn:
    """The process stays the same, so that who waits for it, or interrupts it, notices nothing."""
    sys.stdout.flush()
    command = ["unshare", "--net", "--", sys.executable, "-m", "harness", *words]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: str(os.getpid())})


class _Rules(msgspec.Struct):
    """The rules of one fault, by the node in whose namespace they are, and the packets that were counted."""

    of_node: dict[str, list[tuple[Edge, str, str]]] = {}
    """(link, chain, rule)"""
    told: int = 0


class Namespaces:
    """The namespaces of one run, and what faults do in them: the `FaultNetwork` of the kernel."""

    def __init__(self, addresses: Addresses, supervisor: Supervisor, now_ns: Callable[[], int]) -> None:
        self.counts: Counter[str] = Counter()
        """Packets that faults dropped, and the "pieces" of a network that carries packets: those that came to nodes."""
        self._addresses = addresses
        self._holders: dict[str, int] = {}
        self._nft: dict[str, Nft] = {}  # by node
        self._rules: dict[str, _Rules] = {}  # by fault
        self._now_ns = now_ns
        self.close()  # what a run has left that was killed
        try:
            _run("ip", "link", "set", "lo", "up")
            _run("ip", "link", "add", _BRIDGE, "type", "bridge")
            for host in (addresses.of_harness, *map(addresses.of_client, addresses.clients)):
                _run("ip", "addr", "add", f"{host}/24", "dev", _BRIDGE)
            _run("ip", "link", "set", _BRIDGE, "up")
            for number, node in enumerate(addresses.nodes):
                self._tie(supervisor, node, number)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take the bridge away; with its other end goes each tie. The namespaces end with those who hold them."""
        self.counts["pieces"] += sum(map(_received, self._holders.values()))
        self._holders.clear()
        for nft in self._nft.values():
            nft.close()
        self._nft.clear()
        for number in range(len(self._addresses.nodes)):
            subprocess.run(["ip", "link", "del", f"tie{number}"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)

    def inside(self, node: str, launch: Launch) -> Launch:
        """The same program in the namespace of a node."""
        return msgspec.structs.replace(launch, command=(*self._enter(node), *launch.command))

    def _tie(self, supervisor: Supervisor, node: str, number: int) -> None:
        holder = supervisor.hold(("unshare", "--net", "sleep", "infinity"))
        self._holders[node] = holder
        own, deadline = os.readlink("/proc/self/ns/net"), time.monotonic() + _SECONDS_MAX
        while os.readlink(f"/proc/{holder}/ns/net") == own:
            if time.monotonic() > deadline:
                raise BadInput("a namespace that does not begin", "a machine that allows it", _WHERE)
            time.sleep(0.005)
        host, _ = self._addresses.own(node, self._addresses.ports[0])
        _run("ip", "link", "add", f"tie{number}", "type", "veth", "peer", "name", _TIE, "netns", str(holder))
        _run("ip", "link", "set", f"tie{number}", "master", _BRIDGE, "up")
        _run(*self._enter(node), "ip", "addr", "add", f"{host}/24", "dev", _TIE)
        _run(*self._enter(node), "ip", "link", "set", _TIE, "up")
        _run(*self._enter(node), "ip", "link", "set", "lo", "up")
        self._nft[node] = Nft(holder)

    def _enter(self, node: str) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self._holders[node]}/ns/net", "--")

    # -- what was touched ---------------------------------------------------------------------------------------------

    def take_hits(self, fault: str) -> int:
        """How many packets the rules of a fault have dropped since this was asked last."""
        rules = self._rules.get(fault)
        if rules is None:
            return 0
        now = sum(self._counted(node, fault) for node in rules.of_node)
        hits, rules.told = now - rules.told, now
        self.counts["packets dropped"] += hits
        return hits

    def heard(self, actor: str) -> int:
        """More and more: what comes is not counted here."""
        return self._now_ns()

    def _counted(self, node: str, fault: str) -> int:
        listed = self._nft[node].run(f"list table inet {_table(fault)}")
        return sum(int(packets) for packets in re.findall(r"counter packets (\d+)", listed))

    # -- what faults do -----------------------------------------------------------------------------------------------

    def cut(self, fault: str, edges: tuple[Edge, ...]) -> None:
        """Drop everything on these links."""
        self._drop(fault, edges, "")

    def clog(self, fault: str, edges: tuple[Edge, ...]) -> None:
        """Drop everything on these links: TCP holds it."""
        self._drop(fault, edges, "")

    def affect(self, fault: str, effect: Effect, edges: tuple[Edge, ...]) -> None:
        """Lose packets on these links."""
        if effect.what != "loss":
            raise BadInput(f"fault {fault}, which is a {effect.what}", "faults that nft can bring about", _WHERE)
        self._drop(fault, edges, f"numgen random mod 1000000 < {effect.ppm} ")

    def limit(self, fault: str, bytes_per_s: int, edges: tuple[Edge, ...]) -> None:
        """Refuse: a rule can drop what is too much, but hold nothing back."""
        raise BadInput(f"fault {fault}, which limits a link", "faults that nft can bring about", _WHERE)

    def lie(self, fault: str, edges: tuple[Edge, ...]) -> None:
        """Refuse: real processes say what they say, and what they send is theirs."""
        raise BadInput(f"fault {fault}, in which a node lies", "faults that real processes can have", "a live run")

    def mend(self, fault: str, keep: Callable[[str, str], bool] = lambda source, target: False) -> None:
        """Undo a fault on all links but those that `keep` chooses."""
        rules = self._rules.pop(fault, _Rules())
        for node, listed in rules.of_node.items():
            self._delete(node, fault)
            kept = [one for one in listed if keep(*one[0])]
            if kept:
                self._rules.setdefault(fault, _Rules(of_node={})).of_node[node] = kept
                self._write(node, fault, kept)

    def _drop(self, fault: str, edges: tuple[Edge, ...], when: str) -> None:
        rules = self._rules[fault] = _Rules(of_node={})
        for source, target in edges:
            if target in self._holders:
                node, chain, match = target, "incoming", f"ip saddr {self._host(source)}"
            else:
                node, chain, match = source, "outgoing", f"ip daddr {self._host(target)}"
            rules.of_node.setdefault(node, []).append(((source, target), chain, f"{match} {when}counter drop"))
        for node, listed in rules.of_node.items():
            self._write(node, fault, listed)

    def _write(self, node: str, fault: str, rules: Sequence[tuple[Edge, str, str]]) -> None:
        chains = "".join(
            f"chain {name} {{ type filter hook {hook} priority 0;\n"
            + "".join(f"{rule}\n" for _, chain, rule in rules if chain == name)
            + "}\n"
            for name, hook in (("incoming", "input"), ("outgoing", "output"))
        )
        text = f"table inet {_table(fault)} {{\n{chains}}}\n"
        self._nft[node].run(text)

    def _delete(self, node: str, fault: str) -> None:
        self._nft[node].run(f"delete table inet {_table(fault)}")

    def _host(self, actor: str) -> str:
        if actor in self._holders:
            return self._addresses.own(actor, self._addresses.ports[0])[0]
        return self._addresses.of_client(actor)


def _table(fault: str) -> str:
    return "fault_" + re.sub(r"[^A-Za-z0-9]", "_", fault)


def _received(holder: int) -> int:
    """How many packets came to the node in the namespace that a process holds."""
    try:
        lines = Path(f"/proc/{holder}/net/dev").read_text().splitlines()
    except OSError:
        return 0
    return sum(
        int(counted.split()[1]) for name, _, counted in (line.partition(":") for line in lines) if name.strip() == _TIE
    )


def _run(*command: str) -> None:
    """Run one of the programs. Raises BadInput with what it said."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX)
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
        raise BadInput(f"`{' '.join(command)}`, which failed: {said}", "a machine that allows it", _WHERE)
