"""Hostile input for servers in process: random bytes, damaged frames, and well-framed messages of any content.

`Attack` plays against one server of a group of three, so that it leads only while the attacker answers for a follower.
An attack that does not forge messages between replicas lets the server lead, and its commands are applied; one that
does throws it about. After each batch the server must have gone on.

A well-formed message between replicas may contradict what is committed; stopping with `SafetyError` is right then,
because that is how a broken replica would look (the transport lets no other process speak for one). So these stops are
counted apart, and the server is started again from its disk, which must succeed: nothing that was accepted may be
unreadable later.

    python -m tests.raft_impl.runtime.hostile --count 1000000
    python -m tests.raft_impl.runtime.hostile --live --count 100000     (see tests.live.hostile)
"""

from __future__ import annotations

import argparse
import itertools
import resource
import struct
from random import Random
from typing import Any, Final
from zlib import crc32

import msgspec

from raft_impl import surface
from raft_impl.errors import Corrupt
from raft_impl.machines import CATALOG
from raft_impl.machines.base import pack
from raft_impl.protocol.errors import SafetyError
from raft_impl.protocol.messages import (
    MESSAGE_TYPES,
    Append,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
)
from raft_impl.protocol.state import Index
from raft_impl.runtime import wire
from tests.raft_impl.runtime.fakes import FakeDisk, World, run

GROUP: Final = "g0"
PEERS: Final = ("n2", "n3")
OTHERS: Final = ("c1", "stranger")
COMMANDS: Final = (*sorted({f for make in CATALOG.values() for f in make().commands}), "", "no-such")
NUMBERS: Final = (0, 1, 2, 3, 5, 100, (1 << 32) - 1, 1 << 32, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, (1 << 64) - 1, -1)
ROUND: Final = 20_000
"""Datagrams for one server before the next begins."""
CODES: Final = (*range(1, len(MESSAGE_TYPES) + 1), *range(128, 134))


def framed(code: int, body: bytes) -> bytes:
    """A frame that is whole, whatever its body says."""
    return struct.pack(">BBI", 1, code, crc32(body, code)) + body


def anything(random: Random, depth: int = 0) -> Any:
    """A value of any of msgpack's types."""
    choice = random.randrange(12 if depth < 4 else 8)
    if choice < 3:
        return random.choice(NUMBERS) if random.random() < 0.6 else random.randrange(-200, 1000)
    match choice:
        case 3:
            return random.choice((None, True, False))
        case 4:
            return random.choice(("", "x", "é" * 3, "n1", "n2", GROUP, *COMMANDS))
        case 5:
            return random.randbytes(random.randrange(12))
        case 6:
            return random.choice((0.0, -1.5, float("nan"), float("inf")))
        case 7:
            return msgspec.msgpack.Ext(random.randrange(0, 128), random.randbytes(4))
        case 8 | 9 | 10:
            return [anything(random, depth + 1) for _ in range(random.randrange(5))]
        case _:
            return {str(i): anything(random, depth + 1) for i in range(random.randrange(4))}


def call(random: Random) -> bytes:
    """The bytes of a command, sensible or not."""
    match random.randrange(6):
        case 0:
            return random.randbytes(random.randrange(30))
        case 1:
            return b"\x93" + pack(random.choice(COMMANDS)) + pack("k") + b"\x91" * random.randrange(1500) + b"\x90"
        case _:
            value = anything(random)
            return pack((random.choice(COMMANDS), random.choice(("k", "l", anything(random))), value))


def mutated(random: Random, data: bytes) -> bytes:
    """Flip, cut, repeat or insert some bytes."""
    content = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        position = random.randrange(len(content) + 1)
        match random.randrange(4):
            case 0 if position < len(content):
                content[position] = random.randrange(256)
            case 1:
                del content[position : position + random.randrange(1, 8)]
            case 2:
                content[position:position] = random.randbytes(random.randrange(1, 8))
            case _:
                content[position:position] = content[max(0, position - 6) : position]
    return bytes(content)


def _is_of_a_replica(frame: bytes) -> bool:
    decoded = wire.decode(frame)
    return decoded is not None and type(decoded[1]) in wire.PROTOCOL_TYPES


class Attack:
    """One server, its attacker's random numbers, and what came of it."""

    def __init__(self, seed: int, machine: str = "register", *, forges: bool) -> None:
        self.stops = 0
        """How often a forgery in a replica's name stopped the server by a safety check."""
        self.sent = 0
        self._forges = forges
        self._random = Random(seed)
        self._answers: list[Any] = []  # of the follower n2, for the next batch
        self._spec = surface.GroupSpec(machine=machine, voters=("n1", *PEERS))
        self._world = World(seed)
        self._disk = FakeDisk()
        self._harvest: list[bytes] = []  # frames that the server sent, for mutation
        self.server: surface.Server
        self._start()

    def _start(self) -> None:
        self._env = self._world.env("n1", self._disk)
        self._env.send = self._overhear  # type: ignore[method-assign]
        self.server = surface.Server(
            self._env,
            {GROUP: self._spec},
            surface.resolve({"snapshot_threshold": 50, "trailing_entries": 5, "segment_bytes": 4096}),
        )
        run(self.server.start())

    def _overhear(self, target: str, data: bytes) -> None:
        if target == "n2" and (not self._forges or self._random.random() < 0.2):
            self._assent(data)
        if len(self._harvest) < 200:
            self._harvest.append(data)
        else:
            self._harvest[self._random.randrange(200)] = data

    def _assent(self, frame: bytes) -> None:
        """Answer as a follower does that has everything and agrees to everything."""
        decoded = wire.decode(frame)
        assert decoded is not None, "the server sends what it can read"
        match decoded[1]:
            case PreVote(term=term):
                self._answers.append(PreVoteReply(term, True))
            case Vote(term=term):
                self._answers.append(VoteReply(term, True))
            case Heartbeat(term=term, round=number):
                self._answers.append(HeartbeatReply(term, number))
            case Append() as message:
                match = Index(message.prev_index + len(message.entries))
                self._answers.append(AppendReply(message.term, match, message.round))

    def round(self, count: int) -> None:
        """Send `count` hostile datagrams, in batches of up to eight."""
        random = self._random
        while count > 0:
            batch = [self._datagram() for _ in range(min(count, random.randrange(1, 9)))]
            count -= len(batch)
            self.sent += len(batch)
            forged = any(_is_of_a_replica(frame) for _, frame in batch)
            answers, self._answers = self._answers, []
            batch += [("n2", wire.encode(GROUP, answer)) for answer in answers]
            if random.random() < 0.3:
                self._world.now += random.randrange(30_000_000)
            try:
                self._step(batch)
            except (SafetyError, Corrupt):
                if not forged:
                    raise
                self.stops += 1
                self._restart()

    def _step(self, batch: list[tuple[str, bytes]]) -> None:
        server = self.server
        if server.process(batch):
            run(server.sync())
            server.post()
        server.notes.clear()

    def _restart(self) -> None:
        self._disk = self._disk.kill()
        self._start()

    def _datagram(self) -> tuple[str, bytes]:
        random = self._random
        match random.randrange(8):
            case 0:
                return random.choice((*PEERS, *OTHERS)), random.randbytes(random.randrange(60))
            case 1 if self._harvest:
                return random.choice((*PEERS, *OTHERS)), mutated(random, random.choice(self._harvest))
            case 2 if self._harvest:  # a damaged body under a good checksum
                frame = random.choice(self._harvest)
                return random.choice((*PEERS, *OTHERS)), framed(frame[1], mutated(random, frame[6:]))
            case 3:
                return random.choice(OTHERS), self._request()
            case 4 | 5 if not self._forges:
                return random.choice(OTHERS), self._request()
            case 4:
                body = b"\x92" + pack(GROUP) + b"\x91" * random.randrange(2000) + b"\x90"
                return random.choice((*PEERS, *OTHERS)), framed(random.choice(CODES), body)
            case 5:
                body = pack([GROUP, anything(random)])
                return random.choice((*PEERS, *OTHERS)), framed(random.choice(CODES), body)
            case _ if self._forges:
                return random.choice((*PEERS, *OTHERS)), self._message()
            case _:
                body = b"\x92" + pack(GROUP) + b"\x91" * random.randrange(2000) + b"\x90"
                return random.choice((*PEERS, *OTHERS)), framed(random.choice(CODES), body)

    def _request(self) -> bytes:
        """A request that the server takes: this life, a fresh id."""
        random = self._random
        known = self.server._connection if random.random() < 0.9 else random.choice(NUMBERS)
        fields = [known, random.randrange(50), self.sent + 1, random.randrange(5)]
        fields += [random.choice((0, 1, 2, 3, 7, 1 << 62)), random.choice((0, 1, 2, 1 << 62)), call(random)]
        return framed(130, pack([GROUP, ["request", *fields]]))

    def _message(self) -> bytes:
        """A message of the right form with numbers of any size, near the server's own now and then."""
        random = self._random
        status = self.server.inspect()[GROUP]
        near = [status["term"], status["last"], status["commit"], status["term"] + 1, status["last"] + 1]

        def number() -> Any:
            return random.choice(near) if random.random() < 0.7 else random.choice(NUMBERS)

        def entry(index: int) -> list[Any]:
            data = random.choice((b"", call(random), pack([0, number(), 0, 0, call(random)]), random.randbytes(9)))
            return [index if random.random() < 0.9 else number(), number(), random.randrange(5), data]

        code = random.randrange(1, len(MESSAGE_TYPES) + 1)
        word = str(MESSAGE_TYPES[code - 1].__struct_config__.tag)
        match word:
            case "append":
                previous = number()
                entries = [entry(previous + 1 + i) for i in range(random.randrange(4))]
                fields = [number(), previous, number(), number(), entries, number()]
            case "snapshot":
                addresses = random.choice(([], [["n1", "x"]], [["n1", "a"], ["n1", "b"]], [["n2", "y" * 999]], 7))
                meta = [number(), number(), [["n1"], [], random.choice(([], ["n2"], 5)), addresses]]
                fields = [number(), meta, random.choice((0, number())), random.randbytes(9), random.random() < 0.5]
            case "pre-vote-reply" | "vote-reply":
                fields = [number(), random.random() < 0.5]
            case _:
                fields = [number() for _ in range(4)]
        try:
            return framed(code, pack([GROUP, [word, *fields]]))
        except OverflowError:  # a number that no frame can hold
            return b""


def main() -> None:
    """Attack until `--count` datagrams were sent, a fresh server for every machine in turn; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--live", action="store_true", help="requests to a node that is a process of its own")
    parsed = parser.parse_args()
    if parsed.live:
        from tests.live.hostile import Corpus, attack_live  # it uses this module

        corpus = Corpus()
        print(attack_live(parsed.count, parsed.seed, corpus))
        print("\n".join(f"new: {answer}" for answer in corpus.new))
        corpus.save()
        return
    sent = stops = 0
    machines = sorted(CATALOG)
    for seed in itertools.count(parsed.seed):
        attack = Attack(seed, machines[seed // 2 % len(machines)], forges=bool(seed % 2))
        attack.round(min(ROUND, parsed.count - sent))
        sent += attack.sent
        stops += attack.stops
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        if sent >= parsed.count or not seed % 10:
            print(f"{sent} datagrams, {stops} stopped by a safety check, {peak_mib} MiB at most", flush=True)
        if sent >= parsed.count:
            return


if __name__ == "__main__":
    main()
