"""Class names and further yaml keys: those of several files or inputs must agree."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.errors import InputError
from planbalance.inputs.draft import InputDraft, YamlFile, with_slash
from planbalance.inputs.exports import class_names_beside, find_darknet
from planbalance.labels import KPT_SHAPE
from planbalance.model import Input, Problem, are_named
from planbalance.text import some

# Keys that change how Ultralytics reads labels and pixels, with its value where a yaml does not have the key.
_READ_BY: Final[Mapping[str, int | None]] = {KPT_SHAPE: None, "flip_idx": None, "channels": 3}


# Keys about the origin of data.
_PROVENANCE: Final = frozenset(
    ("roboflow", "author", "date", "description", "docs", "info", "license", "url", "version")
)


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
    """Return the further keys of the yaml files of all inputs: all but places and class names.

    A key about the origin of data is left out where inputs differ. A key that changes how trainers read labels or
    pixels must be the same in every yaml, or in none.

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


def add_what_yamls_say(draft: InputDraft, documents: Iterable[YamlFile]) -> None:
    """Add class names and further keys, which must agree in all yaml files of an input; report keys left out."""
    by_path = dict(documents)
    for path, data in by_path.items():
        if data.left_out:
            message = f"not carried over into dataset.yaml: {some(f'{key} ({why})' for key, why in data.left_out)}"
            draft.problems.append(Problem("yaml-key", "warning", path, message))
    read = [Input(path, "", (), data.names, (), data.keys) for path, data in by_path.items()]
    draft.names = common_names(read)
    draft.yaml_keys = common_keys(read)


def name_classes(draft: InputDraft) -> None:
    """Take class names from the files of other tools, where there are any; they and the yaml must agree.

    A yaml with only a number of classes names none, so the number must be the same.
    """
    areas = dict.fromkeys((*draft.walked, *draft.listed.values()))
    folders = dict.fromkeys((f"{with_slash(draft.root)}labels", f"{with_slash(draft.root)}images"), False)
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
