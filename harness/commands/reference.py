"""The reference of the command line, written from the commands themselves.

    python -m harness.commands.reference > docs/cli.md

A test holds docs/cli.md to this output, so that no option is undocumented and no documentation is stale.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

import click

from harness.commands.group import COMMANDS, cli
from harness.search import suites

_HEAD: Final = """\
# The command line

<!-- Written by `python -m harness.commands.reference`; a test keeps it current. -->

Human output by default, `--json` for exactly one JSON document on stdout; everything else goes to stderr.
Options are spelled the same way in every command.
Durations are written `500ms`, `30s`, `2m` or `1h`; a range of seeds `1..500` includes both ends.
Scripts may depend on options, exit codes and JSON keys.

| exit code | says |
| --- | --- |
| 0 | valid; `suite`: nothing that is neither allowed nor known; `compare`: nothing speaks against B; \
`mutants`: all found; `shrink`: the smallest plan |
| 1 | invalid; `suite`: a failure that is neither allowed nor known; `compare`: B is worse; `mutants`: some not found; \
`replay --require-identical`: another run |
| 2 | unknown; `suite`: more unknown runs than `--max-unknown`; `compare`: undecided, or too few comparable pairs; \
`shrink`, `explain`: the run does not fail; `shrink`: the time limit came first |
| 130 | interrupted by Ctrl-C; `suite` says how to go on |
| 141 | the reader of our output has gone (`foreshock runs \\| head`): a closed pipe is no verdict |
| 254 | bad arguments, a bad input file, or no room to write: one line with what was found, \
what was expected, and where |
| 255 | internal error: a bug of ours; `replay`: another run from the same code, harness and interpreter |

With `--json`, 254 and 255 print `{"error": {"found", "expected", "where"}}`.

Shells complete commands and options after `eval "$(_FORESHOCK_COMPLETE=bash_source foreshock)"` in `~/.bashrc`; \
`zsh_source` in `~/.zshrc`, and `_FORESHOCK_COMPLETE=fish_source foreshock | source` for fish.
"""

_TAIL: Final = """
## Suites

A suite is a TOML file; its name is enough for those that come with the harness ({names}).

```toml
name = "nightly"
count = 2000          # seeds
budget = {{ time = "6h", disk = "20GiB", memory = "4GiB" }}  # each may be left out; docs/nights.md says what they do
seeds = "nightly"     # from the date's own seed on (UTC: 20261128000001), so that nights differ; left out: from 1
max_unknown = "0%"    # more unknown runs than that are exit code 2

canaries = ["reads-without-quorum", "snapshot-never-synced"]  # planted bugs: one that is not found is exit code 2
canary_count = 60     # within this number of seeds
canaries_a_night = 1  # each night the next of them; left out: all, every night

[[cell]]
workload = "register"
profile = "swarm"

[[cell]]
workload = "counter"
profile = "clocks"
nodes = 5             # also concurrency, rate, duration
options = {{ reads = "lease" }}

[[cell]]              # a list is a cell for each combination of values: these are eight
system = ["raft_impl", "raft_impl@v1.2"]  # left out: --system, which replaces it where it is typed
workload = ["register", "list"]
profile = ["swarm", "disks"]           # options too: options = [{{}}, {{ reads = "lease" }}]
```

Seed i runs in cell i modulo the number of cells.
One seed in 50 is run twice, and a difference of the fingerprints is an internal error.
A seed that gives no answer within `--run-timeout` hangs: it is not tried again, and the third one stops its cell.
A campaign is finished when all its seeds have run; until then `unbegun` says what is left, and `--resume` goes on.
With `--baseline`, a signature is `fixed` when every run that failed so was made again and judged; otherwise, and when
it was not seen, it is `not_run`: other seeds, other cells or another meaning of seeds show nothing.
A `known-failures.toml` in the current folder lists failures that were looked at: `[[known]]` with `signature` and
`reason`, and if you like `workload`, `profile` and `issue`. After its day `expires` an entry holds no longer: the
failure is news again, and the summary says so.
In a JUnit report, known and allowed failures are skipped and say why.
Runs that are not valid keep a folder; all runs have a row in the index.
"""


def reference() -> str:
    """Write the whole page."""
    parts = [_HEAD]
    with click.Context(cli, info_name="foreshock") as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            parts.append("\n".join(_section(command, context)))
    parts.append(_TAIL.format(names=", ".join(f"`{name}`" for name in suites.named())))
    return "\n".join(parts)


def _section(command: click.Command, parent: click.Context, level: str = "##") -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent)
    yield f"{level} {context.command_path}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"    {context.command_path} {usage}\n"
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        if paragraph.startswith("\b"):
            yield "\n".join(f"    {line}" for line in paragraph.splitlines()[1:]) + "\n"
        else:
            yield " ".join(paragraph.split()) + "\n"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options or not isinstance(command, click.Group):
        yield "| option | does |"
        yield "| --- | --- |"
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            names, does = (text.replace("|", "\\|") for text in record)
            yield f"| `{names}` | {' '.join(does.split())} |"
    if options or not isinstance(command, click.Group):
        yield ""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from _section(one, context, f"{level}#")


if __name__ == "__main__":
    click.echo(reference(), nl=False)
