"""A complete Raft: sans-IO rules, a log on disk, sessions, deterministic machines, servers and clients.

    protocol/   the rules, pure: inputs and the time in, a `Ready` out
    machines/   what is replicated: sessions, and one deterministic machine a file
    runtime/    the interface to the environment (`env`), frames, the log on disk, the driver of the rules, the client
    surface.py  all that a harness may touch

Where to begin: `protocol.ready` says what the rules want of a driver, `runtime.member` is that driver, and
`runtime.wal` keeps its promises on a disk. Everything imports relatively and nothing is registered globally, so several
copies of this package can live in one process.
"""
