"""Which data directory came under which node's name: remembered durably before the first word of its is believed.

A node that lost its disk and begins anew under its old name does not know what it voted and acknowledged. Its
directory is another instance (see `identity`), and everybody who has met the earlier one refuse it. A first node
introduces itself to more than half of the others before it takes part, so whoever takes part under a name is known to
more than half of the others, and two instances of one name cannot both be: any two such majorities share a node.

Names are therefore not used twice: a lost node is removed, and comes back under a new name.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec
import trio

from ..errors import Corrupt
from ..runtime.env import Disk
from .handshake import HandshakeRefused, Party

FILE_NAME: Final = "acquaintances.json"
_TEMPORARY_NAME: Final = "acquaintances.tmp"
_COUNT_MAX: Final = 10_000
"""Names that are remembered; far more than a cluster ever has."""


class Acquaintances:
    """What one node knows of others' directories."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = trio.Lock()
        self._instances = _read(disk)

    async def meet(self, party: Party) -> None:
        """Remember a node, or recognise it. Raises HandshakeRefused when its directory is another one than before."""
        async with self._lock:
            known = self._instances.get(party.name)
            if known == party.instance:
                return
            if known is not None:
                sentence = (
                    f"{party.name} comes with another data directory than it had; a node that lost its disk may have "
                    "promised what it no longer knows: remove it from the group, and add it under a new name"
                )
                raise HandshakeRefused("identity-lost", sentence, peer=party.name)
            if len(self._instances) >= _COUNT_MAX:
                raise HandshakeRefused("too-many-nodes", f"{_COUNT_MAX} nodes are known already", peer=party.name)
            await _write(self._disk, {**self._instances, party.name: party.instance})
            self._instances[party.name] = party.instance


def _read(disk: Disk) -> dict[str, str]:
    if FILE_NAME not in disk.names():
        return {}
    body, _, checksum = disk.read(FILE_NAME).rstrip(b"\n").rpartition(b"\n")
    try:
        if checksum == b"%08x" % crc32(body):
            return msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    raise Corrupt("acquaintances-corrupt", f"{FILE_NAME}: its checksum does not fit")


async def _write(disk: Disk, instances: dict[str, str]) -> None:
    body = msgspec.json.encode(instances, order="sorted")
    disk.write(_TEMPORARY_NAME, b"%s\n%08x\n" % (body, crc32(body)))
    await disk.fsync(_TEMPORARY_NAME)
    disk.rename(_TEMPORARY_NAME, FILE_NAME)
    await disk.fsync_directory()
