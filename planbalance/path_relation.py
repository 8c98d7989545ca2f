"""Join and compare absolute paths by their text alone: what of an input is never written to, which paths overlap."""

from collections.abc import Iterable, Iterator
from typing import Literal

from planbalance.errors import UsageError
from planbalance.model import Input, Source

Relation = Literal["equal to", "inside", "around"]


def path_in(root: str, path: str) -> str:
    """Return the absolute path of what lies at `path` below an absolute folder; `""` is the folder itself."""
    return f"{root.rstrip('/')}/{path}" if path else root


def label_for_trainers(image: str) -> str:
    """Return where trainers look for an image's label: the last `/images/` becomes `/labels/`, the suffix `.txt`.

    Without such a part the label lies beside the image (YOLOv5 7.0 and Ultralytics 8.4, `img2label_paths`).
    """
    before, found, after = image.rpartition("/images/")
    path = f"{before}/labels/{after}" if found else image
    return f"{path.rpartition('.')[0] or path}.txt"


def guarded(root: str, source: Input | Source) -> Iterator[str]:
    """Yield the absolute paths of an input that are never written to.

    Image and label folders are among them: one that is a link leads elsewhere.
    """
    folders = (path for folder in source.folders for path in (folder.images, folder.labels))
    for path in dict.fromkeys((*source.guarded, *folders)):
        yield path_in(root, path)


def all_guarded(roots: Iterable[str], sources: Iterable[Input | Source]) -> Iterator[str]:
    """Yield the same for all inputs of a plan; `roots` are their folders, perhaps those on another machine."""
    for root, source in zip(roots, sources, strict=True):
        yield from guarded(root, source)


def relation(path: str, other: str) -> Relation | None:
    """Return how an absolute path overlaps another one, None where they do not overlap; links are not resolved."""
    if path.rstrip("/") == other.rstrip("/"):
        return "equal to"
    if is_within(path, other):
        return "inside"
    return "around" if is_within(other, path) else None


def is_within(path: str, folder: str) -> bool:
    """Return whether an absolute path is a folder, or lies below it; links are not resolved."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def overlap_refused(output: str, how: Relation, place: str) -> UsageError:
    """Return the refusal of an output that overlaps an input."""
    return UsageError(
        f"The output {output} is {how} the input {place}.",
        kind="output-overlaps-input",
        hint="Choose an --output outside the inputs: they are never written to.",
        paths=(output, place),
    )
