"""Golden histories: one idea each, with the explanation that a person gets.

    python -m tests.checkers.golden            writes the explanations anew; read the difference before you keep it

Beside NAME.jsonl stands NAME.txt: its first line names the model, the rest is what the checker says.
"""

from __future__ import annotations

from pathlib import Path

from checkers import History, check

FOLDER = Path(__file__).parent / "histories"


def names() -> list[str]:
    """List the golden histories."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def told(name: str) -> str:
    """Return what stands in the file."""
    return (FOLDER / f"{name}.txt").read_text()


def say(name: str) -> str:
    """Check a golden history and return what is said about it."""
    model = told(name).splitlines()[0].removeprefix("model: ")
    verdict = check(History.from_jsonl(FOLDER / f"{name}.jsonl"), model, cross_check=True)
    lines = [f"model: {model}", f"verdict: {verdict.validity}"]
    for anomaly in verdict.anomalies:
        lines += ["", anomaly.signature, anomaly.message]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for golden in names():
        (FOLDER / f"{golden}.txt").write_text(say(golden))
