"""The same volume id in several inputs: names cannot tell whether it is one scan, so the user says it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.errors import InputError, UsageError
from planbalance.model import InputSpec, PlanHeader
from planbalance.page.commands import steps
from tests.builders import mixed_volumes, write, yolo_tree
from tests.plans import parts, signed_plan

VOLUMES = mixed_volumes(5, 7, smallest=3, largest=6)
Sites = Callable[..., list[InputSpec]]


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    """Two sites whose scanners count alike, and whose files are called alike; their names may be given."""
    yolo_tree(tmp_path / "a", VOLUMES)
    other = yolo_tree(tmp_path / "b", dict(list(VOLUMES.items())[2:]))
    for image in other.rglob("*.png"):
        image.write_bytes(image.read_bytes() + b"other")

    def specs(first: str = "north", second: str = "south") -> list[InputSpec]:
        return [InputSpec(str(tmp_path / "a"), first), InputSpec(str(tmp_path / "b"), second)]

    return specs


def planned(specs: list[InputSpec], folder: Path, **keywords: Any) -> PlanHeader:
    folder.mkdir(exist_ok=True)
    return api.plan(specs, output=str(folder / "out"), plan_file=str(folder / "plan.json"), **keywords).header


@pytest.mark.parametrize("names", [("north", "south"), ("", "south"), ("north", "")])
def test_a_run_stops_until_it_is_known_whether_an_id_is_one_volume(
    tmp_path: Path, sites: Sites, names: tuple[str, str]
) -> None:
    for run in (api.scan, lambda specs: planned(specs, tmp_path)):
        with pytest.raises(InputError) as caught:
            run(sites(*names))
        error = caught.value
        assert (error.kind, error.exit_code) == ("shared-ids", 3)
        assert error.message.startswith("10 volume ids occur in several inputs, and names cannot tell whether that is")
        assert error.paths == tuple(list(VOLUMES)[2:])
        image = "images/train/IM1-01-02-00002.png"
        assert f"For example {tmp_path}/a/{image} and {tmp_path}/b/{image}." in error.message
        assert "--shared-ids same" in error.hint
        assert "--shared-ids different" in error.hint
    assert not (tmp_path / "plan.json").exists()


def test_the_same_volume_keeps_its_id_and_its_slices_stay_together(tmp_path: Path, sites: Sites) -> None:
    assert len(api.scan(sites(), shared_ids="same").volumes) == 12
    header = planned(sites(), tmp_path, shared_ids="same", layout="by-volume")
    assert [volume.id for volume in header.volumes] == list(VOLUMES)
    assert header.volumes[2].slices == 2 * len(VOLUMES["01-02-00002"])
    api.apply(str(tmp_path / "plan.json"))
    names = {path.name for path in (tmp_path / "out/images").rglob("*.png")}
    assert {name.partition("-")[0] for name in names} == {"north", "south"}
    audit = api.verify(str(tmp_path / "out"))
    assert audit.ok
    assert "--shared-ids same" in steps(header, "plan.json")[0].command.replace("\\\n    ", "")


def test_different_volumes_get_the_name_of_their_input(tmp_path: Path, sites: Sites) -> None:
    header = planned(sites("", "south"), tmp_path, shared_ids="different")
    assert [volume.id for volume in header.volumes] == [*VOLUMES, *(f"south-{volume}" for volume in list(VOLUMES)[2:])]
    assert header.parameters["shared_ids"] == "different"
    api.apply(str(tmp_path / "plan.json"))
    assert api.verify(str(tmp_path / "out")).ok


def test_a_prefix_alone_does_not_divide_a_volume(tmp_path: Path) -> None:
    """Ids that occur in one input only are not changed by a prefix: nothing has to be asked."""
    yolo_tree(tmp_path / "a", dict(list(VOLUMES.items())[:6]))
    yolo_tree(tmp_path / "b", dict(list(VOLUMES.items())[6:]))
    specs = [InputSpec(str(tmp_path / "a"), "north"), InputSpec(str(tmp_path / "b"))]
    header = planned(specs, tmp_path)
    assert [volume.id for volume in header.volumes] == list(VOLUMES)
    assert header.parameters["shared_ids"] is None
    api.apply(str(tmp_path / "plan.json"))
    assert api.verify(str(tmp_path / "out")).ok


def test_without_a_name_inputs_are_parts_of_one_dataset(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "a", {volume: letters[:2] for volume, letters in VOLUMES.items()})
    yolo_tree(tmp_path / "b", {volume: "  " + letters[2:] for volume, letters in VOLUMES.items()})
    specs = [InputSpec(str(tmp_path / "a")), InputSpec(str(tmp_path / "b"))]
    header = planned(specs, tmp_path)
    assert [volume.id for volume in header.volumes] == list(VOLUMES)
    assert "shared_ids" not in header.parameters


def test_different_needs_a_name_for_each_of_the_inputs(tmp_path: Path, sites: Sites) -> None:
    other = [InputSpec(str(tmp_path / "c"))]
    yolo_tree(tmp_path / "c", {"01-02-00001": "    +"})
    with pytest.raises(InputError, match="1 volume id occurs in several inputs without a NAME") as caught:
        planned(sites("", "south") + other, tmp_path, shared_ids="different")
    assert caught.value.kind == "shared-ids"


def test_an_excluded_volume_is_not_asked_about(tmp_path: Path, sites: Sites) -> None:
    header = planned(sites(), tmp_path, exclude=list(VOLUMES)[2:], val_ratio=0, test_ratio=0.5)
    assert [volume.id for volume in header.volumes] == list(VOLUMES)[:2]


def test_maps_name_volumes_as_the_plan_does(tmp_path: Path, sites: Sites) -> None:
    ids = [*VOLUMES, *(f"south-{volume}" for volume in list(VOLUMES)[2:])]
    write(
        tmp_path / "groups.csv",
        "".join(f"{id_},g-{id_}\n" for id_ in ["volume", *ids]).replace("volume,g-volume", "volume,group").encode(),
    )
    write(tmp_path / "splits.csv", b"volume,split\nsouth-01-02-00004,test\n01-02-00004,val\n")
    header = planned(
        sites("", "south"),
        tmp_path,
        shared_ids="different",
        group_map=str(tmp_path / "groups.csv"),
        split_map=str(tmp_path / "splits.csv"),
    )
    splits = {volume.id: volume.split for volume in header.volumes}
    assert (splits["south-01-02-00004"], splits["01-02-00004"]) == ("test", "val")


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("same", None, 0),
        ("same", "same", 0),
        ("same", "different", 2),
        ("different", None, 0),
        ("different", "same", 2),
    ],
)
def test_an_extended_plan_keeps_what_was_said(tmp_path: Path, sites: Sites, first: Any, second: Any, code: int) -> None:
    older = planned(sites(), tmp_path, shared_ids=first)
    keywords = {"extend": str(tmp_path / "plan.json"), "shared_ids": second}
    if code:
        with pytest.raises(UsageError, match=rf"leave out --shared-ids {second} \({first} there\)"):
            planned(sites(), tmp_path / "new", **keywords)
        return
    header = planned(sites(), tmp_path / "new", **keywords)
    assert {one.id: one.split for one in header.volumes} == {one.id: one.split for one in older.volumes}


def test_a_name_that_is_new_in_an_extension_may_be_said_to_count_apart(tmp_path: Path, sites: Sites) -> None:
    older = planned(sites("", "")[:1], tmp_path)
    header = planned(sites("", "south"), tmp_path / "new", extend=str(tmp_path / "plan.json"), shared_ids="different")
    splits = {one.id: one.split for one in header.volumes}
    assert {one.id: splits[one.id] for one in older.volumes} == {one.id: one.split for one in older.volumes}
    assert len(splits) == 22


def test_an_audit_reads_names_by_a_pattern_without_the_inputs_prefix_as_the_plan_does(
    tmp_path: Path, sites: Sites
) -> None:
    pattern = r"IM(?P<slice>\d+)-(?P<volume>[\d-]+)"
    header = planned(sites(), tmp_path, shared_ids="different", volume_pattern=pattern)
    api.apply(str(tmp_path / "plan.json"))
    found = api.verify(str(tmp_path / "out"), volume_pattern=pattern)
    assert found.naming is not None
    assert found.slices_per_volume is not None
    assert all(example.startswith("IM") for example in found.naming["examples"])
    assert found.slices_per_volume.volumes == sum(volume.kept > 0 for volume in header.volumes)
    with pytest.raises(InputError, match="does not read"):
        api.verify(str(tmp_path / "out"), volume_pattern=r"(north|south)-" + pattern)


def test_a_plan_of_the_first_version_is_read_with_the_prefix_before_its_ids(tmp_path: Path, sites: Sites) -> None:
    """It said nothing of shared ids, and put the prefix before all of them."""
    planned(sites(), tmp_path, shared_ids="different")
    path = tmp_path / "plan.json"
    members, rows = parts(path.read_bytes())
    del members["parameters"]["shared_ids"]
    path.write_bytes(signed_plan(members, rows))
    api.apply(str(path))
    assert api.verify(str(tmp_path / "out")).ok
    header = planned(sites(), tmp_path / "new", extend=str(path))
    assert header.parameters["shared_ids"] == "different"
    assert not any("no longer there" in warning for warning in header.warnings)


def test_ids_that_differ_in_case_alone_are_not_to_be_told_apart_by_a_name(tmp_path: Path) -> None:
    """The two may be one scan, which a name before one of them would divide."""
    yolo_tree(tmp_path / "a", {"knee-A": "+.", "knee-b": "..", "knee-c": "+."})
    yolo_tree(tmp_path / "b", {"knee-a": "+."})
    with pytest.raises(InputError) as caught:
        planned([InputSpec(str(tmp_path / "a")), InputSpec(str(tmp_path / "b"))], tmp_path)
    assert caught.value.kind == "clashing-ids"
    assert "--input" not in caught.value.hint
