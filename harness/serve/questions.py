"""What pages ask the index: always read-only, a page at a time, by the columns and never by whole documents.

`harness.archive.index` writes and belongs to one process at a time that runs something; here the file is opened
read-only, per question, so that a suite that writes is not disturbed and an index that is replaced is seen.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from checkers.json_lines import UNREADABLE
from harness.archive.index import FILE
from harness.errors import BadInput

from .addresses import number_in

PAGE_ROWS: Final = 100
"""Runs on one page of a list."""
COMPARED_MAX: Final = 100_000
"""Runs of a campaign that are compared with another one's."""
_TREND_CAMPAIGNS: Final = 30
_SIGNATURES_MAX: Final = 500
_CAMPAIGNS_MAX: Final = 200
_TEXT_MAX: Final = 200
_BUSY_SECONDS: Final = 5

Row = dict[str, Any]

_SHOWN: Final = (
    "number, run, recorded, campaign, cell, seed, workload, profile, system, verdict, class, signature, allowed"
)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs: every word that is given must fit. `text` may stand in any column of names, `signature` begins."""

    verdict: str = ""
    workload: str = ""
    profile: str = ""
    campaign: str = ""
    signature: str = ""
    seed: str = ""
    text: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """Read a filter from the parameters of an address; others are ignored, and long ones cut."""
        return cls(**{name: query.get(name, "").strip()[:_TEXT_MAX] for name in cls.__struct_fields__})

    @property
    def given(self) -> dict[str, str]:
        """The words that are given, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}

    def condition(self) -> tuple[str, Row]:
        """The condition in SQL, and its values; no word of a person is ever part of the former."""
        parts, values = [], {}
        for name in ("verdict", "workload", "profile", "campaign"):
            if getattr(self, name):
                parts.append(f"{name} = :{name}")
                values[name] = getattr(self, name)
        if self.seed:
            parts.append("seed = :seed")
            seed = number_in(self.seed)
            values["seed"] = -1 if seed is None else seed
        if self.signature:
            parts.append("(signature = :signature OR substr(signature, 1, length(:signature) + 1) = :signature || '/')")
            values["signature"] = self.signature
        if self.text:
            columns = ("run", "workload", "profile", "system", "signature", "campaign")
            parts.append("(" + " OR ".join(f"instr(lower({column}), lower(:text)) > 0" for column in columns) + ")")
            values["text"] = self.text
        return (" AND ".join(parts) or "TRUE"), values


class RunsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of runs, newest first; `older` and `newer` are the row numbers at which the neighbours begin."""

    rows: list[Row]
    total: int
    older: int | None
    newer: int | None
    first: int
    """Place of the first row among all that fit, from 1 on."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of a list a page shows: those from `begin` on; and where its neighbours begin, where there are any."""

    begin: int
    older: int | None
    newer: int | None


class Questions:
    """Asks the index of one results folder."""

    def __init__(self, results: Path) -> None:
        self._path = results / FILE

    @property
    def is_there(self) -> bool:
        """Whether there is an index."""
        return self._path.is_file()

    def runs(self, chosen: Filter, *, below: int | None = None, above: int | None = None) -> RunsPage:
        """The runs that fit, newest first: from the row under `below` on, or those just over `above`."""
        condition, values = chosen.condition()
        with self._open() as db:
            total = int(db.execute(f"SELECT count(*) FROM runs WHERE {condition}", values).fetchone()[0])
            if above is not None:
                query = f"SELECT {_SHOWN} FROM runs WHERE {condition} AND number > :at ORDER BY number LIMIT :rows"
                rows = [dict(row) for row in db.execute(query, {**values, "at": above, "rows": PAGE_ROWS})][::-1]
            else:
                query = f"SELECT {_SHOWN} FROM runs WHERE {condition} AND number < :at ORDER BY number DESC LIMIT :rows"
                at = (1 << 62) if below is None else below
                rows = [dict(row) for row in db.execute(query, {**values, "at": at, "rows": PAGE_ROWS})]
            newer_count = 0
            if rows:
                query = f"SELECT count(*) FROM runs WHERE {condition} AND number > :at"
                newer_count = int(db.execute(query, {**values, "at": rows[0]["number"]}).fetchone()[0])
        older_count = total - newer_count - len(rows)
        return RunsPage(
            rows=rows,
            total=total,
            older=rows[-1]["number"] if rows and older_count > 0 else None,
            newer=rows[0]["number"] if newer_count else None,
            first=newer_count + 1 if rows else 0,
        )

    def run(self, number: int) -> Row | None:
        """One run with its document, as text."""
        with self._open() as db:
            row = db.execute("SELECT * FROM runs WHERE number = ?", (number,)).fetchone()
        return None if row is None else dict(row)

    def number_of(self, run: str) -> int | None:
        """The row of a run id."""
        with self._open() as db:
            row = db.execute("SELECT number FROM runs WHERE run = ?", (run,)).fetchone()
        return None if row is None else int(row["number"])

    def words(self) -> dict[str, list[str]]:
        """What can be chosen in a filter."""
        with self._open() as db:
            return {
                name: [str(row[0]) for row in db.execute(f"SELECT DISTINCT {name} FROM runs ORDER BY {name}")]
                for name in ("verdict", "workload", "profile")
            }

    def campaigns(self, campaign: str | None = None) -> list[Row]:
        """Campaigns, newest first, or one; with how many of their runs ended in each verdict, and when the last did."""
        condition = "TRUE" if campaign is None else "campaigns.id = :campaign"
        query = f"""
            SELECT id, started, finished, suite, settings, summary IS NOT NULL AS summarized,
                   count(runs.number) AS runs,
                   coalesce(sum(verdict = 'valid'), 0) AS valid, coalesce(sum(verdict = 'invalid'), 0) AS invalid,
                   coalesce(sum(verdict = 'unknown'), 0) AS unknown, coalesce(sum(verdict = 'error'), 0) AS error,
                   coalesce(sum(verdict = 'invalid' AND allowed), 0) AS allowed, max(recorded) AS latest
            FROM (SELECT rowid AS place, * FROM campaigns WHERE {condition} ORDER BY rowid DESC LIMIT :most)
                 AS campaigns
            LEFT JOIN runs ON runs.campaign = campaigns.id
            GROUP BY campaigns.id ORDER BY place DESC"""
        with self._open() as db:
            return [dict(row) for row in db.execute(query, {"campaign": campaign, "most": _CAMPAIGNS_MAX})]

    def settings(self, campaign: str) -> str:
        """What a campaign was told to run, as JSON; empty where it is not there."""
        with self._open() as db:
            row = db.execute("SELECT settings FROM campaigns WHERE id = ?", (campaign,)).fetchone()
        return "" if row is None else str(row["settings"])

    def records(self, campaign: str) -> list[str]:
        """The documents of all runs of a campaign, the oldest first."""
        with self._open() as db:
            query = "SELECT document FROM runs WHERE campaign = ? ORDER BY number LIMIT ?"
            return [row["document"] for row in db.execute(query, (campaign, COMPARED_MAX + 1))]

    def summary(self, campaign: str) -> Row | None:
        """What a campaign printed when it ended, as JSON reads it; None while there is none."""
        with self._open() as db:
            row = db.execute("SELECT summary FROM campaigns WHERE id = ?", (campaign,)).fetchone()
        return None if row is None or row["summary"] is None else _json(row["summary"])

    def signatures(self, campaign: str | None = None) -> list[Row]:
        """Signatures of invalid runs with their counts, and the first and the latest run of each."""
        condition = "TRUE" if campaign is None else "campaign = :campaign"
        query = f"""
            SELECT signature, count(*) AS runs, sum(allowed) AS allowed,
                   min(recorded) AS first, max(recorded) AS latest,
                   count(DISTINCT system) AS systems, min(seed) AS seed, max(run) AS run
            FROM runs WHERE verdict = 'invalid' AND signature IS NOT NULL AND {condition}
            GROUP BY signature ORDER BY sum(NOT allowed) = 0, latest DESC, runs DESC LIMIT :most"""
        with self._open() as db:
            return [dict(row) for row in db.execute(query, {"campaign": campaign, "most": _SIGNATURES_MAX})]

    def trends(self) -> tuple[list[Row], dict[str, list[int]]]:
        """The latest campaigns with runs, oldest first, and for each signature its invalid runs in each of them."""
        query = """
            SELECT campaigns.id, campaigns.started, campaigns.suite, count(*) AS runs, max(system) AS system,
                   max(code_digest) AS code_digest
            FROM campaigns JOIN runs ON runs.campaign = campaigns.id
            GROUP BY campaigns.id ORDER BY campaigns.rowid DESC LIMIT ?"""
        with self._open() as db:
            campaigns = [dict(row) for row in db.execute(query, (_TREND_CAMPAIGNS,))][::-1]
            places = {row["id"]: place for place, row in enumerate(campaigns)}
            counted = db.execute(
                "SELECT signature, campaign, count(*) AS runs FROM runs "
                "WHERE verdict = 'invalid' AND signature IS NOT NULL AND campaign IS NOT NULL GROUP BY 1, 2"
            )
            trends: dict[str, list[int]] = {}
            for row in counted:
                if row["campaign"] in places:
                    counts = trends.setdefault(row["signature"], [0] * len(campaigns))
                    counts[places[row["campaign"]]] = row["runs"]
        return campaigns, trends

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.is_there:
            raise BadInput("no index of runs", "a results folder that foreshock has written", FILE)
        try:
            address = f"{self._path.resolve().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as db:
                db.row_factory = sqlite3.Row
                yield db
        except sqlite3.Error as error:
            raise BadInput(f"an index that cannot be read ({error})", "a SQLite file of foreshock", FILE) from error


def part_of(query: Mapping[str, str], total: int) -> Part:
    """The part of a list that an address asks for."""
    begin = number_in(query.get("begin", "")) or 0
    return Part(
        begin=begin,
        older=begin + PAGE_ROWS if begin + PAGE_ROWS < total else None,
        newer=max(0, min(begin, total) - PAGE_ROWS) if begin else None,
    )


def total_of(settings: str) -> int | None:
    """How many seeds a campaign has, from its settings; None when time alone ends it, or they cannot be read."""
    document = _json(settings)
    first, last = document.get("first"), document.get("last")
    return last - first + 1 if isinstance(first, int) and isinstance(last, int) else None


def system_of(settings: str) -> str:
    """What a campaign tests, from its settings."""
    return str(_json(settings).get("system", ""))


def _json(text: str) -> Row:
    try:
        found = msgspec.json.decode(text)
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}
