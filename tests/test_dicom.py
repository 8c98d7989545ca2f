"""Volumes and patients from DICOM headers."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.dicom import Headers, group_key, groups_from_headers
from planbalance.errors import InputError, UsageError
from planbalance.executor.autoscaler import LIMITS
from planbalance.grouping import keyed_group
from planbalance.model import Naming, PlanHeader, Snapshot, Volume
from planbalance.page.commands import steps
from planbalance.planner import PlanOptions, group_into_volumes, make_plan
from tests.builders import LABELS, write
from tests.planning import snapshot_of, splits_of

KEY = b"0123456789abcdef"
VOLUMES = {"v1": "+..", "v2": "...", "v3": ".+", "v4": "..", "v5": "+"}


def dicom_bytes(patient: str | None, **uids: str) -> bytes:
    """Return a DICOM file (PS3.10) in explicit little endian, with a modality, and a PatientID unless it is None.

    `study`, `series`, `number` and `frame` are further values.
    """
    meta = element(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1")
    meta = element(0x0002, 0x0000, b"UL", struct.pack("<I", len(meta))) + meta
    body = element(0x0008, 0x0060, b"CS", b"MR")
    if patient is not None:
        body += element(0x0010, 0x0020, b"LO", patient.encode())
    for name, number, kind in (
        ("study", 0x000D, b"UI"),
        ("series", 0x000E, b"UI"),
        ("number", 0x0013, b"IS"),
        ("frame", 0x0052, b"UI"),
    ):
        if name in uids:
            body += element(0x0020, number, kind, uids[name].encode())
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
            ["IM1-v2", "IM2-v2", "IM3-v2", "IM1-v3", "IM2-v3"],
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


# ---- volumes and groups from headers, by the commands ---------------------------------------------------------------

SOP = "1.2.840.99.{site}.{at}"


@pytest.fixture
def sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write slices named by SOP instance UID: 12 series of 5, of 6 patients; every slice's UID begins as its site's."""
    pytest.importorskip("pydicom")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for at in range(60):
        series, number = at % 12, at // 12 + 1
        stem = SOP.format(site=series % 3, at=1000 + at * 7 % 61)
        tags = {"series": f"1.2.3.{series}", "study": f"1.2.4.{series // 2}", "number": str(number)}
        write(tmp_path / f"in/images/{stem}.dcm", dicom_bytes(f"DOE{series // 2}", **tags))
        write(tmp_path / f"in/labels/{stem}.txt", LABELS["+" if number == 3 and series % 2 else "."])
    return tmp_path


def planned(folder: Path, name: str = "plan", **keywords: Any) -> PlanHeader:
    keywords = {"volume_from": "dicom:SeriesInstanceUID", **keywords}
    given = {key: value for key, value in keywords.items() if value is not None}
    return api.plan(
        str(folder / "in"), output=str(folder / name), plan_file=str(folder / f"{name}.json"), **given
    ).header


def test_a_volume_is_a_series_and_its_slices_are_in_order(sops: Path) -> None:
    found = api.scan(str(sops / "in"), volume_from="dicom:SeriesInstanceUID", group_from="dicom:PatientID")
    assert (found.naming.rule, found.grouped_by, found.grouped) == ("dicom", "dicom", True)
    assert [len(volume.slices) for volume in found.volumes] == [5] * 12
    assert len({volume.group for volume in found.volumes}) == 6
    assert all([one.number for one in volume.slices] == [1, 2, 3, 4, 5] for volume in found.volumes)
    header = planned(sops, gap=1)
    assert header.parameters["volume_from"] == "dicom:SeriesInstanceUID"
    assert all(volume.id.startswith("series-") and len(volume.id) == 23 for volume in header.volumes)
    train = next(volume for volume in header.volumes if volume.split == "train" and volume.positives)
    positive, kept = header.naming["numbers"][train.id]
    assert positive == "3"
    assert not {"2", "4"} & set(kept)
    assert "1.2.3." not in (sops / "plan.json").read_text().replace("1.2.3.4", "")
    words = steps(header, "plan.json")[0].command
    assert "--volume-from dicom:SeriesInstanceUID" in words.replace("\\\n    ", "")


def test_what_is_built_from_series_is_audited_by_plan_and_by_headers(sops: Path) -> None:
    planned(sops, group_from="dicom:PatientID", layout="by-volume", negatives_per_positive="all")
    api.apply(str(sops / "plan.json"))
    shutil.rmtree(sops / "in")
    assert api.verify(str(sops / "plan"), quick=True).ok
    audit = api.verify(str(sops / "plan"), volume_from="dicom:SeriesInstanceUID", quick=True)
    checks = {check.name: check for check in audit.checks}
    assert checks["volume-overlap"].reason == "volumes are the series of the headers"
    shutil.rmtree(sops / "plan/.planbalance")
    assert api.verify(str(sops / "plan"), volume_from="dicom:SeriesInstanceUID").ok
    moved = next((sops / "plan/images/train").rglob("*.dcm"))
    (sops / "plan/images/test/other").mkdir()
    moved.rename(sops / "plan/images/test/other" / moved.name)
    assert not api.verify(str(sops / "plan"), volume_from="dicom:SeriesInstanceUID").ok


@pytest.mark.parametrize(
    ("group_from", "groups"), [("dicom:PatientID", 6), ("dicom:StudyInstanceUID", 6), ("dicom:FrameOfReferenceUID", 0)]
)
def test_groups_by_further_tags(sops: Path, group_from: Any, groups: int) -> None:
    if not groups:
        with pytest.raises(
            InputError, match=r"60 images without a DICOM FrameOfReferenceUID \(60 with none\)"
        ) as caught:
            planned(sops, group_from=group_from)
        assert caught.value.kind == "no-dicom-value"
        return
    header = planned(sops, group_from=group_from)
    assert len({volume.group for volume in header.volumes}) == groups
    assert header.parameters.get("group_from") == (None if group_from == "dicom:PatientID" else group_from)
    assert all(len(volume.group) == 32 for volume in header.volumes)


def test_headers_that_contradict_names_name_the_names_as_the_cause(sops: Path) -> None:
    with pytest.raises(InputError) as caught:
        planned(sops, volume_from=None, volume_pattern="trailing-number", group_from="dicom:PatientID")
    error = caught.value
    assert (error.kind, error.exit_code) == ("two-patients", 3)
    assert error.message.startswith("3 volumes with images of several patients: 1.2.840.99.0,")
    assert error.message.endswith("The DICOM headers contradict the volumes that were read from the names.")
    assert error.hint.startswith("Take the volumes from the headers too: --volume-from dicom:SeriesInstanceUID;")
    assert len(planned(sops, group_from="dicom:PatientID").volumes) == 12


@pytest.mark.parametrize(
    ("series", "sentence"),
    [
        ({"v1": ("1.1", "1.2")}, "1 volume with images of several series: v1."),
        ({"v1": ("1.1", "1.1"), "v2": ("1.1", "1.1")}, "1 series in several volumes: v1 / v2."),
    ],
)
def test_a_volume_of_names_is_one_series(tmp_path: Path, series: Mapping[str, tuple[str, str]], sentence: str) -> None:
    pytest.importorskip("pydicom")
    snapshot = snapshot_of(VOLUMES, name="IM{slice}-{volume}.dcm", root=str(tmp_path))
    for image in snapshot.images:
        volume = image.path.rpartition("-")[2].removesuffix(".dcm")
        first, rest = series.get(volume, (f"2.{volume[1]}", f"2.{volume[1]}"))
        write(tmp_path / image.path, dicom_bytes("A", series=rest if "IM3-" in image.path else first))
    with pytest.raises(InputError) as caught:
        groups_from_headers(snapshot.inputs, volumes_of(snapshot), KEY)
    assert caught.value.kind == "names-contradict-headers"
    assert caught.value.message.startswith(sentence)


def test_a_patient_in_the_middle_of_a_volume_is_seen_too(tmp_path: Path) -> None:
    snapshot = dicom_tree(tmp_path, dict.fromkeys(VOLUMES, "A"))
    write(tmp_path / "images/train/IM2-v2.dcm", dicom_bytes("B"))
    with pytest.raises(InputError, match="1 volume with images of several patients: v2"):
        groups_from_headers(snapshot.inputs, volumes_of(snapshot), KEY)


def test_what_is_lacking_is_told_apart(tmp_path: Path) -> None:
    snapshot = dicom_tree(tmp_path, {"v1": "A", "v2": " ", "v3": None, "v4": "B", "v5": "C"})
    write(tmp_path / "images/train/IM1-v5.dcm", b"no header")
    with pytest.raises(InputError) as caught:
        groups_from_headers(snapshot.inputs, volumes_of(snapshot), KEY)
    assert "(1 is no DICOM file, 3 with an empty one, as anonymised data have, 2 with none)" in caught.value.message


def test_images_without_a_series_are_refused_or_left_out(sops: Path) -> None:
    write(sops / "in/images/other.dcm", dicom_bytes("DOE1"))
    write(sops / "in/labels/other.txt", b"")
    with pytest.raises(InputError) as caught:
        planned(sops)
    assert (caught.value.kind, caught.value.paths) == ("no-series", (str(sops / "in/images/other.dcm"),))
    assert len(planned(sops, exclude=["other.dcm"]).volumes) == 12


def test_an_extension_needs_the_headers_and_the_key_again(sops: Path) -> None:
    older = planned(sops)
    path = str(sops / "plan.json")
    with pytest.raises(UsageError, match="The older plan has its volumes from DICOM headers"):
        planned(sops, "new", extend=path, volume_from=None)
    with pytest.raises(UsageError, match="made with another key"):
        planned(sops, "new", extend=path, group_key=str(sops / "other-key"))
    header = planned(sops, "new", extend=path)
    assert {one.id: one.split for one in header.volumes} == {one.id: one.split for one in older.volumes}


def test_many_headers_are_read_in_processes(sops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planbalance.dicom.LIMITS", LIMITS._replace(cores=2, worth_forking=1))
    paths = sorted(map(str, (sops / "in/images").iterdir()))
    there, here = Headers(jobs=2, batch=7).of(paths), Headers(jobs=1).of(paths)
    assert there == here
    assert len(there) == 60
    assert None not in there


def test_processes_can_be_forked_when_headers_are_read() -> None:
    """The parent imports no pydicom: numpy, which comes with it, starts threads."""
    code = (
        "from planbalance.dicom import Headers\nfrom planbalance.executor.processes import may_fork\n"
        "Headers(jobs=1).of([])\nassert may_fork()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
