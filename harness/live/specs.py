"""How a system of the live world is named: what a person types, and how a record begins the name.

Of this module everybody can read, also whoever only refuses such a system: it imports nothing.
"""

from __future__ import annotations

from typing import Final

WORLD: Final = "live:"
"""Begins the name of the system in the record of a live run."""
NODE: Final = "node"
OTHERS: Final = ("etcd", "pysyncobj")
"""Installed systems, which the simulated world does not have."""
MAELSTROM: Final = "maelstrom:"
"""Begins a command line, of a program that speaks the Maelstrom protocol."""
FORMS: Final = (NODE, "raft_impl@REF", "path:DIR", "patch:FILE", *OTHERS, "maelstrom:COMMAND", "FILE.py:NAME")
_OURS: Final = ("raft_impl", "path:", "patch:")


def is_ours(spec: str) -> bool:
    """Whether a spec names a version of our node, which the simulated world has as well."""
    return spec == NODE or spec.startswith(_OURS)


def runs_live(ref: str) -> bool:
    """Whether this names a system that only the live world has, or one as a record of a live run does."""
    return ref in (NODE, *OTHERS) or ref.startswith((WORLD, MAELSTROM))
