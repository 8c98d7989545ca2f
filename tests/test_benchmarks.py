"""The benchmarks' own arithmetic: sizes of data sets, ratios in one round, and what cannot be had said, not raised."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import build, measure


@pytest.mark.parametrize(("slices", "least"), [(110, 100), (1_000, 100), (40_000, 100), (94_440, 100)])
def test_a_smaller_data_set_has_the_guides_shape(slices: int, least: int) -> None:
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
