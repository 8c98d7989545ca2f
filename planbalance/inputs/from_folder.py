"""Read a folder as an input: by the one yaml in it that names splits, else by its layout, else as an export.

It looks at a few folders and reads yaml files and image lists; the scan reads the images.
"""

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from planbalance.errors import HoldsDatasetsError, InputError, UsageError
from planbalance.inputs.agreement import add_what_yamls_say
from planbalance.inputs.draft import Area, InputDraft, YamlFile, absolute, add_listed, unreadable, with_slash
from planbalance.inputs.exports import (
    DarknetFile,
    data_folders,
    end_below,
    find_darknet,
    has_labels_beside,
    image_folders,
    images_beside,
    listed_places,
)
from planbalance.inputs.from_yaml import from_yaml, locate_splits, read_yaml
from planbalance.inputs.layout import areas_with_splits, layout_areas
from planbalance.model import SPLITS, InputSpec, LayoutDifference, Problem
from planbalance.path_relation import is_within
from planbalance.text import counted, some, text_fault

_FEW_FOLDERS: Final = 50  # that are looked into for a hint
_MOST_ENTRIES: Final = 2000  # of a folder that are listed for it


_YAML_NAMES: Final = ("data.yaml", "dataset.yaml")


YAML_SUFFIXES: Final = (".yaml", ".yml")


def from_folder(root: str, *, audit: bool) -> InputDraft:
    """Read a folder by the one yaml that names its splits; else by its layout: `images/`, `train/images` and so on."""
    documents = _yaml_files(root)
    layout = layout_areas(root)
    yamls = _naming_splits(documents)
    usual = _usual_yamls(documents)
    if len(yamls) == 1:
        draft = _from_folders_yaml(root, yamls[0], layout, audit=audit)
    elif yamls and (not layout or (audit and all(area.split is None for area in layout))):
        raise _yamls_differ(root, yamls)
    elif layout:
        draft = InputDraft(root, walked=layout)
    else:
        draft = _from_export(root) or _refuse_folder(root, usual)
    if len(yamls) > 1:
        message = f"{_said_by(yamls)}. They differ, so the folders' names decide: to use one of them, give it as INPUT"
        draft.problems.append(Problem("dataset-yaml", "warning", root, message))
    add_what_yamls_say(draft, (*usual, *yamls) if len(yamls) == 1 else usual)
    _note_autosplit(draft, root)
    return draft


def _refuse_folder(root: str, yamls: Sequence[YamlFile]) -> InputDraft:
    if yamls:
        return from_yaml(*yamls[0], audit=False)  # says that it names no images
    inside = _datasets_in(root)
    if inside:
        names = [os.path.basename(one) for one in inside]
        raise HoldsDatasetsError(
            f"{root} is no dataset itself, but holds {counted(len(inside), 'dataset')}: {some(names)}.",
            kind="no-layout",
            hint=f"Give one of them, such as {inside[0]}.",
            paths=inside,
        )
    above = _dataset_above(root)
    if above is not None:
        raise InputError(
            f"{root} lies in the dataset {above} and is only a part of it: give {above}.",
            kind="no-layout",
            hint="A dataset is given by the folder that holds images/ and labels/, or by its yaml.",
            paths=(root,),
        )
    raise InputError(
        f"No dataset layout was recognised in {root}: neither images/, nor train/images, nor a data.yaml, nor an "
        "obj.data, nor images with their .txt files beside them.",
        kind="no-layout",
        hint=_layout_hint(root),
        paths=(root,),
    )


def _datasets_in(root: str) -> list[str]:
    """Return the datasets that lie directly in a folder; of very many folders, a few are looked at."""
    try:
        with os.scandir(root) as entries:
            folders = [each.path for each in islice(entries, _MOST_ENTRIES) if each.is_dir() and each.name[0] != "."]
    except OSError:
        return []
    return [one for one in sorted(folders)[:_FEW_FOLDERS] if layout_areas(one) or _naming_splits(_yaml_files(one))]


def _dataset_above(root: str) -> str | None:
    """Return the dataset of which a folder is the image or label folder, or lies below it; None where there is none."""
    at = root
    while at != "/":
        above, name = os.path.split(at)
        if name in ("images", "labels") and layout_areas(above):
            return above
        at = above
    return None


def _note_autosplit(draft: InputDraft, root: str) -> None:
    """Warn of lists of Ultralytics' `autosplit` that no yaml names: their author expects them to be used."""
    texts = [
        path
        for split in SPLITS
        if os.path.isfile(path := f"{with_slash(root)}autosplit_{split}.txt") and path not in draft.texts
    ]
    if texts:
        lines = ", ".join(f"{path[:-4].rpartition('_')[2]}: {os.path.basename(path)}" for path in texts)
        message = (
            f"a list of Ultralytics' autosplit that no yaml names, so trainers do not read it; a yaml would: {lines}"
        )
        draft.problems.append(Problem("layout-difference", "warning", texts[0], message))


def _from_export(root: str) -> InputDraft | None:
    """Read a folder without `images/` as an export: by Darknet's lists, else with labels beside images.

    A folder called `images` or `labels` is refused: the dataset is the folder above it.
    """
    darknet = find_darknet(root)
    if darknet is not None and darknet.lists:
        return _from_darknet(root, darknet)
    areas = [Area(folder, folder, split) for folder, split in data_folders(root)]
    if not areas and os.path.basename(root) not in ("images", "labels"):
        areas = areas_with_splits(root, root)
        areas = areas if has_labels_beside(root) else [one for one in areas[:-1] if has_labels_beside(one.images)]
    return InputDraft(root, walked=areas) if areas else None


def _from_darknet(root: str, darknet: DarknetFile) -> InputDraft:
    """Read the lists of images that Darknet's `.data` file names."""
    draft = InputDraft(root)
    for split, place in darknet.absent.items():
        message = f"{os.path.basename(darknet.path)} names it as {split}, but it is not there"
        draft.problems.append(Problem("missing", "warning", f"{with_slash(root)}{place}", message))
    listed = [(split, place) for split, text in darknet.lists.items() for place in listed_places(text)]
    draft.texts += darknet.lists.values()
    here: dict[str, str] = {}  # by the folder as written
    for _, place in listed:
        folder = os.path.dirname(place)
        if folder not in here:
            here[folder] = _folder_here(root, place) or _refuse_list(darknet, place, len(listed))
    areas = image_folders(root, here.values())
    for split, place in listed:
        folder, name = os.path.split(place)
        add_listed(draft, f"{with_slash(here[folder])}{name}", Area(*areas[here[folder]], split), (split,))
    draft.problems += _unlisted(draft.listed, {*here.values(), *(folder for folder, _ in data_folders(root))}, darknet)
    return draft


def _folder_here(root: str, place: str) -> str | None:
    """Return the folder below the root for a listed image: the longest end of its path, or the root itself."""
    folder = end_below(root, os.path.dirname(place), os.path.isdir)
    return folder or (root if os.path.isfile(f"{with_slash(root)}{os.path.basename(place)}") else None)


def _unlisted(listed: Collection[str], folders: Iterable[str], darknet: DarknetFile) -> Iterator[Problem]:
    """Yield a warning for each folder with images that no list names: Darknet does not load them."""
    for folder in sorted(folders):
        others = [name for name in images_beside(folder) if f"{with_slash(folder)}{name}" not in listed]
        if others:
            few = f"holds {len(others):,} images that no list of {os.path.basename(darknet.path)} names"
            yield Problem("unlisted", "warning", folder, f"{few}, such as {others[0]!a}: they are left out")


def _refuse_list(darknet: DarknetFile, image: str, images: int) -> str:
    raise InputError(
        f"{darknet.path}: its lists name {images:,} images, and the folder of {image!a} is not here.",
        kind="input-not-found",
        hint="Export the dataset with its images (in CVAT: Save images), or put them where the lists say.",
        paths=(darknet.path,),
    )


def _yaml_files(root: str) -> list[YamlFile]:
    """Return the yaml files at the root of a dataset.

    One that cannot be read as a dataset's is refused where it has a dataset's usual name or is the only one.
    """
    try:
        present = sorted(n for n in os.listdir(root) if n.lower().endswith(YAML_SUFFIXES) and not n.startswith("."))
    except OSError as error:
        raise unreadable(root, error) from error
    present = [name for name in present if text_fault(name) is None]
    documents = []
    for name in present:
        path = f"{with_slash(root)}{name}"
        try:
            documents.append((path, read_yaml(path)))
        except InputError:
            if name in _YAML_NAMES or len(present) == 1:
                raise
    return documents


def _usual_yamls(documents: Sequence[YamlFile]) -> list[YamlFile]:
    """Return the dataset's yaml: data.yaml, dataset.yaml (or both), or the only one."""
    usual = [(path, data) for path, data in documents if os.path.basename(path) in _YAML_NAMES]
    usual.sort(key=lambda document: _YAML_NAMES.index(os.path.basename(document[0])))
    return usual or list(documents if len(documents) == 1 else ())


def _naming_splits(documents: Sequence[YamlFile]) -> list[YamlFile]:
    """Return the yaml files that name splits; of those with the same splits, the first."""
    by_meaning: dict[object, YamlFile] = {}
    for path, data in documents:
        if data.splits:
            located = locate_splits(path, data)
            meaning = frozenset((split, found or place) for split, place, found in located.places)
            by_meaning.setdefault(meaning, (path, data))
    return list(by_meaning.values())


def _from_folders_yaml(root: str, document: YamlFile, layout: list[Area], *, audit: bool) -> InputDraft:
    """Read a folder by the yaml in it, its folders in the order of the layout.

    Where a yaml names the same folders for all its splits, the folders' own names give the splits. In an audit the yaml
    gives them, since trainers would train and measure on the same images.
    """
    draft = from_yaml(*document, audit=audit, beside=root)
    areas = [*draft.walked, *draft.listed.values()]
    inside = [area for area in areas if is_within(area.images, root)]
    own = [one for one in draft.differences if is_within(one.path, root)]
    if areas and not inside and own:
        _judge_images_elsewhere(draft, root, document[0], own)
    if len(inside) == len(areas):
        draft.root = root
    if not audit and _tells_no_split(draft, layout):
        several = draft.shared[draft.walked[0].images]
        draft.walked, draft.shared = layout, {area.images: several for area in layout}
        told = ("split-overlap", "layout-difference")
        draft.problems = [problem for problem in draft.problems if problem.kind not in told]
        draft.differences = []
    else:
        order = {area.images: number for number, area in enumerate(layout)}
        draft.walked.sort(key=lambda area: order.get(area.images, len(order)))
    return draft


def _judge_images_elsewhere(draft: InputDraft, root: str, yaml: str, own: Sequence[LayoutDifference]) -> None:
    """Refuse a folder of images whose yaml names others; an audit reads what trainers read, and reports it.

    This happens with a copy whose yaml still names the original: only the user knows which of the two is meant.
    """
    said = f"leads to {draft.root}, while {root} holds {counted(sum(one.images for one in own), 'image')} of its own"
    if not draft.audit:
        raise InputError(
            f"{yaml} {said} that it does not name.",
            kind="yaml-elsewhere",
            hint=f"If {root} is meant, correct its yaml (planbalance relocate does); else give {draft.root} as INPUT.",
            paths=(yaml,),
        )
    message = f"{said}: trainers read there, and so does this audit (planbalance relocate corrects it)"
    draft.problems.append(Problem("moved", "warning", yaml, message))


def _tells_no_split(draft: InputDraft, layout: Sequence[Area]) -> bool:
    """Return whether all folders are named for the same two or three splits, and hold all images of the layout."""
    if draft.listed or not all(one.yaml_splits for one in draft.differences):
        return False
    named = {area.images for area in draft.walked}
    if len({draft.shared.get(folder, ()) for folder in named}) > 1 or not named & draft.shared.keys():
        return False
    return all(any(is_within(folder, area.images) for area in layout) for folder in named)


def _layout_hint(root: str) -> str:
    if os.path.basename(root) in ("images", "labels"):
        return f"Give the folder above it: {os.path.dirname(root)}."
    if any(has_labels_beside(folder) for folder, _, _ in islice(os.walk(root), _FEW_FOLDERS)):
        given = shlex.quote(root)
        return f"In its folders, labels lie beside the images. To read them there: --images {given} --labels {given}"
    return "Give the folder that holds images/ and labels/, a yaml, or --images DIR --labels DIR."


def from_roots_apart(spec: InputSpec) -> InputDraft:
    """Read `--images` and `--labels`: labels are found by equal relative path."""
    if spec.images is None or spec.labels is None:
        raise UsageError("--images and --labels go together.", kind="usage", hint="Give both folders, or one INPUT.")
    images, labels = absolute(spec.images), absolute(spec.labels)
    for what, given, path in (("Image", spec.images, images), ("Label", spec.labels, labels)):
        if not os.path.isdir(path):
            raise not_found(f"{what} directory", given, path)
    root = os.path.commonpath((images, labels))
    if not spec.path:
        yamls = [f"{with_slash(root)}{name}" for name in _YAML_NAMES if os.path.isfile(f"{with_slash(root)}{name}")]
        documents = [(path, read_yaml(path)) for path in yamls]
    else:
        path = absolute(spec.path)
        documents = _usual_yamls(_yaml_files(path)) if os.path.isdir(path) else [(path, read_yaml(path))]
    draft = InputDraft(root, walked=areas_with_splits(images, labels), guarded=(images, labels))
    add_what_yamls_say(draft, documents)
    return draft


def _said_by(yamls: Sequence[YamlFile]) -> str:
    return "; ".join(
        f"{os.path.basename(path)} names "
        + ", ".join(f"{split}: {' + '.join(_few_places(places))}" for split, places in data.splits.items())
        for path, data in yamls
    )


def _few_places(places: Sequence[str]) -> Sequence[str]:
    return places if len(places) <= 3 else (*places[:2], f"{len(places) - 2:,} more")


def _yamls_differ(root: str, yamls: Sequence[YamlFile]) -> InputError:
    return InputError(
        f"Several yaml files of {root} name other splits: {_said_by(yamls)}.",
        kind="yamls-differ",
        hint=f"Give the one that is meant as INPUT, such as {yamls[0][0]}.",
        paths=[path for path, _ in yamls],
    )


def not_found(what: str, given: str, path: str) -> InputError:
    """Return the refusal of an absent path: it names what is alike there, or what the deepest existing folder holds."""
    parent = os.path.dirname(path)
    missing = os.path.basename(path)
    while parent != "/" and not os.path.isdir(parent):
        parent, missing = os.path.dirname(parent), os.path.basename(parent)
    try:
        with os.scandir(parent) as entries:
            few = islice(entries, _MOST_ENTRIES)
            listed = [each.name for each in few if each.is_dir() or each.name.lower().endswith(YAML_SUFFIXES)]
    except OSError:
        listed = []
    from difflib import get_close_matches

    names = sorted(name for name in listed if not name.startswith(".") and text_fault(name) is None)
    close = get_close_matches(missing, names, n=1)
    there = f"{parent} holds {some(names)}" if names else f"{parent} holds no folder"
    near = f". Did you mean {with_slash(parent)}{close[0]}?" if close else f"; {there}."
    hint = f"{parent} exists, but holds no '{missing}'."
    if not given.startswith("/"):
        hint += f' "{given}" was looked for in the working folder; give an absolute path.'
    return InputError(f"{what} not found: {path}{near}", kind="input-not-found", hint=hint, paths=(path,))
