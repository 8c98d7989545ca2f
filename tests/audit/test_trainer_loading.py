"""What trainers load of a dataset that this tool built is what they load of the same files without a plan."""

import io
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from planbalance import audit as audits
from planbalance.audit import VerifyOptions
from planbalance.audit.trainer_loading import NOT_OPENED, OpenedImage, is_loaded, open_image, trainer_outcome
from planbalance.executor import autoscaler
from planbalance.model import Audit
from planbalance.modes import Mode
from planbalance.shards import Shard
from tests.audit.built import Built, built
from tests.builders import picture_bytes, write

BOX = b"0 0.5 0.5 0.1 0.1\n"
VOLUMES = {f"01-{number}": "++..++." for number in range(1, 9)}


def edit(source: Path) -> None:
    """Make a few slices of volume 01-1 what trainers stumble over."""
    image, label = source / "images/train", source / "labels/train"
    data = bytearray(picture_bytes("x"))
    data[60] ^= 1
    write(image / "IM1-01-1.png", bytes(data))  # a wrong sum
    write(image / "IM2-01-1.png", picture_bytes("y")[:80])
    write(image / "IM3-01-1.png", b"not a picture")
    write(label / "IM5-01-1.txt", BOX * 3)
    write(label / "IM6-01-1.txt", b"1 0.5 0.5 0.1 0.1\n")  # a class that the yaml does not name
    write(label / "IM7-01-1.txt", BOX + b"0 0.5 0.5 0.2 0.2 0.3 0.3\n")
    os.rename(image / "IM1-01-2.png", image / "IM1-01-2.dcm")


def made_with(where: Path, mode: Mode) -> Built:
    return built(where, mode=mode, volumes=VOLUMES, edit=edit, invalid_label="keep", layout="keep")


def said(audit: Audit, root: Path) -> set[tuple[str, str, str]]:
    """Return what is said of single images, paths relative."""
    problems = next(check for check in audit.checks if check.name == "trainers").problems
    told = {(one.kind, one.path.removeprefix(f"{root}/"), one.message) for one in problems}
    return {one for one in told if one[0] in ("unreadable", "duplicate-label", "suffix")}


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_a_planned_dataset_is_seen_as_one_without_a_plan(
    tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_with(tmp_path, mode)
    planned = made.audit()
    assert planned.ok
    shutil.copytree(made.output, tmp_path / "foreign", ignore=shutil.ignore_patterns(".planbalance"), symlinks=True)
    yaml = tmp_path / "foreign/dataset.yaml"
    yaml.write_text(yaml.read_text().replace(str(made.output), str(tmp_path / "foreign")))
    foreign = audits.verify(str(tmp_path / "foreign"), VerifyOptions())
    assert planned.loads == foreign.loads
    assert said(planned, made.output) == said(foreign, tmp_path / "foreign")
    assert {kind for kind, *_ in said(planned, made.output)} == {"unreadable", "duplicate-label", "suffix"}
    faulty = {Path(path).stem for kind, path, _ in said(planned, made.output) if kind == "unreadable"}
    assert faulty == {f"IM{number}-01-1" for number in (1, 2, 3, 6, 7)}
    whole = Shard(1, 1)
    subject = audits.subject_of(str(made.output), VerifyOptions())
    part = audits.judge_shard(subject, VerifyOptions(), whole)
    assert audits.finish_from(str(made.output), VerifyOptions(), [(whole, part)]) == planned
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(worth_forking=1))
    assert made.audit() == planned
    assert made.audit(quick=True).loads == ()


def test_a_list_is_seen_where_its_images_are(tmp_path: Path) -> None:
    made = made_with(tmp_path, "list")
    audit = made.audit()
    faulty = {Path(path).stem for kind, path, _ in said(audit, made.output) if kind == "unreadable"}
    assert faulty == {f"IM{number}-01-1" for number in (1, 2, 3, 6, 7)}
    assert sum(load.labelled + load.backgrounds + load.dropped + load.skipped for load in audit.loads) == 2 * 56


def test_a_label_that_holds_nothing_makes_a_background() -> None:
    fine = OpenedImage("PNG", 10, 10)
    for label in (None, b"", b" \n"):
        assert trainer_outcome("a.png", fine, label, 1) == (("", ""), False, 0, False)
    assert trainer_outcome("a.png", NOT_OPENED, BOX, 1) == (("", ""), True, 0, False)
    assert trainer_outcome("a.pfm", fine, BOX, 1).faults == (None, "")
    assert trainer_outcome("a.PNG", OpenedImage("PNG", 9, 10), BOX, 1).faults[0] == "9 × 10 pixels: less than 10 a side"
    assert (is_loaded("a.dcm"), is_loaded(".PNG")) == (False, True)
    assert trainer_outcome("a.dcm", NOT_OPENED, BOX * 2, 1) == ((None, None), True, 0, False)


def test_a_jpeg_without_its_end_is_rewritten() -> None:
    file = io.BytesIO()
    Image.new("L", (16, 16), 7).save(file, "JPEG")
    assert open_image(file.getvalue()) == OpenedImage("JPEG", 16, 16)
    assert open_image(file.getvalue()[:-2]).rewritten
