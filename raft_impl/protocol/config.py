"""The options of one core: plain values, validated once, the same for every node of a group."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

ReadMode = Literal["quorum", "lease", "local"]

MILLISECOND_NS: Final = 1_000_000
PPM: Final = 1_000_000


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the protocol. Times are nanoseconds of the node's own monotonic clock."""

    election_timeout_min_ns: int = 150 * MILLISECOND_NS
    """T: randomized timeouts lie in [T, 2T); also the unit of stickiness, check-quorum, leases and transfers."""
    heartbeat_ns: int = 50 * MILLISECOND_NS
    pre_vote: bool = True
    check_quorum: bool = True
    """A leader that no quorum answers within T steps down; voters in contact with a leader ignore candidates."""
    reads: ReadMode = "quorum"
    """quorum: a heartbeat round confirms each batch. lease: clocks do, within the drift bound. local: dirty reads."""
    lease_drift_bound_ppm: int = 1_050_000
    """b: every clock's rate lies in [1/b, b] of true time; 1,000,000 is 1.0."""
    max_entries_per_append: int = 64
    max_bytes_per_append: int = 256 * 1024
    """Payload bytes of one append; one entry always goes, however large."""
    max_inflight: int = 64
    """Appends on their way to one follower before the leader waits for an answer."""
    max_inflight_bytes: int = 4 * 1024 * 1024
    max_uncommitted_bytes: int = 4 * 1024 * 1024
    """Payload that may wait for commit at the leader; proposals beyond it are refused with "busy"."""
    max_waiting_reads: int = 10_000
    """Reads that may wait for their confirmation; more are refused with "busy"."""
    snapshot_chunk_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        """Refuse values under which a promise of the protocol would not hold."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ValueError(f"{name} is {value}; expected at least 1")
        if self.heartbeat_ns >= self.election_timeout_min_ns:
            raise ValueError(
                f"heartbeat_ns is {self.heartbeat_ns}; expected less than "
                f"election_timeout_min_ns, {self.election_timeout_min_ns}"
            )
        if self.lease_drift_bound_ppm < PPM:
            raise ValueError(f"lease_drift_bound_ppm is {self.lease_drift_bound_ppm}; expected at least {PPM} (1.0)")
        if self.reads == "lease" and not self.check_quorum:
            raise ValueError("reads is 'lease' with check_quorum off; a lease relies on voters that ignore candidates")

    @property
    def lease_ns(self) -> int:
        """How long after the send time of a confirmed round a lease lasts on the leader's clock: T / b^2, rounded down.

        A voter that answered the round grants no vote for T of its own clock, at least T / b of true time; the
        leader's clock may measure that as little as T / b^2.
        """
        return self.election_timeout_min_ns * PPM * PPM // (self.lease_drift_bound_ppm * self.lease_drift_bound_ppm)
