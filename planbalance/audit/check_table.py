"""The table of all checks, in the order in which they are printed: name, title, what each needs, when it is left out.

A new check calls `register` in its own module (`audit/checks/`) and comes last. Whatever lists checks, such as the
summary or the audit of a dataset without a plan, derives its list from this table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from planbalance.model import Check, Problem

FoundProblem = tuple[str, Problem]  # the name of the check that a problem belongs to, and the problem


NOTHING_READ: Final = "quick: neither images nor labels were read"


@dataclass(frozen=True, slots=True)
class CheckKind:
    """What is known of a check before it is made.

    Attributes:
        name: as the audit's JSON has it.
        title: what people call it, in the summary too.
        fault: what people call it where it failed; "": as its title.
        detail: its note is detail, which texts print on request only where the check is ok.
        compares_splits: it finds what the splits of a dataset share.
        shared: of one that compares splits: what they share, for the sentence "... share a volume with train".
        each_slice: its problems come from looking at each slice of a planned dataset.
        without_plan: what an audit of a dataset without a plan does with it: it makes the check, it reports it as
            NOT CHECKED, or it leaves it out, since the check is about files that only planbalance writes.
        reads: what must be read of a planned dataset for it to be made; `--quick` reads neither.
        always_named: where it was not made, the summary says so, since little is proven without it.
    """

    name: str
    title: str
    fault: str = ""
    detail: bool = False
    compares_splits: bool = False
    shared: str = ""
    each_slice: bool = False
    without_plan: Literal["made", "not checked", "left out"] = "not checked"
    reads: Literal["", "images", "labels"] = ""
    always_named: bool = False


CHECKS: Final[dict[str, CheckKind]] = {}


def register(kind: CheckKind) -> str:
    """Add a check to the table, after all that are there; return its name."""
    if kind.name in CHECKS:
        raise ValueError(f"two checks are called {kind.name}")
    CHECKS[kind.name] = kind
    return kind.name


VOLUMES: Final = register(
    CheckKind(
        "volume-overlap",
        "volumes",
        "volume in two splits",
        compares_splits=True,
        without_plan="made",
        shared="a volume",
        always_named=True,
    )
)
GROUPS: Final = register(
    CheckKind(
        "group-overlap",
        "patients",
        "patient in two splits",
        compares_splits=True,
        without_plan="made",
        shared="a patient",
        always_named=True,
    )
)
BYTES: Final = register(
    CheckKind(
        "duplicate-content",
        "identical images",
        "identical image file",
        compares_splits=True,
        without_plan="made",
        shared="identical images",
        always_named=True,
    )
)
PIXELS: Final = register(
    CheckKind(
        "duplicate-pixels",
        "re-encoded images",
        "same picture in another encoding",
        compares_splits=True,
        without_plan="made",
        shared="identical pixels",
    )
)
LOOKS: Final = register(
    CheckKind(
        "near-duplicates",
        "look-alikes",
        compares_splits=True,
        without_plan="made",
        shared="look-alikes",
        always_named=True,
    )
)
PLAN_CHECK: Final = register(CheckKind("plan", "the plan", detail=True, without_plan="made"))
FILES: Final = register(CheckKind("files", "files", each_slice=True))
LINKS: Final = register(CheckKind("links", "links", each_slice=True))
IMAGE_SUMS: Final = register(
    CheckKind(
        "image-checksums",
        "checksums of images",
        each_slice=True,
        reads="images",
        always_named=True,
    )
)
LABEL_SUMS: Final = register(CheckKind("label-checksums", "checksums of labels", each_slice=True, reads="labels"))
LABELS: Final = register(
    CheckKind("labels", "labels", each_slice=True, without_plan="made", reads="labels", always_named=True)
)
COUNTS: Final = register(CheckKind("counts", "counts"))
BALANCE: Final = register(CheckKind("balance", "balance", detail=True, reads="labels"))
DATASET_YAML_CHECK: Final = register(CheckKind("dataset-yaml", "dataset.yaml", without_plan="left out"))
METADATA_CHECK: Final = register(CheckKind("metadata", "metadata"))
HYPS_CHECK: Final = register(CheckKind("hyps", "hyperparameters", without_plan="left out"))
MANIFEST_CHECK: Final = register(CheckKind("manifest", "the manifest"))
SOURCES: Final = register(CheckKind("sources", "sources", each_slice=True, without_plan="left out"))
TRAINERS_VIEW: Final = register(CheckKind("trainers", "what trainers load", detail=True, without_plan="made"))


def of_each_slice() -> list[CheckKind]:
    """Return the checks whose problems come from looking at each slice of a planned dataset."""
    return [kind for kind in CHECKS.values() if kind.each_slice]


def in_reading_order(checks: Iterable[Check]) -> list[Check]:
    """Return finished checks in the order of the table."""
    places = {name: place for place, name in enumerate(CHECKS)}
    return sorted(checks, key=lambda check: places[check.name])
