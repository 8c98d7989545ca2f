"""How names were read: the first thing that is said, and its warnings once more at the end, beside the verdict."""

from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.model import Audit, Check, Problem, SlicesPerVolume
from planbalance.render.naming import reading_document, reading_of_header, reading_text, unit_text
from planbalance.render.statement import statement
from planbalance.render.verify import verify_document, verify_markdown, verify_text
from tests.builders import write, yolo_tree
from tests.render.test_table import printed

NAMING: dict[str, Any] = {
    "rule": "regex",
    "pattern": "(?P<volume>[a-z]+)_(?P<slice>[0-9]+)",
    "examples": ["a_1.png is slice 1 of volume a", "b_1.png is slice 1 of volume b"],
    "warnings": ["These names may tell channels apart, not volumes."],
    "notes": ["Two channels are read as one volume."],
}
GAP = "test holds no positive slice: no detector can be measured on it."
CHECKS = (
    Check("volume-overlap", ok=True, reason="", count=2, problems=()),
    Check("counts", ok=True, reason="", count=5, problems=(Problem("counts", "warning", "images/test", GAP),)),
)
AUDIT = Audit(
    ok=True,
    summary="No slice of test shares a volume with train.",
    checks=CHECKS,
    leaks=(),
    naming=NAMING,
    slices_per_volume=SlicesPerVolume(1, 2.5, 4, 2, 1),
    groups=2,
    warnings=(*NAMING["warnings"], GAP),
)


@pytest.mark.parametrize(
    ("slices", "found"),
    [
        ([3, 1, 2], SlicesPerVolume(1, 2, 3, 3, 1)),
        ([1, 4], SlicesPerVolume(1, 2.5, 4, 2, 1)),
        ([2, 4, 4, 6], SlicesPerVolume(2, 4, 6, 4, 0)),
        ([0, 7, 0], SlicesPerVolume(7, 7, 7, 1, 0)),
        ([], None),
        ([0], None),
    ],
)
def test_slices_per_volume(slices: list[int], found: SlicesPerVolume | None) -> None:
    assert SlicesPerVolume.of(slices) == found


def test_a_median_that_is_whole_is_a_whole_number() -> None:
    """JSON shows 4, not 4.0."""
    found = SlicesPerVolume.of([3, 5])
    assert found is not None
    assert repr(found.median) == "4"


@pytest.mark.parametrize(
    ("by", "unit"),
    [
        ("volume", "volume (patients NOT checked: no --group-map)"),
        ("patient", "patient, as the names show: 7 in all"),
        ("map", "patient, as the group map says: 7 in all"),
        ("dicom", "patient, as the DICOM headers say: 7 in all"),
        ("slice-map", "patient, as the slice map says: 7 in all"),
    ],
)
def test_the_unit_and_where_patients_come_from(by: str, unit: str) -> None:
    document = reading_document(NAMING, None, grouped_by=by, groups=7)
    assert f"Unit    {unit}" in [row for one in reading_text(document) for row in printed(one, 100)]


def test_volumes_that_identical_images_tie_are_no_patients(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", {f"v{number}": "+." for number in range(8)})
    for number in (1, 2):
        write(source / f"images/train/IM1-v{number}.png", b"the same")
    places: dict[str, Any] = {"output": str(tmp_path / "out"), "plan_file": str(tmp_path / "plan.json")}
    tied = reading_of_header(api.plan(str(source), **places, hash_images=True).header)
    assert (tied["unit"], tied["groups"]) == ("volume", 7)
    together = "volume (patients NOT checked: no --group-map); volumes that share identical images stay together"
    assert unit_text(tied) == together
    assert unit_text(reading_of_header(api.plan(str(source), **places).header)) == together.partition(";")[0]


@pytest.mark.parametrize("width", [60, 100, 140])
def test_the_audit_begins_with_the_names_and_ends_with_their_warnings_and_the_verdict(width: int) -> None:
    rows = printed(verify_text(verify_document(AUDIT)), width)
    text = " ".join(" ".join(rows).split())
    assert rows[0] == f"Names   read by the rule regex {NAMING['pattern']}"
    assert text.index("is slice 1 of volume a") < text.index("Unit volume") < text.index("No slice of test shares")
    assert "minimum 1, median 2.5, maximum 4; 1 with one slice" in text
    assert text.count(NAMING["warnings"][0]) == 2
    assert text.count(NAMING["notes"][0]) == 1
    verdict = text[text.rindex("! These names may") :]
    assert verdict == f"! {AUDIT.warnings[0]} ! {AUDIT.warnings[1]} OK {AUDIT.summary}"


def test_the_markdown_too() -> None:
    facts = statement(AUDIT, dataset="/data/set", tool="planbalance 1.2.3")
    text = verify_markdown(verify_document(AUDIT), facts).replace("\\", "")
    assert text.index("* Names: read by the rule regex") < text.index("* Unit: volume") < text.index("> No slice of")
    assert "* Volumes: 2; slices per volume: minimum 1, median 2.5, maximum 4; 1 with one slice" in text
    assert text.count(NAMING["warnings"][0]) == 2
    assert text.index("Result: **ok**") < text.index("* Warning: These names may") < text.index("* Dataset")


def test_a_shard_has_no_reading_of_its_own() -> None:
    document = verify_document(Audit(ok=True, summary="", checks=(), leaks=()))
    assert (document["naming"], document["slices_per_volume"], document["warnings"]) == (None, None, [])
