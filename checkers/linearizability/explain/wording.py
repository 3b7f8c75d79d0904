"""How an answer is told in a sentence."""

from __future__ import annotations

from typing import Final

from checkers.models import Model
from checkers.models.model import OtherThan, Unsaid
from checkers.operation import Operation
from checkers.values import show

OBSERVED: Final = 60
"""A longer description of a state is cut."""


def told(model: Model, operation: Operation, *, had: bool = False) -> str:
    """Say what a process saw, with its verb; `had` tells it as what came before."""
    if operation.f == "read" and operation.type == "ok":
        return f"process {operation.process} {'had read' if had else 'read'} {cut(show(operation.result))}"
    needs = model.access(operation)[0]
    if not isinstance(needs, Unsaid | OtherThan):
        verb = "had found" if had else "found"
        asked, state = cut(_asked(operation)), cut(model.describe_state(needs))
        return f"{operation.f} {asked}of process {operation.process} {verb} {state}"
    verb = "had been answered" if had else "was answered"
    return f"process {operation.process} {verb} {cut(model.describe(operation))}"


def _asked(operation: Operation) -> str:
    return "" if operation.value is None else f"{show(operation.value)} "


def cut(text: str) -> str:
    """Shorten a text that would not fit into a sentence."""
    return text if len(text) <= OBSERVED else text[: OBSERVED - 3] + "..."
