"""What an actor sees of the simulated world: its clocks, randomness, network and disk.

Each belongs to one incarnation. Once that is dead, no call has any effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from .disk import SimDisk
from .disk_damage import DiskDamage
from .disk_faults import DiskFaults
from .kernel.draws import Chance, Counter
from .kernel.local_clock import LocalClock
from .lifetime import Lifetime


class SimClock:
    """The actor's clocks, which it can read and not set."""

    __slots__ = ("monotonic_ns", "wall_ns")

    def __init__(self, clock: LocalClock) -> None:
        self.monotonic_ns = clock.monotonic_ns
        self.wall_ns = clock.wall_ns


class SimRandomness:
    """Draws keyed by (actor, incarnation, purpose)."""

    __slots__ = ("_chance", "_key", "_streams")

    def __init__(self, chance: Chance, actor: str, incarnation: int) -> None:
        self._chance, self._key = chance, (actor, str(incarnation))
        self._streams: dict[str, Counter] = {}

    def below(self, bound: int, purpose: str) -> int:
        """A uniform integer in [0, bound)."""
        stream = self._streams.get(purpose)
        if stream is None:
            stream = self._streams[purpose] = Counter(self._chance, "actor", *self._key, purpose)
        return stream.below(bound)


class SimNetworkPort:
    """Where the actor hands datagrams to the network; `send` is the network's own function for this incarnation."""

    __slots__ = ("send",)

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        self.send = send

    def learn(self, group: str, addresses: Mapping[str, str]) -> None:
        """Check that an address is its actor's name: there is nothing else by which actors are reached here."""
        for name, address in addresses.items():
            if name != address:
                raise ValueError(f"{group}: {name} is said to be at {address!r}; expected {name!r}")

    def distrust(self, source: str) -> None:
        """Nothing: a datagram that was damaged on its way says nothing of its sender."""


class SimDiskPort:
    """The actor's view of its disk: immediate calls go to the model, syncs take drawn time. Any may raise OSError."""

    __slots__ = ("_damage", "_disk", "_faults", "_lifetime", "_sync")

    def __init__(
        self,
        lifetime: Lifetime,
        disk: SimDisk,
        faults: DiskFaults,
        damage: DiskDamage,
        sync: Callable[[str | None], Awaitable[None]],
    ) -> None:
        self._lifetime, self._disk, self._faults, self._sync = lifetime, disk, faults, sync
        self._damage = damage

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        return self._disk.names()

    def read(self, name: str) -> bytes:
        """The whole content."""
        if self._faults.any_in_force:
            self._raise(self._faults.error_of("read"))
        self._damage.met(name)
        return self._disk.read(name)

    def append(self, name: str, data: bytes) -> None:
        """Add at the end. What fails may have added a part."""
        if self._lifetime.dead:
            return
        if self._faults.any_in_force:
            size, error = self._faults.error_of_write(len(data))
            if error is not None and size:
                self._disk.append(name, data[:size])
            self._raise(error)
        self._disk.append(name, data)

    def write(self, name: str, data: bytes) -> None:
        """Replace the content. What fails may have put a part in its place."""
        if self._lifetime.dead:
            return
        if self._faults.any_in_force:
            size, error = self._faults.error_of_write(len(data))
            if error is not None and size:
                self._disk.write(name, data[:size])
            self._raise(error)
        self._disk.write(name, data)

    def overwrite(self, name: str, position: int, data: bytes) -> None:
        """Write at a position of a file, for programs (adapters have no such call). What fails may write a part."""
        if self._lifetime.dead:
            return
        if self._faults.any_in_force:
            size, error = self._faults.error_of_write(len(data))
            if error is not None and size:
                self._disk.overwrite(name, position, data[:size])
            self._raise(error)
        self._disk.overwrite(name, position, data)

    def compose(self, name: str, make: Callable[[], bytes]) -> None:
        """Replace the content, at once: in virtual time that takes no time."""
        self.write(name, make())

    def truncate(self, name: str, size: int) -> None:
        """Cut the file."""
        if self._may_change():
            self._disk.truncate(name, size)

    def rename(self, source: str, target: str) -> None:
        """Replace `target` by `source`."""
        if self._may_change():
            self._disk.rename(source, target)

    def unlink(self, name: str) -> None:
        """Remove a file."""
        if self._may_change():
            self._disk.unlink(name)

    def make_folder(self, name: str) -> None:
        """Make a folder, for programs."""
        if self._may_change():
            self._disk.make_folder(name)

    def folder_at(self, name: str) -> str:
        """The tag of a folder, for programs; empty if there is none of this name."""
        return self._disk.folder_at(name)

    def fsync(self, name: str) -> Awaitable[None]:
        """Wait until the content is durable."""
        return self._sync(name)

    def fsync_directory(self) -> Awaitable[None]:
        """Wait until the names are durable."""
        return self._sync(None)

    def _may_change(self) -> bool:
        if self._lifetime.dead:
            return False
        if self._faults.any_in_force:
            self._raise(self._faults.error_of("write"))
        return True

    def _raise(self, error: OSError | None) -> None:
        if error is not None and not self._lifetime.dead:
            self._lifetime.met_disk_error = True
            raise error
