"""Exports of a split, read as the programs read them for which they are made."""

import csv
import errno
import io
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.errors import InputError, UsageError
from planbalance.model import SPLITS
from tests.builders import LABELS, picture_bytes, write, yolo_tree
from tests.cli.command import KNEES, knees, run, run_json
from tests.test_dicom import dicom_bytes

Plan = tuple[Path, Any]  # the plan file, and its header


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    knees(tmp_path / "in")
    path = tmp_path / "plan.json"
    run("plan", tmp_path / "in", "--output", tmp_path / "out", "--plan-file", path)
    return path, api.open_plan(str(path)).header


def read_as_monai(path: Path, key: str, base_dir: Path) -> list[dict[str, str]]:
    """Do as `monai.data.load_decathlon_datalist(path, True, key, base_dir)`: an image and a label are always joined."""
    content = json.loads(path.read_text("ascii"))
    if key not in content:
        raise ValueError(f"Data list {key} not specified")
    items = content[key]
    if key == "test" and not isinstance(items[0], dict):
        items = [{"image": one} for one in items]
    return [
        {
            name: os.path.normpath(os.path.join(base_dir, value)) if name in ("image", "label") else value
            for name, value in item.items()
        }
        for item in items
    ]


def read_as_nnunet(path: Path, fold: int) -> tuple[list[str], list[str]]:
    """Do as `do_split` of nnunetv2's nnUNetTrainer, which warns where a case is in both lists."""
    splits = json.loads(path.read_text("ascii"))
    assert fold < len(splits), "nnU-Net would divide the cases at random"
    train, val = splits[fold]["train"], splits[fold]["val"]
    assert not set(train) & set(val)
    return train, val


# ---- CSV ------------------------------------------------------------------------------------------------------------


def test_the_table_holds_each_volume_once_with_its_numbers(plan: Plan) -> None:
    path, header = plan
    rows = list(csv.DictReader(io.StringIO(run("export", path).stdout)))
    assert list(rows[0]) == ["volume", "group", "split", "slices", "positives", "kept"]
    assert [tuple(row.values()) for row in rows] == [
        (one.id, one.group, one.split, str(one.slices), str(one.positives), str(one.kept)) for one in header.volumes
    ]


def test_a_table_is_what_a_later_split_map_takes(plan: Plan, tmp_path: Path) -> None:
    path, header = plan
    run("export", path, "--output", tmp_path / "split.csv")
    again = run_json("plan", tmp_path / "in", "--output", tmp_path / "o", "--split-map", tmp_path / "split.csv",
                     "--plan-file", tmp_path / "again.json")  # fmt: skip
    assert again["split_digest"] == header.split_digest


def test_folds_are_told_apart_in_a_column(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    run("plan", tmp_path / "in", "--output", tmp_path / "out", "--folds", 2, "--plan-file", tmp_path / "p.json")
    said = run("export", tmp_path / "p-fold1.json", tmp_path / "p-fold2.json").stdout
    rows = list(csv.DictReader(io.StringIO(said)))
    assert Counter(row["fold"] for row in rows) == {"fold 1": len(KNEES), "fold 2": len(KNEES)}


def test_patients_of_headers_leave_the_plan_as_hashes_only(tmp_path: Path) -> None:
    """Whatever the format: no text holds more of a person than the plan."""
    pytest.importorskip("pydicom")
    for number, volume in enumerate(KNEES):
        for at, letter in enumerate(KNEES[volume], start=1):
            write(tmp_path / f"in/images/IM{at}-{volume}.dcm", dicom_bytes(f"DOE{number // 2}"))
            write(tmp_path / f"in/labels/IM{at}-{volume}.txt", LABELS[letter])
    groups = ("--group-from", "dicom:PatientID", "--group-key", tmp_path / "key")
    run("plan", tmp_path / "in", "--output", tmp_path / "out", *groups, "--plan-file", tmp_path / "plan.json")
    rows = list(csv.DictReader(io.StringIO(run("export", tmp_path / "plan.json").stdout)))
    assert all(re.fullmatch("[0-9a-f]{32}", row["group"]) for row in rows)
    for form in ("csv", "nnunet", "monai", "croissant"):
        assert "DOE" not in run("export", tmp_path / "plan.json", "--format", form).stdout


# ---- nnU-Net --------------------------------------------------------------------------------------------------------


def test_nnunet_trains_on_train_and_validates_on_val_and_test_is_in_neither_list(plan: Plan, tmp_path: Path) -> None:
    path, header = plan
    done = run("export", path, "--format", "nnunet", "--output", tmp_path / "splits_final.json")
    train, val = read_as_nnunet(tmp_path / "splits_final.json", 0)
    split_of = {one.id: one.split for one in header.volumes}
    assert {split_of[case] for case in train} == {"train"}
    assert {split_of[case] for case in val} == {"val"}
    tested = sum(split == "test" for split in split_of.values())
    assert len(train) + len(val) == len(header.volumes) - tested
    said = " ".join(done.stdout.split())
    assert f"{tested} case" in said
    assert "Put them into imagesTs, not into imagesTr." in said


def test_a_case_may_be_a_slice_of_those_that_are_kept(plan: Plan, tmp_path: Path) -> None:
    path, _ = plan
    run("apply", path)
    run("export", tmp_path / "out", "--format", "nnunet", "--cases", "slice", "--output", tmp_path / "s.json")
    train, val = read_as_nnunet(tmp_path / "s.json", 0)
    for split, cases in (("train", train), ("val", val)):
        assert cases == sorted(one.stem for one in (tmp_path / "out/images" / split).iterdir())


def test_what_a_plan_left_out_and_whole_volumes_hold_again_is_said(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    words = ("plan", tmp_path / "in", "--output", tmp_path / "out", "--plan-file", tmp_path / "p.json")
    run(*words, "--exclude", "IM1-*", "--missing-label", "skip", "--negatives-per-positive", "all")
    notes = " ".join(api.export(str(tmp_path / "p.json"), format="nnunet").notes)
    assert "Slices that --exclude or --missing-label skip left out, if any, are in their volumes again" in notes
    notes = " ".join(api.export(str(tmp_path / "p.json"), format="nnunet", cases="slice").notes)
    assert "left out" not in notes


def test_a_channel_in_a_slice_name_is_not_part_of_the_case(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "in", KNEES, name="{volume}_{slice:03d}_0000.png")
    pattern = r"(?P<volume>.+)_(?P<slice>\d{3})_0000"
    run("plan", tmp_path / "in", "--output", tmp_path / "o", "--volume-pattern", pattern, "--plan-file", tmp_path / "p")
    cases = api.export(str(tmp_path / "p"), format="nnunet", cases="slice").text
    assert "_0000" not in cases
    assert "01-02-00000_001" in cases


def test_each_fold_is_an_entry_in_the_order_given(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    run("plan", tmp_path / "in", "--output", tmp_path / "out", "--folds", 2, "--plan-file", tmp_path / "p.json")
    plans = [tmp_path / f"p-fold{fold}.json" for fold in (1, 2)]
    run("export", *plans, "--format", "nnunet", "--output", tmp_path / "splits_final.json")
    for fold, path in enumerate(plans):
        train, _ = read_as_nnunet(tmp_path / "splits_final.json", fold)
        planned = api.open_plan(str(path)).header.volumes
        assert train == sorted(one.id for one in planned if one.split == "train")
    run("apply", *plans, "--mode", "symlink")
    of_folder = api.export(str(tmp_path / "out"), format="nnunet").text
    assert of_folder == (tmp_path / "splits_final.json").read_text()


def test_plans_of_one_test_are_told_apart_and_not_taken_for_folds(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    plans = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        plans.append(str(tmp_path / name / "plan.json"))
        words = ("--sample-seed", ord(name), "--plan-file", plans[-1])
        run("plan", tmp_path / "in", "--output", tmp_path / "of" / name, *words)
    table = list(csv.DictReader(io.StringIO(api.export(plans).text)))
    assert {row["fold"] for row in table} == {"plan.json (1)", "plan.json (2)"}
    assert "Put them into imagesTs" in " ".join(api.export(plans, format="nnunet").notes)
    (tmp_path / "of").mkdir()
    run("apply", *plans, "--mode", "symlink")
    table = list(csv.DictReader(io.StringIO(api.export(str(tmp_path / "of")).text)))
    assert {row["fold"] for row in table} == {"a", "b"}
    with pytest.raises(UsageError, match="is named twice"):
        api.export([plans[0], plans[0]])


def test_what_nnunet_cannot_say_is_refused(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "theirs", {"a": "+.", "b": ".."}, split_of={"a": "train", "b": "val"})
    write(root / "images/val/IM9-a.png", picture_bytes("x"))
    write(root / "labels/val/IM9-a.txt", b"")
    with pytest.raises(InputError, match="same nnU-Net case twice: a"):
        api.export(str(root), format="nnunet")
    yolo_tree(tmp_path / "in", {f"p{n}/{volume}": word for n, (volume, word) in enumerate(KNEES.items())},
              name="{volume}/{slice}.png")  # fmt: skip
    run("plan", tmp_path / "in", "--output", tmp_path / "o", "--volume-pattern", "parent-dir",
        "--plan-file", tmp_path / "p.json")  # fmt: skip
    with pytest.raises(InputError, match="because of the slash"):
        api.export(str(tmp_path / "p.json"), format="nnunet")
    ratios = ("--train-ratio", "0.8", "--val-ratio", "0", "--test-ratio", "0.2")
    run("plan", knees(tmp_path / "no"), "--output", tmp_path / "o", *ratios, "--plan-file", tmp_path / "q.json")
    with pytest.raises(InputError, match="val is empty"):
        api.export(str(tmp_path / "q.json"), format="nnunet")


# ---- MONAI ----------------------------------------------------------------------------------------------------------


def test_monai_finds_every_image_and_label_of_the_dataset(plan: Plan, tmp_path: Path) -> None:
    path, _ = plan
    run("apply", path)
    run("export", path, "--format", "monai", "--output", tmp_path / "list.json")
    for split, key in (("train", "training"), ("val", "validation"), ("test", "test")):
        items = read_as_monai(tmp_path / "list.json", key, tmp_path / "out")
        there = sorted(str(one) for one in (tmp_path / "out/images" / split).iterdir())
        assert sorted(item["image"] for item in items) == there
        assert all(Path(item["label"]).is_file() and Path(item["label"]).stem == Path(item["image"]).stem
                   for item in items)  # fmt: skip
    content = json.loads((tmp_path / "list.json").read_text())
    assert content["numTraining"] == len(content["training"])
    assert str(tmp_path) not in (tmp_path / "list.json").read_text()


def test_an_empty_test_has_no_list_since_monai_would_fail_on_it(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    ratios = ("--train-ratio", "0.8", "--val-ratio", "0.2", "--test-ratio", "0")
    run("plan", tmp_path / "in", "--output", tmp_path / "out", *ratios, "--plan-file", tmp_path / "plan.json")
    made = api.export(str(tmp_path / "plan.json"), format="monai")
    assert "test" not in json.loads(made.text)
    assert any("no list test" in note for note in made.notes)


def test_slices_of_another_tool_are_named_where_they_are(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "theirs", {"a": "+-", "b": ".."}, split_of={"a": "train", "b": "val"})
    made = api.export(str(root), format="monai")
    items = json.loads(made.text)["training"]
    assert items == [
        {"image": "images/train/IM1-a.png", "label": "labels/train/IM1-a.txt"},
        {"image": "images/train/IM2-a.png"},
    ]
    assert any("1 slice without a label file has no label" in note for note in made.notes)


# ---- Croissant ------------------------------------------------------------------------------------------------------


def croissant_of(path: Path, name: str) -> dict[str, Any]:
    content = json.loads(path.read_text("ascii"))
    (found,) = (one for one in content["recordSet"] if one["@id"] == name)
    return dict(found)


def test_croissant_names_the_splits_and_the_split_of_each_volume(plan: Plan, tmp_path: Path) -> None:
    path, header = plan
    run("export", path, "--format", "croissant", "--output", tmp_path / "croissant.json")
    content = json.loads((tmp_path / "croissant.json").read_text("ascii"))
    assert content["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    splits = croissant_of(tmp_path / "croissant.json", "splits")
    assert splits["dataType"] == "cr:Split"
    assert [one["splits/name"] for one in splits["data"]] == list(SPLITS)
    volumes = croissant_of(tmp_path / "croissant.json", "volumes")["data"]
    assert {one["volumes/volume"]: one["volumes/split"] for one in volumes} == {
        one.id: one.split for one in header.volumes
    }
    assert str(tmp_path) not in json.dumps(content)


def test_every_reference_of_croissant_leads_somewhere(plan: Plan, tmp_path: Path) -> None:
    path, _ = plan
    run("export", path, "--format", "croissant", "--output", tmp_path / "croissant.json")
    content = json.loads((tmp_path / "croissant.json").read_text())
    del content["@context"]
    text = json.dumps(content)
    named = re.findall(r'"(?:field|fileSet|key)": \{"@id": "([^"]+)"\}', text)
    own = set(re.findall(r'"@type": "cr:\w+", "@id": "([^"]+)"', text))
    assert named
    assert set(named) <= own


def test_a_dataset_of_which_folders_do_not_tell_the_splits_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "theirs"
    for split in ("train", "valid"):
        write(root / split / "images" / f"IM1-{split}.png", picture_bytes(split))
        write(root / split / "labels" / f"IM1-{split}.txt", b"")
    write(root / "data.yaml", b"train: train/images\nval: valid/images\nnames: [tear]\n")
    with pytest.raises(InputError, match="do not lie in images/<split>/"):
        api.export(str(root), format="croissant")


def test_croissant_claims_nothing_of_a_dataset_that_another_tool_divided(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "theirs", {"a": "+-", "b": ".."}, split_of={"a": "train", "b": "val"})
    text = api.export(str(root), format="croissant").text
    assert "Slices divided by another tool into train, val" in text
    assert "No group is in two splits" not in text
    assert "undersampling" not in text


@pytest.mark.filterwarnings("ignore")  # of mlcroissant's own libraries
def test_mlcroissant_reads_every_slice_with_its_split(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant reads it with MLCommons' own code")
    knees(tmp_path / "in")
    for image in (tmp_path / "in").rglob("*.png"):
        image.write_bytes(picture_bytes(image.name))
    run("plan", tmp_path / "in", "--output", tmp_path / "out", "--plan-file", tmp_path / "plan.json")
    run("apply", tmp_path / "plan.json")
    run("export", tmp_path / "plan.json", "--format", "croissant", "--output", tmp_path / "croissant.json")
    shutil.copytree(tmp_path / "out", tmp_path / "published")
    shutil.copy(tmp_path / "croissant.json", tmp_path / "published")
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "published/croissant.json")
    assert not dataset.metadata.issues.errors
    read = Counter(record["slices/split"].decode() for record in dataset.records("slices"))
    assert read == {split: len(os.listdir(tmp_path / "out/images" / split)) for split in SPLITS}
    assert len(list(dataset.records("volumes"))) == len(KNEES)


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "nnunet", "monai", "croissant"])
def test_the_same_plan_gives_the_same_bytes_and_a_file_of_others_stays(plan: Plan, tmp_path: Path, form: str) -> None:
    path, _ = plan
    target = tmp_path / "made"
    first = run_json("export", path, "--format", form, "--output", target)
    assert (first["export"], first["bytes"]) == (str(target), target.stat().st_size)
    run("export", path, "--format", form, "--output", target)
    assert run_json("export", path, "--format", form)["text"] == target.read_text()
    mine = write(tmp_path / "mine", b"my own notes\n")
    refused = run_json("export", path, "--format", form, "--output", mine, code=2)
    assert refused["error"]["kind"] == "text-exists"
    assert mine.read_bytes() == b"my own notes\n"


@pytest.mark.parametrize("form", ["csv", "monai", "croissant"])
def test_an_older_export_is_replaced(plan: Plan, tmp_path: Path, form: str) -> None:
    path, header = plan
    run("export", path, "--format", form, "--output", tmp_path / "made")
    run("plan", tmp_path / "in", "--output", tmp_path / "out", "--seed", 7, "--plan-file", tmp_path / "other.json")
    run("export", tmp_path / "other.json", "--format", form, "--output", tmp_path / "made")
    assert header.split_digest not in (tmp_path / "made").read_text()
    assert (tmp_path / "made").read_text() == api.export(str(tmp_path / "other.json"), format=form).text


def test_an_older_split_file_of_nnunet_is_not_known_to_be_ours(plan: Plan, tmp_path: Path) -> None:
    path, _ = plan
    target = write(tmp_path / "splits_final.json", b'[{"train": ["a"], "val": ["b"]}]')
    with pytest.raises(UsageError, match="holds something else"):
        api.export(str(path), output=str(target), format="nnunet")


@pytest.mark.parametrize("place", ["in/x.csv", "out/x.csv", "nowhere/x.csv", "in"])
def test_a_place_in_an_input_or_a_dataset_is_refused(plan: Plan, tmp_path: Path, place: str) -> None:
    path, _ = plan
    run("apply", path)
    assert "Error" in run("export", path, "--output", tmp_path / place, code=2).stderr


def test_one_file_takes_one_plan_where_the_format_has_no_folds(plan: Plan) -> None:
    path, _ = plan
    with pytest.raises(UsageError, match="takes one plan"):
        api.export([str(path), str(shutil.copy(path, path.with_name("other.json")))], format="monai")
    with pytest.raises(UsageError, match="--cases is for"):
        api.export(str(path), cases="slice")


def test_a_dataset_in_one_file_and_one_of_lists(plan: Plan, tmp_path: Path) -> None:
    path, _ = plan
    run("apply", path, "--mode", "list")
    assert api.export(str(tmp_path / "out")).text == api.export(str(path)).text
    with pytest.raises(UsageError, match="--mode list"):
        api.export(str(tmp_path / "out"), format="monai")
    run("apply", path, "--mode", "tar", "--output", tmp_path / "one.tar")
    assert api.export(str(tmp_path / "one.tar"), format="monai").text == api.export(str(path), format="monai").text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("words", [("export", "--format", "csv"), ("report",)])
def test_a_full_disk_is_told_from_a_folder_that_refuses(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], number: int
) -> None:
    def refuse(path: str, _pieces: object) -> None:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("planbalance.fs.write_path", refuse)
    said = run(*words, plan[0], "--output", tmp_path / "written.html", code=2).stderr
    assert ("then run the same command again" in said) == (number != errno.EACCES)
    assert ("its folder must exist" in said) == (number == errno.EACCES)
