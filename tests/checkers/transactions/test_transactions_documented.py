"""docs/transactions.md says what the tables of `anomalies` say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from checkers.transactions import ANOMALIES, CONSISTENCY_MODELS, check
from checkers.transactions.anomalies import FORBIDS, IMPLIES, OTHERS, SUFFIXES, WEAKER

PAGE = (Path(__file__).parents[3] / "docs" / "transactions.md").read_text()


@pytest.mark.parametrize("model", CONSISTENCY_MODELS)
def test_the_row_of_a_model_has_its_weaker_models_and_what_it_forbids(model: str) -> None:
    (row,) = re.findall(rf"^\| `{model}` \|(.*)\|(.*)\|$", PAGE, re.MULTILINE)

    weaker, forbids = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in row)

    assert weaker == WEAKER[model]
    assert forbids == FORBIDS[model]


@pytest.mark.parametrize("anomaly", ANOMALIES)
def test_every_anomaly_is_listed(anomaly: str) -> None:
    name = anomaly if anomaly in OTHERS else anomaly.removesuffix("-process").removesuffix("-realtime")

    assert f"`{name}`" in PAGE


def test_the_tables_speak_of_known_names_only() -> None:
    names = {name for table in (IMPLIES, FORBIDS) for row in table.values() for name in row} | set(IMPLIES)

    assert names <= set(ANOMALIES)
    assert {name for row in WEAKER.values() for name in row} <= set(CONSISTENCY_MODELS)
    assert set(SUFFIXES) == {"", "-process", "-realtime"}


def test_the_explanation_on_the_page_is_the_one_that_is_given(history: Any) -> None:
    (anomaly,) = check(history("ax1 ay1", "rx1 ry", ".", "ry1"), "list-append").anomalies

    assert f"```\n{anomaly.message}\n```" in PAGE


def test_the_proof_on_the_page_is_the_one_that_is_given(history: Any) -> None:
    made = history("wx1 wy1", "wx2 wy2", "rx1 ry2", lists=False)

    (anomaly,) = check(made, "rw-register", expect=["serializable"]).anomalies

    assert f"```\n{anomaly.message}\n```" in PAGE


def test_the_fractured_read_on_the_page_is_the_one_that_is_told(history: Any) -> None:
    made = history("wx1 wy1", ".", "wx2 wy2", "rx2 ry1", lists=False)

    (anomaly,) = check(made, "rw-register", expect=["read-atomic"]).anomalies

    assert f"```\n{anomaly.message}\n```" in PAGE


def test_a_model_of_single_operations_is_refused(history: Any) -> None:
    with pytest.raises(ValueError, match="expected one of list-append"):
        check(history("ax1"), "register")
