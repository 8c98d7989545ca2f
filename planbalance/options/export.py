"""The options of `export`."""

from dataclasses import dataclass
from typing import Literal

from planbalance.options.declare import option

ExportFormat = Literal["csv", "nnunet", "monai", "croissant"]
Cases = Literal["volume", "slice"]


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The options of `export`, each the command line's of the same name.

    `format`: a table of volumes (csv), `splits_final.json` of nnU-Net v2 (nnunet), a datalist of MONAI (monai), or
    Croissant 1.0 metadata (croissant). `cases`, for nnunet alone: what one case of nnU-Net is; None stands for volume.
    """

    format: ExportFormat = option("csv", "The table of volumes, or the format of another program.")
    cases: Cases | None = option(
        None, "For nnunet: what one case is.  [default: volume, so images are whole scans]", metavar="volume|slice"
    )
