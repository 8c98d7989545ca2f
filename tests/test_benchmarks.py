"""The benchmarks' own arithmetic: sizes of datasets, ratios in one round, and what cannot be had said, not raised."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import build, calls, importing, measure, million, model
from benchmarks.place import Place, client


@pytest.mark.parametrize(("slices", "least"), [(110, 100), (1_000, 100), (40_000, 100), (94_440, 100)])
def test_a_smaller_dataset_has_the_guides_shape(slices: int, least: int) -> None:
    volumes = build.drawn_volumes(slices, least=least)
    assert sum(size for size, _ in volumes.values()) == slices
    assert len(volumes) >= least
    assert all(0 <= tears <= size for size, tears in volumes.values())
    assert any(tears for _, tears in volumes.values())


def test_ratios_are_taken_within_a_round() -> None:
    cases = [measure.Case("cp", ["cp"], build.nothing), measure.Case("ours", ["x"], build.nothing, "cp", 1.0)]
    runs = {"cp": [measure.Run(1, 1), measure.Run(10, 1)], "ours": [measure.Run(2, 5), measure.Run(10, 6)]}
    peer, ours = measure.rows(cases, runs)
    assert peer == {"case": "cp", "seconds": 5.5, "peak_mib": 1}
    assert ours == {"case": "ours", "seconds": 6, "peak_mib": 6, "peer": "cp", "ratio": 1.5, "goal": 1.0}


def test_the_number_found_while_it_runs_is_held_against_the_best_fixed_one() -> None:
    rows: list[dict[str, object]] = [
        {"case": f"--jobs {jobs}", "seconds": seconds} for jobs, seconds in (("1", 4.0), ("8", 2.0), ("auto", 2.2))
    ]
    assert build.auto_against_best(rows) == 1.1


def test_what_cannot_be_had_here_is_skipped_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = CliRunner().invoke(program.main, ["--on", "xfs", "--json", str(tmp_path / "out.json")])
    assert done.exit_code == 0
    assert "Skipped: needs root" in done.stdout


STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000191          13      1014           newfstatat
 30.00    0.000116           3        29         7 openat
  5.00    0.000077           0        98           mmap
  5.00    0.000057           0        17         2 epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.000441           0      1158         9 total
"""


def test_calls_are_counted_where_they_are_work_on_a_file() -> None:
    assert calls.total(STRACE) == 1014 + 29


def test_a_table_of_calls_has_a_row_for_each_way_to_build() -> None:
    row = {"case": "apply", "image and empty label": 11.1, "image and label with a box": 16.0}
    assert calls.table([row]).splitlines()[-1] == "| apply | 11.1 | 16.0 |"


def test_datasets_of_larger_images_leave_room_on_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=3 << 20, f_frsize=1024))  # 3 GiB
    image = 500 << 10
    slices = program.room(Place("here", tmp_path), image)
    most_kept = slices * 53_914 // 94_440  # of the guide's dataset
    assert (slices + 2 * most_kept) * image <= 2 << 30  # two thirds: the source, the tree that is copied and the copy
    assert slices > 1_000


def test_a_place_that_is_there_already_is_not_mounted(tmp_path: Path) -> None:
    with Place("here", tmp_path).measured():
        assert list(tmp_path.iterdir()) == []


def test_a_client_mounts_for_itself_and_says_how_long_it_took(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mount namespaces need root")
    under, point = tmp_path / "under", tmp_path / "point"
    under.mkdir()
    point.mkdir()
    place = Place("bound", point, mount=f"mount --bind {under} {point}")
    done = subprocess.run(client(place, ["touch", f"{point}/made"]), capture_output=True, text=True, check=True)
    begin, end = done.stdout.splitlines()
    assert float(begin) <= float(end)
    assert (under / "made").exists()
    assert list(point.iterdir()) == []


def scaled(layout: str, clients: int, seconds: float) -> dict[str, object]:
    row = {"clients": clients, "seconds": seconds, "CPU": 8.0, "again": 1.0, "again CPU": 0.5}
    return {"layout": layout, **row}


def test_the_model_predicts_several_clients_from_one() -> None:
    rows = {
        "by-volume": [scaled("by-volume", 1, 81.0), scaled("by-volume", 4, 21.0), scaled("by-volume", 32, 11.0)],
        "keep": [scaled("keep", 1, 81.0), scaled("keep", 4, 60.0)],
    }
    result = {"method": "20,000 slices of 100 volumes, 5 ms", "machine": {"cores": "2"}, "rows": rows}
    table = model.validation(result).splitlines()[4:]
    assert table[1] == "| by-volume | 4 | 21.0 s | 21.0 s | waiting | +0% |"
    # 8 seconds of CPU, and half a second for each further client, on two cores
    assert table[2] == f"| by-volume | 32 | 11.0 s | {(8 + 31 * 0.5) / 2:.1f} s | thinking | +7% |"
    # 14,000 slices lie in one folder, in four blocks of at most 4,096; the largest shard has two of them
    assert table[4] == f"| keep | 4 | 60.0 s | {1 + 80 / 14_000 * 8_192:.1f} s | folder | -20% |"


def test_what_a_slice_costs_is_told_for_each_size() -> None:
    rows = [{"slices": 100_000, "plan": {"seconds": 1.9, "CPU": 2.1, "MiB": 119}}]
    assert million.table(rows).splitlines()[-1] == "| 100,000 | plan | 1.9 | 2.1 | 21.0 | 119 |"


@pytest.mark.parametrize("way", ["import", "pillow"])
def test_an_import_and_its_peers_render_each_slice(tmp_path: Path, way: str) -> None:
    importing.write_series(tmp_path / "series", 5, 64)
    found = importing.measure(way, tmp_path / "series", 4)
    assert found.slices == 4
    assert found.processor > 0
    assert found.written > 4 * 100
    assert found.peak_mib > 20


def test_the_memory_of_a_command_is_that_of_all_its_processes() -> None:
    held = "x = b'.' * (64 << 20); import time; time.sleep(0.6)"
    forked = f"import os; child = os.fork(); {held}; child and os.wait()"
    alone, both = (million.measured([sys.executable, "-c", code])["MiB"] for code in (held, forked))
    assert 60 <= alone < 110 <= both
