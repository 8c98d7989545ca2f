"""What `slurm` says: the files it wrote and the line that submits them."""

from collections.abc import Iterable, Mapping
from typing import Any

from planbalance.report.table import Group, Renderable, heading, line, prose


def slurm_document(files: Mapping[str, str], *, nodes: int, folder: str, submit: str) -> dict[str, Any]:
    """Return the batch files (array and finish) with what submits them."""
    return {"nodes": nodes, "folder": folder, **files, "submit": submit}


def slurm_text(document: Mapping[str, Any]) -> Renderable:
    """Return it for a person."""
    return Group(*_written(document))


def _written(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield line(f"Wrote {document['array']} ({document['nodes']} shards) and {document['finish']} to")
    yield line("  ", document["folder"])
    yield prose("Read them, fill in what your cluster wants to know (time, partition, account), then submit both:")
    yield heading("Submit")
    yield line(document["submit"])
