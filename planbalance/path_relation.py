"""Compare absolute paths by their text alone: which folders of an input are never written to, which paths overlap."""

from collections.abc import Iterable, Iterator
from typing import Literal

from planbalance.errors import UsageError
from planbalance.model import Input, Source

Relation = Literal["equal to", "inside", "around"]


def guarded(root: str, source: Input | Source) -> Iterator[str]:
    """Yield the absolute paths of an input that are never written to.

    Image and label folders are among them: one that is a link leads elsewhere.
    """
    folders = (path for folder in source.folders for path in (folder.images, folder.labels))
    for path in dict.fromkeys((*source.guarded, *folders)):
        yield f"{root.rstrip('/')}/{path}" if path else root


def all_guarded(roots: Iterable[str], sources: Iterable[Input | Source]) -> Iterator[str]:
    """Yield what `guarded` does of each input of a plan; `roots` may be where they stand on another machine."""
    for root, source in zip(roots, sources, strict=True):
        yield from guarded(root, source)


def relation(path: str, other: str) -> Relation | None:
    """Return how an absolute path overlaps another one, links not resolved; None where they do not overlap."""
    if path.rstrip("/") == other.rstrip("/"):
        return "equal to"
    if is_within(path, other):
        return "inside"
    return "around" if is_within(other, path) else None


def is_within(path: str, folder: str) -> bool:
    """Answer whether an absolute path is a folder's, or lies below it, links not resolved."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def overlap_refused(output: str, how: Relation, place: str) -> UsageError:
    """Return the refusal of an output that overlaps an input."""
    return UsageError(
        f"The output {output} is {how} the input {place}.",
        kind="output-overlaps-input",
        hint="Choose an --output outside the inputs: they are never written to.",
        paths=(output, place),
    )
