"""Hostile clients of a live node: random, damaged and nonsensical requests over real connections, and wild first words.

The node is a process of its own that leads a group of one, so that every command which it takes is written, committed
and applied. After each batch it must still answer, its process must be the same, and its memory must stay flat.

*The corpus* has, for each distinct answer that was ever seen, the shortest request that brought it about; it is sent
before anything else, so that what was hard to find is never lost. New answers are added to it and printed.

    python -m tests.raft_impl.runtime.hostile --live --count 100000
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import trio

from raft_impl.client import Map, connect
from raft_impl.runtime import wire
from raft_impl.runtime.driver_messages import Action, Hello, Reply, Request, Status
from raft_impl.runtime.questions import ChangeMembers, DumpLog, SnapshotNow, StatusNow, Transfer, encode_question
from raft_impl.server.framing import FrameReader, PeerFault
from raft_impl.server.handshake import HandshakeRefused, Party, dial
from tests.live.cluster import Cluster
from tests.raft_impl.runtime.hostile import GROUP, anything, call, framed, mutated

CORPUS: Final = Path(__file__).parent / "corpus" / "answers.json"
NODE: Final = "n1"
BATCH: Final = 200
GROWTH_BYTES_MAX: Final = 24 << 20
"""By which a node's memory may rise after the first fifth of the requests."""
_ANSWER_S: Final = 20.0
_LOST: Final = (PeerFault, trio.BrokenResourceError, trio.ClosedResourceError, OSError)
_OPTIONS: Final = ("-o", "snapshot_threshold=2000", "-o", "session_ttl_ms=2000", "--max-request-bytes=100000")


class Corpus:
    """Requests by the answer that they bring about, each as the fields behind its id."""

    def __init__(self, path: Path = CORPUS) -> None:
        self._path = path
        self._known: dict[str, bytes] = {}
        if path.exists():
            self._known = {word: bytes.fromhex(text) for word, text in msgspec.json.decode(path.read_bytes()).items()}
        self.new: list[str] = []

    def __iter__(self) -> Any:
        return iter(self._known.values())

    def learn(self, reply: Reply, request: bytes) -> None:
        """Keep the request, if it is the first or the shortest with this answer."""
        answer = f"{Status(reply.status).name.lower()} {reply.word}"
        if answer not in self._known:
            self.new.append(answer)
        if answer not in self._known or len(request) < len(self._known[answer]):
            self._known[answer] = request

    def save(self) -> None:
        """Write it, sorted."""
        self._path.parent.mkdir(exist_ok=True)
        texts = {answer: request.hex() for answer, request in sorted(self._known.items())}
        self._path.write_bytes(msgspec.json.format(msgspec.json.encode(texts)) + b"\n")


class LiveAttack:
    """One attacker: a connection after the other to one node."""

    def __init__(self, port: int, seed: int, corpus: Corpus) -> None:
        self.sent = 0
        self.lost = 0
        """How often the node hung up on us, as it should on who speaks like a node."""
        self.answered = 0
        self._port = port
        self._random = Random(seed)
        self._corpus = corpus
        self._connection = 0  # number of the node's incarnation
        self._asked: dict[int, bytes] = {}  # requests of this connection, by id
        self._recent: list[bytes] = []

    async def run(self, count: int) -> None:
        """Send `count` requests, the corpus first."""
        waiting = list(self._corpus)
        while self.sent < count:
            if self._random.random() < 0.2:
                await self._say_first_words()
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            batch += [self._request() for _ in range(BATCH - len(batch))]
            self.sent += len(batch)
            await self._send(batch)

    async def _send(self, bodies: list[bytes]) -> None:
        """One connection: greet, send all, and wait for the answer to a last question, or to be hung up on."""
        stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        try:
            with trio.fail_after(_ANSWER_S):
                reader = FrameReader(stream)
                name = f"hostile{self.sent}"
                await dial(reader, stream.send_all, Party(name=name, role="client"), NODE, None, _welcome)
                await stream.send_all(_on_the_wire(wire.encode(GROUP, Hello(self.sent))))
                welcome = wire.decode((await reader.some())[0])
                assert welcome is not None, "the greeting was answered"
                self._connection = welcome[1].connection
                self._asked = {}
                frames = [self._frame(body, number) for number, body in enumerate(bodies, 1)]
                await stream.send_all(b"".join(map(_on_the_wire, frames)))
                await self._read_until(reader, stream)
        except _LOST:
            self.lost += 1
        finally:
            await trio.aclose_forcefully(stream)

    async def _read_until(self, reader: FrameReader, stream: trio.SocketStream) -> None:
        """Take answers until a last command is answered, which is behind all others in the log."""
        last = Request(self._connection, 1 << 40, self.sent, Action.CALL, call=_LAST)
        await stream.send_all(_on_the_wire(wire.encode(GROUP, last)))
        with trio.move_on_after(2):  # a last command that was overtaken by another of its name is not answered
            while True:
                for frame in await reader.some():
                    decoded = wire.decode(frame)
                    if decoded is not None and isinstance(decoded[1], Reply):
                        reply = decoded[1]
                        if reply.id == self.sent and reply.id not in self._asked:
                            return
                        if reply.id in self._asked:
                            self.answered += 1
                            self._corpus.learn(reply, self._asked[reply.id])

    def _frame(self, body: bytes, number: int) -> bytes:
        """A frame: mostly a request with these fields, now and then anything."""
        random = self._random
        match random.randrange(40):
            case 0:
                return random.randbytes(random.randrange(60))
            case 1:
                return mutated(random, framed(130, body))
            case 2 if number == BATCH:  # what only nodes say ends the connection, so it comes last
                return framed(random.randrange(1, 15), pack_any(random))
            case 3:
                return framed(random.choice((128, 129, 131, 200)), pack_any(random))
            case _:
                number = random.choice((1, 2, 1 << 62)) if random.random() < 0.001 else number
                self._asked[number] = body
                head = msgspec.msgpack.encode([self._connection, 7 + self.sent, number])[1:]
                return framed(130, b"\x92" + msgspec.msgpack.encode(GROUP) + b"\x98" + _REQUEST + head + body)

    def _request(self) -> bytes:
        """The fields of a request behind its id: action, session, sequence, call."""
        random = self._random
        recent = self._recent
        if recent and random.random() < 0.3:
            body = mutated(random, random.choice(recent))
        else:
            action = random.choice((0, 0, 0, 1, 2, 3, 4, 5, 1 << 62))
            called = self._question() if action == 3 and random.random() < 0.9 else call(random)
            session, sequence = random.choice((0, 1, 2, 3, 1 << 62)), random.choice((0, 1, 2, self.sent, 1 << 62))
            body = b"".join(map(msgspec.msgpack.encode, (action, session, sequence, called)))
        if len(recent) < 500:
            recent.append(body)
        else:
            recent[random.randrange(500)] = body
        return body

    def _question(self) -> bytes:
        """What an administrator may ask, also with names and addresses that nobody has."""
        random = self._random
        match random.randrange(6):
            case 0:
                return encode_question(StatusNow())
            case 1:
                return encode_question(SnapshotNow())
            case 2:
                return encode_question(DumpLog(first=random.randrange(5000), count_max=random.randrange(1, 9)))
            case 3:
                return encode_question(Transfer(target=random.choice((None, "n1", "x"))))
            case 4:
                addresses = {"x": random.choice(("nowhere", "", "127.0.0.1:1", "\0", "a:99999"))}
                return encode_question(ChangeMembers(listen=("x",), addresses=addresses))
            case _:
                return encode_question(ChangeMembers(leave=(random.choice(("x", "n1", "y")),)))

    async def _say_first_words(self) -> None:
        """A connection whose handshake is none."""
        random = self._random
        stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        try:
            magic = random.choice((b"FSHK\x01", b"FSHK\x02", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"))
            body = random.choice((random.randbytes(40), pack_any(random)))
            await stream.send_all(magic + struct.pack(">H", random.choice((len(body), 0, 65535))) + body)
        except _LOST:
            pass
        finally:
            await trio.aclose_forcefully(stream)


def pack_any(random: Random) -> bytes:
    """Any value, packed."""
    return msgspec.msgpack.encode([GROUP, anything(random)])


_LAST: Final = msgspec.msgpack.encode(("write", "last", None))
_REQUEST: Final = msgspec.msgpack.encode("request")


def _on_the_wire(frame: bytes) -> bytes:
    return struct.pack(">I", len(frame)) + frame


async def _welcome(party: Party) -> None:
    """Judge nobody."""


def attack_live(count: int, seed: int, corpus: Corpus | None = None) -> str:
    """Start a node, attack it, and see that it lives as before. Returns what came of it; raises AssertionError."""
    corpus = corpus or Corpus()
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), (NODE,), *_OPTIONS)
        try:
            cluster.start(NODE, machine="map")
            attack = LiveAttack(cluster.ports[NODE], seed, corpus)
            trio.run(_attack, cluster, attack, count)
            return (
                f"{attack.sent} requests, {attack.answered} answered, {len(corpus.new)} new answers, "
                f"hung up on {attack.lost} times, {resident_bytes(cluster) >> 20} MiB"
            )
        finally:
            cluster.close()


async def _attack(cluster: Cluster, attack: LiveAttack, count: int) -> None:
    await _write(cluster, "begin")
    warm = 0
    for part in range(1, 6):
        try:
            await attack.run(count * part // 5)
        except HandshakeRefused as refused:
            raise AssertionError(f"an honest handshake was refused: {refused}") from refused
        await _write(cluster, part)
        assert cluster.running[NODE].poll() is None, cluster.log(NODE)[-2000:]
        warm = warm or resident_bytes(cluster)
    grown = resident_bytes(cluster) - warm
    assert grown < GROWTH_BYTES_MAX, f"{grown} bytes more than after a fifth of the requests"


async def _write(cluster: Cluster, value: Any) -> None:
    """An honest client is served."""
    async with connect({NODE: ("127.0.0.1", cluster.ports[NODE])}, timeout_s=_ANSWER_S) as connection:
        table = Map(connection)
        await table.put("honest", value)
        assert await table.get("honest") == value


def resident_bytes(cluster: Cluster, name: str = NODE) -> int:
    """What the process of a node holds in memory."""
    status = Path(f"/proc/{cluster.running[name].pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024
