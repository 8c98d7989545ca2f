"""`plan` warns of classes and traits that a split has in no or one patient, and of a fixed test set that grows."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.grouping import GroupMap
from planbalance.model import SPLITS, Snapshot, Split
from planbalance.planfile import SealedPlan
from planbalance.planner import PlanOptions, make_folds, make_plan, parse_ratios
from tests.builders import mixed_volumes
from tests.planning import Readable, snapshot_of, splits_of, with_hashes

OPTIONS = PlanOptions("/data/out")
NAMES = ("mass", "cyst", "scar")
THREE = "each of 3 classes: mass, cyst, scar"


def planned(snapshot: Snapshot, **changes: Any) -> SealedPlan:
    return make_plan(snapshot, replace(OPTIONS, **changes))


def about(sealed: SealedPlan, *words: str) -> list[str]:
    return [warning for warning in sealed.header.warnings if all(word in warning for word in words)]


# ---- classes --------------------------------------------------------------------------------------------------------

PLACED: dict[str, Split] = {
    "a0": "train", "a1": "train", "b0": "val", "b1": "val", "c0": "test", "c1": "test", "n0": "train",
}  # fmt: skip
SPREAD = {"a0": "012", "a1": "01", "b0": "01", "b1": "0", "c0": "12", "c1": "012", "n0": ".."}


def test_classes_that_a_split_has_in_one_volume_are_named_in_one_sentence() -> None:
    sealed = planned(snapshot_of(SPREAD, names=NAMES), split_map=PLACED)
    assert about(sealed, "only one") == [
        "train has only one volume with boxes of 1 class: scar; a model learns little about it.",
        "val has only one volume with boxes of 1 class: cyst; a result on val says little about it.",
        "test has only one volume with boxes of 1 class: mass; a result on test says little about it.",
    ]
    assert about(sealed, "no box") == ["val holds no box of 1 class: scar; a result on val says nothing about it."]
    many = planned(snapshot_of({**SPREAD, "c0": ".."}, names=NAMES), split_map=PLACED)
    assert about(many, "test", "only one") == [
        f"test has only one volume with boxes of {THREE}; a result on test says little about them."
    ]


def test_patients_are_counted_where_they_are_known() -> None:
    """Two volumes of one patient are one patient, and two are enough."""
    groups = GroupMap({volume: volume[0] for volume in SPREAD})
    sealed = planned(snapshot_of(SPREAD, names=NAMES), split_map=PLACED, group_map=groups)
    assert about(sealed, "test", "only one patient") == [
        f"test has only one patient with boxes of {THREE}; a result on test says little about them."
    ]


def test_volumes_joined_by_identical_images_are_one_group() -> None:
    same = {"IM1-c0.png": "x", "IM2-c1.png": "x"}
    sealed = planned(with_hashes(snapshot_of(SPREAD, names=NAMES), same), split_map=PLACED, hash_images=True)
    assert len(about(sealed, "test has only one group with boxes of each of 3 classes")) == 1


def test_a_split_of_fixed_volumes_alone_is_warned_of_too() -> None:
    """The ratio of test is 0, and the map puts volumes there: they will be measured on."""
    options: dict[str, Any] = {"train_ratio": Decimal("0.7"), "val_ratio": Decimal("0.3"), "test_ratio": Decimal(0)}
    sealed = planned(snapshot_of({**SPREAD, "c0": ".."}, names=NAMES), split_map=PLACED, **options)
    assert len(about(sealed, "test has only one volume")) == 1


def test_one_class_needs_no_such_warning() -> None:
    sealed = planned(snapshot_of(mixed_volumes(3, 9)))
    assert not about(sealed, "only one")


# ---- traits ---------------------------------------------------------------------------------------------------------


def test_values_of_traits_that_a_split_lacks_or_has_once_are_named_in_one_sentence() -> None:
    volumes = {f"v{number:02d}": "+." if number % 2 else ".." for number in range(20)}
    sites = {volume: "far" if volume == "v00" else "leeds" for volume in volumes}
    sexes = {volume: "x" if volume == "v00" else "f" for volume in volumes}
    traits = GroupMap({volume: volume for volume in volumes}, {"site": sites, "sex": sexes})
    sealed = planned(snapshot_of(volumes), group_map=traits, stratify=("site", "sex"), split_map={"v00": "train"})
    both = "2 values of --stratify: site=far, sex=x"
    assert about(sealed, "--stratify") == [
        f"train has only one patient with each of {both}; a model learns little about them.",
        f"val has no patient with {both}; a result on val says nothing about them.",
        f"test has no patient with {both}; a result on test says nothing about them.",
    ]
    moved = planned(snapshot_of(volumes), group_map=traits, stratify=("site",), split_map={"v00": "test"})
    assert "train has no patient with 1 value of --stratify: site=far; no model is trained on it." in about(moved)


# ---- a fixed test set -----------------------------------------------------------------------------------------------

MANY = mixed_volumes(20, 40, seed=3)


def said_ratios(warning: str) -> dict[str, Any]:
    words = warning.removesuffix(".").split("To add none: ", 1)[1].split()
    found = dict(zip(words[::2], words[1::2], strict=True))
    ratios = parse_ratios(*(found[f"--{split}-ratio"] for split in SPLITS))
    return {f"{split}_ratio": ratio for split, ratio in zip(SPLITS, ratios, strict=True)}


def test_a_fixed_test_set_that_the_ratios_add_to_is_warned_of() -> None:
    fixed: dict[str, Split] = dict.fromkeys([*MANY][:3], "test")
    sealed = planned(snapshot_of(MANY), split_map=fixed)
    in_test = sum(split == "test" for split in splits_of(sealed).values())
    assert in_test == 9
    (said,) = sealed.warnings
    assert said == (
        "test has 3 volumes fixed by --split-map, and the ratios add 6 volumes to it. To add none: "
        "--train-ratio 0.8235 --val-ratio 0.1765 --test-ratio 0."
    )


def test_the_plan_file_does_not_hold_this_warning() -> None:
    """With it, a plan of the same options would have another digest than that of an earlier version."""
    fixed: dict[str, Split] = {next(iter(MANY)): "test"}
    sealed = planned(snapshot_of(MANY), split_map=fixed)
    assert sealed.warnings
    assert not about(sealed, "the ratios add")


def test_kept_splits_are_warned_of_both_at_once() -> None:
    official: dict[str, Split] = {
        volume: "val" if number < 2 else "test" if number < 5 else "train" for number, volume in enumerate(MANY)
    }
    sealed = planned(snapshot_of(MANY, split_of=official), keep_split=("val", "test"))
    assert [warning.split(",")[0] for warning in sealed.warnings] == [
        "val has 2 volumes fixed by --keep-split", "test has 3 volumes fixed by --keep-split",
    ]  # fmt: skip
    assert all(warning.endswith("--train-ratio 1 --val-ratio 0 --test-ratio 0.") for warning in sealed.warnings)


def test_nothing_is_said_where_nothing_is_added() -> None:
    ids = [*MANY]
    full: dict[str, Split] = dict.fromkeys(ids[::3], "test")
    assert planned(snapshot_of(MANY), split_map=full).warnings == ()
    assert planned(snapshot_of(MANY), split_map={ids[0]: "train"}).warnings == ()
    assert planned(snapshot_of(MANY)).warnings == ()
    assert all(fold.warnings == () for fold in make_folds(snapshot_of(MANY), OPTIONS, 3))


def test_an_extended_plan_has_the_ratios_of_the_older_one() -> None:
    ids = [*MANY]
    older = planned(snapshot_of({volume: MANY[volume] for volume in ids[:30]}))
    fixed: dict[str, Split] = {ids[-1]: "test"}
    sealed = planned(snapshot_of(MANY), extend=Readable(older), split_map=fixed)
    assert [warning.split(", and")[0] for warning in sealed.warnings] == [
        "test has 5 volumes fixed by --split-map and --extend"
    ]
    assert sealed.warnings[0].endswith("The ratios are those of the older plan.")


_FIXED = st.dictionaries(st.sampled_from([*MANY]), st.sampled_from(["val", "test"]), min_size=1, max_size=25)
_RATIOS = st.sampled_from(
    [("0.7", "0.15", "0.15"), ("0.5", "0.25", "0.25"), ("0.8", "0", "0.2"), ("0.9", "0.05", "0.05")]
)


@settings(max_examples=40, deadline=None)
@given(_FIXED, _RATIOS, st.integers(0, 5))
def test_the_ratios_that_are_told_add_nothing(
    fixed: Mapping[str, Split], ratios: tuple[str, str, str], seed: int
) -> None:
    given: dict[str, Any] = {f"{split}_ratio": Decimal(ratio) for split, ratio in zip(SPLITS, ratios, strict=True)}
    sealed = planned(snapshot_of(MANY), split_map=fixed, split_seed=seed, **given)
    topped = [warning.split()[0] for warning in sealed.warnings]
    splits = splits_of(sealed)
    for split in ("val", "test"):
        added = sum(place == split for volume, place in splits.items() if volume not in fixed)
        assert (split in topped) == (split in fixed.values() and added > 0)
    for warning in sealed.warnings:
        after = splits_of(planned(snapshot_of(MANY), split_map=fixed, split_seed=seed, **said_ratios(warning)))
        for name in topped:
            assert {volume for volume, place in after.items() if place == name} == {
                volume for volume, place in fixed.items() if place == name
            }


def test_a_small_ratio_that_is_not_0_stays_above_0() -> None:
    fixed: dict[str, Split] = {next(iter(MANY)): "test"}
    sealed = planned(
        snapshot_of(MANY),
        split_map=fixed,
        train_ratio=Decimal("0.79999"),
        val_ratio=Decimal("0.00001"),
        test_ratio=Decimal("0.2"),
    )
    assert "--train-ratio 0.9999 --val-ratio 0.0001 --test-ratio 0" in sealed.warnings[0]


@pytest.mark.parametrize("option", ["split_map", "keep_split"])
def test_patients_are_said_where_they_are_known(option: str) -> None:
    ids = [*MANY]
    groups = GroupMap({volume: f"p{number // 2}" for number, volume in enumerate(ids)})
    official: dict[str, Split] = {volume: "test" if number < 2 else "train" for number, volume in enumerate(ids)}
    fixing: dict[str, Any] = {"split_map": {ids[0]: "test"}, "keep_split": ("test",)}
    sealed = planned(snapshot_of(MANY, split_of=official), group_map=groups, **{option: fixing[option]})
    in_test = {groups.group_of[volume] for volume, split in splits_of(sealed).items() if split == "test"}
    name = option.replace("_", "-")
    told = f"test has 1 patient fixed by --{name}, and the ratios add {len(in_test) - 1} patients to it."
    assert sealed.warnings[0].startswith(told)
