"""`foreshock runs`: list, filter and delete stored runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from harness import quantities
from harness.errors import BadInput, Exit

from .arguments import json_option, quantity, results_option
from .printing import print_json, print_table, say


@click.command("runs")
@click.option("--verdict", type=click.Choice(["valid", "invalid", "unknown", "error"]), help="Only these.")
@click.option("--signature", metavar="SIGNATURE", help="Only this signature, or those that begin with these parts.")
@click.option("--workload", metavar="NAME", help="Only this workload.")
@click.option("--campaign", metavar="ID|latest", help="Only runs of this campaign.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Only this seed.")
@click.option("--older-than", type=quantity(quantities.duration), metavar="TIME", help="Only runs older than that: 7d.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="At most this number, the newest.  [default: 20, deleting: all]",
)
@click.option("--delete", is_flag=True, help="Delete what was selected, folders and rows.")
@click.option(
    "--reindex", is_flag=True, help="Make a new index from the run folders, and from what is readable of the old one."
)
@click.option("--verify", is_flag=True, help="Look whether every stored run is whole; exit 1 when one is not.")
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what was selected: as Parquet to FILE.parquet, else as CSV.",
)
@click.option(
    "--retain",
    metavar="RULE",
    help="Delete run folders by a rule, keep their rows: age=30d,size=2GiB,per-signature=3.",
)
@click.argument("run", required=False)
@results_option
@json_option
def command(
    verdict: str | None,
    signature: str | None,
    workload: str | None,
    campaign: str | None,
    seed: int | None,
    older_than: int | None,
    limit: int | None,
    delete: bool,
    reindex: bool,
    verify: bool,
    export: Path | None,
    retain: str | None,
    run: str | None,
    results: Path,
    as_json: bool,
) -> int:
    """List stored runs, newest first; RUN selects one by its id.

    Example: foreshock runs --verdict invalid --workload register, or foreshock runs --older-than 7d --delete.
    After damage, foreshock runs --reindex makes a new index; the old one is renamed.
    --retain never deletes the newest folders of a signature, nor its smallest. --export has all columns of the index.
    """
    from harness.archive.index import FILE, Index, utc_now

    chosen = [
        value for value in (verdict, signature, workload, campaign, seed, run, older_than, limit) if value is not None
    ]
    alone = [
        name for name, is_given in (("--reindex", reindex), ("--verify", verify), ("--retain", retain)) if is_given
    ]
    if alone and (chosen or delete or export is not None or len(alone) > 1):
        raise BadInput(f"{alone[0]} beside other options", f"{alone[0]} alone", "foreshock runs")
    if export is not None and delete:
        raise BadInput("--export beside --delete", "one of them", "foreshock runs")
    if reindex:
        return _reindex(results, as_json)
    if not (results / FILE).is_file():
        raise BadInput("no index of runs", "a results folder that foreshock has written", str(results))
    if delete and not chosen:
        raise BadInput("--delete without a selection", "RUN, or options that select", "foreshock runs")
    if verify:
        return _verify(results, as_json)
    if retain is not None:
        return _retain(results, retain, as_json)
    with Index(results) as index:
        if campaign is not None:
            campaign = index.campaign(campaign).id
        found = index.runs(
            campaign=campaign,
            verdict=verdict,
            signature=signature,
            workload=workload,
            seed=seed,
            run=run,
            before=None if older_than is None else utc_now(ago_ns=older_than),
            limit=limit if limit is not None or delete or export is not None else 20,
        )
        if run is not None and not found:
            raise BadInput(f"no run {run!r}", "the id of a stored run", str(results))
        if delete:
            _delete_folders(results, [one.run for one in found if one.run is not None])
            index.delete(found)
    if export is not None:
        from harness.archive.export import write

        write(export, found)
        if as_json:
            print_json({"exported": len(found), "path": str(export)})
        else:
            click.echo(f"{len(found)} runs in {export}")
        return Exit.VALID
    rows = [
        (one.run or "-", one.seed, one.workload, one.profile, one.system, one.verdict, one.signature) for one in found
    ]
    if as_json:
        print_json({"deleted" if delete else "runs": [_row(one) for one in found]})
    elif delete:
        click.echo(f"deleted {len(found)} runs")
    else:
        columns = ("run", "seed", "workload", "profile", "system", "verdict", "signature")
        print_table(columns, rows, droppable=("system", "profile"))
    return Exit.VALID


def _reindex(results: Path, as_json: bool) -> int:
    from harness.archive.reindex import rebuild

    rebuilt = rebuild(results)
    if as_json:
        print_json(rebuilt)
        return Exit.VALID
    say("index", f"{rebuilt.added} runs added from their folders")
    if rebuilt.old_index is not None:
        say("old index", f"{rebuilt.taken_over} runs and {rebuilt.campaigns} campaigns taken over")
        say("", f"it is now {rebuilt.old_index}", whole=True)
    for folder, why in rebuilt.damaged.items():
        say("damaged", f"{folder}: {why}")
    return Exit.VALID


def _verify(results: Path, as_json: bool) -> int:
    from harness.archive.verify import verify

    verified = verify(results)
    if as_json:
        print_json(verified)
    else:
        say("verified", f"{verified.folders} run folders and {verified.rows} rows, {len(verified.damage)} damaged")
        for damage in verified.damage:
            say("damaged", f"{damage.run}: {damage.what}")
    return Exit.INVALID if verified.damage else Exit.VALID


def _retain(results: Path, text: str, as_json: bool) -> int:
    from harness.archive.index import Index
    from harness.archive.retention import read_rule, retain

    rule = read_rule(text)
    with Index(results) as index:
        gone, size = retain(index, results, rule, lambda runs: _delete_folders(results, runs))
    if as_json:
        print_json({"deleted": [one.run for one in gone], "bytes": sum(one.size for one in gone), "bytes_left": size})
    else:
        freed = sum(one.size for one in gone)
        click.echo(f"deleted {len(gone)} run folders, {freed / 2**20:.1f} MiB; {size / 2**20:.1f} MiB are left")
    return Exit.VALID


def _delete_folders(results: Path, runs: list[str]) -> None:
    """Delete by name below the results folder, never by a stored path, which may be stale."""
    from harness.archive.layout import LATEST, writable

    for run in runs:
        folder = results / run
        with writable(results):
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
    latest = results / LATEST
    if latest.is_symlink() and not latest.exists():
        latest.unlink()


def _row(one: Any) -> dict[str, Any]:
    return {
        "run": one.run,
        "path": one.path,
        "recorded": one.recorded,
        "campaign": one.campaign,
        "seed": one.seed,
        "workload": one.workload,
        "profile": one.profile,
        "system": one.system,
        "verdict": one.verdict,
        "signature": one.signature,
        "allowed": one.allowed,
    }
