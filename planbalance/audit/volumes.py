"""The volume of each slice, read from its name again and not taken from the plan."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from planbalance.audit.check_builder import noted
from planbalance.audit.check_table import VOLUMES
from planbalance.audit.options import VerifyOptions
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.destination import Destinations, unprefixed
from planbalance.model import EXTERNAL_RULES, Check, Naming, Operation, PlanHeader
from planbalance.naming import Name, find_naming, read_names, reader
from planbalance.planfile import id_prefixes, naming_document, read_source
from planbalance.slicemap import Place

FROM_PLAN: Final = "volumes are those of the plan: names do not tell them"
FROM_SOURCE: Final = {
    "slice-map": "volumes are those of the slice map",
    "dicom": "volumes are the series of the headers",
}


def planned_naming(header: PlanHeader) -> Naming | None:
    """Return the rule that the plan stores; None where names do not give the volumes (`EXTERNAL_RULES`)."""
    rule = header.naming["rule"]
    return None if rule in EXTERNAL_RULES else Naming(rule, header.naming.get("pattern"))


class VolumesByName:
    """Reads the volume of a planned slice, and of an image that lies in the tree without being planned.

    Attributes:
        naming: the rule; None where no rule reads names, and volumes come from a source or from the plan.
        document: how names were read, as JSON values.
        note: a sentence on where volumes come from, where that is not the names; else empty.
    """

    def __init__(
        self,
        header: PlanHeader,
        naming: Naming | None,
        given_volumes: Mapping[tuple[int, str], str] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        self.document = header.naming if document is None else document
        self.note = (
            "" if naming is not None else FROM_SOURCE[self.document["rule"]] if given_volumes is not None else FROM_PLAN
        )
        self._given_volumes = given_volumes
        self.naming = naming
        self._read: Callable[[str], Name | None] | None = None if naming is None else reader(naming)
        self._sources = header.sources
        self._before_ids = id_prefixes(header)
        self._destinations = unprefixed(header.sources)

    def of(self, operation: Operation) -> str:
        """Return the volume that the name gives; the plan's where the rule does not read the name."""
        if self._given_volumes is not None:
            return self._given_volumes[operation.input, operation.image]
        if self._read is None:
            return operation.volume
        index = operation.input
        name = self._read(self._destinations.below(index, operation.image, ""))
        return operation.volume if name is None else self._before_ids[index] + name.volume

    def of_all(self, operations: Sequence[Operation]) -> list[str]:
        """Return what `of` gives for each."""
        names = None if self.naming is None else read_names(self.naming, self._below(operations))
        if names is None:
            return list(map(self.of, operations))
        before = self._before_ids
        if not any(before):
            return names.volumes
        return [before[each.input] + volume for each, volume in zip(operations, names.volumes, strict=True)]

    def _below(self, operations: Sequence[Operation]) -> list[str]:
        """Return the images' paths below their image folders."""
        images = [operation.image for operation in operations]
        return self._destinations.all_below([operation.input for operation in operations], images, [""] * len(images))

    def of_unexpected(self, below_split: str) -> str:
        """Return the volume of an image by its path below the split's folder, its input's prefix removed, or `""`."""
        if self._read is None:
            return ""
        folder, _, file_name = below_split.rpartition("/")
        before_id = {source.prefix: before for source, before in zip(self._sources, self._before_ids, strict=True)}
        for prefix in sorted(before_id, key=len, reverse=True):
            if file_name.startswith(prefix):
                rest = file_name[len(prefix) :]
                name = self._read(f"{folder}/{rest}" if folder else rest)
                if name is not None:
                    return before_id[prefix] + name.volume
        return ""


def planned_volumes(dataset: PlannedDataset, options: VerifyOptions) -> VolumesByName:
    """Return the reader for a plan's slices: by its own rule, or by the pattern or the source asked for.

    Raises:
        InputError: the pattern or the source asked for does not fit the names.
    """
    header = dataset.header
    if options.volume_source is not None:
        operations = list(dataset.plan.operations())
        places = list(_places(dataset, operations))
        names, document = read_source(options.volume_source, places)
        keys = [(each.input, each.image) for each in operations]
        return VolumesByName(header, None, dict(zip(keys, names.volumes, strict=True)), document)
    if options.volume_pattern is not None:
        below = unprefixed(header.sources).below
        paths = [below(each.input, each.image, "") for each in dataset.plan.operations()]
        naming = find_naming(paths, options.volume_pattern)
        return VolumesByName(header, naming, document=naming_document(naming, paths))
    return VolumesByName(header, planned_naming(header))


def _places(dataset: PlannedDataset, operations: Sequence[Operation]) -> Iterator[Place]:
    """Yield the names that a slice map may use for the images of a plan: those that they had in the inputs."""
    below = unprefixed(dataset.header.sources).below
    prefixes = [source.prefix for source in dataset.header.sources]
    destinations = Destinations(dataset.header.sources, dataset.header.parameters["layout"])
    for each in operations:
        at = f"{dataset.root}/{'/'.join(destinations.of(each))}" if dataset.traits.places_files else ""
        yield Place(dataset.inputs[each.input], each.image, below(each.input, each.image, ""), prefixes[each.input], at)


def with_note(checks: list[Check], note: str) -> None:
    """Add a note to the check of volumes on where they come from."""
    for at, check in enumerate(checks):
        if check.name == VOLUMES and check.ok is not None:
            checks[at] = noted(check, note)
