"""What a caller may ask of an audit."""

from dataclasses import dataclass

from planbalance.grouping import GroupMap
from planbalance.model import Split
from planbalance.slicemap import VolumeSource


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What `verify` shall look at.

    Attributes:
        plan: path of the plan; None: the one in the data set's `.planbalance/`, if any.
        quick: read only what the tool itself wrote, neither images nor labels.
        near_duplicates: also look for similar pictures across splits.
        against: other data sets (folders or yaml files) to compare with.
        group_map: volume -> group; overrides the plan's groups.
        volume_pattern: naming rule as in `plan`; None: the plan's, else `auto`.
        volume_source: what says the volume of each image in the names' stead.
        labels_by_content: with `quick`, read the labels all the same (what `build` ends with).
        unsplit_as: count images that belong to no split as this one's.
        jobs: workers; None: one a core.
    """

    plan: str | None = None
    quick: bool = False
    near_duplicates: bool = False
    against: tuple[str, ...] = ()
    group_map: GroupMap | None = None
    volume_pattern: str | None = None
    volume_source: VolumeSource | None = None
    labels_by_content: bool = False
    unsplit_as: Split | None = None
    jobs: int | None = None
