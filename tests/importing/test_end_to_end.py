"""A raw study is planned, built and audited; labels, pixels and fates are those that were drawn."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from planbalance import api
from planbalance.import_model import FATES
from planbalance.planstore import ImportPlan
from tests.builders import tree_content
from tests.cli.command import run, run_json
from tests.importing.raw_study import Study, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture(scope="module")
def plan(study: Study, tmp_path_factory: pytest.TempPathFactory) -> ImportPlan:
    folder = tmp_path_factory.mktemp("plan")
    made = api.import_dataset(
        output=str(folder / "out"), plan_file=str(folder / "import.json"), options=study.request()
    )
    return made.plan


@pytest.fixture(scope="module")
def built(plan: ImportPlan) -> Path:
    api.apply(plan.path)
    return Path(plan.header.output)


def test_labels_are_those_that_were_drawn(study: Study, built: Path) -> None:
    assert {path.stem: path.read_text() for path in (built / "labels").iterdir()} == study.labels
    assert {path.stem for path in (built / "images").iterdir()} == set(study.labels)


def test_pixels_are_those_that_were_drawn(study: Study, built: Path) -> None:
    for name, expected in study.greys.items():
        found = np.asarray(Image.open(built / "images" / f"{name}.png"))
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1, name


def test_pictures_are_taken_as_they_are(study: Study, built: Path) -> None:
    for source in (study.root / "pictures").iterdir():
        volume, _, number = source.stem.rpartition("-")
        assert (built / "images" / f"IM{number}-{volume}.png").read_bytes() == source.read_bytes()


def test_every_annotation_has_one_fate(plan: ImportPlan, built: Path) -> None:
    with open(built / "import_ledger.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    fates = Counter(row["fate"] for row in rows)
    assert fates == {"used": 5, "clipped": 1, "no-image": 1, "unknown-label": 1, "duplicate": 1, "study-level": 1}
    assert {fate: fates[fate] for fate in FATES} == dict(plan.header.fates)
    report = json.loads((built / "import_report.json").read_text())
    assert report["summary"]["annotations"] == len(rows) == sum(sum(s["fates"].values()) for s in report["sources"])


def test_the_report_counts_what_is_there(study: Study, built: Path) -> None:
    report = json.loads((built / "import_report.json").read_text())
    assert {volume["volume"] for volume in report["volumes"]} == study.volumes
    assert report["summary"]["states"] == {
        "positive": sum(map(bool, study.labels.values())),
        "negative": sum(not text for text in study.labels.values()),
        "unreviewed": 0,
        "doubtful": 0,
    }


def test_patients_are_hashed(study: Study, built: Path) -> None:
    with open(built / "groups.csv", newline="") as file:
        groups = {row["volume"]: row["group"] for row in csv.DictReader(file)}
    assert groups["knee0"] == groups["knee1"]
    assert set(groups) == study.volumes
    for path in built.rglob("*"):
        if path.is_file():
            assert b"Patient-0" not in path.read_bytes(), path
            assert b"P77" not in path.read_bytes(), path


def test_an_audit_finds_it_as_planned(built: Path) -> None:
    found = run_json("verify", built)
    assert found["ok"]
    assert {check["name"]: check["ok"] for check in found["checks"]} == dict.fromkeys(
        ("plan", "files", "pixels", "labels", "ledger", "documents", "manifest", "sources"), True
    )


def test_the_next_command_divides_it(built: Path, tmp_path: Path) -> None:
    planned = run_json(
        "plan", built, "--group-map", built / "groups.csv", "--output", tmp_path / "split",
        "--plan-file", tmp_path / "plan.json",
    )  # fmt: skip
    assert planned["naming"]["rule"] == "im-dash"
    assert planned["volume_statistics"]["total_volumes"] == 6


def test_a_trainer_finds_no_split(built: Path) -> None:
    assert "train" not in (built / "dataset.yaml").read_text().replace(
        "# Not split yet: `planbalance plan` divides these slices into train, val and test.", ""
    )


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_all_modes_and_layouts_give_the_same_content(plan: ImportPlan, built: Path, tmp_path: Path, mode: str) -> None:
    for jobs in (1, 2):
        output = tmp_path / f"{mode}{jobs}"
        run("apply", plan.path, "--mode", mode, "--output", output, "--jobs", jobs)
        assert run_json("verify", output)["ok"]
        for folder in ("images", "labels"):
            assert tree_content_of(output / folder) == tree_content_of(built / folder)


def tree_content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_one_folder_for_each_volume(study: Study, tmp_path: Path) -> None:
    made = api.import_dataset(
        output=str(tmp_path / "out"), plan_file=str(tmp_path / "i.json"), options=study.request(layout="by-volume")
    )
    api.apply(made.path)
    names = {f"{path.parent.name}/{path.stem}" for path in (tmp_path / "out" / "images").rglob("*.png")}
    assert names == {f"{name.partition('-')[2]}/{name}" for name in study.labels}
    assert run_json("verify", tmp_path / "out")["ok"]


def test_the_same_study_gives_the_same_plan(study: Study, plan: ImportPlan, tmp_path: Path) -> None:
    again = api.import_dataset(
        output=plan.header.output, plan_file=str(tmp_path / "again.json"), options=study.request()
    )
    assert Path(again.path).read_bytes() == Path(plan.path).read_bytes()


def test_the_output_is_the_same_wherever_it_is_built(plan: ImportPlan, built: Path, tmp_path: Path) -> None:
    api.apply(plan.path, output=str(tmp_path / "other"))
    assert tree_content(tmp_path / "other") == tree_content(built)


def test_a_dry_run_writes_nothing(plan: ImportPlan, tmp_path: Path) -> None:
    run("apply", plan.path, "--output", tmp_path / "dry", "--dry-run")
    assert list(tmp_path.iterdir()) == []
