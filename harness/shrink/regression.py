"""Regression tests: a shrunk plan as a pytest file that fails on the broken code and passes on mended code.

The plan stands in the file. It runs under the seed of the schedule that failed and under some more that fail too: later
changes of the code shift messages, and one seed alone would soon test nothing.

    FORESHOCK_SYSTEM=patch:bug.patch pytest test_it.py

runs such a test on other code than the checkout's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from harness.plans.plan import Plan, decode
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

from .trial import Target

SYSTEM: Final = "FORESHOCK_SYSTEM"
"""The environment variable that names the code which regression tests run."""

REDRAWS_TRIED: Final = 40
"""How many other seeds of the schedule are tried, to find some that fail too."""
REDRAWS_KEPT: Final = 4

_WIDTH: Final = 110

_TEMPLATE: Final = '''"""{signature}: {nodes} nodes, {faults} faults, {ops} operations.

Written by `foreshock shrink --emit-test`.


{message}
"""

from __future__ import annotations

import pytest

from harness.shrink.regression import anomalies

PLAN = r"""
{plan}
"""


@pytest.mark.parametrize("schedule_seed", [{seeds}])
def test_{name}(schedule_seed: int) -> None:
    assert "{signature}" not in anomalies(PLAN, schedule_seed=schedule_seed{older})
'''


def anomalies(
    plan: str, *, schedule_seed: int | None = None, system: str | None = None, upgrade_from: str | None = None
) -> dict[str, str]:
    """Run a plan, and give the counterexample of each signature that it shows; none when the code is right.

    `system` is a spec as `--system` takes it, by default that of `FORESHOCK_SYSTEM`, else the checkout's own code;
    `upgrade_from` is the version with which nodes begin, in a plan that upgrades them.
    Raises BadInput for a plan that this code cannot run.
    """
    read = decode(plan.encode(), "the plan of the test")
    if schedule_seed is not None:
        read = with_schedule_seed(read, schedule_seed)
    with Checkouts() as checkouts:
        specs = catalog.specs_of(system or os.environ.get(SYSTEM, "raft_impl"), upgrade_from)
        binding = catalog.bind(specs, checkouts)
        outcome = execute(read, binding, RunOptions(gates=False), where="the plan of the test")
    return {anomaly.signature: anomaly.message for anomaly in outcome.anomalies}


def with_schedule_seed(plan: Plan, seed: int) -> Plan:
    """The same plan under other draws while it runs."""
    return msgspec.structs.replace(plan, schedule=msgspec.structs.replace(plan.schedule, seed=seed))


def file_of(plan: Plan, target: Target, message: str, seeds: Sequence[int], *, upgrade_from: str | None = None) -> str:
    """The text of the test file of a shrunk plan, for these seeds of the schedule; `upgrade_from` as in `anomalies`."""
    return _TEMPLATE.format(
        signature=target.signature,
        nodes=len(plan.nodes),
        faults=len(plan.faults),
        ops=sum(len(program.ops) for program in plan.programs),
        message="\n".join(line.rstrip() for line in message.replace("\\", "/").replace('"""', "'''").splitlines()),
        plan=_lines(msgspec.json.decode(plan.to_json()), ""),
        seeds=", ".join(map(str, seeds)),
        older="" if upgrade_from is None else f', upgrade_from="{upgrade_from}"',
        name=re.sub(r"\W+", "_", target.signature).lower(),
    )


def _lines(value: Any, indent: str) -> str:
    """JSON on as few lines as fit the width: a value that does not fit is broken at its members."""
    flat = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    if len(indent) + len(flat) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        members = [f"{msgspec.json.encode(name).decode()}: {_lines(one, inner)}" for name, one in value.items()]
        opening, closing = "{", "}"
    else:
        members = [_lines(one, inner) for one in value]
        opening, closing = "[", "]"
    return opening + "\n" + ",\n".join(inner + member for member in members) + "\n" + indent + closing
