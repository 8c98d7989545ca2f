"""The values that packages pass to each other: immutable, without access to files.

Data goes one way: names and sizes -> `Snapshot` -> `Volume` -> split -> sample -> plan -> bytes -> operations ->
`Outcome` -> audit. All values are `NamedTuple`s: they are cheap where there are a hundred thousand, and the classes are
made in a tenth of the time of frozen dataclasses, which every command would wait for. All paths are `str` with `/`
between the parts: `Path` objects are too slow for loops over files.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol

from planbalance.modes import Mode

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
# How the planner's warning of missed slice targets begins; texts for people say it in other words.
TARGETS_MISSED: Final = "The split misses its slice targets by"

_SPLIT_WORD: Final = re.compile(
    r"(?:(?P<train>train|training)|(?P<val>val|valid|validation)|(?P<test>test|testing))"
    r"(?:[-_ ]?set)?(?:[-_ ]?(?:19|20)[0-9]{2})?",
    re.ASCII | re.IGNORECASE,
)


def split_of_word(word: str) -> Split | None:
    """Return the split that a folder's name or a map's word stands for, or None where it stands for none.

    In any case: `train`, `training`; `val`, `valid`, `validation`; `test`, `testing`; each also with `set` and a year
    behind it, as in `Trainset` and `train2017`. Other words (`dev`, `holdout`, `eval`) have no single meaning, so they
    stand for no split.
    """
    found = _SPLIT_WORD.fullmatch(word)
    return None if found is None else next(split for split in SPLITS if found[split] is not None)


Layout = Literal["keep", "by-volume"]
# Bounds of the files that name places and classes, such as the yaml and `classes.txt`: they are not trusted. A list of
# 40,000 image paths fits into a yaml; longer lists belong in a text file, which is what trainers expect.
DOCUMENT_SIZE_LIMIT: Final = 4 * 1024 * 1024
CLASS_COUNT_LIMIT: Final = 100_000
SharedIds = Literal["same", "different"]
Severity = Literal["error", "warning"]

# What stock trainers read: Ultralytics 8.4 and YOLOv5 7.0, `IMG_FORMATS`, joined.
TRAINER_SUFFIXES: Final = frozenset(
    "avif bmp dng heic heif jp2 jpeg jpeg2000 jpg mpo pfm png tif tiff webp".split()  # noqa: SIM905 - reads better
)
# What counts as an image here: the guide's slices are DICOM, which forks of the trainers read.
IMAGE_SUFFIXES: Final = TRAINER_SUFFIXES | {"dcm"}


def placeholder_names(count: int) -> tuple[str, ...]:
    """Return the names of classes that nothing names: `class_0`, `class_1`, ..., as Ultralytics calls them."""
    return tuple(f"class_{index}" for index in range(count))


def are_named(names: Sequence[str] | None) -> bool:
    """Return whether there are class names, and not only `placeholder_names`."""
    return bool(names) and tuple(names or ()) != placeholder_names(len(names or ()))


# ---- what is asked for ----------------------------------------------------------------------------------------------


class InputSpec(NamedTuple):
    """One input as the user gives it.

    Attributes:
        path: a folder or a yaml, absolute or below the working folder. With `images` and `labels` it only says where
            the class names are, and may be `""`.
        name: `NAME` of `--input NAME=DIR`.
        images: image folder of `--images`, given together with `labels`.
        labels: label folder of `--labels`.
    """

    path: str
    name: str = ""
    images: str | None = None
    labels: str | None = None


# ---- what was found -------------------------------------------------------------------------------------------------


class Folder(NamedTuple):
    """One image folder of an input, with the folder that holds its labels.

    Attributes:
        images: path of the image folder relative to the input's root; `""` is the root itself.
        labels: path of the label folder relative to the root; equal to `images` where labels lie beside the images.
        split: the split that the input holds these slices in (`valid` is `val`), or None.
    """

    images: str
    labels: str
    split: Split | None


class Keypoints(NamedTuple):
    """The `kpt_shape` of a yaml: how many keypoints an object has, and 2 (x, y) or 3 numbers (and visibility) each."""

    number: int
    dims: int

    @property
    def columns(self) -> int:
        """How many columns a label line has: class, box and keypoints."""
        return 5 + self.number * self.dims


class Overshoot(NamedTuple):
    """Label lines with numbers a little outside of [0, 1].

    Attributes:
        lines: how many.
        most: the greatest distance from [0, 1], as a share of the image's side.
        dropped: how many of the lines make YOLOv5 drop the image.
    """

    lines: int
    most: float
    dropped: int


# The keys of a yaml beside its places and class names: JSON values by key. Of inner keys, `0` is the number.
YamlKeys = Mapping[str, Any]
NO_KEYS: Final[YamlKeys] = {}
YAML_DEPTH: Final = 8  # the most lists and mappings inside each other that are carried over from a yaml

# Keys that name data or fetch them, and those that planbalance writes itself: they are never carried over. Where images
# are absent, trainers run what `download` says, and would get the dataset with its old split.
DATA_KEYS: Final = frozenset(
    ("path", "train", "val", "valid", "validation", "test", "minival", "download", "names", "nc", "planbalance")
)


class Input(NamedTuple):
    """One root that slices are read from.

    Attributes:
        root: absolute, `..` removed, symbolic links not resolved.
        prefix: `""`, or `NAME-` of `--input NAME=DIR`: put before file names, and with `--shared-ids different` before
            volume ids.
        folders: its image folders, none of them inside another unless the outer one excludes the inner by name.
        names: class names by id, of its yaml or of the files that other tools write; None where nothing names them.
        guarded: the folders, relative to the root, that nothing is ever written to: `""` is all of the root. Where the
            image and label folders were named separately, they alone, since the root is only their common ancestor.
        yaml_keys: the further keys of its yaml, for the output's dataset.yaml.
    """

    root: str
    prefix: str
    folders: tuple[Folder, ...]
    names: tuple[str, ...] | None
    guarded: tuple[str, ...] = ("",)
    yaml_keys: YamlKeys = NO_KEYS


class SplitYaml(NamedTuple):
    """The yaml that says which images of an input are in which split, as trainers read it.

    Attributes:
        path: of the yaml, absolute.
        splits: what it names for each split, as written: folders, text files, images.
        found: where that is, absolute; a split of which nothing is here is left out.
        written: its `path:` as written, or None.
        root: the folder that relative places were taken from, absolute.
        moved: whether what it names was found below another folder than the yaml says: trainers would not find it.
    """

    path: str
    splits: Mapping[Split, tuple[str, ...]]
    found: Mapping[Split, tuple[str, ...]]
    written: str | None
    root: str
    moved: bool


class LayoutDifference(NamedTuple):
    """An image folder whose name stands for another split than the yaml names.

    Attributes:
        path: absolute.
        images: how many of its images differ; the count stops at 200,000.
        folder_split: the split that the folder's name stands for, or None.
        yaml_splits: the splits that the yaml names it for; none where it does not name it.
    """

    path: str
    images: int
    folder_split: Split | None
    yaml_splits: tuple[Split, ...]


class ImageFile(NamedTuple):
    """One image and its label, as the scan found them. Paths are relative to the input's root."""

    input: int  # index into Snapshot.inputs
    folder: int  # index into Input.folders
    path: str
    size: int  # bytes
    mtime_ns: int
    label: str | None  # None: there is no label file
    label_size: int  # bytes; 0 where missing
    label_sha256: str  # hex; "" where the label is missing or has no byte
    annotations: int  # lines that are not blank
    classes: tuple[int, ...]  # class id of every valid line, in file order
    invalid: bool  # at least one line is not a valid annotation
    image_sha256: str  # hex with --hash-images, else ""
    blank: bool  # with --hash-images: zero bytes, or one byte value only


class Problem(NamedTuple):
    """Something wrong at one place. It is not an exception, so that one pass can list all of them.

    Attributes:
        kind: a short stable slug, such as `label-invalid` or `unreadable`.
        severity: only errors make an audit fail.
        path: the file, with `:LINE` behind it where a line is meant.
        message: what is wrong, in a few words.
    """

    kind: str
    severity: Severity
    path: str
    message: str


class Snapshot(NamedTuple):
    """The images and labels of the inputs at one moment.

    Attributes:
        inputs: in the order given.
        images: sorted by input index, then path (UTF-8 bytes), whatever order the directories gave.
        missing: per input, images without a label file.
        empty: per input, label files without a byte or with white space only.
        problems: invalid label lines, unreadable folders, duplicate stems, orphan labels, names refused; sorted.
        leftovers: `*.cache` and `*.npy` files passed over.
        overshoot: valid label lines that reach a little beyond the image; None where there is none.
        yaml_keys: the further keys of the yaml files of all inputs, as of `Input`.
        empty_splits: splits that an input has a folder or a list for, and that hold no image in any input.
        yamls: per input, the yaml that names its splits, or None where its folders tell them.
        differences: where folders say otherwise than these yamls.
    """

    inputs: tuple[Input, ...]
    images: Sequence[ImageFile]
    missing: tuple[int, ...]
    empty: tuple[int, ...]
    problems: tuple[Problem, ...]
    leftovers: int
    overshoot: Overshoot | None = None
    yaml_keys: YamlKeys = NO_KEYS
    empty_splits: tuple[Split, ...] = ()
    yamls: tuple[SplitYaml | None, ...] = ()
    differences: tuple[LayoutDifference, ...] = ()


# ---- what is chosen -------------------------------------------------------------------------------------------------


class Slice(NamedTuple):
    """One image read by the naming rule; `name` is its path below the split's folder of an output of layout `keep`."""

    file: ImageFile
    volume: str
    number: int | None  # position in the volume; None where the rule gives none
    positive: bool
    name: str


class Volume(NamedTuple):
    """All slices of one scan: the smallest unit that may be split.

    Attributes:
        id: as the naming rule reads it; with `--shared-ids different`, the input's prefix before it.
        group: the unit that is split: the patient where a map was given, else the volume's own id.
        slices: sorted by number (None first), then input and path.
        positives: how many of them are positive.
    """

    id: str
    group: str
    slices: tuple[Slice, ...]
    positives: int


class SlicesPerVolume(NamedTuple):
    """How many slices the volumes have, which shows whether the names were read correctly.

    Attributes:
        minimum: slices of the smallest volume.
        median: the middle number; of an even number of volumes, halfway between the two in the middle.
        maximum: slices of the largest volume.
        volumes: how many volumes there are.
        single: how many of them have one slice.
    """

    minimum: int
    median: float
    maximum: int
    volumes: int
    single: int

    @classmethod
    def of(cls, slices: Iterable[int]) -> "SlicesPerVolume | None":
        """Return the summary of the volumes' numbers of slices; volumes without a slice are not counted."""
        numbers = sorted(filter(None, slices))
        if not numbers:
            return None
        low, high = numbers[(len(numbers) - 1) // 2], numbers[len(numbers) // 2]
        median = (low + high) / 2 if (low + high) % 2 else (low + high) // 2
        return cls(numbers[0], median, numbers[-1], len(numbers), numbers.count(1))


# The rules by which a table or DICOM headers give the volumes: names do not, so only the plan tells a slice's volume.
EXTERNAL_RULES: Final = ("slice-map", "dicom")


GUIDES_RULE: Final = "im-dash"  # of names as the guide has them


class Naming(NamedTuple):
    """The rule that reads a file's name, as the plan stores it.

    Attributes:
        rule: a name of the registry `naming.RULES`; `slice-map` or `dicom` where volumes are not read from names
            (`EXTERNAL_RULES`).
        pattern: the regular expression of `regex`, else None.
    """

    rule: str
    pattern: str | None = None


# ---- the plan -------------------------------------------------------------------------------------------------------


class Operation(NamedTuple):
    """One slice to put in place: a line of the plan file, its fields in the plan file's order.

    The destination is never stored: `destination.py` derives it from the operation, its source and the layout.
    """

    split: Split
    volume: str
    positive: bool
    input: int
    image: str  # relative to the input's root
    label: str | None  # relative to the input's root; None: missing, an empty file is made
    image_size: int
    image_mtime_ns: int  # in the file: a string of seconds and nine digits
    label_size: int
    label_sha256: str  # "" where label_size is 0
    image_sha256: str  # "" without --hash-images


class Block(NamedTuple):
    """A run of at most 4,096 operations with one destination folder.

    Attributes:
        folder: the images' destination folder, such as `images/train`.
        count: operations.
        offset: of the first one, in bytes from the first byte after the header line.
        bytes: length, with each line's `,` and newline.
        sha256: hex, of those bytes.
    """

    folder: str
    count: int  # type: ignore[assignment]  # hides tuple's method, which nobody needs of a block
    offset: int
    bytes: int
    sha256: str


class ClassCount(NamedTuple):
    """The counts of one class, a number for each of train, val and test.

    Attributes:
        id: of the class.
        boxes: annotations of the class.
        slices: images with at least one of them.
        units: volumes, or patients where they are known, with at least one of them.
    """

    id: int
    boxes: tuple[int, ...]
    slices: tuple[int, ...]
    units: tuple[int, ...]


class Source(NamedTuple):
    """The part of an input that destinations are derived from, together with the operation.

    Attributes:
        prefix: put before file names.
        folders: the image folders; the longest one that holds an image gives the part of its path that is kept.
        guarded: as of `Input`.
    """

    prefix: str
    folders: tuple[Folder, ...]
    guarded: tuple[str, ...] = ("",)


class PlanHeader(NamedTuple):
    """The plan file's first line. Attribute names are the JSON members.

    Attributes:
        digest: hex; "" in a draft that was not sealed yet.
        split_digest: hex, of volume ids, splits and kept slices alone.
        inputs: absolute roots, aligned with `sources`.
        sources: prefix and image folders of each input.
        output: absolute.
        names: class names by id, or None.
        parameters: the options that decided the plan, JSON values only.
        naming: the rule found or given, and how it reads two names (`rule`, `pattern`, `examples`).
        statistics: the metadata file's `statistics`, plus `before` (counts before undersampling, per split).
        volume_statistics: the metadata file's `volume_statistics`, plus positive and negative volumes per split.
        targets: wanted, reached and distance, per split.
        warnings: sentences.
        volumes: one object for each volume.
        blocks: where the operations lie.
        yaml_keys: what the inputs' yaml says beside places and class names, carried over to dataset.yaml. A member of
            the file only where there is any.
    """

    digest: str
    split_digest: str
    inputs: tuple[str, ...]
    sources: tuple[Source, ...]
    output: str
    names: tuple[str, ...] | None
    parameters: Mapping[str, Any]
    naming: Mapping[str, Any]
    statistics: Mapping[str, Any]
    volume_statistics: Mapping[str, Any]
    targets: Mapping[str, Any]
    warnings: tuple[str, ...]
    volumes: tuple["PlannedVolume", ...]
    blocks: tuple[Block, ...]
    yaml_keys: YamlKeys = NO_KEYS


class PlannedVolume(NamedTuple):
    """One volume in the plan's header.

    Attributes:
        id: the volume.
        group: the unit that was split; its own id without a group map.
        split: where it goes.
        slices: how many it has, without excluded ones.
        positives: how many of them are positive.
        kept: how many the plan keeps.
        dropped: numbers of the slices that sampling dropped, as run-length text such as `3-7,9`.
        missing: numbers absent between the first and the last slice, as run-length text.
    """

    id: str
    group: str
    split: Split
    slices: int
    positives: int
    kept: int
    dropped: str
    missing: str


class ReadablePlan(Protocol):
    """A plan that can be read, such as `planstore.PlanFile`."""

    @property
    def header(self) -> PlanHeader:
        """The plan's first line."""

    def operations(self) -> Iterator[Operation]:
        """Yield every slice that the plan keeps."""


# ---- what happened --------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What an apply did.

    Attributes:
        output: absolute path of the published dataset (or of the one that a dry run would publish).
        mode: how images were placed, as really used.
        files: files placed in the output, those of an earlier run that was resumed included; of a dry run, all that
            would be.
        bytes: bytes of image and label content copied by this run; of a dry run, all that would be.
        seconds: wall time.
        resumed: operations found done, not done again.
        published: whether the output appeared in this run.
        warnings: sentences.
        train_commands: `yolov5` and `ultralytics`: a command, or None with the reason in `warnings`.
        next_command: what to run next, where that is neither an audit nor training; else "".
        packed_size: bytes of the one file of a packed dataset; None of a folder, and of a shard.
        packed_about: about how many bytes it will have, where that depends on slices that a dry run did not render;
            else None.
    """

    output: str
    mode: Mode
    files: int
    bytes: int
    seconds: float
    resumed: int
    published: bool
    warnings: tuple[str, ...]
    train_commands: Mapping[str, str | None]
    next_command: str = ""
    packed_size: int | None = None
    packed_about: int | None = None


class ClassBoxes(NamedTuple):
    """The boxes of one class in train, val and test; its name is None where nothing names it."""

    id: int
    name: str | None
    boxes: tuple[int, int, int]


class Check(NamedTuple):
    """One line of the audit.

    Attributes:
        name: what was checked.
        ok: True, False, or None: NOT CHECKED.
        reason: why it was not checked, or a note; may be empty.
        count: how many things were looked at.
        problems: what was found; only errors make `ok` False.
        title: what people call it, such as `volumes`; where it failed, the fault: `volume in two splits`. "": its name.
        detail: its note is detail: texts print it on request only, where the check is ok.
    """

    name: str
    ok: bool | None
    reason: str
    count: int  # type: ignore[assignment]  # as above
    problems: tuple[Problem, ...]
    title: str = ""
    detail: bool = False


class PairPicture(NamedTuple):
    """One picture of a pair that looks alike.

    Attributes:
        split: where it is, such as `test`; of another dataset (`--against`) as that is called.
        name: of the image, as the audit's problems call it.
        path: absolute, to read the picture from.
    """

    split: str
    name: str
    path: str


class LookAlike(NamedTuple):
    """Two images in different splits that look alike.

    Attributes:
        left, right: the two, the one in the earlier split first.
        likeness: above 0, and 1 for equal pixels.
        measure: what was compared, for a person, such as `correlation 0.998`; may be empty.
    """

    left: PairPicture
    right: PairPicture
    likeness: float
    measure: str = ""


class SplitCount(NamedTuple):
    """The slices of one split as they were found; `positives` is None where labels were not read."""

    split: Split
    slices: int
    positives: int | None


class Load(NamedTuple):
    """What one trainer would load of one split: images, and those that it drops as corrupt or does not read."""

    trainer: str
    split: Split
    labelled: int
    backgrounds: int
    dropped: int
    skipped: int


class Audit(NamedTuple):
    """The result of `verify`.

    Attributes:
        ok: no check is False.
        summary: the sentence that a reviewer can quote.
        checks: in the order in which people read them.
        leaks: per kind and split pair: slices touched and their share.
        look_alikes: the worst pairs of near-duplicates first; a few dozen at most, for a person to look at.
        to_move: how many slices, at least, must change their split or be removed so that no two splits share anything
            that was checked; None where there are no two splits.
        leaves_train: whether a repair that keeps test as it is leaves a slice in train.
        counts: slices by split.
        loads: what each trainer would load of each split, where it was looked at.
        plan_digest: of the plan that it was compared with; "" without one.
        naming: how names were read: `rule`, `pattern`, `examples`, and where there are any `warnings` and `notes`; None
            for a shard, which has no verdict.
        slices_per_volume: of the slices that are there; None where no volume is known.
        grouped_by: where patients come from: `volume` (they are not known), `patient` (the names), `map`,
            `slice-map` or `dicom`.
        groups: how many patients there are; as many as volumes where they are not known.
        warnings: sentences to show beside the verdict: about names, and splits that hold nothing to measure.
        yaml: what names the splits of a dataset without a plan; None where folders tell them, or it has a plan.
        differences: folders whose names contradict that yaml.
        failures: for each check that failed what is wrong, in one line, the worst first.
        classes: boxes of each class in each split as read from the labels, where there are several classes and no plan.
        targets: the plan's `targets`: boxes of classes, and how near each value of `--stratify` is to the ratios.
    """

    ok: bool
    summary: str
    checks: tuple[Check, ...]
    leaks: Sequence[Mapping[str, Any]]
    look_alikes: tuple[LookAlike, ...] = ()
    to_move: int | None = None
    leaves_train: bool = False
    counts: tuple[SplitCount, ...] = ()
    loads: tuple[Load, ...] = ()
    plan_digest: str = ""
    naming: Mapping[str, Any] | None = None
    slices_per_volume: SlicesPerVolume | None = None
    grouped_by: str = "volume"
    groups: int = 0
    warnings: tuple[str, ...] = ()
    yaml: SplitYaml | None = None
    differences: tuple[LayoutDifference, ...] = ()
    failures: tuple[str, ...] = ()
    classes: tuple[ClassBoxes, ...] = ()
    targets: Mapping[str, Any] = MappingProxyType({})


class AuditedFold(NamedTuple):
    """One of several datasets that were audited together.

    Attributes:
        dataset: its path.
        name: as its plan calls it, such as `fold 1`; else the name of its folder.
        audit: the result; None where the dataset could not be audited.
        error: why it could not be audited, else "".
    """

    dataset: str
    name: str
    audit: Audit | None
    error: str

    @property
    def ok(self) -> bool:
        """Whether it was audited and no check failed."""
        return self.audit is not None and self.audit.ok


class FoldsAudit(NamedTuple):
    """The result of `verify` for several datasets, such as the folds of a cross-validation.

    Attributes:
        ok: every dataset is ok, and no check of all of them together failed.
        summary: all of it in one sentence.
        folds: one for each dataset.
        checks: of all datasets together.
    """

    ok: bool
    summary: str
    folds: tuple[AuditedFold, ...]
    checks: tuple[Check, ...]


class Progress(Protocol):
    """Where long work reports to; the terminal draws a bar, `--quiet` and pipes draw nothing.

    Calls come from one thread at a time.
    """

    def begin(self, what: str, total: int | None, unit: str) -> None:
        """Start a stage: `what` it is, how many units if known."""

    def advance(self, count: int, size: int = 0) -> None:
        """Report `count` more units, and `size` more bytes."""

    def end(self) -> None:
        """End the stage."""


class Silent:
    """A `Progress` that shows nothing."""

    def begin(self, what: str, total: int | None, unit: str) -> None:
        """Show nothing."""

    def advance(self, count: int, size: int = 0) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""
