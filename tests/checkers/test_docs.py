"""The page about checkers lists what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkers import MODELS, check
from checkers.importers import FORMATS
from checkers.linearizability.front.engines import ENGINES
from tests.checkers.golden import told
from tests.checkers.mini import history

PAGE = (Path(__file__).parents[2] / "docs" / "checkers.md").read_text()


@pytest.mark.parametrize("word", [*MODELS, *ENGINES, *FORMATS])
def test_every_model_engine_and_format_is_named(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize(("model", "f"), [(name, f) for name, model in MODELS.items() for f in model.functions])
def test_every_function_is_named_in_its_models_row(model: str, f: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("|") and f"`{model}`" in line.split("|")[1])

    known_by_register = model == "map" and f in MODELS["register"].functions
    known_by_mutex = model == "owned-mutex"
    assert f"`{f}`" in row or known_by_register or known_by_mutex


def test_every_field_of_the_evidence_is_explained() -> None:
    evidence = check(history("0:x.w1 0' 1:x.r 1'2"), "register").anomalies[0].evidence

    assert [field for field in evidence if f"`{field}`" not in PAGE] == []


def test_the_example_is_what_the_checker_says() -> None:
    message = told("stale_read").split("\n\n")[1].split("\n", 1)[1].strip()

    assert message in PAGE
