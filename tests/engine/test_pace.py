"""How many workers, and how much a batch: a rule over the first measurement."""

import pytest

from planbalance.engine.pace import Measured, Pace, pace
from planbalance.model import Mode


@pytest.mark.parametrize(
    ("way", "seconds", "size", "expected"),
    [
        ("symlink", 6e-6, 0, Pace(1, 512)),
        ("hardlink", 50e-6, 0, Pace(1, 512)),
        ("symlink", 8e-3, 0, Pace(32, 31)),
        ("hardlink", 0.5, 0, Pace(32, 16)),
        ("copy", 40e-6, 4096, Pace(1, 512)),
        ("copy", 400e-6, 500_000, Pace(2, 512)),
        ("copy", 16e-3, 4096, Pace(8, 16)),
        ("symlink", 0.0, 0, Pace(1, 512)),
    ],
)
def test_links_on_a_fast_disk_want_one_loop_and_waiting_wants_workers(
    way: Mode, seconds: float, size: float, expected: Pace
) -> None:
    assert pace(way, Measured(seconds, size), 2, None) == expected


def test_the_users_wish_is_kept() -> None:
    assert pace("symlink", Measured(8e-3, 0), 2, 5).jobs == 5
