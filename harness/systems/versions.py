"""Versions in this process: from a binding to systems, each bound to its own loaded copy of the code.

A copy is loaded once for each content (its digest names the alias), so a worker that runs a thousand seeds imports
once. The package keeps no state of its own between runs; the determinism tests run seeds in shuffled order to hold it
to that.
"""

from __future__ import annotations

from typing import Final

from harness.loader import load_package

from .binding import Binding, Code
from .raft_impl import RaftImpl
from .system import System

_loaded: Final[dict[tuple[str, bool], System]] = {}


def systems(binding: Binding) -> dict[str, System]:
    """The system of each code label. Raises BadInput when a folder holds no usable package."""
    return {label: _system(code, guard=binding.world == "sim") for label, code in binding.codes.items()}


def _system(code: Code, *, guard: bool) -> System:
    key = (code.digest, guard)
    system = _loaded.get(key)
    if system is None:
        alias = f"_foreshock_{'code' if guard else 'live'}_{code.digest[:12]}"
        system = _loaded[key] = RaftImpl(load_package(code.path, alias, guard=guard))
    return system
