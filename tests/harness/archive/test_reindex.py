"""A new index has every run folder, what was readable of the old one, and deletes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.archive import layout
from harness.archive.documents import run_record
from harness.archive.index import FILE, Index
from harness.archive.reindex import rebuild
from harness.errors import BadInput
from harness.record import Provenance
from harness.search.known import Known
from tests.harness.outcomes import make_outcome

HERE = Provenance(harness="a", python="CPython 3.11", trio="0.35")
STALE = "linearizability/nonlinearizable/register/read"


def fill(results: Path, valid: int = 3) -> list[str]:
    """A campaign with some valid runs without folders, and two failing ones with. Returns the names of the folders."""
    with Index(results) as index:
        index.begin_campaign("night", "default", Known(signature="x", reason="settings"))
        index.end_campaign("night", Known(signature="x", reason="summary"), is_finished=True)
        for seed in range(valid):
            index.add(run_record(make_outcome(seed), made_by=HERE), campaign="night", cell=0)
        kept = [layout.write_run(results, make_outcome(seed, "invalid", STALE)) for seed in (101, 102)]
        index.add(kept[0], campaign="night", cell=1)
    return sorted(record.run or "" for record in kept)


def test_without_an_index_every_folder_gets_a_row(tmp_path: Path) -> None:
    folders = fill(tmp_path)
    (tmp_path / FILE).unlink()

    rebuilt = rebuild(tmp_path)

    assert (rebuilt.added, rebuilt.taken_over, rebuilt.old_index, rebuilt.damaged) == (2, 0, None, {})
    with Index(tmp_path) as index:
        rows = index.runs(signature="linearizability")
        assert sorted(row.run or "" for row in rows) == folders
        assert {row.recorded[:10].replace("-", "") for row in rows} == {folders[0][:8]}
        assert all(row.record().run == row.run for row in rows)
        assert all("evidence" not in row.document for row in rows)


def test_what_is_readable_of_the_old_index_is_taken_over_once(tmp_path: Path) -> None:
    fill(tmp_path)

    first = rebuild(tmp_path)
    second = rebuild(tmp_path)

    assert (first.added, first.taken_over, first.campaigns) == (1, 4, 1)
    assert (second.added, second.taken_over, second.campaigns) == (0, 5, 1)
    assert Path(first.old_index or "").is_file()
    with Index(tmp_path) as index:
        assert len(index.runs()) == 5
        assert len(index.runs(campaign="night")) == 4
        assert index.campaign("latest").id == "night"


@pytest.mark.parametrize("damage", ["header", "middle"])
def test_a_damaged_index_is_refused_with_the_way_out_and_the_way_out_works(tmp_path: Path, damage: str) -> None:
    folders = fill(tmp_path, valid=400)
    rebuild(tmp_path)  # leaves no log beside the file
    content = bytearray((tmp_path / FILE).read_bytes())
    places = range(16) if damage == "header" else range(len(content) // 2, len(content) // 2 + 20_000)
    for place in places:
        content[place] ^= 0xA5
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(BadInput, match="runs --reindex"), Index(tmp_path) as index:
        index.runs()
    rebuilt = rebuild(tmp_path)

    assert Path(rebuilt.old_index or "").stat().st_size == len(content)
    assert rebuilt.taken_over + rebuilt.added < 402
    assert (rebuilt.taken_over > 100) == (damage == "middle")
    with Index(tmp_path) as index:
        assert sorted(row.run for row in index.runs() if row.run is not None) == folders


def test_a_damaged_folder_is_told_and_costs_no_other(tmp_path: Path) -> None:
    folders = fill(tmp_path)
    (tmp_path / folders[0] / "verdict.json").write_text("{")
    (tmp_path / FILE).unlink()

    rebuilt = rebuild(tmp_path)

    assert rebuilt.added == 1
    assert list(rebuilt.damaged) == [folders[0]]
    assert "damaged document" in rebuilt.damaged[folders[0]]


def test_an_index_in_use_stays_where_it_is(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        with pytest.raises(BadInput, match="another process uses"):
            rebuild(tmp_path)

        assert index.runs() == []
    assert not list(tmp_path.glob(f"{FILE}.old-*"))
