"""Read an input by its yaml, as Ultralytics 8.4 (`check_det_dataset`) and YOLOv5 (`check_dataset`) read it."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from planbalance.errors import InputError
from planbalance.inputs.draft import (
    Area,
    InputDraft,
    absolute,
    add_listed,
    in_order,
    overlap,
    read_document,
    splits_of_area,
    unreadable,
    upwards,
)
from planbalance.inputs.layout import (
    areas_with_splits,
    difference_problems,
    differences,
    image_folders,
    label_folder,
)
from planbalance.inputs.text_lists import TextList, is_absolute, is_image, joined, longest_end_here, read_text_list
from planbalance.labels import KPT_SHAPE, keypoints_of
from planbalance.model import LayoutDifference, Problem, Severity, Split, SplitYaml, split_of_word
from planbalance.text import counted

if TYPE_CHECKING:
    from planbalance.datayaml import DatasetYaml

_WRITE_SLASHES: Final = "write / in place of each backslash"


def empty_split(yaml: str, split: Split, place: str) -> Problem:
    """Return the warning of a split that a yaml names, whose folder or list exists and gives no image."""
    message = f"{os.path.basename(yaml)} names it as {split}, but it holds no image"
    return Problem("empty-split", "warning", place, message)


class _Located(NamedTuple):
    """The places that a yaml names, as found on this machine.

    Attributes:
        root: the folder that relative places count from.
        places: split, place as written, absolute path where it is there.
        moved: why trainers would not find it where it was found; "" where they would.
        lost: the folder that `path:` names, where neither it nor what it should hold is here; else "".
    """

    root: str
    places: list[tuple[Split, str, str | None]]
    moved: str = ""
    lost: str = ""


class _NotThere(NamedTuple):
    """A place that a yaml names for a split, and that does not exist or gives no image."""

    split: Split
    place: str
    path: str
    why: str


def from_yaml(path: str, data: "DatasetYaml", *, audit: bool, beside: str | None = None) -> InputDraft:
    """Read a yaml as the trainers do; `beside` is the given folder, where the yaml was found in it."""
    if not data.splits:
        raise InputError(
            f"{path} names no images: it has neither train, val nor test, so give the dataset's folder, or write "
            "`train: images/train` into it.",
            kind="no-layout",
            hint="val: and test: are written in the same way.",
            paths=(path,),
        )
    located = locate_splits(path, data)
    if located.lost and not audit:
        raise _path_leads_nowhere(path, data, located.lost)
    draft = InputDraft(located.root, audit=audit)
    if located.moved:
        draft.problems.append(Problem("moved", "warning", path, located.moved))
    named: dict[str, list[Split]] = {}
    texts: dict[str, list[Split]] = {}
    not_there: list[_NotThere] = []
    for split, place, found in located.places:
        if found is None:
            not_there.append(_NotThere(split, place, joined(located.root, _slashes(place)), "is not there"))
        else:
            (named if os.path.isdir(found) else texts).setdefault(found, []).append(split)
    _add_named_folders(draft, named)
    for text, splits in texts.items():
        not_there += _add_text(draft, text, splits)
    lost = {one.path for one in not_there}
    here: dict[Split, tuple[str, ...]] = {}
    for split, _, found in located.places:
        if found is not None and found not in lost:
            here[split] = (*here.get(split, ()), found)
    draft.yaml = SplitYaml(path, data.splits, here, data.path, located.root, bool(located.moved))
    _judge_listed_in_named(draft)
    _find_differences(draft, path, (located.root,) if beside is None else (located.root, beside))
    _judge_not_there(path, draft, not_there)
    return draft


def locate_splits(yaml: str, data: "DatasetYaml") -> _Located:
    """Find the places that a yaml names: below its `path:`, else below its own folder, and by paths of another machine.

    A relative `path:` is looked for below the yaml's folder first, then below the working folder, as Ultralytics does.
    """
    folder = os.path.dirname(yaml)
    root = _yaml_root(folder, data.path)
    at = folder if root is None else root
    places = [(split, place, _locate(at, place)) for split, several in data.splits.items() for place in several]
    backslashes = any("\\" in place and not os.path.exists(joined(at, place)) for _, place, _ in places)
    ends = {place: end for _, place, found in places if found is None and (end := _end_here(place, folder)) is not None}
    beginnings = {beginning for _, beginning in ends.values()}
    here = f"was found below {folder}, where trainers do not look"
    if len(beginnings) == 1:
        places = [(split, place, ends[place][0] if place in ends else found) for split, place, found in places]
        moved = f"it names folders below {beginnings.pop()}, which is not here, and what they should hold {here}: "
        return _Located(at, places, f"{moved}write path: {folder}, and its folders relative to it")
    if root is None and not any(found for _, _, found in places):
        return _Located(at, places, lost=joined(folder, _slashes(data.path or "")))
    if root is None:
        moved = f"its path: {data.path} is not here, and what it names {here}"
        slashes = f", and {_WRITE_SLASHES}" if backslashes else ""
        return _Located(at, places, f"{moved}: correct path: (planbalance relocate {yaml} does){slashes}")
    said = f"it separates folders by backslashes, which trainers read on Windows only: {_WRITE_SLASHES}"
    return _Located(at, places, said if backslashes else "")


def _end_here(place: str, folder: str) -> tuple[str, str] | None:
    """Return the longest end of another machine's path that is below a folder, and the beginning that is left out."""
    return longest_end_here(_slashes(place), folder) if is_absolute(_slashes(place)) else None


def _yaml_root(folder: str, path: str | None) -> str | None:
    """Return the folder that `path:` names, or the yaml's own without `path:`; None where it does not exist."""
    if path is None:
        return folder
    for written in dict.fromkeys((path, _slashes(path))):
        if is_absolute(written) and not written.startswith("/"):
            continue  # a drive of Windows
        root = joined(folder, written)
        if os.path.isdir(root):
            return folder if os.path.samefile(root, folder) else root
        if not written.startswith("/") and os.path.isdir(absolute(written)):
            return absolute(written)
    return None


def _locate(root: str, place: str) -> str | None:
    """Return where a split's folder or text file lies. Roboflow writes `../train/images` for `train/images`."""
    for written in dict.fromkeys((place, _slashes(place))):
        for candidate in (written, written.removeprefix("../")):
            found = joined(root, candidate)
            if found.startswith("/") and os.path.exists(found):
                return found
    return None


def _slashes(place: str) -> str:
    return place.replace("\\", "/")


def _find_differences(draft: InputDraft, yaml: str, roots: Sequence[str]) -> None:
    """Report image folders below the roots that differ from the yaml."""
    folders: dict[str, Split | None] = {}
    for root in dict.fromkeys(roots):
        folders.update(image_folders(root))
    named = {area.images: splits_of_area(draft, area) for area in draft.walked}
    found = differences(folders, named, draft.listed.keys())
    for (folder, told, split), images in Counter(_listed_otherwise(draft)).items():
        found.append(LayoutDifference(folder, images, told, (split,)))
    draft.differences = sorted(found, key=itemgetter(0))
    draft.problems += difference_problems(draft.differences, yaml)


def _listed_otherwise(draft: InputDraft) -> Iterator[tuple[str, Split, Split]]:
    """Yield folder, its own split and the list's split for every listed image in a folder named as another split."""
    told = {area: split_of_word(os.path.basename(area.images)) for area in dict.fromkeys(draft.listed.values())}
    if all(split is None or split == area.split for area, split in told.items()):
        return
    for image, area in draft.listed.items():
        own, split = told[area], area.split
        if own is not None and split is not None and own not in draft.shared.get(image, (split,)):
            yield area.images, own, split


def _judge_not_there(yaml: str, draft: InputDraft, not_there: Sequence[_NotThere]) -> None:
    """Refuse absent places, which would be left out unnoticed; an absent `test:` is common in exports: a warning.

    In an audit each is an error: trainers stop, or have no images to measure on.
    """
    nothing_found = not draft.walked and not draft.listed
    needed = [one for one in not_there if one.split != "test" or nothing_found]
    if needed and not draft.audit:
        raise InputError(
            f"{yaml} names what is not there below {draft.root}: {_listed_not_there(needed)}.",
            kind="input-not-found",
            hint=f"Correct what it names. {_instead(draft, needed)}".rstrip(),
            paths=[one.path for one in not_there],
        )
    for one in not_there:
        stop = ": trainers stop" if one.split != "test" else ""
        message = f"{os.path.basename(yaml)} names it as {one.split}, but it {one.why}{stop if draft.audit else ''}"
        instead = _instead(draft, [one]) if draft.audit else ""
        severity: Severity = "error" if draft.audit else "warning"
        draft.problems.append(Problem("missing", severity, one.path, f"{message}. {instead}".rstrip(". ")))


def _listed_not_there(places: Sequence[_NotThere]) -> str:
    told = [f"{one.split}: {one.place}" + ("" if one.why == "is not there" else f" {one.why}") for one in places]
    return ", ".join(told[:3])


def _instead(draft: InputDraft, needed: Sequence[_NotThere]) -> str:
    """Return the question whether the user means a folder of that split's name that the yaml does not name."""
    splits = {one.split for one in needed}
    meant = [one for one in draft.differences if not one.yaml_splits and one.folder_split in splits]
    if not meant:
        return ""
    return f"Is {meant[0].path} meant, which holds {counted(meant[0].images, 'image')}?"


def _add_named_folders(draft: InputDraft, named: Mapping[str, list[Split]]) -> None:
    """Add the folders that a yaml names, and the split folders in them, so that `train/` is not read as a volume."""
    inner: dict[str, Split] = {}
    for folder in named:
        if split_of_word(os.path.basename(folder)) is None:
            for area in areas_with_splits(folder, folder)[:-1]:
                if area.split is not None:
                    inner[area.images] = area.split
    for folder in sorted({*named, *inner}):
        holders = {split for outer in upwards(folder) for split in named.get(outer, ())}
        split = _split_of(folder, named, inner, holders)
        draft.walked.append(Area(folder, label_folder(folder), split))
        if len(holders) > 1:
            draft.shared[folder] = in_order(holders)
            draft.problems.append(overlap(folder, holders))


def _split_of(
    folder: str, named: Mapping[str, Sequence[Split]], inner: Mapping[str, Split], holders: Iterable[Split]
) -> Split:
    """Return the split of a folder: as named itself, else as the only split that holds it, else after its own name."""
    if folder in named:
        return named[folder][0]
    first, *others = holders
    return inner[folder] if others else first


def _add_text(draft: InputDraft, text: str, splits: Sequence[Split]) -> list[_NotThere]:
    """Add the images that a text list names; an image in the lists of two splits stays in the first.

    Returns the splits that lack their images, where none of the listed images is on this machine.
    """
    draft.texts.append(text)
    if len(splits) > 1:
        draft.problems.append(overlap(text, splits))
    listed = _listed_images(draft, text)
    if listed.lost:
        why = f"lists {counted(len(listed.images), 'image')} of which none is here, the first {listed.lost}"
        return [_NotThere(split, os.path.basename(text), text, why) for split in splits]
    without_images: list[str] = []
    areas: dict[str, Area] = {}  # by the images' folder
    for image in listed.images:
        folder = os.path.dirname(image)
        area = areas.get(folder)
        if area is None:
            area = areas[folder] = _listed_area(folder, splits[0])
        if not area.images:
            without_images.append(image)
        else:
            add_listed(draft, image, area, splits)
    if without_images:
        beside = os.path.commonpath([os.path.dirname(image) for image in without_images])
        for image in without_images:
            add_listed(draft, image, Area(beside, beside, splits[0]), splits)
    return []


def _judge_listed_in_named(draft: InputDraft) -> None:
    """Report images that a text list names for one split while their folder is named for another."""
    if not draft.walked:
        return
    holders: dict[str, Area | None] = {}
    inside = {area.images: area for area in draft.walked}
    for image, area in draft.listed.items():
        folder = image.rpartition("/")[0]
        if folder not in holders:
            holders[folder] = next((inside[outer] for outer in upwards(folder) if outer in inside), None)
        other = holders[folder]
        if other is None or other.split is None or area.split is None:
            continue
        splits = {*splits_of_area(draft, other), *draft.shared.get(image, (area.split,))}
        if len(splits) > 1:
            draft.shared[image] = in_order(splits)
        if other.split != area.split:
            draft.problems.append(overlap(image, (other.split, area.split)))


def _listed_images(draft: InputDraft, text: str) -> TextList:
    """Return the images of a text list and report its faults; a named image counts as a list of one."""
    if is_image(text):
        return TextList([text], [])
    try:
        listed = read_text_list(text, draft.root)
    except OSError as error:
        raise unreadable(text, error) from error
    if listed.passed_over:
        what = f"{len(listed.passed_over):,} lines passed over that name no image, the first of them this one"
        draft.problems.append(Problem("missing", "warning", f"{text}:{listed.passed_over[0]}", what))
    said = []
    if listed.moved:
        said.append(
            f"its images are listed below {listed.moved}, which is not here, and were found below {listed.below}"
        )
    if listed.backslashes:
        said.append("it separates folders by backslashes")
    if listed.encoding:
        said.append(f"it is written in {listed.encoding}")
    if said and not listed.lost:
        message = (
            f"{'; '.join(said)}: trainers here would not find them; write the list anew with paths of this machine"
        )
        draft.problems.append(Problem("moved", "warning", text, message))
    return listed


def _listed_area(folder: str, split: Split) -> Area:
    """Return the area of listed images in `folder`: up to the last `/images/` and a split's folder below it.

    Without `/images/` the area is the common folder of the whole list, which is not known yet: empty paths.
    """
    before, found, after = f"{folder}/".rpartition("/images/")
    if not found:
        return Area("", "", split)
    first = after.partition("/")[0]
    images = f"{before}/images/{first}" if split_of_word(first) is not None else f"{before}/images"
    return Area(images, label_folder(images), split)


def read_yaml(path: str) -> "DatasetYaml":
    """Return the content of a dataset's yaml.

    Raises:
        InputError: `unreadable`, or `dataset-yaml`.
    """
    return read_document(path, _parse_yaml)


def _parse_yaml(text: bytes) -> "DatasetYaml":
    from planbalance.datayaml import parse_dataset_yaml

    data = parse_dataset_yaml(text)
    try:
        keypoints_of(data.keys.get(KPT_SHAPE))
    except ValueError as error:
        raise InputError(
            f"'{KPT_SHAPE}' is {error}.",
            kind="dataset-yaml",
            hint="Correct it, as in `kpt_shape: [17, 3]`, or take it out where labels hold no keypoints.",
        ) from error
    return data


def _path_leads_nowhere(yaml: str, data: "DatasetYaml", root: str) -> InputError:
    return InputError(
        f"{yaml}: 'path' names {data.path}, and there is no folder {root}.",
        kind="input-not-found",
        hint="If the dataset was moved, correct 'path' (planbalance relocate does), or give the folder as input.",
        paths=(root,),
    )
