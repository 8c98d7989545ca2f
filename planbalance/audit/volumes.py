"""The volume of each slice, read from its name again, not taken from the plan's word."""

from collections.abc import Callable, Sequence

from planbalance.model import Naming, Operation, PlanHeader, Source
from planbalance.naming import Name, find_naming, reader

Reader = Callable[[str], Name | None]


def planned_naming(header: PlanHeader) -> Naming | None:
    """Return the rule that the plan stores."""
    rule, pattern = header.naming.get("rule"), header.naming.get("pattern")
    if rule in ("im-dash", "trailing-number", "parent-dir"):
        return Naming(rule)
    return Naming("regex", pattern) if rule == "regex" and isinstance(pattern, str) else None


class VolumesByName:
    """Reads the volume of a planned slice, and of an image that lies in the tree without being planned."""

    def __init__(self, header: PlanHeader, read: Reader | None) -> None:
        self._read = read
        self._sources = header.sources
        self._longest_first = [_image_folders(source) for source in header.sources]

    def of(self, operation: Operation) -> str:
        """Return the volume that the name says; the plan's where the rule says nothing."""
        if self._read is None:
            return operation.volume
        index = operation.input
        name = self._read(below_folder(operation.image, self._longest_first[index]))
        return operation.volume if name is None else self._sources[index].prefix + name.volume

    def of_stranger(self, below_split: str) -> str:
        """Return the volume of an image by its path below the split's folder, or `""`; input prefixes are known."""
        if self._read is None:
            return ""
        folder, _, file_name = below_split.rpartition("/")
        for prefix in sorted({source.prefix for source in self._sources}, key=len, reverse=True):
            if file_name.startswith(prefix):
                rest = file_name[len(prefix) :]
                name = self._read(f"{folder}/{rest}" if folder else rest)
                if name is not None:
                    return prefix + name.volume
        return ""


def planned_volumes(header: PlanHeader, pattern: str | None, paths: Callable[[], Sequence[str]]) -> VolumesByName:
    """Return the reader for a plan's slices: by its own rule, or by the pattern asked for.

    Args:
        header: the plan's.
        pattern: `--volume-pattern`, or None.
        paths: gives the slices' paths below their image folders, where a pattern must be tried on them.

    Raises:
        InputError: the pattern asked for does not read the names.
    """
    if pattern is not None:
        return VolumesByName(header, reader(find_naming(paths(), pattern)))
    naming = planned_naming(header)
    return VolumesByName(header, reader(naming) if naming is not None else None)


def _image_folders(source: Source) -> tuple[str, ...]:
    return tuple(sorted({folder.images for folder in source.folders}, key=len, reverse=True))


def below_folder(image: str, folders_longest_first: Sequence[str]) -> str:
    """Return an image's path below the longest of the image folders that holds it."""
    for folder in folders_longest_first:
        if not folder or image.startswith(folder + "/"):
            return image[len(folder) + 1 :] if folder else image
    return image
