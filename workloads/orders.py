"""Orders: each is placed in two shards at once, in both or in none, by two-phase commit across two Raft groups.

An order has a number of its own and belongs to a customer, the key; each shard has a list of orders for each customer.
`order` [number, [home, other]] appends the number to both lists, and the home's log decides whether it is committed;
which shard that is changes from order to order. `read` tells both lists as they were at one instant.

Nothing coordinates but the client itself, so every crash, pause or cut of a client leaves orders half-way through the
protocol, and the clients that meet their locks have to finish them from the logs. Few customers make that frequent;
variant `one-customer` has all orders and reads meet at one pair of lists.
"""

from __future__ import annotations

from typing import Any, Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

SHARDS: Final = ("g0", "g1")
_CALLS_PER_KEY: Final = 60


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of customers and how much is read."""
    keys = Keys(1 if variant == "one-customer" else stream.between(2, 4), _CALLS_PER_KEY)

    def order(context: Context) -> Call:
        number = context.fresh()
        return Call(f="order", key=keys.draw(context, number), value=_order(number, context.stream.below(2)))

    def read(context: Context) -> Call:
        return Call(f="read", key=keys.draw(context, context.fresh()))

    return mix((3, calls(order)), (stream.between(2, 4), calls(read)))


def _order(number: Any, home: int) -> list[Any]:
    return [number, [SHARDS[home], SHARDS[1 - home]]]


ORDERS: Final = Workload(
    name="orders",
    summary="orders that are placed in two shards by two-phase commit, and reads of both",
    machine="participant",
    model="orders",
    functions=("order", "read"),
    variants=(
        Variant(name="few-customers", summary="2 to 4 live customers", weight=2),
        Variant(name="one-customer", summary="all orders and reads compete for one pair of lists"),
    ),
    generator=_generator,
    recovery=lambda thread: Call(f="order", key=f"recovery-{thread}", value=_order({"fresh": 1}, thread % 2)),
    final=lambda key: Call(f="read", key=key),
    groups=SHARDS,
    requests=4,
)
