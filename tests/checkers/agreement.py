"""Every way to a verdict beside another one that is too simple to be wrong, on a hundred thousand small histories each.

    python -m tests.checkers.agreement [--path NAME ...] [--examples 100000] [--first 1] [--resume FILE] [--minutes M]

The paths, of which `--path` names one, or a whole group by the word before the stroke:

* `fast/...`: the fast paths beside brute force, with the shortest failing prefix (`campaign`).
* `engines/...`: the general engines beside brute force, with witness orders and prefixes (`engine_agreement`).
* `exclusion/...`: locks, semaphores, fencing tokens and queues of repeated values beside their definitions, by every
  engine, in a stream, from columns, and with the strictest look ahead.
* `own-models`: a user's lock with an owner beside brute force, by each general engine.
* `streams`: streams that keep next to nothing beside the whole history.
* `columns`: files and histories taken apart into columns beside their objects; plain, spoiled and hostile files.
* `conditions/...`: conditions other than linearizability beside their definitions, read by read (`conditions`).
* `shapes`: histories whose values have any shape, in a stream and as a whole: the same verdict, or both refuse them.
* `formats`: histories written in each format and read back beside the history itself.
* `many-shards`: orders placed in several shards beside every order of them.
* `transactions/...`: the dependency graph and the search for orders beside all orders (`transactions.orders`).

The number of an example is its seed, so that `--path NAME --first N --examples 1` repeats one. With `--resume`, what
was done is kept in a file, and the same command goes on from there; `--minutes` ends it early, and that is no failure.
Exit code 1: two of them disagree, and the example is printed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from checkers import check, columns
from checkers.admission import MISMATCHED
from checkers.importers import detect, load
from checkers.linearizability.result import Limits
from checkers.malformed import MalformedHistory
from checkers.models import MODELS
from tests.checkers import (
    brute,
    campaign,
    conditions,
    engine_agreement,
    exclusion,
    files,
    formats,
    many_shards,
    own_models,
    shapes,
)
from tests.checkers.objects import OBJECTS
from tests.checkers.transactions import orders

CUT = 1_000
"""Examples after which the time is looked at, and what was done is kept."""

STREAMED = list(OBJECTS)


class Disagreement(Exception):
    """Two ways to a verdict differ: what each says, and of which history."""


def _fast(name: str, number: int) -> str:
    path = campaign.PATHS[name]
    operations = campaign.history(random.Random(f"{name}/{number}"), path)
    verdict, wrong = campaign.disagreement(path, operations)
    if wrong is not None:
        raise Disagreement("\n".join((wrong, *map(campaign.show, operations))))
    return verdict


def _engines(name: str, number: int) -> str:
    found = "valid"
    for _, model, part in engine_agreement.examples(name, number, 1):
        wrong = engine_agreement.disagreement(model, part)
        if wrong is not None:
            raise Disagreement("\n".join((wrong, *map(campaign.show, part.operations))))
        found = found if brute.is_linearizable(part.operations, model) else "invalid"
    return found


def _own_models(number: int) -> str:
    history = own_models.random_history(random.Random(number))
    operations = history.operations()
    if all(operation.type == "info" for operation in operations):
        return "nothing judged"
    expected = "valid" if brute.is_linearizable(operations, own_models.OWNED) else "invalid"
    for algorithm in ("jit", "wgl"):
        found = check(history, own_models.OWNED, algorithm=algorithm).validity
        if found != expected:
            wrong = f"{algorithm} says {found}, all orders say {expected}"
            raise Disagreement("\n".join((wrong, *map(campaign.show, operations))))
    return expected


def _streams(number: int) -> str:
    name = STREAMED[number % len(STREAMED)]
    try:
        wrong = engine_agreement.stream_disagreement(name, number, 3 + number % 30, (4, 8, 16)[number % 3])
    except MalformedHistory:
        if name != "created-counter":
            raise
        return "refused: a create that does not come first"
    except engine_agreement.GaveUp:
        return "the stream gave up"
    if wrong is not None:
        raise Disagreement(f"{name}: {wrong}")
    return "the same verdict"


def _columns(number: int) -> str:
    rng = random.Random(number)
    text, model = files.text(rng), rng.choice(files.MODELS)
    found = columns.judge(text, model, Limits())
    try:
        history = load(text)
    except MalformedHistory:
        if found is not None:
            raise
        return "refused by objects"
    for which, verdict in (("of the file", found), ("of the history", columns.judge_history(history, model, Limits()))):
        if verdict is None:
            continue
        expected = check(history, model)
        if msgspec.structs.replace(verdict, seconds=0.0) != msgspec.structs.replace(expected, seconds=0.0):
            raise Disagreement(f"{model}: columns {which} say\n{verdict}\nobjects say\n{expected}\n{text.decode()}")
    return "left to objects" if found is None else found.validity


def _conditions(name: str, number: int) -> str:
    verdict, wrong, history = conditions.disagreement(name, random.Random(f"{name}/{number}"))
    if wrong is not None:
        lines = (f"    {op.process} {op.type} {op.f} {op.key} {op.value} {op.error}" for op in history)
        raise Disagreement("\n".join((f"{name}: {wrong}", *lines)))
    return verdict


def _exclusion(name: str, number: int) -> str:
    verdict, wrong, history = exclusion.disagreement(random.Random(f"{name}/{number}"), name)
    if wrong is not None:
        lines = (f"    {op.index} {op.process} {op.type} {op.f} {op.value} {op.error}" for op in history)
        raise Disagreement("\n".join((f"{name}: {wrong}", *lines)))
    return verdict


def _many_shards(number: int) -> str:
    verdict, wrong, history = many_shards.disagreement(random.Random(number))
    if wrong is not None:
        lines = (f"    {op.process} {op.type} {op.f} {op.key} {op.value}" for op in history)
        raise Disagreement("\n".join((wrong, *lines)))
    return verdict


def _shapes(number: int) -> str:
    rng = random.Random(number)
    name, mismatched = rng.choice(list(MODELS)), rng.choice(MISMATCHED)
    ops = shapes.history(rng, name)
    streamed, whole = shapes.judge(ops, name, mismatched)
    if not shapes.agree(ops, name, streamed, whole):
        lines = "\n".join(f"    {op.process} {op.type} {op.f} {op.key} {op.value} {op.error}" for op in ops)
        raise Disagreement(f"{name}: the stream says {streamed}, the whole history {whole}\n{lines}")
    return whole


def _formats(number: int) -> str:
    rng = random.Random(number)
    name = list(formats.WRITERS)[number % len(formats.WRITERS)]
    format, write = formats.WRITERS[name]
    history = formats.random_history(rng, only_porcupine=format == "porcupine")
    text = write(history)
    found = load(text)
    for what, read, written in (
        ("format", detect(text), format),
        ("lines", formats.lines(found), formats.lines(history)),
        ("verdict", formats.told(found), formats.told(history)),
    ):
        if read != written:
            raise Disagreement(f"{name}: {what}: read {read}, written {written}\n{text.decode()}")
    return str(formats.told(found)[0])


def _transactions(kind: str, number: int) -> str:
    lists = kind == "lists"
    history = orders.random_history(random.Random(f"1/{number}"), lists=lists)
    found = "nothing judged"
    for model, is_explained, validity in orders.compare(history, lists=lists):
        if validity != ("valid" if is_explained else "invalid"):
            lines = "\n".join(f"    {op.process} {op.type} {op.value}" for op in history)
            raise Disagreement(f"{model}: {validity}, but explained by an order: {is_explained}\n{lines}")
        found = validity if model == "strict-serializable" else found
    return found


PATHS: dict[str, Callable[[int], str]] = {
    **{f"fast/{name}": partial(_fast, name) for name in campaign.PATHS},
    **{f"engines/{name}": partial(_engines, name) for name in OBJECTS},
    **{f"exclusion/{name}": partial(_exclusion, name) for name in exclusion.THINGS},
    "own-models": _own_models,
    "streams": _streams,
    "columns": _columns,
    **{f"conditions/{name}": partial(_conditions, name) for name in conditions.CONDITIONS},
    "many-shards": _many_shards,
    "shapes": _shapes,
    "formats": _formats,
    "transactions/registers": partial(_transactions, "registers"),
    "transactions/lists": partial(_transactions, "lists"),
}
"""Path -> what makes the example of a number and judges it: its verdict, or `Disagreement`."""


class Done(msgspec.Struct, kw_only=True):
    """What was done of one path: examples, how their verdicts are spread, seconds of the processor."""

    examples: int = 0
    verdicts: dict[str, int] = msgspec.field(default_factory=dict)
    seconds: float = 0.0


def run(name: str, first: int, count: int, done: Done) -> Iterator[Done]:
    """Go on with a path until `count` examples are done; yield after each cut what is done by then."""
    example = PATHS[name]
    while done.examples < count:
        began = time.process_time()
        cut = min(CUT, count - done.examples)
        tally: Counter[str] = Counter(done.verdicts)
        for number in range(first + done.examples, first + done.examples + cut):
            try:
                tally[example(number)] += 1
            except Exception as error:
                error.add_note(f"python -m tests.checkers.agreement --path {name} --first {number} --examples 1")
                raise
        seconds = done.seconds + time.process_time() - began
        done = Done(examples=done.examples + cut, verdicts=dict(sorted(tally.items())), seconds=seconds)
        yield done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the paths from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="append", default=[], metavar="NAME")
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args(arguments)
    names = [name for name in PATHS if not options.path or {name, name.partition("/")[0]} & set(options.path)]
    if strangers := [word for word in options.path if word not in {w for n in PATHS for w in (n, n.partition("/")[0])}]:
        parser.error(f"no path {strangers[0]!r}; there are {', '.join(PATHS)}")
    kept: dict[str, Done] = {}
    if options.resume is not None and options.resume.exists():
        kept = msgspec.json.decode(options.resume.read_bytes(), type=dict[str, Done])
    until = time.monotonic() + 60 * options.minutes
    for name in names:
        cuts = run(name, options.first, options.examples, kept.setdefault(name, Done()))
        if time.monotonic() < until:
            for kept[name] in cuts:
                if options.resume is not None:
                    options.resume.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
                if time.monotonic() > until:
                    break
        done = kept[name]
        counts = ", ".join(f"{count} {verdict}" for verdict, count in done.verdicts.items())
        print(f"{name}: {done.examples} examples agree ({counts}), {done.seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Disagreement as found:
        print("\n".join((str(found), *found.__notes__)), file=sys.stderr)
        sys.exit(1)
