"""Pages in a real browser, with everything that they asked for or complained of."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Opened:
    """A page with everything that it asked for or complained of."""

    def __init__(self, browser: Any, path: Path, *, fragment: str = "", **context: Any) -> None:
        settings = {"offline": True, "reduced_motion": "reduce", "viewport": {"width": 1100, "height": 900}}
        self.context = browser.new_context(**(settings | context))
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.url = path.as_uri() + fragment
        self.page.goto(self.url)
        self.page.wait_for_selector("html[data-ready]", timeout=5_000)

    def _note(self, message: Any) -> None:
        if "willReadFrequently" not in message.text:  # said of what `drawn` does here
            self.complaints.append(message.text)

    def drawn(self, canvas: str) -> int:
        """Pixels of a canvas that are not empty, after what is due was drawn."""
        return int(
            self.page.evaluate(
                """async (id) => {
                  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                  const canvas = document.getElementById(id);
                  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                  let count = 0;
                  for (let at = 3; at < data.length; at += 4) if (data[at]) count++;
                  return count;
                }""",
                canvas,
            )
        )

    def picture(self, canvas: str) -> str:
        """What a canvas shows, as text to compare."""
        self.drawn(canvas)
        return str(self.page.evaluate("(id) => document.getElementById(id).toDataURL()", canvas))
