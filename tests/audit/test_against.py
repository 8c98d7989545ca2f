"""What two datasets may share, and what they must not: by the use that each makes of it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from planbalance.audit import VerifyOptions, verify
from planbalance.audit.checks.against import ComparableContent, against_check
from planbalance.audit.leak_counts import spread_of
from planbalance.model import SPLITS, Audit, Check, Split
from tests.audit.built import built
from tests.builders import mixed_volumes, write, yolo_tree

TEST: Split = "test"


def content(*pairs: tuple[str, Split], groups: dict[str, str] | None = None) -> ComparableContent:
    return ComparableContent(spread_of(pairs), None, groups or {})


def audit(path: Path, **options: Any) -> Audit:
    return verify(str(path), VerifyOptions(**options))


def against(result: Audit, other: Path) -> Check:
    return next(each for each in result.checks if each.name == f"against {other}")


@pytest.mark.parametrize("there", SPLITS)
@pytest.mark.parametrize("here", SPLITS)
def test_the_same_use_is_no_leak_and_every_other_one_is(here: Split, there: Split) -> None:
    check, leaks = against_check(content(("v", here)), content(("v", there)), "other", Counter({here: 1}))
    assert check.ok is (here == there)
    assert [(leak.of, leak.shared_with, leak.share) for leak in leaks] == [(here, f"other:{there}", 1.0)]
    assert [leak.purpose for leak in leaks] == ["same split" if here == there else ""]
    if not check.ok:
        assert f"100 % of {here} (1 slice, 1 volume) also in other:{there}" in check.problems[0].message


def test_patients_are_compared_where_somebody_knows_them() -> None:
    here, there = content(("p1-left", "test")), content(("p1-right", "train"))
    check, _ = against_check(here, there, "other", Counter({TEST: 1}))
    assert check.ok
    assert "patients NOT CHECKED" in check.reason
    here = content(("p1-left", "test"), groups={"p1-left": "p1", "p1-right": "p1"})
    check, _ = against_check(here, there, "other", Counter({TEST: 1}))
    assert [problem.kind for problem in check.problems] == ["group-overlap"]


def test_members_of_an_ensemble_share_their_split_and_are_clean(tmp_path: Path) -> None:
    tree = mixed_volumes(4, 6, seed=3)
    members = [built(tmp_path / str(seed), volumes=tree, sample_seed=seed) for seed in (1, 2)]
    result = members[0].audit(against=(str(members[1].output),))
    assert result.ok
    shared = [leak for leak in result.leaks if leak["from"] == "test"]
    assert {leak["share"] for leak in shared} == {1}
    assert {(leak["purpose"], leak["to_move"]) for leak in shared} == {("same split", 0)}
    assert against(result, members[1].output).problems == ()
    others = [built(tmp_path / f"split-{seed}", volumes=tree, split_seed=seed) for seed in (5, 6, 7)]
    results = [members[0].audit(against=(str(other.output),)) for other in others]
    assert any(
        not result.ok and str(other.output) in result.summary for result, other in zip(results, others, strict=True)
    )


def test_a_dataset_without_splits_may_have_been_learnt_from(tmp_path: Path) -> None:
    here = yolo_tree(tmp_path / "here", {"1": "..+", "2": "..."}, split_of={"1": "train", "2": "test"})
    pool = yolo_tree(tmp_path / "pool", {"2": "..+", "3": "..."}, images="images", labels="labels", names=None)
    result = audit(here, against=(str(pool),))
    assert [problem.path for problem in against(result, pool).problems if problem.kind == "volume-overlap"] == ["test"]


def test_a_new_version_that_moved_a_volume(tmp_path: Path) -> None:
    tree = {"1": "..+", "2": "...", "3": ".+."}
    old = yolo_tree(tmp_path / "old", tree, split_of={"1": "train", "2": "train", "3": "test"})
    new = yolo_tree(tmp_path / "new", tree, split_of={"1": "train", "2": "test", "3": "test"})
    write(new / "images/train/IM1-4.png", b"a new one")
    result = audit(new, against=(str(old),))
    check = against(result, old)
    assert {(problem.kind, problem.path) for problem in check.problems} == {
        ("volume-overlap", "test"),
        ("duplicate-content", "test"),
    }
    assert "50 % of test (3 slices, 1 volume)" in check.problems[-1].message
    assert "evaluated here, trained on there" in check.problems[-1].message
