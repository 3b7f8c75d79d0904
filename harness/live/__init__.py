"""The live world: OS processes under the plans, workloads, faults and checkers of the simulated one.

**The same in both worlds**: plans and their drawing, workloads and programs, the records of faults, the nemesis with
its timetable and its account (`harness.sim.nemesis`), the interpreter of programs with the rules of histories
(`harness.run.interpreter`), the recorder and the observer, the checkers, the gates, the archive, reports, `recheck`.
None of them knows in which world it works: the nemesis reaches it through `harness.faults.world` only, the interpreter
through a clock, a client and something to wait with.

**What differs** stands in this package. Time is the wall clock's, so that a run is no function of its plan: the plan
decides what is asked and what breaks, the machine how long it takes. Nothing is judged that needs the inside of a
process, but what systems tell of themselves: who leads in which term.

| file | owns |
| --- | --- |
| `live_run` | one run on one page: start, wait for a leader, traffic and faults, heal, final reads, verdict |
| `drawing` | what of a plan a live world can do, and a live plan for the simulated one |
| `timetable` | wall time since the run began, and calls at a time |
| `supervisor` | OS processes: start, kill, stop and continue, restart with their data; `guardian` ends them |
| `addresses` | where everybody is: a loopback network of the run's own |
| `proxies` | the TCP proxy before each node, `callers` who opened a connection, `network` what happens to it |
| `namespaces` | the same by the kernel, with a network namespace a node; `nft` are its rules |
| `fault_world` | the world as faults see it |
| `lateness` | by how much the harness itself is late |
| `kept` | the logs of nodes in the folder of a run, and the page of one that failed |
| `control` | faults of disks and clocks inside of our nodes |
| `asking` | what an administrator asks of nodes |
| `faketime` | clocks of other programs, by libfaketime |
| `clients` | the tasks of the plan's clients, which can be killed too |
| `systems/` | one file a system: how it is started, asked and watched |

**Every fault is verified.** A kill hits when a process was there and is gone, a pause when the operating system says
that the process stands still, a fault of links when a proxy held, delayed, lost or reset something because of it. The
rate of a clock counts where the node was up; by how much that clock was off, a mark says. What hit nothing is
`no-effect`, and a run whose faults of a kind never hit is vacuous, as in simulation.

**Nothing is left running.** The processes of a run are killed on its way out, whatever ends it; when the harness itself
is killed, its guardian does that.
"""
