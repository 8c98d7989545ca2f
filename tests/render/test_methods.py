"""The Markdown for a paper says what plan and audit hold, names nobody, and calls nothing clean that is unchecked."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from planbalance import api, tool_version
from planbalance.errors import UsageError
from planbalance.model import SPLITS
from planbalance.render.methods import MARK
from tests.builders import write, yolo_tree
from tests.cli.command import KNEES, knees, run, run_json
from tests.importing.raw_study import write_study
from tests.test_dicom import dicom_bytes

pytest.importorskip("jinja2")


def markdown(*words: object, code: int = 0) -> str:
    return run("report", *words, "--format", "md", "--output", "-", code=code).stdout


def planned(tmp_path: Path, *options: object, volumes: dict[str, str] | None = None, **settings: Any) -> Path:
    if not (tmp_path / "in").exists():
        yolo_tree(tmp_path / "in", volumes or KNEES, **settings)
    run("plan", tmp_path / "in", "--output", tmp_path / "out", *options, "--plan-file", tmp_path / "plan.json")
    return tmp_path / "plan.json"


def copied(plan: Path) -> str:
    """Return a second file of a plan, since one is not named twice."""
    return str(shutil.copy(plan, plan.with_name("copied.json")))


def section(text: str, name: str) -> str:
    """Return what stands below a heading."""
    found = re.search(rf"^## {re.escape(name)}\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables of a text; a `|` that is text has a backslash before it."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|") and "---" not in line
    ]


# ---- what it says ---------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_plan(tmp_path: Path) -> None:
    path = planned(tmp_path)
    statistics = api.open_plan(str(path)).header.statistics
    table = rows(section(markdown(path), "Numbers"))
    for split in SPLITS:
        (row,) = (one for one in table if one[0] == split)
        after, before = statistics["splits"][split], statistics["before"][split]
        assert row[3:7] == [str(n) for n in (before["total"], after["total"], after["positive"], after["negative"])]
    assert next(one for one in table if one[0] == "all")[1] == str(len(KNEES))
    assert next(one for one in table if one[0] == "tear")[1].startswith(
        f"{statistics['splits']['train']['positive']} /"
    )


def test_volumes_are_not_patients_and_that_is_said(tmp_path: Path) -> None:
    text = markdown(planned(tmp_path))
    level = section(text, "Level of the split")
    assert "The unit of the split was the volume" in level
    assert "Patients were not identified: whether two volumes are of one patient was not checked." in level
    assert "Each volume is taken for a patient of its own." in section(text, "What the splits can tell")


def test_patients_of_a_map_are_the_level_and_are_counted(tmp_path: Path) -> None:
    map_of = "".join(f"{volume},p{number // 2}\n" for number, volume in enumerate(KNEES))
    write(tmp_path / "map.csv", f"volume,group\n{map_of}".encode())
    text = markdown(planned(tmp_path, "--group-map", tmp_path / "map.csv"))
    assert "The unit of the split was the patient: all volumes of one patient are in one split." in text
    assert "a table of volumes and patients that the authors gave" in text
    assert "Patients were not identified" not in text
    table = rows(section(text, "Numbers"))
    assert table[0][1] == "Patients"
    assert next(row for row in table if row[0] == "all")[1:3] == ["6", "12"]
    assert "p0" not in text


@pytest.mark.parametrize(
    ("tag", "unit", "patients_known"),
    [("PatientID", "patient", True), ("StudyInstanceUID", "study", False), ("FrameOfReferenceUID", "frame", False)],
)
def test_a_study_is_not_called_a_patient(tmp_path: Path, tag: str, unit: str, patients_known: bool) -> None:
    pytest.importorskip("pydicom")
    for number, volume in enumerate(KNEES):
        for at in range(1, 4):
            data = dicom_bytes(f"DOE{number // 2}", study=f"1.2.{number // 2}", frame=f"1.3.{number // 2}")
            write(tmp_path / f"in/images/IM{at}-{volume}.dcm", data)
            label = b"0 0.5 0.5 0.1 0.1\n" if at == 1 and number % 3 == 0 else b""
            write(tmp_path / f"in/labels/IM{at}-{volume}.txt", label)
    text = markdown(planned(tmp_path, "--group-from", f"dicom:{tag}", "--group-key", tmp_path / "key"))
    level = section(text, "Level of the split")
    assert f"The unit of the split was the {unit}" in level
    assert f"{tag} of the DICOM headers (stored as a keyed hash)" in level
    assert ("Patients were not identified" in level) != patients_known
    assert "DOE" not in text


def test_single_images_are_said_to_be_the_level(tmp_path: Path) -> None:
    volumes = {f"scan{number}": "+" if number % 3 == 0 else "." for number in range(12)}
    path = planned(tmp_path, "--volume-pattern", "image", volumes=volumes, name="{volume}.png")
    level = section(markdown(path), "Level of the split")
    assert "The unit of the split was the single image" in level
    assert "Whether images are slices of one scan was not checked." in level


def test_what_was_left_out_fixed_and_chosen_is_said(tmp_path: Path) -> None:
    first = next(iter(KNEES))
    write(tmp_path / "fixed.csv", b"volume,split\n01-02-00003,test\n")
    options = ("--exclude", first, "--split-map", tmp_path / "fixed.csv", "--missing-label", "skip", "--seed", 7)
    text = markdown(planned(tmp_path, *options))
    assert "3 slices (1 whole volume) were excluded before the split; the reasons are not recorded." in text
    assert first not in text
    assert "The split of 1 volume was fixed by a table that the authors gave." in text
    assert "(seed 7)" in section(text, "Assignment")
    assert "(seed 7)" in section(text, "Undersampling")
    assert "Images without a label file were left out." in text
    assert f"planbalance {tool_version()}" in section(text, "Software")


def test_no_undersampling_is_not_called_undersampling(tmp_path: Path) -> None:
    text = markdown(planned(tmp_path, "--negatives-per-positive", "all"))
    assert "No slice was left out by undersampling" in section(text, "Undersampling")


def test_the_fixed_test_set_of_the_input_is_named(tmp_path: Path) -> None:
    split_of = {volume: "test" if number % 4 == 0 else "train" for number, volume in enumerate(KNEES)}
    text = markdown(planned(tmp_path, "--keep-split", "test", split_of=split_of))
    assert "The slices of test are those that the input already had there (a fixed split)." in text


def test_what_test_can_tell_has_the_numbers_of_the_plan(tmp_path: Path) -> None:
    path = planned(tmp_path)
    told = run_json("show", path)["sensitivity"]["test"]
    said = section(markdown(path), "What the splits can tell")
    assert f"Test has {told['units']} positive volume" in said
    assert f"may be off by up to {told['off']} points" in said


# ---- what was checked -----------------------------------------------------------------------------------------------


def test_of_a_plan_alone_nothing_is_called_checked(tmp_path: Path) -> None:
    checked = section(markdown(planned(tmp_path)), "What was checked")
    assert "no dataset was audited" in checked
    assert {row[1] for row in rows(checked)} == {"Result", "NOT CHECKED"}


@pytest.mark.parametrize("audit", ["quick", "full", "none"])
def test_each_check_of_the_audit_has_its_result(tmp_path: Path, audit: str) -> None:
    run("apply", planned(tmp_path))
    text = markdown(tmp_path / "out", "--audit", audit)
    checked = dict(rows(section(text, "What was checked")))
    assert checked["images that look alike in two splits"].startswith("NOT CHECKED")
    assert checked["patients in two splits"].startswith("NOT CHECKED")
    clean = checked["identical image files in two splits"] == "none found"
    assert clean == (audit == "full")
    if audit != "none":
        assert checked["volumes in two splits"] == "none found"
        assert checked["files"] == "ok"


def test_a_leak_is_told_with_its_share(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "theirs", KNEES, split_of={v: SPLITS[n % 3] for n, v in enumerate(KNEES)})
    shutil.copy(root / "images/train/IM1-01-02-00000.png", root / "images/test/IM9-01-02-00000.png")
    write(root / "labels/test/IM9-01-02-00000.txt", b"")
    text = markdown(root)
    checked = dict(rows(section(text, "What was checked")))
    assert checked["volumes in two splits"].startswith("FOUND: ")
    assert "of test slices share one with train" in checked["volumes in two splits"]
    assert checked["identical image files in two splits"].startswith("FOUND: ")
    assert "At which level, and how, is not recorded" in text
    assert "## Assignment" not in text
    assert "There is no plan" in section(text, "Software")
    assert run_json("report", root, "--format", "md", "--output", "-")["audit_ok"] is False


# ---- other subjects -------------------------------------------------------------------------------------------------


def test_folds_are_one_text_with_what_all_of_them_show(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    run("plan", tmp_path / "in", "--output", tmp_path / "out", "--folds", 3, "--plan-file", tmp_path / "p.json")
    plans = [tmp_path / f"p-fold{fold}.json" for fold in (1, 2, 3)]
    text = markdown(*plans)
    assert "Each of 12 volumes is in test of exactly one fold." in text
    assert "The folds were not audited: no file was read to check this." in text
    assert dict(rows(section(text, "What was checked")))["volumes in two splits"] == "NOT CHECKED"
    assert [line for line in text.splitlines() if line.startswith("### ")] == ["### Fold 1", "### Fold 2", "### Fold 3"]
    assert "are in test of a fold described here" in markdown(*plans[:2])
    run("apply", *plans, "--mode", "symlink")
    checked = dict(rows(section(markdown(tmp_path / "out"), "What was checked")))
    assert checked["fold 1"] == "ok"
    assert checked["test of the folds"] == "ok"
    assert checked["images that look alike in two splits"].startswith("NOT CHECKED")
    other = planned(tmp_path)
    assert "not folds of one plan" in run("report", *plans, other, "--format", "md", code=2).stderr


def test_an_import_is_told_as_what_it_is(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    options = ("--sources", study.toml, "--group-key", tmp_path / "key", "--plan-file", tmp_path / "import.json")
    run("import", *options, "--output", tmp_path / "out")
    text = markdown(tmp_path / "import.json")
    assert "not divided into splits yet" in text
    assert "Nothing was audited" in text
    run("apply", tmp_path / "import.json")
    built = markdown(tmp_path / "out", "--audit", "full")
    assert "| NOT CHECKED" in built or "| ok |" in built


def test_a_dataset_in_one_file_gives_the_text_of_the_folder(tmp_path: Path) -> None:
    path = planned(tmp_path)
    run("apply", path, "--mode", "tar", "--output", tmp_path / "one.tar")
    assert section(markdown(tmp_path / "one.tar"), "Numbers") == section(markdown(path), "Numbers")


def test_a_repair_is_told_as_a_repair(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "theirs", KNEES, split_of={v: SPLITS[n % 3] for n, v in enumerate(KNEES)})
    shutil.copy(root / "images/train/IM1-01-02-00000.png", root / "images/test/IM9-01-02-00000.png")
    write(root / "labels/test/IM9-01-02-00000.txt", b"")
    run("repair", root, "--output", tmp_path / "mended", "--plan-file", tmp_path / "repair.json")
    text = markdown(tmp_path / "repair.json")
    assert "An existing split that leaked was repaired: test stayed as it was;" in text
    assert "The repair undersampled no split." in text


# ---- the file -------------------------------------------------------------------------------------------------------


def test_the_same_plan_gives_the_same_text_on_every_machine(tmp_path: Path) -> None:
    path = planned(tmp_path)
    run("apply", path)
    for subject in (path, tmp_path / "out"):
        text = markdown(subject)
        assert text == markdown(subject)
        assert str(tmp_path) not in text
        assert "None" not in text


def test_nothing_in_a_name_is_markdown(tmp_path: Path) -> None:
    hostile = "a|b*c_d`e<b>f$g$h--i"
    path = planned(tmp_path, "--positive-class", "0", names=(hostile, "cyst"))
    text = markdown(path)
    assert hostile not in text
    for row in text.splitlines():
        if row.startswith("|"):
            assert len(re.split(r"(?<!\\)\|", row)) in {4, 6, 10}
    assert r"a\|b\*c\_d\`e\<b\>f\$g\$h\-\-i" in text


def test_a_parser_of_markdown_finds_tables_and_nothing_that_was_not_meant(tmp_path: Path) -> None:
    markdown_it = pytest.importorskip("markdown_it")  # rich brings it
    hostile = "a|b*c*d`e`<b>f</b>g_h_i[j](k)"
    run("apply", planned(tmp_path, "--positive-class", "0", names=(hostile, "cyst")))
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(markdown(tmp_path / "out", "--audit", "full"))
    assert sum(token.type == "table_open" for token in tokens) == 5
    inner = [child for token in tokens for child in token.children or ()]
    assert not {child.type for child in inner} & {"em_open", "strong_open", "html_inline", "link_open"}
    cells = ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]
    assert hostile in cells
    assert "\\" not in "".join(cells)


def test_the_file_is_replaced_only_where_planbalance_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = planned(tmp_path)
    monkeypatch.chdir(tmp_path)
    run("report", path, "--format", "md")
    assert (tmp_path / "report.md").read_text().startswith(MARK)
    made = run_json("report", path, "--output", "paper.md")
    assert made["bytes"] == (tmp_path / "paper.md").stat().st_size
    assert (tmp_path / "paper.md").read_text() == (tmp_path / "report.md").read_text()
    run("report", path, "--output", "paper.md")
    write(tmp_path / "thesis.md", b"# My thesis\n")
    assert "planbalance did not write it" in run("report", path, "--output", "thesis.md", code=2).stderr
    assert (tmp_path / "thesis.md").read_text() == "# My thesis\n"
    assert "inside the input" in run("report", path, "--output", "in/paper.md", code=2).stderr


def test_a_page_is_the_default_and_its_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    path = planned(tmp_path)
    monkeypatch.chdir(tmp_path)
    run("report", path)
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert "give one of the two" in run("report", path, "--html", "a.html", "--format", "md", code=2).stderr
    assert "written to a file" in run("report", path, "--output", "-", code=2).stderr
    assert "shows one plan, or several datasets" in run("report", path, copied(path), code=2).stderr


def test_json_holds_the_text_where_no_file_is_written(tmp_path: Path) -> None:
    path = planned(tmp_path)
    document = json.loads(run("report", path, "--format", "md", "--output", "-", "--json").stdout)
    assert (document["report"], document["audit_ok"], document["text"]) == (None, None, markdown(path))


def test_plans_of_other_volumes_are_no_folds(tmp_path: Path) -> None:
    path = planned(tmp_path)
    with pytest.raises(UsageError, match="not folds"):
        api.report_markdown([str(path), copied(path)])
