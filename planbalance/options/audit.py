"""The options of `verify` and `report`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from planbalance.options.cluster import ClusterChoices
from planbalance.options.declare import option
from planbalance.options.reading import Reading


@dataclass(frozen=True, kw_only=True)
class VerifyChoices:
    """What is the same in a request to audit a dataset and in `audit.VerifyOptions`."""

    plan: str | None = option(None, "Compare with this plan.  [default: the one inside the dataset]", value="path")
    quick: bool = option(False, "Read only what planbalance itself wrote, neither images nor labels.")
    near_duplicates: bool = option(
        False,
        "Decode all images: find equal pixels in other encodings, and pictures that look alike (extra "
        "[near-duplicates]; takes minutes).",
    )
    against: Sequence[str] = option(
        (), "Another dataset: report what the two share (repeatable).", metavar="DATASET", value="path"
    )
    jobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyRequest(ClusterChoices, Reading, VerifyChoices):
    """The options of `verify`, each the command line's of the same name.

    `plan` None: the plan inside the dataset, if there is one. `near_duplicates` and `quick` exclude each other. Of the
    datasets `against`: an image or volume that is in train here and in val or test there, or the reverse, is an error.
    `shard` is "I/N", or "auto" in a Slurm array: that part is audited, and `finish` gives the verdict. `jobs`, for the
    API alone, is the number of worker threads.
    """

    volume_pattern: str | None = option(
        None, "As in plan.  [default: the plan's rule, else auto]", heading="Reading", metavar="RULE", value="rule"
    )
    report: str | None = option(
        None, "Write the audit as a page or as Markdown too.", metavar="FILE.html|.md", value="path"
    )


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """The options of `report`, each the command line's of the same name.

    `audit`, of a dataset: "none", what planbalance wrote ("quick"), or every image and label too ("full").
    `near_duplicates` makes the audit a full one. `samples` are positive slices of each split, drawn with their boxes.
    """

    audit: Literal["none", "quick", "full"] = option(
        "quick", "For a dataset: audit it and show the result; full reads every image."
    )
    near_duplicates: bool = option(
        False, "Look for images that look alike across splits too, and show the worst pairs; reads every image."
    )
    samples: int = option(4, "Positive slices of each split to draw with their boxes.", most=24)
