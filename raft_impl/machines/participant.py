"""A participant of two-phase commit: one shard of a store whose transactions span several Raft groups.

Each shard is a Raft group, and holds lists by key (an order is appended to a list of every shard that it concerns).
A transaction appends one element to a list in each of its shards, in all of them or in none. In the words of Gray and
Lamport ("Consensus on Transaction Commit", 2006, section 3) the groups are the resource managers, and since a group
does not fail as long as a majority of it lives, a transaction blocks only as long as a group does.

There is no process that coordinates. The transaction manager's one duty, to decide once, is a line in the log of one
of the groups:

* a transaction names its *home*, one of its shards. What the home's log says first, commit or abort, is the decision;
  the first of the two wins and the other changes nothing;
* a coordinator is whoever runs the protocol: first the client whose transaction it is
  (`raft_impl.runtime.two_phase`), and if that is gone, any later client that meets one of its locks. A lock says
  whose it is and where the home is, so that nothing else is needed to finish.

    working --prepare--> prepared --commit--> committed        in each group; `unknown` is working or never heard of
       |                    |
       +------abort---------+-------------> aborted

1. *Prepare* locks the list and keeps the element beside it, if the list is free. Locks are asked for in one order of
   shards, so that no clients wait in a circle.
2. When all are prepared, *commit* at home: this one entry decides. A coordinator that gives up sends *abort* there
   instead; so does a later client, which never commits on its own since it cannot know that all are prepared.
3. What the home answers is carried to the other shards.

Why it is safe: commit is sent to the home only by the client that saw all prepared; a shard that is prepared changes
only by what the home decided; and an abort leaves a record even where nothing was prepared, so that a `prepare` which
comes late (delayed, or repeated after a timeout) is refused and locks nothing. All commands may be repeated at will:
they name the transaction, and what is finished stays as it is. Hence sessions are not needed for safety here.

A reader that looks at one shard after another must not see a half of a transaction: `look` tells who holds the lock,
and `two_phase` says how whole states are put together from it.

XXX Records of finished transactions are kept for ever, since a late `prepare` may come at any time. Forgetting them
takes a bound on how late that is, such as session expiry gives.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .base import MALFORMED, MASK, OK, Answer, Image, Table, pack, since_first_level, unpack
from .transactions import Branch, Transaction

PREPARED: Final = "prepared"
COMMITTED: Final = "committed"
ABORTED: Final = "aborted"
UNKNOWN: Final = "unknown"
HELD: Final = "held-by"
"""What `prepare` answers where another transaction has the lock; the holder follows."""


_decode: Final = msgspec.msgpack.Decoder(Transaction).decode


class Participant:
    """Lists by key, the locks on them, and what became of each transaction."""

    commands: Final = since_first_level("prepare", "commit", "abort", "outcome", "look", "read")

    def __init__(self) -> None:
        self._transactions = Table()  # name -> Transaction
        self._locks = Table()  # key -> name of the transaction that is prepared to append to this list
        self._elements = Table()  # (key, position) -> element
        self._lists: dict[bytes, list[bytes]] = {}  # the same by key, for reading

    @property
    def digest(self) -> int:
        """Sum of the digests of the records; factors tell equal records of different tables apart."""
        return (self._transactions.digest + 3 * self._locks.digest + 5 * self._elements.digest) & MASK

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command. `key` names a transaction; of `look` and `read`, a list."""
        match f:
            case "prepare":
                return self._prepare(pack(key), value)
            case "commit":
                return OK, self._commit(pack(key))
            case "abort":
                return OK, self._abort(pack(key))
            case "outcome":
                return OK, self._transaction(pack(key)).state
            case "look":
                return OK, self._look(pack(key))
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The elements of a list, whoever has a lock on it."""
        if f != "read":
            return MALFORMED, None
        return OK, self._read(pack(key))

    def image(self) -> Image:
        """Transactions, locks and lists."""
        lists = [[name, elements.copy()] for name, elements in self._lists.items()]
        transactions, locks = self._transactions.image(), self._locks.image()
        return lambda: pack([transactions(), locks(), sorted(lists)])

    def restore(self, data: bytes) -> None:
        """Replace everything."""
        transactions, locks, lists = unpack(data)
        self._transactions.restore(transactions)
        self._locks.restore(locks)
        self._elements = Table()
        self._lists = {}
        for name, elements in lists:
            for element in elements:
                self._append(name, element)

    # -- the protocol ---------------------------------------------------------------------------------------------

    def _prepare(self, name: bytes, value: Any) -> Answer:
        """Lock and promise. Answers [state, None], or [HELD, holder] with what `look` tells of the holder."""
        try:
            branch = msgspec.convert(value, Branch)
        except msgspec.ValidationError:
            return MALFORMED, None
        if branch.home not in branch.shards:
            return MALFORMED, None
        known = self._transaction(name)
        if known.state != UNKNOWN:
            return OK, [known.state, None]
        locked = pack(branch.key)
        holder = self._holder(locked)
        if holder is not None:
            return OK, [HELD, holder]
        self._transactions.put(name, pack(Transaction(PREPARED, branch)))
        self._locks.put(locked, name)
        return OK, [PREPARED, None]

    def _commit(self, name: bytes) -> str:
        """Do what was promised, once. What was never prepared, or is aborted, stays so."""
        known = self._transaction(name)
        if known.branch is None:
            return known.state
        self._append(pack(known.branch.key), pack(known.branch.element))
        self._finish(name, known.branch, COMMITTED)
        return COMMITTED

    def _abort(self, name: bytes) -> str:
        """Give up a transaction for ever, unless it is committed."""
        known = self._transaction(name)
        if known.state == COMMITTED:
            return COMMITTED
        self._finish(name, known.branch, ABORTED)
        return ABORTED

    def _finish(self, name: bytes, branch: Branch | None, state: str) -> None:
        self._transactions.put(name, pack(Transaction(state)))
        if branch is not None:
            self._locks.pop(pack(branch.key))

    # -- the state ------------------------------------------------------------------------------------------------

    def _transaction(self, name: bytes) -> Transaction:
        found = self._transactions.get(name)
        return Transaction(UNKNOWN) if found is None else _decode(found)

    def _look(self, key: bytes) -> list[Any]:
        return [self._read(key), self._holder(key)]

    def _holder(self, key: bytes) -> list[Any] | None:
        """[name, home, shards] of the transaction that has the lock: all that it takes to finish it."""
        name = self._locks.get(key)
        if name is None:
            return None
        branch = self._transaction(name).branch
        assert branch is not None, "only what is prepared has a lock"
        return [unpack(name), branch.home, branch.shards]

    def _read(self, key: bytes) -> list[Any]:
        return [unpack(element) for element in self._lists.get(key, ())]

    def _append(self, key: bytes, element: bytes) -> None:
        elements = self._lists.setdefault(key, [])
        self._elements.put(key + pack(len(elements)), element)
        elements.append(element)
