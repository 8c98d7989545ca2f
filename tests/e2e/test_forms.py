"""Datasets in the forms of public exports: every number that is told or stored, recounted from what was written."""

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import yaml

from tests.builders import tree_state
from tests.cli.command import run_json
from tests.e2e.forms import FORMS, Form, Picture
from tests.e2e.recount import SPLITS, loaded

MODES = ("copy", "hardlink", "symlink", "reflink", "list")
SHARES = {"train": Fraction(70, 100), "val": Fraction(15, 100), "test": Fraction(15, 100)}
CLONE = 0x40049409  # FICLONE of ioctl_ficlone(2)
Held = dict[str, list[Picture]]


@dataclass(frozen=True)
class Planned:
    """A form with what `scan` and `plan` told of it."""

    kind: str
    form: Form
    scan: Any
    plan: Any
    output: Path

    @property
    def positive(self) -> Callable[[Picture], bool]:
        """Return what decides whether a picture is positive."""
        wanted = self.form.positive
        return lambda picture: bool(picture.classes) if wanted is None else not wanted.isdisjoint(picture.classes)

    def counts(self, pictures: Sequence[Picture]) -> dict[str, int]:
        """Return total, positive and negative."""
        positive = sum(map(self.positive, pictures))
        return {"total": len(pictures), "positive": positive, "negative": len(pictures) - positive}

    def units(self, pictures: Iterable[Picture]) -> dict[str, bool]:
        """Return what must stay in one split, and whether it holds a positive slice."""
        found: dict[str, bool] = {}
        for picture in pictures:
            found[picture.patient] = found.get(picture.patient, False) or self.positive(picture)
        return found


@pytest.fixture(scope="module", params=FORMS, ids=[make.__name__ for make in FORMS])
def planned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    """Write a form, scan it and plan it; nothing in it may have changed at the end."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    form = request.param(folder / "in")
    before = tree_state(form.root)
    output = folder / "out"
    scan = run_json("scan", *form.typed)
    plan = run_json("plan", *form.typed, "--output", output, "--plan-file", folder / "plan.json")
    yield Planned(request.param.__name__, form, scan, plan, output)
    assert tree_state(form.root) == before


def volumes(pictures: Iterable[Picture]) -> dict[str, list[Picture]]:
    """Return the pictures of each volume."""
    found: dict[str, list[Picture]] = {}
    for picture in pictures:
        found.setdefault(picture.volume, []).append(picture)
    return found


def assert_reading(planned: Planned, told: Any, pictures: Sequence[Picture]) -> None:
    """Compare what opens every answer with the truth: the unit, how many there are, slices a volume."""
    sizes = [len(held) for held in volumes(pictures).values()]
    assert told["unit"] == ("patient" if planned.form.by_patient else "volume")
    assert told["groups"] == len(planned.units(pictures))
    assert told["slices_per_volume"] == {
        "minimum": min(sizes),
        "median": median(sizes),
        "maximum": max(sizes),
        "volumes": len(sizes),
        "single": sizes.count(1),
    }


# ---- what is there --------------------------------------------------------------------------------------------------


def test_scan_counts_what_was_written(planned: Planned) -> None:
    form, scan = planned.form, planned.scan
    pictures = form.pictures
    assert_reading(planned, scan, pictures)
    of_volume = volumes(pictures)
    positive_volumes = sum(any(map(planned.positive, held)) for held in of_volume.values())
    assert (scan["volumes"], scan["positive_volumes"], scan["negative_volumes"]) == (
        len(of_volume),
        positive_volumes,
        len(of_volume) - positive_volumes,
    )
    assert scan["splits"] == splits_as_written(planned)
    assert {"total": scan["slices"], "positive": scan["positive"], "negative": scan["negative"]} == planned.counts(
        pictures
    )
    assert scan["names"] == (list(form.names) if form.names != ("class_0",) else None)
    assert scan["classes"] == {
        str(one): boxes
        for one, boxes in sorted(Counter(one for picture in pictures for one in picture.classes).items())
    }
    labels = scan["labels"]
    assert (labels["missing"], labels["empty"]) == (
        sum(picture.label is None for picture in pictures),
        sum(picture.label is not None and not picture.classes for picture in pictures),
    )
    assert (labels["orphans"], labels["invalid_files"], labels["invalid_lines"], labels["overshoot"]) == (0, 0, 0, None)
    assert scan["suffixes"] == Counter(picture.path.suffix[1:].lower() for picture in pictures)
    assert scan["suffixes_not_read_by_trainers"] == sorted({"dcm"} & scan["suffixes"].keys())


def splits_as_written(planned: Planned) -> dict[str, dict[str, int]]:
    """Return the truth on the splits of the input."""
    found: dict[str, list[Picture]] = {}
    for picture in planned.form.pictures:
        found.setdefault(picture.split or "none", []).append(picture)
    return {
        split: {
            "slices": len(held),
            "positive": sum(map(planned.positive, held)),
            "negative": len(held) - sum(map(planned.positive, held)),
            "volumes": len(volumes(held)),
        }
        for split, held in found.items()
    }


def test_an_audit_of_the_input_finds_the_leaks_that_were_written(planned: Planned) -> None:
    form = planned.form
    held = {split: [one for one in form.pictures if one.split == split] for split in SPLITS}
    if not held["train"] or form.words:
        pytest.skip("this form has no splits, or is not one dataset")
    wanted = [*leaks("volume-overlap", held, lambda picture: picture.volume)]
    if form.by_patient:
        wanted += leaks("group-overlap", held, lambda picture: picture.patient)
    audit = run_json("verify", form.root, code=6 if wanted else 0)
    told = [{key: leak[key] for key in ("kind", "from", "to", "slices", "share", "units")} for leak in audit["leaks"]]
    assert sorted(told, key=str) == sorted(wanted, key=str)
    assert_reading(planned, audit, form.pictures)


def leaks(kind: str, held: Held, unit_of: Callable[[Picture], str]) -> Iterator[dict[str, Any]]:
    """Yield for each pair of splits how many slices of the first are of a unit that lies in the second, too."""
    for first in SPLITS:
        for second in SPLITS:
            shared = {unit_of(one) for one in held[first]} & {unit_of(one) for one in held[second]}
            slices = sum(unit_of(one) in shared for one in held[first])
            if first != second and shared:
                share = slices / len(held[first])
                yield {
                    "kind": kind,
                    "from": first,
                    "to": second,
                    "slices": slices,
                    "share": pytest.approx(share),
                    "units": len(shared),
                }


# ---- what is built --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_what_each_mode_builds_agrees_with_an_independent_recount(planned: Planned, mode: str) -> None:
    form, output = planned.form, planned.output
    if mode == "reflink" and not can_share_blocks(output.parent):
        pytest.skip("this file system does not share blocks between files")
    words = ("apply", planned.plan["plan_file"], "--mode", mode)
    if mode == "list" and not form.as_lists:
        assert run_json(*words, code=4)["error"]["kind"] == "labels-lost"
        assert os.listdir(output.parent).count("out") == 0
        return
    try:
        applied = run_json(*words)
        audit = run_json("verify", output)
        held = assert_pictures(planned, mode)
        assert_units_stay_whole(planned, held)
        assert_statistics(planned, held)
        assert_targets(planned, held)
        assert_plan_file(planned, held)
        assert_footprint(planned, mode, applied)
        assert_metadata(planned, held)
        assert_dataset_yaml(planned)
        assert_audit(planned, held, audit)
    finally:
        shutil.rmtree(output, ignore_errors=True)


def test_negatives_within_a_gap_of_a_positive_slice_are_not_kept(planned: Planned) -> None:
    """`--gap` counts by the numbers of slices that names or a table tell; where nothing does, the plan says so."""
    form, folder = planned.form, planned.output.parent
    words = (
        "--gap",
        1,
        "--negatives-per-positive",
        "all",
        "--output",
        folder / "gap",
        "--plan-file",
        folder / "gap.json",
    )
    warnings = run_json("plan", *form.typed, *words)["warnings"]
    assert any("--gap" in text for text in warnings) == (form.pictures[0].number is None)

    stored = json.loads((folder / "gap.json").read_text())
    kept = {f"{stored['inputs'][one['input']]}/{one['image']}": one["split"] for one in stored["operations"]}
    split_of = {one.patient: kept[str(one.path)] for one in form.pictures if str(one.path) in kept}
    positives = {(one.volume, one.number) for one in form.pictures if planned.positive(one) and one.number is not None}
    for picture in form.pictures:
        near = picture.number is not None and any(
            (picture.volume, picture.number + step) in positives for step in (-1, 0, 1)
        )
        left_out = split_of[picture.patient] == "train" and near and not planned.positive(picture)
        assert (str(picture.path) not in kept) == left_out, picture.path


def can_share_blocks(folder: Path) -> bool:
    """Return whether the file system can."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(b"\0" * 65536)
    try:
        with source.open("rb") as given, target.open("wb") as taken:
            fcntl.ioctl(taken, CLONE, given.fileno())
    except OSError:
        return False
    finally:
        source.unlink()
        target.unlink()
    return True


def assert_pictures(planned: Planned, mode: str) -> Held:
    """Return what lies in each split; each image is one that was written, placed as the mode says, with its label."""
    written = {picture.image: picture for picture in planned.form.pictures}
    held: Held = {}
    labels = set()
    for split, images in loaded(planned.output).items():
        held[split] = []
        for image, label in images:
            picture = written.pop(image.read_bytes())
            assert image.name == (picture.path.name if mode == "list" else picture.name)
            held[split].append(picture)
            assert_placed(image, picture, mode)
            if mode == "list" and picture.label is None:
                assert not label.exists()
            else:
                assert label.read_bytes() == (picture.label or b""), f"{label} is not the label of {picture.path}"
            labels.add(label)
    if mode != "list":
        found = {Path(folder, name) for folder, _, names in os.walk(planned.output / "labels") for name in names}
        assert found == labels
        assert not any(path.is_symlink() for path in labels)
    return held


def assert_placed(image: Path, picture: Picture, mode: str) -> None:
    """Compare one image with what the mode promises."""
    assert image.is_symlink() == (mode == "symlink")
    if mode == "symlink":
        assert os.readlink(image) == str(picture.path)
    elif mode == "list":
        assert image == picture.path
    else:
        assert os.path.samefile(image, picture.path) == (mode == "hardlink")


def assert_units_stay_whole(planned: Planned, held: Held) -> None:
    """Patients and volumes are in one split; val and test are complete; train is balanced as far as it can be."""
    pictures = planned.form.pictures
    where: dict[str, set[str]] = {}
    for split, kept in held.items():
        for picture in kept:
            where.setdefault(f"patient {picture.patient}", set()).add(split)
            where.setdefault(f"volume {picture.volume}", set()).add(split)
    assert {unit: splits for unit, splits in where.items() if len(splits) > 1} == {}
    assigned = as_assigned(planned, held)
    for split in ("val", "test"):
        assert Counter(held[split]) == Counter(assigned[split])
    built, there = planned.counts(held["train"]), planned.counts(assigned["train"])
    assert built["positive"] == there["positive"]
    assert built["negative"] == min(there["positive"], there["negative"])
    assert sum(map(len, assigned.values())) == len(pictures)


def as_assigned(planned: Planned, held: Held) -> Held:
    """Return all pictures by the split of their unit: what lies neither in val nor in test is train's."""
    elsewhere = {one.patient: split for split in ("val", "test") for one in held[split]}
    assigned: Held = {split: [] for split in SPLITS}
    for picture in planned.form.pictures:
        assigned[elsewhere.get(picture.patient, "train")].append(picture)
    return assigned


def assert_statistics(planned: Planned, held: Held) -> None:
    """Compare the numbers of slices, volumes and classes that `plan` told with what was built."""
    plan, form, assigned = planned.plan, planned.form, as_assigned(planned, held)
    assert_reading(planned, plan, form.pictures)
    told = dict(plan["statistics"])
    assert told.pop("before") == {split: planned.counts(assigned[split]) for split in SPLITS}
    assert told.pop("removed") == len(form.pictures) - sum(map(len, held.values()))
    assert told == statistics(planned, held)
    assert plan["kept_volumes"] == {split: len(volumes(held[split])) for split in SPLITS}
    told = plan["volume_statistics"]
    for split in SPLITS:
        of_volume = volumes(assigned[split]).values()
        positive = sum(any(map(planned.positive, pictures)) for pictures in of_volume)
        assert told[split] == {"positive": positive, "negative": len(of_volume) - positive}
    if len(form.names) > 1:
        assert plan["classes"] == classes(planned, held)


def statistics(planned: Planned, held: Held) -> dict[str, Any]:
    """Return the counts of a built dataset in the shape that `plan` and the metadata give them."""
    splits = {split: planned.counts(held[split]) for split in SPLITS}
    name = planned.form.names[0] if len(planned.form.names) == 1 else None
    if name == "class_0":
        name = "tear"  # what nothing names goes by the guide's own key there
    told: dict[str, Any] = {"splits": {}}
    for split, counts in splits.items():
        named = {} if name is None else {name: counts["positive"], f"no_{name}": counts["negative"]}
        told["splits"][split] = counts | named
        told[f"{split}_balance_ratio"] = f"{counts['positive']}:{counts['negative']}"
    for key, total in (("images", "total"), ("positive", "positive"), ("negative", "negative")):
        told[f"total_{key}"] = sum(counts[total] for counts in splits.values())
    if name is not None:
        told |= {f"total_{name}": told["total_positive"], f"total_no_{name}": told["total_negative"]}
    return told


def classes(planned: Planned, held: Held) -> list[dict[str, Any]]:
    """Return boxes, slices and units with each class, by split."""
    return [
        {"class": one, "name": name}
        | {
            split: {
                "boxes": sum(picture.classes.count(one) for picture in held[split]),
                "slices": sum(one in picture.classes for picture in held[split]),
                "units": len({picture.patient for picture in held[split] if one in picture.classes}),
            }
            for split in SPLITS
        }
        for one, name in enumerate(planned.form.names)
    ]


def assert_targets(planned: Planned, held: Held) -> None:
    """Compare the targets with the largest-remainder rule, and what was reached with what was built."""
    told, assigned = planned.plan["targets"], as_assigned(planned, held)
    all_of = planned.counts(planned.form.pictures)
    distance = 0
    for kind in ("positive", "negative"):
        wanted = apportioned(all_of[kind])
        for split in SPLITS:
            reached = planned.counts(assigned[split])[kind]
            distance += abs(reached - wanted[split])
            assert told[split][kind] == target(wanted[split], reached)
            units = sum(found == (kind == "positive") for found in planned.units(assigned[split]).values())
            assert told[split][f"{kind}_units"]["reached"] == units
    assert (told["distance"], told["exact"]) == (distance, distance == 0)
    for row in told["classes"]:
        boxes = {split: sum(picture.classes.count(row["class"]) for picture in assigned[split]) for split in SPLITS}
        wanted = apportioned(sum(boxes.values()))
        assert {split: row[split] for split in SPLITS} == {
            split: target(wanted[split], boxes[split]) for split in SPLITS
        }


def target(wanted: int, reached: int) -> dict[str, int]:
    """Return one number with its target."""
    return {"wanted": wanted, "reached": reached, "distance": abs(reached - wanted)}


def apportioned(total: int) -> dict[str, int]:
    """Return 70, 15 and 15 % of a total by the largest-remainder rule; of equal remainders the earlier split's wins."""
    exact = {split: total * share for split, share in SHARES.items()}
    given = {split: int(part) for split, part in exact.items()}
    by_remainder = sorted(SPLITS, key=lambda split: given[split] - exact[split])
    for split in by_remainder[: total - sum(given.values())]:
        given[split] += 1
    return given


def assert_plan_file(planned: Planned, held: Held) -> None:
    """Compare the plan's table of volumes, and its operations, with what was written and built."""
    stored = json.loads(Path(planned.plan["plan_file"]).read_text())
    kept = volumes(picture for split in SPLITS for picture in held[split])
    wanted = Counter(
        (split, len(pictures), planned.counts(pictures)["positive"], len(kept.get(volume, ())))
        for split, assigned in as_assigned(planned, held).items()
        for volume, pictures in volumes(assigned).items()
    )
    told = stored["volumes"]
    assert Counter((one["split"], one["slices"], one["positives"], one["kept"]) for one in told) == wanted
    volumes_of = Counter(pictures[0].patient for pictures in volumes(planned.form.pictures).values())
    assert sorted(Counter(one["group"] for one in told).values()) == sorted(volumes_of.values())

    written = {str(picture.path): picture for picture in planned.form.pictures}
    ids: dict[str, set[str]] = {}
    for operation in stored["operations"]:
        picture = written.pop(f"{stored['inputs'][operation['input']]}/{operation['image']}")
        assert picture in held[operation["split"]]
        assert operation["positive"] == planned.positive(picture)
        assert (operation["label"] is None) == (picture.label is None)
        ids.setdefault(picture.volume, set()).add(operation["volume"])
    assert len(planned.form.pictures) - len(written) == sum(map(len, held.values()))
    assert all(len(names) == 1 for names in ids.values())
    assert len(set.union(*ids.values())) == len(ids)


def assert_footprint(planned: Planned, mode: str, applied: Any) -> None:
    """Compare files, bytes and inodes, predicted and reported, with the tree."""
    output = planned.output
    files = [Path(folder, name) for folder, _, names in os.walk(output) for name in names]
    files = [path for path in files if path.relative_to(output).parts[0] != ".planbalance"]
    assert (applied["output"], applied["mode"], applied["published"]) == (str(output), mode, True)
    assert (applied["files"], applied["resumed"]) == (len(files), 0)
    if mode == "list":
        placed = [output / f"{split}.txt" for split in SPLITS]
        assert planned.plan["modes"]["list"] == {
            "files": 3,
            "bytes": sum(path.stat().st_size for path in placed),
            "inodes": 3,
        }
        return
    placed = [path for path in files if path.relative_to(output).parts[0] in ("images", "labels")]
    folders = [folder for root in ("images", "labels") for folder, _, _ in os.walk(output / root)]
    anew = [path for path in placed if mode == "copy" or path.relative_to(output).parts[0] == "labels"]
    size = sum(path.stat().st_size for path in anew)
    inodes = len({path.lstat().st_ino for path in (anew if mode == "hardlink" else placed)}) + len(folders)
    assert planned.plan["modes"][mode] == {"files": len(placed), "bytes": size, "inodes": inodes}
    assert applied["bytes"] == size


def assert_metadata(planned: Planned, held: Held) -> None:
    """Compare the metadata file with what was built, down to the names of the slices of each volume."""
    stored = json.loads((planned.output / "balanced_dataset_metadata.json").read_text())
    told = stored["volume_statistics"]
    assert told.pop("kept_volumes") == {split: len(volumes(held[split])) for split in SPLITS}
    assigned = as_assigned(planned, held)
    assert told == {
        **{f"{split}_volumes": len(volumes(assigned[split])) for split in SPLITS},
        "total_volumes": len(volumes(planned.form.pictures)),
        "no_overlap_verified": True,
    }
    assert {key: planned.plan["volume_statistics"][key] for key in told} == told
    assert stored["statistics"] == statistics(planned, held)
    for split in SPLITS:
        slices = Counter(
            (frozenset(kinds["positive"]), frozenset(kinds["negative"]))
            for kinds in stored["slice_details"][split].values()
        )
        assert slices == Counter(
            (
                frozenset(one.name for one in pictures if planned.positive(one)),
                frozenset(one.name for one in pictures if not planned.positive(one)),
            )
            for pictures in volumes(held[split]).values()
        )


def assert_dataset_yaml(planned: Planned) -> None:
    """`dataset.yaml` names the classes, where the dataset lies, and what the input's yaml said beside."""
    data = yaml.safe_load((planned.output / "dataset.yaml").read_text())
    names = planned.form.names
    assert (data["path"], data["nc"], data["names"]) == (str(planned.output), len(names), dict(enumerate(names)))
    assert data["planbalance"]["digest"] == planned.plan["digest"]
    known = {"path", *SPLITS, "nc", "names", "planbalance"}
    assert {key: value for key, value in data.items() if key not in known} == planned.form.keys


def assert_audit(planned: Planned, held: Held, audit: Any) -> None:
    """`verify` finds nothing wrong, and looked at as much as there is."""
    everything = [picture for pictures in held.values() for picture in pictures]
    assert_reading(planned, audit, everything)
    assert audit["ok"] is True
    assert audit["leaks"] == []
    assert audit["plan_digest"] == planned.plan["digest"]
    assert audit["summary"].startswith("No slice of val or test shares a volume")
    checks = {check["name"]: check for check in audit["checks"]}
    for name in ("files", "labels", "label-checksums", "counts", "duplicate-content", "sources", "trainers"):
        assert (checks[name]["ok"], checks[name]["count"]) == (True, len(everything)), name
    assert not any(problem["severity"] == "error" for check in checks.values() for problem in check["problems"])
    kept = planned.counts(held["train"])
    assert (
        checks["balance"]["reason"] == f"train holds {kept['positive']} positive and {kept['negative']} negative slices"
    )
    if everything[0].path.suffix != ".dcm":
        labelled = {split: sum(bool(picture.classes) for picture in held[split]) for split in SPLITS}
        trained = "; ".join(
            f"{split} {labelled[split]} labelled and {len(held[split]) - labelled[split]} background images"
            for split in SPLITS
        )
        assert checks["trainers"]["reason"].startswith(f"Ultralytics loads {trained}")
