"""The nights of a results folder: its campaigns with the runs of each cell, and every failing run."""

from __future__ import annotations

from harness.archive.index import Campaign, Index
from harness.errors import BadInput
from harness.record import RunRecord

from .campaign import Settings, read_settings
from .signatures import Cell, Night, Sighting


def read(index: Index, suite: str | None = None) -> tuple[list[Night], list[Sighting]]:
    """Read all campaigns, or those of a suite. What is explained by a broken assumption is no failure.

    Raises BadInput for an index that cannot be read.
    """
    settings = {campaign.id: _settings(campaign) for campaign in index.campaigns() if suite in (None, campaign.suite)}
    runs: dict[str, dict[Cell, int]] = {campaign: {} for campaign in settings}
    for campaign, workload, profile, count in index.cell_counts():
        if campaign in runs:
            runs[campaign][workload, profile] = count
    nights = [
        Night(
            campaign=campaign.id,
            started=campaign.started,
            ref=found.commit if (found := settings[campaign.id]) is not None else "",
            runs=runs[campaign.id],
        )
        for campaign in index.campaigns()
        if campaign.id in settings and runs[campaign.id]
    ]
    sightings = []
    for row in index.runs(verdict="invalid"):
        if row.campaign is None or row.campaign not in settings or row.allowed:
            continue
        record = row.record()
        if isinstance(record, RunRecord) and record.is_failure:
            sightings.append(_sighting(row.campaign, record, settings[row.campaign]))
    return nights, sightings


def _sighting(campaign: str, record: RunRecord, settings: Settings | None) -> Sighting:
    again = settings.suite.command(record.seed) if settings is not None else f"foreshock replay {record.run}"
    return Sighting(
        campaign=campaign,
        cell=(record.workload, record.profile),
        signature=record.failure_signature or "unnamed",
        seed=record.seed,
        ops=record.ops.ok + record.ops.fail + record.ops.info,
        simulated_seconds=record.simulated_seconds,
        reproduce=again,
    )


def _settings(campaign: Campaign) -> Settings | None:
    """Settings of an earlier version may not be readable: then the commit is not known."""
    try:
        return read_settings(campaign)
    except BadInput:
        return None
