"""`planbalance scan`: what is there."""

from collections.abc import Sequence

import click

from planbalance import api
from planbalance.cli.options import (
    command,
    group_options,
    input_specs,
    inputs_options,
    patient_options,
    reading_options,
    volume_source_options,
)
from planbalance.cli.terminal import Answer, Terminal
from planbalance.model import InputSpec, SharedIds
from planbalance.report.scan import scan_document, scan_text


@command("scan", example="planbalance scan yolo_dataset", printing=True)
@inputs_options
@group_options
@reading_options
@volume_source_options
@patient_options
@click.pass_obj
def scan(  # noqa: PLR0913, PLR0917 - click passes options by name
    terminal: Terminal,
    inputs: Sequence[str],
    named: Sequence[InputSpec],
    images: str | None,
    label_root: str | None,
    shared_ids: SharedIds | None,
    group_map: str | None,
    volume_column: str,
    group_column: str,
    volume_pattern: str | None,
    positive_classes: Sequence[str],
    slice_map: str | None,
    slice_map_columns: str | None,
    volume_from: api.VolumeFrom | None,
    group_from: api.GroupFrom | None,
    group_key: str | None,
) -> Answer:
    """Show what is in one or several data sets: volumes, slices, labels, how names are read, what is wrong.

    INPUT is a folder or its dataset.yaml. Nothing is written.
    """
    found = api.scan(
        input_specs(inputs, named, images, label_root),
        volume_pattern=volume_pattern,
        slice_map=slice_map,
        slice_map_columns=slice_map_columns,
        volume_from=volume_from,
        group_from=group_from,
        group_key=group_key,
        positive_classes=positive_classes,
        shared_ids=shared_ids,
        group_map=group_map,
        volume_column=volume_column,
        group_column=group_column,
        progress=terminal.progress,
    )
    document = scan_document(found.snapshot, found.reading, found.volumes, grouped_by=found.grouped_by)
    return Answer(document, scan_text(document))
