"""Repair a dataset that was moved or copied: set its absolute paths to where it is now."""

import os.path
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml

from planbalance import dataset_files, fs, packed_dataset
from planbalance.errors import IncompleteError, InputError, UsageError
from planbalance.inputs import not_found
from planbalance.model import SPLITS
from planbalance.packed.entry import PackedError
from planbalance.path_relation import is_within
from planbalance.text import error_text

_YAML_NAMES: Final = ("dataset.yaml", "data.yaml")
_LIMIT: Final = 16 << 20
_TEMPORARY: Final = ".planbalance-relocate.new"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RelocateOutcome:
    """What a relocate did.

    Attributes:
        dataset: absolute path of the dataset, where it is now.
        yaml: path of its yaml.
        old_path: what the yaml's `path:` said before, or None where it had none.
        changed: whether the yaml was rewritten.
        links: symbolic links in the dataset.
        retargeted: how many of them lead below the new source now.
        dangling: links (relative to the dataset) that lead nowhere; sorted.
        listed: paths in the text files that the yaml names that lead below the new source now.
    """

    dataset: str
    yaml: str
    old_path: str | None
    changed: bool
    links: int
    retargeted: int
    dangling: tuple[str, ...]
    listed: int = 0


def relocate(dataset: str, source: Pairs = ()) -> RelocateOutcome:
    """Set a dataset's absolute `path:` and, with (old, new) pairs, the targets of its symbolic links.

    Only links with a target at or below `old` are touched, each replaced in one step, and such paths in the text files
    at the dataset's root that its yaml names (`--mode list`). Images and labels never are.

    Raises InputError where there is no dataset or its yaml cannot be read; IncompleteError where something cannot be
    written; a second run continues.
    """
    root, name = _locate(dataset)
    pairs = [(os.path.abspath(old), os.path.abspath(new)) for old, new in source]
    pairs.sort(key=lambda pair: (-len(pair[0]), pair))
    try:
        tree = fs.Tree(fs.real_if_link(root))
    except OSError as error:
        raise _not_written(root, error) from None
    try:
        old_path, changed = _set_path(tree, name, root)
        links = _Links(pairs)
        links.below(tree.fd, "")
        listed = sum(_set_list(tree, each, pairs) for each in _lists(fs.read_source(name, tree.fd, _LIMIT)))
        _update_receipt(tree, root, pairs)
    except OSError as error:
        raise _not_written(root, error) from None
    finally:
        tree.close()
    return RelocateOutcome(
        root, f"{root}/{name}", old_path, changed, links.count, links.retargeted, tuple(sorted(links.dangling)), listed
    )


def packed_yaml(dataset: str, at: str) -> str:
    """Return the yaml of a dataset in one file, its `path:` set to the folder `at` where it will be; write nothing.

    Raises InputError where there is no such dataset, or its yaml cannot be read; UsageError where `at` is not absolute.
    """
    path = os.path.abspath(dataset)
    if not os.path.isabs(at):
        raise UsageError(f"--at {at} is not an absolute path", kind="at", hint="give the folder of the mount")
    try:
        opened = packed_dataset.open_dataset(path)
        entries = [] if opened is None else [entry for name in _YAML_NAMES if (entry := opened.entry(name))]
        if opened is None or not entries:
            what = "is no SquashFS image and no tar" if opened is None else "holds no dataset.yaml"
            raise InputError(
                f"The dataset {dataset} {what}.",
                kind="input-not-found",
                hint="--at is for a dataset in one file; a folder is repaired without it",
                paths=[path],
            )
        data = opened.read(entries[0], _LIMIT)
    except PackedError as error:
        raise InputError(
            f"The dataset {dataset} cannot be read: {error}.",
            kind="packed-unreadable",
            hint="Copy it again if it is cut off or damaged.",
            paths=[path],
        ) from None
    return with_path(data, os.path.normpath(at), f"{path}/{entries[0].path}")[0].decode()


def _locate(dataset: str) -> tuple[str, str]:
    path = os.path.abspath(dataset)
    if os.path.isfile(path) and not path.lower().endswith((".yaml", ".yml")):
        raise InputError(
            f"The dataset {dataset} is one file, which is never changed.",
            kind="packed",
            hint="`planbalance relocate DATASET --at MOUNT > data.yaml` prints its yaml for the place of the mount",
            paths=[path],
        )
    if os.path.isdir(path):
        for name in _YAML_NAMES:
            if os.path.isfile(f"{path}/{name}"):
                return path, name
        what, hint = "holds no dataset.yaml", "Name the dataset's folder, or its yaml file."
    elif os.path.isfile(path):
        return os.path.dirname(path), os.path.basename(path)
    elif not os.path.lexists(path):
        raise not_found("Dataset", dataset, path)
    else:
        what, hint = "is neither a folder nor a file", "Name the dataset's folder, or its yaml file."
    raise InputError(f"The dataset {dataset} {what}.", kind="input-not-found", hint=hint, paths=[path])


# ---- the yaml -------------------------------------------------------------------------------------------------------


def _set_path(tree: fs.Tree, name: str, root: str) -> tuple[str | None, bool]:
    data = fs.read_source(name, tree.fd, _LIMIT)
    text, old = with_path(data, root, f"{root}/{name}")
    if text != data:
        fs.write_replacing(name, tree.fd, text)
    return old, text != data


def with_path(data: bytes, path: str, where: str) -> tuple[bytes, str | None]:
    """Return a yaml's bytes with its top-level `path:` set, every other byte kept, and what it said before.

    Raises InputError where the bytes are no yaml mapping.
    """
    try:
        text = data.decode("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise _bad_yaml(where, str(error).splitlines()[0]) from None
    if not isinstance(node, yaml.MappingNode):
        raise _bad_yaml(where, "it is not a mapping")
    value = next((each for key, each in node.value if key.value == "path"), None)
    quoted = orjson.dumps(path).decode()  # JSON's strings are YAML's double-quoted ones
    if value is None:
        text = f"path: {quoted}\n{text}"
        old = None
    elif value.value == path:
        return data, path
    else:
        before = text[: value.start_mark.index]
        text = before + (" " if before.endswith(":") else "") + quoted + text[value.end_mark.index :]
        old = str(value.value)
    if not _says(text, path):
        raise _bad_yaml(where, "its `path:` is written in a way that cannot be replaced")
    return text.encode("utf-8"), old


def _says(text: str, path: str) -> bool:
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(read, dict) and read.get("path") == path


def _bad_yaml(where: str, why: str) -> InputError:
    return InputError(f"{where} cannot be used: {why}.", kind="bad-yaml", hint="Repair it by hand.", paths=[where])


# ---- links ----------------------------------------------------------------------------------------------------------


class _Links:
    """Goes through every link of the tree, retargets those below an old source and notes those that lead nowhere."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self.count = 0
        self.retargeted = 0
        self.dangling: list[str] = []

    def below(self, folder: int, path: str) -> None:
        """Look at the links in an open folder and below it; `path` is its name below the dataset, with `/`."""
        for name, kind in sorted(fs.list_folder(folder).items()):
            if kind == "link" and name != _TEMPORARY:
                self._one(folder, name, path)
            elif kind == "folder":
                inner = fs.open_below(folder, name)
                try:
                    self.below(inner, f"{path}{name}/")
                finally:
                    fs.close(inner)

    def _one(self, folder: int, name: str, path: str) -> None:
        self.count += 1
        target = fs.link_target(name, folder)
        wanted = retargeted(target, self._pairs)
        if wanted != target:
            with suppress(FileNotFoundError):
                fs.unlink(_TEMPORARY, folder)
            fs.symlink(wanted, _TEMPORARY, folder)
            fs.rename_within(_TEMPORARY, name, folder)
            self.retargeted += 1
        try:
            fs.facts(name, folder)
        except OSError:
            self.dangling.append(path + name)


def retargeted(target: str, pairs: Pairs) -> str:
    """Return a link's target with the first `old` that it lies at or below replaced by `new`."""
    for old, new in pairs:
        if target == old:
            return new
        if is_within(target, old):
            return new.rstrip("/") + target[len(old.rstrip("/")) :]
    return target


# ---- lists ----------------------------------------------------------------------------------------------------------


def _lists(text: bytes) -> list[str]:
    """Return the names of the text files at the root that a yaml names as splits."""
    read = yaml.safe_load(text.decode("utf-8"))
    places = [read.get(split) for split in SPLITS] if isinstance(read, dict) else []
    named = [each for place in places for each in (place if isinstance(place, list) else [place])]
    texts = [each.removeprefix("./") for each in named if isinstance(each, str) and each.endswith(".txt")]
    return sorted({each for each in texts if "/" not in each})


def _set_list(tree: fs.Tree, name: str, pairs: Pairs) -> int:
    """Replace the paths of a list that lie below an old source; return how many."""
    if fs.list_folder(tree.fd).get(name) != "file":
        return 0
    size = fs.facts(name, tree.fd).st_size
    lines = fs.read_source(name, tree.fd, size).decode("utf-8", "surrogateescape").split("\n")
    wanted = [retargeted(line, pairs) for line in lines]
    changed = sum(new != old for new, old in zip(wanted, lines, strict=True))
    if changed:
        fs.write_replacing(name, tree.fd, "\n".join(wanted).encode("utf-8", "surrogateescape"))
    return changed


# ---- the receipt ----------------------------------------------------------------------------------------------------


def _update_receipt(tree: fs.Tree, root: str, pairs: Pairs) -> None:
    try:
        own = tree.folder(dataset_files.OWN_FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        receipt = _receipt(own)
        if receipt is None:
            return
        changed = {**receipt, "output": root}
        if pairs:
            earlier = [each for each in receipt.get("map_input", []) if isinstance(each, list)]
            changed["map_input"] = [*earlier, *(list(pair) for pair in pairs if list(pair) not in earlier)]
        if changed != receipt:
            data = orjson.dumps(changed, option=orjson.OPT_INDENT_2) + b"\n"
            fs.write_replacing(os.path.basename(dataset_files.RECEIPT), own, data)
    finally:
        fs.close(own)


def _receipt(own: int) -> dict[str, Any] | None:
    try:
        receipt = orjson.loads(fs.read_source(os.path.basename(dataset_files.RECEIPT), own, _LIMIT))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return receipt if isinstance(receipt, dict) else None


def _not_written(root: str, error: OSError) -> IncompleteError:
    return IncompleteError(
        f"{root} could not be repaired: {error_text(error)}.",
        kind="io-error",
        hint="Check its permissions, and run relocate again.",
        paths=[root],
    )
