"""The index: one SQLite row a run, so that questions over many runs need no walk over folders.

Every run has a row, also those of a suite that were valid and kept no folder. Folders are the truth and rows point at
them; deleting `foreshock.db` loses statistics and campaigns, no run: `harness.archive.reindex` makes their rows again.
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

import msgspec

from harness.errors import BadInput
from harness.record import Record, RunRecord

from .documents import encode, read_record
from .migrations import migrate

FILE: Final = "foreshock.db"
_BUSY_SECONDS_MAX: Final = 30
"""Several suites may share one results folder; each holds the lock for milliseconds."""

_COLUMNS: Final = [
    "run",
    "path",
    "recorded",
    "campaign",
    "cell",
    "seed",
    "workload",
    "profile",
    "system",
    "verdict",
    "class",
    "signature",
    "allowed",
    "plan_sha256",
    "fingerprint",
    "code_digest",
    "document",
]


class IndexedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the index. `document` is what `run --json` printed, as text: most questions need the columns only."""

    number: int
    run: str | None
    path: str | None
    recorded: str
    campaign: str | None
    cell: int | None
    seed: int
    workload: str
    profile: str
    system: str
    verdict: str
    signature: str | None
    allowed: bool
    document: str

    def record(self) -> Record:
        """Read the document. Raises BadInput."""
        return read_record(self.document, f"row {self.number} of {FILE}")


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a suite. `settings` and `summary` are JSON, whose types belong to `harness.search.campaign`."""

    id: str
    started: str
    finished: str | None
    suite: str
    settings: str
    summary: str | None


class Index:
    """The opened index of a results folder; use as a context manager."""

    def __init__(self, results: Path) -> None:
        self.path = results / FILE
        try:
            self._db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS_MAX, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            migrate(self._db, self.path)
        except sqlite3.Error as error:
            raise _unusable(error, self.path) from error

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._db.close()

    def add(
        self, record: Record, *, campaign: str | None = None, cell: int | None = None, recorded: str | None = None
    ) -> None:
        """Add a run by its record. `recorded` is a time as `utc_now` writes it; None: now."""
        ran = record if isinstance(record, RunRecord) else None
        row = {
            "run": record.run,
            "path": record.path,
            "recorded": recorded or utc_now(),
            "campaign": campaign,
            "cell": cell,
            "seed": record.seed,
            "workload": record.workload,
            "profile": record.profile,
            "system": record.binding.system,
            "verdict": record.verdict,
            "class": ran.plan_class if ran else "",
            "signature": ran.primary if ran else None,
            "allowed": bool(ran and ran.is_allowed),
            "plan_sha256": ran and ran.plan_sha256,
            "fingerprint": ran and ran.fingerprint,
            "code_digest": record.code_digest,
            "document": encode(record).decode(),
        }
        marks = ", ".join(f":{column}" for column in _COLUMNS)
        with self._errors():
            self._db.execute(f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({marks})", row)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Record several runs in one transaction."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        with self._errors():
            self._db.execute("COMMIT")

    def runs(
        self,
        *,
        campaign: str | None = None,
        verdict: str | None = None,
        signature: str | None = None,
        workload: str | None = None,
        seed: int | None = None,
        run: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> list[IndexedRun]:
        """List runs that fit all given words, newest first.

        `signature` may be a prefix of whole parts; `before` is a time as `recorded` has it.
        """
        exact = {"campaign": campaign, "verdict": verdict, "workload": workload, "seed": seed, "run": run}
        where = [f"{column} = :{column}" for column, value in exact.items() if value is not None]
        if signature is not None:
            where.append("(signature = :signature OR substr(signature, 1, length(:signature) + 1) = :signature || '/')")
        if before is not None:
            where.append("recorded < :before")
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        query = f"SELECT * FROM runs {condition} ORDER BY number DESC LIMIT :limit"
        values = {**exact, "signature": signature, "before": before, "limit": -1 if limit is None else limit}
        with self._errors():
            return [_run(row) for row in self._db.execute(query, values)]

    def each(self, campaign: str) -> Iterator[IndexedRun]:
        """The runs of a campaign one by one, in the order of their answers: it may have more than memory holds."""
        with self._errors():
            for row in self._db.execute("SELECT * FROM runs WHERE campaign = ? ORDER BY number", (campaign,)):
                yield _run(row)

    def delete(self, runs: Sequence[IndexedRun]) -> None:
        """Forget these rows."""
        with self._errors():
            self._db.executemany("DELETE FROM runs WHERE number = ?", [(run.number,) for run in runs])

    def check(self) -> list[str]:
        """What is damaged in the file itself, as SQLite says it; empty when nothing is."""
        with self._errors():
            lines = [row[0] for row in self._db.execute("PRAGMA integrity_check")]
            orphans = self._db.execute("PRAGMA foreign_key_check").fetchall()
        return [line for line in lines if line != "ok"] + (["rows of campaigns that are not there"] if orphans else [])

    def campaigns(self) -> list[Campaign]:
        """All campaigns, the oldest first."""
        with self._errors():
            return [_campaign(row) for row in self._db.execute("SELECT * FROM campaigns ORDER BY started, rowid")]

    def cell_counts(self) -> list[tuple[str, str, str, int]]:
        """Runs that were judged, of each campaign, workload and profile."""
        query = (
            "SELECT campaign, workload, profile, COUNT(*) FROM runs WHERE campaign IS NOT NULL "
            "AND verdict IN ('valid', 'invalid') GROUP BY campaign, workload, profile"
        )
        with self._errors():
            return [(row[0], row[1], row[2], row[3]) for row in self._db.execute(query)]

    def forget_folders(self, runs: Sequence[str]) -> None:
        """Note that the folders of these runs are gone; their rows stay."""
        with self._errors():
            self._db.executemany("UPDATE runs SET run = NULL, path = NULL WHERE run = ?", [(run,) for run in runs])

    def folders(self) -> set[str]:
        """Names of the run folders that have a row."""
        with self._errors():
            return {row["run"] for row in self._db.execute("SELECT run FROM runs WHERE run IS NOT NULL")}

    def take_over(self, table: Literal["campaigns", "runs"], row: sqlite3.Row) -> bool:
        """Add a row of another index as it is. Returns False when it is there already or is no row of this version.

        A run whose campaign is not there belongs to none.
        """
        columns = [entry["name"] for entry in self._db.execute(f"PRAGMA table_info({table})")]
        if set(columns) != set(row.keys()):
            return False
        values = ", ".join(f":{column}" for column in columns)
        if table == "runs":
            values = values.replace(":campaign", "(SELECT id FROM campaigns WHERE id = :campaign)")
        with self._errors():
            query = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({values})"
            return self._db.execute(query, dict(row)).rowcount == 1

    def begin_campaign(self, id: str, suite: str, settings: msgspec.Struct) -> Campaign:
        """Add a campaign that has begun."""
        campaign = Campaign(
            id=id, started=utc_now(), finished=None, suite=suite, settings=encode(settings).decode(), summary=None
        )
        with self._errors():
            self._db.execute(
                "INSERT INTO campaigns (id, started, suite, settings) VALUES (?, ?, ?, ?)",
                (id, campaign.started, suite, campaign.settings),
            )
        return campaign

    def end_campaign(self, id: str, summary: msgspec.Struct, *, is_finished: bool) -> None:
        """Store what a campaign found. A finished one has run all its seeds; another can be resumed."""
        with self._errors():
            self._db.execute(
                "UPDATE campaigns SET finished = ?, summary = ? WHERE id = ?",
                (utc_now() if is_finished else None, encode(summary).decode(), id),
            )

    def latest(self, *, suite: str | None = None, but: str | None = None) -> Campaign | None:
        """The newest campaign that has a summary, of a suite; None when there is none `but` this one."""
        query = (
            "SELECT * FROM campaigns WHERE summary IS NOT NULL AND suite = coalesce(:suite, suite) AND id IS NOT :but "
            "ORDER BY started DESC, rowid DESC LIMIT 1"
        )
        with self._errors():
            row = self._db.execute(query, {"suite": suite, "but": but}).fetchone()
        return None if row is None else _campaign(row)

    def campaign(self, id: str) -> Campaign:
        """Find a campaign by its id, or the newest that has a summary for "latest". Raises BadInput."""
        if id == "latest" and (found := self.latest()) is not None:
            return found
        with self._errors():
            row = self._db.execute("SELECT * FROM campaigns WHERE id = ?", (id,)).fetchone()
        if row is None:
            known = [entry["id"] for entry in self._db.execute("SELECT id FROM campaigns ORDER BY rowid DESC LIMIT 5")]
            raise BadInput(
                f"no campaign {id!r}", f"one of {', '.join(known)}" if known else "a finished suite", str(self.path)
            )
        return _campaign(row)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _unusable(error, self.path) from error


def utc_now(*, ago_ns: int = 0) -> str:
    """Say the time, or a time ago, as the index stores it."""
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(microseconds=ago_ns // 1000)
    return now.isoformat(timespec="milliseconds")


def _unusable(error: sqlite3.Error, path: Path) -> BadInput:
    is_damaged = getattr(error, "sqlite_errorname", "") in ("SQLITE_CORRUPT", "SQLITE_NOTADB")
    expected = "a SQLite file of foreshock" + ("; `foreshock runs --reindex` makes a new one" if is_damaged else "")
    return BadInput(f"an index that cannot be used ({error})", expected, str(path))


def _campaign(row: sqlite3.Row) -> Campaign:
    return Campaign(**{name: row[name] for name in Campaign.__struct_fields__})


def _run(row: sqlite3.Row) -> IndexedRun:
    values = {name: row[name] for name in IndexedRun.__struct_fields__}
    return IndexedRun(
        **{
            **values,
            "allowed": bool(row["allowed"]),
        }
    )
