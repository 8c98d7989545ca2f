"""The guide's dataset, 94,440 slices, killed at 10, 50 and 90 % and resumed: how much is not done again."""

from pathlib import Path

import pytest

from tests.builders import mixed_volumes, seed_shaped_tree, yolo_tree
from tests.conftest import Trials
from tests.faults.long import Long
from tests.faults.scene import PLACING
from tests.systems import needs_boot_id


@needs_boot_id
def test_killed_in_the_middle_of_a_thousand_slices(in_memory: Path) -> None:
    long = Long(in_memory)
    yolo_tree(long.source, mixed_volumes(40, 160))
    long.make_plan()
    assert "were not done again" in long.trial("copy", 0.3, long.undisturbed("copy"))


@pytest.fixture
def full(in_memory: Path) -> Long:
    long = Long(in_memory)
    seed_shaped_tree(long.source, image_size=2048)
    long.make_plan()
    assert long.slices == 94_440
    return long


@pytest.mark.torture(row=9)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", PLACING)
def test_killed_at_full_size(full: Long, trials: Trials, mode: str) -> None:
    whole = full.undisturbed(mode)
    for share in (0.1, 0.5, 0.9):
        trials.tell(full.trial(mode, share, whole))
        trials.count()
