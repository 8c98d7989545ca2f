"""What the user names as input -> a root with image folders, label folders and class names.

A folder is read by its layout, a yaml as the trainers read it (Ultralytics 8.4 `check_det_dataset`, YOLOv5
`check_dataset`). Looks at a handful of folders and reads the yaml and its text lists; the images are the scan's.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from planbalance.destination import text_fault
from planbalance.errors import InputError, UsageError
from planbalance.exports import (
    DarknetFile,
    class_names_beside,
    data_folders,
    end_below,
    find_darknet,
    has_labels_beside,
    image_folders,
    images_beside,
    listed_places,
)
from planbalance.labels import KPT_SHAPE, keypoints_of
from planbalance.model import (
    IMAGE_SUFFIXES,
    SPLITS,
    Folder,
    Input,
    InputSpec,
    Problem,
    Split,
    YamlKeys,
    are_named,
    split_of_word,
)
from planbalance.places import is_within

if TYPE_CHECKING:
    from planbalance.datayaml import DatasetYaml

_MOST_ENTRIES: Final = 2000  # of a folder that is looked through for split folders of any spelling
_USUAL_SPLIT_FOLDERS: Final = tuple(
    spelled
    for word in ("train", "training", "val", "valid", "validation", "test", "testing")
    for spelled in (word, word.capitalize(), word.upper())
)
_YAML_NAMES: Final = ("data.yaml", "dataset.yaml")
_YAML_SUFFIXES: Final = (".yaml", ".yml")
# What Ultralytics reads labels and pixels by, and what it takes where a yaml does not say it.
_READ_BY: Final[Mapping[str, int | None]] = {KPT_SHAPE: None, "flip_idx": None, "channels": 3}
# What only tells where data come from.
_PROVENANCE: Final = frozenset(
    ("roboflow", "author", "date", "description", "docs", "info", "license", "url", "version")
)


class FoundInput(NamedTuple):
    """An input as resolved, before its folders are walked.

    Attributes:
        input: its folders may share one path and differ in split where text lists name images of one folder.
        walked: indices of the folders that are taken whole, sub-folders included.
        listed: images that text lists name: path relative to the root -> index of the folder. Of folders that are not
            walked, only these belong to the input.
        texts: the text lists, relative to the root, so that none is taken for a label.
        problems: folders or images that are in two splits (`split-overlap`), splits that are not there (`missing`).
        apart: `--images` and `--labels` name where its images and its labels are.
    """

    input: Input
    walked: tuple[int, ...]
    listed: Mapping[str, int]
    texts: frozenset[str]
    problems: tuple[Problem, ...]
    apart: bool = False


class Area(NamedTuple):
    """An image folder with its label folder, both absolute."""

    images: str
    labels: str
    split: Split | None


@dataclass(slots=True)
class _Draft:
    """An input in absolute paths, while it grows. `guarded`: its folders, where its root is not all the user's."""

    root: str
    names: tuple[str, ...] | None = None
    yaml_keys: YamlKeys = field(default_factory=dict)
    walked: list[Area] = field(default_factory=list)
    listed: dict[str, Area] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    guarded: tuple[str, ...] = ()


def resolve_inputs(specs: Sequence[InputSpec]) -> tuple[FoundInput, ...]:
    """Return the inputs in the order given.

    Raises:
        UsageError: a name that no file name can begin with; `--images` without `--labels` or the reverse.
        InputError: `input-not-found`, `no-layout`, `dataset-yaml`, `unreadable`, `name-refused`, `input-twice` where
            two inputs hold the same image folder, or `class-names-disagree`.
    """
    found = tuple(resolve_input(spec) for spec in specs)
    _refuse_shared_folders(found)
    common_names(found_input.input for found_input in found)
    common_keys(found_input.input for found_input in found)
    return found


def resolve_input(spec: InputSpec) -> FoundInput:
    """Return one input. Raises as `resolve_inputs` does."""
    prefix = _prefix(spec.name)
    if spec.images is not None or spec.labels is not None:
        draft = _from_roots_apart(spec)
        _name_classes(draft)
        return _finish(draft, prefix)._replace(apart=True)
    if not spec.path:
        raise UsageError("No input was given.", kind="usage", hint="Give the data set's folder or its yaml.")
    path = absolute(spec.path)
    if os.path.isdir(path):
        draft = _from_folder(path)
        _name_classes(draft)
    elif os.path.isfile(path) and path.lower().endswith(_YAML_SUFFIXES):
        draft = _from_yaml(path)
        if not are_named(draft.names):
            _name_classes(draft)
    elif os.path.lexists(path):
        raise InputError(
            f"Input is neither a folder nor a yaml: {path}.",
            kind="no-layout",
            hint="Give the data set's folder, its data.yaml or its dataset.yaml.",
            paths=(path,),
        )
    else:
        raise _not_found("Input file" if path.lower().endswith(_YAML_SUFFIXES) else "Input directory", spec.path, path)
    return _finish(draft, prefix)


def common_names(inputs: Iterable[Input]) -> tuple[str, ...] | None:
    """Return the class names of all inputs together; None where none of them has any.

    Raises:
        InputError: `class-names-disagree`.
    """
    first: Input | None = None
    for found in inputs:
        if found.names is not None:
            if first is not None and first.names != found.names:
                raise _names_disagree((first.root, first.names or ()), (found.root, found.names))
            first = first or found
    return None if first is None else first.names


def common_keys(inputs: Iterable[Input]) -> dict[str, Any]:
    """Return what the yaml files of all inputs say together, beside places and class names.

    What only tells where data come from is left out where it differs. A key that trainers read labels or pixels by is
    the same in every yaml, or in none.

    Raises:
        InputError: `yaml-keys-disagree`.
    """
    inputs = tuple(inputs)
    common: dict[str, Any] = {}
    for key in dict.fromkeys(key for found in inputs for key in found.yaml_keys):
        said = [
            (found.root, found.yaml_keys.get(key, _READ_BY.get(key)))
            for found in inputs
            if key in found.yaml_keys or (key in _READ_BY and found.names is not None)
        ]
        other = next((each for each in said if each[1] != said[0][1]), None)
        if other is None:
            common[key] = said[0][1]
        elif key not in _PROVENANCE:
            raise _keys_disagree(key, said[0], other)
    return common


def absolute(path: str) -> str:
    """Return a path made absolute, `.` and `..` taken out lexically, links not resolved.

    Raises:
        InputError: `name-refused`, for a name with control characters or one that is not UTF-8.
    """
    fault = text_fault(path)
    if fault is not None:
        raise InputError(
            f"The path {path!a} {fault}.",
            kind="name-refused",
            hint="Rename the folder, or reach it by a link of another name.",
            paths=(ascii(path)[1:-1],),
        )
    given = path if path.startswith("/") else f"{os.getcwd()}/{path}"
    return "/" + os.path.normpath(given).lstrip("/")  # normpath keeps two leading slashes


def label_folder(images: str) -> str:
    """Return the label folder of an absolute image folder by the trainers' rule: the LAST `/images/` turns `/labels/`.

    Where there is no such part, labels lie beside the images.
    """
    before, found, after = f"{images}/".rpartition("/images/")
    return f"{before}/labels/{after}".rstrip("/") if found else images


# ---- folders --------------------------------------------------------------------------------------------------------


def _from_folder(root: str) -> _Draft:
    """Read a folder by its layout: `images/` with or without splits, `train/images` and so on; else by its yaml."""
    yamls = _yamls(root)
    areas: list[Area] = []
    if os.path.isdir(f"{_slash(root)}images"):
        areas += _areas_with_splits(f"{_slash(root)}images", f"{_slash(root)}labels")
    for name, split in _split_folders(root):
        folder = f"{_slash(root)}{name}"
        if os.path.isdir(f"{folder}/images"):
            areas.append(Area(f"{folder}/images", f"{folder}/labels", split))
    if areas:
        draft = _Draft(root, walked=areas)
        _add_what_yamls_say(draft, yamls)
        return draft
    if not any(_read_yaml(yaml).splits for yaml in yamls) and (export := _from_export(root)) is not None:
        _add_what_yamls_say(export, yamls)
        return export
    if yamls:
        return _from_yaml(yamls[0])
    raise InputError(
        f"No data set layout was recognised in {root}: neither images/, nor train/images, nor a data.yaml, nor an "
        "obj.data, nor images with their .txt files beside them.",
        kind="no-layout",
        hint=_layout_hint(root),
        paths=(root,),
    )


def _from_export(root: str) -> _Draft | None:
    """Read a folder without `images/` as a labelling tool left it: by Darknet's lists, else with labels beside images.

    A folder called `images` or `labels` is not read so: the data set is the folder above it.
    """
    darknet = find_darknet(root)
    if darknet is not None and darknet.lists:
        return _from_darknet(root, darknet)
    areas = [Area(folder, folder, split) for folder, split in data_folders(root)]
    if not areas and os.path.basename(root) not in ("images", "labels"):
        areas = _areas_with_splits(root, root)
        areas = areas if has_labels_beside(root) else [one for one in areas[:-1] if has_labels_beside(one.images)]
    return _Draft(root, walked=areas) if areas else None


def _from_darknet(root: str, darknet: DarknetFile) -> _Draft:
    """Read the lists of images that Darknet's `.data` file names."""
    draft = _Draft(root)
    for split, place in darknet.absent.items():
        message = f"{os.path.basename(darknet.path)} names it as {split}, but it is not there"
        draft.problems.append(Problem("missing", "warning", f"{_slash(root)}{place}", message))
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
        path, area = f"{_slash(here[folder])}{name}", Area(*areas[here[folder]], split)
        first = draft.listed.setdefault(path, area)
        if first.split not in (None, split):
            draft.problems.append(_overlap(path, (first.split, split)))
    draft.problems += _unlisted(draft.listed, {*here.values(), *(folder for folder, _ in data_folders(root))}, darknet)
    return draft


def _folder_here(root: str, place: str) -> str | None:
    """Return the folder below the root that a list means: the longest end of its path, or the root itself."""
    folder = end_below(root, os.path.dirname(place), os.path.isdir)
    return folder or (root if os.path.isfile(f"{_slash(root)}{os.path.basename(place)}") else None)


def _unlisted(listed: Collection[str], folders: Iterable[str], darknet: DarknetFile) -> Iterator[Problem]:
    """Yield a warning for each folder with images that no list names: Darknet does not load them."""
    for folder in sorted(folders):
        others = [name for name in images_beside(folder) if f"{_slash(folder)}{name}" not in listed]
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


def _areas_with_splits(images: str, labels: str) -> list[Area]:
    """Return an area for every split's folder, and last one for all that lies beside them."""
    areas = [
        Area(f"{_slash(images)}{name}", f"{_slash(labels)}{name}", split) for name, split in _split_folders(images)
    ]
    return [*areas, Area(images, labels, None)]


def _split_folders(folder: str) -> list[tuple[str, Split]]:
    """Return the split folders in a folder with the split that each stands for, train first.

    A folder of very many files is not listed to its end: there only the usual spellings are looked for.
    """
    try:
        with os.scandir(folder) as entries:
            first = [entry.name for entry in islice(entries, _MOST_ENTRIES + 1)]
    except OSError as error:
        raise _unreadable(folder, error) from error
    found = [
        (name, split)
        for name in (first if len(first) <= _MOST_ENTRIES else _USUAL_SPLIT_FOLDERS)
        if (split := split_of_word(name)) is not None and os.path.isdir(f"{_slash(folder)}{name}")
    ]
    return sorted(found, key=lambda pair: (SPLITS.index(pair[1]), pair[0]))


def _yamls(root: str) -> list[str]:
    """Return the data set's yaml: data.yaml, dataset.yaml (or both), or the only one at the root."""
    try:
        present = sorted(n for n in os.listdir(root) if n.lower().endswith(_YAML_SUFFIXES) and not n.startswith("."))
    except OSError as error:
        raise _unreadable(root, error) from error
    present = [name for name in present if text_fault(name) is None]
    usual = [name for name in _YAML_NAMES if name in present]
    chosen = usual or (present if len(present) == 1 else [])
    return [f"{_slash(root)}{name}" for name in chosen]


def _add_what_yamls_say(draft: _Draft, yamls: Sequence[str]) -> None:
    """Add class names and further keys, on which several yaml files of one input agree."""
    told = [_read_for(draft, path) for path in yamls]
    read = [Input(path, "", (), data.names, (), data.keys) for path, data in zip(yamls, told, strict=True)]
    draft.names = common_names(read)
    draft.yaml_keys = common_keys(read)


def _read_for(draft: _Draft, yaml: str) -> "DatasetYaml":
    """Read a yaml, and note what of it cannot be carried over."""
    data = _read_yaml(yaml)
    if data.left_out:
        listed = ", ".join(f"{key} ({why})" for key, why in data.left_out[:5])
        more = f" and {len(data.left_out) - 5} more" if len(data.left_out) > 5 else ""
        draft.problems.append(
            Problem("yaml-key", "warning", yaml, f"not carried over into dataset.yaml: {listed}{more}")
        )
    return data


def _name_classes(draft: _Draft) -> None:
    """Name the classes by the files of other tools, where there are any; they and the yaml must agree.

    A yaml that only counts its classes gives none a name, so there the count must be the same.
    """
    areas = dict.fromkeys((*draft.walked, *draft.listed.values()))
    folders = dict.fromkeys((f"{_slash(draft.root)}labels", f"{_slash(draft.root)}images"), False)
    folders |= {folder: area.images == area.labels for area in areas for folder in (area.labels, area.images)}
    named = class_names_beside(draft.root, folders, find_darknet(draft.root))
    if draft.names is not None and named:
        path, names = named[0]
        if draft.names != names and (are_named(draft.names) or len(draft.names) != len(names)):
            raise _names_disagree((next(iter(_yamls(draft.root)), draft.root), draft.names), (path, names))
    for path, names in named[1:]:
        if names != named[0][1]:
            raise _names_disagree(named[0], (path, names))
    draft.names = named[0][1] if named else draft.names


def _layout_hint(root: str) -> str:
    if os.path.basename(root) in ("images", "labels"):
        return f"Give the folder above it: {os.path.dirname(root)}."
    return "Give the folder that holds images/ and labels/, a yaml, or --images DIR --labels DIR."


def _from_roots_apart(spec: InputSpec) -> _Draft:
    """Read `--images` and `--labels`: labels are found by equal relative path."""
    if spec.images is None or spec.labels is None:
        raise UsageError("--images and --labels go together.", kind="usage", hint="Give both folders, or one INPUT.")
    images, labels = absolute(spec.images), absolute(spec.labels)
    for what, given, path in (("Image", spec.images, images), ("Label", spec.labels, labels)):
        if not os.path.isdir(path):
            raise _not_found(f"{what} directory", given, path)
    root = os.path.commonpath((images, labels))
    if not spec.path:
        yamls = [f"{_slash(root)}{name}" for name in _YAML_NAMES if os.path.isfile(f"{_slash(root)}{name}")]
    else:
        path = absolute(spec.path)
        yamls = _yamls(path) if os.path.isdir(path) else [path]
    draft = _Draft(root, walked=_areas_with_splits(images, labels), guarded=(images, labels))
    _add_what_yamls_say(draft, yamls)
    return draft


# ---- yaml -----------------------------------------------------------------------------------------------------------


def _from_yaml(path: str) -> _Draft:
    """Read a yaml as the trainers do; a relative `path:` is looked for below the yaml's folder first."""
    draft = _Draft("")
    data = _read_for(draft, path)
    draft.root, draft.names, draft.yaml_keys = _yaml_root(path, data), data.names, data.keys
    named: dict[str, list[Split]] = {}
    texts: dict[str, list[Split]] = {}
    not_there: list[tuple[Split, str]] = []
    for split, places in data.splits.items():
        for place in places:
            found = _locate(draft.root, place)
            if found is None:
                not_there.append((split, place))
            else:
                (named if os.path.isdir(found) else texts).setdefault(found, []).append(split)
    _judge_not_there(path, draft, not_there, nothing_found=not named and not texts)
    _add_named_folders(draft, named)
    for text, splits in texts.items():
        _add_text(draft, text, splits)
    _judge_listed_in_named(draft)
    return draft


def _yaml_root(yaml: str, data: "DatasetYaml") -> str:
    folder = os.path.dirname(yaml)
    if data.path is None:
        return folder
    root = _join(folder, data.path)
    if not os.path.isdir(root) and not data.path.startswith("/") and os.path.isdir(absolute(data.path)):
        root = absolute(data.path)  # Ultralytics: below the working folder
    if not os.path.isdir(root):
        raise InputError(
            f"{yaml}: 'path' names {data.path}, and there is no folder {root}.",
            kind="input-not-found",
            hint="If the data set was moved, correct 'path' (planbalance relocate does), or give the folder as input.",
            paths=(root,),
        )
    return root


def _locate(root: str, place: str) -> str | None:
    """Return where a split's folder or text file lies. Roboflow writes `../train/images` for `train/images`."""
    found = _join(root, place)
    if not os.path.exists(found) and place.startswith("../"):
        found = _join(root, place[3:])
    return found if os.path.exists(found) else None


def _judge_not_there(yaml: str, draft: _Draft, not_there: list[tuple[Split, str]], *, nothing_found: bool) -> None:
    """Refuse what is not there and would be left out unnoticed; a lone `test:` is common in exports: a warning."""
    needed = [f"{split}: {place}" for split, place in not_there if split != "test" or nothing_found]
    if needed:
        raise InputError(
            f"{yaml} names what is not there below {draft.root}: {', '.join(needed[:3])}.",
            kind="input-not-found",
            hint="Correct the yaml, or give the data set's folder as input.",
            paths=[_join(draft.root, place) for _, place in not_there],
        )
    if nothing_found:
        raise InputError(
            f"{yaml} names no images: it has neither train, val nor test.",
            kind="no-layout",
            hint="Give the data set's folder as input, or its own yaml.",
            paths=(yaml,),
        )
    for split, place in not_there:
        path = _join(draft.root, place)
        draft.problems.append(Problem("missing", "warning", path, f"{yaml} names it as {split}, but it is not there"))


def _add_named_folders(draft: _Draft, named: Mapping[str, list[Split]]) -> None:
    """Add the folders that a yaml names, and the split folders inside them, so that `train/` is no volume's name."""
    inner: dict[str, Split] = {}
    for folder in named:
        if split_of_word(os.path.basename(folder)) is None:
            for area in _areas_with_splits(folder, folder)[:-1]:
                if area.split is not None:
                    inner[area.images] = area.split
    for folder in sorted({*named, *inner}):
        holders = {split for outer in _upwards(folder) for split in named.get(outer, ())}
        split = _split_of(folder, named, inner, holders)
        draft.walked.append(Area(folder, label_folder(folder), split))
        if len(holders) > 1:
            draft.problems.append(_overlap(folder, holders))


def _split_of(
    folder: str, named: Mapping[str, Sequence[Split]], inner: Mapping[str, Split], holders: Iterable[Split]
) -> Split:
    """Return the split of a folder: as named itself, else as the only split that holds it, else after its own name."""
    if folder in named:
        return named[folder][0]
    first, *others = holders
    return inner[folder] if others else first


def _add_text(draft: _Draft, text: str, splits: Sequence[Split]) -> None:
    """Add the images that a text list names; the first split keeps what two of them name."""
    draft.texts.append(text)
    if len(splits) > 1:
        draft.problems.append(_overlap(text, splits))
    without_images: list[str] = []
    areas: dict[str, Area] = {}  # by the images' folder
    for image in _listed_images(draft, text):
        folder = os.path.dirname(image)
        area = areas.get(folder)
        if area is None:
            area = areas[folder] = _listed_area(folder, splits[0])
        if not area.images:
            without_images.append(image)
        else:
            _add_listed(draft, image, area)
    if without_images:
        beside = os.path.commonpath([os.path.dirname(image) for image in without_images])
        for image in without_images:
            _add_listed(draft, image, Area(beside, beside, splits[0]))


def _judge_listed_in_named(draft: _Draft) -> None:
    """Note images that a text list names for one split while the folder they lie in is named for another."""
    walked = {area.images: area.split for area in draft.walked}
    if not walked:
        return
    holders: dict[str, Split | None] = {}
    for image, area in draft.listed.items():
        folder = image.rpartition("/")[0]
        if folder not in holders:
            holders[folder] = next((walked[outer] for outer in _upwards(folder) if outer in walked), None)
        other = holders[folder]
        if other is not None and area.split is not None and other != area.split:
            draft.problems.append(_overlap(image, (other, area.split)))


def _add_listed(draft: _Draft, image: str, area: Area) -> None:
    first = draft.listed.setdefault(image, area)
    if first.split is not None and area.split is not None and first.split != area.split:
        draft.problems.append(_overlap(image, (first.split, area.split)))


def _listed_images(draft: _Draft, text: str) -> list[str]:
    """Return the absolute paths in a text list: `./` is the text's own folder, other relative paths are below the root.

    A place that is itself an image is a list of one.
    """
    if _is_image(text):
        return [text]
    own = os.path.dirname(text)
    images: list[str] = []
    passed_over: list[int] = []
    try:
        with open(text, encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                place = line.strip()
                if _is_image(place):
                    images.append(_join(own if place.startswith("./") else draft.root, place))
                elif place:
                    passed_over.append(number)
    except OSError as error:
        raise _unreadable(text, error) from error
    if passed_over:
        what = f"{len(passed_over):,} lines passed over that name no image, the first of them this one"
        draft.problems.append(Problem("missing", "warning", f"{text}:{passed_over[0]}", what))
    return images


def _is_image(place: str) -> bool:
    return place.rpartition(".")[2].lower() in IMAGE_SUFFIXES


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


# ---- from absolute paths to an Input --------------------------------------------------------------------------------


def _finish(draft: _Draft, prefix: str) -> FoundInput:
    """Make paths relative to the root: the given one, or where something lies outside it the common ancestor of all."""
    areas = list(dict.fromkeys((*draft.walked, *draft.listed.values())))
    used = [path for area in areas for path in (area.images, area.labels)]
    root, guarded = draft.root, draft.guarded or (draft.root,)
    if not all(is_within(path, root) for path in used):
        root, guarded = os.path.commonpath(used), tuple(dict.fromkeys(used))
    below = _cutter(root)
    index = {area: number for number, area in enumerate(areas)}
    return FoundInput(
        Input(
            root,
            prefix,
            tuple(Folder(below(area.images), below(area.labels), area.split) for area in areas),
            draft.names,
            tuple(map(below, guarded)),
            draft.yaml_keys,
        ),
        tuple(index[area] for area in draft.walked),
        {below(image): index[area] for image, area in draft.listed.items()},
        frozenset(below(text) for text in draft.texts if is_within(text, root)),
        tuple(draft.problems),
    )


def _cutter(root: str) -> Callable[[str], str]:
    """Return the function that makes a path below the root relative to it."""
    start = len(_slash(root))
    return lambda path: path[start:]


def _slash(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"


def _upwards(path: str) -> Iterator[str]:
    """Yield an absolute path and every folder above it."""
    while path not in ("", "/"):
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def _join(folder: str, place: str) -> str:
    """Return `place` below `folder`, `..` taken out lexically; a place that is absolute stays where it is."""
    joined = place if place.startswith("/") else f"{_slash(folder)}{place}"
    if "/." in joined or "//" in joined or joined.endswith("/"):
        return "/" + os.path.normpath(joined).lstrip("/")
    return joined


def _prefix(name: str) -> str:
    if not name:
        return ""
    if "/" in name or name.startswith(".") or text_fault(name) is not None:
        raise UsageError(
            f"An input cannot be called {name!a}: file names are to begin with it.",
            kind="usage",
            hint="Use letters and digits, as in --input knees=/data/knees.",
        )
    return f"{name}-"


def _read_yaml(path: str) -> "DatasetYaml":
    from planbalance.datayaml import SIZE_LIMIT, parse_dataset_yaml

    try:
        with open(path, "rb") as file:
            text = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        data = parse_dataset_yaml(text)
        keypoints_of(data.keys.get(KPT_SHAPE))
    except InputError as error:
        raise InputError(f"{path}: {error.message}", kind=error.kind, hint=error.hint, paths=(path,)) from error
    except ValueError as error:
        raise InputError(
            f"{path}: '{KPT_SHAPE}' is {error}.",
            kind="dataset-yaml",
            hint="Correct it, as in `kpt_shape: [17, 3]`, or take it out where labels hold no keypoints.",
            paths=(path,),
        ) from error
    return data


# ---- what is refused ------------------------------------------------------------------------------------------------


def _refuse_shared_folders(found: Sequence[FoundInput]) -> None:
    """Refuse image folders that two inputs hold: every slice would be there twice, and could land in two splits."""
    owners: dict[object, tuple[int, str]] = {}  # by path, and by device and inode
    walked = [
        (number, _join(one.input.root, one.input.folders[index].images))
        for number, one in enumerate(found)
        for index in one.walked
    ]
    for number, path in sorted(walked, key=lambda pair: (len(pair[1]), pair)):  # outer folders first
        facts = os.stat(path)
        identity = (facts.st_dev, facts.st_ino)
        for known in (identity, *_upwards(path)):
            owner, other = owners.get(known, (number, path))
            if owner != number:
                raise InputError(
                    f"Two inputs hold the same images: {other} and {path}.",
                    kind="input-twice",
                    hint="Give every folder once.",
                    paths=sorted((other, path)),
                )
        owners[path] = owners[identity] = (number, path)


def _overlap(path: str, splits: Iterable[Split]) -> Problem:
    named = " and ".join(split for split in SPLITS if split in set(splits))
    return Problem("split-overlap", "warning", path, f"the data set names it as {named}")


def _names_disagree(first: tuple[str, Sequence[str]], second: tuple[str, Sequence[str]]) -> InputError:
    said = " and ".join(f"{path} has {_few(names)}" for path, names in (first, second))
    return InputError(
        f"Class names disagree: {said}.",
        kind="class-names-disagree",
        hint="Make them agree, or give the yaml that is right as INPUT; inputs without names take those of the others.",
        paths=(first[0], second[0]),
    )


def _keys_disagree(key: str, first: tuple[str, object], second: tuple[str, object]) -> InputError:
    said = " and ".join(f"{path} has {_shown(value)}" for path, value in (first, second))
    return InputError(
        f"The yaml files disagree on {key}: {said}.",
        kind="yaml-keys-disagree",
        hint=f"Make the yaml files agree, or take {key} out of them where training does not need it.",
        paths=(first[0], second[0]),
    )


def _shown(value: object) -> str:
    """Return a value of a yaml for a message, short and printable."""
    if value is None:
        return "none"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _few(names: Sequence[str]) -> str:
    return f"[{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}] ({len(names)})"


def _not_found(what: str, given: str, path: str) -> InputError:
    """Say what was looked for, and how far down the path exists (the guide's troubleshooting: use absolute paths)."""
    parent = os.path.dirname(path)
    missing = os.path.basename(path)
    while parent != "/" and not os.path.isdir(parent):
        parent, missing = os.path.dirname(parent), os.path.basename(parent)
    hint = f"{parent} exists, but holds no '{missing}'."
    try:
        from difflib import get_close_matches

        close = get_close_matches(missing, sorted(os.listdir(parent)), n=1)
    except OSError:
        close = []
    if close and text_fault(close[0]) is None:
        hint += f" Did you mean {_slash(parent)}{close[0]}?"
    if not given.startswith("/"):
        hint += f' "{given}" was looked for in the working folder; give an absolute path.'
    return InputError(f"{what} not found: {path}.", kind="input-not-found", hint=hint, paths=(path,))


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be read: {error.strerror}.", kind="unreadable", hint="Check its permissions.", paths=(path,)
    )
