"""A service that runs only beside the leader, and a resource that refuses the service of an earlier leader.

The node is started as in `use_a_cluster.py`. On a real cluster this program runs beside each server.
"""

import trio
from use_a_cluster import node

from raft_impl.client import Map, connect
from raft_impl.singleton import Fenced, Stale, Token, run_while_leading


async def main(address: tuple[str, int]) -> None:
    async with connect({"n1": address}, timeout_s=30) as cluster, trio.open_nursery() as nursery:
        resource = Fenced(Map(cluster), "printer")

        async def service(token: Token) -> None:
            print("n1 leads in term", token)
            await resource.put(token, "page 1")
            try:
                await resource.put(token - 1, "page 1 again")
            except Stale as error:
                print("an earlier leader comes late:", error)
            print("the printer has", await resource.get())
            nursery.cancel_scope.cancel()

        await run_while_leading("n1", address, service)


if __name__ == "__main__":
    with node() as address:
        trio.run(main, address)
