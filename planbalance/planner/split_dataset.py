"""Read a dataset that is split already: which images each split holds, and which of them are copies of one slice.

A dataset that leaks often holds the same file in two splits. All slices of a plan have names of their own, so one of
the copies stands for all of them until it is known which one stays.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from planbalance.destination import fold
from planbalance.errors import InputError
from planbalance.model import SPLITS, ImageFile, Input, Snapshot, Split
from planbalance.planner.matching import Matcher, spellings
from planbalance.planner.volumes import below_folders, place_of
from planbalance.text import counted, some

Digests = Callable[[Sequence[str]], Sequence[str]]  # absolute paths of images -> SHA-256 of each
ImageKey = tuple[int, str]  # input, path


class SplitDataset(NamedTuple):
    """A dataset that is split, with each name once.

    Attributes:
        snapshot: without images of no split, and without all but one image of each name.
        keep: the splits that are to stay as they are.
        slices: how many images each split holds, copies included.
        copies: the image that stayed in the snapshot -> its copies in other splits.
        outside: how many images are in no split.
        relabelled: paths of images in a kept split, each with those of its copies, that have other labels.
    """

    snapshot: Snapshot
    keep: tuple[Split, ...]
    slices: Mapping[Split, int]
    copies: Mapping[ImageKey, tuple[ImageFile, ...]]
    outside: int
    relabelled: tuple[str, ...]

    def files_of(self, file: ImageFile) -> tuple[ImageFile, ...]:
        """Return an image of the snapshot and its copies."""
        return (file, *self.copies.get(key_of(file), ()))

    def split(self, file: ImageFile) -> Split:
        """Return the split of an image of the snapshot, or of a copy."""
        split = _split_of(self.snapshot.inputs, file)
        assert split is not None  # images of no split were left out
        return split

    def warnings(self) -> Iterator[str]:
        """Yield a sentence on what is left out though nothing leaks by it, and on labels that differ."""
        if self.outside:
            yield f"{counted(self.outside, 'image')} in no split left out: trainers do not load them."
        if self.relabelled:
            several = counted(len(self.relabelled), "image")
            yield f"{several} of a kept split with another label than the copies: {some(self.relabelled, 2)}."


def key_of(file: ImageFile) -> ImageKey:
    """Return what tells an image from all others."""
    return file.input, file.path


def read_split_dataset(
    snapshot: Snapshot, keep: tuple[Split, ...] | None, exclude: Sequence[str], digests: Digests
) -> SplitDataset:
    """Return the dataset; of copies, the one in a kept split stays in its snapshot, else the first.

    Images of one name in the same split are left to `refuse_collisions`.

    Args:
        snapshot: of one dataset.
        keep: the splits that stay as they are; None: test, where the dataset has one.
        exclude: entries of `--exclude`; what they name is in the snapshot as before, and has no copies.
        digests: reads images that the scan did not hash.

    Raises:
        InputError: the dataset is not split (kind `not-split`), or holds no slice of a split to keep (kind
            `kept-split-absent`); images of one name in two splits have different bytes (kind `same-name`); copies
            outside of kept splits have different labels (kind `copies-differ`); the dataset names the same images for
            two splits (kind `split-overlap`).
    """
    _refuse_shared_folders(snapshot)
    inputs = snapshot.inputs
    images = [file for file in snapshot.images if _split_of(inputs, file) is not None]
    counts = Counter(_split_of(inputs, file) for file in images)
    slices = {split: counts[split] for split in SPLITS if counts[split]}
    if snapshot.images:
        _refuse_absent(snapshot, slices, keep or ())
    kept: tuple[Split, ...] = ("test",) if "test" in slices else ()
    if keep is not None:
        kept = keep
    order = {split: place for place, split in enumerate(dict.fromkeys((*kept, *SPLITS)))}
    alike = [
        sorted(files, key=lambda file: order[_split_of(inputs, file) or "train"])
        for files in _of_one_name(inputs, images, exclude)
    ]
    _refuse_other_bytes(inputs, alike, digests)
    relabelled = [files for files in alike if len({(file.label_sha256, file.label is None) for file in files}) > 1]
    _refuse_other_labels(inputs, [files for files in relabelled if _split_of(inputs, files[0]) not in kept])
    copies = {key_of(files[0]): tuple(files[1:]) for files in alike}
    others = {key_of(file) for files in copies.values() for file in files}
    return SplitDataset(
        snapshot=snapshot._replace(images=[file for file in images if key_of(file) not in others]),
        keep=kept,
        slices=slices,
        copies=copies,
        outside=len(snapshot.images) - len(images),
        relabelled=_places(inputs, relabelled),
    )


def _split_of(inputs: Sequence[Input], file: ImageFile) -> Split | None:
    return inputs[file.input].folders[file.folder].split


def _refuse_absent(snapshot: Snapshot, slices: Mapping[Split, int], keep: Sequence[Split]) -> None:
    if not slices:
        roots = [source.root for source in snapshot.inputs]
        raise InputError(
            f"{some(roots)} is not split: no image lies in a folder of train, val or test.",
            kind="not-split",
            hint="There is nothing to repair: split it with `planbalance plan`.",
            paths=roots,
        )
    absent = [split for split in keep if split not in slices]
    if absent:
        raise InputError(
            f"--keep {absent[0]}: the dataset holds no slice in {absent[0]}.",
            kind="kept-split-absent",
            hint=f"It holds slices in {' and '.join(slices)}.",
        )


def _refuse_shared_folders(snapshot: Snapshot) -> None:
    shared = [problem for problem in snapshot.problems if problem.kind == "split-overlap"]
    if shared:
        listed = [f"{problem.path} ({problem.message})" for problem in shared]
        raise InputError(
            f"Two splits of the dataset are the same images: {some(listed, 3)}.",
            kind="split-overlap",
            hint="Correct the yaml, so that each split names images of its own, or split all with `planbalance plan`.",
            paths=(problem.path for problem in shared),
        )


def _of_one_name(inputs: Sequence[Input], images: Sequence[ImageFile], exclude: Sequence[str]) -> list[list[ImageFile]]:
    """Return the sets of two or more images that have one name and lie in splits of their own."""
    below = below_folders(inputs)
    named: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for file in images:
        path = below(file)
        named[fold(path[: path.rfind(".")])].append(file)
    several = [files for files in named.values() if len(files) > 1]
    excluding = Matcher(exclude) if several else Matcher(())
    if excluding:
        several = [
            [file for file in files if not excluding.matches(spellings(file, inputs[file.input], below(file)))]
            for files in several
        ]
    return [files for files in several if 1 < len(files) == len({_split_of(inputs, file) for file in files})]


def _refuse_other_bytes(inputs: Sequence[Input], alike: Sequence[Sequence[ImageFile]], digests: Digests) -> None:
    same_size = [files for files in alike if len({file.size for file in files}) == 1]
    unread = [file for files in same_size for file in files if not file.image_sha256]
    found = {key_of(file): file.image_sha256 for files in same_size for file in files}
    read = digests([place_of(inputs, file) for file in unread]) if unread else ()
    found |= dict(zip(map(key_of, unread), read, strict=True))
    others = [files for files in alike if len({found.get(key_of(file), key_of(file)) for file in files}) > 1]
    if others:
        pairs = _places(inputs, others)
        raise InputError(
            f"{counted(len(pairs), 'name is', 'names are')} in two splits with different images, so names do not tell "
            f"whether that is one slice: {some(pairs, 2)}.",
            kind="same-name",
            hint="If each split counts its own slices, rename the files so that every slice has a name of its own; if "
            "one of them is out of date, leave it out with --exclude.",
            paths=pairs,
        )


def _refuse_other_labels(inputs: Sequence[Input], differing: Sequence[Sequence[ImageFile]]) -> None:
    if differing:
        pairs = _places(inputs, differing)
        raise InputError(
            f"{counted(len(pairs), 'image is', 'images are')} in two splits with different labels, and one of them has "
            f"to go: {some(pairs, 2)}.",
            kind="copies-differ",
            hint="Correct the labels, or leave the wrong one out with --exclude.",
            paths=pairs,
        )


def _places(inputs: Sequence[Input], several: Iterable[Sequence[ImageFile]]) -> tuple[str, ...]:
    return tuple(" / ".join(place_of(inputs, file) for file in files) for files in several)
