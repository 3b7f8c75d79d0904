"""`foreshock signatures`: what failed over the nights, since when, how often, and whether that changes."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import BadInput, Exit

from .arguments import json_option, results_option
from .printing import print_json, say


@click.command("signatures")
@click.option("--suite", metavar="NAME", help="Only campaigns of this suite.")
@click.option("--signature", metavar="SIGNATURE", help="Only this signature, or those that begin with these parts.")
@results_option
@json_option
def command(suite: str | None, signature: str | None, results: Path, as_json: bool) -> int:
    """List the signatures of all campaigns: first and last seen, rate with its 95 % interval, trend, shortest seed.

    A rate is over the runs of the cells in which the signature was ever seen.

    Example: foreshock signatures --suite nightly. Exit 0.
    """
    from harness.archive.index import FILE, Index
    from harness.search.mutants import begins
    from harness.search.nights import read
    from harness.search.signatures import histories

    if not (results / FILE).is_file():
        raise BadInput("no index of runs", "a results folder that foreshock has written", str(results))
    with Index(results) as index:
        nights, sightings = read(index, suite)
    found = [one for one in histories(nights, sightings) if signature is None or begins(one.signature, signature)]
    if as_json:
        print_json({"nights": len(nights), "signatures": found})
        return Exit.VALID
    say("nights", str(len(nights)))
    for one in found:
        click.echo(f"\n{one.signature}")
        rate = f"{one.rate:.2%} of {one.of} runs ({one.rate_low:.2%} to {one.rate_high:.2%})"
        say("rate", f"{rate}, {one.trend}  {one.bars}")
        say("first", f"{one.first[:10]}{' on ' + one.first_ref[:10] if one.first_ref else ''}")
        say("last", f"{one.last[:10]}{' on ' + one.last_ref[:10] if one.last_ref else ''}")
        say("shortest", f"seed {one.seed}: {one.ops} ops in {one.simulated_seconds:.1f} s simulated")
        say("reproduce", one.reproduce, whole=True)
    if not found:
        click.echo(
            "no failure was seen in them" if nights else "only campaigns are counted; `foreshock runs` lists runs"
        )
    return Exit.VALID
