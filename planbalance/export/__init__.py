"""A split in the words of other programs: a table, nnU-Net's split file, MONAI's datalist, Croissant metadata. Pure.

Each function takes a plan, or a dataset as it was found, and returns the text of a file and what there is to say of it.
No text names a folder of this machine, and groups are written as the plan has them: as keyed hashes where it has those.

Sources: `do_split` of nnunetv2's nnUNetTrainer, `load_decathlon_datalist` of monai.data, and the Croissant Format
Specification 1.0 of MLCommons.
"""

from collections.abc import Mapping
from typing import Final

from planbalance.export.croissant import MARK, croissant_text
from planbalance.export.formats import Exported, NamedSplit, csv_text, monai_text, nnunet_text

# What stands near the start of a file of each format that planbalance wrote; that of nnU-Net has no place for it.
EXPORT_MARKS: Final[Mapping[str, str]] = {
    "csv": "volume,group,split,",
    "nnunet": "",
    "monai": '"planbalance": {',
    "croissant": MARK,
}

__all__ = ("EXPORT_MARKS", "Exported", "NamedSplit", "croissant_text", "csv_text", "monai_text", "nnunet_text")
