"""A document of ours that a browser opens: one file with its own styles, its own script and its data, and nothing else.

What a page shows was written by other people, perhaps to attack whoever looks at it. So templates escape all they
print, data stand in an element that no browser runs, with every `<` and `&` written as a number, scripts make elements
and set their text but never parse markup, and the page's content security policy lets run what has the digest of our
own script, forbids all connections, and forbids turning text into markup (`require-trusted-types-for`).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

_UNSAFE: Final = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


class Markup(str):
    """Text that is markup already: only our own files, and data written by `as_script_data`."""

    def __html__(self) -> str:
        return self


def environment(folder: Path, *, is_lenient: bool = False) -> Any:
    """The templates of a folder, which escape what they print and know no undefined name.

    Lenient ones print nothing for it: they show documents of other versions, which may lack a field.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.ChainableUndefined if is_lenient else jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def policy(script: str, style: str, *, forms: str = "'none'") -> str:
    """Content security policy: our script and our styles by their digests, and nothing else; where forms may go."""
    return "; ".join((
        "default-src 'none'",
        f"script-src 'sha256-{_digest(script)}'",
        f"style-src 'sha256-{_digest(style)}'",
        "base-uri 'none'",
        f"form-action {forms}",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ))  # fmt: skip


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def as_script_data(data: Any) -> str:
    """Write data as JSON in which no character can end or begin an element, nor a comment."""
    return msgspec.json.encode(data).decode().translate(_UNSAFE)
