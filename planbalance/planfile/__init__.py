"""Write plans as bytes, and read and check them (docs/reference/plan-file.md).

The first line is the header and ends in `"operations":[`. One operation a line follows, in blocks that can be read and
checked alone. The last line is `]}`. A plan is not trusted: reading any bytes gives values that keep all rules, or
raises `PlanError`.

`parse_header` checks the first line and its digest, `BlockReader` (or `parse_block`) one block, and `WholePlan` what
needs all operations
"""

from planbalance.planfile.blocks import BlockReader, parse_block
from planbalance.planfile.counts import Content, content_of, slice_counts, volume_counts
from planbalance.planfile.edited import EDITED_BYTES, parse_edited
from planbalance.planfile.header import (
    BLOCK_BYTES,
    BLOCK_OPERATIONS,
    HEADER_BYTES,
    IMPORT_SCHEMA,
    SCHEMA,
    grouped_by,
    id_prefixes,
    knows_patients,
    naming_document,
    parse_header,
    read_source,
    source_document,
)
from planbalance.planfile.import_plan import (
    ImportBlockReader,
    ImportFacts,
    SealedImport,
    WholeImport,
    check_end,
    files_of,
    first_line_of_import,
    import_facts,
    ledger_offset,
    parse_import_header,
    parse_ledger,
    seal_import,
)
from planbalance.planfile.seal import TAIL, SealedPlan, first_line_of, format_mtime, seal
from planbalance.planfile.whole_plan import BlockFacts, Facts, KeptSlices, WholePlan

__all__ = (
    "BLOCK_BYTES",
    "BLOCK_OPERATIONS",
    "EDITED_BYTES",
    "HEADER_BYTES",
    "IMPORT_SCHEMA",
    "SCHEMA",
    "TAIL",
    "BlockFacts",
    "BlockReader",
    "Content",
    "Facts",
    "ImportBlockReader",
    "ImportFacts",
    "KeptSlices",
    "SealedImport",
    "SealedPlan",
    "WholeImport",
    "WholePlan",
    "check_end",
    "content_of",
    "files_of",
    "first_line_of",
    "first_line_of_import",
    "format_mtime",
    "grouped_by",
    "id_prefixes",
    "import_facts",
    "knows_patients",
    "ledger_offset",
    "naming_document",
    "parse_block",
    "parse_edited",
    "parse_header",
    "parse_import_header",
    "parse_ledger",
    "read_source",
    "seal",
    "seal_import",
    "slice_counts",
    "source_document",
    "volume_counts",
)
