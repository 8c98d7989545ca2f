"""What a page is made of: a plan file, or a dataset with the plan that lies in it."""

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from planbalance import packed_dataset
from planbalance.audit.planned_dataset import refuse_unreadable_packed
from planbalance.dataset_files import PLAN, RECEIPT
from planbalance.modes import known_mode
from planbalance.packed.entry import PackedError
from planbalance.planstore import PlanFile
from planbalance.render.naming import unit_text
from planbalance.text import texts_of

_RECEIPT_LIMIT: Final = 1 << 20  # bytes; a receipt is a few lines


class Subject(NamedTuple):
    """A plan, and the dataset that it was found in: None for a plan alone, no plan where another tool built it."""

    plan: PlanFile | None
    dataset: str | None


def open_subject(path: str) -> Subject:
    """Open a plan, or a dataset by its folder, its one file, its yaml or its plan.

    Raises:
        PlanError: the plan is not there, or it is refused. InputError: an image or tar cannot be read.
    """
    path = os.path.abspath(path)
    refuse_unreadable_packed(path)
    folder = _dataset_folder(path)
    if folder is None:
        return Subject(PlanFile.open(path), None)
    inside = f"{folder}/{PLAN}"
    place = packed_dataset.inside(inside)
    there = os.path.lexists(inside) if place is None else place.dataset.entry(PLAN) is not None
    return Subject(PlanFile.open(inside) if there else None, folder)


def folder_of(dataset: str) -> str:
    """Return the absolute folder of a dataset that is named by its folder or its yaml."""
    path = os.path.abspath(dataset)
    return _dataset_folder(path) or os.path.dirname(path)


class HowBuilt(NamedTuple):
    """How a dataset was built, as its receipt says; `copy` for all that it does not say."""

    mode: str = "copy"
    labels: str = "copy"


def how_built(dataset: str) -> HowBuilt:
    """Return how a dataset was built. Its receipt is not trusted: of an unknown value, the default is returned."""
    path = f"{dataset}/{RECEIPT}"
    try:
        data = packed_dataset.file_at(path, _RECEIPT_LIMIT)
        if data is None:
            with open(path, "rb") as file:
                data = file.read(_RECEIPT_LIMIT)
        found = orjson.loads(data)
    except (OSError, ValueError, PackedError):
        return HowBuilt()
    if not isinstance(found, dict):
        return HowBuilt()
    mode = known_mode(found.get("mode")) or "copy"
    return HowBuilt(mode, "same" if found.get("labels") == "same" else "copy")


def _dataset_folder(path: str) -> str | None:
    """Return the dataset that a path names, or None where it names a plan file."""
    if os.path.isdir(path) or packed_dataset.inside(path) is not None:
        return path
    if path.endswith("/" + PLAN):
        return path[: -len(PLAN) - 1]
    if path.lower().endswith((".yaml", ".yml")) and os.path.isfile(path):
        return os.path.dirname(path)
    return None


def naming_facts(document: Mapping[str, Any], volumes: str = "") -> dict[str, Any]:
    """Return how names are read, for `naming` of the macros; `volumes` says how many slices they have, or nothing."""
    naming = document["naming"]
    return {
        **{key: texts_of(naming, key) for key in ("examples", "notes", "warnings")},
        "rule": None if naming is None else naming.get("rule"),
        "pattern": None if naming is None else naming.get("pattern"),
        "unit": unit_text(document),
        "volumes": volumes,
    }
