"""What the user names as input -> a root with image folders, label folders and class names.

A yaml is read as the trainers read it (Ultralytics 8.4 `check_det_dataset`, YOLOv5 `check_dataset`), a folder by the
one yaml in it that names splits, else by its layout. Looks at a handful of folders and reads the yaml and its text
lists; the images are the scan's.
"""

import os
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from types import MappingProxyType
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
from planbalance.layoutcheck import difference_problems, differences
from planbalance.model import (
    SPLITS,
    Folder,
    Input,
    InputSpec,
    LayoutDifference,
    Problem,
    Severity,
    Split,
    SplitYaml,
    YamlKeys,
    are_named,
    split_of_word,
)
from planbalance.places import is_within
from planbalance.textlists import TextList, is_absolute, is_image, joined, longest_end_here, read_text_list

if TYPE_CHECKING:
    from planbalance.datayaml import DatasetYaml

_MOST_ENTRIES: Final = 2000  # of a folder that is looked through for split folders of any spelling
_FEW_FOLDERS: Final = 50  # that are looked into for a hint
_USUAL_SPLIT_FOLDERS: Final = tuple(
    spelled
    for word in ("train", "training", "val", "valid", "validation", "test", "testing")
    for spelled in (word, word.capitalize(), word.upper())
)
_YAML_NAMES: Final = ("data.yaml", "dataset.yaml")
_WRITE_SLASHES: Final = "write / in place of each backslash"
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
        problems: folders or images that are in two splits (`split-overlap`), splits that are not there (`missing`),
            folders that say otherwise than the yaml (`layout-difference`), a yaml or list of another machine (`moved`).
        yaml: the yaml that names the splits; None where folders tell them.
        differences: where folders say otherwise than the yaml.
        shared: folders of the input and images of text lists that the yaml names for several splits -> these splits;
            paths relative to the root.
        apart: `--images` and `--labels` name where its images and its labels are.
    """

    input: Input
    walked: tuple[int, ...]
    listed: Mapping[str, int]
    texts: frozenset[str]
    problems: tuple[Problem, ...]
    yaml: SplitYaml | None = None
    differences: tuple[LayoutDifference, ...] = ()
    shared: Mapping[str, tuple[Split, ...]] = MappingProxyType({})
    apart: bool = False

    def splits_of(self, folder: Folder, path: str) -> tuple[Split, ...]:
        """Return the splits of an image of one of the input's folders; `path` is relative to the root."""
        if self.shared:
            several = self.shared.get(path) or self.shared.get(folder.images)
            if several:
                return several
        return () if folder.split is None else (folder.split,)


class Area(NamedTuple):
    """An image folder with its label folder, both absolute."""

    images: str
    labels: str
    split: Split | None


_Document = tuple[str, "DatasetYaml"]  # a yaml's path and what it says


@dataclass(slots=True)
class _Draft:
    """An input in absolute paths, while it grows.

    Attributes:
        guarded: its folders, where its root is not all the user's.
        audit: it is read for an audit: what is not there is noted, not refused.
    """

    root: str
    names: tuple[str, ...] | None = None
    yaml_keys: YamlKeys = field(default_factory=dict)
    audit: bool = False
    yaml: SplitYaml | None = None
    differences: list[LayoutDifference] = field(default_factory=list)
    shared: dict[str, tuple[Split, ...]] = field(default_factory=dict)
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


def resolve_input(spec: InputSpec, *, audit: bool = False) -> FoundInput:
    """Return one input. Raises as `resolve_inputs` does.

    With `audit` it is read strictly as trainers read it: a split that the yaml names and that is not there is an error
    among the problems instead of a refusal, and of folders that the yaml names for two splits at once their own names
    do not tell one.
    """
    prefix = _prefix(spec.name)
    if spec.images is not None or spec.labels is not None:
        draft = _from_roots_apart(spec)
        _name_classes(draft)
        return _finish(draft, prefix)._replace(apart=True)
    if not spec.path:
        raise UsageError("No input was given.", kind="usage", hint="Give the data set's folder or its yaml.")
    path = absolute(spec.path)
    if os.path.isdir(path):
        draft = _from_folder(path, audit=audit)
        if not (audit and are_named(draft.names)):  # trainers read the yaml's names alone
            _name_classes(draft)
    elif os.path.isfile(path) and path.lower().endswith(_YAML_SUFFIXES):
        document = path, _read_yaml(path)
        draft = _from_yaml(*document, audit=audit)
        _add_what_yamls_say(draft, [document])
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


def empty_split(yaml: str, split: Split, place: str) -> Problem:
    """Return what is to be said of a split that a yaml names, whose folder or list is there and gives no image."""
    message = f"{os.path.basename(yaml)} names it as {split}, but it holds no image"
    return Problem("empty-split", "warning", place, message)


def common_names(inputs: Iterable[Input]) -> tuple[str, ...] | None:
    """Return the class names of all inputs together; None where none of them has any.

    Raises:
        InputError: `class-names-disagree`.
    """
    first: Input | None = None
    for found in inputs:
        if found.names is not None:
            if first is not None and first.names != found.names:
                raise names_disagree((first.root, first.names or ()), (found.root, found.names))
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


def _from_folder(root: str, *, audit: bool) -> _Draft:
    """Read a folder by the one yaml that names its splits; else by its layout: `images/`, `train/images` and so on."""
    documents = _documents(root)
    layout = _layout_areas(root)
    yamls = _naming_splits(documents)
    usual = _usual_yamls(documents)
    if len(yamls) == 1:
        draft = _from_folders_yaml(root, yamls[0], layout, audit=audit)
    elif yamls and (not layout or (audit and all(area.split is None for area in layout))):
        raise _yamls_differ(root, yamls)
    elif layout:
        draft = _Draft(root, walked=layout)
    else:
        draft = _from_export(root) or _refuse_folder(root, usual)
    if len(yamls) > 1:
        message = f"{_said_by(yamls)}. They differ, so the folders' names decide: to use one of them, give it as INPUT"
        draft.problems.append(Problem("dataset-yaml", "warning", root, message))
    _add_what_yamls_say(draft, (*usual, *yamls) if len(yamls) == 1 else usual)
    _note_autosplit(draft, root)
    return draft


def _refuse_folder(root: str, yamls: Sequence[_Document]) -> _Draft:
    if yamls:
        return _from_yaml(*yamls[0], audit=False)  # says that it names no images
    raise InputError(
        f"No data set layout was recognised in {root}: neither images/, nor train/images, nor a data.yaml, nor an "
        "obj.data, nor images with their .txt files beside them.",
        kind="no-layout",
        hint=_layout_hint(root),
        paths=(root,),
    )


def _layout_areas(root: str) -> list[Area]:
    areas: list[Area] = []
    if os.path.isdir(f"{_slash(root)}images"):
        areas += _areas_with_splits(f"{_slash(root)}images", f"{_slash(root)}labels")
    for name, split in _split_folders(root):
        folder = f"{_slash(root)}{name}"
        if os.path.isdir(f"{folder}/images"):
            areas.append(Area(f"{folder}/images", f"{folder}/labels", split))
    return areas


def _note_autosplit(draft: _Draft, root: str) -> None:
    """Note the lists of Ultralytics' `autosplit` that no yaml names: whoever made them expects them to be used."""
    texts = [
        path
        for split in SPLITS
        if os.path.isfile(path := f"{_slash(root)}autosplit_{split}.txt") and path not in draft.texts
    ]
    if texts:
        lines = ", ".join(f"{path[:-4].rpartition('_')[2]}: {os.path.basename(path)}" for path in texts)
        message = (
            f"a list of Ultralytics' autosplit that no yaml names, so trainers do not read it; a yaml would: {lines}"
        )
        draft.problems.append(Problem("layout-difference", "warning", texts[0], message))


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
        _add_listed(draft, f"{_slash(here[folder])}{name}", Area(*areas[here[folder]], split), (split,))
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


def _documents(root: str) -> list[_Document]:
    """Return the yaml files at the root of a dataset.

    One that cannot be read as a dataset's is refused where it is called as a dataset's or is the only one.
    """
    try:
        present = sorted(n for n in os.listdir(root) if n.lower().endswith(_YAML_SUFFIXES) and not n.startswith("."))
    except OSError as error:
        raise _unreadable(root, error) from error
    present = [name for name in present if text_fault(name) is None]
    documents = []
    for name in present:
        path = f"{_slash(root)}{name}"
        try:
            documents.append((path, _read_yaml(path)))
        except InputError:
            if name in _YAML_NAMES or len(present) == 1:
                raise
    return documents


def _usual_yamls(documents: Sequence[_Document]) -> list[_Document]:
    """Return the dataset's yaml: data.yaml, dataset.yaml (or both), or the only one."""
    usual = [(path, data) for path, data in documents if os.path.basename(path) in _YAML_NAMES]
    usual.sort(key=lambda document: _YAML_NAMES.index(os.path.basename(document[0])))
    return usual or list(documents if len(documents) == 1 else ())


def _naming_splits(documents: Sequence[_Document]) -> list[_Document]:
    """Return the yaml files that name splits, one of those that name the same."""
    by_meaning: dict[object, _Document] = {}
    for path, data in documents:
        if data.splits:
            located = _locate_splits(path, data)
            meaning = frozenset((split, found or place) for split, place, found in located.places)
            by_meaning.setdefault(meaning, (path, data))
    return list(by_meaning.values())


def _add_what_yamls_say(draft: _Draft, documents: Iterable[_Document]) -> None:
    """Add class names and further keys, on which several yaml files of one input agree; note what is left out."""
    told = dict(documents)
    for path, data in told.items():
        if data.left_out:
            listed = ", ".join(f"{key} ({why})" for key, why in data.left_out[:5])
            more = f" and {len(data.left_out) - 5} more" if len(data.left_out) > 5 else ""
            message = f"not carried over into dataset.yaml: {listed}{more}"
            draft.problems.append(Problem("yaml-key", "warning", path, message))
    read = [Input(path, "", (), data.names, (), data.keys) for path, data in told.items()]
    draft.names = common_names(read)
    draft.yaml_keys = common_keys(read)


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
            raise names_disagree((draft.root if draft.yaml is None else draft.yaml.path, draft.names), (path, names))
    for path, names in named[1:]:
        if names != named[0][1]:
            raise names_disagree(named[0], (path, names))
    draft.names = named[0][1] if named else draft.names


def _from_folders_yaml(root: str, document: _Document, layout: list[Area], *, audit: bool) -> _Draft:
    """Read a folder by the yaml in it, its folders in the order of the layout.

    A yaml that names the same folders for all its splits tells none, so there the folders' own names do, but for an
    audit: trainers would learn from and measure on the same images.
    """
    draft = _from_yaml(*document, audit=audit, beside=root)
    areas = [*draft.walked, *draft.listed.values()]
    inside = [area for area in areas if is_within(area.images, root)]
    own = [one for one in draft.differences if is_within(one.path, root)]
    if areas and not inside and own:
        _judge_elsewhere(draft, root, document[0], own)
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


def _judge_elsewhere(draft: _Draft, root: str, yaml: str, own: Sequence[LayoutDifference]) -> None:
    """Refuse a folder of images whose yaml leads to other ones; for an audit trainers' view counts, and it is noted.

    So it is with a copy whose yaml still names the original: neither the one nor the other may be read unasked.
    """
    said = f"leads to {draft.root}, while {root} holds {_images(sum(one.images for one in own))} of its own"
    if not draft.audit:
        raise InputError(
            f"{yaml} {said} that it does not name.",
            kind="yaml-elsewhere",
            hint=f"If {root} is meant, correct its yaml (planbalance relocate does); else give {draft.root} as INPUT.",
            paths=(yaml,),
        )
    message = f"{said}: trainers read there, and so does this audit (planbalance relocate corrects it)"
    draft.problems.append(Problem("moved", "warning", yaml, message))


def _tells_no_split(draft: _Draft, layout: Sequence[Area]) -> bool:
    """Answer whether all folders are named for the same two or three splits, and hold all that the layout holds."""
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
        documents = [(path, _read_yaml(path)) for path in yamls]
    else:
        path = absolute(spec.path)
        documents = _usual_yamls(_documents(path)) if os.path.isdir(path) else [(path, _read_yaml(path))]
    draft = _Draft(root, walked=_areas_with_splits(images, labels), guarded=(images, labels))
    _add_what_yamls_say(draft, documents)
    return draft


# ---- yaml -----------------------------------------------------------------------------------------------------------


class _Located(NamedTuple):
    """What a yaml names, looked for on this machine.

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
    """A place that a yaml names for a split, and that gives no image of it."""

    split: Split
    place: str
    path: str
    why: str


def _from_yaml(path: str, data: "DatasetYaml", *, audit: bool, beside: str | None = None) -> _Draft:
    """Read a yaml as the trainers do; `beside` is the folder that was given, where the yaml was found in one."""
    if not data.splits:
        raise InputError(
            f"{path} names no images: it has neither train, val nor test.",
            kind="no-layout",
            hint="Give the data set's folder as input, or its own yaml.",
            paths=(path,),
        )
    located = _locate_splits(path, data)
    if located.lost and not audit:
        raise _path_leads_nowhere(path, data, located.lost)
    draft = _Draft(located.root, audit=audit)
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


def _locate_splits(yaml: str, data: "DatasetYaml") -> _Located:
    """Look for what a yaml names: below its `path:`, else below its own folder, and by paths of another machine.

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
    said = f"it parts folders by backslashes, which trainers read on Windows only: {_WRITE_SLASHES}"
    return _Located(at, places, said if backslashes else "")


def _end_here(place: str, folder: str) -> tuple[str, str] | None:
    """Return where the end of an absolute path of another machine is below a folder, and the beginning left out."""
    return longest_end_here(_slashes(place), folder) if is_absolute(_slashes(place)) else None


def _yaml_root(folder: str, path: str | None) -> str | None:
    """Return the folder that `path:` names, the yaml's own where there is no `path:`; None where it leads nowhere."""
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


def _find_differences(draft: _Draft, yaml: str, roots: Sequence[str]) -> None:
    """Note what image folders below the roots say otherwise than the yaml."""
    folders: dict[str, Split | None] = {}
    for root in dict.fromkeys(roots):
        folders.update(_image_folders(root))
    named = {area.images: _splits(draft, area) for area in draft.walked}
    found = differences(folders, named, draft.listed.keys())
    for (folder, told, split), images in Counter(_listed_otherwise(draft)).items():
        found.append(LayoutDifference(folder, images, told, (split,)))
    draft.differences = sorted(found, key=itemgetter(0))
    draft.problems += difference_problems(draft.differences, yaml)


def _listed_otherwise(draft: _Draft) -> Iterator[tuple[str, Split, Split]]:
    """Yield folder, its own split and the list's for every listed image in a folder that is called as another split."""
    told = {area: split_of_word(os.path.basename(area.images)) for area in dict.fromkeys(draft.listed.values())}
    if all(split is None or split == area.split for area, split in told.items()):
        return
    for image, area in draft.listed.items():
        own, split = told[area], area.split
        if own is not None and split is not None and own not in draft.shared.get(image, (split,)):
            yield area.images, own, split


def _splits(draft: _Draft, area: Area) -> tuple[Split, ...]:
    return draft.shared.get(area.images, () if area.split is None else (area.split,))


def _image_folders(root: str) -> dict[str, Split | None]:
    """Return the image folders of a layout, and `images/` of every other folder at the root, with what names tell."""
    folders = {area.images: area.split for area in _layout_areas(root)}
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    except OSError:
        return folders
    for name in names:
        images = f"{_slash(root)}{name}/images"
        if not name.startswith(".") and name != "images" and os.path.isdir(images):
            folders.setdefault(images, None)
    return folders


def _judge_not_there(yaml: str, draft: _Draft, not_there: Sequence[_NotThere]) -> None:
    """Refuse what is not there and would be left out unnoticed; a lone `test:` is common in exports: a warning.

    For an audit each is an error: trainers stop, or find nothing to measure on.
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


def _instead(draft: _Draft, needed: Sequence[_NotThere]) -> str:
    """Name the folder that may be meant: one of that split's name that the yaml does not name."""
    splits = {one.split for one in needed}
    meant = [one for one in draft.differences if not one.yaml_splits and one.folder_split in splits]
    if not meant:
        return ""
    return f"Is {meant[0].path} meant, which holds {_images(meant[0].images)}?"


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number:,} images"


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
            draft.shared[folder] = _in_order(holders)
            draft.problems.append(_overlap(folder, holders))


def _split_of(
    folder: str, named: Mapping[str, Sequence[Split]], inner: Mapping[str, Split], holders: Iterable[Split]
) -> Split:
    """Return the split of a folder: as named itself, else as the only split that holds it, else after its own name."""
    if folder in named:
        return named[folder][0]
    first, *others = holders
    return inner[folder] if others else first


def _add_text(draft: _Draft, text: str, splits: Sequence[Split]) -> list[_NotThere]:
    """Add the images that a text list names; the first split keeps what two of them name.

    Returns what the list is needed for, where none of its images is here.
    """
    draft.texts.append(text)
    if len(splits) > 1:
        draft.problems.append(_overlap(text, splits))
    listed = _listed_images(draft, text)
    if listed.lost:
        why = f"lists {_images(len(listed.images))} of which none is here, the first {listed.lost}"
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
            _add_listed(draft, image, area, splits)
    if without_images:
        beside = os.path.commonpath([os.path.dirname(image) for image in without_images])
        for image in without_images:
            _add_listed(draft, image, Area(beside, beside, splits[0]), splits)
    return []


def _judge_listed_in_named(draft: _Draft) -> None:
    """Note images that a text list names for one split while the folder they lie in is named for another."""
    if not draft.walked:
        return
    holders: dict[str, Area | None] = {}
    inside = {area.images: area for area in draft.walked}
    for image, area in draft.listed.items():
        folder = image.rpartition("/")[0]
        if folder not in holders:
            holders[folder] = next((inside[outer] for outer in _upwards(folder) if outer in inside), None)
        other = holders[folder]
        if other is None or other.split is None or area.split is None:
            continue
        splits = {*_splits(draft, other), *draft.shared.get(image, (area.split,))}
        if len(splits) > 1:
            draft.shared[image] = _in_order(splits)
        if other.split != area.split:
            draft.problems.append(_overlap(image, (other.split, area.split)))


def _add_listed(draft: _Draft, image: str, area: Area, splits: Sequence[Split]) -> None:
    first = draft.listed.setdefault(image, area)
    if first.split is not None and area.split is not None and first.split != area.split:
        draft.problems.append(_overlap(image, (first.split, area.split)))
        splits = (*draft.shared.get(image, (first.split,)), *splits)
    if len(splits) > 1:
        draft.shared[image] = _in_order(splits)


def _in_order(splits: Iterable[Split]) -> tuple[Split, ...]:
    given = set(splits)
    return tuple(split for split in SPLITS if split in given)


def _listed_images(draft: _Draft, text: str) -> TextList:
    """Return the images of a text list, and note what is to be said of it; an image that is named is a list of one."""
    if is_image(text):
        return TextList([text], [])
    try:
        listed = read_text_list(text, draft.root)
    except OSError as error:
        raise _unreadable(text, error) from error
    if listed.passed_over:
        what = f"{len(listed.passed_over):,} lines passed over that name no image, the first of them this one"
        draft.problems.append(Problem("missing", "warning", f"{text}:{listed.passed_over[0]}", what))
    said = []
    if listed.moved:
        said.append(
            f"its images are listed below {listed.moved}, which is not here, and were found below {listed.below}"
        )
    if listed.backslashes:
        said.append("it parts folders by backslashes")
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
        draft.yaml,
        tuple(draft.differences),
        {below(path): splits for path, splits in draft.shared.items() if is_within(path, root)},
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
        (number, joined(one.input.root, one.input.folders[index].images))
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


def names_disagree(first: tuple[str, Sequence[str]], second: tuple[str, Sequence[str]]) -> InputError:
    """Return the refusal of two sources, each a path with its class names, that disagree."""
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


def _said_by(yamls: Sequence[_Document]) -> str:
    return "; ".join(
        f"{os.path.basename(path)} names "
        + ", ".join(f"{split}: {' + '.join(_few_places(places))}" for split, places in data.splits.items())
        for path, data in yamls
    )


def _few_places(places: Sequence[str]) -> Sequence[str]:
    return places if len(places) <= 3 else (*places[:2], f"{len(places) - 2:,} more")


def _yamls_differ(root: str, yamls: Sequence[_Document]) -> InputError:
    return InputError(
        f"Several yaml files of {root} name other splits: {_said_by(yamls)}.",
        kind="yamls-differ",
        hint=f"Give the one that is meant as INPUT, such as {yamls[0][0]}.",
        paths=[path for path, _ in yamls],
    )


def _path_leads_nowhere(yaml: str, data: "DatasetYaml", root: str) -> InputError:
    return InputError(
        f"{yaml}: 'path' names {data.path}, and there is no folder {root}.",
        kind="input-not-found",
        hint="If the dataset was moved, correct 'path' (planbalance relocate does), or give the folder as input.",
        paths=(root,),
    )


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
