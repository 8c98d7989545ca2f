"""An input while its folders, lists and yaml are read, and the finished `FoundInput` with relative paths."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from planbalance.errors import InputError
from planbalance.model import (
    DOCUMENT_SIZE_LIMIT,
    SPLITS,
    Folder,
    Input,
    LayoutDifference,
    Problem,
    Split,
    SplitYaml,
    YamlKeys,
)
from planbalance.path_relation import is_within
from planbalance.text import error_text, text_fault

if TYPE_CHECKING:
    from planbalance.datayaml import DatasetYaml

Value = TypeVar("Value")
YamlFile = tuple[str, "DatasetYaml"]  # its path and its content


class FoundInput(NamedTuple):
    """An input as resolved, before its folders are walked.

    Attributes:
        input: its folders may share one path and differ in split where text lists name images of one folder.
        walked: indices of the folders whose images all belong to the input, sub-folders included.
        listed: images that text lists name: path relative to the root -> index of the folder. Of a folder that is not
            walked, only these belong to the input.
        texts: the text lists, relative to the root, so that none is taken for a label.
        problems: folders or images in two splits (`split-overlap`), absent splits (`missing`), folders that differ from
            the yaml (`layout-difference`), a yaml or list of another machine (`moved`).
        yaml: the yaml that names the splits; None where the folders' names do.
        differences: where folders differ from the yaml.
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


@dataclass(slots=True)
class InputDraft:
    """An input in absolute paths, while its folders, yaml and lists are read.

    Attributes:
        guarded: its folders, where only these of its root belong to the input.
        audit: it is read for an audit: an absent folder is noted, not refused.
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


def absolute(path: str) -> str:
    """Return an absolute path; `.` and `..` are removed lexically, links are not resolved.

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


def splits_of_area(draft: InputDraft, area: Area) -> tuple[Split, ...]:
    """Return the splits that the input names for a folder."""
    return draft.shared.get(area.images, () if area.split is None else (area.split,))


def add_listed(draft: InputDraft, image: str, area: Area, splits: Sequence[Split]) -> None:
    """Add an image of a list; note it where another list names it for another split."""
    first = draft.listed.setdefault(image, area)
    if first.split is not None and area.split is not None and first.split != area.split:
        draft.problems.append(overlap(image, (first.split, area.split)))
        splits = (*draft.shared.get(image, (first.split,)), *splits)
    if len(splits) > 1:
        draft.shared[image] = in_order(splits)


def in_order(splits: Iterable[Split]) -> tuple[Split, ...]:
    """Return each split once, in the order train, val, test."""
    given = set(splits)
    return tuple(split for split in SPLITS if split in given)


def finish(draft: InputDraft, prefix: str) -> FoundInput:
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
    start = len(with_slash(root))
    return lambda path: path[start:]


def with_slash(folder: str) -> str:
    """Return a folder's path with `/` at its end."""
    return folder if folder.endswith("/") else f"{folder}/"


def upwards(path: str) -> Iterator[str]:
    """Yield an absolute path and every folder above it."""
    while path not in ("", "/"):
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def overlap(path: str, splits: Iterable[Split]) -> Problem:
    """Return the warning that a folder or image is in several splits."""
    named = " and ".join(in_order(splits))
    return Problem("split-overlap", "warning", path, f"the dataset names it as {named}")


def read_document(path: str, parse: Callable[[bytes], Value]) -> Value:
    """Return the parsed bytes of a file: at most one more than `DOCUMENT_SIZE_LIMIT`, so that `parse` can refuse them.

    Raises:
        InputError: `unreadable`, or that of `parse`, with the path before its message.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(DOCUMENT_SIZE_LIMIT + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        return parse(data)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", kind=error.kind, hint=error.hint, paths=(path,)) from error


def unreadable(path: str, error: OSError) -> InputError:
    """Return the refusal of a file or folder that cannot be read."""
    return InputError(
        f"{path} cannot be read: {error_text(error)}.", kind="unreadable", hint="Check its permissions.", paths=(path,)
    )
