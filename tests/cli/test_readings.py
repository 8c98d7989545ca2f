"""`scan`, `plan` and `verify` say first how names were read, what is split, and how many slices volumes have."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import mixed_volumes, write, yolo_tree
from tests.cli.command import KNEES, run, run_json

EXAMPLE = "IM1-01-02-00000.png is slice 1 of volume 01-02-00000"
OF_KNEES = {"minimum": 3, "median": 3, "maximum": 3, "volumes": 12, "single": 0}


@pytest.fixture(autouse=True)
def yaml_without_splits(here: Path) -> None:
    """Folders say what is in which split."""
    write(here / "in/dataset.yaml", b"names: [tear]\n")


def first_lines(said: str) -> list[str]:
    return [line.rstrip() for line in said.splitlines()[:5]]


def assert_said_first(said: str, volumes: str) -> None:
    lines = first_lines(said)
    assert lines[0] == "Names   read by the rule im-dash"
    assert lines[1] == f"        {EXAMPLE}"
    assert lines[2].startswith("        IM")
    assert lines[3] == "Unit    volume (patients NOT checked: no --group-map)"
    assert lines[4].startswith(f"Volumes {volumes}")


@pytest.mark.parametrize(
    "words", [("scan", "in"), ("plan", "in", "--output", "out"), ("verify", "in"), ("verify", "in", "--quick")]
)
def test_names_unit_and_slices_come_first(here: Path, words: tuple[str, ...]) -> None:
    found = run_json(*words)
    assert_said_first(run(*words).stdout, "12; slices per volume: minimum 3, median 3, maximum 3; 0 with one slice")
    assert list(found)[:5] == ["naming", "unit", "grouped_by", "groups", "slices_per_volume"]
    assert found["naming"]["rule"] == "im-dash"
    assert found["naming"]["examples"][0] == EXAMPLE
    assert (found["unit"], found["grouped_by"], found["groups"]) == ("volume", "volume", 12)
    assert found["slices_per_volume"] == OF_KNEES


def test_a_volume_of_one_slice_is_counted(here: Path) -> None:
    yolo_tree(here / "in", {"99": "+"}, names=None)
    for words in (("scan", "in"), ("plan", "in", "--output", "out"), ("verify", "in")):
        slices = run_json(*words)["slices_per_volume"]
        assert slices == {"minimum": 1, "median": 3, "maximum": 3, "volumes": 13, "single": 1}


@pytest.mark.parametrize("options", [(), ("--quick",), ("--volume-pattern", "im-dash")])
def test_verify_counts_what_is_in_the_tree(here: Path, options: tuple[str, ...]) -> None:
    """Not what the plan was made of: undersampling has left slices out, and somebody has removed one."""
    yolo_tree(here / "mixed", mixed_volumes(5, 9, seed=1))
    run("plan", "mixed", "--output", "out")
    run("apply")
    gone, *_ = sorted((here / "out/images/train").iterdir())
    gone.unlink()
    slices: dict[str, int] = {}
    for image in (here / "out/images").rglob("*.png"):
        volume = image.stem.split("-", 1)[1]
        slices[volume] = slices.get(volume, 0) + 1
    found = run_json("verify", "out", *options, code=6)
    assert found["slices_per_volume"]["volumes"] == len(slices)
    assert found["slices_per_volume"]["minimum"] == min(slices.values())
    assert found["slices_per_volume"]["maximum"] == max(slices.values())
    assert found["slices_per_volume"]["single"] == list(slices.values()).count(1)
    assert found["naming"]["rule"] == "im-dash"
    assert len(found["naming"]["examples"]) == 2
    assert found["plan_digest"] == run_json("show")["digest"]


def test_an_image_in_two_splits_is_one_slice(here: Path) -> None:
    write(here / "in/data.yaml", b"path: .\ntrain: images/train\nval: images/train\nnames: [tear]\n")
    assert run_json("verify", "in/data.yaml", code=6)["slices_per_volume"] == OF_KNEES


def test_the_pattern_that_was_asked_for_is_the_one_that_is_said(here: Path) -> None:
    run("build", "in", "--output", "out", "--mode", "symlink")
    pattern = r"IM(?P<slice>\d+)-(?P<volume>.+)"
    found = run_json("verify", "out", "--volume-pattern", pattern)
    assert (found["naming"]["rule"], found["naming"]["pattern"]) == ("regex", pattern)
    assert len(found["naming"]["examples"]) == 2
    assert f"Names   read by the rule regex {pattern}" in run("verify", "out", "--volume-pattern", pattern).stdout


def test_the_finish_of_shards_says_it_too(here: Path) -> None:
    run("build", "in", "--output", "out")
    whole = run_json("verify", "out")
    for shard in ("1/2", "2/2"):
        run("verify", "out", "--shard", shard)
    assert run_json("verify", "out", "--finish") == whole
    assert whole["naming"]["examples"][0] == EXAMPLE


def test_another_dataset_is_read_by_names_of_its_own(here: Path) -> None:
    yolo_tree(
        here / "other", {f"knee{number}": "+.." for number in range(6)}, name="{volume}_{slice:03d}.png", names=None
    )
    found = run_json("verify", "in", "--against", "other")
    against = next(check for check in found["checks"] if check["name"].startswith("against"))
    assert against["reason"].startswith(
        "its names are read by the rule trailing-number (knee0_001.png is slice 1 of volume knee0): 6 volumes"
    )


def test_patients_and_where_they_come_from(here: Path) -> None:
    rows = "".join(f"{volume},p{number // 2}\n" for number, volume in enumerate(KNEES))
    write(here / "map.csv", f"volume,group\n{rows}".encode())
    pattern = r"IM(?P<slice>\d+)-(?P<volume>(?P<patient>.+)\d)"
    run("plan", "in", "--output", "out", "--group-map", "map.csv", "--negatives-per-positive", "all")
    run("apply", "--mode", "symlink")
    for words in (
        ("scan", "in", "--group-map", "map.csv"),
        ("plan", "in", "--output", "out", "--group-map", "map.csv"),
        ("verify", "out"),
        ("verify", "in", "--group-map", "map.csv"),
    ):
        found = run_json(*words)
        assert (found["unit"], found["grouped_by"], found["groups"]) == ("patient", "map", 6)
        said = run(*words).stdout
        assert "Unit    patient, as the group map says: 6 in all\n" in said
        assert words[0] != "plan" or "no volume and no patient is in two splits." in " ".join(said.split())
    for words in (("scan", "in"), ("verify", "in")):
        found = run_json(*words, "--volume-pattern", pattern)
        assert (found["unit"], found["grouped_by"], found["groups"]) == ("patient", "patient", 2)


# ---- splits and classes ---------------------------------------------------------------------------------------------


def test_scan_says_which_of_the_inputs_splits_hold_nothing_to_measure(here: Path) -> None:
    (here / "in/images/val").mkdir()
    yolo_tree(here / "in", {"50": "...", "51": "..."}, images="images/test", names=None)
    found = run_json("scan", "in")
    assert found["empty_splits"] == ["val"]
    assert found["warnings"] == ["val holds no slice.", "test holds no positive slice."]
    said = run("scan", "in").stdout
    assert said.rstrip().endswith("! val holds no slice.\n  ! test holds no positive slice.")
    assert run_json("scan", "in/images/..")["inputs"]


def test_scan_of_whole_splits_warns_of_nothing(here: Path) -> None:
    found = run_json("scan", "in")
    assert (found["empty_splits"], found["warnings"]) == ([], [])
    assert "Warnings" not in run("scan", "in").stdout


def test_plan_says_whether_it_counts_volumes_of_which_nothing_is_kept(here: Path) -> None:
    yolo_tree(here / "mixed", mixed_volumes(4, 30, seed=2))
    planned = run_json("plan", "mixed", "--output", "out")
    volumes = planned["volume_statistics"]
    emptied = volumes["train_volumes"] - planned["kept_volumes"]["train"]
    rows = json.loads((here / "plan.json").read_text())["volumes"]
    assert emptied == sum(row["kept"] == 0 for row in rows) > 0
    said = run("plan", "mixed", "--output", "out", "--verbose").stdout
    assert f"These numbers include {emptied} volumes of train of which undersampling keeps no slice." in said
    assert (
        "keeps at least one slice of every volume"
        in run("plan", "mixed", "--output", "out", "--negatives-per-positive", "all", "--verbose").stdout
    )
    short = "Volumes without a kept slice are counted."
    assert short in " ".join(run("plan", "mixed", "--output", "out").stdout.split())
    assert short not in run("plan", "mixed", "--output", "out", "--negatives-per-positive", "all").stdout


def two_classes(root: Path) -> Path:
    """Twelve volumes: a mass in every second one, a cyst in the first alone."""
    yolo_tree(root, {f"v{number:02d}": "..+" if number % 2 else "..." for number in range(12)}, names=None)
    write(root / "labels/train/IM3-v01.txt", b"0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n")
    write(root / "dataset.yaml", b"path: .\ntrain: images/train\nval: images/train\nnames: [mass, cyst, scar]\n")
    return root


def rows_of(said: str, title: str) -> dict[str, str]:
    lines = said.split(f"\n{title}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def test_plan_has_a_table_of_classes_by_split(here: Path) -> None:
    two_classes(here / "two")
    words: tuple[Any, ...] = ("plan", "two", "--output", "out", "--split-map", split_map(here))
    planned = run_json(*words)
    mass, cyst = planned["classes"]
    assert (mass["class"], mass["name"]) == (0, "mass")
    assert (mass["train"], mass["val"], mass["test"]) == tuple(
        {"boxes": number, "slices": number, "units": number} for number in (4, 1, 1)
    )
    assert (cyst["name"], cyst["train"]) == ("cyst", {"boxes": 2, "slices": 1, "units": 1})
    shares = rows_of(run(*words).stdout, "Classes (share of their boxes by split; volumes of train / val / test)")
    assert shares["mass"] == "6 66.7 % 16.7 % 16.7 % 4 / 1 / 1"
    assert shares["cyst"] == "2 100.0 % none none 1 / 0 / 0"
    said = run(*words, "--verbose").stdout
    rows = rows_of(said, "Classes in the final splits (boxes / slices / volumes with the class)")
    assert (rows["mass"], rows["cyst"]) == ("4 / 4 / 4 1 / 1 / 1 1 / 1 / 1", "2 / 1 / 1 none none")
    shown = rows_of(run("show", "--verbose").stdout, "Boxes of each class, before undersampling")
    assert (shown["mass"], shown["cyst"]) == ("4 1 1", "2 none none")
    near = "For all 2 classes, no split with the wanted numbers of volumes has the boxes nearer to the ratios (proven)."
    for text in (said, run("show", "--verbose").stdout):
        assert near in " ".join(text.split())
    for warning in (
        "val holds no box of 1 class: cyst; a result on val says nothing about it.",
        "test holds no box of 1 class: cyst; a result on test says nothing about it.",
        "No label holds a box of 1 class: scar.",
    ):
        assert warning in planned["warnings"]
        assert warning in json.loads((here / "plan.json").read_text())["warnings"]


def test_one_class_needs_no_table(here: Path) -> None:
    assert run_json("plan", "in", "--output", "out")["classes"] == []
    assert "Classes in" not in run("plan", "in", "--output", "out").stdout
    assert "Boxes of each class" not in run("show").stdout


def test_the_table_counts_what_undersampling_leaves(here: Path) -> None:
    """A slice of another class than the positive one is a negative, and may be left out with its boxes."""
    root = two_classes(here / "two")
    for number in range(12):
        write(root / f"labels/train/IM1-v{number:02d}.txt", b"2 0.5 0.5 0.1 0.1\n")
    words = ("plan", "two", "--output", "out", "--positive-class", "0", "--split-map", split_map(here))
    scar = next(row for row in run_json(*words)["classes"] if row["name"] == "scar")
    run("apply")
    left = [label for label in (here / "out/labels/train").iterdir() if label.read_bytes().startswith(b"2")]
    assert scar["train"]["boxes"] == scar["train"]["slices"] == len(left) < 8
    assert scar["val"]["boxes"] == 2


def split_map(here: Path) -> str:
    splits = {0: "val", 3: "val", 2: "test", 5: "test"}
    rows = "".join(f"v{number:02d},{splits.get(number, 'train')}\n" for number in range(12))
    return str(write(here / "splits.csv", f"volume,split\n{rows}".encode()))


def test_patients_of_a_slice_map_are_told_as_the_maps(here: Path) -> None:
    rows = "".join(
        f"IM{number}-{volume}.png,{volume},p{index // 3}\n"
        for index, volume in enumerate(KNEES)
        for number in (1, 2, 3)
    )
    write(here / "slices.csv", f"image,volume,patient\n{rows}".encode())
    for words in (("scan", "in"), ("plan", "in", "--output", "out"), ("verify", "in")):
        found = run_json(*words, "--slice-map", "slices.csv")
        assert (found["unit"], found["grouped_by"], found["groups"]) == ("patient", "slice-map", 4)
        assert found["slices_per_volume"] == OF_KNEES


def test_patients_of_a_dataset_without_splits(here: Path) -> None:
    """Nothing can be shared between splits, and still the unit is told."""
    yolo_tree(here / "bare", dict.fromkeys(KNEES, "+.."), images="images", names=None)
    rows = "".join(f"{volume},p{number // 2}\n" for number, volume in enumerate(KNEES))
    write(here / "map.csv", f"volume,group\n{rows}".encode())
    for options, by, groups in (
        ((), "volume", 12),
        (("--volume-pattern", r"IM(?P<slice>\d+)-(?P<volume>(?P<patient>.+)\d)"), "patient", 2),
        (("--group-map", "map.csv"), "map", 6),
    ):
        found = run_json("verify", "bare", *options)
        assert (found["grouped_by"], found["groups"], found["slices_per_volume"]["volumes"]) == (by, groups, 12)
