"""The options of `scan`, `plan` and `repair`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from planbalance.model import Layout, SharedIds, Split
from planbalance.options.declare import ADVANCED, option
from planbalance.options.reading import Reading

Number: TypeAlias = str | Decimal | float
MissingLabel = Literal["empty", "skip", "error"]
InvalidLabel = Literal["error", "skip", "keep"]

DEFAULT_SEED: Final = 42


@dataclass(frozen=True, kw_only=True)
class ScanRequest(Reading):
    """The options of `scan`, each the command line's of the same name; `plan` has them too.

    `positive_classes` are ids or names; none: any annotation. `group_from` is one source, several, or a
    text with commas between them; `h5_folder` are folders, `look_alikes` is the path of a file. `jobs`, for the API
    alone, are workers of the scan.
    """

    positive_classes: Iterable[int | str] = option(
        (),
        "Only this class makes a slice positive (repeatable; default: any annotation). Labels stay as they are. "
        "A number is an id, unless a class has it for a name; id:1 and name:1 say which is meant.",
        heading="Reading",
        metavar="NAME|ID",
        flag="--positive-class",
    )
    shared_ids: SharedIds | None = option(
        None,
        "A volume id in several inputs, one of them with a NAME: one volume, or different ones (NAME- is then put "
        "before ids too).",
        heading="Input",
    )
    group_from: str | Sequence[str] = option(
        (),
        "Where patients (groups) come from; of several sources, volumes that any of them puts together are one group. "
        "map (--group-map), names, dicom:PatientID, dicom:StudyInstanceUID or dicom:FrameOfReferenceUID (extra "
        "[dicom]), h5:ATTRIBUTE (extra [h5]), identical (images, as --hash-images), look-alikes (pictures; extra "
        "[near-duplicates]; reads every image). Of headers and files only a keyed hash is stored.",
        heading="Groups",
        metavar="SOURCE[,SOURCE]",
        value="sources",
    )
    h5_folder: Sequence[str] = option(
        (),
        "Where the files <volume>.h5 for --group-from h5:ATTRIBUTE are (repeatable).",
        heading="Groups",
        metavar="DIR",
        value="folder",
    )
    look_alikes: str | None = option(
        None,
        "What a person said of the pairs that --group-from look-alikes has found: columns volume_a, volume_b and "
        "same_patient (yes or no).",
        heading="Groups",
        metavar="CSV",
        value="path",
    )
    jobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlanChoices:
    """What is the same in a request for a plan and in `planner.PlanOptions`."""

    layout: Layout = option(
        "keep",
        "File paths as in the input, or one folder for each volume (fast on cluster file systems).",
        heading="Output",
    )
    negatives_per_positive: Number | None = option(
        "1.0", "Train negatives kept for each train positive.", heading="Sampling", metavar="NUMBER|all"
    )
    sampling: Literal["random", "spread"] = option(
        "random", "Draw train negatives at random, or spread them over volumes and slices.", heading="Sampling"
    )
    gap: int = option(0, "Negatives within this many slices of a positive are not drawn.", heading="Sampling")
    missing_label: MissingLabel | None = option(
        None,
        "What to do with an image without a label file: take it as background, leave it out, or refuse.",
        heading="Reading",
    )
    invalid_label: InvalidLabel = option(
        "error", "What to do with a label file that has an invalid line.", heading="Reading"
    )
    split_method: Literal["optimal", "random"] = option(
        "optimal", "Search for the split nearest to the targets, or draw one at random.", heading=ADVANCED
    )
    balance: Literal["patients", "boxes"] = option(
        "patients",
        "What is divided evenly first where a split cannot have both: the patients (or volumes) of each class, or its "
        "boxes.",
        heading=ADVANCED,
    )
    prove: int | None = option(
        None,
        "Let a solver look for a better split for so long, and print what is proven (extra [prove]). The plan stays as "
        "it is.",
        heading=ADVANCED,
        metavar="SECONDS",
    )
    prove_split: bool = option(
        False,
        "With --prove: take the better split that it finds. The seed alone does not give this split again.",
        heading=ADVANCED,
    )
    hash_images: bool = option(
        False,
        "Hash every image too: volumes that share an image stay in one split, and a changed image is noticed.",
        heading=ADVANCED,
    )


@dataclass(frozen=True, kw_only=True)
class RepairRequest(ScanRequest):
    """The options of `repair`, each the command line's of the same name.

    `keep` are the splits that stay as they are, or "none"; nothing: test, where the dataset has one. `hash_images`
    reads all images, so that identical ones in two splits are found. `shared_ids`, for one dataset, means nothing.
    """

    keep: Sequence[Split | Literal["none"]] = option(
        (),
        "A split that stays as it is: test, or test,val, or none (repeatable).  [default: test, where there is one]",
        heading="Split",
        metavar="SPLIT[,SPLIT]|none",
        value="several splits",
    )
    missing_label: MissingLabel | None = option(
        None, "As in plan; none of a kept split is left out.", heading="Reading"
    )
    invalid_label: InvalidLabel = option("error", "As in plan; none of a kept split is left out.", heading="Reading")
    hash_images: bool = option(
        True,
        "Read all images: volumes that share an identical image are one group, and must be in one split.",
        heading="Groups",
    )
    exclude: Sequence[str] = option(
        (),
        "Volumes or slices to leave out, whatever the repair does; none of a kept split (repeatable).",
        heading=ADVANCED,
        metavar="FILE|GLOB",
    )


@dataclass(frozen=True, kw_only=True)
class PlanRequest(PlanChoices, ScanRequest):
    """The options of `plan` and `build`, each the command line's of the same name.

    Ratios are exact decimals; of two given, the third is the rest. `negatives_per_positive` is a number or "all".
    `seed` sets both `split_seed` and `sample_seed`. `stratify` names columns of the group map. `group_map`,
    `split_map`, `slice_map`, `always_keep` and `extend` are paths of files; each of `exclude` is a file or a pattern.
    """

    train_ratio: Number | None = option(
        None, "Share of the train split.  [default: 0.7]", heading="Split", metavar="NUMBER"
    )
    val_ratio: Number | None = option(
        None, "Share of the val split.  [default: 0.15]", heading="Split", metavar="NUMBER"
    )
    test_ratio: Number | None = option(
        None,
        "Share of the test split. Of two ratios given, the third is the rest.  [default: 0.15]",
        heading="Split",
        metavar="NUMBER",
    )
    seed: int | None = option(None, f"Sets --split-seed and --sample-seed.  [default: {DEFAULT_SEED}]", heading="Split")
    split_seed: int | None = option(None, "Seed of the split: which volume goes where.", heading=ADVANCED)
    sample_seed: int | None = option(None, "Seed of the sampling: which train negatives are kept.", heading=ADVANCED)
    keep_split: Sequence[Split] = option(
        (),
        "Slices that the input already holds in these splits stay there: test, or test,val.",
        heading="Split",
        metavar="SPLIT[,SPLIT]",
        value="splits",
    )
    extend: str | None = option(
        None, "An older plan; its volumes keep their splits.", heading="Split", metavar="PLAN", value="path"
    )
    split_map: str | None = option(
        None,
        "The splits of volumes that are fixed by hand: columns volume,split.",
        heading="Split",
        metavar="CSV",
        value="path",
    )
    stratify: Sequence[str] = option(
        (), "A column of the group map to spread evenly too (repeatable).", heading=ADVANCED, metavar="COLUMN"
    )
    always_keep: str | None = option(
        None,
        "A file with train negatives that are always kept, one per line.",
        heading="Sampling",
        metavar="FILE",
        value="path",
    )
    exclude: Sequence[str] = option(
        (),
        "Volumes or slices to leave out: a file with one per line, or a pattern (repeatable).",
        heading="Sampling",
        metavar="FILE|GLOB",
    )


@dataclass(frozen=True, kw_only=True)
class SeveralPlans:
    """The options of `plan` that make several plans, each the command line's of the same name.

    With `folds`, every group is in test once. `repeats` makes the folds again with the next split seeds. With
    `leave_out`, a column of the group map, the groups of each value in turn are test.
    """

    folds: int | None = option(
        None, "K plans for cross-validation, in OUTPUT/fold1 and so on.", heading="Split", metavar="K"
    )
    repeats: int | None = option(
        None,
        "Make the folds R times, in OUTPUT/repeat1/fold1 and so on; the split seed grows by 1 each time.",
        heading="Split",
        metavar="R",
    )
    leave_out: str | None = option(
        None,
        "A column of the group map, such as a site: one plan for each of its values, which is then test.",
        heading="Split",
        metavar="COLUMN",
    )
