"""Migrations of the index: numbered, applied in order, never edited once released.

`PRAGMA user_version` holds the number of the last one applied. Each runs in one transaction with the change of that
number, so that a process killed in between leaves the old version whole. An index of a newer harness is refused.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from harness.errors import BadInput

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE campaigns (
            id       TEXT PRIMARY KEY,
            started  TEXT NOT NULL,              -- UTC, ISO 8601
            finished TEXT,                       -- NULL: interrupted, can be resumed
            suite    TEXT NOT NULL,
            settings TEXT NOT NULL,              -- JSON: what `suite --resume` needs
            summary  TEXT                        -- JSON: what `suite --json` printed
        )
        """,
        """
        CREATE TABLE runs (
            number      INTEGER PRIMARY KEY,     -- the order in which runs were recorded
            run         TEXT UNIQUE,             -- NULL: no folder was kept
            path        TEXT,
            recorded    TEXT NOT NULL,           -- UTC, ISO 8601
            campaign    TEXT REFERENCES campaigns (id) ON DELETE CASCADE,
            cell        INTEGER,                 -- of the suite's matrix
            seed        INTEGER NOT NULL,
            workload    TEXT NOT NULL,
            profile     TEXT NOT NULL,
            system      TEXT NOT NULL,
            verdict     TEXT NOT NULL,           -- valid, invalid, unknown, error
            class       TEXT NOT NULL,
            signature   TEXT,                    -- of the primary anomaly
            allowed     INTEGER NOT NULL,        -- every anomaly is explained by a broken assumption
            plan_sha256 TEXT,
            fingerprint TEXT,
            code_digest TEXT,
            document    TEXT NOT NULL            -- JSON: what `run --json` printed
        )
        """,
        "CREATE INDEX runs_by_campaign ON runs (campaign, seed)",
        "CREATE INDEX runs_by_signature ON runs (signature) WHERE signature IS NOT NULL",
        "CREATE INDEX runs_by_plan ON runs (plan_sha256)",
    ),
)


def migrate(connection: sqlite3.Connection, where: Path) -> None:
    """Bring the index to the current version. Raises BadInput for an index of the future."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise BadInput(f"index version {version}", f"at most {len(MIGRATIONS)}; update foreshock", str(where))
    for number in range(version + 1, len(MIGRATIONS) + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been faster while this one waited for the lock.
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in MIGRATIONS[number - 1]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
