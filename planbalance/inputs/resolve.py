"""Resolve the inputs that the user names: a folder, a yaml, or `--images` with `--labels`."""

import os
from collections.abc import Sequence

from planbalance.errors import InputError, UsageError
from planbalance.inputs.agreement import add_what_yamls_say, common_keys, common_names, name_classes
from planbalance.inputs.draft import FoundInput, absolute, finish, upwards
from planbalance.inputs.from_folder import YAML_SUFFIXES, from_folder, from_roots_apart, not_found
from planbalance.inputs.from_yaml import from_yaml, read_yaml
from planbalance.inputs.text_lists import joined
from planbalance.model import InputSpec, are_named
from planbalance.text import text_fault


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
        draft = from_roots_apart(spec)
        name_classes(draft)
        return finish(draft, prefix)._replace(apart=True)
    if not spec.path:
        raise UsageError("No input was given.", kind="usage", hint="Give the dataset's folder or its yaml.")
    path = absolute(spec.path)
    if os.path.isdir(path):
        draft = from_folder(path, audit=audit)
        if not (audit and are_named(draft.names)):  # trainers read the yaml's names alone
            name_classes(draft)
    elif os.path.isfile(path) and path.lower().endswith(YAML_SUFFIXES):
        document = path, read_yaml(path)
        draft = from_yaml(*document, audit=audit)
        add_what_yamls_say(draft, [document])
        if not are_named(draft.names):
            name_classes(draft)
    elif os.path.lexists(path):
        raise InputError(
            f"Input is neither a folder nor a yaml: {path}.",
            kind="no-layout",
            hint="Give the dataset's folder, its data.yaml or its dataset.yaml.",
            paths=(path,),
        )
    else:
        raise not_found("Input file" if path.lower().endswith(YAML_SUFFIXES) else "Input directory", spec.path, path)
    return finish(draft, prefix)


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


def _refuse_shared_folders(found: Sequence[FoundInput]) -> None:
    """Refuse image folders that two inputs share: every slice would be there twice, and could be in two splits."""
    owners: dict[object, tuple[int, str]] = {}  # by path, and by device and inode
    walked = [
        (number, joined(one.input.root, one.input.folders[index].images))
        for number, one in enumerate(found)
        for index in one.walked
    ]
    for number, path in sorted(walked, key=lambda pair: (len(pair[1]), pair)):  # outer folders first
        facts = os.stat(path)
        identity = (facts.st_dev, facts.st_ino)
        for known in (identity, *upwards(path)):
            owner, other = owners.get(known, (number, path))
            if owner != number:
                raise InputError(
                    f"Two inputs hold the same images: {other} and {path}.",
                    kind="input-twice",
                    hint="Give every folder once.",
                    paths=sorted((other, path)),
                )
        owners[path] = owners[identity] = (number, path)
