"""Scenarios: scripted walk-throughs over a network where nothing moves unless the script says so.

A scenario file holds commands and the exact transcript of what they caused:

    # The follower with the longer log wins.
    > nodes A B C
    > timer A
    A pre-candidate t0
    A>B pre-vote t1 last=(0, t0)
    A>C pre-vote t1 last=(0, t0)

Lines that begin with `#` are comments (the first one is the title), lines that begin with `> ` are commands, and the
lines up to the next blank line, comment or command are what happened. `pytest --rewrite-scenarios` writes the
transcripts anew, to be reviewed as a diff; `foreshock scenario NAME` runs one and says whether it still reads the same.

The rules: clocks stand still until `timer` or `advance` moves one; messages between replicas wait for
`deliver`, `drop` or `settle`; a client's messages arrive at once; a write is durable at once unless the node's disk
is held. Every invariant of Raft is checked after every event, and the history of the clients is checked at the end: the
verdict must be valid except for the signatures that `expect` names.

| command | what it does |
| --- | --- |
| `nodes A B C [machine=register] [option=value]...` | the replicas, the group's machine, options of the system |
| `replay until 3250ms` | in place of `nodes`: go on from that moment of the run whose plan ends the file |
| `spare D E` | replicas that run but are not members at first |
| `preset A [term=T] [vote=B] [log=1,1*9,2]` | what A's disk holds before it starts; `1*9` is nine entries of term 1 |
| `timer A` | move A's clock to its next deadline |
| `advance A,B 150ms`, `advance * 1s` | move clocks, of nodes or clients, by that much |
| `deliver A>B [kind] [count]`, `deliver A,B>*`, `deliver all` | deliver what waits now, one by one, oldest first |
| `again A>B [kind] [count]` | the same, and keep it, to be delivered once more |
| `drop A>B [kind] [count]`, `drop all` | drop what waits now |
| `settle [A B]` | deliver the oldest message until nothing waits (between these nodes) |
| `cut A B \\| C D`, `cut A > B`, `mend` | cut links both ways, or one way, also of clients; mend them all |
| `lie A` | A says yes where it means no: refused votes arrive as granted, refused appends as acknowledged |
| `crash A`, `restart A` | kill it (what was written stays), start it again |
| `crash A power [BYTES]` | its power fails: of what was appended and not synced only the first BYTES are kept |
| `hold-disk A`, `free-disk A [once]` | keep A's fsyncs from completing; let them, or only those under way |
| `files A`, `flip A FILE BYTE` | the files on A's disk with their sizes; flip the lowest bit of a byte |
| `c1 write x 1 [at A]`, `c1 read x` | a client's op; `at` makes a server its home, else it follows the leader |
| `campaign A`, `transfer A B`, `compact A`, `change A voters=A,B [learners=C]` | an administrator's command |
| `show` | a table: role, term, vote, log (terms), commit, applied, and members once they are not the first |
| `progress A` | a table of what the leader A knows of its followers |
| `waiting` | the messages that wait |
| `expect SIGNATURE...` | the anomalies that the scenario shows; says what is wrong so far |
| `quietly COMMAND` | the same without its transcript: for openings that other scenarios show |

In a transcript `A appends 4..5 [2,2]` is what A's log gained (terms in brackets), `A>B ...` a message that left, `t3` a
term, `(4, t3)` the entry 4 of term 3. A log `[3: 1,1]` begins at index 3; what is before is in a snapshot.
"""
