"""The first words on a connection: who speaks, to which cluster, and a proof that both know the secret.

    dialler  -> Greeting   protocol version, role, name, cluster, whom it wants, a nonce
    acceptor -> Challenge  the same of itself, its nonce                    (or Refusal)
    dialler  -> Proof      HMAC-SHA256(secret, "dialler", both messages)
    acceptor -> Accepted   HMAC-SHA256(secret, "acceptor", both messages)   (or Refusal)

Each message is `| "FSHK" | version 1 | length 2 | msgpack |`, short, and expected within a deadline. The dialler proves
first, so that a stranger who asks gets nothing against which it could try secrets. The labels differ, so nobody's proof
can be sent back to it; the nonces differ, so none can be sent twice. Without a secret the proofs are empty.

The secret keeps strangers out. It does not keep what follows from the eyes and hands of who sits on the wire: TLS does.

What is refused is refused with a word and a sentence, to both sides, since a wrong address is a mistake of people.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Final, Literal, TypeVar

import msgspec

from ..machines.features import FIRST_LEVEL
from .framing import FrameReader, PeerFault

VERSION: Final = 1
MAGIC: Final = b"FSHK"
MESSAGE_BYTES_MAX: Final = 4096
_PREFIX: Final = struct.Struct(">4sBH")
_NONCE_BYTES: Final = 32

Role = Literal["node", "client"]
_Kind = TypeVar("_Kind")
SendAll = Callable[[bytes], Awaitable[None]]


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a connection, as it presents itself."""

    name: str
    role: Role
    cluster: str = ""
    """Empty for a client that was not told which one it wants: it takes the first."""
    instance: str = ""
    """Of its data directory; empty for a client."""
    machines: Mapping[str, str] = {}
    """The state machine of each group that it hosts."""
    ping_ms: int = 1000
    """How often it says something even when there is nothing to say."""
    format_version: int = 1
    """Of the frames and the log; what releases that do not say it have."""
    feature_levels: tuple[int, int] = (FIRST_LEVEL, FIRST_LEVEL)
    """The lowest and the highest that it knows, see `machines.features`; what releases that do not say it know."""


class Greeting(msgspec.Struct, frozen=True, array_like=True, tag="greeting"):
    """The dialler presents itself, and names whom it wants."""

    party: Party
    target: str
    nonce: bytes
    has_secret: bool


class Challenge(msgspec.Struct, frozen=True, array_like=True, tag="challenge"):
    """The acceptor presents itself."""

    party: Party
    nonce: bytes


class Proof(msgspec.Struct, frozen=True, array_like=True, tag="proof"):
    """The dialler knows the secret."""

    digest: bytes


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag="accepted"):
    """So does the acceptor."""

    digest: bytes


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag="refusal"):
    """There will be no conversation."""

    word: str
    sentence: str


class HandshakeRefused(Exception):
    """One side does not want the other. `by_peer` says which."""

    def __init__(self, word: str, sentence: str, *, by_peer: bool = False, peer: str = "") -> None:
        super().__init__(sentence)
        self.word = word
        self.by_peer = by_peer
        self.peer = peer
        """Who the other end says that it is, if it said so."""


_decode: Final = msgspec.msgpack.Decoder(Greeting | Challenge | Proof | Accepted | Refusal).decode
_encode: Final = msgspec.msgpack.Encoder().encode

Judge = Callable[[Party], Awaitable[None]]
"""Raises HandshakeRefused for a party that is unwelcome though it knows the secret."""


async def dial(reader: FrameReader, send: SendAll, me: Party, target: str, secret: bytes | None, judge: Judge) -> Party:
    """Lead a handshake as the dialler. Returns the acceptor. Raises HandshakeRefused or PeerFault."""
    greeting = Greeting(me, target, secrets.token_bytes(_NONCE_BYTES), secret is not None)
    await _send(send, greeting)
    challenge = await _receive(reader, Challenge)
    peer = challenge.party
    if peer.name != target:
        raise HandshakeRefused("other-node", f"{target} is wanted, {peer.name} answers", peer=peer.name)
    _compare(me, peer)
    await _send(send, Proof(_digest(secret, b"dialler", greeting, challenge)))
    accepted = await _receive(reader, Accepted)
    if not hmac.compare_digest(accepted.digest, _digest(secret, b"acceptor", greeting, challenge)):
        raise HandshakeRefused("wrong-secret", f"{target} does not know the secret of this cluster", peer=target)
    await judge(peer)
    return peer


async def accept(reader: FrameReader, send: SendAll, me: Party, secret: bytes | None, judge: Judge) -> Party:
    """Lead a handshake as the acceptor. Returns the dialler. Raises HandshakeRefused or PeerFault."""
    name = ""
    try:
        greeting = await _receive(reader, Greeting)
        peer = greeting.party
        name = peer.name
        if greeting.target != me.name:
            raise HandshakeRefused("other-node", f"this is {me.name}, and {peer.name} wants {greeting.target}")
        _compare(me, peer)
        if greeting.has_secret != (secret is not None):
            has, lacks = (peer.name, me.name) if greeting.has_secret else (me.name, peer.name)
            raise HandshakeRefused("wrong-secret", f"{has} has a secret and {lacks} has none (--secret-file)")
        challenge = Challenge(me, secrets.token_bytes(_NONCE_BYTES))
        await _send(send, challenge)
        proof = await _receive(reader, Proof)
        if not hmac.compare_digest(proof.digest, _digest(secret, b"dialler", greeting, challenge)):
            raise HandshakeRefused("wrong-secret", f"{peer.name} does not know the secret of this cluster")
        await judge(peer)
    except HandshakeRefused as refused:
        refused.peer = refused.peer or name
        if not refused.by_peer:
            await _send(send, Refusal(refused.word, str(refused)))
        raise
    await _send(send, Accepted(_digest(secret, b"acceptor", greeting, challenge)))
    return peer


def _compare(me: Party, peer: Party) -> None:
    """Refuse a party of another cluster, whatever it knows. An end without a cluster takes any."""
    if me.cluster and peer.cluster and me.cluster != peer.cluster:
        sentence = (
            f"{me.name} is of cluster {me.cluster}, {peer.name} of {peer.cluster}; "
            "expected the same --node and --voters on all first nodes, or the same --cluster"
        )
        raise HandshakeRefused("other-cluster", sentence, peer=peer.name)
    if me.format_version != peer.format_version:
        sentence = f"{peer.name} speaks format {peer.format_version}; expected {me.format_version}, as {me.name} does"
        raise HandshakeRefused("format-version", sentence, peer=peer.name)
    for group, machine in me.machines.items():
        if peer.machines.get(group, machine) != machine:
            sentence = f"{group} is a {machine} at {me.name} and a {peer.machines[group]} at {peer.name}"
            raise HandshakeRefused("other-machine", sentence, peer=peer.name)


def _digest(secret: bytes | None, label: bytes, greeting: Greeting, challenge: Challenge) -> bytes:
    if secret is None:
        return b""
    said = sha256(_encode(greeting)).digest() + sha256(_encode(challenge)).digest()
    return hmac.digest(secret, label + b"\0" + said, "sha256")


async def _send(send: SendAll, message: Greeting | Challenge | Proof | Accepted | Refusal) -> None:
    body = _encode(message)
    await send(_PREFIX.pack(MAGIC, VERSION, len(body)) + body)


async def _receive(reader: FrameReader, kind: type[_Kind]) -> _Kind:
    magic, version, length = _PREFIX.unpack(await reader.exactly(_PREFIX.size))
    if magic != MAGIC:
        raise PeerFault("garbage", "what it sent is no handshake")
    if version != VERSION:
        raise HandshakeRefused("protocol-version", f"protocol version {version} was offered; expected {VERSION}")
    if length > MESSAGE_BYTES_MAX:
        raise PeerFault("garbage", f"its handshake has {length} bytes; expected at most {MESSAGE_BYTES_MAX}")
    try:
        message = _decode(await reader.exactly(length))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise PeerFault("garbage", "its handshake cannot be read") from None
    if isinstance(message, Refusal):
        raise HandshakeRefused(message.word[:64], message.sentence[:400], by_peer=True)
    if not isinstance(message, kind):
        raise PeerFault("garbage", f"{type(message).__name__} came where {kind.__name__} was expected")
    return message
