"""Scenarios: scripted walk-throughs over a network where nothing moves unless the script says so.

A scenario file holds commands and the exact transcript of what they caused:

    # The follower with the longer log wins.
    > nodes A B C
    > timer A
    A pre-candidate t0
    A>B pre-vote t1 last=(0, t0)
    A>C pre-vote t1 last=(0, t0)

Lines that begin with `#` are comments, lines that begin with `> ` are commands, and the lines up to the next blank
line, comment or command are what happened. `pytest --rewrite-scenarios` writes the transcripts anew, to be reviewed
as a diff; `foreshock scenario NAME` runs one and says whether it still reads the same.

The rules of the stage: clocks stand still until `timer` or `advance` moves one; messages between replicas wait for
`deliver`, `drop` or `settle`; a client's messages arrive at once; a write is durable at once unless the node's disk
is held. Every invariant of Raft is judged all the while, and the history of the clients is checked at the end.

| command | what it does |
| --- | --- |
| `nodes A B C [machine=register] [option=value]...` | the replicas, the group's machine, options of the system |
| `spare D E` | replicas that run but are not members at first |
| `preset A [term=T] [vote=B] [log=1,1,2]` | what A's disk holds before it starts |
| `timer A` | move A's clock to its next deadline |
| `advance A 150ms` | move A's clock, node or client, by that much |
| `deliver A>B [kind]`, `deliver A>*`, `deliver all` | deliver what waits now, oldest first |
| `again A>B [kind]` | the same, and keep it, to be delivered once more |
| `drop A>B [kind]`, `drop all` | drop what waits now |
| `settle` | deliver until nothing waits |
| `cut A B \\| C D`, `cut A > B`, `mend` | cut links both ways, or one way; mend them all |
| `crash A`, `crash A power`, `restart A` | kill (with `power`: un-synced writes are lost); start again |
| `hold-disk A`, `free-disk A` | keep A's fsyncs from completing; let them |
| `flip A FILE BYTE` | flip the lowest bit of a byte on A's disk while A is down |
| `c1 write x 1 at A`, `c1 read x at A` | a client's op at that server, its home from then on |
| `campaign A`, `transfer A B`, `compact A`, `change A voters=A,B learners=C` | an administrator's command |
| `show` | a table: role, term, vote, log (terms), commit, applied |
| `waiting` | the messages that wait |
"""
