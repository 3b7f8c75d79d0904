"""Read what a run left behind: the newest run folder, or the one that is named."""

import json
import sys
from collections import Counter
from pathlib import Path

from checkers import History, check

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results/latest")
verdict = json.loads((folder / "verdict.json").read_text())
history = History.from_jsonl(folder / "history.jsonl")

print("verdict", verdict["verdict"], "for", verdict["workload"], "seed", verdict["seed"])
for (function, kind), count in sorted(Counter((op.f, op.type) for op in history if op.type != "invoke").items()):
    print(f"{count:5} {function} {kind}")
print("checked again:", check(history, "cas-register").validity)
