"""An option's domain is checked in one place, for texts and for values."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import BadInput
from harness.options import OptionSpec, find, parse

ROWS = OptionSpec(name="rows", type="int", default=1, neutral=1, minimum=1, maximum=9, unit="rows")
SHARE = OptionSpec(name="share", type="decimal", default=1.0, neutral=1.0, minimum=1.0)
READS = OptionSpec(name="reads", type="word", default="quorum", neutral="quorum", words=("quorum", "local"))
FLAG = OptionSpec(name="flag", type="bool", default=True, neutral=True)
SPECS = (ROWS, SHARE, READS, FLAG)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "9", 9),
        ("share", "1.5", 1.5),
        ("reads", "local", "local"),
        ("flag", "off", False),
        ("flag", "YES", True),
    ],
)
def test_a_text_is_read_in_the_type_of_its_option(name: str, text: str, value: object) -> None:
    assert parse({name: text}, SPECS) == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rows", "10", "int in rows from 1 to 9"),
        ("rows", "many", "int in rows from 1 to 9"),
        ("share", "0.5", "decimal from 1"),
        ("reads", "dirty", "one of quorum, local"),
        ("flag", "maybe", "bool"),
        ("speed", "3", "one of flag, reads, rows, share"),
    ],
)
def test_a_text_outside_the_domain_is_refused_with_what_was_expected(name: str, text: str, expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse({name: text}, SPECS)

    assert (caught.value.expected, caught.value.where) == (expected, f"-o {name}={text}")


@pytest.mark.parametrize(
    ("spec", "value", "accepted"),
    [(ROWS, 9, True), (ROWS, 0, False), (READS, "local", True), (READS, "dirty", False), (FLAG, False, True)],
)
def test_a_value_is_accepted_when_it_lies_in_the_domain(spec: OptionSpec, value: Any, accepted: bool) -> None:
    assert spec.accepts(value) is accepted


def test_an_option_that_the_system_lacks_is_not_found() -> None:
    with pytest.raises(BadInput, match="found option 'speed'"):
        find("speed", 3, SPECS)
