"""Arguments that several commands share, so that they are spelled and read alike everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, get_args

import click

from harness import quantities
from harness.live.specs import NODE, OTHERS

if TYPE_CHECKING:
    from harness.run.drawing import Drawing

P = ParamSpec("P")
R = TypeVar("R")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def quantity(read: Callable[[str], R]) -> Callable[[str], R]:
    """Make a reader of `harness.quantities` a click type whose message survives."""

    def convert(text: str) -> R:
        try:
            return read(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return convert


def assignment(text: str) -> tuple[str, str]:
    """Read `key=value` as a pair of texts."""
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise click.BadParameter(f"{text!r} is not of the form key=value")
    return key.strip(), value.strip()


def results_option(function: Callable[P, R]) -> Callable[P, R]:
    """`--results DIR`."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=Path("results"),
        envvar="FORESHOCK_RESULTS",
        metavar="DIR",
        help="Where runs are kept.  [default: ./results, or $FORESHOCK_RESULTS]",
    )(function)


def json_option(function: Callable[P, R]) -> Callable[P, R]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout.")(function)


def verbose_option(function: Callable[P, R]) -> Callable[P, R]:
    """`-v`, `--verbose`."""
    return click.option("-v", "--verbose", is_flag=True, help="Print every fault and every counterexample in full.")(
        function
    )


def drawing_options(
    *, workload: bool = True, system: bool = True, world: bool = False, upgrade: bool = False
) -> Decorator:
    """All options that decide a plan but the seed, gathered into one argument `drawing`.

    In the live world (`world`: it may be asked for) another system and another profile are meant unless they are typed.
    """
    options: list[Decorator] = [
        _profile_option(world=world),
        click.option("--nodes", type=click.IntRange(1), metavar="N", help="Replicas.  [calm: 5]"),
        click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Client threads.  [calm: 5]"),
        click.option(
            "--rate",
            type=click.FloatRange(0, min_open=True),
            metavar="OPS_PER_SECOND",
            help="Operations a second of all clients together.",
        ),
        click.option(
            "--duration",
            type=quantity(quantities.duration),
            metavar="TIME",
            help="Length of the fault phase.  [calm: 30s]",
        ),
        click.option(
            "-o",
            "explicit",
            type=assignment,
            multiple=True,
            metavar="KEY=VALUE",
            help="Pin an option of the system; repeatable.",
        ),
    ]
    if workload:
        options.insert(0, click.option("--workload", default="register", show_default=True, help="What clients do."))
    if system:
        options.insert(0, system_option_of_world if world else system_option)
    if upgrade:
        options.append(upgrade_option)
    if world:
        options.insert(0, network_option)
        options.insert(0, world_option)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gathered(**values: Any) -> Any:
            values["drawing"] = drawing_of(values)
            for name in _DRAWING:
                values.pop(name, None)
            return function(**values)

        command: Callable[..., Any] = gathered
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_DRAWING: Final = (
    "world",
    "network",
    "workload",
    "profile",
    "nodes",
    "concurrency",
    "rate",
    "duration",
    "explicit",
    "upgrade_from",
)


def drawing_of(values: Mapping[str, Any]) -> Drawing:
    """The drawing that the values of `drawing_options` say; those of a system and a workload may be missing."""
    from harness.run.drawing import Drawing  # with all faults and plans

    named = {name: values[name] for name in ("world", "network", "system", "workload") if name in values}
    return Drawing(
        **named,
        profile=values["profile"],
        nodes=values["nodes"],
        concurrency=values["concurrency"],
        rate=values["rate"],
        duration_ns=values["duration"],
        explicit=dict(values["explicit"]),
        upgrade_from=values.get("upgrade_from"),
    )


def _default(simulated: str, live: str) -> Callable[[], str]:
    """What is meant by an option that is not typed: another thing in the live world. `--world` is read first."""

    def default() -> str:
        return live if click.get_current_context().params.get("world") == "live" else simulated

    return default


def world_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--world`."""
    return click.option(
        "--world",
        is_eager=True,
        type=click.Choice(["simulated", "live"]),
        default="simulated",
        show_default=True,
        help="Live: OS processes and the wall clock; see docs/live.md.  [then --system node, --profile live]",
    )(function)


def network_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--network`."""
    from harness.run.drawing import LiveNetwork  # with all faults and plans, as the commands that have this option

    return click.option(
        "--network",
        type=click.Choice(get_args(LiveNetwork)),
        default="proxies",
        show_default=True,
        help="Live: what brings about faults of links; namespaces need root and nft.",
    )(function)


_SYSTEMS: Final = (
    "raft_impl, raft_impl@REF, path:DIR of another checkout, patch:FILE for a patched copy; or a system of "
    "your own: FILE.py:NAME, MODULE:NAME; or a Trio program: trio:FILE.py:NAME."
)


def system_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--system`."""
    return click.option("--system", default="raft_impl", show_default=True, metavar="SPEC", help=_SYSTEMS)(function)


def upgrade_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--upgrade-from`."""
    return click.option(
        "--upgrade-from",
        metavar="REF",
        help="Nodes begin with this version (a git ref, a folder, patch:FILE) and are upgraded; see docs/upgrades.md.",
    )(function)


def system_option_of_world(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--system` where a world is chosen."""
    default = _default("raft_impl", live=NODE)
    text = (
        f"{_SYSTEMS} Live: {', '.join((NODE, *OTHERS))}, maelstrom:COMMAND; or processes of your own: FILE.py:NAME.  "
        "[default: raft_impl]"
    )
    return click.option("--system", default=default, metavar="SPEC", help=text)(function)


def _profile_option(*, world: bool) -> Decorator:
    if not world:
        return click.option("--profile", default="swarm", show_default=True, help="What the plan may draw.")
    default = _default("swarm", live="live")
    return click.option("--profile", default=default, help="What the plan may draw.  [default: swarm]")


def compile_option(function: Callable[P, R]) -> Callable[P, R]:
    """`--no-compile`."""
    return click.option(
        "--no-compile", is_flag=True, help="Run the sources, also in a campaign long enough for compiling to pay."
    )(function)


def jobs_option(function: Callable[P, R]) -> Callable[P, R]:
    """`--jobs J`."""
    return click.option(
        "--jobs", type=click.IntRange(1), metavar="J", help="Worker processes.  [default: one a processor]"
    )(function)


def run_timeout_option(help: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`--run-timeout TIME`, in nanoseconds; None: it was not typed."""
    return click.option("--run-timeout", type=quantity(quantities.duration), metavar="TIME", help=help)


def typed(name: str) -> bool:
    """True when this parameter of the current command was typed (or set in the environment)."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
