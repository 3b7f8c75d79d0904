"""Numbers of a plan as people read them."""

from __future__ import annotations

from typing import Any, Final

_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"))
_MILLION: Final = 1_000_000


def span(length_ns: int) -> str:
    """A length of time in the unit that suits it: 1.5 s, 200 ms, 30 us."""
    for unit_ns, unit in _UNITS:
        if abs(length_ns) >= unit_ns:
            return f"{decimal(length_ns, unit_ns)} {unit}"
    return f"{length_ns} ns"


def decimal(number: int, unit: int) -> str:
    """A quotient with up to three digits after the point, cut and not rounded."""
    sign, number = "-" if number < 0 else "", abs(number)
    fraction = f"{number % unit * 1000 // unit:03}".rstrip("0")
    return f"{sign}{number // unit}.{fraction}" if fraction else f"{sign}{number // unit}"


def field(name: str, value: Any) -> str:
    """A field of a fault as `name=value`, by the unit in which its name ends."""
    if name in ("targets", "order"):
        return ",".join(value) or "all"
    if name.endswith("_ns"):
        return f"{name.removesuffix('_ns')}={span(value).replace(' ', '')}"
    if name == "rate_ppm":
        return f"rate={decimal(value, _MILLION)}"
    if name.endswith("_ppm"):
        return f"{name.removesuffix('_ppm')}={decimal(value, 10_000)}%"
    if isinstance(value, tuple):
        return f"{name}={','.join(value) or 'none'}"
    if isinstance(value, bool):
        return name if value else f"no-{name}"
    return str(value) if name == "shape" else f"{name}={value}"
