"""The scenarios that come with the harness, and how one is found by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.errors import BadInput

from .language import Script, parse

FOLDER: Final = Path(__file__).parent
SUFFIX: Final = ".txt"


def names() -> list[str]:
    """All names, sorted."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def find(name: str) -> Path:
    """The file of a scenario: by its name, by the beginning of exactly one name, or a path. Raises BadInput."""
    known = names()
    if name in known:
        return FOLDER / (name + SUFFIX)
    if Path(name).is_file():
        return Path(name)
    near = [other for other in known if other.startswith(name)]
    if len(near) == 1:
        return FOLDER / (near[0] + SUFFIX)
    expected = "one of " + ", ".join(near) if near else "a file, or one that `foreshock scenario` lists"
    raise BadInput(f"scenario {name!r}", expected, "foreshock scenario")


def read(path: Path) -> Script:
    """Parse a file. Raises BadInput."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"a file that cannot be read ({type(error).__name__})", "a scenario", str(path)) from None
    return parse(text, path.name)
