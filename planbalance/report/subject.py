"""What a page is made of: a plan file, or a data set with the plan that lies in it."""

import os
from typing import Final, NamedTuple

from planbalance.errors import PlanError
from planbalance.planstore import PlanFile

PLAN_INSIDE: Final = ".planbalance/plan.json"


class Subject(NamedTuple):
    """A plan, and the data set that it was found in; None for a plan alone."""

    plan: PlanFile
    dataset: str | None


def open_subject(path: str) -> Subject:
    """Open a plan, or a data set by its folder, its yaml or its plan.

    Raises:
        PlanError: there is no plan (kind `no-plan`), or it is refused.
    """
    path = os.path.abspath(path)
    folder = _dataset_folder(path)
    if folder is None:
        return Subject(PlanFile.open(path), None)
    inside = f"{folder}/{PLAN_INSIDE}"
    if not os.path.lexists(inside):
        raise PlanError(
            f"There is no plan in {folder}: planbalance did not build it.",
            kind="no-plan",
            hint="Name a plan file; `planbalance verify DATASET --report FILE.html` makes a page of any audit.",
            paths=[path],
        )
    return Subject(PlanFile.open(inside), folder)


def folder_of(dataset: str) -> str:
    """Return the absolute folder of a data set that is named by its folder or its yaml."""
    path = os.path.abspath(dataset)
    return _dataset_folder(path) or os.path.dirname(path)


def _dataset_folder(path: str) -> str | None:
    """Return the data set that a path names, or None where it names a plan file."""
    if os.path.isdir(path):
        return path
    if path.endswith("/" + PLAN_INSIDE):
        return path[: -len(PLAN_INSIDE) - 1]
    if path.lower().endswith((".yaml", ".yml")) and os.path.isfile(path):
        return os.path.dirname(path)
    return None
