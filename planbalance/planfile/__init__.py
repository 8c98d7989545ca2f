"""Write plans as bytes, and read and check them (docs/reference/plan-file.md).

The first line is the header and ends in `"operations":[`. One operation a line follows, in blocks that can be read and
checked alone. The last line is `]}`. A plan is not trusted: reading any bytes gives values that keep all rules, or
raises `PlanError`.

`parse_header` checks the first line and its digest, `BlockReader` (or `parse_block`) one block, and `WholePlan` what
needs all operations: collisions and counts. `parse_edited` checks all of it in a document without digests.
"""

from planbalance.planfile.blocks import BlockReader, parse_block
from planbalance.planfile.counts import Content, content_of, slice_counts, volume_counts
from planbalance.planfile.edited import EDITED_BYTES, parse_edited
from planbalance.planfile.header import (
    BLOCK_BYTES,
    BLOCK_OPERATIONS,
    HEADER_BYTES,
    SCHEMA,
    grouped_by,
    id_prefixes,
    knows_patients,
    naming_document,
    parse_header,
    read_source,
    source_document,
)
from planbalance.planfile.seal import TAIL, SealedPlan, first_line_of, format_mtime, seal
from planbalance.planfile.whole_plan import BlockFacts, Facts, KeptSlices, WholePlan

__all__ = (
    "BLOCK_BYTES",
    "BLOCK_OPERATIONS",
    "EDITED_BYTES",
    "HEADER_BYTES",
    "SCHEMA",
    "TAIL",
    "BlockFacts",
    "BlockReader",
    "Content",
    "Facts",
    "KeptSlices",
    "SealedPlan",
    "WholePlan",
    "content_of",
    "first_line_of",
    "format_mtime",
    "grouped_by",
    "id_prefixes",
    "knows_patients",
    "naming_document",
    "parse_block",
    "parse_edited",
    "parse_header",
    "read_source",
    "seal",
    "slice_counts",
    "source_document",
    "volume_counts",
)
