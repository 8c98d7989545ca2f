"""Label lines of other tools, and what a yaml says besides: from the scan over the plan to the audit."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from planbalance import api
from planbalance.audit import VerifyOptions, verify
from planbalance.errors import InputError
from planbalance.model import Audit
from planbalance.modes import Mode
from planbalance.page.unplanned import as_plan
from planbalance.relocate import relocate
from planbalance.render.scan import scan_document, scan_text
from planbalance.render.verify import verify_document, verify_text
from tests.audit.built import real_pictures
from tests.builders import mixed_volumes, write, yolo_tree
from tests.cli.command import run

BOX = b"0 0.5 0.5 0.1 0.2\n"
CONFIDENCE = b"0 0.684115 0.800463 0.153646 0.0935185 0.575787\n"
OVER = (b"0 0.95 0.5 0.1000001 0.2\n", b"0 0.5 1.004 0.2 0.2\n", b"0 -0.0000004 0.5 0.2 0.2\n")


def dataset(root: Path, labels: tuple[bytes, ...], more: str = "") -> Path:
    """Write a dataset of real pictures; its positive slices get the labels in turn."""
    yolo_tree(root, mixed_volumes(6, 8, smallest=3, largest=5), names=None, images="images/train")
    real_pictures(root)
    positive = [path for path in sorted((root / "labels").rglob("*.txt")) if path.read_bytes()]
    for number, path in enumerate(positive):
        path.write_bytes(labels[number % len(labels)])
    write(root / "data.yaml", f"path: {root}\ntrain: images/train\nval: images/train\nnames: [tear]\n{more}".encode())
    return root


def built(where: Path, source: Path, mode: Mode = "copy", **keywords: Any) -> api.Built:
    return api.build(str(source), output=str(where / "out"), mode=mode, **keywords)


def check(audit: Audit, name: str) -> Any:
    return next(each for each in audit.checks if each.name == name)


def shown(renderable: object) -> str:
    console = Console(width=1000)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


# ---- six columns ----------------------------------------------------------------------------------------------------


def test_confidences_are_explained_for_the_first_lines(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in", (CONFIDENCE,))
    found = api.scan(str(source))
    document = scan_document(found.snapshot, found.reading, found.groups)
    assert document["labels"]["invalid_lines"] == len(document["problems"]) > 3
    text = shown(scan_text(document))
    assert text.count("looks like a confidence") == 3
    assert f"and {len(document['problems']) - 3} more like it" in text
    audit = verify(str(source), VerifyOptions())
    assert check(audit, "labels").ok is False
    assert shown(verify_text(verify_document(audit))).count("looks like a confidence") == 3
    with pytest.raises(InputError) as caught:
        api.plan(str(source), output=str(tmp_path / "out"))
    assert "each for this reason: 6 columns, and the last looks like a confidence" in caught.value.message
    assert caught.value.message.count("looks like") == 1
    assert len(caught.value.paths) == len(document["problems"])
    assert not any("looks like" in path for path in caught.value.paths)
    assert "--invalid-label" in caught.value.hint


# ---- a little beyond the image --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["copy", "symlink", "list"])
def test_an_overshoot_is_accepted_counted_and_said_once(tmp_path: Path, mode: Mode) -> None:
    source = dataset(tmp_path / "in", OVER)
    before = {path: path.read_bytes() for path in (source / "labels").rglob("*.txt")}
    found = api.scan(str(source))
    overshoot = found.snapshot.overshoot
    assert overshoot is not None
    assert not found.snapshot.problems
    assert overshoot.lines == overshoot.dropped
    lines = sum(data in OVER[1:] for data in before.values())  # 0.1000001 is within
    assert overshoot.lines == lines
    sentence = (
        f"{lines} label lines reach up to 0.4 % beyond the image; Ultralytics accepts them, YOLOv5 drops the images"
    )
    document = scan_document(found.snapshot, found.reading, found.groups)
    assert document["labels"]["overshoot"]["lines"] == lines
    assert shown(scan_text(document)).count(sentence) == 1
    made = built(tmp_path, source, mode, negatives_per_positive="all")
    assert [warning for warning in made.planned.header.warnings if "beyond the image" in warning] == [f"{sentence}."]
    assert made.audit is not None
    assert check(made.audit, "labels").reason == sentence  # labels by content, nothing else
    audit = verify(str(tmp_path / "out"), VerifyOptions())
    assert audit.ok
    assert check(audit, "labels").reason == sentence
    assert {path: path.read_bytes() for path in before} == before
    if mode == "copy":
        foreign = verify(str(source), VerifyOptions(unsplit_as="train"))
        assert check(foreign, "labels").reason == sentence


def test_without_an_overshoot_nothing_is_said(tmp_path: Path) -> None:
    found = api.scan(str(dataset(tmp_path / "in", (BOX, b"0.0\t0.5 0.5 0.2 0.2 \r\n", BOX * 2))))
    assert found.snapshot.overshoot is None
    assert not found.snapshot.problems
    document = scan_document(found.snapshot, found.reading, found.groups)
    assert document["labels"]["overshoot"] is None
    assert "beyond the image" not in shown(scan_text(document))


# ---- keypoints ------------------------------------------------------------------------------------------------------

POSE = b"0 0.5 0.5 0.2 0.2 0.1 0.2 2 0.3 0.3 1\n"
SHAPE = "kpt_shape: [2, 3]\nflip_idx: [1, 0]\nchannels: 1\n"


@pytest.mark.parametrize("mode", ["copy", "symlink"])
def test_labels_with_keypoints_from_scan_to_audit(tmp_path: Path, mode: Mode) -> None:
    source = dataset(tmp_path / "in", (POSE,), SHAPE)
    made = built(tmp_path, source, mode)
    text = (tmp_path / "out/dataset.yaml").read_text()
    assert "\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\nchannels: 1\n" in text
    assert made.outcome.train_commands["yolov5"] is None
    audit = verify(str(tmp_path / "out"), VerifyOptions())
    assert audit.ok
    ultralytics = [load for load in audit.loads if load.trainer == "Ultralytics"]
    assert sum(load.labelled for load in ultralytics) > 0
    assert not any(load.dropped for load in ultralytics)
    foreign = verify(str(source), VerifyOptions(unsplit_as="train"))
    assert check(foreign, "labels").ok
    assert not any(load.dropped for load in foreign.loads if load.trainer == "Ultralytics")


def test_without_its_keypoints_a_line_says_how_many_columns_are_wanted(tmp_path: Path) -> None:
    found = api.scan(str(dataset(tmp_path / "in", (POSE, BOX), SHAPE)))
    messages = {problem.message for problem in found.snapshot.problems}
    assert messages == {"kpt_shape [2, 3] wants 11 columns (class, box, keypoints); the line has 5"}
    without = api.scan(str(dataset(tmp_path / "other", (POSE,))))
    assert {problem.kind for problem in without.snapshot.problems} == {"label-invalid"}


def test_a_page_draws_the_boxes_of_labels_with_keypoints(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    source = dataset(tmp_path / "in", (POSE,), SHAPE)
    assert as_plan(api.scan(str(source)).snapshot).header.yaml_keys["kpt_shape"] == [2, 3]
    made = built(tmp_path, source)
    run("report", tmp_path / "out", "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert made.audit is not None
    assert '<polygon class="edge" points="4.0,4.0 6.0,4.0 6.0,6.0 4.0,6.0">' in page


# ---- further keys ---------------------------------------------------------------------------------------------------


def test_further_keys_reach_the_output_and_an_audit_compares_them(tmp_path: Path) -> None:
    more = f"{SHAPE}fork: {{a: [1, yes, 'x']}}\ndownload: https://example.org/a.zip\n"
    source = dataset(tmp_path / "in", (POSE,), more)
    made = built(tmp_path, source)
    assert any("download (it fetches" in warning for warning in made.planned.header.warnings)
    place = tmp_path / "out/dataset.yaml"
    read = yaml.safe_load(place.read_text())
    assert read["fork"] == {"a": [1, True, "x"]}
    assert "download" not in read
    assert check(verify(str(tmp_path / "out"), VerifyOptions(quick=True)), "dataset-yaml").ok
    again = api.plan(str(tmp_path / "out"), output=str(tmp_path / "two"), plan_file=str(tmp_path / "p.json"))
    assert again.header.yaml_keys == made.planned.header.yaml_keys
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    relocate(str(moved))
    assert yaml.safe_load((moved / "dataset.yaml").read_text()) == {**read, "path": str(moved)}
    place = moved / "dataset.yaml"
    place.write_text(place.read_text().replace("channels: 1", "channels: 3"))
    changed = check(verify(str(moved), VerifyOptions(quick=True)), "dataset-yaml")
    assert changed.ok is False
    assert "channels" in changed.problems[0].message


def test_a_yaml_key_is_not_what_trainers_meet(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in", (BOX,), "download: https://example.org/a.zip\n")
    audit = verify(str(source), VerifyOptions(unsplit_as="train"))
    assert not any(problem.kind == "yaml-key" for each in audit.checks for problem in each.problems)
