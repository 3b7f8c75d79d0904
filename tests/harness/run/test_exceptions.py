"""An exception of the system under test is told once for each place, with how often it was raised."""

from __future__ import annotations

from typing import Any

from checkers.verdict import Anomaly
from harness.faults.leadership import ForcedElection
from harness.run.exceptions import summarize
from tests.harness.sim import toy
from tests.harness.sim.toy import MS


def raised(node: str, value: int, line: int) -> Anomaly:
    traceback = f"Traceback\n  File core.py, line {line}\nKeyError: {value}\n"
    message = f"{node}: KeyError: {value}"
    evidence = {"traceback": traceback}
    return Anomaly(checker="node", kind="exception", detail="KeyError", index=value, message=message, evidence=evidence)


def test_what_was_raised_at_one_place_is_one_anomaly_with_its_number() -> None:
    kept, tracebacks = summarize([raised("n1", 1, line=7), raised("n2", 2, line=9), raised("n1", 3, line=7)])

    assert [anomaly.message for anomaly in kept] == ["n1: KeyError: 1 (2 times)", "n2: KeyError: 2"]
    assert [anomaly.index for anomaly in kept] == [1, 2]
    assert [anomaly.evidence for anomaly in kept] == [{"times": 2}, {"times": 1}]
    assert len(tracebacks) == 2


def test_other_anomalies_stay_as_they_are() -> None:
    livelock = Anomaly(checker="run", kind="livelock", index=3, message="a task spins")

    assert summarize([livelock]) == ([livelock], ())


class Failing(toy.ToySystem):
    """Every server raises when it is told to campaign."""

    def command(self, server: Any, group: str, name: str, arguments: Any) -> bool:
        raise KeyError(name)


def test_a_server_that_raises_again_and_again_leaves_one_anomaly_and_one_traceback() -> None:
    elections = tuple(
        ForcedElection(id=f"e{n}", begin_ns=n * 200 * MS, end_ns=n * 200 * MS + 1, targets=(f"n{n}",)) for n in (1, 2)
    )

    outcome = toy.simulate(toy.plan(faults=elections), system=Failing()).judge()

    (anomaly,) = outcome.anomalies
    (traceback,) = outcome.tracebacks
    assert anomaly.signature == "node/exception/KeyError"
    assert anomaly.message.endswith("KeyError: 'campaign' (4 times)")
    assert traceback.endswith("KeyError: 'campaign'\n")
