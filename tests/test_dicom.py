"""Patients from DICOM headers."""

import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from planbalance.dicom import group_key, groups_from_headers
from planbalance.errors import InputError, UsageError
from planbalance.grouping import keyed_group
from planbalance.model import Naming, Snapshot, Volume
from planbalance.planner import PlanOptions, group_into_volumes, make_plan
from tests.builders import write
from tests.planning import snapshot_of, splits_of

KEY = b"0123456789abcdef"
VOLUMES = {"v1": "+..", "v2": "...", "v3": ".+", "v4": "..", "v5": "+"}


def dicom_bytes(patient: str | None) -> bytes:
    """Return a DICOM file (PS3.10) in explicit little endian, with a modality, and a PatientID unless it is None."""
    meta = element(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1")
    meta = element(0x0002, 0x0000, b"UL", struct.pack("<I", len(meta))) + meta
    body = element(0x0008, 0x0060, b"CS", b"MR")
    if patient is not None:
        body += element(0x0010, 0x0020, b"LO", patient.encode())
    return b"\0" * 128 + b"DICM" + meta + body


def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    value += (b"\0" if kind == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", group, number, kind, len(value)) + value


def dicom_tree(root: Path, patient_of: Mapping[str, str | None]) -> Snapshot:
    """Write DICOM files; `B#C` is patient B in a volume's first slice and C in the others."""
    pytest.importorskip("pydicom")
    snapshot = snapshot_of(VOLUMES, name="IM{slice}-{volume}.dcm", root=str(root))
    for image in snapshot.images:
        said = patient_of[image.path.rpartition("-")[2].removesuffix(".dcm")]
        patient = None if said is None else said.split("#")[0 if "IM1-" in image.path else -1]
        write(root / image.path, dicom_bytes(patient))
    return snapshot


def volumes_of(snapshot: Snapshot) -> tuple[Volume, ...]:
    return group_into_volumes(snapshot, Naming("im-dash"))


def test_volumes_of_one_patient_share_a_group_that_names_nobody(tmp_path: Path) -> None:
    snapshot = dicom_tree(tmp_path, {"v1": "DOE", "v2": "DOE ", "v3": "ROE", "v4": "POE", "v5": "LOE"})
    groups = groups_from_headers(snapshot.inputs, volumes_of(snapshot), KEY)
    assert groups.group_of == {
        volume: keyed_group(patient, KEY)
        for volume, patient in {"v1": "DOE", "v2": "DOE", "v3": "ROE", "v4": "POE", "v5": "LOE"}.items()
    }
    sealed = make_plan(snapshot, PlanOptions("/data/out", group_map=groups))
    assert splits_of(sealed)["v1"] == splits_of(sealed)["v2"]
    assert sealed.header.parameters["groups"]["by"] == "dicom"
    assert not any(name in sealed.first_line for name in (b"DOE", b"ROE", b"POE", b"LOE"))


@pytest.mark.parametrize(
    ("patient_of", "kind", "paths"),
    [
        (
            {"v1": "A", "v2": None, "v3": "", "v4": "B", "v5": "C"},
            "no-patient-id",
            ["IM1-v2", "IM3-v2", "IM1-v3", "IM2-v3"],
        ),
        ({"v1": "A", "v2": "B#C", "v3": "D", "v4": "E#F", "v5": "G"}, "two-patients", ["v2", "v4"]),
    ],
)
def test_unclear_patients_are_all_listed(
    tmp_path: Path, patient_of: dict[str, str | None], kind: str, paths: list[str]
) -> None:
    snapshot = dicom_tree(tmp_path, patient_of)
    with pytest.raises(InputError) as caught:
        groups_from_headers(snapshot.inputs, volumes_of(snapshot), KEY)
    assert caught.value.kind == kind
    assert [os.path.basename(path).removesuffix(".dcm") for path in caught.value.paths] == paths


def test_images_that_are_no_dicom_are_refused(tmp_path: Path) -> None:
    snapshot = dicom_tree(tmp_path, dict.fromkeys(VOLUMES, "A"))
    (tmp_path / "images/train/IM1-v4.dcm").write_bytes(b"\x89PNG" * 50)
    (tmp_path / "images/train/IM1-v5.dcm").unlink()
    with pytest.raises(InputError) as caught:
        groups_from_headers(snapshot.inputs, volumes_of(snapshot), KEY)
    assert [os.path.basename(path) for path in caught.value.paths] == ["IM1-v4.dcm", "IM1-v5.dcm"]


def test_without_pydicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UsageError) as caught:
        groups_from_headers((), (), KEY)
    assert caught.value.hint == "pip install 'planbalance[dicom]'"


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "config" / "group-key"
    key = group_key(str(place))
    assert len(key) == 64
    assert group_key(str(place)) == key
    assert place.stat().st_mode & 0o777 == 0o600
    assert group_key(str(tmp_path / "other")) != key


def test_a_key_that_cannot_protect_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "key"
    place.write_bytes(b"short")
    with pytest.raises(UsageError, match="shorter than 16 bytes"):
        group_key(str(place))
    with pytest.raises(UsageError, match="cannot be used"):
        group_key(str(place / "below"))
