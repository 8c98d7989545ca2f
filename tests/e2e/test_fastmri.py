"""Issue: the main job on real annotations. Every number is recounted from the tree, by other code."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.builders import tree_state
from tests.e2e.command import planbalance, planbalance_json
from tests.e2e.recount import SPLITS, Counted, recount
from tests.fastmri import TEAR, class_names, knee_tree, label_texts, needs_annotations, slice_counts

pytestmark = [needs_annotations, pytest.mark.full_size, pytest.mark.timeout(900)]

NAMES = {
    "im-dash": ("IM{slice}-{volume}", r"IM\d+-(?P<volume>.+)"),
    "trailing-number": ("{volume}_{index}", r"(?P<volume>.+)_\d+"),
}
VOLUMES = 1172
# Every mode on every run, on one tree: to write another takes longer than to build from it.
PAIRS = [
    pytest.param("im-dash", ("copy", "symlink", "hardlink")),
    pytest.param("trailing-number", ("copy", "symlink", "hardlink"), marks=pytest.mark.torture),
]


def test_the_annotations_are_what_the_issue_says() -> None:
    texts = label_texts(every_pathology=False)
    assert len(texts) == 4858
    assert len({volume for volume, _ in texts}) == 663
    assert len(slice_counts()) == VOLUMES


@pytest.mark.parametrize(("rule", "modes"), PAIRS)
def test_build_in_each_mode_agrees_with_an_independent_recount(
    tmp_path: Path, rule: str, modes: tuple[str, ...]
) -> None:
    name, pattern = NAMES[rule]
    source = knee_tree(tmp_path / "knee", name=name)
    before = tree_state(source)
    assert planbalance_json("scan", source, cwd=tmp_path)["naming"]["rule"] == rule

    for mode in modes:
        output = tmp_path / f"balanced-{mode}"
        built = planbalance_json("build", source, "--output", output, "--mode", mode, cwd=tmp_path)
        counted = recount(output, pattern)
        assert_numbers_agree(built, json.loads((output / "balanced_dataset_metadata.json").read_text()), counted)
        assert_links(output, mode)
        assert built["verify"]["ok"] is True
        planbalance("verify", output, "--quiet", cwd=tmp_path)
    assert tree_state(source) == before


def assert_numbers_agree(built: Any, metadata: Any, counted: dict[str, Counted]) -> None:
    """Compare every number that the tool printed or stored with the recount."""
    statistics = built["plan"]["statistics"]
    for told in (statistics, metadata["statistics"]):
        for split in SPLITS:
            counts = counted[split]
            said = told["splits"][split]
            assert (said["total"], said["positive"], said["negative"]) == (
                counts.total,
                counts.positive,
                counts.negative,
            )
        assert told["total_images"] == sum(counts.total for counts in counted.values())
        assert told["total_positive"] == sum(counts.positive for counts in counted.values())
        assert told["total_negative"] == sum(counts.negative for counts in counted.values())
    assert counted["train"].positive == counted["train"].negative
    assert sum(counts.positive for counts in counted.values()) == 4858
    assert sum(counts.boxes for counts in counted.values()) == 5658
    slices = slice_counts()
    for split in ("val", "test"):
        assert counted[split].total == sum(slices[volume] for volume in counted[split].volumes)
    assert statistics["removed"] == sum(slices.values()) - metadata["statistics"]["total_images"]
    assert metadata["slice_details"] == {split: counted[split].slices for split in SPLITS}
    assert_no_volume_twice(metadata["volume_statistics"], counted)


def assert_no_volume_twice(told: Any, counted: dict[str, Counted]) -> None:
    """No volume in two splits, and all are somewhere (train may have lost all slices of a negative one)."""
    train, val, test = (counted[split].volumes for split in SPLITS)
    assert not train & val
    assert not train & test
    assert not val & test
    assert (told["val_volumes"], told["test_volumes"]) == (len(val), len(test))
    assert told["train_volumes"] == VOLUMES - len(val) - len(test) >= len(train)
    assert told["total_volumes"] == VOLUMES
    assert told["no_overlap_verified"] is True


def assert_links(output: Path, mode: str) -> None:
    """The first image of each split is what the mode says."""
    for split in SPLITS:
        folder = output / "images" / split
        image = folder / min(os.listdir(folder))
        assert image.is_symlink() == (mode == "symlink")
        assert (image.lstat().st_nlink > 1) == (mode == "hardlink")


def test_tears_are_counted_alone_among_21_pathologies(tmp_path: Path) -> None:
    """--positive-class changes what counts as positive."""
    source = knee_tree(tmp_path / "knee", name=NAMES["trailing-number"][0], every_pathology=True)
    names = class_names(every_pathology=True)
    assert len(names) == 21
    options = ("--positive-class", names.index(TEAR), "--output", tmp_path / "out")
    plan = planbalance_json("plan", source, *options, cwd=tmp_path)
    assert plan["naming"]["rule"] == "trailing-number"
    assert plan["statistics"]["total_positive"] == 4858
    assert not any("tear" in key for key in plan["statistics"])
    told = plan["statistics"]["splits"]["train"]
    assert told["positive"] == told["negative"]
