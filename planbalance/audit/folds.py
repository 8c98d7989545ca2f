"""Audits several datasets that belong together, the folds of a cross-validation: each one, and then all of them."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from planbalance.audit.check_table import CHECKS
from planbalance.audit.checks.against import ComparableContent
from planbalance.audit.fold_checks import (
    FOLD_FOLDER,
    ONE_TEST,
    TEST_ONCE,
    FoldContent,
    checks_across,
    facts_of,
    options_of,
)
from planbalance.audit.options import VerifyOptions
from planbalance.audit.planned_dataset import find_planned_dataset
from planbalance.audit.verify import audit_dataset
from planbalance.dataset_files import DATASET_YAML, OWN_FOLDER, PLAN
from planbalance.errors import InputError, PlanError
from planbalance.model import SPLITS, AuditedFold, Check, FoldsAudit, PlanHeader, Progress, Split
from planbalance.text import counted, some

_PARTS: Final = re.compile("([0-9]+)")
_REPEAT: Final = re.compile("repeat([0-9]{1,9})", re.ASCII)
_OF_A_DATASET: Final = (OWN_FOLDER, "images", DATASET_YAML, *(f"{split}.txt" for split in SPLITS))


def fold_datasets(path: str) -> list[str]:
    """Return the datasets in a folder of folds, `fold2` before `fold10`; nothing where it is no such folder.

    It is one if it is no dataset itself, and the plan of a dataset in it says that it is a fold, or all datasets in it
    are called `fold1` and so on. Folds lie in it, or in its folders `repeat1` and so on. Variants of one dataset are
    found too: all datasets in the folder have plans of the same inputs.
    """
    path = os.path.abspath(path)
    if not os.path.isdir(path) or _is_dataset(path):
        return []
    folders: list[str] = []
    for folder in _folders(path):
        repeat = _REPEAT.fullmatch(os.path.basename(folder)) and not _is_dataset(folder)
        folders += _folders(folder) if repeat else [folder]
    # of a folder with thousands of others, each is looked at once
    told = any(_says_fold(one) for one in folders if os.path.lexists(f"{one}/{OWN_FOLDER}"))
    if not told and not any(map(_is_called_fold, folders)):
        return _variants(folders)
    found = list(filter(_is_dataset, folders))
    return found if told or (len(found) > 1 and all(map(_is_called_fold, found))) else []


def _variants(folders: Iterable[str]) -> list[str]:
    """Return the datasets among these folders if all of them have plans, of the same inputs; else nothing."""
    found = list(filter(_is_dataset, folders))
    inputs = set()
    for dataset in found:
        planned = find_planned_dataset(dataset, None, whole=False)[0] if _has_plan(dataset) else None
        inputs.add(None if planned is None else tuple(planned.header.inputs))
        if None in inputs or len(inputs) > 1:
            return []
    return found if len(found) > 1 else []


def _has_plan(dataset: str) -> bool:
    return os.path.lexists(f"{dataset}/{PLAN}")


def _is_called_fold(path: str) -> bool:
    return FOLD_FOLDER.fullmatch(os.path.basename(path)) is not None


def _folders(path: str) -> list[str]:
    """Return the folders in a folder that are not hidden, with numbers in their order."""
    try:
        names = [name for name in os.listdir(path) if not name.startswith(".")]
    except OSError:
        return []
    names.sort(key=lambda name: [(int(part), "") if part.isdecimal() else (-1, part) for part in _PARTS.split(name)])
    return [folder for name in names if os.path.isdir(folder := f"{path.rstrip('/')}/{name}")]


def _is_dataset(path: str) -> bool:
    """Return whether a folder looks like a dataset; a fold that is called `images` does not make its parent one."""
    there = [name for name in _OF_A_DATASET if os.path.lexists(f"{path}/{name}")]
    return bool(there) and (there != ["images"] or not os.path.lexists(f"{path}/images/{OWN_FOLDER}"))


def _says_fold(dataset: str) -> bool:
    planned, _ = find_planned_dataset(dataset, None, whole=False)
    return planned is not None and facts_of(planned.header) is not None


def verify_folds(datasets: Sequence[str], options: VerifyOptions, progress: Progress | None = None) -> FoldsAudit:
    """Audit each of several datasets, then compare them; nothing is changed.

    A dataset that cannot be audited counts as failed, and the others are audited nevertheless.

    Raises:
        UsageError: a dataset is to be compared with itself, or an extra is not installed.
    """
    audited: list[AuditedFold] = []
    contents: list[FoldContent] = []
    without_plan: dict[int, ComparableContent] = {}  # by index in `contents`
    for dataset in map(os.path.abspath, datasets):
        try:
            audit, result = audit_dataset(dataset, options, progress)
        except (InputError, PlanError) as error:
            audited.append(AuditedFold(dataset, os.path.basename(dataset), None, error.message))
            continue
        content = _planned(dataset, result.header, options)
        if content.options is None:
            without_plan[len(contents)] = result.content()._replace(images=None)
        elif contents and content.volumes == contents[0].volumes:  # as it should be: held in memory once
            content = content._replace(volumes=contents[0].volumes)
        contents.append(content)
        audited.append(AuditedFold(dataset, content.name, audit, ""))
    for index, splits_of in _as_found(contents, without_plan, options).items():
        contents[index] = contents[index]._replace(splits_of=splits_of)
    grouped = (fold.audit is not None and fold.audit.grouped_by != "volume" for fold in audited)
    unit = "patient" if options.group_map is not None or any(grouped) else "volume"
    checks = checks_across(contents, unit)
    ok = all(fold.ok for fold in audited) and not any(check.ok is False for check in checks)
    where = " in each repetition" if len({content.repeat for content in contents}) > 1 else ""
    tested = f"every {unit} is in test of exactly one of them{where}"
    return FoldsAudit(ok, _sentence(audited, checks, tested), tuple(audited), tuple(checks))


def _planned(dataset: str, header: PlanHeader | None, options: VerifyOptions) -> FoldContent:
    """Return what the checks across folds look at, from the plan that the audit used; without one, an empty content."""
    folder, name = os.path.split(dataset)
    groups = _mapped(options)
    if header is None:
        return FoldContent(dataset, name, _repeat_of(folder), None, None, None, {})
    facts = facts_of(header)
    volumes = {}
    splits_of: defaultdict[str, set[Split]] = defaultdict(set)
    for one in header.volumes:
        group = groups.get(one.id, one.group)
        volumes[one.id] = (group, one.slices, one.positives)
        splits_of[group].add(one.split)
    repeat = _repeat_of(folder) if facts is None else facts.repeat
    name = name if facts is None else facts.name
    return FoldContent(dataset, name, repeat, facts, options_of(header), volumes, _frozen(splits_of))


def _as_found(
    contents: Iterable[FoldContent], without_plan: Mapping[int, ComparableContent], options: VerifyOptions
) -> dict[int, Mapping[str, frozenset[Split]]]:
    """Return the splits of each group in the datasets without a plan; their patients are those of the others' plans."""
    groups: dict[str, str] = {}
    for content in contents if without_plan else ():
        groups |= {volume: one[0] for volume, one in (content.volumes or {}).items()}
    groups |= _mapped(options)
    found: dict[int, Mapping[str, frozenset[Split]]] = {}
    for index, there in without_plan.items():
        splits_of: defaultdict[str, set[Split]] = defaultdict(set)
        for volume, splits in there.volumes.items():
            splits_of[groups.get(volume, there.groups.get(volume, volume))].update(splits)
        found[index] = _frozen(splits_of)
    return found


def _mapped(options: VerifyOptions) -> Mapping[str, str]:
    """Return the groups of the map that was given: they go before those of the plans."""
    return {} if options.group_map is None else options.group_map.group_of


def _repeat_of(folder: str) -> int:
    """Return the repetition that a folder is named after, 1 where it is not."""
    found = _REPEAT.fullmatch(os.path.basename(folder))
    return 1 if found is None else int(found[1])


def _frozen(splits_of: Mapping[str, set[Split]]) -> dict[str, frozenset[Split]]:
    one_each: dict[frozenset[Split], frozenset[Split]] = {}  # there are few, for many groups
    found = ((group, frozenset(splits)) for group, splits in splits_of.items())
    return {group: one_each.setdefault(splits, splits) for group, splits in found}


def _sentence(audited: Sequence[AuditedFold], checks: Sequence[Check], tested: str) -> str:
    """Return all audits in one sentence; `tested` is its clause where every group is in test once."""
    failed = [fold.name for fold in audited if not fold.ok]
    parts = [f"{counted(len(audited), 'dataset')} audited"]
    parts.append(f"{counted(len(failed), 'failed', 'failed')}: {some(failed)}" if failed else "each is ok")
    wrong = [check.title for check in checks if check.ok is False]
    if wrong:
        parts.append(f"together they fail: {', '.join(wrong)}")
    elif any(check.name == TEST_ONCE and check.ok for check in checks):
        parts.append(tested)
    elif any(check.name == ONE_TEST and check.ok for check in checks):
        parts.append("all have one and the same test")
    unchecked = [check.title for check in checks if check.ok is None]
    unchecked = [*_unchecked_everywhere(audited), *unchecked]
    if unchecked:
        parts.append(f"not checked: {', '.join(unchecked)}")
    return "; ".join(parts) + "."


def _unchecked_everywhere(audited: Sequence[AuditedFold]) -> list[str]:
    """Return what was not checked in one of the datasets and must be named, since little is proven without it."""
    checks = [check for fold in audited if fold.audit is not None for check in fold.audit.checks]
    names = {check.name for check in checks if check.ok is None}
    return [kind.title for kind in CHECKS.values() if kind.name in names and kind.always_named]
