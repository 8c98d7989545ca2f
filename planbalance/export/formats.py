"""The formats that list volumes or slices: CSV, nnU-Net's `splits_final.json` and MONAI's datalist."""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.destination import Destination, Destinations, label_of
from planbalance.errors import InputError
from planbalance.model import SPLITS, Operation, ReadablePlan, Split
from planbalance.text import counted, enumerated, some

COLUMNS: Final = ("volume", "group", "split", "slices", "positives", "kept")
_CHANNEL: Final = "_0000"  # nnU-Net: `<case>_0000.png` is the first channel of a case
_LABEL_OPTIONS: Final = ("missing_label", "invalid_label")
_KEYS: Final[Mapping[Split, str]] = {"train": "training", "val": "validation", "test": "test"}


class NamedSplit(NamedTuple):
    """A split to export.

    Attributes:
        name: what it is called among several, such as `fold 1`.
        plan: its plan, or the dataset as it was found.
        as_found: another tool made the dataset: slices lie where they are, not where a plan puts them.
    """

    name: str
    plan: ReadablePlan
    as_found: bool = False


class Exported(NamedTuple):
    """The text of a file, and sentences on what it does not say and how it is used."""

    text: str
    notes: tuple[str, ...] = ()


def json_text(content: object) -> str:
    """Return JSON in ASCII: other programs open such files with the encoding of their machine."""
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"


# ---- CSV ------------------------------------------------------------------------------------------------------------


def csv_text(splits: Sequence[NamedSplit]) -> Exported:
    """Return a row for each volume; of several plans, with a column `fold` before the others."""
    several = len(splits) > 1
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("fold", *COLUMNS) if several else COLUMNS)
    for one in splits:
        for volume in one.plan.header.volumes:
            row = (volume.id, volume.group, volume.split, volume.slices, volume.positives, volume.kept)
            rows.writerow((one.name, *row) if several else row)
    return Exported(text.getvalue())


# ---- nnU-Net --------------------------------------------------------------------------------------------------------


def nnunet_text(splits: Sequence[NamedSplit], *, slices: bool) -> Exported:
    """Return `splits_final.json` of nnU-Net v2: for each plan, the cases of train and of val.

    Args:
        splits: in the order of nnU-Net's folds 0, 1 and so on.
        slices: a case is a slice that the plan keeps; else it is a volume, also one of which no slice is kept.

    Raises:
        InputError: a volume is in two splits, train or val is empty, or an id cannot name a case.
    """
    folds = [_cases(one, slices=slices) for one in splits]
    content = [{split: sorted(fold[split]) for split in ("train", "val")} for fold in folds]
    notes = [*_nnunet_notes(folds, slices=slices), *([] if slices else _whole_volume_notes(splits))]
    return Exported(json_text(content), tuple(notes))


def _cases(one: NamedSplit, *, slices: bool) -> dict[Split, list[str]]:
    found: dict[Split, list[str]] = {split: [] for split in SPLITS}
    if slices:
        for operation, place in placed(one):
            stem = place.rpartition("/")[2].rpartition(".")[0]
            found[operation.split].append(stem.removesuffix(_CHANNEL))
    else:
        for volume in one.plan.header.volumes:
            found[volume.split].append(volume.id)
    _check_cases(one.name, found, slices=slices)
    return found


def _check_cases(name: str, found: Mapping[Split, Sequence[str]], *, slices: bool) -> None:
    what = "slice" if slices else "volume"
    times = Counter(case for cases in found.values() for case in cases)
    twice = sorted(case for case, number in times.items() if number > 1)
    if twice:
        raise InputError(
            f"{name}: {counted(len(twice), f'{what} name')} would be the same nnU-Net case twice: {some(twice)}.",
            kind="export-case-twice",
            hint="A case is in one list only. A volume in two splits is a leak: see `planbalance repair`.",
        )
    slashed = sorted(case for case in times if "/" in case)
    if slashed:
        raise InputError(
            f"{name}: {counted(len(slashed), 'volume id')} cannot name an nnU-Net case, because of the slash: "
            f"{some(slashed)}.",
            kind="export-case-name",
            hint="Give --cases slice, or plan with ids without a slash (--slice-map).",
        )
    for split in ("train", "val"):
        if not found[split]:
            raise InputError(
                f"{name}: {split} is empty, and nnU-Net needs cases to train on and to validate with.",
                kind="export-empty-split",
                hint=f"Plan with a --{split}-ratio above 0.",
            )


def _nnunet_notes(folds: Sequence[Mapping[Split, Sequence[str]]], *, slices: bool) -> Iterator[str]:
    what = "slice" if slices else "volume"
    yield (
        f"A case is a {what}: its images are <{what} name>_0000.png and so on in imagesTr. Put the file beside the "
        "preprocessed data, as nnUNet_preprocessed/DatasetNNN_NAME/splits_final.json."
    )
    tested = {case for fold in folds for case in fold["test"]}
    learned = {case for fold in folds for split in ("train", "val") for case in fold[split]}
    if tested & learned:
        yield (
            "nnU-Net's split file has no test: the test cases of a fold are in neither of its lists, and in those of "
            "other folds. Predict them with the model of their own fold only."
        )
    elif tested:
        are, no = "is" if len(tested) == 1 else "are", "neither" if len(folds) == 1 else "no"
        yield (
            f"nnU-Net's split file has no test: {counted(len(tested), 'case')} of test {are} in {no} list. Put them "
            "into imagesTs, not into imagesTr."
        )


def _whole_volume_notes(splits: Sequence[NamedSplit]) -> Iterator[str]:
    """Yield which slices that a plan left out are in the volumes again, since nnU-Net reads whole ones."""
    headers = [one.plan.header for one in splits]
    if any(volume.kept < volume.slices for header in headers for volume in header.volumes):
        yield "nnU-Net reads whole volumes: the negatives that undersampling left out are in them again."
    options = {flag: None for header in headers for flag in _leaving_out(header.parameters)}
    if options:
        yield (
            f"Slices that {enumerated(list(options), 'or')} left out, if any, are in their volumes again too; a volume "
            "of which nothing is left is in no list."
        )


def _leaving_out(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of a plan that leave slices out."""
    excluded = given.get("exclude")
    if isinstance(excluded, Mapping) and excluded.get("slices"):
        yield "--exclude"
    yield from (f"--{name.replace('_', '-')} skip" for name in _LABEL_OPTIONS if given.get(name) == "skip")


# ---- MONAI ----------------------------------------------------------------------------------------------------------


def monai_text(one: NamedSplit) -> Exported:
    """Return a datalist that `monai.data.load_decathlon_datalist` reads: image and label of each slice.

    Paths are relative to the dataset, which is given as `base_dir`. A split without slices has no list, since MONAI
    refuses a key that is not there and fails on an empty `test`.
    """
    lists: defaultdict[Split, list[dict[str, str]]] = defaultdict(list)
    unlabelled = 0
    for operation, place in placed(one):
        item = {"image": place}
        label = _label_place(one, operation, place)
        if label is None:
            unlabelled += 1
        else:
            item["label"] = label
        lists[operation.split].append(item)
    header = one.plan.header
    content: dict[str, Any] = {
        "planbalance": {"digest": header.digest or None, "split_digest": header.split_digest or None},
        "class_names": None if header.names is None else list(header.names),
        "numTraining": len(lists["train"]),
        "numTest": len(lists["test"]),
        **{_KEYS[split]: lists[split] for split in SPLITS if lists[split]},
    }
    return Exported(json_text(content), tuple(_monai_notes(lists, unlabelled)))


def _monai_notes(lists: Mapping[Split, Sequence[object]], unlabelled: int) -> Iterator[str]:
    yield (
        "Paths are relative to the dataset: give its folder as base_dir, since MONAI takes the folder of this file "
        "where none is given."
    )
    yield (
        "Labels are text files of YOLO. Leave is_segmentation at True: else MONAI joins base_dir to a label only where "
        "the file exists."
    )
    absent = [_KEYS[split] for split in SPLITS if not lists.get(split)]
    if absent:
        yield f"There is no list {' and no list '.join(absent)}, because that split is empty."
    if unlabelled:
        yield f"{counted(unlabelled, 'slice')} without a label file {'has' if unlabelled == 1 else 'have'} no label."


def _label_place(one: NamedSplit, operation: Operation, place: str) -> str | None:
    """Return where the label of a slice lies; None where there is none. A plan's dataset has a label for each slice."""
    if one.as_found:
        return operation.label
    folder, _, name = place.rpartition("/")
    return "/".join(label_of(Destination(folder, name)))


# ---- places ---------------------------------------------------------------------------------------------------------


def placed(one: NamedSplit) -> Iterator[tuple[Operation, str]]:
    """Yield each kept slice with the path of its image below the dataset."""
    header = one.plan.header
    if one.as_found:
        for operation in one.plan.operations():
            yield operation, operation.image
        return
    destinations = Destinations(header.sources, header.parameters["layout"])
    for operation in one.plan.operations():
        yield operation, "/".join(destinations.of(operation))
