"""`foreshock doctor`: what this machine can do."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from harness.errors import Exit

from .arguments import json_option, results_option
from .printing import print_json, print_table


@click.command("doctor")
@results_option
@json_option
def command(results: Path, as_json: bool) -> int:
    """Say what this machine can do. Exit 255 when a run is not possible, or not deterministic, here."""
    from harness.run.doctor import examine

    findings = list(examine(results))
    if as_json:
        print_json({"findings": msgspec.to_builtins(findings)})
    else:
        print_table(("", "", ""), [(finding.name, finding.state, finding.detail) for finding in findings])
    return Exit.INTERNAL if any(finding.state == "broken" for finding in findings) else Exit.VALID
