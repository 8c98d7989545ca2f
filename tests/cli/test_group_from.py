"""`--group-from dicom:PatientID` through the real command line: patients stay together, and nobody is named."""

import json
from pathlib import Path

import pytest

from tests.builders import write
from tests.e2e.command import planbalance, planbalance_json
from tests.test_dicom import dicom_bytes

PATIENTS = {f"v{index:02d}": f"DOE{index // 2:02d}" for index in range(16)}  # two knees each


@pytest.fixture
def knees(tmp_path: Path) -> Path:
    pytest.importorskip("pydicom")
    root = tmp_path / "in"
    for volume, patient in PATIENTS.items():
        for number in range(1, 5):
            stem = f"IM{number}-{volume}"
            write(root / f"images/{stem}.dcm", dicom_bytes(patient))
            write(root / f"labels/{stem}.txt", b"0 0.5 0.5 0.1 0.1\n" if number == 1 else b"")
    return root


def test_two_knees_of_a_patient_share_a_split(knees: Path, tmp_path: Path) -> None:
    key = tmp_path / "settings/planbalance/group-key"
    options = ("--group-from", "dicom:PatientID", "--output", tmp_path / "out", "--json")
    planbalance("plan", knees, *options, cwd=tmp_path, XDG_CONFIG_HOME=str(tmp_path / "settings"))
    text = (tmp_path / "plan.json").read_text()
    header = json.loads(text)
    split_of = {volume["id"]: volume["split"] for volume in header["volumes"]}
    assert set(split_of.values()) == {"train", "val", "test"}
    for left in range(0, 16, 2):
        assert split_of[f"v{left:02d}"] == split_of[f"v{left + 1:02d}"]
    assert "DOE" not in text
    assert key.stat().st_mode & 0o777 == 0o600
    # The same key, wherever it lies, gives the same plan to the byte.
    planbalance("plan", knees, *options, "--group-key", key, "--plan-file", "again.json", cwd=tmp_path)
    assert (tmp_path / "again.json").read_text() == text


def test_sources_are_repeated_or_have_commas_between(knees: Path, tmp_path: Path) -> None:
    rows = "".join(f"{volume},{'x' if volume in {'v01', 'v02'} else volume}\n" for volume in PATIENTS)
    write(tmp_path / "map.csv", f"volume,group\n{rows}".encode())
    options = ("--group-map", "map.csv", "--output", tmp_path / "out", "--group-key", tmp_path / "key")
    both = planbalance_json("plan", knees, *options, "--group-from", "dicom:PatientID,map", cwd=tmp_path)
    again = planbalance_json(
        "plan", knees, *options, "--group-from", "map", "--group-from", "dicom:PatientID", cwd=tmp_path
    )
    assert both["digest"] == again["digest"]
    assert (both["unit"], both["grouped_by"], both["groups"]) == ("patient", "map+dicom", 7)
    assert [row["source"] for row in both["group_sources"]] == ["map", "dicom:PatientID"]
    assert both["look_alikes_file"] is None
    text = planbalance("show", cwd=tmp_path).stdout
    assert "as the group map and the DICOM headers say: 7 in all" in " ".join(text.split())
    assert "dicom:PatientID joined 8 sets of volumes that map keeps apart: v00 + v01" in " ".join(text.split())
    scanned = planbalance_json(
        "scan", knees, *options[:2], *options[4:], "--group-from", "map,dicom:PatientID", cwd=tmp_path
    )
    assert (scanned["groups"], scanned["group_sources"]) == (7, both["group_sources"])


def test_a_map_and_headers_exclude_each_other(knees: Path, tmp_path: Path) -> None:
    write(tmp_path / "map.csv", b"volume,group\n")
    options = ("--group-from", "dicom:PatientID", "--group-map", "map.csv", "--output", "out")
    said = planbalance_json("plan", knees, *options, cwd=tmp_path, code=2)
    assert said["error"]["kind"] == "two-groupings"
    assert not (tmp_path / "plan.json").exists()
