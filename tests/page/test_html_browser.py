"""The page in a real Chromium: clicked, sorted, searched, printed; silent on the console and the network; WCAG AA."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from planbalance import api
from planbalance.model import SPLITS, Audit, Check, LookAlike, PairPicture, Problem
from planbalance.page.html import PageOptions, write_page
from planbalance.planstore import PlanFile
from tests.browser import browsed, needs_browser
from tests.builders import mixed_volumes, yolo_tree
from tests.fastmri import needs_annotations
from tests.page.made import fastmri_plan, saved_plan, seed_shaped_plan

pytest.importorskip("jinja2")

DRIVER = Path(__file__).with_name("browse.cjs")

pytestmark = list(needs_browser)


@pytest.fixture(scope="module")
def knees(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlanFile, dict[str, Any]]:
    """A plan of 150 volumes with groups, pictures and an audit that found something."""
    tmp_path = tmp_path_factory.mktemp("knees")
    source = yolo_tree(tmp_path / "in", mixed_volumes(40, 110), names=("Meniscus <Tear>",))
    drawn = _draw_some(source)
    plan = saved_plan(tmp_path, source, gap=1)
    page = tmp_path / "page.html"
    write_page(str(page), plan, PageOptions(audit=AUDIT._replace(look_alikes=_alike(drawn)), samples=2))
    return plan, browsed(DRIVER, page, "knees", tmp_path, windows="light,dark,phone")


AUDIT = Audit(
    ok=False,
    summary="12.3 % of test slices share a volume with train; not checked: patients.",
    checks=(
        Check("volumes", False, "", 150, (Problem("volume-overlap", "error", "images/test/a.png", "also in train"),)),
        Check("patients", None, "no map was given", 0, ()),
        Check("labels", True, "", 940, (Problem("label-missing", "warning", "labels/test/a.txt", "is missing"),)),
    ),
    leaks=({"kind": "volume", "splits": "train/test", "slices": 12, "share": 0.123},),
)


def _draw_some(source: Path) -> list[Path]:
    paths = sorted((source / "images/train").iterdir())
    for path in paths:
        Image.new("L", (48, 32), 60).save(path)
    return paths


def _alike(images: list[Path]) -> tuple[LookAlike, ...]:
    looks = [
        PairPicture(split, f"images/{split}/{path.name}", str(path))
        for split, path in zip(SPLITS, images, strict=False)
    ]
    gone = PairPicture("test", "images/test/gone.png", "/nowhere/gone.png")
    return LookAlike(looks[0], looks[1], 0.9987, "correlation"), LookAlike(looks[1], gone, 0.97)


def test_nothing_on_the_console_and_nothing_from_the_network(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    assert knees[1]["messages"] == []
    assert knees[1]["requests"] == []


def test_no_accessibility_violation_in_any_window(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    assert knees[1]["violations"] == {"light": [], "dark": [], "phone": []}


def test_nothing_is_wider_than_the_window(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    assert knees[1]["overflow"] == {"light": 0, "dark": 0, "phone": 0}


def test_what_is_hidden_is_not_seen(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    assert knees[1]["hiddenShown"] == {"light": 0, "dark": 0, "phone": 0}


def test_screenshots_and_print_were_made(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    assert [Path(shot).name for shot in knees[1]["shots"]] == ["light.png", "print.pdf", "dark.png", "phone.png"]
    assert all(os.path.getsize(shot) > 20_000 for shot in knees[1]["shots"])


def test_volumes_are_shown_a_hundred_at_first_then_all_in_order(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    plan, seen = knees
    assert (seen["first"]["status"], seen["first"]["rows"]) == ("100 shown, 150 volumes", 100)
    assert seen["all"]["status"] == "150 volumes"
    assert seen["all"]["ids"] == sorted(volume.id for volume in plan.header.volumes)
    assert seen["all"]["sorted"] == [["volume", "ascending"]]


def test_paper_shows_every_volume_with_its_strip_and_the_window_is_then_as_it_was(
    knees: tuple[PlanFile, dict[str, Any]],
) -> None:
    paper = knees[1]["paper"]
    assert paper["on"] == {"rows": 150, "strips": 150, "status": "150 volumes"}
    assert (paper["after"]["rows"], paper["after"]["status"]) == (100, "100 shown, 150 volumes")


def test_the_sheets_of_paper_name_every_volume(knees: tuple[PlanFile, dict[str, Any]], tmp_path: Path) -> None:
    plan, seen = knees
    read = shutil.which("pdftotext")
    if read is None:
        pytest.skip("there is no pdftotext here")
    paper = next(shot for shot in seen["shots"] if shot.endswith(".pdf"))
    text = subprocess.run([read, "-layout", paper, "-"], capture_output=True, text=True, check=True).stdout
    assert [volume.id for volume in plan.header.volumes if volume.id not in text] == []


def test_a_click_sorts_and_another_one_reverses_the_order(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    plan, seen = knees
    slices = sorted(volume.slices for volume in plan.header.volumes)
    assert list(map(int, seen["bySlices"]["values"])) == slices[::-1]
    assert seen["bySlices"]["sorted"] == [["slices", "descending"]]
    assert list(map(int, seen["bySlicesAgain"]["values"])) == slices
    assert seen["bySlicesAgain"]["sorted"] == [["slices", "ascending"]]
    assert seen["bySlicesAgain"]["focus"] == "slices", "sorting by keyboard keeps the focus"
    assert list(map(int, seen["phone"])) == sorted((v.positives for v in plan.header.volumes), reverse=True)[:100]


def test_the_search_finds_a_volume_whatever_its_case(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    seen = knees[1]
    assert seen["search"] == {"ids": [seen["all"]["ids"][3]], "status": "1 found of 150 volumes"}
    assert seen["nothing"] == "0 found of 150 volumes"


def test_filters_leave_what_they_say(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    plan, seen = knees
    assert set(seen["onlyVal"]) == {"val"}
    assert len(seen["onlyVal"]) == plan.header.volume_statistics["val_volumes"]
    assert min(map(int, seen["positiveOnly"])) > 0
    assert len(seen["positiveOnly"]) == 40


def test_a_volume_opens_and_closes_by_keyboard(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    plan, seen = knees
    assert seen["detail"]["open"] == "true"
    assert "slice 1" in seen["detail"]["text"]
    assert "positive" in seen["detail"]["text"]
    assert seen["closed"] == {"open": "false", "rows": 0}
    smallest = min(volume.slices for volume in plan.header.volumes if volume.positives)
    assert seen["ownScale"] == f"0 0 {smallest} 18"


def test_the_theme_switches_and_changes_the_colours(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    themes = knees[1]["themes"]
    assert [name for name, _ in themes] == ["system", "light", "dark", "system"]
    assert themes[0][1] == themes[1][1] == themes[3][1] != themes[2][1]


def test_the_keyboard_skips_to_the_content_and_copies_a_command(knees: tuple[PlanFile, dict[str, Any]]) -> None:
    seen = knees[1]
    assert seen["skip"] == ["Skip to the content", True]
    assert seen["skipped"] == "content"
    assert seen["copied"] in {"Copied.", "Selected: copy it with the keyboard."}


def test_a_dataset_of_another_tool_in_a_browser(tmp_path: Path) -> None:
    letters = mixed_volumes(9, 21, smallest=3, largest=9)
    splits = {volume: SPLITS[index % 3] for index, volume in enumerate(letters)}
    source = yolo_tree(tmp_path / "in", letters, split_of=splits)
    made = api.report(str(source), html=str(tmp_path / "page.html"))
    assert made.audit is not None
    seen = browsed(DRIVER, Path(made.path), "as-found", tmp_path, purpose="look")
    assert (seen["messages"], seen["violations"], seen["overflow"]) == ([], {"light": []}, {"light": 0})


def test_a_dataset_that_leaks_in_a_browser(tmp_path: Path) -> None:
    """A common fault: slices were split at random, so that nearly every volume is everywhere."""
    letters = mixed_volumes(40, 80, smallest=4, largest=12)
    for offset, split in enumerate(SPLITS):
        parts = {
            volume: "".join(one if (at + offset) % 3 == 0 else " " for at, one in enumerate(word))
            for volume, word in letters.items()
        }
        yolo_tree(tmp_path / "in", parts, images=f"images/{split}", names=None)
    made = api.report(str(tmp_path / "in"), html=str(tmp_path / "page.html"))
    assert made.audit is not None
    assert not made.audit.ok
    seen = browsed(DRIVER, Path(made.path), "leaks", tmp_path, windows="light,phone", purpose="look")
    assert (seen["messages"], seen["violations"]) == ([], {"light": [], "phone": []})
    assert seen["overflow"] == {"light": 0, "phone": 0}


def test_the_page_of_folds_in_a_browser(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", mixed_volumes(9, 21, smallest=3, largest=9))
    planned = api.plan_folds(str(source), output=str(tmp_path / "cv"), folds=3, plan_file=str(tmp_path / "p.json"))
    for one in planned:
        api.apply(one.path, mode="symlink")
    made = api.report(str(tmp_path / "cv"), html=str(tmp_path / "page.html"))
    assert made.audit_ok
    seen = browsed(DRIVER, Path(made.path), "folds", tmp_path, windows="light,dark,phone", purpose="look")
    none: dict[str, list[str]] = {"light": [], "dark": [], "phone": []}
    assert (seen["messages"], seen["requests"], seen["violations"]) == ([], [], none)
    assert seen["overflow"] == {"light": 0, "dark": 0, "phone": 0}


ODD = ("MR-sagittal-proton-density-fat-suppressed_" * 3, "רכב-", "膝关节 ", "الركبة-", "é̂", "only_")


def test_long_names_and_those_of_other_scripts_fit_a_phone(tmp_path: Path) -> None:
    words = mixed_volumes(5, 13, smallest=3, largest=9).values()
    letters = {f"{ODD[index % len(ODD)]}{index:03d}": word for index, word in enumerate(words)}
    source = yolo_tree(tmp_path / "in", letters, names=("تمزق الغضروف " * 6,))
    page = tmp_path / "page.html"
    write_page(str(page), saved_plan(tmp_path, source))
    seen = browsed(DRIVER, page, "odd-names", tmp_path, windows="phone", purpose="look")
    assert (seen["messages"], seen["violations"], seen["overflow"]) == ([], {"phone": []}, {"phone": 0})
    assert seen["hiddenShown"] == {"phone": 0}, "eighteen volumes need no button for more"


@pytest.mark.full_size
def test_the_guides_dataset_in_a_browser(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    seen = looked_at(PlanFile.of(seed_shaped_plan()), "seed-shaped", tmp_path)
    record_property("load", seen["load"])
    assert seen["all"]["status"] == "550 volumes"


@needs_annotations
@pytest.mark.full_size
def test_the_knees_of_the_real_annotations_in_a_browser(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = PlanFile.of(fastmri_plan(tmp_path / "knees"))
    seen = looked_at(plan, "fastmri-plus", tmp_path)
    shutil.rmtree(tmp_path / "knees")  # many small files: pytest would look at each
    record_property("load", seen["load"])
    assert seen["all"]["status"] == "1,172 volumes"


def looked_at(plan: PlanFile, name: str, tmp_path: Path) -> dict[str, Any]:
    """Write the page of a plan, use it in a browser, and find nothing wrong with it."""
    page = tmp_path / "page.html"
    written = write_page(str(page), plan)
    assert written.bytes < 8_000_000
    seen = browsed(DRIVER, page, name, tmp_path)
    assert (seen["messages"], seen["requests"]) == ([], [])
    assert (seen["violations"], seen["overflow"]) == ({"light": []}, {"light": 0})
    assert list(map(int, seen["bySlices"]["values"])) == sorted((v.slices for v in plan.header.volumes), reverse=True)
    assert seen["search"]["ids"] == [seen["all"]["ids"][3]]
    return seen
