"""The options of an audit."""

from dataclasses import dataclass

from planbalance.grouping import GroupMap
from planbalance.model import Split
from planbalance.options.audit import VerifyChoices
from planbalance.slicemap import VolumeSource


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(VerifyChoices):
    """What `verify` shall look at: what `options.audit` declares, with what was read from it.

    Attributes:
        group_map: volume -> group; overrides the plan's groups.
        volume_pattern: naming rule as in `plan`; None: the plan's, else `auto`.
        volume_source: gives the volume of each image instead of its name.
        labels_by_content: with `quick`, read the labels nevertheless (`build` ends with such an audit).
        unsplit_as: count images that belong to no split as this one's.
    """

    group_map: GroupMap | None = None
    volume_pattern: str | None = None
    volume_source: VolumeSource | None = None
    labels_by_content: bool = False
    unsplit_as: Split | None = None
