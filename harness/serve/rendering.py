"""Pages made of our templates: whole, with all that they print escaped, under a policy that runs only our files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from harness.reports.document import environment
from harness.reports.texts import plain

_HERE: Final = Path(__file__).parent
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class Rendering:
    """Makes the pages of one results folder, and knows our style sheet and our script."""

    def __init__(self, results: Path) -> None:
        self._results_name = results.name
        self._templates = environment(_HERE / "pages", is_lenient=True)
        self._templates.filters["plain"] = lambda text, most=400: plain(str(text), most)
        self._templates.filters["when"] = lambda text, most=16: str(text or "")[:most].replace("T", " ")
        self._templates.globals["address"] = address
        self._assets = {name: (_HERE / name).read_bytes() for name in ("browse.css", "browse.js")}
        self._templates.globals["version"] = hashlib.sha256(b"".join(self._assets.values())).hexdigest()[:12]

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Make a page of a template."""
        shown = self._templates.get_template(f"{template}.html.jinja")
        page = shown.render(at=template, results=self._results_name, **values)
        return HTMLResponse(page.encode("utf-8", errors="replace"), status, {"Content-Security-Policy": _POLICY})

    def missing(self, what: str, name: str) -> Response:
        """Say that something is not there."""
        return self.page("missing", status=404, what=what, name=name)

    def asset(self, name: str) -> Response:
        """One of our files."""
        if name not in self._assets:
            return self.missing("file", name)
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        kept = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(self._assets[name], media_type=kind, headers=kept)


def address(path: str, **words: Any) -> str:
    """An address with the words that are given."""
    given = {name: value for name, value in words.items() if value not in (None, "")}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path
