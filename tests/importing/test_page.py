"""What people see of an import: the page with boxes drawn, and what `show` prints."""

import csv
import io
import re
from pathlib import Path

import pytest

from planbalance import api
from planbalance.planstore import ImportPlan
from tests.cli.command import run, run_json
from tests.importing.raw_study import COLUMNS, ROWS, Study, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture(scope="module")
def plan(study: Study, tmp_path_factory: pytest.TempPathFactory) -> ImportPlan:
    folder = tmp_path_factory.mktemp("plan")
    made = api.import_dataset(output=str(folder / "out"), plan_file=str(folder / "i.json"), options=study.request())
    api.apply(made.path)
    return made.plan


def boxes_on(page: str) -> dict[str, list[str]]:
    """Return the outlines that are drawn, by what a screen reader says of the picture."""
    found = {}
    for figure in page.split("<figure>")[1:]:
        name = re.search(r'aria-label="([^"]*)"', figure)
        if name is not None:
            found[name[1].partition(":")[0]] = re.findall(r'class="edge" points="([^"]*)"', figure)
    return found


@pytest.mark.parametrize("built", [False, True])
def test_the_page_draws_boxes_where_the_labels_say(plan: ImportPlan, tmp_path: Path, built: bool) -> None:
    page = tmp_path / "page.html"
    run("report", plan.header.output if built else plan.path, "--html", page)
    drawn = boxes_on(page.read_text())
    left, top, right, bottom = 1, 2, 6, 8  # of file1, as it was annotated
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert drawn["file1, slice 2"] == [" ".join(f"{float(x):.1f},{float(y):.1f}" for x, y in corners)]
    assert drawn["knee1, slice 1"] == [] if "knee1, slice 1" in drawn else True
    assert f'viewBox="0 0 {COLUMNS} {ROWS}"' in page.read_text()
    assert ("Audit: no errors" in page.read_text()) == built


def test_the_page_holds_the_whole_ledger_of_fates(plan: ImportPlan, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run("report", plan.path, "--html", page)
    text = page.read_text()
    for fate, number in plan.header.fates.items():
        if number:
            assert re.search(rf'rowheader">{fate}</th><td role="cell" data-label="annotations">{number}<', text), fate
    assert "no image has this SOPInstanceUID" in text


def test_the_page_shows_labels_as_text(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    script = "<script>alert(1)</script>"
    (study.root / "knee.csv").write_text(
        "file,slice,study_level,x,y,width,height,label\n"
        f"file1,2,No,1,2,5,6,Meniscus Tear\nfile1,2,No,1,2,5,6,{script}\n"
    )
    made = api.import_dataset(output=str(tmp_path / "o"), plan_file=str(tmp_path / "i.json"), options=study.request())
    run("report", made.path, "--html", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert script not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src &#39;none&#39;" in text


def test_the_page_lies_in_no_input(study: Study, plan: ImportPlan) -> None:
    run("report", plan.path, "--html", study.root / "dicom" / "page.html", code=2)
    run("report", plan.path, "--html", f"{plan.header.output}/page.html", code=2)
    run("report", plan.path, "--html", "page.html", "--near-duplicates", code=2)


def test_an_audit_that_failed_is_the_first_thing_on_the_page(study: Study, tmp_path: Path) -> None:
    made = api.import_dataset(output=str(tmp_path / "o"), plan_file=str(tmp_path / "i.json"), options=study.request())
    api.apply(made.path)
    (tmp_path / "o" / "labels" / "IM2-knee0.txt").write_text("")
    run("report", tmp_path / "o", "--html", tmp_path / "page.html", "--audit", "full")
    assert "The audit found errors" in (tmp_path / "page.html").read_text()


def test_show_prints_what_import_printed(plan: ImportPlan) -> None:
    shown = run_json("show", plan.path)
    assert shown["digest"] == plan.header.digest
    assert shown["summary"]["annotations"] == 10
    assert "What happened to 10 annotations" in run("show", plan.path).stdout


def test_show_prints_one_volume(study: Study, plan: ImportPlan) -> None:
    shown = run_json("show", plan.path, "--volume", "knee0")
    assert [each["number"] for each in shown["slices"]] == [1, 2, 3, 4]
    labels = {each["name"]: each["label"] for each in shown["slices"]}
    assert labels["images/IM2-knee0.png"] == study.labels["IM2-knee0"].splitlines()
    run("show", plan.path, "--volume", "knee9", code=2)
    run("show", plan.path, "--slice", "IM1-knee0.png", code=2)


def test_show_prints_volumes_as_csv(study: Study, plan: ImportPlan) -> None:
    rows = list(csv.DictReader(io.StringIO(run("show", plan.path, "--csv").stdout)))
    assert {row["volume"] for row in rows} == study.volumes
    assert sum(int(row["positive"]) for row in rows) == sum(map(bool, study.labels.values()))
