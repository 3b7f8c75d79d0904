"""The systems that a live world can run, by what a person types.

| `--system` | is |
| --- | --- |
| `node`, `raft_impl`, `raft_impl@REF`, `path:DIR`, `patch:FILE` | our node, of that version |
| `etcd` | the installed etcd |
| `pysyncobj` | the installed PySyncObj |
| `maelstrom:COMMAND` | a program that speaks the Maelstrom protocol (`maelstrom`) |
| `FILE.py:NAME` | processes of your own (`processes`) |
"""

from __future__ import annotations

from harness.errors import BadInput, one_of
from harness.live.namespaces import kinds_with
from harness.live.specs import FORMS, MAELSTROM, NODE, is_ours
from harness.plans.labels import DEFAULT_LABEL
from harness.run.drawing import Abilities, LiveNetwork
from harness.systems import catalog
from harness.systems.binding import Binding, Code
from harness.systems.catalog import load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.raft_impl import RaftImpl

from .maelstrom import Maelstrom
from .node import Node
from .processes import located
from .system import LiveSystem


def live_system(spec: str, checkouts: Checkouts) -> LiveSystem:
    """Find the system that a spec names, for one run. Raises BadInput."""
    if is_ours(spec):
        return live_system_of(catalog.code("raft_impl" if spec == NODE else spec, checkouts))
    return _of_others(spec)


def live_system_of(code: Code) -> LiveSystem:
    """The system of code that was found before, in another process perhaps. Raises BadInput."""
    if code.is_foreign:
        return _of_others(code.spec)
    adapter = load_systems(Binding(codes={DEFAULT_LABEL: code}))[DEFAULT_LABEL]
    assert isinstance(adapter, RaftImpl), "a spec of ours"
    return Node(code, adapter)


def _of_others(spec: str) -> LiveSystem:
    if spec == "etcd":
        from .etcd import Etcd  # needs h11, an extra

        return Etcd()
    if spec == "pysyncobj":
        from .pysyncobj import PySyncObj  # needs h11, an extra

        return PySyncObj()
    if spec.startswith(MAELSTROM):
        return Maelstrom(spec)
    if (own := located(spec)) is not None:
        return own
    raise BadInput(f"system {spec!r}", one_of(FORMS, typed=spec), "--world live --system")


def abilities_of_live(system: LiveSystem, network: LiveNetwork) -> Abilities:
    """What a plan may ask of a system, where this is what brings about the faults of links."""
    kinds = kinds_with(network, system.fault_kinds)
    return Abilities(
        workloads=system.workloads, fault_kinds=kinds, options=system.options, has_leader=system.has_leader
    )
