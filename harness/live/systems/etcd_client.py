"""A client of etcd through the JSON gateway: what each operation of a workload is there.

| workload | in etcd |
| --- | --- |
| register | put, range; compare-and-set is a transaction that compares the value |
| counter, list | range, then a transaction that compares the revision that was read; once more if it had changed |
| set | a key for each element; reading is one range over all of them |
| list-append | the keys are read in one transaction, and written in one that compares the revision of every key |
| lock | a key under a lease that the client keeps alive; whoever finds no key has the lock |

A transaction whose comparison failed did nothing, so it is tried again until the time is over. An answer that did not
come is `info` if the request may have arrived and could have changed something, else `fail`.

The lock is what etcd's own locks are, and what is wrong with each lock that rests on a lease: when its holder does not
keep the lease alive, because it was stopped or cut off, another client gets the lock, and the holder does not know.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import trio

from harness.plans.plan import Actor
from harness.systems.system import Completion

from .http_exchange import Broken, Document, HttpConnection
from .system import Site

_LEASE_SHARE: Final = 3
"""A lease is renewed that many times in its length."""
_OK: Final = 200


class _Unanswered(Exception):
    """No answer, or an error of the server. `is_certain`: nothing was changed."""

    def __init__(self, word: str, *, is_certain: bool) -> None:
        super().__init__(word)
        self.word = word
        self.is_certain = is_certain


class EtcdClient:
    """A client of its home, or of one member after the other."""

    def __init__(self, site: Site, actor: Actor, nursery: trio.Nursery) -> None:
        nodes: Sequence[str] = site.addresses.nodes
        self._addresses = [site.addresses.told(node, "client") for node in nodes]
        self._next = nodes.index(actor.home) if actor.home in nodes else 0
        self._routing = actor.routing
        self._timeout_s = int(site.options["client_timeout_ms"]) / 1000
        self._is_serializable = site.options["reads"] == "serializable"
        self._ttl_s = int(site.options["lease_ttl_s"])
        self._workload = site.plan.drawn.workload
        self._nursery = nursery
        self._connection: HttpConnection | None = None
        self._locks: dict[str, tuple[str, trio.CancelScope]] = {}  # lock -> what stands under it, and who renews

    async def open(self) -> str | None:
        """Nothing: a request opens what it needs."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op."""
        if self._routing == "any":
            self.hang_up()
        name = f"{self._workload}/{key}"
        try:
            with trio.fail_after(self._timeout_s):
                return await self._perform(f, name, value)
        except _Unanswered as error:
            return Completion("fail" if error.is_certain else "info", error=error.word)
        except trio.TooSlowError:  # between two tries: each request has its own, shorter, time
            return Completion("info", error="timeout")

    def close(self) -> None:
        """Hang up, and renew no lease any more."""
        self.hang_up()
        for _, scope in self._locks.values():
            scope.cancel()
        self._locks.clear()

    def hang_up(self) -> None:
        """Let go of the connection: the next request goes to the next member, or home."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _perform(self, f: str, name: str, value: Any) -> Completion:
        match self._workload, f:
            case "register", "read":
                (found,) = await self._read([name])
                return Completion("ok", value=found[0])
            case "register", "write":
                await self._change("/v3/kv/put", {"key": _text(name), "value": _json(value)})
                return Completion("ok", value=value)
            case "register", "cas":
                return await self._compare_and_set(name, *value)
            case "counter", "read":
                (found,) = await self._read([name])
                return Completion("ok", value=found[0] or 0)
            case "counter", "add" | "add-and-get":
                total = await self._update(name, lambda before: (before or 0) + value)
                return Completion("ok", value=[value, total] if f == "add-and-get" else value)
            case "list", "read":
                (found,) = await self._read([name])
                return Completion("ok", value=found[0] or [])
            case "list", "append":
                await self._update(name, lambda before: [*(before or []), value])
                return Completion("ok", value=value)
            case "set", "add":
                await self._change("/v3/kv/put", {"key": _text(f"{name}/{value}"), "value": _json(value)})
                return Completion("ok", value=value)
            case "set", "read":
                return Completion("ok", value=await self._elements(f"{name}/"))
            case "list-append", "txn":
                return Completion("ok", value=await self._transaction(value))
            case "lock", "acquire":
                return await self._acquire(name)
            case "lock", "release":
                return await self._release(name)
            case _:
                return Completion("fail", error="unsupported")

    # -- reading and writing ------------------------------------------------------------------------------------------

    async def _read(self, names: Sequence[str]) -> list[tuple[Any, str]]:
        """The values of keys at one moment, each with the revision of its last change; (None, "0") where none is."""
        ranges = [{"request_range": self._range(name)} for name in names]
        if len(names) == 1:
            answers = [await self._ask("/v3/kv/range", ranges[0]["request_range"])]
        else:
            answer = await self._ask("/v3/kv/txn", {"success": ranges})
            answers = [response["response_range"] for response in answer["responses"]]
        pairs = [next(iter(answer.get("kvs", ())), None) for answer in answers]
        return [(None, "0") if pair is None else (_value(pair), str(pair["mod_revision"])) for pair in pairs]

    async def _elements(self, prefix: str) -> list[Any]:
        """The values of all keys that begin so."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = await self._ask("/v3/kv/range", {**self._range(prefix), "range_end": _text(end)})
        return sorted(_value(pair) for pair in answer.get("kvs", ()))

    def _range(self, name: str) -> Document:
        return {"key": _text(name), **({"serializable": True} if self._is_serializable else {})}

    async def _compare_and_set(self, name: str, old: Any, new: Any) -> Completion:
        key = _text(name)
        target = {"target": "VERSION", "version": "0"} if old is None else {"target": "VALUE", "value": _json(old)}
        same = {"key": key, "result": "EQUAL", **target}
        put = {"request_put": {"key": key, "value": _json(new)}}
        answer = await self._change("/v3/kv/txn", {"compare": [same], "success": [put]})
        if answer.get("succeeded"):
            return Completion("ok", value=[old, new])
        return Completion("fail", error="precondition-failed")

    async def _update(self, name: str, change: Callable[[Any], Any]) -> Any:
        """Replace the value of a key by another one that rests on it. Returns the new one."""
        while True:
            ((before, revision),) = await self._read([name])
            after = change(before)
            if await self._put_if_same({name: revision}, {name: after}):
                return after

    async def _transaction(self, steps: Sequence[Any]) -> list[Any]:
        """All steps in one: what was read was in force when it was written."""
        names = {key: f"{self._workload}/{key}" for _, key, _ in steps}
        while True:
            found = dict(zip(names, await self._read(list(names.values())), strict=True))
            lists: dict[str, list[Any]] = {key: list(value or []) for key, (value, _) in found.items()}
            done, changed = [], set()
            for f, key, argument in steps:
                if f == "append":
                    lists[key].append(argument)
                    changed.add(key)
                done.append([f, key, argument if f == "append" else list(lists[key])])
            if not changed:
                return done
            revisions = {names[key]: revision for key, (_, revision) in found.items()}
            if await self._put_if_same(revisions, {names[key]: lists[key] for key in sorted(changed)}):
                return done

    async def _put_if_same(self, revisions: Mapping[str, str], values: Mapping[str, Any]) -> bool:
        """Write if no key has changed since these revisions."""
        compare = [
            {"key": _text(name), "target": "MOD", "result": "EQUAL", "mod_revision": revision}
            for name, revision in revisions.items()
        ]
        puts = [{"request_put": {"key": _text(name), "value": _json(value)}} for name, value in values.items()]
        answer = await self._change("/v3/kv/txn", {"compare": compare, "success": puts})
        return bool(answer.get("succeeded"))

    # -- locks --------------------------------------------------------------------------------------------------------

    async def _acquire(self, name: str) -> Completion:
        if name in self._locks:
            return Completion("fail", error="held")
        lease = str((await self._ask("/v3/lease/grant", {"TTL": str(self._ttl_s)}))["ID"])
        mark, key = secrets.token_hex(8), _text(name)
        free = {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
        put = {"request_put": {"key": key, "value": _json(mark), "lease": lease}}
        answer = await self._change("/v3/kv/txn", {"compare": [free], "success": [put]})
        if not answer.get("succeeded"):
            return Completion("fail", error="held")
        scope = trio.CancelScope()
        self._locks[name] = (mark, scope)
        self._nursery.start_soon(self._renew, lease, scope)
        return Completion("ok")

    async def _release(self, name: str) -> Completion:
        """Give a lock back. One that is not ours any more is left alone: that did nothing."""
        mark, scope = self._locks.pop(name, ("", trio.CancelScope()))
        scope.cancel()
        if not mark:
            return Completion("fail", error="not-held")
        key = _text(name)
        ours = {"key": key, "target": "VALUE", "result": "EQUAL", "value": _json(mark)}
        delete = {"request_delete_range": {"key": key}}
        answer = await self._change("/v3/kv/txn", {"compare": [ours], "success": [delete]})
        return Completion("ok") if answer.get("succeeded") else Completion("fail", error="lease-expired")

    async def _renew(self, lease: str, scope: trio.CancelScope) -> None:
        """Keep a lease alive for as long as that works."""
        with scope:
            place = self._next
            while True:
                await trio.sleep(self._ttl_s / _LEASE_SHARE)
                connection = HttpConnection(self._addresses[place])
                try:
                    await connection.post("/v3/lease/keepalive", {"ID": lease}, self._ttl_s / _LEASE_SHARE)
                except Broken:
                    place = (place + 1) % len(self._addresses)
                finally:
                    connection.close()

    # -- requests -----------------------------------------------------------------------------------------------------

    async def _ask(self, path: str, document: Document) -> Document:
        """Ask for what changes nothing that is looked at."""
        return await self._certainly(self._post(path, document))

    async def _change(self, path: str, document: Document) -> Document:
        """Ask for a change; without an answer nobody knows whether it happened."""
        return await self._post(path, document)

    async def _certainly(self, request: Awaitable[Document]) -> Document:
        try:
            return await request
        except _Unanswered as error:
            raise _Unanswered(error.word, is_certain=True) from None

    async def _post(self, path: str, document: Document) -> Document:
        if self._connection is None or self._connection.is_broken:
            self._connection = HttpConnection(self._addresses[self._next])
            if self._routing != "home":
                self._next = (self._next + 1) % len(self._addresses)
        try:
            status, answer = await self._connection.post(path, document, self._timeout_s)
        except Broken as error:
            raise _Unanswered("unreachable", is_certain=not error.was_sent) from None
        if status != _OK:
            self.hang_up()
            raise _Unanswered(str(answer.get("message", answer.get("error", status))), is_certain=False)
        return answer


def _text(text: str) -> str:
    """As the gateway takes bytes."""
    return base64.b64encode(text.encode()).decode()


def _json(value: Any) -> str:
    return base64.b64encode(msgspec.json.encode(value)).decode()


def _value(pair: Document) -> Any:
    return msgspec.json.decode(base64.b64decode(pair["value"]))
