"""Mending a dataset that leaks: the fewest slices moved or left out, kept splits as they are, and no leak left."""

import hashlib
import itertools
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance import api
from planbalance.errors import InputError, PlanbalanceError, PlanError, UsageError
from planbalance.grouping import parse_group_map
from planbalance.model import SPLITS, ImageFile, Input, Snapshot, Split
from planbalance.modes import MODE_TABLE, MODES, Mode
from planbalance.planfile import SealedPlan
from planbalance.planner import PlanOptions, Repair, make_repair, options_from_plan, read_split_dataset
from planbalance.planner.repair import fewest_slices, home_of
from planbalance.render.repair import repair_facts
from tests.builders import image_bytes, tree_state, write
from tests.cli.command import run, run_json
from tests.planning import SPLIT_FOLDERS, Readable, image_file, plan_bytes
from tests.test_dicom import dicom_bytes

OPTIONS = PlanOptions(
    "/data/out", Decimal(1), Decimal(0), Decimal(0), negatives_per_positive=None, volume_pattern="im-dash"
)
Counts = Mapping[Split, int]


class One(NamedTuple):
    """A slice of a small dataset: its volume, its number there, its split, and its content (equal ones are copies)."""

    volume: str
    number: int
    split: Split
    content: str = ""
    letter: str = "."

    @property
    def name(self) -> str:
        return f"IM{self.number}-{self.volume}.png"

    @property
    def digest(self) -> str:
        return hashlib.sha256((self.content or self.name).encode()).hexdigest()


def file_of(one: One) -> ImageFile:
    return image_file(one.name, one.letter, SPLITS.index(one.split))._replace(image_sha256=one.digest)


def snapshot_of(slices: Sequence[One]) -> Snapshot:
    images = sorted(map(file_of, slices), key=lambda file: file.path.encode())
    return Snapshot((Input("/data/in", "", SPLIT_FOLDERS, ("tear",)),), images, (0,), (0,), (), 0)


def repaired(
    slices: Sequence[One],
    keep: tuple[Split, ...] | None = None,
    groups: Mapping[str, str] | None = None,
    **changes: Any,
) -> tuple[Repair, SealedPlan]:
    """Mend a small dataset; one slice of it always is positive."""
    options = replace(OPTIONS, hash_images=True, **changes)
    if groups is not None:
        rows = "".join(f"{volume},{group}\n" for volume, group in groups.items())
        options = replace(options, group_map=parse_group_map(f"volume,group\n{rows}"))
    dataset = read_split_dataset(snapshot_of(slices), keep, options.exclude, lambda paths: ["unread"] * len(paths))
    return make_repair(dataset, options)


def refused(slices: Sequence[One], *arguments: Any, **changes: Any) -> PlanbalanceError:
    with pytest.raises(PlanbalanceError) as caught:
        repaired(slices, *arguments, **changes)
    return caught.value


def placed(plan: SealedPlan) -> dict[str, Split]:
    """Return path in the dataset -> split in the plan."""
    return {each.image: each.split for each in Readable(plan).operations()}


# ---- the fewest slices ----------------------------------------------------------------------------------------------


def sets_of(slices: Sequence[One], groups: Mapping[str, str]) -> dict[str, int]:
    """Return volume -> number of its set: volumes of one group, or that share an image, have one number."""
    number = {volume: place for place, volume in enumerate(sorted({one.volume for one in slices}))}
    for _ in slices:  # as often as a chain may be long
        for left, right in itertools.product(slices, slices):
            if groups[left.volume] == groups[right.volume] or left.digest == right.digest:
                number[left.volume] = number[right.volume] = min(number[left.volume], number[right.volume])
    return number


def is_mended(slices: Sequence[One], to: Sequence[str], keep: Sequence[str], number: Mapping[str, int]) -> bool:
    """Return whether slices in these splits ("" is left out) leak nothing, and kept splits are as they were."""
    places: dict[int, set[str]] = {}
    names: set[str] = set()
    for one, split in zip(slices, to, strict=True):
        if (one.split in keep or split in keep) and split != one.split:
            return False
        if split:
            if one.name in names:
                return False
            names.add(one.name)
            places.setdefault(number[one.volume], set()).add(split)
    return all(len(splits) == 1 for splits in places.values())


def fewest_by_trying(slices: Sequence[One], keep: Sequence[str], groups: Mapping[str, str]) -> int | None:
    """Return the fewest slices moved or left out, over every assignment; None where there is none."""
    number = sets_of(slices, groups)
    costs = (
        sum(one.split != split for one, split in zip(slices, to, strict=True))
        for to in itertools.product((*SPLITS, ""), repeat=len(slices))
        if is_mended(slices, to, keep, number)
    )
    return min(costs, default=None)


@st.composite
def small_datasets(draw: st.DrawFn) -> tuple[list[One], tuple[Split, ...], dict[str, str]]:
    """Draw up to six slices of up to three volumes, copies and images of two volumes among them."""
    volumes = [f"01-02-0000{number}" for number in range(draw(st.integers(1, 3)))]
    groups = {volume: draw(st.sampled_from(("p", "q", volume))) for volume in volumes}
    keys = st.tuples(st.sampled_from(volumes), st.integers(1, 3), st.sampled_from(SPLITS))
    found = draw(st.lists(keys, min_size=2, max_size=6, unique=True))
    shared = draw(st.sampled_from(("", "", "the same")))
    slices = [
        One(volume, number, split, shared if number == 3 else "", "+" if number == 1 else ".")
        for volume, number, split in found
    ]
    keep = draw(st.sampled_from(((), ("test",), ("val",), ("test", "val"), ("train",))))
    return slices, tuple(split for split in SPLITS if split in keep), groups


@settings(max_examples=150, deadline=None)
@given(small_datasets())
def test_no_smaller_repair_exists_and_no_leak_is_left(
    drawn: tuple[list[One], tuple[Split, ...], dict[str, str]],
) -> None:
    slices, keep, groups = drawn
    best = fewest_by_trying(slices, keep, groups)
    try:
        repair, plan = repaired(slices, keep, groups)
    except PlanbalanceError as error:
        impossible = error.kind == "group-in-two-kept-splits" and best is None  # no assignment leaves both as they are
        if not impossible and error.kind not in {"empty-train", "kept-split-absent", "no-positives"}:
            raise
        return
    told = repair.to_json()
    there = placed(plan)
    to = [str(there.get(f"images/{one.split}/{one.name}", "")) for one in slices]
    assert is_mended(slices, to, keep, sets_of(slices, groups))
    cost = sum(one.split != split for one, split in zip(slices, to, strict=True))
    assert cost == best == told["moved"] + told["left_out"] == told["fewest"]
    assert told["proven"]
    assert told["left_out"] == to.count("")


@settings(max_examples=40, deadline=None)
@given(small_datasets(), st.randoms(use_true_random=False))
def test_the_order_of_images_changes_nothing(
    drawn: tuple[list[One], tuple[Split, ...], dict[str, str]], random: Any
) -> None:
    slices, keep, groups = drawn
    try:
        _, plan = repaired(slices, keep, groups)
    except PlanbalanceError:
        return
    mixed = list(slices)
    random.shuffle(mixed)
    assert plan_bytes(repaired(mixed, keep, groups)[1]) == plan_bytes(plan)


@given(
    st.dictionaries(st.sampled_from(SPLITS), st.integers(1, 50), min_size=1),
    st.sets(st.sampled_from(SPLITS), max_size=1),
)
def test_a_group_goes_where_the_fewest_slices_move(slices: Counts, keep: set[Split]) -> None:
    home = home_of(slices, keep)
    assert fewest_slices(slices, keep) == sum(slices.values()) - slices[home]
    if keep & set(slices):
        assert home in keep
    else:
        first = next(split for split in SPLITS if slices.get(split) == max(slices.values()))
        assert home == first  # of splits that hold equally many: train, val, test


# ---- what is kept, what goes ----------------------------------------------------------------------------------------

A, B, C = "01-02-00001", "01-02-00002", "01-02-00003"


def volume(name: str, **splits: int) -> list[One]:
    """Return slices of a volume, so many in each split; the first one is positive."""
    numbers = itertools.count(1)
    return [
        One(name, number, split, letter="+" if number == 1 else ".")
        for split in SPLITS
        for number in itertools.islice(numbers, splits.get(split, 0))
    ]


def test_a_group_of_a_kept_split_leaves_the_other_splits() -> None:
    repair, plan = repaired([*volume(A, train=5, test=2), *volume(B, train=3)])
    (group,) = repair.to_json()["groups"]
    assert (group["to"], group["kept"], group["left_out"], group["moved"]) == ("test", True, {"train": 5}, {})
    assert repair.keep == ("test",)
    assert set(placed(plan).values()) == {"train", "test"}
    assert len(placed(plan)) == 5


def test_without_a_kept_split_slices_move_and_none_is_left_out() -> None:
    repair, plan = repaired([*volume(A, train=5, val=2), *volume(B, val=4)])
    assert repair.keep == ()
    assert repair.to_json()["moved"] == 2
    assert placed(plan)[f"images/val/IM7-{A}.png"] == "train"
    assert [each.id for each in plan.header.volumes if each.split == "val"] == [B]


def test_all_volumes_of_a_patient_go_together() -> None:
    slices = [*volume(A, train=4), *volume(B, val=3), *volume(C, train=1)]
    repair, _ = repaired(slices, groups={A: "p", B: "p", C: "q"})
    (group,) = repair.groups
    assert (group.group, group.volumes, group.to, group.touched) == ("p", (A, B), "train", 3)


def test_volumes_that_share_an_image_are_one_group() -> None:
    slices = [*volume(A, train=4), One(A, 9, "train", "same"), One(B, 9, "val", "same"), *volume(C, val=1)]
    repair, plan = repaired(slices)
    assert repair.groups[0].volumes == (A, B)
    assert "share identical images" in " ".join(plan.header.warnings)


def test_of_two_copies_the_one_in_the_split_of_the_group_stays() -> None:
    slices = [One(A, 1, "train", "x", "+"), One(A, 1, "val", "x", "+"), *volume(A, val=3)[1:], *volume(B, train=2)]
    repair, plan = repaired(slices)
    assert placed(plan)[f"images/val/IM1-{A}.png"] == "val"
    told = repair.to_json()
    assert (told["moved"], told["left_out"], told["copies"]) == (0, 1, 1)
    assert told["before"]["train"] == {"total": 3, "positive": 2}


def test_copies_with_different_labels_are_refused_where_none_of_them_is_kept() -> None:
    slices = [One(A, 1, "train", "x", "+"), One(A, 1, "val", "x", "."), *volume(B, train=2)]
    assert refused(slices).kind == "copies-differ"
    kept = [one._replace(split="test") if one.split == "val" else one for one in slices]
    _, plan = repaired(kept)
    assert "another label than the copies" in " ".join(plan.header.warnings)
    assert placed(plan)[f"images/test/IM1-{A}.png"] == "test"
    assert plan.header.statistics["splits"]["test"]["positive"] == 0


def test_one_name_with_different_images_in_two_splits_is_refused() -> None:
    slices = [One(A, 1, "train", "x", "+"), One(A, 1, "test", "y", "+"), *volume(B, train=2)]
    error = refused(slices)
    assert error.kind == "same-name"
    assert isinstance(error, InputError)
    _, plan = repaired(slices, exclude=("images/train/IM1-01-02-00001.png",))
    assert len(placed(plan)) == 3


def test_a_group_in_two_kept_splits_is_refused() -> None:
    error = refused([*volume(A, val=2, test=3), *volume(B, train=2)], ("val", "test"))
    assert error.kind == "group-in-two-kept-splits"
    assert f"{A}: 2 in val and 3 in test" in error.message
    assert "--keep test" in error.hint


def test_a_train_split_without_a_slice_is_refused() -> None:
    assert refused([*volume(A, train=2, val=3), *volume(B, val=1)]).kind == "empty-train"


def test_a_split_that_loses_all_or_its_positives_is_warned_of() -> None:
    slices = [*volume(A, train=3, val=1), *volume(B, train=2)]
    assert "leaves no slice in val" in " ".join(repaired(slices)[1].header.warnings)
    torn = [One(A, 1, "val", letter="+"), One(A, 2, "train"), One(A, 3, "train"), One(B, 1, "val"), One(C, 1, "train")]
    assert "leaves no positive slice in val" in " ".join(repaired(torn)[1].header.warnings)


def test_a_dataset_that_is_not_split_is_refused() -> None:
    snapshot = snapshot_of(volume(A, train=2))
    apart = snapshot.inputs[0]._replace(folders=tuple(one._replace(split=None) for one in SPLIT_FOLDERS))
    with pytest.raises(InputError) as caught:
        read_split_dataset(snapshot._replace(inputs=(apart,)), None, (), lambda _: [])
    assert caught.value.kind == "not-split"


def test_a_split_to_keep_that_is_not_there_is_refused() -> None:
    error = refused(volume(A, train=2, val=1), ("test",))
    assert error.kind == "kept-split-absent"
    assert error.hint == "It holds slices in train and val."


def test_no_option_leaves_a_slice_of_a_kept_split_out() -> None:
    error = refused([*volume(A, train=2, test=1), *volume(B, train=1)], exclude=(f"IM3-{A}.png",))
    assert isinstance(error, UsageError)
    assert error.kind == "kept-split-changes"


def test_images_of_no_split_are_left_out_with_a_warning() -> None:
    snapshot = snapshot_of([*volume(A, train=3, val=1), *volume(B, test=2)])
    folders = tuple(one._replace(split=None) if one.split == "test" else one for one in SPLIT_FOLDERS)
    snapshot = snapshot._replace(inputs=(snapshot.inputs[0]._replace(folders=folders),))
    dataset = read_split_dataset(snapshot, None, (), lambda _: [])
    _, plan = make_repair(dataset, OPTIONS)
    assert "2 images in no split left out: trainers do not load them." in plan.header.warnings
    assert len(placed(plan)) == 4


def test_the_plan_tells_the_repair_and_no_ratio() -> None:
    repair, plan = repaired([*volume(A, train=5, test=2), *volume(B, train=3)])
    parameters = plan.header.parameters
    assert parameters["repair"] == json.loads(json.dumps(repair.to_json()))
    assert (parameters["train_ratio"], parameters["val_ratio"], parameters["split_seed"]) == (None, "0", None)
    facts = repair_facts(parameters)
    assert facts is not None
    assert facts.proven
    assert [row[5] for row in facts.rows()] == [3, 0, 2]
    assert facts.groups[0].change() == "5 slices left out of train"
    assert facts.groups[0].reason() == "test, kept, holds 2 of its 7"
    with pytest.raises(PlanError, match="is the repair of a dataset"):
        options_from_plan(plan.header)


def test_the_plan_tells_the_boxes_of_each_class_in_the_mended_splits() -> None:
    torn = [One(A, number, "val" if number == 1 else "train", letter="1") for number in range(1, 4)]
    _, plan = repaired([*torn, *volume(B, train=1, test=2), One(C, 1, "val", letter="+")])
    classes = plan.header.targets["classes"]
    assert [[one["class"], *(one[split]["reached"] for split in SPLITS)] for one in classes] == [
        [0, 0, 1, 0],
        [1, 3, 0, 0],
    ]
    assert "train holds no box of 1 class" in " ".join(plan.header.warnings)


@pytest.mark.parametrize(
    "change",
    [
        {"keep": "all"}, {"keep": ["holdout"]}, {"moved": -1}, {"moved": "1"}, {"groups": [1]}, {"groups": None},
        {"before": {}}, {"after": []}, {"groups": [{"group": "p"}]},
    ],
)  # fmt: skip
def test_what_is_no_repair_is_not_shown(change: dict[str, Any]) -> None:
    repair, _ = repaired([*volume(A, train=5, test=2), *volume(B, train=3)])
    assert repair_facts({"repair": repair.to_json() | change}) is None
    assert repair_facts({"repair": 7}) is None
    assert repair_facts({}) is None


# ---- real files -----------------------------------------------------------------------------------------------------


def leaking(root: Path) -> Path:
    """Write a dataset that leaks: A lies in train and val, B in train and test, and C has a copy in val."""
    slices = [
        *(one for number in range(4, 9) for one in volume(f"01-02-0000{number}", train=6)),
        *volume(A, train=2, val=5),
        *volume(B, train=3, test=4),
        *volume(C, train=5),
        *volume("01-02-00010", val=4),
        *volume("01-02-00011", test=4),
    ]
    slices.append(One(C, 3, "val"))  # a copy: the names and bytes of the one in train
    for one in slices:
        stem = one.name.removesuffix(".png")
        write(root / "images" / one.split / one.name, image_bytes(f"{one.volume}/{one.number}"))
        label = b"0 0.5 0.5 0.1 0.2\n" if one.letter == "+" else b""
        write(root / "labels" / one.split / f"{stem}.txt", label)
    lines = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    write(root / "data.yaml", f"path: {root}\n{lines}names: [tear]\n".encode())
    return root


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return leaking(tmp_path / "theirs")


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {
        os.fspath(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


@pytest.mark.parametrize("mode", MODES)
def test_a_mended_dataset_is_built_in_every_mode_and_is_clean(theirs: Path, mode: Mode) -> None:
    before = tree_state(theirs)
    found = api.verify("theirs")
    assert not found.ok
    made = api.repair("theirs", output="mended")
    assert made.leaks
    assert made.planned.header.parameters["repair"]["fewest"] == found.to_move  # B is mostly in test anyway
    run("apply", "--mode", mode, "--fallback", "copy")
    one_file = MODE_TABLE[mode].one_file
    audit = api.verify(f"mended{one_file}")
    assert audit.ok, audit.summary
    assert audit.to_move == 0
    checked = {check.name: check.ok for check in audit.checks}
    assert checked["volume-overlap"]
    assert checked["duplicate-content"]
    if mode != "list" and not one_file:
        for kind in ("images", "labels"):
            assert bytes_below(Path("mended", kind, "test")) == bytes_below(theirs / kind / "test")
    assert tree_state(theirs) == before


def test_the_command_says_what_moves_and_why(theirs: Path) -> None:
    said = run("repair", "theirs", "--output", "mended").stdout
    assert f"volume {B}: 3 slices left out of train (test, kept, holds 4 of its 7)" in said
    assert f"volume {A}: 2 slices train -> val (val holds 5 of its 7)" in said
    assert f"volume {C}: 1 copy left out of val (train holds 5 of its 6)" in said
    assert "test, to the byte (no --keep was given, and the dataset has a test split)" in said
    assert "Proven: every repair that keeps test" in said
    assert "planbalance apply --mode symlink" in said


def test_json_has_one_document_with_the_repair(theirs: Path) -> None:
    document = run_json("repair", "theirs", "--output", "mended", "--plan-file", "mend.json")
    repair = document["repair"]
    assert (repair["keep"], repair["moved"], repair["left_out"], repair["copies"]) == (["test"], 2, 4, 1)
    assert (repair["fewest"], repair["proven"]) == (6, True)
    assert document["leaks"]
    assert document["keep_by_default"]
    assert document["plan_file"].endswith("mend.json")
    assert [group["volumes"] for group in repair["groups"]] == [[B], [A], [C]]


def test_kept_splits_may_be_given_in_any_way(theirs: Path) -> None:
    (theirs / "images/val/IM3-01-02-00003.png").unlink()
    digests = {
        run_json("repair", "theirs", "--output", "mended", *words)["digest"]
        for words in (("--keep", "test,val"), ("--keep", "val,test"), ("--keep", "val", "--keep", "test"))
    }
    assert len(digests) == 1
    assert api.repair("theirs", output="mended", keep=["val", "test"]).planned.header.digest in digests
    assert (
        "is not none, or one or more of train, val, test"
        in run("repair", "theirs", "--output", "m", "--keep", "x", code=2).stderr
    )


def test_options_may_stand_in_a_file(theirs: Path) -> None:
    write(
        Path("planbalance.yaml"),
        b"repair:\n  dataset: theirs\n  output: mended\n  keep: [val, test]\n  hash-images: false\n",
    )
    (theirs / f"images/val/IM3-{C}.png").unlink()
    document = run_json("repair")
    assert document["repair"]["keep"] == ["val", "test"]
    assert not document["parameters"]["hash_images"]
    assert run_json("repair", "--hash-images")["parameters"]["hash_images"]


def test_a_dataset_without_a_leak_needs_no_plan(theirs: Path) -> None:
    run("repair", "theirs", "--output", "mended", "--quiet")
    run("apply", "--quiet")
    Path("plan.json").unlink()
    said = run("repair", "mended", "--output", "again").stdout
    assert "No leak: no volume and no identical image is in two splits. No plan was written." in said
    assert not Path("plan.json").exists()
    found = run_json("repair", "mended", "--output", "again", "--no-hash-images")
    assert (found["leaks"], found["plan_file"], found["repair"]["groups"]) == (False, None, [])
    assert "NOT looked for" in run("repair", "mended", "--output", "again", "--no-hash-images").stdout


def test_identical_images_of_two_volumes_are_found_unless_images_are_not_read(theirs: Path) -> None:
    run("repair", "theirs", "--output", "mended", "--quiet")
    run("apply", "--quiet")
    there = Path("mended/images")
    write(there / "val/IM5-01-02-00010.png", (there / f"train/IM1-{C}.png").read_bytes())
    write(Path("mended/labels/val/IM5-01-02-00010.txt"), b"")
    said = run("repair", "mended", "--output", "again").stdout
    assert f"volumes {C}, 01-02-00010 (identical images): 5 slices train -> val, " not in said
    assert f"volumes {C}, 01-02-00010 (identical images): 5 slices" in said
    assert not run_json("repair", "mended", "--output", "again", "--no-hash-images")["leaks"]


def test_same_names_are_compared_also_where_images_are_not_hashed(theirs: Path) -> None:
    found = run_json("repair", "theirs", "--output", "mended", "--no-hash-images")
    assert found["repair"]["copies"] == 1
    write(theirs / f"images/val/IM3-{C}.png", image_bytes("another"))
    error = run_json("repair", "theirs", "--output", "mended", "--no-hash-images", code=3)["error"]
    assert error["kind"] == "same-name"


def test_patients_of_a_map_are_mended_and_audited(theirs: Path) -> None:
    ids = [*(f"01-02-0000{number}" for number in range(1, 9)), "01-02-00010", "01-02-00011"]
    rows = [f"{one},p{number // 2}" for number, one in enumerate(ids)]
    write(Path("patients.csv"), ("volume,group\n" + "\n".join(rows) + "\n").encode())
    said = run("repair", "theirs", "--output", "mended", "--group-map", "patients.csv").stdout
    assert "patient p4: 4 slices left out of val (test, kept, holds 4 of its 8)" in said
    run("apply", "--quiet")
    audit = api.verify("mended")
    assert {check.name: check.ok for check in audit.checks}["group-overlap"]
    assert audit.ok
    assert api.verify("mended", group_map="patients.csv").ok


def test_patients_of_dicom_headers_are_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydicom")
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        split = "test" if number == 1 else "train"
        for slice_number in range(1, 4):
            stem = f"IM{slice_number}-v{number:02d}"
            write(Path(f"in/images/{split}/{stem}.dcm"), dicom_bytes(f"DOE{number // 2}"))
            write(Path(f"in/labels/{split}/{stem}.txt"), b"0 0.5 0.5 0.1 0.2\n" if slice_number == 1 else b"")
    of_headers = ("--group-from", "dicom:PatientID", "--group-key", "key", "--no-hash-images")
    assert not run_json("repair", "in", "--output", "out", "--no-hash-images")["leaks"]
    found = run_json("repair", "in", "--output", "out", *of_headers)
    (group,) = found["repair"]["groups"]
    assert (group["volumes"], group["left_out"]) == (["v00", "v01"], {"train": 3})
    assert "DOE" not in json.dumps(found)


def test_volumes_of_a_table_are_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["image,patient"]
    for number in range(1, 25):
        split = "test" if number > 20 else "val" if number > 16 else "train"
        write(Path(f"in/images/{split}/{number}.png"), image_bytes(str(number)))
        write(Path(f"in/labels/{split}/{number}.txt"), b"0 0.5 0.5 0.1 0.2\n" if number % 2 else b"")
        rows.append(f"{number}.png,P{number // 5}")
    write(Path("table.csv"), "\n".join(rows).encode())
    assert run_json("repair", "in", "--output", "out", code=3)["error"]["kind"] == "unmatched-names"
    found = run_json("repair", "in", "--output", "out", "--slice-map", "table.csv")
    assert [(one["group"], one["to"]) for one in found["repair"]["groups"]] == [("P3", "val"), ("P4", "test")]
    run("apply", "--quiet")
    assert run_json("verify", "out", "--slice-map", "table.csv")["ok"]


def test_other_commands_read_the_plan(theirs: Path) -> None:
    run("repair", "theirs", "--output", "mended", "--quiet")
    assert "What moves, and why (3 volumes in several splits)" in run("show").stdout
    run("show", "--volume", A)
    leave_out = ("--exclude", f"images/val/IM3-{C}.png")
    run("plan", "theirs", "--output", "mended", "--plan-file", "other.json", "--quiet", *leave_out)
    run("diff", "other.json", "plan.json")
    run("apply", "--quiet", "--mode", "symlink")
    assert run_json("verify", "mended", "--plan", "plan.json")["ok"]
    Path("mended").rename("moved")
    run("relocate", "moved")
    assert run_json("verify", "moved")["ok"]
    assert run_json("plan", "theirs", "--output", "x", "--extend", "plan.json", code=4)["error"]["kind"] == "bad-plan"


def test_the_page_shows_the_repair_and_a_command_that_makes_the_same_plan(theirs: Path) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    from planbalance.page.commands import steps  # noqa: PLC0415 - beside what needs an extra

    made = api.repair("theirs", output="mended", keep=["val"], hash_images=False, missing_label="empty")
    api.report("plan.json", html="plan.html")
    page = Path("plan.html").read_text(encoding="utf-8")
    assert "Repair: what moves, and why" in page
    assert "Slices off target" not in page
    command = steps(made.planned.header, "plan.json")[0].command
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:2] == ["planbalance", "repair"]
    again = run_json(*words[1:])
    assert (again["split_digest"], again["repair"]) == (
        made.planned.header.split_digest,
        made.planned.header.parameters["repair"],
    )


def test_the_command_that_makes_the_same_repair_has_the_sources_of_groups(theirs: Path) -> None:
    from planbalance.page.commands import steps  # noqa: PLC0415 - beside what needs an extra

    rows = "".join(f"{one.id},p-{one.id}\n" for one in api.scan("theirs").volumes)
    write(Path("patients.csv"), f"volume,group\n{rows}".encode())
    made = api.repair("theirs", output="mended", group_map="patients.csv", group_from=["map", "identical"])
    first = steps(made.planned.header, "plan.json")[0]
    words = shlex.split(first.command.replace("\\\n", ""))
    assert words[words.index("--group-from") + 1] == "map,identical"
    assert words[-2:] == ["--group-map", "GROUP_MAP.csv"]
    assert "GROUP_MAP.csv" in first.note


def test_verify_names_the_repair_where_it_can_be_made(theirs: Path) -> None:
    found = run_json("verify", "theirs", code=6)
    assert found["repair_command"] == "planbalance repair theirs --output theirs-repaired"
    assert found["repair_command"] in run("verify", "theirs", code=6).stdout
    words = shlex.split(found["repair_command"])[1:]
    assert run_json(*words)["leaks"]
    of_yaml = run_json("verify", "theirs/data.yaml", "--volume-pattern", "im-dash", code=6)["repair_command"]
    assert of_yaml == "planbalance repair theirs/data.yaml --output theirs-repaired --volume-pattern im-dash"
    run("apply", "--quiet")
    assert run_json("verify", "theirs-repaired")["repair_command"] is None
    write(Path("theirs-repaired/images/train/x.png"), b"x")
    assert run_json("verify", "theirs-repaired", code=6)["repair_command"] is None


def test_verify_names_no_repair_where_two_splits_are_one_folder(theirs: Path) -> None:
    write(theirs / "data.yaml", b"train: images/train\nval: images/train\ntest: images/test\nnames: [tear]\n")
    assert run_json("verify", "theirs", code=6)["repair_command"] is None
    assert run_json("repair", "theirs", "--output", "mended", code=3)["error"]["kind"] == "split-overlap"


def test_verify_names_no_repair_that_would_leave_train_empty(theirs: Path) -> None:
    for number in (*range(4, 9), 3):
        for kind, suffix in (("images", "png"), ("labels", "txt")):
            name = f"IM1-01-02-0000{number}.{suffix}"
            (theirs / kind / "train" / name).rename(theirs / kind / "test" / name)
    assert run_json("verify", "theirs", code=6)["repair_command"] is None
    assert run_json("repair", "theirs", "--output", "mended", code=3)["error"]["kind"] == "empty-train"
    found = run_json("repair", "theirs", "--output", "mended", "--keep", "none")
    assert found["repair"]["keep"] == []
    assert found["repair"]["after"]["train"]["total"] == 5 * 6 + 5
    assert (
        "does not go with" in run("repair", "theirs", "--output", "m", "--keep", "none", "--keep", "val", code=2).stderr
    )


def test_a_leak_of_a_kept_split_names_the_repair(theirs: Path) -> None:
    (theirs / f"images/val/IM3-{C}.png").unlink()
    error = run_json("plan", "theirs", "--output", "mended", "--keep-split", "test", code=3)["error"]
    assert error["kind"] == "kept-split-leaks"
    assert "planbalance repair INPUT --keep test" in error["hint"]


def test_neither_plan_nor_output_may_lie_in_the_dataset(theirs: Path) -> None:
    run("repair", "theirs", "--output", "theirs/mended", code=2)
    run("repair", "theirs", "--output", "mended", "--plan-file", "theirs/plan.json", code=2)
    assert not Path("theirs/plan.json").exists()
