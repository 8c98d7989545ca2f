"""The files at the root of an import: names for `plan`, patients, the report and the ledger. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from planbalance.import_model import FATES, LEDGER_COLUMNS, STATES, ImportHeader, ImportVolume, LedgerLine

DATASET_YAML: Final = "dataset.yaml"
GROUPS: Final = "groups.csv"
REPORT: Final = "import_report.json"
LEDGER: Final = "import_ledger.csv"


def documents_of(header: ImportHeader, ledger: Iterable[LedgerLine]) -> dict[str, bytes]:
    """Return the files at the root by their names; patients only where at least one is known."""
    documents = {DATASET_YAML: _yaml(header)}
    if has_groups(header):
        documents[GROUPS] = groups_csv(header)
    documents[REPORT] = orjson.dumps(report_of(header), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    documents[LEDGER] = ledger_csv(ledger)
    return documents


def document_names(header: ImportHeader) -> tuple[str, ...]:
    """Return the names of the files at the root."""
    return (DATASET_YAML, *((GROUPS,) if has_groups(header) else ()), REPORT, LEDGER)


def has_groups(header: ImportHeader) -> bool:
    """Return whether it is known of at least one volume who it is of."""
    return any(volume.patient for volume in header.volumes if volume.written)


def _yaml(header: ImportHeader) -> bytes:
    """Return names alone: `planbalance plan` reads them, and a trainer refuses a yaml without `train`."""
    lines = ["# Not split yet: `planbalance plan` divides these slices into train, val and test."]
    lines += [f"nc: {len(header.names)}", "names:"]
    lines += [f"  {index}: {orjson.dumps(name).decode()}" for index, name in enumerate(header.names)]
    lines += ["planbalance:", f"  import: {orjson.dumps(header.digest).decode()}"]
    return "\n".join((*lines, "")).encode()


def groups_csv(header: ImportHeader) -> bytes:
    """Return the patient of each volume that is written; a volume of an unknown patient is a group of its own."""
    rows = [(volume.id, volume.patient or volume.id) for volume in header.volumes if volume.written]
    return _csv((("volume", "group"), *rows))


def ledger_csv(ledger: Iterable[LedgerLine]) -> bytes:
    """Return a line for each annotation of all sources, with its fate and reason."""
    return _csv((LEDGER_COLUMNS, *ledger))


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def summary_of(header: ImportHeader) -> dict[str, Any]:
    """Return the counts of an import as JSON values."""
    states = [sum(volume.states[place] for volume in header.volumes) for place in range(len(STATES))]
    written = [volume for volume in header.volumes if volume.written]
    reviewed = [volume.reviewed for volume in header.volumes]
    return {
        "annotations": sum(header.fates.values()),
        "fates": {fate: header.fates[fate] for fate in FATES},
        "boxes": sum(volume.boxes for volume in header.volumes),
        "slices": sum(volume.written for volume in header.volumes),
        "states": dict(zip(STATES, states, strict=True)),
        "volumes": {
            "total": len(header.volumes),
            "written": len(written),
            "positive": sum(1 for volume in written if volume.states[0]),
            "reviewed": reviewed.count("all"),
            "partly_reviewed": reviewed.count("some"),
            "unreviewed": reviewed.count("none"),
        },
        "groups": {
            "known": len({volume.patient for volume in written if volume.patient}),
            "volumes_without": sum(1 for volume in written if not volume.patient),
        },
    }


def volume_document(header: ImportHeader, volume: ImportVolume) -> dict[str, Any]:
    """Return one volume as JSON values."""
    return {
        "volume": volume.id,
        "source": header.sources[volume.source].get("name", ""),
        "kind": volume.kind,
        "reviewed": volume.reviewed,
        **dict(zip(STATES, volume.states, strict=True)),
        "boxes": volume.boxes,
        "window": None if volume.window is None else list(volume.window),
        "orientation": volume.orientation,
        "flipped": volume.flipped,
        "group": volume.patient or None,
    }


def report_of(header: ImportHeader) -> dict[str, Any]:
    """Return `import_report.json`: what was imported, volume by volume, and the fates of each source."""
    return {
        "schema": "planbalance/import-report/1",
        "digest": header.digest,
        "summary": summary_of(header),
        "classes": list(header.names),
        "volumes": [volume_document(header, volume) for volume in header.volumes],
        "sources": [dict(source) for source in header.sources],
        "warnings": list(header.warnings),
    }
