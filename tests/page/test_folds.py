"""The page of several datasets: one table across them, what all show together, and the commands for them."""

import os
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.errors import UsageError
from tests.builders import mixed_volumes, write, yolo_tree
from tests.cli.command import run_json
from tests.page.test_html import Page

pytest.importorskip("jinja2")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = yolo_tree(tmp_path / "in", mixed_volumes(6, 12, smallest=3, largest=7), names=("tear", "cyst"))
    for number, label in enumerate(sorted(one for one in root.rglob("*.txt") if one.read_text())):
        label.write_text(label.read_text().replace("0 ", f"{number % 2} ", 1))
    return root


def built_folds(tmp_path: Path, source: Path, **options: Any) -> Path:
    made = api.plan_folds(
        str(source), output=str(tmp_path / "cv"), folds=3, plan_file=str(tmp_path / "p.json"), **options
    )
    for one in made:
        api.apply(one.path, mode="symlink")
    return tmp_path / "cv"


def test_a_row_for_each_fold_and_the_test_of_each_by_class_and_value(tmp_path: Path, source: Path) -> None:
    volumes = [one.id for one in api.scan(str(source)).volumes]
    rows = "".join(f"{one},p{index},{('Ulm', 'Graz')[index % 2]}\n" for index, one in enumerate(volumes))
    group_map = str(write(tmp_path / "map.csv", f"volume,group,site\n{rows}".encode()))
    folder = built_folds(tmp_path, source, group_map=group_map, stratify=("site",))
    document = run_json("report", folder, "--html", tmp_path / "page.html", "--audit", "full")
    assert (document["audit_ok"], document["dataset"], document["digest"]) == (True, str(folder), None)
    text = Page((tmp_path / "page.html").read_text()).text
    found = api.verify_folds(str(folder))
    assert text.count(found.summary) == 1
    for fold in found.folds:
        assert fold.audit is not None
        numbers = [(one.slices, one.positives) for one in fold.audit.counts]
        row = text[text.index(f"{fold.name} ✓ ok") :][:120].replace("\u00a0", " ")
        assert [f"{slices} {positives} " in row for slices, positives in numbers] == [True] * 3
    assert "Boxes of each class in test" in text
    assert "Values of --stratify: patients in test" in text
    assert "site Graz" in text
    assert "--folds 3" in " ".join(text.split())
    assert "--group-map GROUP_MAP.csv" in text


def test_positive_slices_of_labels_that_were_not_read_are_those_of_the_plans(tmp_path: Path, source: Path) -> None:
    folder = built_folds(tmp_path, source)
    api.report(str(folder), html=str(tmp_path / "page.html"))
    text = Page((tmp_path / "page.html").read_text()).text
    assert "Labels were not read: positive slices are those of the plans." in text
    for plan in sorted(tmp_path.glob("p-fold*.json")):
        test = api.open_plan(str(plan)).header.statistics["splits"]["test"]
        assert f" {test['total']} {test['positive']} " in text


def test_variants_with_two_tests_are_called_so_at_the_top(tmp_path: Path, source: Path) -> None:
    for seed in (1, 2):
        api.build(str(source), output=str(tmp_path / f"all/v{seed}"), split_seed=seed, sample_seed=1, mode="symlink")
    document = run_json("report", tmp_path / "all", "--html", tmp_path / "page.html")
    assert document["audit_ok"] is False
    text = Page((tmp_path / "page.html").read_text()).text
    assert text.index("The audit found errors.") < text.index("Plan all variants with one --split-seed")
    assert text.count("its test has also") == 1


def test_what_a_page_of_several_cannot_show_is_said(tmp_path: Path, source: Path) -> None:
    folder = built_folds(tmp_path, source)
    several = [str(folder), str(tmp_path / "p-fold1.json")]
    for subject, audit in ((str(folder), "none"), (several, "quick")):
        with pytest.raises(UsageError) as refused:
            api.report(subject, html=str(tmp_path / "page.html"), audit=audit)
        assert refused.value.kind == "report-several"
    with pytest.raises(UsageError):
        api.report(str(folder), html=str(folder / "fold1/page.html"))
    assert not os.path.lexists(tmp_path / "page.html")
