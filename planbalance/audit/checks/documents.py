"""Compares dataset.yaml, metadata, hyperparameters and manifest with what the plan gives."""

from collections.abc import Callable, Iterable, Sequence

from planbalance import dataset_files
from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.check_table import DATASET_YAML_CHECK, HYPS_CHECK, MANIFEST_CHECK, METADATA_CHECK
from planbalance.audit.documents import (
    Manifest,
    UnreadableDocumentError,
    difference,
    json_value,
    without_path,
    yaml_value,
)
from planbalance.audit.file_facts import read_small
from planbalance.audit.partial_result import PartialResult
from planbalance.audit.planned_dataset import PlannedDataset, same_place
from planbalance.dataset_files import DATASET_YAML, HYP, KEPT_VOLUMES, MANIFEST, METADATA
from planbalance.model import Check
from planbalance.planfile import Facts, KeptSlices

_SLACK = 1 << 16
# A line of the manifest: 64 digits, two spaces, a path, a newline.
_LINE_BYTES = 67 + 4096


def _document(dataset: PlannedDataset, path: str, most: int, found: CheckBuilder, kind: str) -> bytes | None:
    """Return a document's bytes, or None with the problem noted."""
    facts = read_small(f"{dataset.root}/{path}", most)
    found.count = 1
    if facts.data is None:
        if facts.kind == "missing":
            found.error("missing", path, "planned, and not there")
        else:
            found.error(kind, path, facts.error or f"a {facts.kind}, where the plan gives a file")
    return facts.data


def _compared(
    dataset: PlannedDataset,
    path: str,
    planned: bytes,
    found: CheckBuilder,
    kind: str,
    read: Callable[[bytes], dict[str, object]],
) -> tuple[dict[str, object] | None, dict[str, object]]:
    """Return a document's value and the planned one; where it cannot be read, note the problem and return no value."""
    data = _document(dataset, path, len(planned) * 4 + _SLACK, found, kind)
    if data is None:
        return None, {}
    try:
        return read(data), read(planned)
    except UnreadableDocumentError as error:
        found.error(kind, path, str(error))
        return None, {}


def dataset_yaml_check(dataset: PlannedDataset) -> Check:
    """Check dataset.yaml: everything but `path:` as planned; `path:` here, or the place that was planned."""
    planned = dataset_files.dataset_yaml(dataset.header, dataset.output, listed=not dataset.traits.places_files)
    found = CheckBuilder(DATASET_YAML_CHECK)
    value, expected = _compared(dataset, DATASET_YAML, planned, found, "dataset-yaml", yaml_value)
    if value is None:
        return found.check()
    rest, path = without_path(value)
    wanted, _ = without_path(expected)
    if text := difference(rest, wanted):
        found.error("dataset-yaml", DATASET_YAML, text)
    elif dataset.traits.one_file:
        _check_packed_path(path, found)
    elif not isinstance(path, str):
        found.error("dataset-yaml", DATASET_YAML, "has no `path:`")
    elif not same_place(path, dataset.root):
        if path in (dataset.output, dataset.header.output):
            message = f"moved; trainers read {path} (planbalance relocate sets it right)"
            found.warning("dataset-yaml", DATASET_YAML, message)
        else:
            found.error(
                "dataset-yaml", DATASET_YAML, f"`path:` is {path[:200]}, neither this folder nor the planned one"
            )
    return found.check()


def _check_packed_path(path: object, found: CheckBuilder) -> None:
    """Check the `path:` of a packed dataset: none, or the place where it is to be mounted or unpacked."""
    if isinstance(path, str) and path.startswith("/"):
        found.notes.append(f"trainers read {path}, where the dataset is to be mounted or unpacked")
    elif path is None:
        found.notes.append("no `path:`: Ultralytics reads the folder of the yaml, YOLOv5 needs an absolute one")
    else:
        found.error("dataset-yaml", DATASET_YAML, f"`path:` is {str(path)[:200]}, not an absolute path")


def metadata_check(
    dataset: PlannedDataset, kept: Iterable[KeptSlices] | None
) -> tuple[Check, dict[str, object] | None]:
    """Check the metadata file against the plan; return its value too, for the counts.

    `kept`: the slices of every block in the plan's order, or None where they were not collected.
    """
    if kept is None:
        kept = map(Facts(dataset.header).kept, map(dataset.plan.read_block, range(len(dataset.header.blocks))))
    planned = dataset_files.metadata_of(dataset.header, kept)
    found = CheckBuilder(METADATA_CHECK)
    if _document(dataset, METADATA, len(planned), found, "metadata") == planned:  # megabytes that need no parsing
        return found.check(), {"statistics": dataset.header.statistics}
    found = CheckBuilder(METADATA_CHECK)
    value, expected = _compared(dataset, METADATA, planned, found, "metadata", json_value)
    _drop_newer(expected, value)
    if value is not None and (text := difference(value, expected)):
        found.error("metadata", METADATA, text)
    return found.check(), value


def _drop_newer(expected: object, value: object) -> None:
    """Remove from the expected metadata what versions before 0.3 did not write, where it is not there."""
    there, wanted = (one.get("volume_statistics") if isinstance(one, dict) else None for one in (value, expected))
    if isinstance(there, dict) and isinstance(wanted, dict) and KEPT_VOLUMES not in there:
        wanted.pop(KEPT_VOLUMES, None)


def hyps_check(dataset: PlannedDataset) -> Check:
    """Check the hyperparameters that the plan gives, if it gives any."""
    planned = dataset_files.hyp_yaml(dataset.header)
    if planned is None:
        return not_checked(HYPS_CHECK, "the plan gives no hyperparameters")
    found = CheckBuilder(HYPS_CHECK)
    value, expected = _compared(dataset, HYP, planned, found, "metadata", yaml_value)
    if value is not None and (text := difference(value, expected)):
        found.error("metadata", HYP, text)
    return found.check()


def wants_manifest(dataset: PlannedDataset) -> bool:
    """Return whether the build wrote a manifest."""
    return dataset.traits.copies_images and (dataset.receipt is None or dataset.receipt.checksum == "sha256")


def read_manifest(dataset: PlannedDataset) -> tuple[Manifest | None, CheckBuilder | None]:
    """Return the manifest, and its check so far; None and None where this mode writes none."""
    if not wants_manifest(dataset):
        return None, None
    found = CheckBuilder(MANIFEST_CHECK)
    lines = sum(block.count for block in dataset.header.blocks) * 2 + 2
    facts = read_small(f"{dataset.root}/{MANIFEST}", lines * _LINE_BYTES)
    if facts.kind == "missing" and dataset.receipt is None:
        return None, None
    if facts.data is None:
        if facts.kind == "missing":
            found.error("missing", MANIFEST, "planned, and not there")
        else:
            found.error("checksum", MANIFEST, facts.error or f"a {facts.kind}, where a file is planned")
        return None, found
    return Manifest(facts.data), found


def check_manifest(dataset: PlannedDataset, manifest: Manifest, result: PartialResult, found: CheckBuilder) -> None:
    """Check that the manifest names what is planned and nothing else, and its sums of what the tool itself wrote."""
    documents = [METADATA, HYP] if dataset_files.hyp_yaml(dataset.header) is not None else [METADATA]
    of_documents = (manifest.length_of_lines(folder, [name], None) for folder, _, name in map(_parted, documents))
    size = result.in_manifest + sum(of_documents)
    if size == len(manifest.data):  # exactly the lines of all planned files
        found.count = manifest.data.count(b"\n")
    else:
        _check_lines(manifest, result, documents, found)
    _document_sums(dataset, manifest, documents, found)


def _parted(path: str) -> tuple[str, str, str]:
    return path.rpartition("/")


def _check_lines(manifest: Manifest, result: PartialResult, documents: Sequence[str], found: CheckBuilder) -> None:
    sums, bad = manifest.parsed()
    found.count = len(sums)
    for line in bad:
        found.error("checksum", f"{MANIFEST}:{line}", "not a line that sha256sum writes, or a path named again")
    planned = [f"{folder}/{name}" for folder, names in result.planned_names() for name in names]
    unnamed = [path for path in planned if path not in sums]
    for path in sorted(unnamed):
        found.error("checksum", path, "not in the manifest")
    beyond = len(sums) - (len(planned) - len(unnamed)) - sum(path in sums for path in documents)
    if beyond > 0:
        found.error("checksum", MANIFEST, f"names {beyond} files that are not planned")


def _document_sums(dataset: PlannedDataset, manifest: Manifest, documents: Sequence[str], found: CheckBuilder) -> None:
    for path in documents:
        known = manifest.sum_of(path)
        if known is None:
            found.error("checksum", MANIFEST, f"does not name {path}")
            continue
        facts = read_small(f"{dataset.root}/{path}", 1 << 30)
        if facts.kind == "file" and facts.digest.hex() != known:
            found.error("checksum", path, "has other bytes than the manifest says")
