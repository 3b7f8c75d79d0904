"""A rolling upgrade, drawn into a plan: nodes begin with the code of before, and are upgraded one after the other.

What is drawn here is added to the plan that the seed has without it: the same clients, options and faults, under which
the nodes now change their code. So `run --seed 3 --upgrade-from REF` is `run --seed 3` with one difference.

In some plans one node is left behind until the heal, so that the members never all know what the newer code knows. In
many, nodes that were upgraded go back for a while: mostly before the group raised its feature level, when the older
code must be able to serve with what the newer has written, and sometimes after it. Clients are of either release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from harness.errors import BadInput
from harness.faults.fault import Fault
from harness.faults.upgrades import RollBack, Upgrade
from harness.options import OptionSpec, OptionValues

from .labels import DEFAULT_LABEL, OLDER_LABEL
from .plan import Actor, Plan
from .rng import Stream, streams

LEVEL_OPTION: Final = "feature_level"
"""The option up to which a leader raises its group's level; here to the highest that the newer code knows."""

_LEFT_BEHIND_PPM: Final = 150_000
_POWER_PPM: Final = 300_000
_OLD_CLIENT_PPM: Final = 500_000
_ROLL_BACKS: Final = ((0, 30), (1, 40), (2, 30))
_TENTHS: Final = 10


def with_upgrades(plan: Plan, versions: Sequence[Sequence[OptionSpec]]) -> Plan:
    """Draw a rolling upgrade into a plan. `versions` are the options of each version: a drawn value that one of them
    does not take is left out. Raises BadInput for one that was typed.
    """
    stream = streams(plan.drawn.seed)
    upgrades = _upgrades(stream("upgrades"), plan)
    faults = (*plan.faults, *upgrades, *_roll_backs(stream("upgrades/back"), plan, upgrades))
    clients = stream("upgrades/clients")
    members = {name for group in plan.groups.values() for name in (*group.voters, *group.learners)}

    def code_of(name: str, actor: Actor) -> str:
        is_older = name in members if actor.kind == "node" else clients.chance_ppm(_OLD_CLIENT_PPM)
        return OLDER_LABEL if is_older else DEFAULT_LABEL

    actors = {
        name: msgspec.structs.replace(actor, code=code_of(name, actor)) for name, actor in sorted(plan.actors.items())
    }
    return msgspec.structs.replace(
        plan,
        drawn=msgspec.structs.replace(plan.drawn, upgraded=True),
        actors=actors,
        faults=tuple(sorted(faults, key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind))),
        options=_options(plan, versions),
    )


def _upgrades(stream: Stream, plan: Plan) -> tuple[Upgrade, ...]:
    """One upgrade for each member, in a drawn order, over a drawn part of the fault phase."""
    begin_ns, span_ns = plan.phases.warmup_ns, plan.phases.faults_ns
    members = dict.fromkeys(name for group in plan.groups.values() for name in (*group.voters, *group.learners))
    order = stream.shuffled(sorted(members))
    is_partial = stream.chance_ppm(_LEFT_BEHIND_PPM)
    if is_partial and len(order) > 1:
        order = order[:-1]
    first_ns = begin_ns + stream.below(span_ns * 3 // _TENTHS)
    last_ns = begin_ns + stream.between(span_ns * 4 // _TENTHS, span_ns * 9 // _TENTHS)
    step_ns = (last_ns - first_ns) // len(order)
    timeout_ns = _timeout_ns(plan)
    upgrades = []
    for position, name in enumerate(order):
        at_ns = first_ns + position * step_ns + stream.below(step_ns // 2 + 1)
        down_ns = stream.log_uniform(timeout_ns // 2, 3 * timeout_ns)
        upgrades.append(
            Upgrade(
                id=f"u{position + 1}",
                begin_ns=at_ns,
                end_ns=min(at_ns + down_ns, plan.phases.heal_ns),
                targets=(name,),
                code=DEFAULT_LABEL,
                power=stream.chance_ppm(_POWER_PPM),
            )
        )
    return tuple(upgrades)


def _roll_backs(stream: Stream, plan: Plan, upgrades: Sequence[Upgrade]) -> tuple[Fault, ...]:
    heal_ns, timeout_ns = plan.phases.heal_ns, _timeout_ns(plan)
    faults = []
    for number in range(stream.weighted(_ROLL_BACKS)):
        upgrade = stream.choice(upgrades)
        # Mostly soon, when others are still to be upgraded.
        length_ns = heal_ns - upgrade.end_ns
        begin_ns = upgrade.end_ns + min(stream.below(length_ns + 1), stream.below(length_ns + 1))
        if begin_ns < heal_ns:
            end_ns = min(heal_ns, begin_ns + stream.log_uniform(2 * timeout_ns, 20 * timeout_ns))
            faults.append(
                RollBack(
                    id=f"b{number + 1}",
                    begin_ns=begin_ns,
                    end_ns=end_ns,
                    targets=upgrade.targets,
                    code=OLDER_LABEL,
                    then=DEFAULT_LABEL,
                    power=stream.chance_ppm(_POWER_PPM),
                )
            )
    return tuple(faults)


def _timeout_ns(plan: Plan) -> int:
    """The scale of all lengths; that of a plan which states no election timeout is the default's."""
    return int(plan.options.get("election_timeout_ms", 150)) * 1_000_000


def _options(plan: Plan, versions: Sequence[Sequence[OptionSpec]]) -> OptionValues:
    """Options that all versions take, but for the level, which is for those that know it."""
    by_name = [{spec.name: spec for spec in specs} for specs in versions]
    chosen = dict(plan.options)
    for name, value in plan.options.items():
        if name == LEVEL_OPTION or all(name in specs and specs[name].accepts(value) for specs in by_name):
            continue
        spec = next(specs[name] for specs in by_name if name in specs)
        if value == spec.neutral:
            continue  # whoever lacks it behaves so
        if name in plan.drawn.explicit:
            expected = f"{name}={spec.neutral}, under which the other one behaves"
            raise BadInput(f"{name}={value}, which one of the two versions does not take", expected, f"-o {name}")
        del chosen[name]
    levels = [int(specs[LEVEL_OPTION].maximum or 1) for specs in by_name if LEVEL_OPTION in specs]
    if levels:
        chosen.setdefault(LEVEL_OPTION, max(levels))
    return chosen
