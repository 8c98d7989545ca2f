"""An audit of an import finds every kind of damage, in every mode, and nothing where there is none."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from planbalance import api
from tests.cli.command import run, run_json
from tests.importing.raw_study import Study, write_study

Damage = Callable[[Path], None]
MODES = ("copy", "hardlink", "symlink")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture(scope="module")
def sets(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return an import of the study, by mode."""
    folder = tmp_path_factory.mktemp("sets")
    made = api.import_dataset(output=str(folder / "out"), plan_file=str(folder / "i.json"), options=study.request())
    for mode in MODES:
        run("apply", made.path, "--mode", mode, "--output", folder / mode)
    return {mode: folder / mode for mode in MODES}


def anew(path: Path, data: bytes) -> None:
    """Write a file in the place of another one: what it was linked to stays as it is."""
    path.unlink()
    path.write_bytes(data)


def pixel_changed(root: Path) -> None:
    path = root / "images/IM2-knee0.png"
    picture = Image.open(path)
    picture.putpixel((4, 4), (picture.getpixel((4, 4)) + 1) % 256)  # type: ignore[operator]  # of a grey picture
    file = io.BytesIO()
    picture.save(file, "PNG")
    anew(path, file.getvalue())


def flipped(root: Path) -> None:
    path = root / "images/IM2-file1.png"
    file = io.BytesIO()
    Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(file, "PNG")
    anew(path, file.getvalue())


def cut_off(root: Path) -> None:
    path = root / "images/IM1-knee1.png"
    anew(path, path.read_bytes()[:-20])


def no_picture(root: Path) -> None:
    anew(root / "images/IM1-knee1.png", b"no picture")


def other_size(root: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (3, 3)).save(file, "PNG")
    anew(root / "images/IM1-knee1.png", file.getvalue())


def picture_replaced(root: Path) -> None:
    other = (root / "images/IM1-ankle2.png").read_bytes()
    anew(root / "images/IM0-ankle1.png", other)


def slices_swapped(root: Path) -> None:
    one, other = root / "images/IM2-knee0.png", root / "images/IM3-knee0.png"
    os.rename(one, root / "x")
    os.rename(other, one)
    os.rename(root / "x", other)


def picture_missing(root: Path) -> None:
    (root / "images/IM0-ankle2.png").unlink()


def label_missing(root: Path) -> None:
    (root / "labels/IM2-knee0.txt").unlink()


def label_emptied(root: Path) -> None:
    (root / "labels/IM2-knee0.txt").write_text("")


def label_shifted(root: Path) -> None:
    path = root / "labels/IM2-knee0.txt"
    path.write_text(path.read_text().replace("0.3", "0.4", 1))


def label_added(root: Path) -> None:
    (root / "labels/IM1-knee0.txt").write_text("0 0.500000 0.500000 0.100000 0.100000\n")


def labels_swapped(root: Path) -> None:
    one, other = root / "labels/IM2-knee0.txt", root / "labels/IM3-knee0.txt"
    one_text, other_text = one.read_text(), other.read_text()
    one.write_text(other_text)
    other.write_text(one_text)


def label_is_a_link(root: Path) -> None:
    path = root / "labels/IM2-knee0.txt"
    os.rename(path, root.parent / f"elsewhere-{root.name}.txt")
    path.symlink_to(root.parent / f"elsewhere-{root.name}.txt")


def file_added(root: Path) -> None:
    (root / "images/IM99-knee0.png").write_bytes(b"")


def file_added_elsewhere(root: Path) -> None:
    (root / "extra").mkdir()
    (root / "extra/x.txt").write_text("x")


def fate_changed(root: Path) -> None:
    path = root / "import_ledger.csv"
    path.write_text(path.read_text().replace("no-image", "used", 1))


def annotation_removed(root: Path) -> None:
    path = root / "import_ledger.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def ledger_missing(root: Path) -> None:
    (root / "import_ledger.csv").unlink()


def names_changed(root: Path) -> None:
    path = root / "dataset.yaml"
    path.write_text(path.read_text().replace("tear", "bruise"))


def group_changed(root: Path) -> None:
    path = root / "groups.csv"
    path.write_text(path.read_text().replace("knee0,group-", "knee0,other-"))


def report_changed(root: Path) -> None:
    path = root / "import_report.json"
    path.write_text(path.read_text().replace('"used": 5', '"used": 9', 1))


def plan_damaged(root: Path) -> None:
    path = root / ".planbalance/plan.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[Damage, str] = {
    pixel_changed: "pixels",
    flipped: "pixels",
    cut_off: "pixels",
    no_picture: "pixels",
    other_size: "pixels",
    slices_swapped: "pixels",
    picture_missing: "files",
    label_missing: "files",
    label_emptied: "labels",
    label_shifted: "labels",
    label_added: "labels",
    labels_swapped: "labels",
    label_is_a_link: "files",
    file_added: "files",
    file_added_elsewhere: "files",
    fate_changed: "ledger",
    annotation_removed: "ledger",
    ledger_missing: "ledger",
    names_changed: "documents",
    group_changed: "documents",
    report_changed: "documents",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found(sets: dict[str, Path], tmp_path: Path, damage: Damage, mode: str) -> None:
    root = tmp_path / "set"
    shutil.copytree(sets[mode], root, symlinks=True)
    damage(root)
    found = run_json("verify", root, code=6)
    failed = {check["name"] for check in found["checks"] if check["ok"] is False}
    assert failed - {"manifest"} == {DAMAGES[damage]}
    assert f"{DAMAGES[damage]}" in found["summary"]


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_that_was_replaced_is_found(sets: dict[str, Path], tmp_path: Path, mode: str) -> None:
    root = tmp_path / "set"
    shutil.copytree(sets[mode], root, symlinks=True)
    picture_replaced(root)
    found = run_json("verify", root, code=6)
    failed = {check["name"] for check in found["checks"] if check["ok"] is False}
    assert failed - {"manifest"} == ({"files"} if mode == "symlink" else {"pixels"})


def test_a_damaged_plan_is_exit_4(sets: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(sets["copy"], tmp_path / "set")
    plan_damaged(tmp_path / "set")
    run("verify", tmp_path / "set", code=4)
    run("verify", tmp_path / "set", "--plan", sets["copy"] / ".planbalance/plan.json", code=6)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_found_where_nothing_is_wrong(sets: dict[str, Path], tmp_path: Path, mode: str) -> None:
    root = tmp_path / "moved"
    shutil.copytree(sets[mode], root, symlinks=True)
    (root / "labels" / "labels.cache").write_bytes(b"")  # as trainers write
    found = run_json("verify", root)
    assert {check["ok"] for check in found["checks"]} == ({True} if mode == "copy" else {True, None})


def test_the_same_pixels_in_another_file_are_found_by_the_manifest_alone(sets: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(sets["copy"], tmp_path / "set")
    path = tmp_path / "set/images/IM2-knee0.png"
    Image.open(path).save(path, "PNG", compress_level=0)
    found = run_json("verify", tmp_path / "set", code=6)
    assert [check["name"] for check in found["checks"] if check["ok"] is False] == ["manifest"]


def test_quick_reads_no_picture_and_says_so(sets: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(sets["copy"], tmp_path / "set")
    pixel_changed(tmp_path / "set")
    found = run_json("verify", tmp_path / "set", "--quick")
    assert {check["name"] for check in found["checks"] if check["ok"] is None} == {"pixels", "labels"}
    assert "neither pictures nor labels were read" in found["summary"]


def test_annotations_that_changed_since_are_a_warning(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    made = api.import_dataset(output=str(tmp_path / "o"), plan_file=str(tmp_path / "i.json"), options=study.request())
    api.apply(made.path)
    with open(study.root / "knee.csv", "a") as file:
        file.write("file1,3,No,1,2,5,6,Meniscus Tear\n")
    found = run_json("verify", tmp_path / "o")
    (sources,) = (check for check in found["checks"] if check["name"] == "sources")
    assert [problem["path"] for problem in sources["problems"]] == [str(study.root / "knee.csv")]


def test_an_import_is_built_where_its_sources_are_now(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    made = api.import_dataset(output=str(tmp_path / "o"), plan_file=str(tmp_path / "i.json"), options=study.request())
    os.rename(study.root, tmp_path / "moved")
    failed = run_json("apply", made.path, code=4)
    assert failed["error"]["kind"] == "plan-stale"
    run("apply", made.path, "--restart", "--map-input", f"{study.root}={tmp_path / 'moved'}")
    assert run_json("verify", tmp_path / "o")["ok"]


# ---- the report -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".html", ".md"])
def test_an_audit_writes_its_report(sets: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    report = tmp_path / f"audit{suffix}"
    run("verify", sets["copy"], "--report", report)
    assert "all of it is as planned" in report.read_text()
    damaged = tmp_path / "damaged"
    shutil.copytree(sets["copy"], damaged)
    slices_swapped(damaged)
    run("verify", damaged, "--report", report, code=6)
    assert "all of it is as planned" not in report.read_text()


def test_the_report_lies_neither_in_the_import_nor_in_its_sources(
    study: Study, sets: dict[str, Path], tmp_path: Path
) -> None:
    for folder in (sets["copy"], study.root / "dicom"):
        for suffix in (".html", ".md"):
            run("verify", sets["copy"], "--report", folder / f"audit{suffix}", code=2)
    run("verify", sets["copy"], "--report", tmp_path / "audit.txt", code=2)
    run("verify", sets["copy"], "--report", tmp_path / "nowhere/audit.md", code=2)


@pytest.mark.parametrize("words", [("--shard", "1/2"), ("--near-duplicates",), ("--group-map", "g.csv")])
def test_an_option_of_a_split_is_refused_with_what_to_do(sets: dict[str, Path], words: tuple[str, ...]) -> None:
    failed = run_json("verify", sets["copy"], *words, code=2)
    assert failed["error"]["hint"]
