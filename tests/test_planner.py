"""From snapshot and options to a sealed plan."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.errors import InputError, PlanbalanceError, PlanError, UsageError
from planbalance.grouping import GroupMap, parse_group_map
from planbalance.model import SPLITS, Folder, Input, Naming, Problem, Snapshot, Split
from planbalance.planfile import SealedPlan, WholePlan, parse_header
from planbalance.planner import (
    PlanOptions,
    check_output,
    group_into_volumes,
    make_folds,
    make_left_out,
    make_plan,
    options_from_plan,
    parse_negatives,
    parse_ratios,
    select_slices,
)
from planbalance.runlength import decode
from planbalance.split import largest_remainder
from tests.builders import mixed_volumes
from tests.planning import (
    Readable,
    image_file,
    kept_names,
    plan_bytes,
    snapshot_of,
    splits_of,
    together,
    with_hashes,
)

OPTIONS = PlanOptions("/data/out")
EIGHT = {f"v{index}": "..+..." if index < 4 else "....." for index in range(8)}


def refused(snapshot: Snapshot, **changes: Any) -> PlanbalanceError:
    with pytest.raises(PlanbalanceError) as caught:
        make_plan(snapshot, replace(OPTIONS, **changes))
    return caught.value


def planned(snapshot: Snapshot, **changes: Any) -> SealedPlan:
    return make_plan(snapshot, replace(OPTIONS, **changes))


# ---- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "ratios"),
    [
        ((None, None, None), "0.7 0.15 0.15"),
        (("0.8", "0.1", None), "0.8 0.1 0.1"),
        (("0.8", None, "0.1"), "0.8 0.1 0.1"),
        ((None, "0.2", "0.2"), "0.6 0.2 0.2"),
        (("0.7", None, None), "0.7 0.15 0.15"),
        (("0.70", "0.30", "0"), "0.70 0.30 0"),
        (("1", "0", None), "1 0 0"),
        ((".5", "0.25", "+0.25"), "0.5 0.25 0.25"),
        (("0.999999999998", "0.000000000001", None), "0.999999999998 0.000000000001 0.000000000001"),
    ],
)
def test_ratios_as_typed(given_: tuple[str | None, str | None, str | None], ratios: str) -> None:
    assert parse_ratios(*given_) == tuple(map(Decimal, ratios.split()))


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (
            ("0.8", None, None),
            (
                "The ratios of train, val and test sum to 1.1 (0.8 + 0.15 + 0.15), not 1: "
                "--train-ratio 0.8 --val-ratio 0.1 --test-ratio 0.1, for example."
            ),
        ),
        (
            ("70", "15", "15"),
            (
                "The ratios of train, val and test sum to 100 (70 + 15 + 15), not 1: "
                "--train-ratio 0.7 --val-ratio 0.15 --test-ratio 0.15, for example."
            ),
        ),
        (
            ("70", "20", None),
            "The ratios given sum to 90, more than 1: --train-ratio 0.7 --val-ratio 0.2 --test-ratio 0.1, for example.",
        ),
        (
            ("0.8", "0.1", "0.05"),
            (
                "The ratios of train, val and test sum to 0.95 (0.8 + 0.1 + 0.05), not 1: "
                "--train-ratio 0.8 --val-ratio 0.1 --test-ratio 0.1, for example."
            ),
        ),
        (
            ("0.8", "0.3", None),
            (
                "The ratios given sum to 1.1, more than 1: "
                "--train-ratio 0.8 --val-ratio 0.1 --test-ratio 0.1, for example."
            ),
        ),
        (("-0.1", None, None), "--train-ratio is -0.1, which is negative."),
        ((None, "nan", None), "--val-ratio is 'nan', which is not a decimal number such as 0.15."),
        ((None, None, "1e-1"), "--test-ratio is '1e-1', which is not a decimal number such as 0.15."),
        (("", None, None), "--train-ratio is '', which is not a decimal number such as 0.15."),
        ((".", None, None), "--train-ratio is '.', which is not a decimal number such as 0.15."),
        (("0.7000000000001", None, None), "--train-ratio has more than 12 digits."),
        (
            ("0", "0.5", "0.5"),
            (
                "--train-ratio is 0, and only val and test may be left out: "
                "--train-ratio 0.7 --val-ratio 0.15 --test-ratio 0.15, for example."
            ),
        ),
        (("٠.٧", None, None), "--train-ratio is '٠.٧', which is not a decimal number such as 0.15."),
    ],
)
def test_bad_ratios_are_wrong_usage(given_: tuple[str | None, str | None, str | None], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ratios(*given_)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("text", "number"), [("all", None), ("1.0", Decimal(1)), ("2.5", Decimal("2.5")), ("ALL", None)]
)
def test_negatives_per_positive(text: str, number: Decimal | None) -> None:
    assert parse_negatives(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "inf", "many"])
def test_no_positive_number_of_negatives(text: str) -> None:
    with pytest.raises(UsageError):
        parse_negatives(text)


@pytest.mark.parametrize(
    ("output", "how"),
    [
        ("/data/in", "equal to"),
        ("/data/in/", "equal to"),
        ("/data/in/out", "inside"),
        ("/data", "around"),
        ("/", "around"),
    ],
)
def test_an_output_must_be_apart_from_inputs(output: str, how: str) -> None:
    with pytest.raises(UsageError, match=f"{how} the input /data/in"):
        check_output(output, snapshot_of(EIGHT).inputs)


def test_a_like_named_output_is_apart() -> None:
    check_output("/data/in2", snapshot_of(EIGHT).inputs)
    assert refused(snapshot_of(EIGHT), output="/data").kind == "output-overlaps-input"


@pytest.mark.parametrize(
    ("changes", "exit_code"),
    [
        ({"val_ratio": Decimal("0.2")}, 2),
        ({"split_seed": 2**63}, 2),
        ({"exclude": ("a\tb",)}, 2),
        ({"stratify": ("site",)}, 2),
        ({"volume_pattern": "("}, 2),
    ],
)
def test_options_that_make_no_plan(changes: dict[str, Any], exit_code: int) -> None:
    assert refused(snapshot_of(EIGHT), **changes).exit_code == exit_code


# ---- the story ------------------------------------------------------------------------------------------------------


def test_a_plan_counts_what_it_did() -> None:
    sealed = planned(snapshot_of(EIGHT))
    header = sealed.header
    statistics = header.statistics
    assert statistics["before"]["train"]["positive"] == statistics["splits"]["train"]["positive"]
    assert statistics["splits"]["train"]["tear"] == statistics["splits"]["train"]["no_tear"] == 2
    assert header.volume_statistics == {
        "train_volumes": 4,
        "val_volumes": 2,
        "test_volumes": 2,
        "total_volumes": 8,
        "no_overlap_verified": True,
        "train": {"positive": 2, "negative": 2},
        "val": {"positive": 1, "negative": 1},
        "test": {"positive": 1, "negative": 1},
    }
    assert statistics["removed"] == 44 - statistics["total_images"]
    assert header.naming == {
        "rule": "im-dash",
        "pattern": None,
        "examples": ["IM1-v0.png is slice 1 of volume v0", "IM1-v1.png is slice 1 of volume v1"],
    }
    assert (header.inputs, header.output, header.names) == (("/data/in",), "/data/out", ("tear",))


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, str]:
    """Volumes of uneven size, with gaps; missing labels are background where none is empty; a positive at least."""
    letters = draw(st.sampled_from(["+. ", "+- ", "+.", "0123. "]))
    volumes = draw(st.lists(st.text(letters, min_size=1, max_size=9), min_size=3, max_size=12))
    named = {f"{index:02d}-k": text for index, text in enumerate(volumes) if text.strip()}
    return (
        {**named, "x1": "+.", "x2": "..", "x3": ".+"}
        if "." in letters
        else {**named, "x1": "+", "x2": "+-", "x3": "-+"}
    )


@given(
    datasets(),
    st.integers(0, 99),
    st.sampled_from(["random", "spread"]),
    st.sampled_from([None, "0.5", "1", "3"]),
    st.sampled_from(["optimal", "random"]),
    st.sampled_from(["keep", "by-volume"]),
    st.integers(0, 2),
)
@settings(max_examples=80, deadline=None)
def test_every_sum_adds_up(
    volumes: dict[str, str], seed: int, sampling: Any, ratio: str | None, method: Any, layout: Any, gap: int
) -> None:
    """Law: what a plan states is what its operations are, and what the input was."""
    snapshot = snapshot_of(volumes, names=None)
    options = replace(
        OPTIONS,
        split_seed=seed,
        sample_seed=seed + 1,
        sampling=sampling,
        negatives_per_positive=None if ratio is None else Decimal(ratio),
        split_method=method,
        layout=layout,
        gap=gap,
    )
    sealed = make_plan(snapshot, options)
    header = parse_header(sealed.first_line)  # the reader checks counts against each other
    whole = WholePlan(header)
    operations = list(Readable(sealed).operations())
    for block in header.blocks:
        count = block.count
        whole.add(block.folder, operations[:count])
        del operations[:count]
    whole.finish()
    assert_true_to_input(sealed, volumes)
    assert make_plan(snapshot._replace(images=list(snapshot.images)), options).header.digest == header.digest


def assert_true_to_input(sealed: SealedPlan, volumes: dict[str, str]) -> None:
    header = sealed.header
    operations = list(Readable(sealed).operations())
    positive = {volume: sum(letter not in ".- " for letter in letters) for volume, letters in volumes.items()}
    total = {volume: len(letters.replace(" ", "")) for volume, letters in volumes.items()}
    before, splits = header.statistics["before"], header.statistics["splits"]
    assert sum(before[split]["total"] for split in SPLITS) == sum(total.values())
    assert sum(before[split]["positive"] for split in SPLITS) == sum(positive.values())
    assert header.statistics["removed"] == sum(total.values()) - len(operations)
    for split in SPLITS:
        assert before[split]["total"] == before[split]["positive"] + before[split]["negative"]
        assert splits[split]["positive"] == before[split]["positive"]
        if split != "train":
            assert splits[split]["negative"] == before[split]["negative"]
        for kind in ("positive", "negative"):
            target = header.targets[split][kind]
            assert target["reached"] == before[split][kind]
            assert target["distance"] == abs(target["wanted"] - target["reached"])
    for kind in ("positive", "negative"):
        wanted = tuple(header.targets[split][kind]["wanted"] for split in SPLITS)
        assert wanted == largest_remainder(sum(wanted), OPTIONS.ratios)
    for volume in header.volumes:
        assert (volume.slices, volume.positives) == (total[volume.id], positive[volume.id])
        dropped = decode(volume.dropped, limit=99)
        assert len(dropped) == volume.slices - volume.kept
        assert not any(volumes[volume.id][number - 1] not in ".-" for number in dropped)
        inner = volumes[volume.id].rstrip(" ")
        gaps = [n for n, letter in enumerate(inner, start=1) if letter == " " and inner[: n - 1].strip()]
        assert decode(volume.missing, limit=99) == gaps
    assert {(each.volume, each.split) for each in operations} <= {(v.id, v.split) for v in header.volumes}


def test_the_bytes_do_not_depend_on_hash_seed_or_locale(tmp_path: Path) -> None:
    program = (
        "from tests.planning import plan_bytes\n"
        "from tests.test_planner import *\n"
        "same = {'IM1-01-02-00003.png': 'a', 'IM2-01-02-00007.png': 'a'}\n"
        "snapshot = with_hashes(snapshot_of(mixed_volumes(6, 9)), same)\n"
        "options = replace(OPTIONS, sampling='spread', hash_images=True, exclude=('*00004*', 'zz'))\n"
        "print(hashlib.sha256(plan_bytes(make_plan(snapshot, options))).hexdigest())\n"
    )
    said = set()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("2", "tr_TR.UTF-8")):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONPATH": os.getcwd()},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        said.add(run.stdout)
    assert len(said) == 1
    assert len(said.pop().strip()) == hashlib.sha256().digest_size * 2


def test_seeds_are_apart() -> None:
    snapshot = snapshot_of(mixed_volumes(8, 12))
    one, other = planned(snapshot, sample_seed=1), planned(snapshot, sample_seed=2)
    assert splits_of(one) == splits_of(other)
    assert kept_names(one) != kept_names(other)
    assert kept_names(one, "test") == kept_names(other, "test")
    moved = planned(snapshot, split_seed=1)
    assert splits_of(moved) != splits_of(one)


# ---- reading the input ----------------------------------------------------------------------------------------------

MISSING = {"v1": "+--", "v2": "-+-", "v3": "---"}


def test_missing_labels_alone_are_background() -> None:
    sealed = planned(snapshot_of(MISSING))
    assert sum(sealed.header.statistics["before"][split]["negative"] for split in SPLITS) == 7
    assert "7 images without a label file counted as negative." in sealed.header.warnings


@pytest.mark.parametrize(
    ("rule", "slices", "warning"),
    [
        ("empty", 9, "6 images without a label file counted as negative."),
        ("skip", 3, "6 images without a label file left out"),
    ],
)
def test_missing_beside_empty_labels_need_an_answer(rule: str, slices: int, warning: str) -> None:
    snapshot = snapshot_of({"v1": "+--", "v2": "-+-", "v3": "--."})
    error = refused(snapshot)
    assert (error.kind, error.exit_code, error.paths) == ("missing-labels-ambiguous", 3, ("/data/in",))
    assert "6 images without label file beside 1 empty one" in error.message
    assert "--missing-label empty" in error.hint
    assert "--missing-label skip" in error.hint
    header = planned(snapshot, missing_label=rule).header
    assert sum(volume.slices for volume in header.volumes) == slices
    assert any(each.startswith(warning) for each in header.warnings)


def test_the_rule_for_missing_labels_is_per_input() -> None:
    """Tears with missing labels beside normals with empty ones: each is clear by itself."""
    tears, normals = snapshot_of(MISSING), snapshot_of({"n1": "...", "n2": ".."}, root="/data/normal")
    assert len(planned(together(tears, normals)).header.volumes) == 5


def test_missing_labels_as_errors_are_all_listed() -> None:
    error = refused(snapshot_of(MISSING), missing_label="error")
    assert (error.kind, len(error.paths)) == ("missing-labels", 7)
    assert error.paths[0] == "/data/in/images/train/IM1-v2.png"


def test_invalid_labels_are_listed_left_out_or_kept() -> None:
    snapshot = snapshot_of({"v1": "+!.", "v2": ".+.", "v3": "..!", "v4": "++"})
    error = refused(snapshot)
    assert error.kind == "label-invalid"
    assert [path.partition(" ")[0] for path in error.paths] == [
        "/data/in/labels/train/IM2-v1.txt:1",
        "/data/in/labels/train/IM3-v3.txt:1",
    ]
    skipped, kept = planned(snapshot, invalid_label="skip"), planned(snapshot, invalid_label="keep")
    assert sum(volume.slices for volume in skipped.header.volumes) == 9
    assert sum(volume.positives for volume in skipped.header.volumes) == 4
    assert sum(skipped.header.targets[split]["negative"]["wanted"] for split in SPLITS) == 5
    assert sum(volume.slices for volume in kept.header.volumes) == 11
    assert "2 slices with invalid labels left out (--invalid-label skip)." in skipped.header.warnings


def test_an_excluded_invalid_label_is_no_error() -> None:
    snapshot = snapshot_of({"v1": "+!.", "v2": ".+.", "v3": "...", "v4": "++"})
    assert len(planned(snapshot, exclude=("IM2-v1.png",)).header.volumes) == 4


def test_positive_classes_change_the_counting_alone() -> None:
    snapshot = snapshot_of({"v1": "0.1", "v2": "1.", "v3": "01", "v4": ".."}, names=("tear", "cyst"))
    header = planned(snapshot, positive_classes=frozenset({1}), negatives_per_positive=None).header
    assert {volume.id: volume.positives for volume in header.volumes} == {"v1": 1, "v2": 1, "v3": 1, "v4": 0}
    operations = list(
        Readable(planned(snapshot, positive_classes=frozenset({1}), negatives_per_positive=None)).operations()
    )
    labelled = next(each for each in operations if each.image.endswith("IM1-v1.png"))
    assert not labelled.positive
    assert labelled.label_size == len("0 0.5 0.5 0.1 0.2\n")
    assert "tear" not in header.statistics["splits"]["train"]
    error = refused(snapshot, positive_classes=frozenset({7}))
    assert (error.kind, error.hint) == ("no-positives", "Classes that occur: 0, 1.")


@pytest.mark.parametrize(
    ("pattern", "volumes", "slices"),
    [
        ("v0", 1, 6),
        ("v[01]", 2, 12),
        ("IM3-v5.png", 0, 1),
        ("IM3-v5", 0, 1),
        ("images/train/IM3-v5.png", 0, 1),
        ("/data/in/images/train/IM3-v5.png", 0, 1),
        ("IM1-*", 0, 8),
        ("*/IM1-v?.png", 0, 8),
    ],
)
def test_exclude_leaves_out_volumes_and_slices(pattern: str, volumes: int, slices: int) -> None:
    header = planned(snapshot_of(EIGHT), exclude=(pattern,)).header
    assert header.parameters["exclude"] == {"entries": [pattern], "volumes": volumes, "slices": slices}
    assert sum(volume.slices for volume in header.volumes) == 44 - slices
    assert not any("--exclude" in warning for warning in header.warnings)


def test_an_exclude_that_matches_nothing_is_said() -> None:
    assert (
        "--exclude matched nothing with v10, *.jpg."
        in planned(snapshot_of(EIGHT), exclude=("v10", "*.jpg")).header.warnings
    )


@pytest.mark.parametrize(
    ("snapshot", "changes", "kind"),
    [
        (snapshot_of({}), {}, "no-slices"),
        (snapshot_of(EIGHT), {"exclude": ("*",)}, "no-slices"),
        (snapshot_of({"v1": "--", "v2": "-"}), {"missing_label": "skip"}, "no-slices"),
        (snapshot_of({"v1": "..", "v2": ".", "v3": "."}), {}, "no-positives"),
        (snapshot_of({"v1": "+.", "v2": "."}), {}, "too-few-groups"),
        (snapshot_of({"Ab": "+.", "aB": ".", "c": "+"}), {}, "clashing-ids"),
        (snapshot_of({"a": "+.", "b": "."}, name="{volume}{slice}.png"), {}, "unmatched-names"),
        (snapshot_of({"\u00e9": "+.", "e\u0301": ".", "c": "+"}), {}, "clashing-ids"),
    ],
)
def test_inputs_that_are_refused(snapshot: Snapshot, changes: dict[str, Any], kind: str) -> None:
    error = refused(snapshot, **changes)
    assert (error.kind, error.exit_code) == (kind, 3)


@pytest.mark.parametrize("kind", ["unreadable", "name-refused", "dangling"])
def test_what_the_scan_could_not_read_is_refused_unless_excluded(kind: str) -> None:
    problems = (
        Problem(kind, "error", "/data/in/images/train/bad.png", "cannot be read"),
        Problem("x", "warning", "/y", "z"),
    )
    snapshot = snapshot_of(EIGHT)._replace(problems=problems)
    error = refused(snapshot)
    assert (error.kind, error.exit_code, error.paths) == (kind, 3, ("/data/in/images/train/bad.png",))
    assert planned(snapshot, exclude=("bad.png",)).header.warnings[0] == "x: /y (z)."


def collision_cases() -> list[tuple[str, Snapshot, str]]:
    base = snapshot_of({"v1": "+.", "v2": "..", "v3": ".+"})
    others = {
        "two images share one label": ("IM1-v1.jpg", 0),
        "in another split": ("IM1-v1.png", 1),
        "in another case": ("im1-v1.png", 2),
    }
    cases = [(what, with_image(base, name, folder), "layout keep") for what, (name, folder) in others.items()]
    second = snapshot_of({"v1": "+", "v4": "."}, root="/data/more")
    return [*cases, ("in another input", together(base, second), "layout keep")]


def with_image(snapshot: Snapshot, name: str, folder: int = 0) -> Snapshot:
    images = sorted([*snapshot.images, image_file(name, ".", folder)], key=lambda image: image.path.encode())
    return snapshot._replace(images=tuple(images))


@pytest.mark.parametrize(
    ("snapshot"), [case[1] for case in collision_cases()], ids=[case[0] for case in collision_cases()]
)
def test_slices_that_would_meet_in_the_output(snapshot: Snapshot) -> None:
    error = refused(snapshot, volume_pattern=r"(?i:im)(?P<slice>\d+)-(?P<volume>.+)")
    assert error.kind == "collision"
    assert len(error.paths) == 1
    assert error.paths[0].count("/data/") == 2


def test_by_volume_names_may_repeat_in_other_folders_only_as_other_volumes() -> None:
    volumes = {"a": "+.", "b": "..", "c": ".+"}
    snapshot = snapshot_of(volumes, name="{volume}/{slice}.png")
    assert planned(snapshot, layout="by-volume").header.naming["rule"] == "parent-dir"
    meeting = with_image(snapshot, "a/IM1/1.png")
    pattern = r"(?P<volume>[abc])/(.*/)?(?P<slice>\d+)"
    assert refused(meeting, volume_pattern=pattern, layout="by-volume").kind == "collision"


def test_an_image_called_as_a_folder_is_refused() -> None:
    snapshot = with_image(snapshot_of({"a": "+.", "b.png": "..", "c": ".+"}, name="{volume}/{slice}.png"), "b.png")
    error = refused(snapshot, volume_pattern=r"(?P<volume>[^/]+)(/(?P<slice>\d+))?")
    assert error.exit_code == 3


def test_one_volume_in_two_inputs_is_one_volume() -> None:
    one = snapshot_of({"v1": "+.", "v2": "..", "v3": "+"})
    other = snapshot_of({"v1": "  ..", "v4": "."}, root="/data/more")
    header = planned(together(one, other)).header
    assert {volume.id: volume.slices for volume in header.volumes} == {"v1": 4, "v2": 2, "v3": 1, "v4": 1}


@pytest.mark.parametrize(
    ("letters", "names", "warning"),
    [
        (
            "+",
            ("class_0",),
            (
                "No input names the class: it is called class_0 in dataset.yaml, and counted under `tear` and "
                "`no_tear`, the guide's keys, in balanced_dataset_metadata.json. To name it, write its name into "
                "classes.txt in the dataset's folder, or `names:` in the yaml."
            ),
        ),
        (
            "2",
            ("class_0", "class_1", "class_2"),
            (
                "No input names the classes: they are called class_0 to class_2. To name them, write classes.txt (one "
                "name a line, in the order of their ids) or `names:` in the yaml."
            ),
        ),
    ],
)
def test_classes_that_nothing_names_get_no_medical_word(letters: str, names: tuple[str, ...], warning: str) -> None:
    header = planned(snapshot_of({"v1": letters + ".", "v2": "..", "v3": letters}, names=None)).header
    assert header.names == names
    assert warning in header.warnings


def test_the_metadata_of_a_class_that_nothing_names_keeps_the_guides_keys() -> None:
    one = planned(snapshot_of({"v1": "+.", "v2": "..", "v3": "+"}, names=None)).header.statistics
    assert (one["total_tear"], one["total_no_tear"]) == (2, 3)
    several = planned(snapshot_of({"v1": "2.", "v2": "..", "v3": "2"}, names=None)).header.statistics
    assert not any("tear" in key for key in several)


def test_suffixes_that_trainers_do_not_read_are_said() -> None:
    snapshot = snapshot_of(EIGHT, name="IM{slice}-{volume}.DCM")
    sentence = "Stock YOLOv5 and Ultralytics do not read 44 images in .dcm; forks may."
    assert sentence in planned(snapshot).header.warnings
    assert sentence not in planned(snapshot_of(EIGHT)).header.warnings


def test_reading_volumes_alone_refuses_nothing_but_names() -> None:
    snapshot = snapshot_of({"v1": "!-.", "V1": ".."})
    volumes = group_into_volumes(snapshot, Naming("im-dash"))
    assert [(volume.id, volume.group, len(volume.slices), volume.positives) for volume in volumes] == [
        ("V1", "V1", 2, 0),
        ("v1", "v1", 3, 1),
    ]
    assert [one.number for one in volumes[1].slices] == [1, 2, 3]
    with pytest.raises(InputError, match="trailing-number does not read 5 names"):
        group_into_volumes(snapshot_of({"v": "....."}, name="{volume}x{slice}z.png"), Naming("trailing-number"))


# ---- groups ---------------------------------------------------------------------------------------------------------


def patients(pairs: str) -> GroupMap:
    return parse_group_map(
        "volume,group,site\n" + "\n".join(f"{pair},{pair[-1]}" for pair in pairs.split()), columns=("site",)
    )


def test_a_group_never_splits() -> None:
    group_map = patients(" ".join(f"v{index},p{index % 4}" for index in range(8)))
    sealed = planned(snapshot_of(EIGHT), group_map=group_map)
    splits = splits_of(sealed)
    assert all(splits[f"v{index}"] == splits[f"v{index + 4}"] for index in range(4))
    assert {volume.group for volume in sealed.header.volumes} == {"p0", "p1", "p2", "p3"}
    assert sealed.header.parameters["groups"] == {"by": "map", "count": 4, "joined_by_content": []}
    assert sealed.header.targets["unit"] == "group"


def test_a_map_must_know_every_volume_that_is_used() -> None:
    group_map = patients(" ".join(f"v{index},p{index}" for index in range(6)))
    error = refused(snapshot_of(EIGHT), group_map=group_map)
    assert (error.kind, error.paths) == ("unknown-volumes", ("v6", "v7"))
    assert len(planned(snapshot_of(EIGHT), group_map=group_map, exclude=("v6", "v7")).header.volumes) == 6


def test_a_group_that_no_plan_can_hold_is_refused() -> None:
    group_map = GroupMap(dict.fromkeys(EIGHT, "p\n1"))
    assert refused(snapshot_of(EIGHT), group_map=group_map).kind == "bad-map"


def test_the_patient_of_a_name_is_the_group() -> None:
    volumes = {f"p{index // 2}_{'LR'[index % 2]}": "..+" for index in range(8)}
    pattern = r"IM(?P<slice>\d+)-(?P<volume>(?P<patient>[^_]+)_[LR])"
    splits = splits_of(planned(snapshot_of(volumes), volume_pattern=pattern))
    assert all(splits[f"p{index}_L"] == splits[f"p{index}_R"] for index in range(4))
    plain = planned(snapshot_of(volumes)).header
    assert any(warning.startswith("Some volumes look like one patient (p0_L / p0_R") for warning in plain.warnings)


def test_two_patients_in_one_volume_are_refused() -> None:
    snapshot = snapshot_of({"a1_v1": "+.", "a2_v1": "..", "a3_v2": "+", "a4_v3": "."})
    error = refused(snapshot, volume_pattern=r"IM(?P<slice>\d+)-(?P<patient>[^_]+)_(?P<volume>.+)")
    assert (error.kind, error.paths) == ("two-patients", ("v1: a1 and a2",))


def test_volumes_that_share_images_become_one_group() -> None:
    same = {
        "IM1-v0.png": "x",
        "IM2-v7.png": "x",
        "IM1-v3.png": "y",
        "IM3-v7.png": "y",
        "IM1-v1.png": "0",
        "IM1-v2.png": "0",
    }
    snapshot = with_hashes(snapshot_of(EIGHT), same, blank=("IM1-v1.png", "IM1-v2.png"))
    sealed = planned(snapshot, hash_images=True)
    groups = {volume.id: volume.group for volume in sealed.header.volumes}
    assert groups == {volume: "v0" if volume in ("v3", "v7") else volume for volume in EIGHT}
    assert sealed.header.parameters["groups"]["joined_by_content"] == [["v0", "v3", "v7"]]
    assert "Volumes that share identical images were put into one group: v0 / v3 / v7." in sealed.header.warnings
    assert len({splits_of(sealed)[volume] for volume in ("v0", "v3", "v7")}) == 1


def test_stratify_shares_are_told() -> None:
    group_map = patients(" ".join(f"v{index},p{index % 2}" for index in range(8)))
    snapshot = snapshot_of(EIGHT)
    own = GroupMap({volume: volume for volume in EIGHT}, group_map.traits)
    header = planned(snapshot, group_map=own, stratify=("site",)).header
    shares = header.targets["stratify"]["site"]
    assert [share["value"] for share in shares] == ["0", "1"]
    assert sum(share[split]["reached"] for share in shares for split in SPLITS) == 8
    assert refused(snapshot, group_map=own, stratify=("scanner",)).kind == "bad-stratify"


# ---- what is fixed --------------------------------------------------------------------------------------------------

OFFICIAL: dict[str, Split] = {volume: "test" if volume in ("v0", "v5") else "train" for volume in EIGHT}


def test_a_kept_split_stays_where_it_is() -> None:
    snapshot = snapshot_of(EIGHT, split_of=OFFICIAL)
    for seed in range(5):
        splits = splits_of(planned(snapshot, keep_split=("test",), split_seed=seed))
        assert (splits["v0"], splits["v5"]) == ("test", "test")
        assert sum(split == "test" for split in splits.values()) == 2


def test_a_kept_split_that_leaks_is_refused() -> None:
    group_map = patients("v0,p0 v1,p0 v2,p2 v3,p3 v4,p4 v5,p5 v6,p6 v7,p7")
    error = refused(snapshot_of(EIGHT, split_of=OFFICIAL), keep_split=("test",), group_map=group_map)
    assert (error.kind, error.paths) == ("kept-split-leaks", ("p0: 6 in test, 6 in train",))
    assert refused(snapshot_of(EIGHT, split_of=OFFICIAL), keep_split=("val",)).kind == "kept-split-absent"


def test_a_split_map_fixes_volumes_and_their_groups() -> None:
    group_map = patients("v0,p0 v1,p0 v2,p2 v3,p3 v4,p4 v5,p5 v6,p6 v7,p7")
    sealed = planned(snapshot_of(EIGHT), split_map={"v1": "val", "v4": "test", "zz": "test"}, group_map=group_map)
    splits = splits_of(sealed)
    assert (splits["v0"], splits["v1"], splits["v4"]) == ("val", "val", "test")
    assert "--split-map names 1 volume that no input holds: zz." in sealed.header.warnings
    error = refused(snapshot_of(EIGHT), split_map={"v0": "val", "v1": "test"}, group_map=group_map)
    assert error.kind == "group-in-two-splits"
    assert error.paths == ("p0: val (--split-map, v0) and test (--split-map, v1)",)


def test_a_kept_split_and_a_map_that_contradict_are_refused() -> None:
    error = refused(snapshot_of(EIGHT, split_of=OFFICIAL), keep_split=("test",), split_map={"v0": "train"})
    assert error.kind == "group-in-two-splits"


# ---- growing --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 6), st.integers(0, 3), st.sampled_from(["random", "spread"]))
@settings(max_examples=25, deadline=None)
def test_extending_moves_no_known_volume(seed: int, new: int, gone: int, sampling: Any) -> None:
    """Law: known volumes stay; their kept negatives stay while the quota leaves room; the gone are named."""
    volumes = mixed_volumes(6, 9, seed=seed)
    older = planned(
        snapshot_of(volumes), split_seed=seed, sampling=sampling, train_ratio=Decimal("0.6"), val_ratio=Decimal("0.25")
    )
    left = dict(list(volumes.items())[gone:])
    grown = {**left, **{f"new-{index:02d}": "..+..." if index % 2 else "......" for index in range(new)}}
    newer = planned(snapshot_of(grown), extend=Readable(older), sampling=sampling)
    before, after = splits_of(older), splits_of(newer)
    assert {volume: after[volume] for volume in left} == {volume: before[volume] for volume in left}
    kept = {name for name in kept_names(older) if name.partition("-")[2].rpartition(".")[0] in left}
    if not gone:
        assert kept <= kept_names(newer)
    assert newer.header.parameters["train_ratio"] == "0.6"
    assert newer.header.parameters["split_seed"] == seed
    assert newer.header.parameters["extend"] == older.header.digest
    assert any(f"{gone} volume" in warning for warning in newer.header.warnings) == (gone > 0)


def test_extending_by_nothing_changes_nothing() -> None:
    snapshot = snapshot_of(mixed_volumes(6, 9))
    older = planned(snapshot)
    newer = planned(snapshot, extend=Readable(older), split_seed=7, volume_pattern="trailing-number")
    assert newer.header.split_digest == older.header.split_digest


def test_a_known_volume_stays_even_where_its_stratum_changed() -> None:
    older = planned(snapshot_of(EIGHT))
    turned = {
        volume: letters.replace("+", ".") if index < 2 else letters
        for index, (volume, letters) in enumerate(EIGHT.items())
    }
    assert splits_of(planned(snapshot_of(turned), extend=Readable(older))) == splits_of(older)


def test_a_new_volume_joins_its_known_group() -> None:
    group_map = patients(" ".join(f"v{index},p{index}" for index in range(8)) + " n1,p4 n2,p9")
    older = planned(snapshot_of(EIGHT), group_map=group_map)
    for first in range(8):
        grown = {**EIGHT, "n1": "+.....", "n2": ".."}
        del grown[f"v{first}"]  # also where the volume that made the group known is gone
        splits = splits_of(planned(snapshot_of(grown), extend=Readable(older), group_map=group_map))
        assert splits["n1"] == splits_of(older)["v4"]


def test_a_group_in_two_splits_of_the_older_plan_is_refused() -> None:
    older = planned(snapshot_of(EIGHT))
    train = min(volume for volume, split in splits_of(older).items() if split == "train")
    test = min(volume for volume, split in splits_of(older).items() if split == "test")
    group_map = GroupMap({volume: "p" if volume in (train, test) else volume for volume in EIGHT})
    error = refused(snapshot_of(EIGHT), extend=Readable(older), group_map=group_map)
    assert (error.kind, error.exit_code) == ("group-in-two-splits", 3)


def test_what_is_taken_from_an_older_plan() -> None:
    older = planned(
        snapshot_of(EIGHT), positive_classes=frozenset({0}), split_seed=7, sample_seed=8, volume_pattern="im-dash"
    )
    assert options_from_plan(older.header) == {
        "volume_pattern": "im-dash",
        "positive_classes": frozenset({0}),
        "train_ratio": Decimal("0.7"),
        "val_ratio": Decimal("0.15"),
        "test_ratio": Decimal("0.15"),
        "split_seed": 7,
        "sample_seed": 8,
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"split_seed": "1"},
        {"split_seed": True},
        {"train_ratio": 0.7},
        {"train_ratio": "0.9"},
        {"train_ratio": "-1"},
        {"positive_classes": 3},
        {"positive_classes": ["a"]},
        {"positive_classes": [[]]},
    ],
)
def test_an_older_plan_is_not_trusted(parameters: dict[str, Any]) -> None:
    older = planned(snapshot_of(EIGHT)).header
    changed = older._replace(parameters={**older.parameters, **parameters} if parameters else {"layout": "keep"})
    with pytest.raises(PlanError) as caught:
        options_from_plan(changed)
    assert caught.value.kind == "bad-plan"


# ---- sampling -------------------------------------------------------------------------------------------------------

LONG = {f"v{index}": "....." * 8 if index % 3 else "..........++.........." for index in range(12)}


@pytest.mark.parametrize(("ratio", "share"), [("1", 1), ("0.25", Decimal("0.25")), ("2.5", Decimal("2.5"))])
def test_train_meets_the_ratio_and_the_rest_is_untouched(ratio: str, share: Decimal) -> None:
    statistics = planned(snapshot_of(LONG), negatives_per_positive=Decimal(ratio)).header.statistics
    assert statistics["splits"]["train"]["negative"] == statistics["splits"]["train"]["positive"] * share
    for split in ("val", "test"):
        assert statistics["splits"][split]["negative"] == statistics["before"][split]["negative"]


def test_too_few_negatives_are_all_kept_and_the_numbers_named() -> None:
    header = planned(snapshot_of({f"v{index}": "++." for index in range(6)}), negatives_per_positive=Decimal(3)).header
    assert header.statistics["removed"] == 0
    assert (
        "Too few negative slices in train: 4 for 8 positive ones, where --negatives-per-positive 3 asks for 24; "
        "all are kept." in header.warnings
    )


def test_slices_near_a_positive_are_not_drawn() -> None:
    header = planned(snapshot_of(LONG), gap=2, negatives_per_positive=None).header
    for volume in header.volumes:
        near = [9, 10, 13, 14] if volume.positives and volume.split == "train" else []
        assert decode(volume.dropped, limit=99) == near


def test_a_gap_that_cannot_be_applied_is_said() -> None:
    """Without numbers nothing is near a positive: negatives at a tear's edge are then drawn like others."""
    without = {"gap": 2, "volume_pattern": r"IM\d+-(?P<volume>v\d+)"}
    (said,) = (text for text in planned(snapshot_of(LONG), **without).header.warnings if "--gap" in text)
    assert said.startswith("--gap 2 cannot be applied in 2 train volumes with positive slices: not all of their slices")
    assert "(?P<slice>)" in said
    for options in ({"gap": 2}, {**without, "gap": 0}):
        assert not any("--gap" in text for text in planned(snapshot_of(LONG), **options).header.warnings)


def test_hard_negatives_are_always_kept() -> None:
    split_map: dict[str, Split] = {"v1": "train", "v0": "train"}
    hard = ("IM7-v1.png", "images/train/IM9-v0.png", "IM33-v1", "nowhere.png")
    for seed in range(5):
        sealed = planned(snapshot_of(LONG), always_keep=hard, split_map=split_map, sample_seed=seed, gap=3)
        assert {"IM7-v1.png", "IM9-v0.png", "IM33-v1.png"} <= kept_names(sealed)
        train = sealed.header.statistics["splits"]["train"]
        assert train["negative"] == train["positive"]
        assert "--always-keep matched nothing with nowhere.png." in sealed.header.warnings
        assert sealed.header.parameters["always_keep"] == {"entries": 4, "slices": 3}


def test_train_volumes_that_lost_everything_are_named() -> None:
    sealed = planned(snapshot_of(LONG), negatives_per_positive=Decimal("0.1"))
    emptied = [volume.id for volume in sealed.header.volumes if volume.kept == 0]
    assert emptied
    assert any(w.startswith(f"Sampling kept no slice of {len(emptied)} train volume") for w in sealed.header.warnings)
    assert sealed.header.volume_statistics["train_volumes"] == sum(v.split == "train" for v in sealed.header.volumes)
    spread = planned(snapshot_of(LONG), sampling="spread", negatives_per_positive=Decimal(2)).header
    assert all(volume.kept for volume in spread.volumes)


# ---- few volumes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volumes", "sentence"),
    [
        ({"a": "+..", "b": "...", "c": "..."}, "val holds no positive slice (1 positive group in all)."),
        ({"a": "++", "b": "+", "c": "+++"}, "test holds no negative slice."),
        ({"a": "+." * 50, "b": "+.", "c": "..", "d": "+"}, "The split misses its slice targets by "),
    ],
)
def test_few_volumes_are_explained(volumes: dict[str, str], sentence: str) -> None:
    assert any(warning.startswith(sentence) for warning in planned(snapshot_of(volumes)).header.warnings)


def test_a_split_may_be_left_out() -> None:
    header = planned(
        snapshot_of(EIGHT), train_ratio=Decimal("0.75"), val_ratio=Decimal("0.25"), test_ratio=Decimal(0)
    ).header
    assert header.statistics["splits"]["test"]["total"] == 0
    assert not any(warning.startswith("test ") for warning in header.warnings)


def test_a_split_without_a_slice_is_said_in_one_sentence() -> None:
    everywhere = dict.fromkeys(EIGHT, "train")
    warnings = planned(snapshot_of(EIGHT), split_map=everywhere).header.warnings
    assert {"val holds no slice at all.", "test holds no slice at all."} <= set(warnings)
    assert not any("positive slice" in warning or "negative slice" in warning for warning in warnings)


# ---- classes --------------------------------------------------------------------------------------------------------

SEVEN = ("mass", "cyst", "scar", "nodule", "lesion", "edema", "bleed", "never")
ONE_OF_EACH = {"v0": "0123456", "v1": "..0", "v2": "0..", "v3": ".."}
PLACED: dict[str, Split] = {"v0": "train", "v3": "train", "v1": "val", "v2": "test"}


def test_a_class_that_a_split_lacks_is_named_and_of_many_the_first_five() -> None:
    sealed = planned(snapshot_of(ONE_OF_EACH, names=SEVEN), split_map=PLACED)
    lacking = "6 classes: cyst, scar, nodule, lesion, edema and 1 more"
    assert [warning for warning in sealed.header.warnings if "box of" in warning] == [
        f"val holds no box of {lacking}; a result on val says nothing about them.",
        f"test holds no box of {lacking}; a result on test says nothing about them.",
        "No label holds a box of 1 class: never.",
    ]
    assert [(one.id, one.boxes) for one in sealed.classes] == [(0, (1, 1, 1)), *((k, (1, 0, 0)) for k in range(1, 7))]


def test_train_may_lack_a_class_too() -> None:
    placed: dict[str, Split] = PLACED | {"v0": "test", "v2": "train"}
    warnings = planned(
        snapshot_of({**ONE_OF_EACH, "v0": "01"}, names=("mass", "cyst")), split_map=placed
    ).header.warnings
    assert "train holds no box of 1 class: cyst; no model can learn it." in warnings


def test_classes_that_nothing_names_are_told_by_number() -> None:
    sealed = planned(snapshot_of({**ONE_OF_EACH, "v0": "02"}, names=None), split_map=PLACED)
    assert "val holds no box of 1 class: class_2; a result on val says nothing about it." in sealed.header.warnings
    assert not any("No label holds" in warning for warning in sealed.header.warnings), "nobody has named class 1"


def test_patients_are_what_a_class_is_counted_in_where_they_are_known() -> None:
    groups = GroupMap({"v0": "p", "v3": "p", "v1": "q", "v2": "r"})
    volumes = {"v0": "00", "v3": "01", "v1": ".0", "v2": ".0"}
    sealed = planned(snapshot_of(volumes, names=("mass", "cyst")), split_map=PLACED, group_map=groups)
    mass = sealed.classes[0]
    assert (mass.boxes[0], mass.slices[0], mass.units[0]) == (3, 3, 1)


def test_one_class_is_not_counted_by_class() -> None:
    assert planned(snapshot_of(EIGHT)).classes == ()


# ---- folds ----------------------------------------------------------------------------------------------------------


def test_every_volume_is_in_test_exactly_once() -> None:
    snapshot = snapshot_of(mixed_volumes(6, 9))
    folds = list(make_folds(snapshot, OPTIONS, 3))
    tests = [volume for fold in folds for volume, split in splits_of(fold).items() if split == "test"]
    assert sorted(tests) == sorted(mixed_volumes(6, 9))
    assert [fold.header.output for fold in folds] == ["/data/out/fold1", "/data/out/fold2", "/data/out/fold3"]
    assert [fold.header.parameters["fold"] for fold in folds] == [{"fold": k, "of": 3} for k in (1, 2, 3)]
    assert all({"train", "val", "test"} == set(splits_of(fold).values()) for fold in folds)
    for fold in folds:
        assert (
            fold.header.statistics["splits"]["train"]["positive"]
            == fold.header.statistics["splits"]["train"]["negative"]
        )
        parse_header(fold.first_line)
        with pytest.raises(PlanError, match="one of several folds"):
            options_from_plan(fold.header)


@pytest.mark.parametrize(
    ("folds", "changes", "kind"),
    [
        (1, {}, "bad-folds"),
        (3, {"keep_split": ("test",)}, "folds-fix-nothing"),
        (3, {"split_map": {"v0": "test"}}, "folds-fix-nothing"),
        (3, {"split_seed": 2**63}, "bad-number"),
        (9, {}, "too-few-groups"),
    ],
)
def test_folds_that_cannot_be(folds: int, changes: dict[str, Any], kind: str) -> None:
    with pytest.raises(PlanbalanceError) as caught:
        make_folds(snapshot_of(EIGHT), replace(OPTIONS, **changes), folds)
    assert caught.value.kind == kind


def test_each_repetition_is_a_division_of_its_own_with_the_next_seed() -> None:
    snapshot = snapshot_of(mixed_volumes(6, 9))
    several = list(make_folds(snapshot, OPTIONS, 3, repeats=2))
    assert [plan.header.output for plan in several] == [
        f"/data/out/repeat{repeat}/fold{fold}" for repeat in (1, 2) for fold in (1, 2, 3)
    ]
    for repeat in (1, 2):
        with_seed = replace(OPTIONS, split_seed=OPTIONS.split_seed + repeat - 1)
        of_repeat = several[3 * repeat - 3 : 3 * repeat]
        for number, (plan, alone) in enumerate(
            zip(of_repeat, make_folds(snapshot, with_seed, 3), strict=True), start=1
        ):
            assert plan.header.split_digest == alone.header.split_digest
            assert plan.header.parameters["fold"] == {"fold": number, "of": 3, "repeat": repeat, "repeats": 2}
            assert plan.header.parameters["split_seed"] == with_seed.split_seed
            assert plan.body == alone.body
            parse_header(plan.first_line)
        tests = [volume for plan in of_repeat for volume, split in splits_of(plan).items() if split == "test"]
        assert sorted(tests) == sorted(mixed_volumes(6, 9))
    assert several[0].header.split_digest != several[3].header.split_digest


def test_one_repetition_has_the_bytes_of_folds_without_repetitions() -> None:
    snapshot = snapshot_of(mixed_volumes(6, 9))
    both = [[plan_bytes(plan) for plan in make_folds(snapshot, OPTIONS, 3, *more)] for more in ((), (1,))]
    assert both[0] == both[1]


SITES = {f"v{index}": ("north", "south", "a/b c")[index % 3] for index in range(12)}
TWELVE = {volume: "..+..." if index % 2 else "....." for index, volume in enumerate(SITES)}


def sites(site_of: dict[str, str], group_of: dict[str, str] | None = None, **changes: Any) -> PlanOptions:
    groups = {volume: volume for volume in site_of} | (group_of or {})
    return replace(
        OPTIONS, group_map=GroupMap(groups, {"site": site_of, "hand": dict.fromkeys(groups, "L")}), **changes
    )


def test_each_value_is_test_once_and_train_and_val_share_the_others() -> None:
    plans = list(make_left_out(snapshot_of(TWELVE), sites(SITES, stratify=("hand",)), "site"))
    assert [plan.header.output for plan in plans] == ["/data/out/a_b_c", "/data/out/north", "/data/out/south"]
    for number, (plan, value) in enumerate(zip(plans, ("a/b c", "north", "south"), strict=True), start=1):
        splits = splits_of(plan)
        assert {volume for volume, split in splits.items() if split == "test"} == {
            volume for volume, site in SITES.items() if site == value
        }
        assert Counter(splits.values()) == {"train": 6, "val": 2, "test": 4}
        fold = {"fold": number, "of": 3, "leave_out": "site", "value": value}
        assert plan.header.parameters["fold"] == fold
        assert plan.header.parameters["test_ratio"] is None
        assert plan.header.parameters["stratify"] == ["hand"]
        assert [plan.header.targets["test"][name]["distance"] for name in ("positive", "negative")] == [0, 0]
        parse_header(plan.first_line)
        with pytest.raises(PlanError, match="one of several folds"):
            options_from_plan(plan.header)


def test_a_value_without_a_positive_slice_is_warned_of() -> None:
    volumes = {volume: "....." if site == "north" else "..+..." for volume, site in SITES.items()}
    plans = list(make_left_out(snapshot_of(volumes), sites(SITES), "site"))
    assert "test holds no positive slice (8 positive groups in all)." in plans[1].header.warnings
    assert not any("holds no positive" in warning for warning in plans[0].header.warnings)


@pytest.mark.parametrize(
    ("options", "column", "kind", "says"),
    [
        (sites(SITES), "scanner", "no-such-column", "--leave-out scanner"),
        (OPTIONS, "site", "no-such-column", "group map"),
        (sites(dict.fromkeys(SITES, "one")), "site", "one-value", "all volumes have the value one"),
        (sites(SITES | {"v0": "NORTH"}), "site", "same-folder", "NORTH and north would both have the folder north"),
        (sites(SITES, {"v0": "p", "v1": "p"}), "site", "group-has-two-values", "p: north (v0) and south (v1)"),
        (sites(SITES | {"v4": ""}), "site", "volume-without-value", "1 volume has no value: v4"),
        (sites(SITES, keep_split=("test",)), "site", "folds-fix-nothing", "--keep-split does not go with --leave-out"),
        (sites(SITES | {"v0": "a\x07"}), "site", "bad-map", "holds a control character"),
    ],
)
def test_a_column_of_which_no_value_can_be_left_out(options: PlanOptions, column: str, kind: str, says: str) -> None:
    with pytest.raises(PlanbalanceError) as caught:
        make_left_out(snapshot_of(TWELVE), options, column)
    assert caught.value.kind == kind
    assert says in caught.value.message
    assert caught.value.hint or kind == "folds-fix-nothing"


@pytest.mark.parametrize(
    ("value", "folder"),
    [("Graz", "Graz"), ("Zürich", "Zürich"), ("-x", "_x"), ("..", "_."), ("a/b:c", "a_b_c"), ("é" * 80, "é" * 50)],
)
def test_a_value_as_the_name_of_a_folder(value: str, folder: str) -> None:
    options = sites({volume: value if site == "north" else "other" for volume, site in SITES.items()})
    plans = make_left_out(snapshot_of(TWELVE), options, "site")
    assert {plan.header.output for plan in plans} == {"/data/out/other", f"/data/out/{folder}"}


def test_the_selection_alone_can_be_asked_for() -> None:
    selection = select_slices(snapshot_of(EIGHT), OPTIONS)
    assert [volume.id for volume in selection.volumes] == sorted(EIGHT)
    assert (selection.grouped.by, selection.naming) == ("volume", Naming("im-dash"))


def test_label_folders_that_share_a_label_are_refused() -> None:
    """Two image folders with one label folder: the label would count twice."""
    folders = (Folder("images/train", "labels", "train"), Folder("images/val", "labels", "val"))
    images = tuple(
        image_file(f"IM{index}-{volume}.png", "+", folder)._replace(label="labels/same.txt")
        for volume, folder, index in (("a", 0, 1), ("b", 1, 1), ("c", 0, 2))
    )
    snapshot = Snapshot((Input("/data/in", "", folders, ("tear",)),), images, (0,), (0,), (), 0)
    error = refused(snapshot)
    assert (error.kind, error.paths) == ("collision", ("/data/in/labels/same.txt",))
