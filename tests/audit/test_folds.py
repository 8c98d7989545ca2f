"""Folds audited together: a whole set is clean, and each way of damaging it is found."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.audit.fold_checks import FoldContent, FoldFacts, checks_across, facts_of
from planbalance.model import Check, FoldsAudit, Split
from tests.builders import mixed_volumes, yolo_tree
from tests.plans import draft, small_operations


def build(here: Path, output: str, **words: Any) -> None:
    """Plan folds of the dataset `in` below a folder, and build them with links."""
    several = api.plan_folds(
        str(here / "in"), output=str(here / output), folds=3, plan_file=str(here / f"{output}.json"), **words
    )
    for one in several:
        api.apply(one.path, mode="symlink")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    yolo_tree(tmp_path / "in", mixed_volumes(6, 9, smallest=3, largest=5))
    build(tmp_path, "cv")
    return tmp_path


def of_another_seed(here: Path) -> None:
    build(here, "other", seed=7)
    shutil.rmtree(here / "cv/fold2")
    (here / "other/fold2").rename(here / "cv/fold2")


def missing(here: Path) -> None:
    shutil.rmtree(here / "cv/fold2")


def twice(here: Path) -> None:
    shutil.copytree(here / "cv/fold1", here / "cv/fold1-copy", symlinks=True)


def of_four(here: Path) -> None:
    shutil.rmtree(here / "cv/fold3")
    one = api.plan_folds(str(here / "in"), output=str(here / "four"), folds=4, plan_file=str(here / "four.json"))[2]
    api.apply(one.path, mode="symlink")
    (here / "four/fold3").rename(here / "cv/fold3")


def of_no_folds(here: Path) -> None:
    api.plan(str(here / "in"), output=str(here / "cv/plain"), plan_file=str(here / "plain.json"))
    api.apply(str(here / "plain.json"), mode="symlink")


def of_other_data(here: Path) -> None:
    yolo_tree(here / "in", {"99-99-00001": "..+.", "99-99-00002": "...."})
    build(here, "other")
    shutil.rmtree(here / "cv/fold2")
    (here / "other/fold2").rename(here / "cv/fold2")


def without_plans(here: Path) -> None:
    for fold in (here / "cv").iterdir():
        shutil.rmtree(fold / ".planbalance")


def one_without_plan(here: Path) -> None:
    shutil.rmtree(here / "cv/fold2/.planbalance")


def of_another_seed_without_plans(here: Path) -> None:
    of_another_seed(here)
    without_plans(here)


@pytest.mark.parametrize(
    ("damage", "failed", "unchecked", "says"),
    [
        (lambda _: None, "", "", ""),
        (missing, "present test-once", "", "fold 2 of 3 is not there"),
        (twice, "present test-once", "", "it is fold 1 of 3, and so is"),
        (of_another_seed, "same-options test-once", "", "split_seed is 7, and of the others 42"),
        (of_four, "present test-once", "", "it is one of 4 folds, and the others are one of 3 folds"),
        (of_no_folds, "present test-once", "", "its plan is of no fold"),
        (of_other_data, "same-volumes test-once same-options", "", "it has 2 volumes that the others lack"),
        (one_without_plan, "", "present", "without a plan may be fold 2"),
        (
            without_plans,
            "",
            "present same-options same-volumes",
            "no plan in these datasets says that it is a fold; --against",
        ),
        (of_another_seed_without_plans, "test-once", "present same-options same-volumes", "in test of no fold"),
    ],
)
def test_each_damage_is_found(
    here: Path, damage: Callable[[Path], None], failed: str, unchecked: str, says: str
) -> None:
    damage(here)
    found = api.verify_folds(str(here / "cv"))
    assert named(found, ok=False) - {"folds-same-options"} == wanted(failed) - {"folds-same-options"}
    if "same-options" in failed and damage is of_another_seed:
        assert "folds-same-options" in named(found, ok=False)
    assert named(found, ok=None) == wanted(unchecked)
    assert found.ok == (not failed)
    texts = [check.reason for check in found.checks] + [
        problem.message for check in found.checks for problem in check.problems
    ]
    assert any(says in text for text in texts)


def named(found: FoldsAudit, *, ok: bool | None) -> set[str]:
    return {check.name for check in found.checks if check.ok is ok}


def wanted(names: str) -> set[str]:
    return {f"folds-{name}" for name in names.split()}


def test_a_patient_of_a_map_who_is_tested_twice_is_found(here: Path) -> None:
    volumes = [volume.id for volume in api.scan(str(here / "in")).volumes]
    plan = api.open_plan(str(here / "cv-fold1.json")).header
    test_of_1 = next(volume.id for volume in plan.volumes if volume.split == "test")
    others = {volume.id for volume in plan.volumes if volume.split != "test"}
    twin = min(others)
    rows = "".join(f"{volume},{'p' if volume in (test_of_1, twin) else volume}\n" for volume in volumes)
    (here / "map.csv").write_text(f"volume,group\n{rows}")
    found = api.verify_folds(str(here / "cv"), group_map=str(here / "map.csv"))
    assert named(found, ok=False) == {"folds-test-once"}
    assert not found.ok


# ---- the checks alone -----------------------------------------------------------------------------------------------


def content(number: int, test: str, *, repeat: int = 1, repeats: int = 1, groups: str = "abcd") -> FoldContent:
    """Return a fold of single-volume groups, one for each letter; those of `test` are in test."""
    facts = FoldFacts(number, 2, repeat, repeats)
    splits: dict[str, frozenset[Split]] = {one: frozenset({"test" if one in test else "train"}) for one in groups}
    volumes = {one: (one, 5, 1) for one in groups}
    return FoldContent(f"/cv/{repeat}/{number}", facts.name, repeat, facts, {"split_seed": "1"}, volumes, splits)


def check(name: str, *folds: FoldContent) -> Check:
    (found,) = (one for one in checks_across(folds, "patient") if one.name == name)
    return found


def test_groups_in_test_of_no_fold_and_of_two_are_named() -> None:
    found = check("folds-test-once", content(1, "ab"), content(2, "b"))
    assert [problem.message for problem in found.problems] == [
        "1 patient is in test of fold 1 and of fold 2: b",
        "2 patients are in test of no fold: c, d",
    ]


def test_a_group_that_one_fold_lost_is_named() -> None:
    folds = (content(1, "ab"), content(2, "cd", groups="acd"))
    found = check("folds-same-volumes", *folds)
    assert [problem.message for problem in found.problems] == ["it has 1 volume that the others lack: b"]
    assert check("folds-test-once", *folds).ok


def test_a_volume_with_another_patient_is_named() -> None:
    other = content(2, "cd")
    changed = other._replace(volumes={**(other.volumes or {}), "a": ("z", 5, 1)})
    found = check("folds-same-volumes", content(1, "ab"), changed, content(1, "ab"))
    assert [problem.path for problem in found.problems] == ["/cv/1/2"]
    assert "another patient or other slices" in found.problems[0].message


def test_a_value_that_is_not_there_is_named_by_its_number() -> None:
    values = [FoldFacts(number, 3, column="site", value=value) for number, value in ((1, "Graz"), (3, "Ulm"))]
    folds = [content(1, "ab")._replace(facts=values[0]), content(2, "cd")._replace(facts=values[1])]
    found = check("folds-present", *folds)
    assert [problem.message for problem in found.problems] == ["value 2 of 3 of site is not there"]


def test_each_repetition_has_to_be_complete() -> None:
    whole = [content(1, "ab", repeats=2), content(2, "cd", repeats=2)]
    second = [content(1, "ac", repeat=2, repeats=2), content(2, "bd", repeat=2, repeats=2)]
    assert all(one.ok for one in checks_across([*whole, *second], "patient"))
    found = check("folds-present", *whole, second[0])
    assert [problem.message for problem in found.problems] == ["repeat 2 fold 2 of 2 is not there"]
    found = check("folds-test-once", *whole, second[0])
    assert [problem.message for problem in found.problems] == ["in repeat 2, 2 patients are in test of no fold: b, d"]


@pytest.mark.parametrize(
    "fold",
    [
        None,
        3,
        {},
        {"fold": 0, "of": 2},
        {"fold": 3, "of": 2},
        {"fold": True, "of": 2},
        {"fold": 1, "of": 10**9},
        {"fold": "1", "of": "2"},
        {"fold": 1, "of": 2, "repeat": 2},
        {"fold": 1, "of": 2, "leave_out": 3, "value": "a"},
    ],
)
def test_a_plan_that_is_no_fold_or_does_not_say_it_as_plans_do(fold: object) -> None:
    header = draft(small_operations())
    assert facts_of(header._replace(parameters={**header.parameters, "fold": fold})) is None
