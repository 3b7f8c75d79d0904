"""One run, and what becomes of it when everything after a moment is drawn anew."""

from harness.plans.plan import Redraw
from harness.run.drawing import Drawing, abilities_of
from harness.run.multiverse import Multiverse
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

with Checkouts() as checkouts:
    binding = bind("raft_impl", checkouts)
    plan = Drawing(workload="counter", profile="crashes").plan(1, abilities_of(load_systems(binding).values()))
    multiverse = Multiverse(plan, binding, tell=lambda outcome: (outcome.verdict.validity, outcome.messages))
    branches = multiverse.branches(Redraw(at_ns=5_000_000_000, salt=salt) for salt in (1, 2, 3))
    for branch in sorted(branches, key=lambda branch: branch.redraw.salt):
        print(f"salt {branch.redraw.salt}:", branch.told or branch.error)
