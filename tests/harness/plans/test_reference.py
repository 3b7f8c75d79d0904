"""The generated pages: complete, and the same as the files in docs/."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from harness.faults.catalog import KINDS
from harness.faults.topologies import SHAPES
from harness.plans.patterns import PATTERNS
from harness.plans.profiles import PROFILES
from harness.plans.reference import PAGES
from workloads.catalog import WORKLOADS

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", tuple(PAGES))
def test_the_page_in_docs_is_what_the_code_says(page: str) -> None:
    """When this fails: python -m harness.plans.reference PAGE > docs/PAGE.md"""
    assert (DOCS / f"{page}.md").read_text() == PAGES[page]()


@pytest.mark.parametrize("word", [*KINDS, *SHAPES, *PATTERNS, *PROFILES])
def test_every_kind_shape_pattern_and_profile_is_on_the_page(word: str) -> None:
    text = PAGES["faults"]()

    assert any(mark in text for mark in (f"### {word}\n", f"| `{word}` |", f"| {word} |"))


@pytest.mark.parametrize("name", tuple(WORKLOADS))
def test_every_workload_and_variant_is_on_the_page(name: str) -> None:
    text = PAGES["workloads"]()

    assert f"## {name}\n" in text
    assert all(f"| {variant.name} |" in text for variant in WORKLOADS[name].variants)


@pytest.mark.parametrize("name", tuple(PATTERNS))
def test_every_pattern_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(PATTERNS[name].draw)
