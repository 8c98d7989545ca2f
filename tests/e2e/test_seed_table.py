"""Issue: the guide's own table, on a dataset of its shape: 550 volumes, 94,440 slices."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders import seed_shaped_tree, tree_state
from tests.e2e.command import planbalance, planbalance_json
from tests.e2e.recount import SPLITS, recount

pytestmark = [pytest.mark.full_size, pytest.mark.timeout(900)]

GUIDE = {  # split: (positive, negative, positive volumes, negative volumes), before undersampling
    "train": (12_791, 53_317, 65, 320),
    "val": (2_741, 11_425, 14, 69),
    "test": (2_741, 11_425, 14, 68),
}


def test_the_guides_tables_come_out_and_sha256sum_accepts_the_manifest(tmp_path: Path) -> None:
    source = seed_shaped_tree(tmp_path / "yolo_dataset")
    before = tree_state(source)
    output = tmp_path / "balanced_yolo_dataset"

    # Every option as the guide spells it.
    ratios = ("--train_ratio", "0.7", "--val_ratio", "0.15", "--test_ratio", "0.15", "--seed", "42")
    plan = planbalance_json("plan", "--input", source, "--output", output, *ratios, cwd=tmp_path)
    for split, (positive, negative, positive_volumes, negative_volumes) in GUIDE.items():
        had = plan["statistics"]["before"][split]
        assert (had["positive"], had["negative"]) == (positive, negative)
        assert plan["volume_statistics"][split] == {"positive": positive_volumes, "negative": negative_volumes}
    assert plan["statistics"]["removed"] == 40_526
    assert not output.exists()

    planbalance("apply", "--quiet", cwd=tmp_path)
    planbalance("verify", "--quiet", cwd=tmp_path)

    metadata = json.loads((output / "balanced_dataset_metadata.json").read_text())
    kept = metadata["volume_statistics"].pop("kept_volumes")
    assert kept == {split: len(metadata["slice_details"][split]) for split in ("train", "val", "test")}
    assert metadata["volume_statistics"] == {
        "train_volumes": 385,
        "val_volumes": 83,
        "test_volumes": 82,
        "total_volumes": 550,
        "no_overlap_verified": True,
    }
    statistics = metadata["statistics"]
    assert statistics["splits"]["train"] == of(12_791, 12_791)
    assert statistics["splits"]["val"] == statistics["splits"]["test"] == of(2_741, 11_425)
    assert statistics["train_balance_ratio"] == "12791:12791"
    assert statistics["val_balance_ratio"] == statistics["test_balance_ratio"] == "2741:11425"
    assert (statistics["total_images"], statistics["total_tear"], statistics["total_no_tear"]) == (
        53_914,
        18_273,
        35_641,
    )

    counted = recount(output, r"IM\d+-(?P<volume>.+)")
    assert {split: (counted[split].positive, counted[split].negative) for split in SPLITS} == {
        "train": (12_791, 12_791),
        "val": (2_741, 11_425),
        "test": (2_741, 11_425),
    }
    assert len(counted["val"].volumes) == 83
    assert len(counted["test"].volumes) == 82
    assert tree_state(source) == before
    assert_manifest(output)


def of(positive: int, negative: int) -> dict[str, int]:
    """Return one split's counts in the metadata's shape."""
    return {
        "total": positive + negative,
        "positive": positive,
        "negative": negative,
        "tear": positive,
        "no_tear": negative,
    }


def assert_manifest(output: Path) -> None:
    """The sums of all images, labels, hyps and metadata are there, and sha256sum accepts them."""
    listed = (output / "manifest-sha256.txt").read_text().count("\n")
    assert listed == 2 * 53_914 + 2
    if shutil.which("sha256sum") is None:
        pytest.skip("all but the manifest was tested: sha256sum is not installed")
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "--strict", "manifest-sha256.txt"],
        cwd=output,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
