"""What changes between two plans."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.diff import Changed, Flow, Moved, Placed, PlanDiff, diff_plans
from planbalance.model import SPLITS, Snapshot
from planbalance.planner import PlanOptions, make_plan
from tests.builders import mixed_volumes
from tests.planning import Readable, kept_names, snapshot_of, splits_of

SMALL = {"v1": "+..", "v2": "+..", "v3": "+..", "v4": "...", "v5": "...", "v6": "..."}
FIXED: Any = {"v1": "train", "v2": "val", "v3": "test", "v4": "train", "v5": "val", "v6": "test"}


def readable(snapshot: Snapshot, **changes: Any) -> Readable:
    return Readable(make_plan(snapshot, replace(PlanOptions("/data/out", split_map=FIXED), **changes)))


def difference(volumes: dict[str, str], **changes: Any) -> PlanDiff:
    return diff_plans(readable(snapshot_of(SMALL)), readable(snapshot_of(volumes), **changes))


def test_a_plan_does_not_differ_from_itself() -> None:
    found = difference(SMALL)
    assert found.identical
    assert found.same_split
    assert (found.moved, found.added, found.removed, found.labels_changed, found.parameters) == ((), (), (), (), ())
    assert found.slices == {"train": Flow(0, 0, 2), "val": Flow(0, 0, 6), "test": Flow(0, 0, 6)}


def test_a_volume_that_moved_takes_its_slices_along() -> None:
    found = difference(SMALL, negatives_per_positive=None)
    assert found.slices["train"] == Flow(4, 0, 2)
    swapped = {**FIXED, "v5": "test", "v6": "val"}
    moved = diff_plans(readable(snapshot_of(SMALL)), readable(snapshot_of(SMALL), split_map=swapped))
    assert moved.moved == (Moved("v5", "val", "test"), Moved("v6", "test", "val"))
    assert moved.slices == {"train": Flow(0, 0, 2), "val": Flow(3, 3, 3), "test": Flow(3, 3, 3)}
    assert not moved.same_split
    assert moved.parameters == ()


def test_volumes_that_come_and_go() -> None:
    volumes = {volume: letters for volume, letters in SMALL.items() if volume != "v6"}
    found = difference({**volumes, "v7": "+"}, split_map={**FIXED, "v7": "val"})
    assert found.added == (Placed("v7", "val"),)
    assert found.removed == (Placed("v6", "test"),)
    assert found.slices["test"].left == 3


def test_labels_that_changed_are_named() -> None:
    found = difference({**SMALL, "v2": "..+", "v5": "..-"}, missing_label="empty")
    assert found.labels_changed == ("IM1-v2.png", "IM3-v2.png")  # a missing label means what an empty one does
    assert found.moved == ()


def test_options_that_differ_are_named() -> None:
    found = difference(SMALL, sample_seed=7, layout="by-volume", output="/data/elsewhere")
    assert found.parameters == (
        Changed("layout", "keep", "by-volume"),
        Changed("output", "/data/out", "/data/elsewhere"),
        Changed("sample_seed", 42, 7),
    )


def test_another_layout_or_place_is_the_same_split() -> None:
    old = readable(snapshot_of(SMALL))
    new = readable(snapshot_of(SMALL, root="/elsewhere"), layout="by-volume")
    found = diff_plans(old, new)
    assert found.same_split
    assert not found.identical
    assert sum(flow.entered + flow.left for flow in found.slices.values()) == 0


@given(st.integers(0, 50), st.integers(0, 50), st.sampled_from(["0.5", "1", "2"]))
@settings(max_examples=25, deadline=None)
def test_flows_add_up(one: int, another: int, ratio: str) -> None:
    """Law: old slices are those that left and stayed, new ones those that entered and stayed."""
    snapshot = snapshot_of(mixed_volumes(5, 7))
    options = PlanOptions("/data/out", split_seed=one, sample_seed=one)
    old = Readable(make_plan(snapshot, options))
    changed = replace(options, split_seed=another, negatives_per_positive=Decimal(ratio))
    new = Readable(make_plan(snapshot, changed))
    found = diff_plans(old, new)
    for split in SPLITS:
        before, after = kept_names(old.sealed, split), kept_names(new.sealed, split)
        assert found.slices[split] == Flow(len(after - before), len(before - after), len(before & after))
    assert {(each.volume, each.old, each.new) for each in found.moved} == {
        (volume, split, splits_of(new.sealed)[volume])
        for volume, split in splits_of(old.sealed).items()
        if split != splits_of(new.sealed)[volume]
    }
    assert orjson.loads(orjson.dumps(found.to_json()))["new_digest"] == new.header.digest
