"""The application: which address shows what.

    /                       campaigns, and what runs now
    /campaigns/ID           what one found, by signature; while it runs, how far it is
    /runs?verdict=...       runs that fit a filter, a page at a time
    /runs/NUMBER            one run: its record, and how to have it again
    /report/RUN             the page of a run that has a folder
    /failures               failures by signature, with their trend over campaigns
    /compare?a=..&b=..      campaigns compared by what they recorded; without words, what can be compared
    /compare/ID             what `foreshock compare` found
    /mutants[/NAME]         what searches for planted bugs found, from their ledger
    /walkthroughs[/NAME]    scenarios that move
    /sandbox[/NAME?at=..&do=..]     the same, in which a person acts; /sandbox/NAME/file is what was done
    /sandbox/run/RUN[?ms=..&do=..]  the same from a moment of a run; RUN is its name, or the number of its row
    /api/runs, /api/campaigns/ID, /api/compare/ID   the same as JSON

Pages are made here, whole: they work without their script, which only adds keys and keeps live pages fresh. All that
they print is escaped, and their policy lets run nothing but our two files.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from checkers.json_lines import UNREADABLE
from harness.archive.documents import read_record
from harness.errors import BadInput
from harness.record import ErrorRecord

from .addresses import BadAddress, number_in
from .beginnings import Asked, drawing_of
from .comparing import Comparing
from .films import Films
from .folders import folder_of, report_of
from .planted import Planted
from .questions import Filter, Questions, Row, system_of, total_of
from .rendering import Rendering
from .sandbox import Attempt

_LIVE_SECONDS: Final = 60
"""A campaign that recorded nothing for so long is taken for one that was interrupted."""
_SANDBOX_RUNS: Final = 8


class Browser:
    """Answers requests about one results folder."""

    def __init__(self, results: Path, films: Films) -> None:
        self._results, self._films = results, films
        self._questions = Questions(results)
        self._rendering = Rendering(results)
        self._page, self._missing = self._rendering.page, self._rendering.missing
        self._planted = Planted(results, self._rendering)
        self._comparing = Comparing(results, self._questions, self._rendering)

    def routes(self) -> list[Route]:
        """All addresses."""
        return [
            Route("/", self._guarded(self.campaigns)),
            Route("/campaigns/{campaign:path}", self._guarded(self.campaign)),
            Route("/runs", self._guarded(self.runs)),
            Route("/runs/{number}", self._guarded(self.run)),
            Route("/report/{run}", self._guarded(self.report)),
            Route("/failures", self._guarded(self.failures)),
            Route("/compare", self._guarded(self._comparing.campaigns)),
            Route("/compare/{id}", self._guarded(self._comparing.stored)),
            Route("/mutants", self._guarded(self._planted.mutants)),
            Route("/mutants/{name}", self._guarded(self._planted.mutant)),
            Route("/walkthroughs", self._guarded(self.walkthroughs)),
            Route("/walkthroughs/{name}", self._guarded(self.walkthrough)),
            Route("/sandbox", self._guarded(self.sandboxes)),
            Route("/sandbox/run/{run}", self._guarded(self.sandbox)),
            Route("/sandbox/run/{run}/file", self._guarded(self.sandbox_file)),
            Route("/sandbox/{name}", self._guarded(self.sandbox)),
            Route("/sandbox/{name}/file", self._guarded(self.sandbox_file)),
            Route("/api/runs", self._guarded(self.api_runs)),
            Route("/api/compare/{id}", self._guarded(self._comparing.api)),
            Route("/api/campaigns/{campaign:path}", self._guarded(self.api_campaign)),
            Route("/assets/{name}", self.asset),
        ]

    # Pages. Plain functions: Starlette calls them in a thread, so that a slow one keeps nobody waiting.

    def campaigns(self, request: Request) -> Response:
        """Campaigns, newest first."""
        rows = [self._campaign_row(row) for row in self._questions.campaigns()] if self._questions.is_there else []
        recent = self._questions.runs(Filter()) if self._questions.is_there else None
        return self._page("campaigns", campaigns=rows, recent=recent.rows[:12] if recent else [])

    def campaign(self, request: Request) -> Response:
        """One campaign."""
        id = request.path_params["campaign"]
        found = self._questions.campaigns(id)
        if not found:
            return self._missing("campaign", id)
        row = self._campaign_row(found[0])
        return self._page(
            "campaign",
            campaign=row,
            summary=self._questions.summary(id) or {},
            signatures=self._questions.signatures(id),
        )

    def runs(self, request: Request) -> Response:
        """A page of runs."""
        chosen = Filter.of(request.query_params)
        found = self._questions.runs(chosen, **_position(request))
        return self._page("runs", chosen=chosen, found=found, words=self._questions.words())

    def run(self, request: Request) -> Response:
        """One run."""
        number = number_in(request.path_params["number"])
        row = self._questions.run(number) if number is not None else None
        if row is None:
            return self._missing("run", request.path_params["number"])
        document = _decoded(row["document"])
        has_folder = row["run"] is not None and folder_of(self._results, row["run"]) is not None
        return self._page(
            "run", row=row, document=document, has_folder=has_folder, command="" if has_folder else self._command(row)
        )

    def report(self, request: Request) -> Response:
        """The page of a run with a folder; it has a policy of its own, by the digests of its script and style."""
        run = request.path_params["run"]
        page = report_of(self._results, run)
        if page is None:
            number = self._questions.number_of(run) if self._questions.is_there else None
            return self._missing("report", run) if number is None else RedirectResponse(f"/runs/{number}", 303)
        return HTMLResponse(page)

    def failures(self, request: Request) -> Response:
        """Failures by signature."""
        campaigns, trends = self._questions.trends()
        signatures = self._questions.signatures()
        return self._page("failures", signatures=signatures, campaigns=campaigns, trends=trends)

    def walkthroughs(self, request: Request) -> Response:
        """The list of scenarios."""
        return self._page("walkthroughs", scenarios=self._films.titles())

    def walkthrough(self, request: Request) -> Response:
        """One scenario as a page that moves."""
        page = self._films.page(request.path_params["name"])
        return self._missing("walk-through", request.path_params["name"]) if page is None else HTMLResponse(page)

    def sandboxes(self, request: Request) -> Response:
        """The scenarios from which a sandbox can begin, and the latest runs that failed, or else the latest."""
        failed = self._questions.runs(Filter(verdict="invalid")).rows if self._questions.is_there else []
        runs = failed or (self._questions.runs(Filter()).rows if self._questions.is_there else [])
        return self._page("sandboxes", scenarios=self._films.titles(), runs=runs[:_SANDBOX_RUNS])

    def sandbox(self, request: Request) -> Response:
        """A scenario or a run, and what was done after it."""
        asked = self._asked(request)
        page = self._films.run_sandbox(asked) if isinstance(asked, Asked) else self._films.sandbox(asked)
        return self._no_beginning(request) if page is None else HTMLResponse(page)

    def sandbox_file(self, request: Request) -> Response:
        """What was done, to keep."""
        asked = self._asked(request)
        text = self._films.run_file(asked) if isinstance(asked, Asked) else self._films.file(asked)
        if text is None:
            return self._no_beginning(request)
        name = asked.run if isinstance(asked, Asked) else asked.scenario
        kept = {"Content-Disposition": f'attachment; filename="{name}-sandbox.txt"'}
        return Response(text, media_type="text/plain", headers=kept)

    # The same for programs.

    def api_runs(self, request: Request) -> Response:
        """A page of runs as JSON."""
        found = self._questions.runs(Filter.of(request.query_params), **_position(request))
        return Response(msgspec.json.encode(found), media_type="application/json")

    def api_campaign(self, request: Request) -> Response:
        """How far a campaign is."""
        id = request.path_params["campaign"]
        found = self._questions.campaigns(id)
        if not found:
            return JSONResponse({"error": "no such campaign"}, 404)
        row = self._campaign_row(found[0])
        row.pop("settings")
        return JSONResponse({**row, "signatures": self._questions.signatures(id)})

    def nowhere(self, request: Request, _error: Exception) -> Response:
        """An address that is none of ours."""
        return self._missing("page", request.url.path)

    def asset(self, request: Request) -> Response:
        """Our style sheet and our script."""
        return self._rendering.asset(request.path_params["name"])

    # Helpers.

    def _asked(self, request: Request) -> Attempt | Asked:
        """What an address asks of the sandbox."""
        query, names = request.query_params, request.path_params
        commands = tuple(text.strip() for text in query.getlist("do") if text.strip())
        if "run" not in names:
            return Attempt(names["name"], number_in(query.get("at", "")), commands)
        return Asked(results=self._results, run=names["run"], ms=query.get("ms", "").strip(), commands=commands)

    def _command(self, row: Row) -> str:
        """The line that has a run again; empty where its record cannot be read, and where no seed makes its plan."""
        try:
            record = read_record(row["document"], f"row {row['number']}")
        except BadInput:
            return ""
        if isinstance(record, ErrorRecord):
            return record.reproduce
        if record.varied is not msgspec.UNSET:
            return ""
        return drawing_of(self._questions, row["campaign"], record).command(record.seed)

    def _no_beginning(self, request: Request) -> Response:
        names = request.path_params
        return self._missing("run", names["run"]) if "run" in names else self._missing("scenario", names["name"])

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """What is wrong with an address (400) or with files (503) is said on a page, not by a traceback."""

        def guarded(request: Request) -> Response:
            try:
                return answer(request)
            except BadInput as error:
                return self._page("broken", status=400 if isinstance(error, BadAddress) else 503, error=error)

        return guarded

    def _campaign_row(self, row: Row) -> Row:
        total = total_of(row["settings"])
        state = "finished" if row["finished"] else "ended" if row["summarized"] else _state(row)
        return {**row, "total": total, "system": system_of(row["settings"]), "state": state}


def application(results: Path, films: Films) -> Starlette:
    """The ASGI application over one results folder."""
    browser = Browser(results, films)
    return Starlette(routes=browser.routes(), exception_handlers={404: browser.nowhere})


def _state(row: Row) -> str:
    """Whether a campaign without a summary still runs: it has recorded something lately."""
    try:
        latest = datetime.datetime.fromisoformat(row["latest"] or row["started"])
    except ValueError:
        return "interrupted"
    if latest.tzinfo is None:
        latest = latest.replace(tzinfo=datetime.UTC)
    age = datetime.datetime.now(datetime.UTC) - latest
    return "running" if age.total_seconds() < _LIVE_SECONDS else "interrupted"


def _position(request: Request) -> dict[str, int | None]:
    query = request.query_params
    return {"below": number_in(query.get("below", "")), "above": number_in(query.get("above", ""))}


def _decoded(document: str) -> Row:
    try:
        found = msgspec.json.decode(document)
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}
