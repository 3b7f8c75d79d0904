"""From a seed to an outcome, without the command line."""

from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

with Checkouts() as checkouts:
    binding = bind("raft_impl", checkouts)
    abilities = abilities_of(load_systems(binding).values())
    for seed in (1, 2, 3):
        plan = Drawing(workload="counter", profile="calm").plan(seed, abilities)
        outcome = execute(plan, binding)
        print(f"seed {seed}: {outcome.verdict.validity}, {outcome.messages} messages, {outcome.fingerprint[:12]}")
