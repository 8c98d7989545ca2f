"""Patients from attributes of .h5 files, as fastMRI's have them."""

import sys
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.errors import InputError, UsageError
from planbalance.grouping import keyed_value
from planbalance.h5_attributes import groups_from_h5
from planbalance.page.commands import steps
from tests.builders import mixed_volumes, yolo_tree

KEY = b"0123456789abcdef"
ATTRIBUTE = "patient_id"


def write_h5(path: Path, value: object, attribute: str = ATTRIBUTE) -> None:
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = [1.0, 2.0]
        if value is not None:
            file.attrs[attribute] = value


def test_volumes_of_one_value_share_a_group_that_names_nobody(tmp_path: Path) -> None:
    write_h5(tmp_path / "train/v1.h5", "DOE")
    write_h5(tmp_path / "train/v2.h5", b"DOE ")
    write_h5(tmp_path / "val/v3.hdf5", 17)
    groups = groups_from_h5([str(tmp_path)], ["v1", "v2", "v3"], KEY, attribute=ATTRIBUTE)
    doe, other = (keyed_value("h5:patient_id", value, KEY) for value in ("DOE", "17"))
    assert groups.group_of == {"v1": doe, "v2": doe, "v3": other}
    assert (groups.source, groups.name) == ("h5", "h5:patient_id")


def test_a_prefix_of_the_input_is_not_part_of_the_file_name(tmp_path: Path) -> None:
    write_h5(tmp_path / "v1.h5", "DOE")
    assert groups_from_h5([str(tmp_path)], ["site-v1"], KEY, attribute=ATTRIBUTE, prefixes=["site-", ""]).group_of


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "no-h5-value"), ("", "no-h5-value"), ([1, 2], "no-h5-value")],
)
def test_a_file_without_the_value_is_refused(tmp_path: Path, value: object, kind: str) -> None:
    write_h5(tmp_path / "v1.h5", value)
    with pytest.raises(InputError, match=r"v1\.h5") as caught:
        groups_from_h5([str(tmp_path)], ["v1"], KEY, attribute=ATTRIBUTE)
    assert (caught.value.kind, caught.value.exit_code) == (kind, 3)


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    write_h5(tmp_path / "v1.h5", "DOE")
    (tmp_path / "v2.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"1 volume without an \.h5 file of that name .*: v3\.") as caught:
        groups_from_h5([str(tmp_path)], ["v1", "v3"], KEY, attribute=ATTRIBUTE)
    assert caught.value.kind == "no-h5-file"
    with pytest.raises(InputError, match="no HDF5 file that can be read"):
        groups_from_h5([str(tmp_path)], ["v1", "v2"], KEY, attribute=ATTRIBUTE)
    with pytest.raises(InputError, match="cannot be read"):
        groups_from_h5([str(tmp_path / "absent")], ["v1"], KEY, attribute=ATTRIBUTE)


def test_two_files_of_a_volume_must_agree(tmp_path: Path) -> None:
    write_h5(tmp_path / "single/v1.h5", "DOE")
    write_h5(tmp_path / "multi/v1.h5", "DOE")
    assert groups_from_h5([str(tmp_path)], ["v1"], KEY, attribute=ATTRIBUTE).group_of
    write_h5(tmp_path / "multi/v1.h5", "ROE")
    with pytest.raises(InputError) as caught:
        groups_from_h5([str(tmp_path)], ["v1"], KEY, attribute=ATTRIBUTE)
    assert caught.value.kind == "two-patients"


def test_without_h5py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError) as caught:
        groups_from_h5((), (), KEY, attribute=ATTRIBUTE)
    assert caught.value.hint == "pip install 'planbalance[h5]'"


def test_a_plan_by_an_attribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    volumes = mixed_volumes(6, 8, seed=3)
    yolo_tree(tmp_path / "in", volumes)
    for index, volume in enumerate(volumes):
        write_h5(tmp_path / "raw" / f"{volume}.h5", f"SECRET{index // 2}")
    asked: dict[str, Any] = {"group_from": "h5:patient_id", "h5_folder": [str(tmp_path / "raw")]}
    made = api.plan(str(tmp_path / "in"), output=str(tmp_path / "out"), plan_file=str(tmp_path / "plan.json"), **asked)
    header = made.header
    split_of = {volume.id: volume.split for volume in header.volumes}
    ids = list(volumes)
    assert all(split_of[ids[at]] == split_of[ids[at + 1]] for at in range(0, len(ids), 2))
    assert header.parameters["groups"] == {"by": "h5", "count": 7, "joined_by_content": []}
    assert header.parameters["group_from"] == "h5:patient_id"
    assert "SECRET" not in (tmp_path / "plan.json").read_text()
    step = steps(header, "plan.json")[0]
    assert "--group-from h5:patient_id" in step.command
    assert "--h5-folder" in step.command
    assert api.scan(str(tmp_path / "in"), **asked).grouped_by == "h5"
    api.apply(str(tmp_path / "plan.json"))
    audit = api.verify(str(tmp_path / "out"), quick=True)
    assert next(check for check in audit.checks if check.name == "group-overlap").ok
