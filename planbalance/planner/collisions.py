"""Check that no two slices share a destination, on file systems that ignore case or Unicode form too."""

from collections import Counter
from collections.abc import Iterator, Sequence

from planbalance.destination import Destinations, collisions, fold, folder_clashes, label_path
from planbalance.errors import InputError
from planbalance.model import Input, Layout, Slice
from planbalance.path_relation import path_in
from planbalance.planner.volumes import place_of, sources_of
from planbalance.text import counted, some


def refuse_collisions(inputs: Sequence[Input], slices: Sequence[Slice], layout: Layout) -> None:
    """Check that no two slices share a place in the output. The common case, that none do, needs sets alone.

    Raises:
        InputError: two share a label file, or one needs the name of another's folder (kind `collision`).
    """
    files = [one.file for one in slices]
    paths = [one.name for one in slices]
    if layout != "keep":
        paths = Destinations(sources_of(inputs), layout).all_below(
            [file.input for file in files], [file.path for file in files], [one.volume for one in slices]
        )
    stems = fold("\n".join([path[: path.rfind(".")] for path in paths])).split("\n")  # equal ones share a label
    if _twice(stems):
        pairs = zip((place_of(inputs, one.file) for one in slices), map(label_path, paths), strict=True)
        raise _same_name(collisions(pairs))
    labels = [file.label for file in files if file.label is not None]
    owned = Counter((file.input, file.label) for file in files if file.label is not None) if _twice(labels) else {}
    doubled = sorted(key for key, count in owned.items() if count > 1)
    if doubled:
        listed = [path_in(inputs[index].root, label) for index, label in doubled]
        raise _collision(listed, f"Several images have the same label file: {some(listed, 3)}.")
    clashing = folder_clashes(_near_folders(inputs, slices, paths))
    if clashing:
        raise _collision(clashing, f"A slice would have the name of a folder in the output: {some(clashing, 3)}.")


def _twice(texts: Sequence[str]) -> bool:
    return len(set(texts)) < len(texts)


def _near_folders(inputs: Sequence[Input], slices: Sequence[Slice], paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield one slice of every sub-folder, and every slice whose image or label has the name of a sub-folder."""
    folders: set[str] = set()
    names: set[str] = set()
    with_folder = ((one, path) for one, path in zip(slices, paths, strict=True) if "/" in path)
    for one, path in with_folder:
        cut = path.rfind("/")
        if (folder := path[:cut]) not in folders:
            folders.add(folder)
            names.update(fold(folder).split("/"))
            yield place_of(inputs, one.file), path
    for one, path in zip(slices, paths, strict=True) if names else ():
        name = fold(path[path.rfind("/") + 1 :])
        if name in names or label_path(name) in names:
            yield place_of(inputs, one.file), path


def _same_name(groups: Sequence[Sequence[str]]) -> InputError:
    files, others = len(groups[0]), len(groups) - 1
    more = f", and so would the files of {counted(others, 'other name')}" if others else ""
    message = f"{files:,} files would get the same name in the output{more}."
    return _collision([" / ".join(group) for group in groups], message)


def _collision(paths: list[str], message: str) -> InputError:
    return InputError(
        message,
        kind="collision",
        hint="Rename the files, or leave some out with --exclude. Where the files come from several inputs, --input "
        "NAME=DIR puts NAME- before the file names of one; which slices are one volume does not change.",
        paths=paths,
    )
