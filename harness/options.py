"""Options of a system under test: what may be set and to what, and the one place where a value is checked.

A system hands over one `OptionSpec` for each option. Texts of the command line (`-o key=value`) are read by `parse`,
and values of a profile's table are kept or left out by `OptionSpec.accepts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from .errors import BadInput, one_of

OptionValues = dict[str, Any]
"""Options by name: whole numbers, words, truth values, and decimals of at most six places."""

_TRUE: Final = ("true", "on", "yes", "1")
_FALSE: Final = ("false", "off", "no", "0")


class OptionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One option of a system. `neutral` is the value under which code that lacks the option behaves."""

    name: str
    type: str
    default: Any
    neutral: Any
    words: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    help: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether a value of the option's type lies in its domain."""
        if isinstance(value, str):
            return not self.words or value in self.words
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def parse(self, text: str) -> Any:
        """Read a text as a value of the option. Raises BadInput."""
        try:
            value = _READERS[self.type](text)
        except (KeyError, ValueError):
            value = None
        if value is None or not self.accepts(value):
            raise BadInput(repr(text), self.expected, f"-o {self.name}={text}")
        return value

    @property
    def expected(self) -> str:
        """The domain in words."""
        if self.words:
            return one_of(self.words)
        unit = f" in {self.unit}" if self.unit else ""
        low = f" from {self.minimum:g}" if self.minimum is not None else ""
        high = f" to {self.maximum:g}" if self.maximum is not None else ""
        return f"{self.type}{unit}{low}{high}"


def find(name: str, value: object, specs: Sequence[OptionSpec]) -> OptionSpec:
    """Find the option that was set to a value. Raises BadInput when the system has none of that name."""
    by_name = {spec.name: spec for spec in specs}
    if name not in by_name:
        raise BadInput(f"option {name!r}", one_of(sorted(by_name), typed=name), f"-o {name}={value}")
    return by_name[name]


def parse(texts: Mapping[str, str], specs: Sequence[OptionSpec]) -> OptionValues:
    """Read the texts of `-o key=value`. Raises BadInput."""
    return {name: find(name, text, specs).parse(text) for name, text in texts.items()}


def resolve(values: Mapping[str, Any], specs: Sequence[OptionSpec]) -> OptionValues:
    """Check values that were set, and add the defaults of the other options. Raises BadInput."""
    for name, value in values.items():
        spec = find(name, value, specs)
        if not spec.accepts(value):
            raise BadInput(repr(value), spec.expected, f"-o {name}")
    return {spec.name: values.get(spec.name, spec.default) for spec in specs}


def for_each(specs: Mapping[str, Sequence[OptionSpec]], values: OptionValues) -> dict[str, OptionValues]:
    """The values that each of several versions is given: what it does not take and another one does is left out.

    A value that no version takes is left to each of them, so that it is refused by name.
    """
    by_name = {label: {spec.name: spec for spec in own} for label, own in specs.items()}
    taken = {
        label: {name for name, value in values.items() if name in own and own[name].accepts(value)}
        for label, own in by_name.items()
    }
    by_any = set().union(*taken.values())
    return {
        label: values
        if own == by_any
        else {name: value for name, value in values.items() if name in own or name not in by_any}
        for label, own in taken.items()
    }


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {"int": int, "decimal": float, "bool": _boolean, "word": str}
