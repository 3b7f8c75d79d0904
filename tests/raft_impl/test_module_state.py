"""The package keeps nothing between two runs in one process (docs/determinism.md)."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import deque
from pathlib import Path
from types import ModuleType

import pytest

import raft_impl

MODULES = [
    module.name
    for module in pkgutil.walk_packages(raft_impl.__path__, "raft_impl.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_no_module_holds_a_cache_or_a_growing_container(name: str) -> None:
    module = importlib.import_module(name)

    assert [key for key, value in own_values(module) if hasattr(value, "cache_info")] == []
    assert [key for key, value in own_values(module) if isinstance(value, list | set | bytearray | deque)] == []


@pytest.mark.parametrize("name", MODULES)
def test_no_function_assigns_or_fills_a_global(name: str) -> None:
    """Tables such as the types of messages are dictionaries; no function stores into one."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    tables = {key for key, value in own_values(module) if isinstance(value, dict)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    nodes = [node for function in functions for node in ast.walk(function)]

    assert [node.names for node in nodes if isinstance(node, ast.Global)] == []
    stores = [node.value for node in nodes if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)]
    calls = [node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in ("setdefault", "update")]
    assert [value.id for value in [*stores, *calls] if isinstance(value, ast.Name) and value.id in tables] == []


def own_values(module: ModuleType) -> list[tuple[str, object]]:
    return [(key, value) for key, value in vars(module).items() if not key.startswith("__")]
