"""`foreshock bundle`: a stored run as one file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import BadInput, Exit

from .arguments import json_option, results_option
from .printing import print_json, say
from .reading import read_run

if TYPE_CHECKING:
    from harness.archive.bundles import Bundled
    from harness.archive.find import StoredRun
    from harness.record import Provenance
    from harness.systems.checkouts import Checkouts


@click.command("bundle")
@click.argument("run", required=False, metavar="RUN")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to.  [default: RUN.foreshock]")
@click.option(
    "--import",
    "bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Add the run of a bundle.",
)
@results_option
@json_option
def command(run: str | None, output: Path | None, bundle: Path | None, results: Path, as_json: bool) -> int:
    """Write a stored run as one file that replays on another machine, with the code that it ran.

    `foreshock replay FILE` replays a bundle as it is; --import adds its run to the results folder. A bundle holds code
    that a replay runs: take bundles from people whose code you would run.

    Example: foreshock bundle latest --output failure.foreshock. Exit 0.
    """
    if (run is None) == (bundle is None):
        raise BadInput("both RUN and --import" if run else "no run", "RUN, or --import FILE", "foreshock bundle")
    if bundle is not None:
        if output is not None:
            raise BadInput("--output beside --import", "one of them", "foreshock bundle")
        return _import(bundle, results, as_json)
    assert run is not None
    bundled = write(read_run(run, results), output)
    if as_json:
        print_json(bundled)
        return Exit.VALID
    say("bundle", bundled.path, whole=True)
    say("holds", f"run {bundled.run}, {bundled.size / 1024:.0f} KiB; {_code_text(bundled)}")
    for label, why in bundled.without_code.items():
        say("not in it", f"the code of {label}: {why}")
    say("replay", f"foreshock replay {bundled.path}", whole=True)
    return Exit.VALID


def _code_text(bundled: Bundled) -> str:
    return f"with the code of {', '.join(bundled.code)}" if bundled.code else "without code"


def write(stored: StoredRun, output: Path | None) -> Bundled:
    """Write a stored run as a bundle. Raises BadInput for a lone plan, and when it cannot be written."""
    from harness.archive.bundles import SUFFIX, code_of, write_bundle
    from harness.systems.checkouts import Checkouts

    if stored.folder is None or stored.record is None or stored.run is None:
        raise BadInput("a plan", "a stored run, which has a history and a verdict", "foreshock bundle")
    specs = {
        label: f"{code.spec.partition('@')[0]}@{code.commit}" if code.commit else code.spec
        for label, code in stored.record.binding.codes.items()
    }
    digests = {label: code.digest for label, code in stored.record.binding.codes.items()}
    with Checkouts() as checkouts:
        code, without = _code({**specs, **code_of(stored.folder)}, digests, checkouts)
        return write_bundle(stored.folder, stored.record, code, without, output or Path(f"{stored.run}{SUFFIX}"))


def _code(
    specs: Mapping[str, str], digests: Mapping[str, str], checkouts: Checkouts
) -> tuple[dict[str, Path], dict[str, str]]:
    """The folders of the code that the run ran, by label; and why others are not to be had."""
    from harness.systems import catalog

    found, without = {}, {}
    for label, spec in specs.items():
        try:
            code = catalog.code(spec, checkouts)
        except BadInput as error:
            without[label] = error.found
            continue
        if code.is_foreign:
            without[label] = f"{spec} is no version of raft_impl"
        elif code.digest != digests[label]:
            without[label] = f"{spec} has changed since the run"
        else:
            found[label] = code.path
    return found, without


def _import(bundle: Path, results: Path, as_json: bool) -> int:
    from harness.archive.bundles import unpack
    from harness.archive.layout import point_latest
    from harness.archive.provenance import provenance
    from harness.archive.reindex import record_of, recorded_of
    from harness.archive.store import Archive

    with Archive(results) as archive:
        folder = unpack(bundle, results)
        record = record_of(folder)
        is_new = folder.name not in archive.index.folders()
        if is_new:
            archive.index.add(record, recorded=recorded_of(folder))
    point_latest(results, folder.name)
    differs = record.provenance.differences(provenance())
    if as_json:
        print_json({"run": folder.name, "path": str(folder), "is_new": is_new, "differs": differs})
        return Exit.VALID
    say("run", str(folder), whole=True)
    if not is_new:
        say("", "it was here already")
    if differs:
        say("versions", f"{_versions(record.provenance, provenance(), differs)}: a replay may be another run")
    say("replay", f"foreshock replay {folder.name}", whole=True)
    return Exit.VALID


def _versions(then: Provenance, now: Provenance, differs: list[str]) -> str:
    """What differs, with both versions where they say something to a person."""
    return ", ".join(
        f"another {name}" if name == "harness" else f"{getattr(then, name)}, here {getattr(now, name)}"
        for name in differs
    )
