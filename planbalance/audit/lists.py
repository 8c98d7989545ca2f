"""The splits of a data set by its yaml alone, where an image may be in two: one folder as train and val, or two lists.

The scan gives every image one split. An audit must know both, since that is the leak.
"""

import os
from dataclasses import dataclass, field
from typing import Final

from planbalance.audit.documents import listed_paths
from planbalance.audit.tree import look, read_small
from planbalance.datayaml import SIZE_LIMIT, DatasetYaml, parse_dataset_yaml
from planbalance.errors import InputError
from planbalance.model import Split

_LIST_BYTES: Final = 1 << 31


@dataclass(slots=True)
class YamlSplits:
    """What a yaml says of splits.

    Attributes:
        document: the yaml.
        base: absolute folder that its places are relative to.
        listed: splits by absolute image path, from text files.
        folders: (absolute folder, split) of the splits that are folders.
        lists: split by the absolute path of the text file that lists it.
    """

    document: DatasetYaml
    base: str
    listed: dict[str, tuple[Split, ...]] = field(default_factory=dict)
    folders: list[tuple[str, Split]] = field(default_factory=list)
    lists: dict[str, Split] = field(default_factory=dict)

    def of(self, path: str) -> tuple[Split, ...]:
        """Return the splits that load an image, by its absolute path."""
        below = tuple(split for folder, split in self.folders if path.startswith(folder + "/"))
        return tuple(dict.fromkeys(self.listed.get(path, ()) + below))


def read_yaml_splits(path: str) -> YamlSplits | None:
    """Return what the yaml of a data set says: `path` is the yaml, or a folder with one; None where there is none.

    Raises:
        InputError: the yaml that was named is not one.
    """
    named = look(path, follow=True).kind == "file"
    at = (
        path
        if named
        else next((f"{path}/{n}" for n in _NAMES if look(f"{path}/{n}", follow=True).kind == "file"), None)
    )
    if at is None:
        return None
    facts = read_small(os.path.realpath(at), SIZE_LIMIT)
    try:
        document = parse_dataset_yaml(facts.data or b"")
    except InputError:
        if named:
            raise
        return None  # a folder is read by its layout all the same; the scan says what is wrong with the yaml
    found = YamlSplits(document, _base(document, os.path.dirname(at)))
    for split, places in document.splits.items():
        for place in places:
            _add(found, split, os.path.normpath(os.path.join(found.base, place)))
    return found


_NAMES: Final = ("data.yaml", "dataset.yaml")


def _base(document: DatasetYaml, folder: str) -> str:
    """Return the root: `path:` where it leads somewhere, else the yaml's own folder (the data set was moved)."""
    if document.path is None:
        return folder
    named = os.path.normpath(os.path.join(folder, document.path))
    return named if look(named, follow=True).kind == "folder" else folder


def _add(found: YamlSplits, split: Split, place: str) -> None:
    if look(place, follow=True).kind == "folder":
        found.folders.append((place, split))
        return
    facts = read_small(os.path.realpath(place), _LIST_BYTES)
    found.lists[place] = split
    own = os.path.dirname(place)
    for line in listed_paths(facts.data or b""):
        # `./` is the text's own folder, any other relative path is below the root (Ultralytics, YOLOv5)
        path = os.path.normpath(os.path.join(own if line.startswith("./") else found.base, line))
        known = found.listed.get(path, ())
        if split not in known:
            found.listed[path] = (*known, split)
