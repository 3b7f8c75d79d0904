"""On small histories the verdict for each model is `valid` exactly if some order of the transactions explains them.

`python -m tests.checkers.agreement --path transactions` compares a hundred thousand of each kind.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.checkers.transactions.orders import MODELS, compare, random_history


@pytest.mark.parametrize("lists", [False, True], ids=["registers", "lists"])
@pytest.mark.parametrize("seed", range(6))
def test_the_verdict_agrees_with_every_order(seed: int, lists: bool) -> None:
    judged: Counter[tuple[str, str]] = Counter()
    for number in range(100):
        history = random_history(random.Random(f"{seed}/{number}"), lists=lists)
        for model, is_explained, validity in compare(history, lists=lists):
            judged[model, validity] += 1
            assert validity == ("valid" if is_explained else "invalid"), (number, model)

    models = [model for model in MODELS if not lists or model != "read-committed"]
    assert all(judged[model, validity] >= 5 for model in models for validity in ("valid", "invalid"))
