"""Orders that are placed in several shards at once: one object a customer, since all its shards must agree.

`order` [number, shards] appends the number to the customer's list in every shard; `read` tells the list of each shard,
as [[shard, list], ...]. What a correct store shows is one list, everywhere the same, so the state is that list.
`checkers.atomic_commit` judges such histories, and names what is wrong; this model is its definition of right.
"""

from __future__ import annotations

from typing import Any, Final

from checkers.operation import Operation

from .model import ILLEGAL, NOTHING, Function, Model, Shape, repeats


def _is_order(value: Any) -> bool:
    return type(value) is tuple and len(value) == 2 and type(value[1]) is tuple and len(value[1]) > 0


def _is_shards(value: Any) -> bool:
    return type(value) is tuple and len(value) > 0 and all(map(_is_shard, value))


def _is_shard(value: Any) -> bool:
    return type(value) is tuple and len(value) == 2 and type(value[1]) is tuple


FUNCTIONS: Final = {
    "order": Function(value=Shape("[number, [shard, ...]]", _is_order), answers_invoke=repeats),
    "read": Function(value=NOTHING, result=Shape("[[shard, list], ...]", _is_shards), only_looks=True),
}


def step(state: tuple[Any, ...], operation: Operation) -> Any:
    """Step the list that all shards have."""
    if operation.f == "order":
        return (*state, operation.value[0])
    if operation.type == "info":
        return state
    return state if all(orders == state for _, orders in operation.result) else ILLEGAL


ORDERS: Final = Model(name="orders", init=(), step=step, functions=FUNCTIONS, any_state=True)
